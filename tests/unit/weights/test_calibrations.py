"""Which calibration counts, and what is said of one that cannot be used."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from optimind.core.calibration import Calibration
from optimind.errors import EngineError
from optimind.weights import calibrations
from optimind.weights.calibrations import calibration_of, own_calibration, write_calibration


def calibration(apart: float) -> Calibration:
    return Calibration(np.eye(3), np.array([0.01, 0.1]), np.array([-2.0, -1.0]), apart)


@pytest.fixture(autouse=True)
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ships a calibration for ``plain`` and one for what ends with ``-01234567``."""
    folder = tmp_path / "shipped"
    monkeypatch.setattr(calibrations, "SHIPPED", folder)
    write_calibration(folder / "plain.npz", calibration(1.0), {})
    write_calibration(folder / "net-01234567.npz", calibration(2.0), {})
    return folder


def apart(embedder_id: str) -> float | None:
    found = calibration_of(embedder_id)
    return found.strangers_apart if found else None


@pytest.mark.parametrize(
    ("embedder_id", "expected"),
    [
        ("plain", 1.0),
        ("net-01234567", 2.0),
        ("called-otherwise-01234567", 2.0),
        ("net-89abcdef", None),
        ("net", None),
        ("plain2", None),
    ],
)
def test_one_that_ships_goes_by_the_end_of_the_id(embedder_id: str, expected: float | None) -> None:
    assert apart(embedder_id) == expected


def test_ones_own_comes_first() -> None:
    write_calibration(own_calibration("plain"), calibration(3.0), {})
    write_calibration(own_calibration("net-89abcdef"), calibration(4.0), {})
    assert (apart("plain"), apart("net-89abcdef"), apart("other-89abcdef")) == (3.0, 4.0, None)


def whole() -> bytes:
    content = io.BytesIO()
    row, one = np.arange(99.0), np.array(1.0)
    np.savez_compressed(
        content, centres=row, rates=row, limits=row, strangers_apart=one, own_spread=one, fused_gain=one
    )
    return content.getvalue()


def other_array() -> bytes:
    content = io.BytesIO()
    np.save(content, np.arange(9))
    return content.getvalue()


def pickled() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as zipped:
        zipped.writestr("centres.npy", b"\x80\x04K\x01.")
    return content.getvalue()


def flipped(content: bytes) -> bytes:
    middle = content.index(b"centres") + 60
    return content[:middle] + bytes(255 - byte for byte in content[middle : middle + 20]) + content[middle + 20 :]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is no calibration"),
        (b"a text", "it is no calibration"),
        (other_array(), "it is no calibration"),
        (b"\x80\x04K\x01.", "it is no calibration"),
        (whole()[:-40], "it is damaged"),
        (flipped(whole()), "it is damaged"),
        (whole(), "it is damaged"),  # a cohort of one dimension
        (pickled(), "it is damaged"),
    ],
    ids=["empty", "text", "npy", "pickle", "torn", "flipped", "wrong", "pickle inside"],
)
def test_a_damaged_one_is_told_in_our_words(shipped: Path, content: bytes, words: str) -> None:
    own = own_calibration("mine")
    own.parent.mkdir()
    for path, embedder_id, mend in (
        (own, "mine", f"delete {own}, then: optimind models calibrate --faces DIR"),
        (own_calibration("plain"), "plain", f"delete {own_calibration('plain')}: the one that comes with OptiMind"),
        (shipped / "net-01234567.npz", "net-01234567", "install OptiMind again"),
    ):
        path.write_bytes(content)
        with pytest.raises(EngineError) as caught:
            calibration_of(embedder_id)
        assert caught.value.message == f"the calibration {path} cannot be used: {words}"
        assert caught.value.mend.startswith(mend)


def test_something_else_in_an_archive_is_no_calibration() -> None:
    own = own_calibration("mine")
    own.parent.mkdir()
    np.savez(own, faces=np.eye(2))
    with pytest.raises(EngineError, match="it is no calibration"):
        calibration_of("mine")


def test_one_that_may_not_be_read_is_not_called_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> Calibration:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(calibrations, "read_calibration", refuse)
    with pytest.raises(EngineError, match="cannot be used: Permission denied"):
        calibration_of("plain")


@pytest.mark.parametrize(
    "embedder_id", ["", ".hidden", "..", "../up", "a/b", "a\\b", "a b", "é", "a\n", "a*", "x" * 201]
)
def test_an_id_that_is_no_file_name_is_refused(embedder_id: str) -> None:
    for call in (own_calibration, calibration_of):
        with pytest.raises(EngineError, match="cannot be the name") as caught:
            call(embedder_id)
        assert caught.value.mend


@pytest.mark.parametrize("embedder_id", ["dlib-resnet-v1", "a.b_c+d-E9", "-", "x" * 200])
def test_an_id_of_ordinary_characters_is_a_file_name(folder: Path, embedder_id: str) -> None:
    assert own_calibration(embedder_id) == folder / f"{embedder_id}.calibration.npz"


def test_what_ships_is_for_engines_that_ship(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert [path.name for path in calibrations.SHIPPED.iterdir()] == ["dlib-resnet-v1.npz"]
