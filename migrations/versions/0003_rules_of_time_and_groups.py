"""Rules with groups of conditions, with triggers that say more, and with those that time brings about."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

EVENTS = "trigger_event IN ('create', 'update', 'delete')"
TRIGGERS = EVENTS.replace(")", ", 'stage_changed', 'days_in_stage', 'no_activity', 'date_reached')")


OPEN_DEAL = sa.text("deleted_at IS NULL AND status = 'open'")
OPEN_TASK = sa.text("type = 'task' AND completed_at IS NULL AND deleted_at IS NULL")


def upgrade() -> None:
    op.create_index(
        "ix_deals_close", "deals", ["expected_close_date"], sqlite_where=OPEN_DEAL, postgresql_where=OPEN_DEAL
    )
    op.create_index(
        "ix_activities_due", "activities", ["due_at"], sqlite_where=OPEN_TASK, postgresql_where=OPEN_TASK
    )
    with op.batch_alter_table("workflow_rules") as rules:
        rules.add_column(sa.Column("trigger_config", sa.JSON(), nullable=False, server_default="{}"))
        rules.add_column(sa.Column("match", sa.String(length=3), nullable=False, server_default="all"))
        rules.add_column(sa.Column("on_since", sa.DateTime(timezone=True), nullable=True))
        rules.drop_constraint(op.f("ck_workflow_rules_trigger_event_known"), type_="check")
        rules.create_check_constraint(op.f("ck_workflow_rules_trigger_event_known"), TRIGGERS)
        rules.create_check_constraint(op.f("ck_workflow_rules_match_known"), "match IN ('all', 'any')")
    op.create_table(
        "rule_occasions",
        sa.Column("rule_id", sa.Uuid(), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("counted_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["rule_id"],
            ["workflow_rules.id"],
            name=op.f("fk_rule_occasions_rule_id_workflow_rules"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("rule_id", "record_id", "counted_from", name=op.f("pk_rule_occasions")),
    )


def downgrade() -> None:
    op.drop_table("rule_occasions")
    op.drop_index("ix_activities_due", "activities")
    op.drop_index("ix_deals_close", "deals")
    with op.batch_alter_table("workflow_rules") as rules:
        rules.drop_constraint(op.f("ck_workflow_rules_match_known"), type_="check")
        rules.drop_constraint(op.f("ck_workflow_rules_trigger_event_known"), type_="check")
        rules.create_check_constraint(op.f("ck_workflow_rules_trigger_event_known"), EVENTS)
        for name in ("on_since", "match", "trigger_config"):
            rules.drop_column(name)
