"""What a description may say, and that the shipped ones say it right."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from optimind.weights import store
from optimind.weights.description import ModelDescription

SHA = "0123456789abcdef" * 4


def told(**changes: Any) -> dict[str, Any]:
    """A right description of an embedder, with ``changes``; None takes a key out."""
    values: dict[str, Any] = {
        "name": "net",
        "kind": "embedder",
        "url": "https://example.org/net.onnx",
        "sha256": SHA,
        "size_bytes": 1000,
        "licence": {"name": "MIT"},
        "embedding": {"dimension": 128, "same_person_distance": 1.2},
    }
    return {key: value for key, value in {**values, **changes}.items() if value is not None}


def test_what_is_not_said_is_usual() -> None:
    made = ModelDescription.model_validate(told())
    assert made.embedding is not None
    assert (made.embedding.input_size_px, made.embedding.channels, made.embedding.metric) == (112, "RGB", "cosine")
    assert (made.embedding.mean, made.embedding.scale) == (0, 1)
    assert not made.licence.non_commercial
    assert made.embedding.factor == pytest.approx(0.5)


PAD: dict[str, Any] = {"kind": "pad", "embedding": None}


def test_what_is_not_said_of_a_check_is_what_minifasnet_takes() -> None:
    made = ModelDescription.model_validate(told(**PAD, pad={"bona_fide": 1}))
    assert made.pad is not None
    assert (made.pad.input_size_px, made.pad.crop_scale, made.pad.channels) == (80, 2.7, "BGR")
    assert (made.pad.mean, made.pad.scale, made.pad.activation, made.pad.threshold) == (0, 1, "softmax", 0.5)


def model_id(**changes: Any) -> str:
    return ModelDescription.model_validate(told(**changes)).model_id


@pytest.mark.parametrize(
    "changes",
    [
        {"same_person_distance": 1.1},
        {"channels": "BGR"},
        {"mean": 127.5},
        {"mean": [1, 2, 3]},
        {"scale": 0.0078125},
        {"metric": "euclidean"},
        {"input_size_px": 160},
        {"dimension": 512},
        {"input": "data"},
        {"output": "fc1"},
    ],
)
def test_the_same_weights_used_otherwise_are_another_model(changes: dict[str, Any]) -> None:
    other = model_id(embedding={"dimension": 128, "same_person_distance": 1.2, **changes})
    assert other != model_id()
    assert re.fullmatch(r"net-[0-9a-f]{8}", other)


def test_a_models_id_is_that_of_its_weights_and_their_use() -> None:
    # Galleries are known by it: what is written down here must not change.
    assert model_id() == "net-a1d976bc"
    assert model_id(sha256=SHA[::-1]) != model_id()
    assert model_id(name="other") == "other-a1d976bc"
    usual = {"dimension": 128, "same_person_distance": 1.2, "channels": "RGB", "mean": 0, "scale": 1}
    for same in ({"embedding": usual}, {"about": "more"}, {"url": "https://example.com/x"}, {"licence": {"name": "X"}}):
        assert model_id(**same) == model_id()
    assert model_id(kind="detector", embedding=None) == "net-01234567"


ARCHIVE = {"member": "net.onnx", "sha256": SHA, "size_bytes": 5}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "../net"}, "lower-case letters"),
        ({"name": "Net"}, "lower-case letters"),
        ({"name": ""}, "lower-case letters"),
        ({"name": ".net"}, "lower-case letters"),
        ({"name": "n" * 65}, "lower-case letters"),
        ({"kind": "landmarks"}, "'detector', 'embedder' or 'pad'"),
        ({"sha256": "0123"}, "64 of the characters"),
        ({"sha256": "g" * 64}, "64 of the characters"),
        ({"size_bytes": 0}, "greater than 0"),
        ({"size_bytes": 5 << 30}, "less than or equal"),
        ({"url": "ftp://example.org/net"}, "https://"),
        ({"url": "file:///etc/passwd"}, "https://"),
        ({"url": "net.onnx"}, "https://"),
        ({"url": "https://me:secret@example.org/net"}, "password"),
        ({"url": "http://[::1/net"}, "no URL"),
        ({"url": None}, "either url or path"),
        ({"path": "net.onnx"}, "either url or path"),
        ({"url": None, "path": "net.onnx", "archive": ARCHIVE}, "archive goes with url"),
        ({"embedding": None}, "needs the section embedding"),
        ({"kind": "detector"}, "is for embedders"),
        ({"kind": "pad"}, "is for embedders"),
        ({"kind": "pad", "embedding": None}, "needs the section pad"),
        ({"pad": {"bona_fide": 1}}, "is for models of the kind pad"),
        ({**PAD, "pad": {}}, "bona_fide"),
        ({**PAD, "pad": {"bona_fide": -1}}, "greater than or equal to 0"),
        ({**PAD, "pad": {"bona_fide": 1, "scale": 0}}, "greater than 0"),
        ({**PAD, "pad": {"bona_fide": 1, "scale": [1, 2]}}, "scale"),
        ({**PAD, "pad": {"bona_fide": 1, "crop_scale": 0.5}}, "greater than or equal to 1"),
        ({**PAD, "pad": {"bona_fide": 1, "threshold": 1.5}}, "less than or equal to 1"),
        ({**PAD, "pad": {"bona_fide": 1, "activation": "tanh"}}, "'softmax', 'sigmoid' or 'none'"),
        ({"embedding": {"dimension": 128, "same_person_distance": 2.0}}, "less than 2"),
        ({"embedding": {"dimension": 128, "same_person_distance": 1, "scale": 0}}, "greater than 0"),
        ({"embedding": {"dimension": 128, "same_person_distance": 1, "mean": [1, 2]}}, "mean"),
        ({"embedding": {"dimension": 128, "same_person_distance": 1, "channels": "GRB"}}, "'RGB' or 'BGR'"),
        ({"licence": {"name": ""}}, "at least 1 character"),
        ({"licence": None}, "licence"),
        ({"colour": "red"}, "colour"),
        ({"embedding": {"dimension": 128, "same_person_distance": 1, "size": 3}}, "embedding.size"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ModelDescription.model_validate(told(**changes))
    assert words in str(caught.value)


def test_a_checksum_may_be_written_in_capitals() -> None:
    assert ModelDescription.model_validate(told(sha256=SHA.upper())).sha256 == SHA


def test_lengths_have_no_limit_where_they_count() -> None:
    embedding = {"dimension": 128, "same_person_distance": 20.0, "metric": "euclidean"}
    made = ModelDescription.model_validate(told(embedding=embedding))
    assert made.embedding is not None
    assert made.embedding.factor == pytest.approx(0.03)


def test_the_shipped_descriptions_are_right(shared: Path) -> None:
    known = TypeAdapter(list[ModelDescription]).validate_python(yaml.safe_load(store.SHIPPED.read_text("utf-8")))
    by_name = {one.name: one for one in known}
    assert len(by_name) == len(known)
    assert set(store.DEFAULT_MODELS) <= set(by_name)
    assert not any(by_name[name].licence.non_commercial for name in store.DEFAULT_MODELS)
    assert all(one.licence.url and one.url is not None and one.url.startswith("https://") for one in known)
    assert {one.name for one in known if one.licence.non_commercial} == {"w600k-r50", "w600k-mbf"}
    yunet = shared / "models" / "yunet.onnx"
    assert yunet.stat().st_size == by_name["yunet"].size_bytes
    assert store.ModelStore(yunet.parent / "none").state(store.Model(by_name["yunet"], yunet, is_own=False)) == "ready"


def test_sface_has_the_scale_of_its_published_threshold() -> None:
    (sface,) = (model for model in store.ModelStore(Path("none")).models() if model.name == "sface")
    assert sface.description.embedding is not None
    # OpenCV's FaceRecognizerSF: the same person from a cosine of 0.363 on.
    assert sface.description.embedding.same_person_distance == pytest.approx(math.sqrt(2 - 2 * 0.363), abs=5e-5)
