"""What can be read of a run while it goes on."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

from optimind.pipeline.delivery import DeliveryWorker
from optimind.pipeline.loop import CameraFeed
from optimind.pipeline.marks import MarkWriter
from optimind.pipeline.stages import StageTimes
from optimind.pipeline.visitors import VisitorKeeper

__all__ = ["Standing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A run's own objects, for whoever tells how it is doing; they change while it runs, and are only to be read.

    ``delays`` are those from a live frame's arrival until it was handled, and until who was seen in it was told.
    ``people`` are the ids of those recognised so far. ``visitors`` None: unknown people are not kept.
    """

    feeds: Sequence[CameraFeed]
    stages: StageTimes
    delays: StageTimes
    people: Set[str]
    workers: Sequence[DeliveryWorker]
    marks: MarkWriter
    visitors: VisitorKeeper | None = None
