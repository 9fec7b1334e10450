"""How many processor cores there are to use."""

from __future__ import annotations

import os

__all__ = ["available_cores"]


def available_cores() -> int:
    """How many processor cores this process may use: a container or taskset may allow fewer than there are."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1
