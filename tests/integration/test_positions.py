"""Where a dropped card comes to lie: always where the person laid it."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from crmweb import changes, clock
from crmweb.extensions import db
from crmweb.models import Deal, Entity, Pipeline, Stage
from crmweb.models.deal import TOP, Place
from crmweb.models.placing import GAP, NEIGHBOURS
from tests.support.deals import column, edit, fresh, move
from tests.support.factories import make_deal, make_entity, save

Stages = dict[str, Stage]


def lay(stage: Stage, names: str, entity: Entity | None = None) -> dict[str, Deal]:
    """Deals called by single letters, the first on top."""
    entity = entity or make_entity()
    deals = [
        Deal(name=name, entity=entity, stage=stage, position=GAP * place) for place, name in enumerate(names)
    ]
    save(*deals)
    return {deal.name: deal for deal in deals}


@pytest.mark.parametrize(
    ("place", "order"),
    [
        ("top", "XABCD"),
        ("before A", "XABCD"),
        ("before B", "AXBCD"),
        ("before D", "ABCXD"),
        ("after A", "AXBCD"),
        ("after D", "ABCDX"),
        ("position 1", "XABCD"),
        ("position 2", "AXBCD"),
        ("position 4", "ABCXD"),
        ("position 5", "ABCDX"),
        ("position 6", "ABCDX"),
        (f"position {10**30}", "ABCDX"),
        ("position 0", "XABCD"),
        ("position -3", "XABCD"),
    ],
)
def test_a_card_from_elsewhere_is_laid_where_it_was_dropped(place: str, order: str, stages: Stages) -> None:
    cards = lay(stages["Proposal"], "ABCD")
    move(make_deal(stages["Lead"], "X"), stages["Proposal"], place=parsed(place, cards))
    assert "".join(column(stages["Proposal"])) == order


@pytest.mark.parametrize(
    ("card", "place", "order"),
    [
        ("D", "top", "DABC"),
        ("D", "before B", "ADBC"),
        ("A", "before D", "BCAD"),
        ("A", "after D", "BCDA"),
        ("B", "after C", "ACBD"),
        ("B", "before C", "ABCD"),
        ("A", "position 3", "BCAD"),
        ("D", "position 1", "DABC"),
        ("A", "position 4", "BCDA"),
    ],
)
def test_a_card_is_laid_elsewhere_in_its_own_column(
    card: str, place: str, order: str, stages: Stages
) -> None:
    cards = lay(stages["Proposal"], "ABCD")
    assert move(cards[card], stages["Proposal"], place=parsed(place, cards)).kind == "placed"
    assert "".join(column(stages["Proposal"])) == order


def parsed(place: str, cards: dict[str, Deal]) -> Place:
    if place == "top":
        return TOP
    kind, name = place.split()
    return Place(position=int(name)) if kind == "position" else Place(**{kind: cards[name].id})


def test_the_first_card_of_a_column_needs_no_place(stages: Stages) -> None:
    for place in (TOP, Place(position=7), Place(before=uuid4()), Place(after=uuid4())):
        deal = make_deal(stages["Lead"])
        move(deal, stages["Proposal"], place=place)
        move(deal, stages["Lead"])
    assert column(stages["Proposal"]) == []


@pytest.mark.parametrize("side", ["before", "after"])
def test_beside_a_card_that_is_gone_means_on_top(side: str, stages: Stages) -> None:
    cards = lay(stages["Proposal"], "ABC")
    move(cards["B"], stages["Qualified"])
    edit(cards["C"], deleted_at=clock.now())
    for number, gone in enumerate([cards["B"].id, cards["C"].id, uuid4()]):
        move(make_deal(stages["Lead"], str(number)), stages["Proposal"], place=Place(**{side: gone}))
    assert "".join(column(stages["Proposal"])) == "210A"


def test_a_card_below_which_nothing_is_shown_is_laid_directly_below_it_in_the_full_order(
    stages: Stages,
) -> None:
    """The browser sends `after_id` of the last card that it shows; more may follow that it never loaded."""
    cards = lay(stages["Proposal"], "ABCDEF")
    move(make_deal(stages["Lead"], "X"), stages["Proposal"], place=Place(after=cards["C"].id))
    assert "".join(column(stages["Proposal"])) == "ABCXDEF"


def test_cards_with_the_same_position_still_have_room_between_them(stages: Stages) -> None:
    cards = lay(stages["Proposal"], "ABC")
    for deal in cards.values():
        deal.position = 5
    changes.commit()
    assert "".join(column(stages["Proposal"])) == "ABC", "equal positions are ordered by id"
    move(make_deal(stages["Lead"], "X"), stages["Proposal"], place=Place(before=cards["B"].id))
    move(make_deal(stages["Lead"], "Y"), stages["Proposal"], place=Place(after=cards["B"].id))
    assert "".join(column(stages["Proposal"])) == "AXBYC"


def test_a_used_up_gap_is_spread_out_among_its_neighbours_alone(stages: Stages) -> None:
    many = 3 * NEIGHBOURS
    entity = make_entity()
    deals = [Deal(name=f"{n:03}", entity=entity, stage=stages["Proposal"], position=n) for n in range(many)]
    save(*deals)
    before = {
        deal.name: (fresh(deal).position, fresh(deal).updated_at, fresh(deal).version) for deal in deals
    }
    move(make_deal(stages["Lead"], "X"), stages["Proposal"], place=Place(before=deals[many // 2].id))
    order = column(stages["Proposal"])
    assert order.index("X") == many // 2
    assert [name for name in order if name != "X"] == sorted(before)
    moved = [deal.name for deal in deals if fresh(deal).position != before[deal.name][0]]
    assert len(moved) <= 4 * NEIGHBOURS
    for deal in deals:
        assert (fresh(deal).updated_at, fresh(deal).version) == before[deal.name][1:], (
            "a neighbour did not change"
        )


def test_a_used_up_gap_near_the_end_of_a_long_column_leaves_the_rest_alone(stages: Stages) -> None:
    entity = make_entity()
    spots = [GAP * n for n in range(200)]
    spots[150] = spots[149] + 1
    deals = [
        Deal(name=f"{n:03}", entity=entity, stage=stages["Proposal"], position=spot)
        for n, spot in enumerate(spots)
    ]
    save(*deals)
    move(make_deal(stages["Lead"], "X"), stages["Proposal"], place=Place(before=deals[150].id))
    assert column(stages["Proposal"]).index("X") == 150
    moved = sum(fresh(deal).position != spot for deal, spot in zip(deals, spots, strict=True))
    assert 0 < moved <= NEIGHBOURS


def test_the_same_spot_can_be_used_without_end(stages: Stages) -> None:
    """Midpoints halve a gap of 65,536 sixteen times; forty cards at one spot need it spread out again."""
    cards = lay(stages["Proposal"], "AZ")
    entity = cards["A"].entity
    deals = [Deal(name=str(number), entity=entity, stage=stages["Lead"]) for number in range(40)]
    save(*deals)
    for deal in deals:
        move(deal, stages["Proposal"], place=Place(before=cards["Z"].id))
    assert column(stages["Proposal"]) == ["A", *(deal.name for deal in deals), "Z"]


# Any sequence of drops -------------------------------------------------------------------------------------------


@dataclass
class Model:
    """What the order has to be: plain lists."""

    columns: dict[str, list[UUID]] = field(default_factory=lambda: {"Lead": [], "Proposal": []})

    def drop(self, card: UUID, stage: str, kind: str, number: int) -> Place:
        """Move the card in the lists; answers the place to ask for."""
        for cards in self.columns.values():
            if card in cards:
                cards.remove(card)
        cards = self.columns[stage]
        spot = number % (len(cards) + 1)
        if kind == "top" or (kind in ("before", "after") and not cards):
            spot, place = 0, TOP
        elif kind == "position":
            place = Place(position=spot + 1)
        elif kind == "before" and spot < len(cards):
            place = Place(before=cards[spot])
        else:
            spot = max(spot, 1)
            place = Place(after=cards[spot - 1])
        cards.insert(spot, card)
        return place


DROPS = st.lists(
    st.tuples(
        st.integers(0, 6),
        st.sampled_from(["Lead", "Proposal"]),
        st.sampled_from(["top", "before", "after", "position"]),
        st.integers(0, 6),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(starts=st.lists(st.integers(-3, 3), min_size=7, max_size=7), drops=DROPS)
def test_after_any_sequence_of_drops_the_order_is_as_asked(
    starts: list[int], drops: list[tuple[int, str, str, int]], app: object
) -> None:
    """Crowded positions to begin with, so that gaps are used up at once."""
    entity, pipeline = Entity(name="Northwind"), Pipeline(name=str(uuid4()))
    stages = {
        name: Stage(pipeline=pipeline, name=name, order=n) for n, name in enumerate(("Lead", "Proposal"))
    }
    deals = [
        Deal(name=str(n), entity=entity, stage=stages["Lead"], position=at) for n, at in enumerate(starts)
    ]
    save(entity, pipeline, *stages.values(), *deals)
    model = Model()
    model.columns["Lead"] = [deal.id for deal in sorted(deals, key=lambda deal: (deal.position, deal.id))]
    for card, stage, kind, number in drops:
        move(deals[card], stages[stage], place=model.drop(deals[card].id, stage, kind, number))
    for name, stage in stages.items():
        order = select(Deal.id).where(Deal.stage_id == stage.id).order_by(Deal.position, Deal.id)
        assert list(db.session.scalars(order)) == model.columns[name]
