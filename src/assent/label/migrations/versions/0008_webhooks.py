"""Webhooks, and what is to be delivered to them."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_WAITING = sa.text("state = 'waiting'")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "webhook",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("url", sa.String(length=500), nullable=False),
        sa.Column("events", sa.JSON(), nullable=False),
        sa.Column("salt", sa.String(length=32), nullable=False),
        sa.Column("author", sa.Integer(), nullable=True),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("stopped", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["author"], ["person.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "delivery",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("webhook", sa.Integer(), nullable=False),
        sa.Column("event", sa.String(length=30), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=20), server_default="waiting", nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due", sa.Float(), nullable=False),
        sa.Column("leased", sa.Float(), server_default="0", nullable=False),
        sa.Column("said", sa.String(length=200), server_default="", nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["webhook"], ["webhook.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("delivery_due", "delivery", ["due"], sqlite_where=_WAITING, postgresql_where=_WAITING)
    op.create_index("delivery_created", "delivery", ["created"])


def downgrade() -> None:
    """Remove them, and what was not delivered."""
    op.drop_index("delivery_created", table_name="delivery")
    op.drop_index("delivery_due", table_name="delivery", sqlite_where=_WAITING, postgresql_where=_WAITING)
    op.drop_table("delivery")
    op.drop_table("webhook")
