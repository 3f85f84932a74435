"""Tableau workbooks: what checks them and what builds them. Talks to the server and to TabPy over HTTP only."""
