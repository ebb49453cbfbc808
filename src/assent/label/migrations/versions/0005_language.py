"""Which language somebody has chosen for the screens."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; nobody has chosen yet."""
    op.add_column("person", sa.Column("language", sa.String(length=20), server_default="", nullable=False))


def downgrade() -> None:
    """Remove it."""
    op.drop_column("person", "language")
