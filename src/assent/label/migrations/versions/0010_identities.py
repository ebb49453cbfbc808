"""Who somebody is to a provider of sign-ins, sign-ins that are on their way, and the last code of an authenticator."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables, and the column."""
    op.add_column("person", sa.Column("spent", sa.Integer(), server_default="0", nullable=False))
    op.create_table(
        "identity",
        sa.Column("issuer", sa.String(length=300), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("person", sa.Integer(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["person"], ["person.id"]),
        sa.PrimaryKeyConstraint("issuer", "subject"),
    )
    op.create_index("ix_identity_person", "identity", ["person"], unique=False)
    op.create_table(
        "begun",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("hash"),
    )


def downgrade() -> None:
    """Remove them; whoever came by a provider needs a new invitation."""
    op.drop_table("begun")
    op.drop_index("ix_identity_person", table_name="identity")
    op.drop_table("identity")
    op.drop_column("person", "spent")
