"""Other people's data in, clean records out. Never loads torch."""
