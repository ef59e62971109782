"""The inbox: what rules and the system told a person, by day. Everybody sees and marks only their own."""

from __future__ import annotations

from itertools import groupby
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import Blueprint, flash, render_template, request, url_for
from sqlalchemy import update
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from crmweb import changes, clock
from crmweb.extensions import db
from crmweb.models import Notification, RuleMute, User
from crmweb.queries import notifications, rules
from crmweb.queries.notifications import Notice
from crmweb.web.access import access, me
from crmweb.web.htmx import see_other

bp = Blueprint("notifications", __name__)


@bp.get("/notifications")
@access("everyone")
def index() -> str:
    """The inbox; `show=unread` only what is new, `before` older ones."""
    return _inbox(request.args.get("show") == "unread", request.args.get("before", type=UUID))


@bp.post("/notifications/<uuid:notification_id>/reading")
@access("everyone")
def read(notification_id: UUID) -> Response:
    """Mark one of one's own notices as read; with `open`, go to what it is about."""
    notice = notifications.load(db.session(), me().id, notification_id)
    _mark(notification_id)
    if "open" in request.form:
        return see_other(_target(notice))
    return _back(f"notice-{notification_id}")


@bp.post("/notifications/reading")
@access("everyone")
def read_all() -> Response:
    """Mark all of one's own notices as read that the page could show."""
    _mark(None)
    return _back()


@bp.post("/notifications/rules/<uuid:rule_id>/muting")
@access("everyone")
def mute(rule_id: UUID) -> Response:
    """Hear nothing of a rule any more; it acts as before, and others hear of it."""
    person_id, rule = me().id, rules.load(db.session(), rule_id)

    def work(session: Session) -> None:
        User.locked(session, person_id)
        if session.get(RuleMute, (person_id, rule_id)) is None:
            session.add(RuleMute(user_id=person_id, rule_id=rule_id))

    changes.commit(work, cause="bookkeeping")
    flash(f"You hear no more of {rule.name}.")
    return _back(request.form.get("at"))


@bp.post("/notifications/rules/<uuid:rule_id>/hearing")
@access("everyone")
def hear(rule_id: UUID) -> Response:
    """Hear of a rule again."""
    person_id, rule = me().id, rules.load(db.session(), rule_id)

    def work(session: Session) -> None:
        User.locked(session, person_id)
        if mute := session.get(RuleMute, (person_id, rule_id)):
            session.delete(mute)

    changes.commit(work, cause="bookkeeping")
    flash(f"You hear of {rule.name} again.")
    return _back(request.form.get("at"))


def _mark(notification_id: UUID | None) -> None:
    person_id = me().id
    mine = [Notification.user_id == person_id, Notification.read_at.is_(None)]
    if notification_id is not None:
        mine.append(Notification.id == notification_id)

    def work(session: Session) -> None:
        session.execute(update(Notification).where(*mine).values(read_at=clock.now()))

    changes.commit(work, cause="bookkeeping")


def _back(anchor: str | None = None) -> Response:
    # The whole page, because the bell counts too.
    show = "unread" if request.form.get("show") == "unread" else None
    return see_other(url_for(".index", show=show, _anchor=anchor))


def _inbox(is_unread: bool, before: UUID | None = None) -> str:
    session, person = db.session(), me()
    notices, older = notifications.inbox(session, person.id, is_unread=is_unread, before=before)
    zone = ZoneInfo(person.timezone)
    days = [
        (day, list(of_day)) for day, of_day in groupby(notices, lambda one: one.at.astimezone(zone).date())
    ]
    return render_template(
        "notifications/index.html",
        days=days,
        is_unread=is_unread,
        count=notifications.unread(session, person.id),
        older=url_for(".index", show="unread" if is_unread else None, before=older) if older else "",
        today=clock.now().astimezone(zone).date(),
        muted=notifications.muted(session, person.id),
        target=_target,
    )


def _target(notice: Notice) -> str:
    """Where to go to see what a notice is about; the inbox when that is gone."""
    if notice.kind == "warning" and notice.rule_id:
        return url_for("rules.show", rule_id=notice.rule_id)
    if notice.deal_id:
        return url_for("deals.show", deal_id=notice.deal_id)
    if notice.entity_id:
        return url_for("entities.show", entity_id=notice.entity_id)
    return url_for("rules.show", rule_id=notice.rule_id) if notice.rule_id else url_for(".index")
