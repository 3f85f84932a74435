"""The REST service: a column of image paths in, columns of answers out; one file per step of the way."""
