"""Each camera of a run with what recognises people in its frames, put together."""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from optimind.app.cameras import Camera
from optimind.app.presentation import presentation_of
from optimind.config import Config
from optimind.core.identification import Identifier
from optimind.core.zones import Zones
from optimind.cores import available_cores
from optimind.pipeline.budget import CpuBudget
from optimind.pipeline.capture import Capture
from optimind.pipeline.looking import Looker, LookSettings
from optimind.pipeline.loop import CameraFeed
from optimind.pipeline.recogniser import Recogniser, RecogniserSettings
from optimind.pipeline.replay import Replay
from optimind.pipeline.stages import StageTimes
from optimind.pipeline.strangers import Strangers
from optimind.plugin_api import Detector, Embedder, Settings, Source

__all__ = ["Parts", "cpu_cores", "feed_of", "look_settings"]

_MOST_OF_ALL = 0.9
"""Unless told otherwise a run leaves this machine a tenth of its processor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What all cameras of a run share. ``pace`` and ``start_at`` are those of the recordings among them."""

    detector: Detector
    embedder: Embedder
    identifier: Identifier
    stages: StageTimes
    budget: CpuBudget
    check: tuple[type[Any], Settings] | None
    watches_strangers: bool
    pace: Literal["live", "fast"]
    start_at: datetime | None
    changed: threading.Condition = field(default_factory=threading.Condition)
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])


def feed_of(config: Config, camera: Camera, source: Source, parts: Parts) -> CameraFeed:
    """One camera, and what recognises people in its frames."""
    live = _is_camera(parts, source)
    zones = camera.settings.places() if camera.settings else Zones()
    recogniser = Recogniser(
        camera.id,
        Looker(
            parts.detector,
            look_settings(config),
            stages=parts.stages,
            zones=zones,
            budget=parts.budget if live else None,
        ),
        parts.embedder,
        parts.identifier,
        _recogniser_settings(config),
        run_id=parts.run_id,
        stages=parts.stages,
        zones=zones,
        line=camera.settings.in_out_line() if camera.settings else None,
        presentation=presentation_of(parts.check, parts.stages),
        strangers=Strangers(camera.id, parts.embedder.info.embedder_id) if parts.watches_strangers else None,
    )
    return CameraFeed(_capture(parts, camera.id, source), recogniser)


def _is_camera(parts: Parts, source: Source) -> bool:
    """Whether ``source`` runs in real time: a camera always does, a recording in pace ``live``."""
    return source.live or parts.pace == "live"


def _capture(parts: Parts, camera: str, source: Source) -> Capture | Replay:
    if _is_camera(parts, source):
        return Capture(source, camera, start_at=parts.start_at, changed=parts.changed)
    return Replay(source, camera, start_at=parts.start_at)


def cpu_cores(config: Config, cameras: int) -> float:
    """How many processor cores a run with so many cameras may use on average."""
    return config.detection.cpu_cores or min(cameras, _MOST_OF_ALL * available_cores())


def look_settings(config: Config) -> LookSettings:
    """How faces are looked for."""
    detection = config.detection
    return LookSettings(
        min_face_px=detection.min_face_px,
        scan_interval_s=detection.scan_interval_s,
        quiet_interval_s=detection.quiet_interval_s,
        follow_interval_s=detection.follow_interval_s,
    )


def _recogniser_settings(config: Config) -> RecogniserSettings:
    return RecogniserSettings(
        min_samples=config.recognition.min_samples,
        max_samples=config.recognition.max_samples,
        keep_shots=config.privacy.keep_shots_days > 0,
    )
