"""What a stage asks for, in words, and whether a deal has it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from crmweb.errors import MissingFieldsError
from crmweb.models import Deal, Pipeline, Stage, gates


def stage(*required: str, status: str = "open", **pipeline: Any) -> Stage:
    """A stage called Negotiation that asks for `required`."""
    board = Pipeline(name="Sales", **pipeline)
    return Stage(pipeline=board, name="Negotiation", order=1, status=status, required_fields=required)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["expected_close_date"], "Negotiation needs a close date. Add it and the deal moves."),
        (["amount", "assigned_to"], "Negotiation needs an amount and an owner. Add them and the deal moves."),
        (["custom_fields.contract"], "Negotiation needs “contract”. Add it and the deal moves."),
        (["lost_reason"], "Why was this deal lost?"),
        (["amount", "lost_reason"], "Negotiation needs an amount and a reason. Add them and the deal moves."),
    ],
)
def test_what_is_missing_is_said_in_one_sentence(asked: list[str], said: str) -> None:
    assert gates.sentence("Negotiation", asked) == said


def test_all_that_is_missing_is_named_at_once() -> None:
    asks = stage("amount", "expected_close_date", "custom_fields.contract")
    with pytest.raises(MissingFieldsError) as refused:
        gates.refuse_missing(Deal(custom_fields={"contract": ""}), asks, None)
    assert refused.value.missing == {
        "amount": "Negotiation needs an amount.",
        "expected_close_date": "Negotiation needs a close date.",
        "custom_fields.contract": "Negotiation needs “contract”.",
    }
    assert refused.value.field == "amount"


def test_nought_is_an_amount_and_no_a_custom_value() -> None:
    deal = Deal(amount=Decimal(0), custom_fields={"signed": False})
    gates.refuse_missing(deal, stage("amount", "custom_fields.signed"), None)


@pytest.mark.parametrize("status", ["open", "closed_won"])
def test_only_a_loss_needs_a_reason(status: str) -> None:
    gates.refuse_missing(Deal(), stage(status=status, asks_lost_reason=True), None)


def test_a_pipeline_that_does_not_ask_lets_a_deal_be_lost_for_no_reason() -> None:
    gates.refuse_missing(Deal(), stage(status="closed_lost"), None)
    gates.refuse_missing(Deal(), stage(status="closed_lost", asks_lost_reason=True), "Price")
    with pytest.raises(MissingFieldsError):
        gates.refuse_missing(Deal(), stage(status="closed_lost", asks_lost_reason=True), None)
