"""The whole method in the sandbox, end to end, and what came of the paper's claims."""
