"""How practice items are meant, what leads think of a candidate's writing, and indices for a million answers."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_OPEN = sa.text("state = 'open'")
_FIRST = sa.text("revision = 1")


def upgrade() -> None:
    """Add the columns and the indices."""
    op.add_column("item", sa.Column("meant", sa.JSON(), nullable=True))
    op.add_column("screening", sa.Column("ratings", sa.JSON(), server_default=sa.text("'{}'"), nullable=False))
    op.create_index("view_open", "view", ["labeler"], unique=False, sqlite_where=_OPEN, postgresql_where=_OPEN)
    op.create_index("answer_newest", "answer", ["batch", "id"], unique=False)
    op.create_index(
        "answer_pace",
        "answer",
        ["batch", "labeler", "at", "seconds"],
        unique=False,
        sqlite_where=_FIRST,
        postgresql_where=_FIRST,
    )


def downgrade() -> None:
    """Remove them, and what stands in them."""
    op.drop_index("answer_newest", table_name="answer")
    op.drop_index("view_open", table_name="view", sqlite_where=_OPEN, postgresql_where=_OPEN)
    op.drop_index("answer_pace", table_name="answer", sqlite_where=_FIRST, postgresql_where=_FIRST)
    op.drop_column("screening", "ratings")
    op.drop_column("item", "meant")
