"""Who has answered the survey, so that everybody answers once."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; who answered before is not known, and may answer once more."""
    op.create_table(
        "surveyed",
        sa.Column("person", sa.Integer(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["person"], ["person.id"]),
        sa.PrimaryKeyConstraint("person"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Remove it; the answers stay."""
    op.drop_table("surveyed")
