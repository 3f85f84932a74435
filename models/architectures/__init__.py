"""Networks, one family a file; each ends in global average pooling and one dense layer, so that its map explains it."""
