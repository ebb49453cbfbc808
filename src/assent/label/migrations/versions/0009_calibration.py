"""Whether labelers may compare their answers, and who has looked."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_LOOKED = sa.text("compared IS NOT NULL")


def upgrade() -> None:
    """Add the columns; nothing is open yet, and nobody has looked."""
    op.add_column("batch", sa.Column("calibration", sa.Float(), nullable=True))
    op.add_column("view", sa.Column("compared", sa.Float(), nullable=True))
    op.create_index("view_compared", "view", ["batch"], unique=False, sqlite_where=_LOOKED, postgresql_where=_LOOKED)


def downgrade() -> None:
    """Remove them."""
    op.drop_index("view_compared", table_name="view", sqlite_where=_LOOKED, postgresql_where=_LOOKED)
    op.drop_column("view", "compared")
    op.drop_column("batch", "calibration")
