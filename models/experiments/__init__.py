"""Experiments of the talk that a reader can repeat: each is a command that says whether its claim was seen."""
