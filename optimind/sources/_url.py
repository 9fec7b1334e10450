"""What all sources at a URL have in common."""

from __future__ import annotations

from typing import Self

from optimind.sources._opencv import OpenCvSource
from optimind.sources._probe import check_url

__all__ = ["UrlSource"]


class UrlSource(OpenCvSource):
    """A network camera: its URL is looked at before anything is opened."""

    @classmethod
    def create(cls, camera: str, spec: str) -> Self:
        """Make the source of camera id ``camera``; opens nothing yet. Raises ``UsageError`` for a URL without host."""
        check_url(spec)
        return super().create(camera, spec)
