"""`models import`: a network that somebody has already becomes a Pixfield model version."""
