"""The three sample workbooks: which sheets they have, and what is on them."""
