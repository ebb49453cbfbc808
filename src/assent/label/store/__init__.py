"""What is kept, in SQL: SQLite for one team's laptop, PostgreSQL for a team's server."""
