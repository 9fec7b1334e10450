"""Reading pickles that may be hostile: plain values and vectors of floats come out, nothing is imported or called.

Python's own ``Unpickler.find_class`` hook is not enough: numpy's functions, once let in, take shapes and object arrays
from the file, and the fast unpickler's memo can be made to ask for 64 GB by twenty bytes. So the unpickler here is the
standard library's one in Python, which keeps its memo in a dict; it runs a short list of instructions, and numpy's
constructors are replaced by stand-ins that check what they are given. Work and memory are proportional to the file.
"""

from __future__ import annotations

import io
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from optimind.errors import GalleryError, GalleryMissing, GalleryRefused, SealRefused
from optimind.sealing import PLAIN, Purpose, Sealer, is_sealed

__all__ = ["FloatArray", "read_plain_pickle"]

LARGEST_FILE = 1 << 30
"""Bytes; a gallery of half a million samples is smaller."""

_NUMPY = {
    f"{package}.{module}": names
    for package in ("numpy.core", "numpy._core")  # numpy 1 and numpy 2
    for module, names in (("multiarray", ("_reconstruct", "scalar")), ("numeric", ("_frombuffer",)))
}
_ALLOWED = {**_NUMPY, "numpy": ("ndarray", "dtype"), "_codecs": ("encode",), "__builtin__": ("bytes",)}

_INSTRUCTIONS = (  # noqa: SIM905 - one line each would fill a screen
    "PROTO FRAME STOP POP POP_MARK DUP MARK NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT "
    "BINFLOAT STRING BINSTRING SHORT_BINSTRING UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES "
    "BINBYTES8 EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST LIST APPEND APPENDS EMPTY_DICT PUT BINPUT LONG_BINPUT "
    "MEMOIZE GET BINGET LONG_BINGET GLOBAL STACK_GLOBAL INST"
).split()


class _RefusalError(Exception):
    """The file holds something that a gallery does not."""


class FloatArray:
    """Stands where the file has a numpy array of floats; ``values`` is the array, float64."""

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values: NDArray[np.float64] = np.empty(0)

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Self:
        """Return one that holds ``values``."""
        made = cls()
        made.values = values
        return made

    def fill(self, raw: object, dtype: object, shape: object, *, fortran: bool) -> None:
        """Take the content, after checking that its size is what shape and type say."""
        if not isinstance(dtype, _FloatType):
            raise _RefusalError("an array that is not of floats")
        if not isinstance(raw, bytes | bytearray):
            raise _RefusalError("an array of Python objects")
        if not isinstance(shape, tuple) or len(shape) > 2 or not all(type(n) is int and n >= 0 for n in shape):
            raise _RefusalError("an array of an impossible shape")
        if len(raw) != math.prod(shape) * int(dtype.code[1:]):
            raise _RefusalError("an array whose content is not as long as its shape says")
        values = np.frombuffer(bytes(raw), dtype.order + dtype.code).reshape(shape, order="F" if fortran else "C")
        self.values = values.astype(np.float64)


class _FloatType:
    """Stands where the file has a numpy dtype."""

    __slots__ = ("code", "order")

    def __init__(self, code: object) -> None:
        text = code.decode("latin1") if isinstance(code, bytes) else code
        if not isinstance(text, str) or text.lstrip("<>=") not in {"f2", "f4", "f8", "d", "f", "float64", "float32"}:
            raise _RefusalError(f"an array of the type {str(text)[:20]!r}, not of floats")
        self.order = text[0] if text[0] in "<>" else "="
        plain = text.lstrip("<>=")
        self.code = {"d": "f8", "float64": "f8", "f": "f4", "float32": "f4"}.get(plain, plain)

    def restore(self, state: object) -> None:
        """Take the byte order; whatever else numpy keeps in a dtype's state is not needed for floats."""
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in {"<", ">", "=", "|", b"<", b">", b"="}:
            raise _RefusalError("a damaged array type")
        order = state[1].decode("latin1") if isinstance(state[1], bytes) else state[1]
        self.order = order.replace("|", "=")


class _Name:
    """Stands where the file names one of the functions in ``_ALLOWED``; it cannot be called by the unpickler."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def made(self, *args: Any) -> object:
        """Return what the function would, of the few forms that numpy writes."""
        if self.name == "_reconstruct":
            return FloatArray()
        if self.name == "dtype":
            return _FloatType(args[0])
        if self.name == "scalar":
            number = FloatArray()
            number.fill(args[1], args[0], (), fortran=False)
            return float(number.values)
        if self.name == "_frombuffer":
            array = FloatArray()
            array.fill(args[0], args[1], args[2], fortran=args[3] == "F")
            return array
        if self.name == "encode" and isinstance(args[0], str) and args[1:] in {("latin1",), ("latin-1",)}:
            return args[0].encode("latin1")  # how Python 3 writes bytes for Python 2
        if self.name == "bytes" and not args:
            return b""  # the same for no bytes
        raise _RefusalError(f"a call of {self.name}")


class _Bounded:
    """A file that never allocates more than it has left, whatever length an instruction claims."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self.readline = file.readline

    def read(self, length: int) -> bytes:
        """Return ``length`` bytes."""
        if length > self._size - self._file.tell():
            raise EOFError
        return self._file.read(length)


