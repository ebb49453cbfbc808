"""Batches, items, slots, and answers."""

import sqlalchemy as sa
from alembic import op

from assent.label.migrations.protect import protect

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "guideline",
        sa.Column("version", sa.String(length=50), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("author", sa.Integer(), nullable=True),
        sa.Column("created", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["author"],
            ["person.id"],
        ),
        sa.PrimaryKeyConstraint("version"),
    )
    op.create_table(
        "batch",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.Column("guideline", sa.String(length=50), nullable=False),
        sa.Column("source_hash", sa.String(length=64), nullable=False),
        sa.Column("author", sa.Integer(), nullable=True),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("frozen", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(
            ["author"],
            ["person.id"],
        ),
        sa.ForeignKeyConstraint(
            ["guideline"],
            ["guideline.version"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "item",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("batch", sa.Integer(), nullable=False),
        sa.Column("record", sa.String(length=500), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("mode", sa.String(length=20), server_default="plain", nullable=False),
        sa.Column("source", sa.Text(), server_default="", nullable=False),
        sa.Column("licence", sa.Text(), server_default="", nullable=False),
        sa.Column("stratum", sa.String(length=20), nullable=False),
        sa.Column("chosen", sa.String(length=20), server_default="all", nullable=False),
        sa.Column("propensity", sa.Float(), server_default="1", nullable=False),
        sa.Column("repeats", sa.Integer(), nullable=True),
        sa.Column("state", sa.String(length=20), server_default="open", nullable=False),
        sa.Column("skips", sa.Integer(), server_default="0", nullable=False),
        sa.Column("prompt", sa.JSON(), nullable=False),
        sa.Column("responses", sa.JSON(), nullable=False),
        sa.Column("gold", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(
            ["batch"],
            ["batch.id"],
        ),
        sa.ForeignKeyConstraint(
            ["repeats"],
            ["item.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("batch", "record", "stratum", name="item_batch_record"),
    )
    op.create_index(
        "item_practice",
        "item",
        ["batch"],
        unique=False,
        sqlite_where=sa.text("stratum = 'practice'"),
        postgresql_where=sa.text("stratum = 'practice'"),
    )
    op.create_index("item_batch", "item", ["batch", "state", "stratum"], unique=False)
    op.create_index("item_repeats", "item", ["repeats"], unique=False)
    op.create_table(
        "author",
        sa.Column("item", sa.Integer(), nullable=False),
        sa.Column("person", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["item"],
            ["item.id"],
        ),
        sa.ForeignKeyConstraint(
            ["person"],
            ["person.id"],
        ),
        sa.PrimaryKeyConstraint("item", "person"),
    )
    op.create_table(
        "slot",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("item", sa.Integer(), nullable=False),
        sa.Column("batch", sa.Integer(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("team", sa.String(length=20), server_default="train", nullable=False),
        sa.Column("reserved", sa.Integer(), nullable=True),
        sa.Column("after", sa.Float(), server_default="0", nullable=False),
        sa.Column("priority", sa.Float(), nullable=False),
        sa.Column("labeler", sa.Integer(), nullable=True),
        sa.Column("expires", sa.Float(), server_default="0", nullable=False),
        sa.Column("state", sa.String(length=20), server_default="open", nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["batch"],
            ["batch.id"],
        ),
        sa.ForeignKeyConstraint(
            ["item"],
            ["item.id"],
        ),
        sa.ForeignKeyConstraint(
            ["labeler"],
            ["person.id"],
        ),
        sa.ForeignKeyConstraint(
            ["reserved"],
            ["person.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("item", "labeler", name="slot_item_labeler"),
        sa.UniqueConstraint("item", "n", name="slot_item_n"),
    )
    op.create_index("slot_batch", "slot", ["batch", "state"], unique=False)
    op.create_index(
        "slot_one_open",
        "slot",
        ["labeler"],
        unique=True,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index(
        "slot_queue",
        "slot",
        ["priority", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "view",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("item", sa.Integer(), nullable=False),
        sa.Column("batch", sa.Integer(), nullable=False),
        sa.Column("labeler", sa.Integer(), nullable=False),
        sa.Column("shown", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=20), server_default="open", nullable=False),
        sa.Column("reason", sa.String(length=20), server_default="", nullable=False),
        sa.Column("opened", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["batch"],
            ["batch.id"],
        ),
        sa.ForeignKeyConstraint(
            ["item"],
            ["item.id"],
        ),
        sa.ForeignKeyConstraint(
            ["labeler"],
            ["person.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("item", "labeler", name="view_item_labeler"),
    )
    op.create_index("view_batch", "view", ["batch", "state"], unique=False)
    op.create_index("view_labeler", "view", ["labeler", "opened"], unique=False)
    op.create_table(
        "answer",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("view", sa.String(length=32), nullable=False),
        sa.Column("item", sa.Integer(), nullable=False),
        sa.Column("batch", sa.Integer(), nullable=False),
        sa.Column("labeler", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("schema", sa.Integer(), nullable=False),
        sa.Column("guideline", sa.String(length=50), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["batch"],
            ["batch.id"],
        ),
        sa.ForeignKeyConstraint(
            ["item"],
            ["item.id"],
        ),
        sa.ForeignKeyConstraint(
            ["labeler"],
            ["person.id"],
        ),
        sa.ForeignKeyConstraint(
            ["view"],
            ["view.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("view", "revision", name="answer_view_revision"),
    )
    op.create_index("answer_batch", "answer", ["batch", "item"], unique=False)
    op.create_index("answer_labeler", "answer", ["labeler", "at"], unique=False)
    op.create_table(
        "draft",
        sa.Column("view", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["view"],
            ["view.id"],
        ),
        sa.PrimaryKeyConstraint("view"),
    )
    op.create_table(
        "receipt",
        sa.Column("labeler", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=20), nullable=False),
        sa.Column("view", sa.String(length=32), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["labeler"],
            ["person.id"],
        ),
        sa.ForeignKeyConstraint(
            ["view"],
            ["view.id"],
        ),
        sa.PrimaryKeyConstraint("labeler", "key"),
    )
    protect("answer")


def downgrade() -> None:
    """Remove the tables and everything in them; people stay as they are."""
    op.drop_table("receipt")
    op.drop_table("draft")
    op.drop_index("answer_labeler", table_name="answer")
    op.drop_index("answer_batch", table_name="answer")
    op.drop_table("answer")
    op.drop_index("view_labeler", table_name="view")
    op.drop_index("view_batch", table_name="view")
    op.drop_table("view")
    op.drop_index(
        "slot_queue",
        table_name="slot",
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.drop_index(
        "slot_one_open",
        table_name="slot",
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.drop_index("slot_batch", table_name="slot")
    op.drop_table("slot")
    op.drop_table("author")
    op.drop_index("item_batch", table_name="item")
    op.drop_index("item_repeats", table_name="item")
    op.drop_index(
        "item_practice",
        table_name="item",
        sqlite_where=sa.text("stratum = 'practice'"),
        postgresql_where=sa.text("stratum = 'practice'"),
    )
    op.drop_table("item")
    op.drop_table("batch")
    op.drop_table("guideline")
