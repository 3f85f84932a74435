"""`run.py doctor`: every thing that must be well between a picture file and Tableau, looked at in that order."""
