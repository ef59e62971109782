"""The bench measures the real views; figures themselves are asserted where budgets are."""

from __future__ import annotations

import pytest
from flask import Flask

from bench.__main__ import main


def test_it_compares_two_sizes_and_the_cost_of_idle_rules(
    app: Flask, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--deals", "200", "--rules", "3", "--rounds", "1"])
    said = capsys.readouterr().out
    assert "100 deals" in said
    assert "200 deals" in said
    assert "3 idle rules" in said
    for request in (
        "The board", "The board, filtered", "A move (drop)", "The deal's page", "A rule's form", "Time, nothing due"
    ):  # fmt: skip
        assert f"\n{request} " in said


@pytest.mark.parametrize("wrong", [["--deals", "0"], ["--deals", "many"], ["--rounds", "-1"], ["--speed"]])
def test_what_makes_no_sense_is_refused(
    app: Flask, wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(wrong)
    assert ended.value.code == 2
    assert "usage: python -m bench" in capsys.readouterr().err
