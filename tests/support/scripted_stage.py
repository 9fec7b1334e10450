"""A recogniser that is told what it sees: a face is a left edge in pixels and a point on a line of embeddings."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Self

import numpy as np

from optimind.core.identification import IdentificationLimits, Identifier
from optimind.core.tracking import Track
from optimind.core.types import Detections, Frame, Gallery, Image, Template, Vectors
from optimind.pipeline.looking import Look
from optimind.pipeline.recogniser import Recogniser, RecogniserSettings
from optimind.pipeline.stages import StageTimes
from optimind.pipeline.strangers import Strangers
from optimind.plugin_api import Embedder, EmbedderInfo, Event

START = datetime(2026, 9, 1, 8, tzinfo=UTC)
STEP_S = 0.5
Scene = Callable[[float], list[tuple[float, float]]]
"""At a second: the faces, each as (left edge, where it stands on the line). Anna stands at 0 and Ben at 2."""
PICTURE: Image = np.random.default_rng(0).integers(0, 256, (100, 1300, 3), np.uint8)
"""Sharp and full of contrast everywhere."""


class ScriptedStage(Embedder):
    """Looks at the scene, finds all faces, 90 px wide, and embeds them; a look every half second."""

    name: ClassVar[str] = "stage"
    info = EmbedderInfo("line", 1)

    def __init__(self, scene: Scene, strangers: Strangers | None) -> None:
        self._scene = scene
        self._now_s = 0.0
        limits = IdentificationLimits(max_distance=0.5, fpir=0.01, min_margin=0.03, min_samples=3)
        templates = (Template("anna", "Anna", np.array([[0.0]])), Template("ben", "Ben", np.array([[2.0]])))
        self._recogniser = Recogniser(
            "c",
            self,  # type: ignore[arg-type]  # stands in for the looker
            self,
            Identifier(Gallery("line", templates), limits),
            RecogniserSettings(),
            run_id="r",
            stages=StageTimes(),
            strangers=strangers,
        )

    @classmethod
    def create(cls, *_: object) -> Self:
        raise AssertionError("made by the test")

    @classmethod
    def describe(cls, settings: object) -> EmbedderInfo:
        return cls.info

    def look(self, frame: Frame, tracks: Sequence[Track], *, wanted: Set[int], cameras: int) -> Look:
        lefts = [left for left, _ in self._scene(self._now_s)]
        boxes = np.array([(left, 0, left + 90, 90) for left in lefts], dtype=np.float64).reshape(-1, 4)
        return Look(Detections(boxes, np.ones(len(lefts))), np.ones(len(tracks), dtype=np.bool_))

    def pose(self, image: Image, faces: Detections) -> np.ndarray | None:
        return faces.frontality

    def has_time(self) -> bool:
        return True

    def found(self, frame: Frame, tracks: Sequence[Track]) -> None:
        """All faces are looked at again in any case."""

    def embed(self, image: Image, faces: Detections) -> Vectors:
        where = dict(self._scene(self._now_s))
        return np.array([[where[left]] for left in faces.xyxy[:, 0]])

    def step(self, index: int) -> list[Event]:
        """What the loop does with a frame."""
        self._now_s = index * STEP_S
        at = START + timedelta(seconds=self._now_s)
        wanted = self._recogniser.look(Frame("c", index, at, PICTURE, self._now_s))
        return self._recogniser.conclude([row for each in wanted for row in self.embed(each.image, each.faces)])

    def play(self, seconds: float) -> list[Event]:
        """All of it, to the end."""
        events = [event for index in range(round(seconds / STEP_S)) for event in self.step(index)]
        return [*events, *self._recogniser.finish()]
