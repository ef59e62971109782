"""Stages have limits, ask for fields and tell who left them; deals sleep; open tasks are found by deal and by doer."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

OPEN_DEAL = "deleted_at IS NULL AND status = 'open'"
OPEN_TASK = "type = 'task' AND completed_at IS NULL AND deleted_at IS NULL"
UNREAD_OF_RULES = "read_at IS NULL AND rule_run_id IS NOT NULL"


def upgrade() -> None:
    with op.batch_alter_table("stages") as stages:
        stages.add_column(sa.Column("rot_days", sa.Integer(), nullable=True))
        stages.add_column(sa.Column("max_deals", sa.Integer(), nullable=True))
        stages.add_column(sa.Column("limit_mode", sa.String(length=4), nullable=False, server_default="soft"))
        stages.add_column(sa.Column("required_fields", sa.JSON(), nullable=False, server_default="[]"))
        stages.create_check_constraint(op.f("ck_stages_rot_days_range"), "rot_days IS NULL OR rot_days > 0")
        stages.create_check_constraint(
            op.f("ck_stages_max_deals_range"), "max_deals IS NULL OR max_deals > 0"
        )
        stages.create_check_constraint(op.f("ck_stages_limit_mode_known"), "limit_mode IN ('soft', 'hard')")
    op.add_column("deals", sa.Column("snoozed_until", sa.Date(), nullable=True))
    op.add_column("deals", sa.Column("snooze_reason", sa.String(length=300), nullable=True))
    for name, table, columns, rows in INDEXES:
        op.create_index(name, table, columns, sqlite_where=sa.text(rows), postgresql_where=sa.text(rows))
    op.create_index("ix_stage_changes_left", "stage_changes", ["from_stage_id", "at"])
    op.execute(
        "UPDATE deals SET next_due_at = (SELECT min(due_at) FROM activities WHERE activities.deal_id = deals.id "
        "AND activities.type = 'task' AND activities.completed_at IS NULL AND activities.deleted_at IS NULL)"
    )


def downgrade() -> None:
    op.drop_index("ix_stage_changes_left", "stage_changes")
    for name, table, *_ in INDEXES:
        op.drop_index(name, table)
    op.drop_column("deals", "snooze_reason")
    op.drop_column("deals", "snoozed_until")
    with op.batch_alter_table("stages") as stages:
        stages.drop_constraint(op.f("ck_stages_limit_mode_known"), type_="check")
        stages.drop_constraint(op.f("ck_stages_max_deals_range"), type_="check")
        stages.drop_constraint(op.f("ck_stages_rot_days_range"), type_="check")
        for name in ("required_fields", "limit_mode", "max_deals", "rot_days"):
            stages.drop_column(name)


INDEXES = (
    (
        "ix_deals_quiet",
        "deals",
        ["stage_id", "stage_entered_at", "last_human_activity_at", "snoozed_until"],
        OPEN_DEAL,
    ),
    ("ix_deals_due", "deals", ["stage_id", "next_due_at"], OPEN_DEAL),
    ("ix_activities_next_step", "activities", ["deal_id", "due_at"], OPEN_TASK),
    ("ix_activities_to_do", "activities", ["assigned_to_id", "due_at"], OPEN_TASK),
    ("ix_notifications_run", "notifications", ["rule_run_id"], UNREAD_OF_RULES),
)
