"""The people of the test data in two halves: one may be tuned on, the other only measured on."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from optimind.gallery.photographs import UnreadableError, read_photograph
from optimind.vision.face_recognition_engine import FaceRecognitionDetector, FaceRecognitionEmbedder

__all__ = ["People", "embeddings", "in_half_b"]

People = dict[str, NDArray[np.float64]]
"""Embeddings by person: (photographs, 128)."""


def in_half_b(name: str) -> bool:
    """Whether a person is of the half that nothing is tuned on; a checksum of the name decides."""
    return hashlib.sha256(name.encode()).digest()[0] % 2 == 1


def embeddings(faces: Path, *, half_b: bool, at_least: int, at_most: int = 8) -> People:
    """One embedding a photograph, of the people of one half who have ``at_least`` photographs."""
    detector, embedder = FaceRecognitionDetector.create(45), FaceRecognitionEmbedder.create()
    folders = [folder for folder in sorted(faces.iterdir()) if in_half_b(folder.name) is half_b]
    folders = [folder for folder in folders if len(list(folder.glob("*.jpg"))) >= at_least]
    people: People = {}
    for folder in track(folders, f"embedding half {'B' if half_b else 'A'}"):
        found = []
        for photograph in sorted(folder.glob("*.jpg"))[:at_most]:
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
