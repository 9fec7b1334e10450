"""Compares versions as PEP 440 orders them, with the standard library alone (`packaging` may not be installed yet)."""

from __future__ import annotations

import operator as ops
import re
from typing import Any

__all__ = ["is_prerelease", "satisfies", "version_key"]

_VERSION = re.compile(
    r"""\s*v?(?:(?P<epoch>\d+)!)?(?P<release>\d+(?:\.\d+)*)
    (?:[-_.]?(?P<pre>a|alpha|b|beta|c|rc|pre|preview)[-_.]?(?P<pre_number>\d*))?
    (?:-(?P<post_only>\d+)|[-_.]?(?P<post>post|rev|r)[-_.]?(?P<post_number>\d*))?
    (?:[-_.]?(?P<dev>dev)[-_.]?(?P<dev_number>\d*))?
    (?:\+[a-z0-9]+(?:[-_.][a-z0-9]+)*)?\s*""",
    re.VERBOSE | re.IGNORECASE,
)
_CLAUSE = re.compile(r"\s*(~=|===|==|!=|<=|>=|<|>)\s*(\S+)\s*")
_PRE = {"alpha": "a", "beta": "b", "c": "rc", "pre": "rc", "preview": "rc"}
_COMPARE = {"==": ops.eq, "!=": ops.ne, "<=": ops.le, ">=": ops.ge, "<": ops.lt, ">": ops.gt}
_EARLIEST: tuple[Any, ...] = ("",)
_LATEST: tuple[Any, ...] = ("~",)


def version_key(version: str) -> tuple[Any, ...] | None:
    """Return something that sorts as ``version`` does; None where it is no version. A local part is left out."""
    found = _VERSION.fullmatch(version)
    if not found:
        return None
    release = [int(part) for part in found["release"].split(".")]
    while len(release) > 1 and not release[-1]:
        release.pop()
    post = found["post_only"] or (found["post_number"] or "0" if found["post"] else None)
    dev = int(found["dev_number"] or 0) if found["dev"] else None
    if found["pre"]:
        kind = found["pre"].lower()
        pre: tuple[Any, ...] = (_PRE.get(kind, kind), int(found["pre_number"] or 0))
    else:  # a development version of the release itself comes before its first alpha
        pre = _EARLIEST if dev is not None and post is None else _LATEST
    return (
        int(found["epoch"] or 0),
        tuple(release),
        pre,
        -1 if post is None else int(post),
        float("inf") if dev is None else dev,
    )


def is_prerelease(version: str) -> bool:
    """Whether ``version`` is an alpha, beta, release candidate or development version."""
    found = _VERSION.fullmatch(version)
    return bool(found and (found["pre"] or found["dev"]))


def satisfies(version: str, specifier: str) -> bool:
    """Whether ``specifier`` (``>=1.2,<2``) allows ``version``; a text that is no version satisfies nothing."""
    return all(_allows(clause, version) for clause in specifier.split(",") if clause.strip())


def _allows(clause: str, version: str) -> bool:
    parts = _CLAUSE.fullmatch(clause)
    return parts is not None and _compare(version, parts[1], parts[2])


def _compare(version: str, sign: str, bound: str) -> bool:
    if sign == "===":
        return version.strip().lower() == bound.lower()
    if sign in ("==", "!=") and bound.endswith(".*"):
        return _starts_with(version, bound[:-2]) == (sign == "==")
    if sign == "~=":
        start = _VERSION.fullmatch(bound)
        series = start["release"].rpartition(".")[0] if start else ""
        epoch = f"{start['epoch']}!" if start and start["epoch"] else ""
        return _compare(version, ">=", bound) and _starts_with(version, epoch + series)
    key, limit = version_key(version), version_key(bound)
    if key is None or limit is None:
        return False
    if sign == "<" and not is_prerelease(bound):  # before 2.0 does not mean its own alphas
        limit = version_key(bound.partition("+")[0] + ".dev0") or limit
    if sign == ">" and key[:3] == limit[:3] and limit[3] < 0:  # after 2.0 does not mean its own post-releases
        return bool(key > limit and key[3] < 0)
    return bool(_COMPARE[sign](key, limit))


def _starts_with(version: str, series: str) -> bool:
    """Whether the release part of ``version`` begins with that of ``series``, missing parts being zeros."""
    key, start = _VERSION.fullmatch(version), _VERSION.fullmatch(series)
    if not key or not start or (key["epoch"] or "0") != (start["epoch"] or "0"):
        return False
    wanted = [int(part) for part in start["release"].split(".")]
    release = [int(part) for part in key["release"].split(".")] + [0] * len(wanted)
    return release[: len(wanted)] == wanted
