"""Reading one photograph: any format that Pillow knows, upright, as BGR, no larger than is useful."""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from dataclasses import dataclass
from pathlib import PurePath

import cv2
import numpy as np
from PIL import Image, ImageFile, ImageOps
from PIL import UnidentifiedImageError as UnknownFormat

from optimind.core.types import Image as Pixels

__all__ = ["LONGER_SIDE_PX", "Picture", "UnreadableError", "read_bytes", "read_photograph"]

LONGER_SIDE_PX = 1600
"""Larger photographs are reduced to this before a face is looked for: an embedding uses 150 px of a face."""
LARGEST_FILE = 256 * 1024 * 1024
_TRANSPARENT = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
_APPLE = frozenset({".heic", ".heif"})


class UnreadableError(Exception):
    """The file is no picture, is damaged, or is out of bounds; the text says which."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A photograph ready to be looked at.

    ``image`` BGR, its longer side at most :data:`LONGER_SIDE_PX`; ``reduction`` (>= 1): how many pixels of the original
    stand behind one of it, along a side; ``digest`` names the picture itself, whatever file it is in: two
    with the same one show exactly the same.
    """

    image: Pixels
    reduction: float
    digest: str


def read_photograph(data: bytes, file: str) -> Picture:
    """Decode an image file's bytes; ``file`` is its name, for the advice given. Raises :class:`UnreadableError`."""
    if not data:
        raise UnreadableError("the file is empty")
    # The library face_recognition switches this on for the whole process: half a picture would pass for one.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Pillow only warns of a picture that is absurdly large; it must not be decoded.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            rgb, reduction = _decode(data)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        limit = (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise UnreadableError(f"it has more than {limit} million pixels: save it smaller") from error
    except UnknownFormat as error:
        raise UnreadableError(_unknown_format(file)) from error
    except Exception as error:  # decoders of damaged files raise anything; one file must not end the run
        raise UnreadableError(f"it is damaged: {error or type(error).__name__}") from error
    digest = hashlib.sha256(f"{rgb.shape}".encode())
    digest.update(np.ascontiguousarray(rgb).data)
    bgr = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), dtype=np.uint8)
    return Picture(bgr, reduction, digest.hexdigest())


def read_bytes(path: str) -> bytes:
    """Return a file's content. Raises :class:`UnreadableError` where it is too large or cannot be opened."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - paths are text in the encoder
            size = os.fstat(file.fileno()).st_size
            if size > LARGEST_FILE:
                raise UnreadableError(f"the file has {size >> 20} MB, more than {LARGEST_FILE >> 20}: save it smaller")
            return file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise UnreadableError(f"it cannot be opened: {error.strerror or error}") from error


def _decode(data: bytes) -> tuple[Pixels, float]:
    with Image.open(io.BytesIO(data)) as opened:
        original = max(opened.size)
        if original > LONGER_SIDE_PX:
            # A JPEG can be decoded straight to a half, a quarter or an eighth; never to less than is asked for.
            width, height = (round(side * LONGER_SIDE_PX / original) for side in opened.size)
            opened.draft(None, (width, height))
        opened.load()
        # In place, and as it is where it is RGB: each copy takes as long as decoding a small photograph.
        ImageOps.exif_transpose(opened, in_place=True)
        upright = _as_rgb(opened)
        upright.thumbnail((LONGER_SIDE_PX, LONGER_SIDE_PX), reducing_gap=2.0)
        return np.asarray(upright, dtype=np.uint8), original / max(upright.size)


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        return _from_deep(image)
    if image.mode in _TRANSPARENT or "transparency" in image.info:
        # What lies under transparent pixels is arbitrary; a portrait with its background cut out stands on white.
        layered = image.convert("RGBA")
        ground = Image.new("RGBA", layered.size, "white")
        return Image.alpha_composite(ground, layered).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _from_deep(image: Image.Image) -> Image.Image:
    """Bring 16 or 32 bits a pixel to 8; Pillow would cut everything above 255 off."""
    values = np.asarray(image, dtype=np.float64)
    low, high = float(values.min()), float(values.max())
    if image.mode != "F" and low >= 0 and high <= 65535:
        low, high = 0.0, 255.0 if high <= 255 else 65535.0
    scaled = (values - low) * (255 / max(high - low, 1e-9))
    return Image.fromarray(np.rint(scaled).astype(np.uint8)).convert("RGB")


def _unknown_format(file: str) -> str:
    suffix = PurePath(file).suffix.lower()
    if suffix in _APPLE:
        return f"{suffix[1:].upper()} pictures cannot be read here: save it as JPEG"
    return "it is no picture of a known format, or its beginning is damaged"
