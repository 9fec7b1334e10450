"""Photographs to templates: the dataset folder, the quality gate, the encoder, and the gallery file."""

from optimind.gallery.format import (
    GalleryFile,
    Sample,
    check_embedder,
    gallery_lock,
    load_gallery,
    save_gallery,
    to_core,
)
from optimind.gallery.report import EncodeReport, EncodeWarning, Rejection

__all__ = [
    "EncodeReport",
    "EncodeWarning",
    "GalleryFile",
    "Rejection",
    "Sample",
    "check_embedder",
    "gallery_lock",
    "load_gallery",
    "save_gallery",
    "to_core",
]
