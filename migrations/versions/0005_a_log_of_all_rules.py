"""The runs of all rules in the order of time, for their log."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_rule_runs_at", "rule_runs", ["at", "id"])


def downgrade() -> None:
    op.drop_index("ix_rule_runs_at", table_name="rule_runs")
