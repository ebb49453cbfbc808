"""How practice items are meant, what leads think of a candidate's writing, and an index of how long answers took."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_FIRST = sa.text("revision = 1")


def upgrade() -> None:
    """Add the columns and the index."""
    op.add_column("item", sa.Column("meant", sa.JSON(), nullable=True))
    op.add_column("screening", sa.Column("ratings", sa.JSON(), server_default=sa.text("'{}'"), nullable=False))
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
    op.drop_index("answer_pace", table_name="answer", sqlite_where=_FIRST, postgresql_where=_FIRST)
    op.drop_column("screening", "ratings")
    op.drop_column("item", "meant")
