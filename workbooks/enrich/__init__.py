"""`python run.py classify`: a table with a column of pictures in, the same table with answers beside it out."""