# The Python unpickler is private by name only because it is slower than the other; see the top of this file.
_Standard: Any = pickle._Unpickler  # noqa: SLF001 - said above


class _PlainUnpickler(_Standard):  # type: ignore[misc]  # its type is Any
    """Runs ``_INSTRUCTIONS`` and the ones below, nothing else."""

    dispatch: dict[int, Callable[[Any], None]] = {  # noqa: RUF012 - the base class wants it there
        getattr(pickle, name)[0]: _Standard.dispatch[getattr(pickle, name)[0]] for name in _INSTRUCTIONS
    }

    def find_class(self, module: str, name: str) -> _Name:
        """Return the stand-in for an allowed name; refuse any other."""
        if name in _ALLOWED.get(module, ()):
            return _Name(name)
        raise _RefusalError(f"the instruction to import {module}.{name}"[:200])

    def load_reduce(self) -> None:
        args = self.stack.pop()
        function = self.stack.pop()
        if not isinstance(function, _Name) or not isinstance(args, tuple):
            raise _RefusalError("a call of something that is no function")
        self.append(function.made(*args))

    def load_build(self) -> None:
        state = self.stack.pop()
        thing = self.stack[-1]
        if isinstance(thing, _FloatType):
            thing.restore(state)
        elif isinstance(thing, FloatArray) and isinstance(state, tuple) and len(state) == 5:
            thing.fill(state[4], state[2], state[1], fortran=bool(state[3]))
        else:
            raise _RefusalError("an object with a state of its own")

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        _put(self.stack[-1], key, value)

    def load_setitems(self) -> None:
        items = self.pop_mark()
        for key, value in zip(items[::2], items[1::2], strict=True):
            _put(self.stack[-1], key, value)

    def load_dict(self) -> None:
        items = self.pop_mark()
        made: dict[str, object] = {}
        for key, value in zip(items[::2], items[1::2], strict=True):
            _put(made, key, value)
        self.append(made)

    def load_bytearray8(self) -> None:
        length = int.from_bytes(self.read(8), "little")
        self.append(self.read(length))  # bytes will do: nobody changes them

    dispatch[pickle.REDUCE[0]] = load_reduce
    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems
    dispatch[pickle.DICT[0]] = load_dict
    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8


def _put(target: object, key: object, value: object) -> None:
    # Only text: the hash of a tuple nested in itself sixty times takes for ever.
    if not isinstance(key, str) or not isinstance(target, dict):
        raise _RefusalError("a dict whose keys are not text")
    target[key] = value


def read_plain_pickle(path: Path, mend: str, sealer: Sealer = PLAIN) -> Any:
    """Return the file's one value: None, bool, int, float, str, bytes, list, tuple, dict by str, :class:`FloatArray`.

    The same list may occur several times in it, also inside itself. ``mend`` is what to do where it is refused, and
    ``sealer`` opens one that is encrypted. Raises :class:`GalleryMissing` where there is no file,
    :class:`GalleryRefused` where it holds anything else or is damaged, :class:`GalleryError` where it cannot be read,
    :class:`SealRefused` where it is encrypted and cannot be opened.
    """
    try:
        with path.open("rb") as file:
            return _only_value(_opened(file, path, sealer))
    except SealRefused:
        raise
    except FileNotFoundError as error:
        raise GalleryMissing(f"there is no file {path}", mend="name the right file") from error
    except OSError as error:
        raise GalleryError(f"{path} cannot be read: {error.strerror}", mend="check the path and its rights") from error
    except _RefusalError as error:
        raise GalleryRefused(f"{path} was refused: it holds {error}. Nothing in it was run", mend=mend) from error
    except Exception as error:  # damaged instructions make the unpickler raise anything
        what = "it ends too early" if isinstance(error, EOFError) else "it is damaged or no gallery"
        raise GalleryRefused(f"{path} was refused: {what}. Nothing in it was run", mend=mend) from error


def _opened(file: BinaryIO, path: Path, sealer: Sealer) -> BinaryIO:
    """The file itself, or what was sealed in it."""
    if file.seek(0, io.SEEK_END) > LARGEST_FILE:
        raise _RefusalError(f"{file.tell() >> 20} MB, more than {LARGEST_FILE >> 20}")
    file.seek(0)
    beginning = file.read(64)
    file.seek(0)
    if not is_sealed(beginning):
        return file
    return io.BytesIO(sealer.open(file.read(), Purpose.GALLERY, str(path)))


def _only_value(file: BinaryIO) -> object:
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    value: object = _PlainUnpickler(_Bounded(file, size), encoding="latin1").load()
    if file.read(1):
        raise _RefusalError("something after its end")
    return value
