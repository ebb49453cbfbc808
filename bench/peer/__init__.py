"""TRL's side of the jobs: its trainers as its users run them, in its own environment. Each module is a process."""
