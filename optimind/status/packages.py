"""The packages that OptiMind needs: which version is here, which one is wanted, and whether it can be imported."""

from __future__ import annotations

import configparser
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from optimind.status.imports import Outcome
from optimind.status.report import Item
from optimind.status.versions import satisfies, version_key

__all__ = ["INSTALL", "Requirement", "install_command", "module_of", "package_items", "requirements"]

ROOT = Path(__file__).resolve().parents[2]
INSTALL = "python -m pip install -r requirements.txt"
"""What installs everything where there is no make."""

_REFERENCE = ("dlib-bin>=19.24", "face_recognition>=1.3")
"""What the engine face_recognition needs, which nobody has to use."""
_TWINS = {
    "opencv-python": ("opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless"),
    "dlib-bin": ("dlib",),
}
"""Packages that are as good, because they bring the same module."""
_MODULES = {
    "dlib-bin": "dlib",
    "google-auth": "google.auth",
    "opencv-python": "cv2",
    "pillow": "PIL",
    "pyyaml": "yaml",
    "setuptools": "pkg_resources",  # what face_recognition_models wants of it
}
_MENDS = (
    (
        "libGL",
        "apt install libgl1 libglib2.0-0, or take OpenCV without its window: pip uninstall opencv-python, then"
        " pip install opencv-python-headless",
    ),
    ("libgthread", "apt install libglib2.0-0"),
    ("pkg_resources", "python -m pip install 'setuptools<81'"),
    ("SIGILL", "this processor lacks instructions that the wheel was built for; see docs/troubleshooting.md"),
    ("it ends Python", "python -m pip install 'setuptools<81' face_recognition_models"),
    ("numpy", "python -m pip install --force-reinstall -r requirements.txt"),
)
"""A word in the reason why a module cannot be imported, and what helps then."""


@dataclass(frozen=True)
class Requirement:
    """A package, and the versions of it that will do, such as ``>=2.0,<3``."""

    name: str
    specifier: str
    required: bool = True


def requirements() -> list[Requirement]:
    """What OptiMind needs: from its installed metadata, or from setup.cfg in a checkout that is not installed yet."""
    parsed = [_parse(line, required=True) for line in _declared()]
    parsed += [_parse(line, required=False) for line in _REFERENCE]
    return sorted((found for found in parsed if found), key=lambda requirement: requirement.name.lower())


def _declared() -> list[str]:
    settings = configparser.ConfigParser(interpolation=None)
    if (
        settings.read(ROOT / "setup.cfg", encoding="utf-8")
        and settings.get("metadata", "name", fallback="") == "optimind"
    ):
        return settings.get("options", "install_requires", fallback="").splitlines()
    try:
        return [line for line in metadata.requires("optimind") or [] if "extra ==" not in line]
    except metadata.PackageNotFoundError:
        return []


def _parse(line: str, *, required: bool) -> Requirement | None:
    found = re.match(r"\s*([A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*\(?([^;#)]*)", line)
    return Requirement(found[1], found[2].replace(" ", ""), required) if found else None


def module_of(package: str) -> str:
    """The module by which ``package`` is imported."""
    return _MODULES.get(package.lower(), package.replace("-", "_").lower())


def install_command() -> str:
    """The shortest way to install everything."""
    return "make setup" if (ROOT / "Makefile").is_file() else INSTALL


def package_items(
    imports: dict[str, Outcome],
    newest: Callable[[str], str | None],
    version_of: Callable[[str], str | None] | None = None,
) -> Iterable[Item]:
    """An item for each package.

    ``imports`` says which modules could be imported (empty: it was not tried); ``newest`` gives the newest release of a
    package or None; ``version_of`` gives the installed version or None.
    """
    pins = _pins()
    for requirement in requirements():
        yield _item(requirement, pins.get(_canonical(requirement.name), ""), imports, newest, version_of or _version_of)


def _item(
    requirement: Requirement,
    pins: str,
    imports: dict[str, Outcome],
    newest: Callable[[str], str | None],
    version_of: Callable[[str], str | None],
) -> Item:
    name, specifier = requirement.name, requirement.specifier
    wanted = specifier + (f" (tested with {pins})" if pins else "")
    required = requirement.required
    one = f"python -m pip install {'' if required else '--no-deps '}'{name}{specifier}'"
    twin, version = name, version_of(name)
    for other in _TWINS.get(name, ()) if version is None else ():
        if version is None:
            twin, version = other, version_of(other)
    if version is None:
        mend = f"{install_command()}, or {one}" if required else f"only for the engine face_recognition: {one}"
        return Item("package", name, "missing", "", wanted, mend, required=required)
    found = version if twin == name else f"{version} ({twin})"
    if not satisfies(version, specifier):
        return Item("package", name, "outdated", found, wanted, f"{install_command()}, or {one}", required=required)
    outcome = imports.get(module_of(name))
    if outcome is not None and outcome.ok is False:
        words = f"{found}, but it cannot be imported: {outcome.reason}"
        return Item("package", name, "failed", words, wanted, _mend(outcome), required=required)
    latest = newest(twin)
    if latest is not None:
        newer = (version_key(latest) or ()) > (version_key(version) or ())
        found += f" (newest: {latest})" if newer else " (the newest)"
    return Item("package", name, "ok", found, wanted, required=required)


def _mend(outcome: Outcome) -> str:
    reason = f"{outcome.missing} {outcome.reason}"
    return next((mend for word, mend in _MENDS if word in reason), install_command())


def _version_of(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _pins() -> dict[str, str]:
    """The versions that were tested together, from the requirement files of a checkout."""
    pins: dict[str, list[str]] = {}
    for file in ("requirements.txt", "requirements-face-recognition.txt"):
        path = ROOT / file
        for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
            found = re.match(r"([A-Za-z0-9][\w.-]*)==([^\s;#]+)", line)
            if found:
                pins.setdefault(_canonical(found[1]), []).append(found[2])
    return {name: " or ".join(versions) for name, versions in pins.items()}
