"""The history of the tables, up and down, for both databases."""
