"""Rules that a person has muted."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rule_mutes",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("rule_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_rule_mutes_user_id_users"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["rule_id"],
            ["workflow_rules.id"],
            name=op.f("fk_rule_mutes_rule_id_workflow_rules"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "rule_id", name=op.f("pk_rule_mutes")),
    )


def downgrade() -> None:
    op.drop_table("rule_mutes")
