"""From a source of labelled pictures to arrays to train on: folders, tables, labelling tools, archives, data sets."""
