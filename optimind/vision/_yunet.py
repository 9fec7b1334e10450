"""YuNet: finds faces and five points of each. The network by ONNX Runtime, what its answers mean by numpy.

The same as ``cv2.FaceDetectorYN``, which a test holds it to, in 0.6 of its time, with threads of its own. What the
answers mean: Wu, Peng, Yu, "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research 20 (2023).
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from optimind.core.geometry import iou
from optimind.plugin_api import Detections, EngineError, Image, open_session

__all__ = ["SMALLEST_PX", "YuNet", "merged"]

SMALLEST_PX = 28
"""The smallest face to show it, as the geometric mean of its box's sides (its width is 0.86 of that). Of 750 faces of
Labeled Faces in the Wild 98.7 % were found so small, 95.7 % at 23 px, 99.3 % at 32, 99.9 % at 37. At the other end all
of 20 were found up to 465 px, 14 at 580."""
CONFIDENCE = 0.8
"""Sure enough: 712 of 712 portraits have 0.88 or more, a dog 0.77, a coat of arms 0.68."""
SAME_FACE_IOU = 0.3

_STRIDES = (8, 16, 32)
_OUTPUTS = [f"{part}_{stride}" for part in ("cls", "obj", "bbox", "kps") for stride in _STRIDES]
_MULTIPLE = 32


class YuNet:
    """The loaded network. Not thread-safe."""

    def __init__(self, file: Path, *, threads: int | None) -> None:
        """Raises :class:`EngineError` where ``file`` is no YuNet that takes pictures of any size."""
        self._session = open_session(file, threads=threads)
        self._input = self._session.get_inputs()[0]
        outputs = {output.name for output in self._session.get_outputs()}
        is_any_size = not any(isinstance(side, int) for side in self._input.shape[2:])
        if len(self._input.shape) != 4 or not is_any_size or not outputs.issuperset(_OUTPUTS):
            raise EngineError(
                f"{file} is no YuNet that takes pictures of any size", mend="name another detector; yunet is one"
            )

    def detect(self, image: Image, confidence: float = CONFIDENCE) -> Detections:
        """Return the faces of about 20 to 500 px in ``image``, with landmarks; the surest first."""
        height, width = image.shape[:2]
        # The network halves its input five times; a black border makes that come out even.
        rows, columns = (-(-side // _MULTIPLE) * _MULTIPLE for side in (height, width))
        pixels = np.zeros((1, 3, rows, columns), np.float32)
        for plane, channel in zip(pixels[0], cv2.split(image), strict=True):
            plane[:height, :width] = channel
        answers = dict(zip(_OUTPUTS, self._session.run(_OUTPUTS, {self._input.name: pixels}), strict=True))
        found = [_faces_at(answers, stride, columns // stride, confidence) for stride in _STRIDES]
        return merged(found)


def merged(found: list[Detections]) -> Detections:
    """Return the faces of all of ``found``, each once: of two boxes on one face the surer stays. The surest first."""
    xyxy = np.concatenate([faces.xyxy for faces in found])
    confidence = np.concatenate([faces.confidence for faces in found])
    landmarks = np.concatenate([np.empty((0, 5, 2)) if f.landmarks is None else f.landmarks for f in found])
    order = np.argsort(-confidence, kind="stable")
    overlaps = iou(xyxy, xyxy) > SAME_FACE_IOU
    kept: list[int] = []
    covered = np.zeros(len(xyxy), dtype=bool)
    for row in order:
        if not covered[row]:
            kept.append(int(row))
            covered |= overlaps[row]
    rows = np.array(kept, dtype=np.intp)
    return Detections(xyxy[rows], confidence[rows], landmarks[rows])


def _faces_at(answers: dict[str, NDArray[np.float32]], stride: int, columns: int, least: float) -> Detections:
    """Read what the cells of one grid, ``stride`` pixels apart and ``columns`` in a row, say of faces around them."""
    is_face, is_there = (np.clip(answers[f"{part}_{stride}"].reshape(-1), 0, 1) for part in ("cls", "obj"))
    confidence = np.sqrt(is_face.astype(np.float64) * is_there)
    cells = np.flatnonzero(confidence >= least)
    corner = np.stack([cells % columns, cells // columns], axis=1).astype(np.float64)
    box = answers[f"bbox_{stride}"].reshape(-1, 4)[cells].astype(np.float64)
    centre = (corner + box[:, :2]) * stride
    half = np.exp(box[:, 2:]) * stride / 2
    points = answers[f"kps_{stride}"].reshape(-1, 5, 2)[cells].astype(np.float64)
    # Their order is the one of Detections: the eye on the left of the picture first.
    landmarks = (points + corner[:, None]) * stride
    return Detections(np.hstack([centre - half, centre + half]), confidence[cells], landmarks)
