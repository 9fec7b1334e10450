"""What is known of one track besides where it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from optimind.core.identification import Match, Verdict
from optimind.core.shots import BestShots, Shot
from optimind.core.tracking import Track
from optimind.core.zones import Passage
from optimind.plugin_api import FaceShot

__all__ = ["Subject"]


@dataclass(slots=True, eq=False)
class Subject:
    """Who may be seen in ``track``, by its best ``shots``.

    ``foreign`` are the latest samples, where they do not fit the others. ``match`` is what the samples say now,
    ``identity`` what they said when they last named somebody. ``reported_at``, ``suspicion``: what was told of it last.
    ``failures``: how often it could not be embedded. ``portrait``: the best picture so far, where one is kept.
    """

    track: Track
    shots: BestShots
    sampled_at: datetime | None = None
    foreign: list[Shot] = field(default_factory=list)
    match: Match | None = None
    identity: Match | None = None
    reported_at: datetime | None = None
    passage: Passage | None = None
    suspicion: str = ""
    failures: int = 0
    portrait: FaceShot | None = None

    @property
    def is_identified(self) -> bool:
        """Whether the track has an identity that its latest samples still support."""
        return self.identity is not None and self.match is not None and self.match.verdict is Verdict.ACCEPTED

    @property
    def is_stranger(self) -> bool:
        """Whether it was nobody enrolled so far, by enough good samples."""
        is_rejected = self.match is not None and self.match.verdict is Verdict.REJECTED
        return self.identity is None and is_rejected and self.shots.are_good
