"""Attention over rows of many sequences and against a cache: plans, and three ways to compute them."""
