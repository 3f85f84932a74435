"""What Tableau users get besides the functions: tables with answers in them. Talks to the server over HTTP only."""
