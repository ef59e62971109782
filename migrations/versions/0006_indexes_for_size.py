"""Indexes for what was read whole at a million deals: the last changed, the deleted, the closed; runs that failed."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

DELETED = "deleted_at IS NOT NULL"
DID_NOT_ACT = "outcome <> 'acted'"
ADDED = (
    ("ix_deals_updated", "deals", ["updated_at"], None),
    ("ix_deals_deleted", "deals", ["deleted_at"], DELETED),
    ("ix_deals_closed", "deals", ["closed_date"], "deleted_at IS NULL AND closed_date IS NOT NULL"),
    ("ix_entities_deleted", "entities", ["deleted_at"], DELETED),
    ("ix_activities_updated", "activities", ["updated_at"], "kind IS NULL"),
    ("ix_activities_deleted", "activities", ["deleted_at"], DELETED),
    ("ix_rule_runs_outcome", "rule_runs", ["outcome", "at", "id"], DID_NOT_ACT),
    ("ix_rule_runs_rule_outcome", "rule_runs", ["rule_id", "outcome", "at", "id"], DID_NOT_ACT),
)


def upgrade() -> None:
    for name, table, columns, condition in ADDED:
        _create(name, table, columns, condition)
    op.drop_index("ix_notifications_unread", "notifications")
    _create("ix_notifications_unread", "notifications", ["user_id", "withdrawn_at"], "read_at IS NULL")


def downgrade() -> None:
    op.drop_index("ix_notifications_unread", "notifications")
    _create("ix_notifications_unread", "notifications", ["user_id"], "read_at IS NULL")
    for name, table, *_ in reversed(ADDED):
        op.drop_index(name, table)


def _create(name: str, table: str, columns: list[str], condition: str | None) -> None:
    where = (
        {} if condition is None else dict.fromkeys(("sqlite_where", "postgresql_where"), sa.text(condition))
    )
    op.create_index(name, table, columns, **where)
