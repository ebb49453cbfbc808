"""Assent's side of the jobs, through its own training functions at their defaults. Each module is a process."""
