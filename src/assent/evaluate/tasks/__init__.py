"""The public tasks of the paper, and its qualitative probes: how a row becomes an item, and what is measured on it."""
