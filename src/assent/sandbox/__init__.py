"""A small closed world with simulated labelers whose true preferences are known, so that every claim can fail."""
