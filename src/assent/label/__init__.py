"""The human half: the web app in which people write demonstrations, rate and rank; it never loads torch."""
