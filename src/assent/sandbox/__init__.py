"""A small closed world with simulated labelers whose true preferences are known, so that every claim can fail."""

from pathlib import Path

BASE = Path(__file__).parent / "base"  # the base model that ships with the package
