"""The records. One noun, one file; plain SQLAlchemy."""

from crmweb.models.activity import Activity
from crmweb.models.base import Base, Record
from crmweb.models.deal import Deal
from crmweb.models.delivery import Delivery
from crmweb.models.entity import Entity
from crmweb.models.history import Change, ChangeSet, MoveKey, RuleLook, RuleRun, StageChange
from crmweb.models.notification import Notification, RuleMute
from crmweb.models.pipeline import Pipeline
from crmweb.models.sign_in import AppState, PasswordLink, Session, Throttle
from crmweb.models.stage import Stage, StageTotal
from crmweb.models.user import User
from crmweb.models.workflow_rule import RuleOccasion, RuleVersion, WorkflowRule

__all__ = [
    "TRACKED", "UNTRACKED", "Activity", "AppState", "Base", "Change", "ChangeSet", "Deal", "Delivery", "Entity",
    "MoveKey", "Notification", "PasswordLink", "Pipeline", "Record", "RuleLook", "RuleMute", "RuleOccasion",
    "RuleRun", "RuleVersion", "Session", "Stage", "StageChange", "StageTotal", "Throttle", "User", "WorkflowRule",
]  # fmt: skip

TRACKED: tuple[type[Record], ...] = (Pipeline, Stage, Deal, Entity, Activity, WorkflowRule, User)
"""Their changes are the history."""
UNTRACKED: tuple[type[Base], ...] = (
    AppState, Change, ChangeSet, Delivery, MoveKey, Notification, PasswordLink, RuleLook, RuleMute, RuleOccasion,
    RuleRun, RuleVersion, Session, StageChange, StageTotal, Throttle,
)  # fmt: skip
"""They are history themselves, or follow from it, or are of no interest to it."""
