"""Misspellings are understood."""

from __future__ import annotations

import string
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from optimind.config import (
    CameraSettings,
    Config,
    DetectionSettings,
    DisplaySettings,
    MetricsSettings,
    RecognitionSettings,
    StorageSettings,
)
from optimind.config.wording import closest, did_you_mean, is_secret_key, unknown_key
from optimind.plugin_api import Secret

MODELS: tuple[type[BaseModel], ...] = (
    Config,
    CameraSettings,
    DetectionSettings,
    DisplaySettings,
    MetricsSettings,
    RecognitionSettings,
    StorageSettings,
    Secret,
)
LETTERS = string.ascii_lowercase + "_"


def one_edit_away(word: str, letters: str = LETTERS) -> Iterator[str]:
    for i in range(len(word) + 1):
        yield from (word[:i] + letter + word[i:] for letter in letters)
        if i < len(word):
            yield word[:i] + word[i + 1 :]
            yield from (word[:i] + letter + word[i + 1 :] for letter in letters)
        if i < len(word) - 1:
            yield word[:i] + word[i + 1] + word[i] + word[i + 2 :]


@pytest.mark.parametrize("model", MODELS)
def test_every_misspelling_by_one_edit_is_understood(model: type[BaseModel]) -> None:
    known = list(model.model_fields)
    for key in known:
        # "mix_samples" is one letter from two keys: either is right.
        others = {other: set(one_edit_away(other)) for other in known}
        for wrong in sorted(set(one_edit_away(key)) - set(known) - {""}):
            assert wrong in others[closest(wrong, known) or key], (wrong, closest(wrong, known))
            assert closest(wrong, known) is not None, wrong


@given(st.data())
def test_a_misspelling_in_any_script_is_understood(data: st.DataObject) -> None:
    model = data.draw(st.sampled_from(MODELS))
    key = data.draw(st.sampled_from(list(model.model_fields)))
    letter = data.draw(st.characters(exclude_categories=["C"]))
    wrong = data.draw(st.sampled_from(sorted(set(one_edit_away(key, letter)) - set(model.model_fields) - {""})))
    said = unknown_key(model, (wrong,))
    # "enginse" is one exchange from "engines" and one letter more than "engine": either is right.
    near = [other for other in model.model_fields if wrong in set(one_edit_away(other, letter + wrong))]
    assert any(f'did you mean "{other}"?' in said for other in near)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("Cameras", "cameras"),
        ("min-face-px", "min_face_px"),
        ("min face px", "min_face_px"),
        ("minfacepx", "min_face_px"),
        ("resolution", None),
        ("", None),
    ],
)
def test_other_misspellings(name: str, near: str | None) -> None:
    assert closest(name, ["cameras", "min_face_px", "scan_interval_s"]) == near


def test_a_name_like_no_other_gets_the_list() -> None:
    assert did_you_mean("zzz", ["beta", "alpha"], otherwise="there are") == "there are: alpha, beta"
    assert did_you_mean("zzz", [], otherwise="there are") == "there are: none"


@pytest.mark.parametrize(
    ("key", "is_secret"), [("password", True), ("api_key", True), ("X-Token", True), ("name", False), ("url", False)]
)
def test_keys_whose_values_are_not_repeated(key: str, is_secret: bool) -> None:
    assert is_secret_key(key) is is_secret
