"""Sample workbooks, and what builds and checks them; it talks to the server over HTTP only."""
