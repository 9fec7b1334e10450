"""People who look alike, and photographs that do not belong."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optimind.core.calibration import Calibration
from optimind.gallery.format import Sample
from optimind.gallery.likeness import MOST_PAIRS, likeness_warnings
from optimind.weights.calibrations import own_calibration, write_calibration

RANDOM = np.random.default_rng(5)
DIMENSION = 128


def person() -> Any:
    """A centre such that two people's photographs are about 0.82 apart, as dlib's are."""
    return RANDOM.normal(size=DIMENSION) * np.sqrt((0.82**2 - 0.44**2) / 2 / DIMENSION)


def photographs(person_id: str, centre: Any, n: int = 4) -> list[Sample]:
    noise = RANDOM.normal(size=(n, DIMENSION)) * 0.44 / np.sqrt(2 * DIMENSION)
    return [Sample(person_id, person_id.title(), centre + e, f"{person_id}/{i}.jpg") for i, e in enumerate(noise)]


@pytest.mark.parametrize("others", [2, 40], ids=["known scale", "own scale"])
def test_the_same_person_twice(others: int) -> None:
    centre = person()
    samples = [s for i in range(others) for s in photographs(f"p{i}", person())]
    (warning,) = likeness_warnings(
        [*photographs("anna", centre), *samples, *photographs("anne", centre)], "dlib-resnet-v1"
    )
    assert warning.kind == "looks_like_another_person"
    assert "Anna (anna)" in warning.detail
    assert "Anne (anne)" in warning.detail
    assert set(warning.files) == {f"{p}/{i}.jpg" for p in ("anna", "anne") for i in range(4)}


@pytest.mark.parametrize("wrong", [1, 2])
def test_a_strangers_photograph(wrong: int) -> None:
    samples = photographs("anna", person(), 5)
    for i in range(wrong):
        samples.insert(2, Sample("anna", "Anna", photographs("x", person(), 1)[0].embedding, f"anna/wrong{i}.jpg"))
    warnings = likeness_warnings(samples, "dlib-resnet-v1")
    assert {w.kind for w in warnings} == {"outlier"}
    assert {w.files for w in warnings} == {(f"anna/wrong{i}.jpg",) for i in range(wrong)}
    assert "Anna" in warnings[0].detail


def test_two_photographs_are_too_few_to_say_which_is_wrong() -> None:
    samples = [*photographs("anna", person(), 1), *photographs("anna", person(), 1)]
    assert likeness_warnings(samples, "dlib-resnet-v1") == []


def test_different_people_are_no_matter() -> None:
    samples = [s for i in range(60) for s in photographs(f"p{i}", person())]
    assert likeness_warnings(samples, "dlib-resnet-v1") == []
    assert likeness_warnings([], "dlib-resnet-v1") == []


def test_of_an_unknown_embedder_a_small_gallery_says_nothing() -> None:
    centre = person() * 10
    few = [*photographs("anna", centre), *photographs("anne", centre)]
    assert likeness_warnings(few, "other-v1") == []
    many = [s for i in range(30) for s in photographs(f"p{i}", person() * 10)]
    assert [w.kind for w in likeness_warnings([*few, *many], "other-v1")] == ["looks_like_another_person"]


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where models and the user's own calibrations are."""
    monkeypatch.setenv("OPTIMIND_MODELS", str(tmp_path))
    return tmp_path


def test_of_a_calibrated_embedder_a_small_gallery_says_as_much(models: Path) -> None:
    # Ten times as far apart as dlib's: by dlib's scale nobody would look alike.
    centre = person() * 10
    one, twin, other = (
        [replace(s, embedding=c + 10 * (s.embedding - c)) for s in photographs(name, c)]
        for name, c in (("anna", centre), ("anne", centre), ("berta", person() * 10))
    )
    assert likeness_warnings([*one, *twin, *other], "other-v1") == []
    calibration = Calibration(np.eye(2), np.array([0.1, 1.0]), np.array([-1.0, 1.0]), strangers_apart=8.2)
    write_calibration(own_calibration("other-v1"), calibration, {})
    assert own_calibration("other-v1").parent == models
    (warning,) = likeness_warnings([*one, *twin, *other], "other-v1")
    assert warning.kind == "looks_like_another_person"
    assert "Anna (anna) and Anne (anne)" in warning.detail


@pytest.mark.parametrize("content", [b"", b"no calibration"])
def test_a_damaged_calibration_is_none(models: Path, content: bytes) -> None:
    (models / "dlib-resnet-v1.calibration.npz").write_bytes(content)
    centre = person()
    assert likeness_warnings([*photographs("anna", centre), *photographs("anne", centre)], "dlib-resnet-v1") == []


def test_a_whole_gallery_enrolled_twice_is_cut_short() -> None:
    centres = [person() for _ in range(MOST_PAIRS + 7)]
    samples = [s for i, c in enumerate(centres) for twin in "ab" for s in photographs(f"p{i}{twin}", c)]
    warnings = likeness_warnings(samples, "dlib-resnet-v1")
    assert len(warnings) == MOST_PAIRS + 1
    assert warnings[-1].detail.startswith("7 more pairs")


def test_five_thousand_people_take_moments() -> None:
    centres = RANDOM.normal(size=(5000, DIMENSION)) * 0.05
    samples = [Sample(f"p{i}", f"P{i}", c, f"p{i}.jpg") for i, c in enumerate(centres)]
    samples.append(Sample("twin", "Twin", centres[4321] + 0.001, "twin.jpg"))
    began = time.process_time()
    (warning,) = likeness_warnings(samples, "dlib-resnet-v1")
    assert warning.files == ("p4321.jpg", "twin.jpg")
    assert time.process_time() - began < 10
