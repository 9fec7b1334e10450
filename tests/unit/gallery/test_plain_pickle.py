"""Reading pickles: what gets through, and that nothing hostile does anything at all."""

from __future__ import annotations

import io
import os
import pickle
import pickletools
import resource
import struct
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimind.errors import GalleryError, GalleryMissing, GalleryRefused
from optimind.gallery.plain_pickle import FloatArray, read_plain_pickle


def plain(value: object) -> object:
    """Put arrays back for a comparison."""
    if isinstance(value, FloatArray):
        return value.values.tolist()
    if isinstance(value, list | tuple):
        return type(value)(plain(v) for v in value)
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return value


def read(tmp_path: Path, data: bytes) -> Any:
    path = tmp_path / "x.pickle"
    path.write_bytes(data)
    return read_plain_pickle(path, "make it anew")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(value=values, protocol=st.integers(0, 5))
@settings(deadline=None)
def test_plain_values_come_back(tmp_path_factory: pytest.TempPathFactory, value: object, protocol: int) -> None:
    assert read(tmp_path_factory.mktemp("plain"), pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "array",
    [
        np.arange(4.0),
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(3, dtype=np.float32),
        np.arange(3, dtype=np.float16),
        np.arange(3, dtype=">f8"),
        np.arange(8.0)[::2],
        np.empty(0),
    ],
    ids=["vector", "matrix", "fortran", "single", "half", "big endian", "strided", "empty"],
)
def test_float_arrays_come_back(tmp_path: Path, array: np.ndarray[Any, np.dtype[np.float64]], protocol: int) -> None:
    (read_array,) = read(tmp_path, pickle.dumps([array], protocol))
    assert np.array_equal(read_array.values, array)
    assert read_array.values.dtype == np.float64
    assert read(tmp_path, pickle.dumps(np.float64(2.5), protocol)) == 2.5


def test_the_names_that_numpy_1_wrote(tmp_path: Path) -> None:
    data = pickle.dumps(np.arange(3.0), 2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert plain(read(tmp_path, data)) == [0, 1, 2]


class Run:
    """Pickles to a call of anything."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


class Stateful:
    def __init__(self) -> None:
        self.kept = 1


def hostile() -> dict[str, bytes]:
    mark = "touch HACKED"
    array = np.empty(1, dtype=object)
    array[0] = Run(os.system, mark)
    return {
        "os.system": pickle.dumps(Run(os.system, mark)),
        "os.system in a gallery": pickle.dumps({"encodings": [Run(os.system, mark)], "names": ["a"]}),
        "eval": pickle.dumps(Run(eval, "__import__('os').system('touch HACKED')")),
        "nested reduce": b"cbuiltins\ngetattr\n(cbuiltins\n__import__\n(S'os'\ntRS'system'\ntR(S'touch HACKED'\ntR.",
        "subprocess": pickle.dumps(Run(subprocess.Popen, ["touch", "HACKED"])),
        "object array": pickle.dumps(array),
        "empty object array": pickle.dumps(np.empty(0, dtype=object)),
        "structured array": pickle.dumps(np.zeros(2, dtype=[("a", "f8"), ("b", "O")])),
        "numpy.load": pickle.dumps(Run(np.load, "x.npy", None, True)),
        "numpy f2py": b"cnumpy.f2py.crackfortran\nmyeval\n(S'1'\ntR.",
        "numpy testing": b"cnumpy.testing._private.utils\nrunstring\n(S'1'\n}tR.",
        "dotted name": b"\x80\x04\x8c\x05numpy\x8c\x0fndarray.__new__\x93.",
        "dotted name under core": b"\x80\x04\x8c\x16numpy._core.multiarray\x8c\x0dscalar.__call__\x93.",
        "inst": b"(S'touch HACKED'\nios\nsystem\n.",
        "own class": pickle.dumps(Stateful()),
        "ordered dict": pickle.dumps(OrderedDict(a=1)),
        "set": pickle.dumps({1, 2}),
        "persistent id": b"Pevil\n.",
        "extension code": b"\x82\x01.",
        "codec": pickle.dumps(Run(__import__("_codecs").encode, "aa", "hex")),
        "build on a list": b"]}b.",
        "call a list": b"])R.",
        "hidden behind POP": pickle.dumps(1)[:-1] + b"0" + pickle.dumps(Run(os.system, mark))[2:],
    }


@pytest.mark.parametrize("kind", hostile())
def test_hostile_files_are_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GalleryRefused, match="Nothing in it was run") as raised:
        read(tmp_path, hostile()[kind])
    assert not (tmp_path / "HACKED").exists()
    assert str(tmp_path / "x.pickle") in raised.value.message
    assert raised.value.mend == "make it anew"


@pytest.mark.parametrize(
    ("kind", "named"),
    [("os.system", "posix.system"), ("eval", "builtins.eval"), ("inst", "os.system"), ("numpy.load", "numpy.load")],
)
def test_what_it_wanted_is_named(tmp_path: Path, kind: str, named: str) -> None:
    with pytest.raises(GalleryRefused, match=named.replace("posix", "(posix|nt)")):
        read(tmp_path, hostile()[kind])


def array_with(shape: object, raw: object, dtype: str = "f8") -> bytes:
    """An array's pickle with a state that numpy would never write."""

    class Fake:
        def __reduce__(self) -> Any:
            made = np.empty(0).__reduce__()
            assert isinstance(made, tuple)
            return made[0], made[1], (1, shape, np.dtype(dtype), False, raw)

    # The pickler would call numpy's own __setstate__ only when loading, so writing it is safe.
    return pickle.dumps(Fake(), 4)


def bombs() -> dict[str, bytes]:
    return {
        "bytes of 4 EB": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 62) + b"x.",
        "bytes of 20 GB": b"\x80\x04\x8e" + struct.pack("<Q", 20 << 30) + b"x.",
        "byte array of 20 GB": b"\x80\x05\x96" + struct.pack("<Q", 20 << 30) + b"x.",
        "frame of 20 GB": b"\x80\x04\x95" + struct.pack("<Q", 20 << 30) + b"N.",
        "array of 8 TB": array_with((1 << 40,), b"12345678"),
        "array with a negative size": array_with((-1,), b""),
        "array with a huge product": array_with((1 << 62, 1 << 62), b""),
        "array of objects by state": array_with((1,), [1], "O"),
        "key that takes for ever to hash": b"\x80\x04})" + b"2\x86" * 60 + b"Ns.",
        "number of a gigabyte": b"\x80\x04\x8b" + struct.pack("<i", 1 << 30) + b"1.",
        "number in ten million digits": b"L" + b"9" * 10_000_000 + b"L\n.",
        "a million brackets": b"(" * 1_000_000 + b".",
    }


