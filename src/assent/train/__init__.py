"""The algorithms of the paper, one plain function each."""
