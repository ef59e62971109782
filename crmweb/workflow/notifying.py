"""The action that tells people: a line in each one's inbox, but for those who have muted the rule."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from crmweb.errors import FieldError
from crmweb.models import Activity, Deal, Notification, User
from crmweb.models.base import text
from crmweb.models.types import as_id
from crmweb.workflow.doing import Config, Doing, Done, action
from crmweb.workflow.telling import Person, tell
from crmweb.workflow.texts import check_text, fill

GROUPS = ("owner", "managers", "admins")


@action("send_notification")
class SendNotification:
    """A line in people's inboxes. `to`: owner, managers, admins or a person's id; without it the owner, else admins."""

    words = "notify"
    settings = ("to", "message")
    adds = True

    def check(self, session: Session, entity_type: str, trigger: str, config: Config) -> None:
        to = config.get("to") or "owner"
        if to not in GROUPS:
            person = session.get(User, as_id(to, "to"))
            if person is None or not person.is_active:
                raise FieldError("to", "Notify the owner, managers, admins, or a person from the list.")
        message = text("message", config.get("message"), most=300, required=False, label="What to say")
        check_text(entity_type, "message", message)

    def do(self, doing: Doing, config: Config) -> Done:
        people = self._people(doing, config.get("to"))
        if not people:
            return None, []
        written = fill(config.get("message") or "", doing.reader).strip()
        subject = (written or f"{doing.rule.name}: {_title(doing.record)}")[:300]
        heard = [person for person in people if doing.rule.id not in person.mutes]
        for person in heard:
            line = Notification(
                user_id=person.id, kind="rule", subject=subject, detail=doing.by.name,
                rule_id=doing.rule.id, rule_run_id=doing.run_id, **_link(doing.record),
            )  # fmt: skip
            tell(doing.session, person, line)
        done: dict[str, Any] = {"notified": [person.name for person in heard], "subject": subject}
        if muted := [person.name for person in people if person not in heard]:
            done["muted"] = muted
        return done, []

    def would_act(self, doing: Doing, config: Config) -> bool:
        return True

    def _people(self, doing: Doing, to: str | None) -> list[Person]:
        """The active people meant, whether they have muted the rule or not."""
        everybody = doing.people()
        if to in ("managers", "admins"):
            return [person for person in everybody if person.role == to.removesuffix("s")]
        wanted = doing.record.assigned_to_id if to in (None, "", "owner") else as_id(to, "to")
        found = [person for person in everybody if person.id == wanted]
        if not found and not to:
            return [person for person in everybody if person.role == "admin"]
        return found


def _title(record: Any) -> str:
    return str(record.subject if isinstance(record, Activity) else record.name)


def _link(record: Any) -> dict[str, UUID | None]:
    if isinstance(record, Activity):
        return {"deal_id": record.deal_id, "entity_id": record.entity_id}
    return {"deal_id": record.id} if isinstance(record, Deal) else {"entity_id": record.id}
