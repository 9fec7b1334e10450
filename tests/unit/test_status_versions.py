from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from optimind.status.versions import is_prerelease, satisfies, version_key

NUMBER = st.integers(0, 12)


@st.composite
def versions(draw: st.DrawFn, *, least_parts: int = 1) -> str:
    parts = [str(draw(NUMBER)) for _ in range(draw(st.integers(least_parts, 4)))]
    epoch = draw(st.sampled_from(["", "", "", "1!"]))
    pre = draw(st.sampled_from(["", "", "", "a1", "b2", "rc1", ".alpha.3", "c4"]))
    post = draw(st.sampled_from(["", "", "", ".post1", "-2", ".rev3"]))
    dev = draw(st.sampled_from(["", "", "", ".dev0", ".dev5"]))
    return f"{epoch}{'.'.join(parts)}{pre}{post}{dev}"


@st.composite
def specifiers(draw: st.DrawFn) -> str:
    sign = draw(st.sampled_from(["==", "!=", "<=", ">=", "<", ">", "~=", "==*", "!=*"]))
    if sign.endswith("*"):
        return sign[:2] + ".".join(str(draw(NUMBER)) for _ in range(draw(st.integers(1, 3)))) + ".*"
    return sign + draw(versions(least_parts=2 if sign == "~=" else 1))


@given(versions(), versions())
def test_the_order_is_that_of_packaging(one: str, other: str) -> None:
    mine, theirs = (version_key(one), version_key(other)), (Version(one), Version(other))
    assert None not in mine
    assert (mine[0] == mine[1]) == (theirs[0] == theirs[1])
    assert (mine[0] or ()) < (mine[1] or ()) if theirs[0] < theirs[1] else (mine[0] or ()) >= (mine[1] or ())
    assert is_prerelease(one) == theirs[0].is_prerelease


@given(versions(), st.lists(specifiers(), max_size=2))
def test_what_is_allowed_is_what_packaging_allows(version: str, clauses: list[str]) -> None:
    specifier = ",".join(clauses)
    assert satisfies(version, specifier) == SpecifierSet(specifier).contains(version, prereleases=True)


@pytest.mark.parametrize(
    ("version", "specifier", "allowed"),
    [
        ("5.0.0.93", ">=4.10", True),
        ("4.9", ">=4.10", False),
        ("80.9.0", "<81", True),
        ("81.0.0rc1", "<81", False),
        ("1.2+local.5", "==1.2", True),
        ("2024.1", ">= 2024.1", True),
        ("1.0", "", True),
        ("unknown", ">=1", False),
        ("1.0", "at least 1", False),
    ],
)
def test_examples(version: str, specifier: str, allowed: bool) -> None:
    assert satisfies(version, specifier) is allowed
