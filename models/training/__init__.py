"""From labelled arrays to a trained, calibrated, measured version: recipes, the loop, its checkpoints, the choice."""
