"""What a person sees: boxes and names on the picture, in a window or as a picture file."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import tzinfo
from pathlib import Path

import cv2
import cvzone

from optimind.core.types import Frame, Image
from optimind.errors import OptiMindError, UsageError
from optimind.pipeline.recogniser import TrackView

__all__ = ["Snapshot", "Window", "can_show_window", "draw"]

_NAMED = (60, 150, 40)
_UNKNOWN = (50, 50, 200)
_UNDECIDED = (150, 150, 150)
_LONGEST_LABEL = 40
_WINDOW_TRIAL_S = 15.0


def draw(image: Image, views: list[TrackView], caption: str) -> Image:
    """Return a copy of ``image`` with a box and a name around each track: green known, red unknown, grey undecided."""
    picture = image.copy()
    scale = max(0.6, image.shape[0] / 720)
    for view in views:
        colour = _NAMED if view.name else _UNDECIDED if view.undecided else _UNKNOWN
        label = f"{view.name} {view.similarity:.2f}" if view.name else "?" if view.undecided else "unknown"
        left, top, right, bottom = (round(v) for v in view.box)
        width, height = right - left, bottom - top
        cvzone.cornerRect(
            picture,
            (left, top, width, height),
            l=max(6, width // 5),
            t=max(2, round(3 * scale)),
            rt=1,
            colorR=colour,
            colorC=colour,
        )
        _text(picture, label[:_LONGEST_LABEL], (left, max(top - round(8 * scale), round(20 * scale))), scale, colour)
    _text(picture, caption, (round(10 * scale), image.shape[0] - round(12 * scale)), scale, (40, 40, 40))
    return picture


def _text(picture: Image, text: str, where: tuple[int, int], scale: float, colour: tuple[int, int, int]) -> None:
    cvzone.putTextRect(
        picture,
        text,
        where,
        scale=1.1 * scale,
        thickness=max(1, round(scale)),
        offset=round(5 * scale),
        colorT=(255, 255, 255),
        colorR=colour,
    )


def can_show_window() -> bool:
    """Whether a window can be opened: somebody sits at a screen, and this OpenCV has a window system that works."""
    if not sys.stderr.isatty():
        return False
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    # A screen that does not answer makes the window system end its whole process, so another one has to try.
    trial = [sys.executable, "-c", "import cv2; cv2.namedWindow('OptiMind'); cv2.waitKey(1)"]
    try:
        done = subprocess.run(trial, capture_output=True, timeout=_WINDOW_TRIAL_S, check=False)  # noqa: S603 - our own
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


class Window:
    """A window a camera. Used by one thread; needs :func:`can_show_window`."""

    def __init__(self) -> None:
        self._open: set[str] = set()

    def show(self, camera: str, picture: Image) -> bool:
        """Show ``picture``; returns False when the viewer has asked to stop (q, Esc, or the window closed)."""
        title = f"OptiMind - {camera}"
        if title in self._open and cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) < 1:
            return False
        if title not in self._open:
            cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
            cv2.resizeWindow(title, min(1280, picture.shape[1]), min(720, picture.shape[0]))
            self._open.add(title)
        cv2.imshow(title, picture)
        return cv2.waitKey(1) & 0xFF not in (ord("q"), 27)

    def close(self) -> None:
        """Close all windows."""
        if self._open:
            cv2.destroyAllWindows()
            self._open.clear()


class Snapshot:
    """Keeps the frame on which most people were named, and writes it as a picture at the end.

    Times are shown in ``zone``. Raises :class:`UsageError` where ``path`` can be no picture.
    """

    def __init__(self, path: Path, zone: tzinfo) -> None:
        if not path.parent.is_dir() or not cv2.haveImageWriter(str(path)):
            raise UsageError(f"--snapshot {path} can be no picture", mend="name a .png or .jpg in a folder that exists")
        self._path = path
        self._zone = zone
        self._most = (-1, -1)
        self._frame: Frame | None = None
        self._views: list[TrackView] = []

    def consider(self, frame: Frame, views: list[TrackView]) -> bool:
        """Keep ``frame`` where it shows more than the best so far; a watcher that never stops the loop."""
        rank = (sum(view.name is not None for view in views), sum(not view.undecided for view in views))
        # Of equals the later one: whoever comes into view is more in it then.
        if rank >= self._most:
            self._most, self._frame, self._views = rank, frame, views
        return True

    def write(self) -> None:
        """Write the picture. Raises :class:`OptiMindError` where it cannot be written."""
        if self._frame is None:
            return
        frame = self._frame
        picture = draw(
            frame.image, self._views, f"{frame.camera}  {frame.captured_at.astimezone(self._zone):%Y-%m-%d %H:%M:%S}"
        )
        try:
            _, data = cv2.imencode(self._path.suffix, picture)
            self._path.write_bytes(data.tobytes())
        except (OSError, cv2.error) as error:
            raise OptiMindError(
                f"the snapshot {self._path} cannot be written: {error}",
                mend="name a .png or .jpg in a folder that exists",
            ) from error
