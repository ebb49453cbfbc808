"""Tables that nobody changes: answers and the audit log are append-only, also for whoever writes SQL by hand."""

from alembic import op

_SQLITE = """
CREATE TRIGGER {table}_{deed} BEFORE {deed} ON {table}
BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END
"""
_FUNCTION = """
CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = '23514'; END $$
"""
_POSTGRESQL = """
CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION append_only()
"""


def make() -> None:
    """What `protect` needs: a function, in PostgreSQL."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(_FUNCTION)


def protect(table: str) -> None:
    """Refuse to change or delete a row of a table."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(_POSTGRESQL.format(table=table))
        return
    for deed in ("UPDATE", "DELETE"):
        op.execute(_SQLITE.format(table=table, deed=deed))


def remove() -> None:
    """Take back what `make` made."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION append_only()")
