"""How good a model is, measured on pictures it was not trained on: figures, tables for Tableau, and one page."""
