"""The forms of pipelines and their stages."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session
from wtforms import Field
from wtforms.validators import ValidationError

from crmweb.errors import FieldError
from crmweb.forms.fields import Choice, Lines, Paragraphs, Percent, Reference, Text, Tick, Whole, offer
from crmweb.forms.records import EditForm, RecordForm
from crmweb.models import Pipeline, Stage, arranging
from crmweb.models.gates import called
from crmweb.models.stage import COLORS, CUSTOM, REQUIRABLE

PALETTE = tuple((color, color.capitalize()) for color in COLORS)
STATUSES = (("open", "Open"), ("closed_won", "Won"), ("closed_lost", "Lost"))


MODES = (("soft", "Say so"), ("hard", "Refuse more"))


class Needs(Field):
    """What a stage asks for: ticks for a deal's own fields, the names of custom ones in a line, with commas between.

    `data` is the list that a stage keeps.
    """

    offered = REQUIRABLE

    def process_formdata(self, valuelist: list[str]) -> None:
        if valuelist:
            keys = (key.strip() for value in valuelist if value not in REQUIRABLE for key in value.split(","))
            ticked = [name for name in REQUIRABLE if name in valuelist]
            self.data = [*ticked, *dict.fromkeys(f"{CUSTOM}{key}" for key in keys if key)]

    @property
    def custom(self) -> str:
        """The custom fields' names as they are typed."""
        return ", ".join(name.removeprefix(CUSTOM) for name in self.data or [] if name.startswith(CUSTOM))

    @staticmethod
    def words(value: Any) -> str:
        """What is asked for, in one line."""
        return ", ".join(map(called, value or [])) or "nothing"


class PipelineForm(EditForm):
    """A pipeline's name and description, and what losing a deal in it asks for."""

    model = Pipeline

    name = Text("Name", required=True)
    description = Paragraphs("Description")
    asks_lost_reason = Tick(
        "Ask why a deal was lost", description="Whoever moves it to a lost stage says why."
    )
    lost_reasons = Lines(
        "Reasons", description="One in each line. Other words can always be written instead."
    )
    begin_with = Choice("Stages to begin with")

    def add(self, session: Session, stages: list[dict[str, Any]]) -> Pipeline:
        """The new pipeline, last of all, with `stages` (their fields). FieldError when its name is taken."""
        last = session.scalar(select(func.max(Pipeline.order)))
        pipeline = Pipeline(**self.values(), order=0 if last is None else last + 1)
        self._refuse_taken_name(session, pipeline)
        session.add(pipeline)
        for order, fields in enumerate(stages, 1):
            session.add(Stage(pipeline=pipeline, order=order, **fields))
        return pipeline

    def write(self, session: Session, pipeline: Pipeline) -> None:
        """Change the locked `pipeline` in what the person changed. Raises EditConflict, FieldError."""
        for name, value in self.edits(pipeline).items():
            setattr(pipeline, name, value)
        self._refuse_taken_name(session, pipeline)

    @staticmethod
    def _refuse_taken_name(session: Session, pipeline: Pipeline) -> None:
        same = Pipeline.name_key == pipeline.name_key, Pipeline.id != pipeline.id
        if (is_active := session.scalar(select(Pipeline.is_active).where(*same))) is not None:
            archived = "" if is_active else " It is archived."
            raise FieldError("name", f"There is a pipeline called {pipeline.name} already.{archived}")


class StageForm(EditForm):
    """A stage's own fields."""

    model = Stage

    name = Text("Name", required=True)
    probability = Percent("Chance to win", required="How likely is it won from here? Write 0 to 100.")
    status = Choice("A deal in it is", choices=offer(STATUSES), default="open", validate_choice=False)
    color = Choice("Colour", choices=offer(PALETTE), default="slate", validate_choice=False)
    description = Paragraphs("Description")
    required_fields = Needs("Fields it asks for")
    max_deals = Whole("Deals at most", description="Empty: any number.")
    limit_mode = Choice("When there are more", choices=offer(MODES), default="soft", validate_choice=False)
    rot_days = Whole(
        "Quiet after", description="Days without a sign of life, then the card says so. Empty: never."
    )

    def validate_max_deals(self, field: Whole) -> None:
        """A stage holds at least one deal."""
        _refuse_outside(field, 1, 1_000_000)

    def validate_rot_days(self, field: Whole) -> None:
        """A deal is quiet after at least a day."""
        _refuse_outside(field, 1, 3650)

    def add(self, session: Session, pipeline: Pipeline) -> Stage:
        """The new stage of the locked `pipeline`, behind its open ones. FieldError when its name is taken."""
        stage = Stage(pipeline=pipeline, **self.values())
        arranging.add_stage(session, stage)
        return stage

    def write(self, session: Session, stage: Stage) -> None:
        """Change the locked `stage` in what the person changed. Raises EditConflict, FieldError."""
        edits = self.edits(stage)
        others = [
            other for other in arranging.stages_in_order(session, stage.pipeline_id) if other is not stage
        ]
        if "status" in edits:
            arranging.refuse_status_of_deals(session, stage)
            if edits["status"] != "open":
                arranging.refuse_without_open_stage(others)
        for name, value in edits.items():
            setattr(stage, name, value)
        arranging.refuse_taken_name(stage, others)


def _refuse_outside(field: Whole, least: int, most: int) -> None:
    if field.data is not None and not least <= field.data <= most:
        raise ValidationError(f"From {least} to {most:,}.")


class ArchiveForm(RecordForm):
    """Where the deals of a stage go that is archived."""

    model = Stage

    to_id = Reference("Move them to", missing="Choose where the deals go.")