BOMB_LIMIT_MB = 200


@pytest.mark.parametrize("kind", bombs())
def test_bombs_do_not_go_off(tmp_path: Path, kind: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(GalleryRefused):
        read(tmp_path, bombs()[kind])
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < BOMB_LIMIT_MB


def test_a_large_memo_number_costs_nothing(tmp_path: Path) -> None:
    """The unpickler in C would make room for four thousand million values here: 64 GB."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert read(tmp_path, b"\x80\x04\x88r\xff\xff\xff\xff.") is True
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < BOMB_LIMIT_MB


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    whole = pickle.dumps({"encodings": [np.arange(3.0)], "names": ["a"], "optimind": {"n": 1}}, 4)
    for length in range(len(whole)):
        with pytest.raises(GalleryRefused):
            read(tmp_path, whole[:length])


def test_a_second_value_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GalleryRefused, match="after its end"):
        read(tmp_path, pickle.dumps(1) + pickle.dumps(2))


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_damage_is_refused_or_harmless(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    whole = bytearray(pickle.dumps({"encodings": [np.arange(3.0)], "names": ["a"]}, data.draw(st.integers(0, 5))))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        read(tmp_path_factory.mktemp("damage"), bytes(whole))
    except GalleryRefused:
        return
    # What was read in spite of it called nothing but numpy's constructors.
    names = {arg for op, arg, _ in pickletools.genops(bytes(whole)) if op.name in {"GLOBAL", "INST"}}
    assert all(str(name).startswith(("numpy", "_codecs")) for name in names)


def test_no_file_and_no_rights(tmp_path: Path) -> None:
    with pytest.raises(GalleryMissing, match="there is no file"):
        read_plain_pickle(tmp_path / "none", "")
    with pytest.raises(GalleryError, match="cannot be read"):
        read_plain_pickle(tmp_path, "")


def test_too_large(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with path.open("wb") as file:
        file.truncate(2 << 30)  # takes no room on the disk
    with pytest.raises(GalleryRefused, match="2048 MB"):
        read_plain_pickle(path, "make it anew")


def test_reading_imports_nothing(tmp_path: Path) -> None:
    """Also a module that exists, allowed by nobody, is not even imported."""
    target = io.BytesIO()
    target.write(b"cxml.dom.minidom\nparseString\n.")
    sys.modules.pop("xml.dom.minidom", None)
    with pytest.raises(GalleryRefused, match=r"xml\.dom\.minidom\.parseString"):
        read(tmp_path, target.getvalue())
    assert "xml.dom.minidom" not in sys.modules
