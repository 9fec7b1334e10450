"""A room of painted people for tests with an engine that sees them: photographs and a recording."""

from __future__ import annotations

from pathlib import Path

import cv2

from optimind.testing.engines import blank, paint_face

EXTENSIONS = """
import json
from optimind.plugin_api import Plugin, Settings, VisitorSeen
from optimind.testing.engines import FakeDetector, FakeEmbedder

class PaintedDetector(FakeDetector):
    name = "painted"

class PaintedEmbedder(FakeEmbedder):
    name = "painted"

class AlarmPlugin(Plugin):
    name = "alarm"
    settings_type = Settings
    @classmethod
    def create(cls, settings, context): return cls()
    def handle(self, event):
        if isinstance(event, VisitorSeen):
            with open("alarms.txt", "a") as file:
                file.write(f"{event.visitor_id} {event.camera} {event!r}\\n")
        return ()
    def close(self): return ()
"""
FRAMES = 40
"""A recording has so many pictures."""


def photograph(path: Path, *people: int, size_px: int = 80) -> None:
    picture = blank(220 * max(1, len(people)), 220)
    for number, person in enumerate(people):
        paint_face(picture, person, 60 + 220 * number, 60, size_px)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture)


def record(folder: Path, *people: int) -> None:
    """A recording of three or fewer people beside each other."""
    folder.mkdir()
    for number in range(FRAMES):
        picture = blank(900, 360)
        for place, person in enumerate(people):
            paint_face(picture, person, 80 + 280 * place + number % 3, 120, 80)
        cv2.imwrite(str(folder / f"{number}.png"), picture)
