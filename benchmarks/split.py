"""The people of the test data in two halves: one may be tuned on, the other only measured on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.progress import track

from optimind.core.types import Vectors
from optimind.gallery.photographs import UnreadableError, read_photograph
from optimind.plugin_api import Detector, Embedder

__all__ = ["People", "embeddings", "in_half_b"]

People = dict[str, Vectors]
"""Embeddings by person: (photographs, dimension)."""
AT_MOST = 8
"""Photographs of one person that are looked at: a few have hundreds, and would count for everybody else."""


def in_half_b(name: str) -> bool:
    """Whether a person is of the half that nothing is tuned on; a checksum of the name decides."""
    return hashlib.sha256(name.encode()).digest()[0] % 2 == 1


def embeddings(
    faces: Path,
    engine: tuple[Detector, Embedder],
    wanted: Callable[[str], bool],
    *,
    at_least: int = 1,
    at_most: int = AT_MOST,
) -> People:
    """One embedding for each of ``at_most`` photographs of those who are ``wanted`` and have ``at_least``."""
    detector, embedder = engine
    folders = [folder for folder in sorted(faces.iterdir()) if wanted(folder.name)]
    people: People = {}
    for folder in track(folders, f"{embedder.name}: photographs of {len(folders)} people"):
        photographs = sorted(folder.glob("*.jpg"))
        if len(photographs) < at_least:
            continue
        found = []
        for photograph in photographs[:at_most]:
            try:
                image = read_photograph(photograph.read_bytes(), photograph.name).image
            except UnreadableError:
                continue
            boxes = detector.detect(image)
            if len(boxes):
                # The person is in the middle; whoever else is in the picture stands beside them.
                middle = np.array(image.shape[1::-1]) / 2
                away = np.abs((boxes.xyxy[:, :2] + boxes.xyxy[:, 2:]) / 2 - middle).sum(axis=1)
                found.append(embedder.embed(image, boxes[np.array([away.argmin()])])[0])
        if len(found) >= at_least:
            people[folder.name] = np.array(found)
    return people
