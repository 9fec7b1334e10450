"""Writes what is exported: to standard output, or to a file that is replaced as a whole."""

import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from optimind.errors import OptiMindError, UsageError

__all__ = ["print_bytes", "replace_file"]


def print_bytes(data: bytes) -> None:
    """Write UTF-8 whatever the terminal's encoding is: a pipe must get what a file would."""
    sys.stdout.flush()
    binary = getattr(sys.stdout, "buffer", None)
    if binary is None:
        sys.stdout.write(data.decode("utf-8"))
        return
    binary.write(data)
    binary.flush()


def replace_file(output: Path, data: bytes, *, is_private: bool = False) -> None:
    """Write ``data`` to ``output``, as a whole or not at all. Raises :class:`UsageError` or :class:`OptiMindError`.

    ``is_private``: only its owner may read it, whatever was there before.
    """
    path = output.expanduser()
    if path.is_dir():
        raise UsageError(f"--output {output} is a folder", mend="name a file in it")
    if not path.parent.is_dir():
        raise UsageError(f"--output {output}: there is no folder {path.parent}", mend=f"mkdir -p {path.parent}")
    try:
        if path.is_relative_to("/dev") or (path.exists() and not path.is_file()):
            # A pipe or device, such as /dev/stdout, cannot be replaced by a file.
            with path.open("ab") as stream:
                stream.write(data)
        else:
            _write_whole(path.resolve(), data, is_private=is_private)
    except OSError as error:
        raise OptiMindError(
            f"--output {output} cannot be written: {error.strerror or error}",
            mend="check the folder's permissions and the free space on its disk",
        ) from error


def _write_whole(path: Path, data: bytes, *, is_private: bool) -> None:
    """Write to a new file beside it and rename: a reader sees the old register or the new one, never half of one."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:50]}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if not is_private:  # which it is from the beginning
            temporary.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
