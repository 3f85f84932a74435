"""Labelled pictures that a version keeps as embeddings: its map, its clusters, its nearest labels, its outliers."""
