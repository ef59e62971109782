"""A board of its own for each browser test: the run's server is shared, its deals are not."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID, uuid4

from playwright.sync_api import Page, expect
from sqlalchemy import func, select

from crmweb import changes
from crmweb.extensions import db
from crmweb.models import Activity, Deal, Stage, User
from crmweb.web.filters import money
from tests.support.factories import make_deal, make_pipeline
from tests.support.pages import open_board, sign_in_as


@dataclass(frozen=True)
class Scene:
    """A pipeline with the documents' stages and a few deals in it."""

    pipeline_id: UUID
    stages: dict[str, Stage]

    def add(self, stage: str, *names: str, owner: User | None = None, **fields: object) -> list[Deal]:
        """Deals of `owner` in a stage, the first name on top."""
        return [make_deal(self.stages[stage], name, owner=owner, **fields) for name in reversed(names)][::-1]

    def open(self, page: Page, role: str = "manager", server: str = "") -> Page:
        """Sign in and open this board; on another server when its address is given."""
        sign_in_as(page, role)
        open_board(page, self.pipeline_id, server)
        return page

    def expect_truth(self, page: Page) -> None:
        """The page comes to show what the database has: each column's deals in their order, their number, their sum."""
        for name, stage in self.stages.items():
            column, stored, total = page.locator(f"#stage-{stage.id}"), self.stored(name), self.total(name)
            expect(column.locator("[data-deal-id] > a:first-child")).to_have_text(stored)
            expect(column).to_have_attribute("data-count", str(len(stored)))
            if total:
                expect(column.locator("header")).to_contain_text(money(total, "USD"))

    def stored(self, stage: str) -> list[str]:
        """The names of the deals in a stage as the database has them, from the top."""
        db.session.rollback()
        query = select(Deal.name).where(Deal.stage_id == self.stages[stage].id, Deal.deleted_at.is_(None))
        return list(db.session.scalars(query.order_by(Deal.position, Deal.id)))

    def total(self, stage: str) -> Decimal | None:
        """The money of a stage's deals, added up by the database; None when there is none."""
        sum_ = select(func.sum(Deal.amount)).where(Deal.deleted_at.is_(None))
        return db.session.scalar(sum_.where(Deal.stage_id == self.stages[stage].id))

    def deal(self, name: str) -> Deal:
        """One of this board's deals, as the database has it."""
        db.session.rollback()
        stages = [stage.id for stage in self.stages.values()]
        return db.session.scalars(select(Deal).where(Deal.name == name, Deal.stage_id.in_(stages))).one()

    def notes(self, deal: str) -> list[str]:
        """The subjects of a deal's audit notes, oldest first."""
        query = select(Activity.subject).where(
            Activity.deal_id == self.deal(deal).id, Activity.kind == "audit"
        )
        return list(db.session.scalars(query.order_by(Activity.created_at, Activity.id)))


def make_scene() -> Scene:
    """An empty board."""
    stages = make_pipeline(f"Scene {uuid4().hex[:8]}")
    return Scene(stages["Lead"].pipeline_id, stages)


def demo_person(role: str) -> User:
    """The demo company's admin, manager or rep."""
    return db.session.scalars(select(User).where(User.email == f"{role}@example.com")).one()


def move_behind(deal: Deal, stage: Stage, by: User) -> None:
    """Somebody else moves a deal while the page is open."""
    deal_id, stage_id = deal.id, stage.id
    changes.commit(lambda session: Deal.locked(session, deal_id).move_to(stage_id, by=by), by=by)
