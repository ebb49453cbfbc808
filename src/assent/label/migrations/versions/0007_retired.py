"""From when on a known answer no longer counts."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; nothing is retired yet."""
    op.add_column("item", sa.Column("retired", sa.Float(), nullable=True))


def downgrade() -> None:
    """Remove it; what was retired is handed out no more all the same, since its places stay void."""
    op.drop_column("item", "retired")
