"""Every public function and class of cvzone, by module, and whether it can be imported.

The names come from the source files, so that they are known also where a module cannot be imported.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from optimind.status.imports import Outcome
from optimind.status.packages import install_command
from optimind.status.report import Item

__all__ = ["Module", "cvzone_items", "find_modules"]

_REQUIRED = ("cvzone", "cvzone.Utils")
"""What OptiMind draws its overlays with; the other modules are for plugins that want them."""
_PACKAGES = {"serial": "pyserial", "cv2": "opencv-python"}


@dataclass(frozen=True)
class Module:
    """A module of cvzone: what it offers (``Class.method`` for methods), and the modules that it imports."""

    name: str
    offers: tuple[str, ...]
    imports: tuple[str, ...]

    @property
    def required(self) -> bool:
        """Whether OptiMind itself uses it."""
        return self.name in _REQUIRED


def find_modules(folder: Path | None = None) -> list[Module]:
    """Read the modules of the installed cvzone, or of the one in ``folder``; an empty list where there is none."""
    if folder is None:
        spec = importlib.util.find_spec("cvzone")  # finds a package without running it
        if spec is None or not spec.submodule_search_locations:
            return []
        folder = Path(next(iter(spec.submodule_search_locations)))
    return [_read(path, folder) for path in sorted(folder.rglob("*.py"))]


def _read(path: Path, folder: Path) -> Module:
    parts = path.relative_to(folder).with_suffix("").parts
    initial = parts[-1] == "__init__"
    name = ".".join(("cvzone", *(parts[:-1] if initial else parts)))
    try:
        tree = ast.parse(path.read_bytes())
    except SyntaxError:
        return Module(name, (), ())
    offers: list[str] = []
    imports: list[str] = []
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            offers.append(node.name)
            offers += [f"{node.name}.{method}" for method in _methods(node)]
        elif isinstance(node, ast.Import):
            imports += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            imports.append(node.module)
            if initial:  # what the package hands on
                offers += [alias.asname or alias.name for alias in node.names if alias.name != "*"]
    return Module(name, tuple(offers), tuple(dict.fromkeys(imports)))


def _methods(node: ast.AST) -> list[str]:
    if not isinstance(node, ast.ClassDef):
        return []
    return [part.name for part in node.body if isinstance(part, ast.FunctionDef) and not part.name.startswith("_")]


def cvzone_items(modules: Iterable[Module], imports: Mapping[str, Outcome]) -> Iterable[Item]:
    """An item for each function and class. A module that ``imports`` says nothing of is judged by what it needs."""
    known = {module.name: module for module in modules}
    if not known:
        yield Item("cvzone", "cvzone", "missing", "", "overlays", install_command())
    for module in known.values():
        needs = _absent(module, known, set())
        outcome = imports.get(module.name)
        if outcome is None or outcome.ok is None:
            outcome = Outcome(not needs, f"needs {', '.join(needs)}" if needs else "", needs[0] if needs else "")
        for name in module.offers or ("(module)",):
            yield _item(module, name, outcome)


def _item(module: Module, name: str, outcome: Outcome) -> Item:
    wanted = "required for overlays" if module.required else "optional"
    full = f"{module.name}.{name}"
    if outcome.ok:
        if outcome.names and name != "(module)" and name.partition(".")[0] not in outcome.names:
            gone = f"{module.name} is imported, but does not have it"
            return Item("cvzone", full, "failed", gone, wanted, install_command(), module.required)
        return Item("cvzone", full, "ok", "importable", wanted, "", module.required)
    if outcome.missing:
        package = _PACKAGES.get(outcome.missing, outcome.missing)
        mend = install_command() if module.required else f"only if a plugin needs it: python -m pip install {package}"
        return Item("cvzone", full, "missing", outcome.reason, wanted, mend, module.required)
    return Item("cvzone", full, "failed", outcome.reason, wanted, install_command(), module.required)


def _absent(module: Module, known: Mapping[str, Module], seen: set[str]) -> list[str]:
    """The modules that ``module``, or a module of cvzone that it imports, needs and that are not installed."""
    seen.add(module.name)
    absent: list[str] = []
    for name in module.imports:
        top = name.partition(".")[0]
        if name in known:
            absent += _absent(known[name], known, seen) if name not in seen else []
        elif top != "cvzone" and importlib.util.find_spec(top) is None:
            absent.append(top)
    return list(dict.fromkeys(absent))
