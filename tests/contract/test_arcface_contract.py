"""The engine arcface keeps the contract of engines, with the networks among the shared test data."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.engines_here import TEST_EMBEDDER, install_test_models
from optimind.plugin_api import Detections
from optimind.testing.engines import check_detector, check_embedder
from optimind.vision.arcface_engine import ArcFaceDetector, ArcFaceEmbedder, ArcFaceSettings


def test_arcface_keeps_the_contract(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("OPTIMIND_MODELS", str(tmp_path / "models"))
    install_test_models(shared, tmp_path / "models")
    settings = ArcFaceSettings(embedder=TEST_EMBEDDER, threads=1)
    picture = cv2.imread(str(shared / "data" / "photos" / "two_people.jpg"))
    assert picture is not None
    portrait = np.asarray(picture, dtype=np.uint8)
    found = check_detector(ArcFaceDetector, portrait, faces=2, settings=settings)
    assert found.landmarks is not None
    check_embedder(ArcFaceEmbedder, portrait, found, settings=settings)
    check_embedder(ArcFaceEmbedder, portrait, Detections(found.xyxy, found.confidence), settings=settings)
