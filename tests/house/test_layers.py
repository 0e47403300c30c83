"""Every import of the package points down: the rooms of docs/architecture.md, by ast."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import kernalign as ka
import pytest

PACKAGE = Path(__file__).parents[2] / "python" / "kernalign"
# From the ground up; a room may import rooms of earlier lines, and modules of its own room.
FLOORS = (
    ("_base",),
    ("sources",),
    ("_rows",),
    ("_engines",),
    ("_statistics",),
    ("embedding", "pmi"),
    ("metrics",),
    ("robustness",),
    ("theory",),
    ("inference",),
    ("stitching",),
    ("comparison",),
    ("demo",),
    ("suite",),
    ("compat",),
    ("gpucheck",),
    ("cli",),
    ("__main__",),
)
FLOOR = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}
# Rule 2: what may be asked of the extension outside the engines: how rows are read, and closed forms over small sums.
CLOSED_FORMS = {
    "centred_product",
    "centred_variance",
    "edit_distances",
    "knn_overlap_variance",
    "off_diagonal_product",
    "pattern_skews",
    "u_centred_product",
    "u_centred_third_moment",
    "build_info",
}
VALUES = {"Rows", "Moments", "MomentSums", "GramSums", "PairSums", "GramSource", "ExactRows"}
HEAVY = {"faiss", "torch", "matplotlib", "pandas", "sklearn", "safetensors", "ml_dtypes", "scipy", "numpy"}


def modules() -> dict[str, ast.Module]:
    """Every module by its dotted path below the package; a package is its ``__init__``."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = list(path.relative_to(PACKAGE).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = ast.parse(path.read_text(encoding="utf-8"))
    return found


MODULES = modules()


def room(module: str) -> str:
    return module.split(".")[0]


def imports(tree: ast.Module, *, lazy: bool | None = None) -> list[str]:
    """What a module imports of the package, as dotted paths below it: all, or those inside functions or not."""
    inside = {id(n) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for n in ast.walk(f)}
    found = []
    for node in ast.walk(tree):
        if lazy is not None and (id(node) in inside) != lazy:
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "kernalign":
            base = (node.module or "").partition(".")[2]
            for alias in node.names:
                whole = f"{base}.{alias.name}".lstrip(".")
                found.append(whole if whole in MODULES or whole in ("_core", "_blas") else base)
        elif isinstance(node, ast.Import):
            found += [a.name.partition(".")[2] for a in node.names if a.name.split(".")[0] == "kernalign"]
    return found


def test_every_room_is_on_a_floor() -> None:
    assert {room(name) for name in MODULES} - {"", "_blas"} == set(FLOOR)


@pytest.mark.parametrize("name", [name for name in MODULES if name])
def test_imports_point_down(name: str) -> None:
    """Rule 1: only rooms below, by room path; a package never imports its own face."""
    own = room(name)
    wrong = []
    for used in imports(MODULES[name]):
        if used in ("_core", "_blas"):
            continue
        if used == "":
            wrong.append("the package itself")
        elif room(used) != own and FLOOR[room(used)] >= FLOOR[own]:
            wrong.append(used)
    if own in ("cli",):  # speaks to the package as its users do
        wrong = [used for used in wrong if used != "the package itself"]
    assert wrong == []


def test_no_import_of_the_package_waits_to_dodge_a_circle() -> None:
    """Rule 1: inside functions only third-party packages, and parts of the package that themselves need them."""
    waiting = {name: imports(tree, lazy=True) for name, tree in MODULES.items() if room(name) != "cli"}
    heavy = {"suite.labelled": ["stitching"]}  # whose estimators are scikit-learn's
    assert {name: used for name, used in waiting.items() if used} == heavy


def test_modules_of_a_room_form_no_circle() -> None:
    arrows = defaultdict(set)
    for name, tree in MODULES.items():
        arrows[name] |= {used for used in imports(tree) if used in MODULES and used != name}
    done: set[str] = set()
    path: list[str] = []

    def visit(name: str) -> None:
        assert name not in path, f"circle: {' -> '.join([*path[path.index(name) :], name])}"
        if name in done:
            return
        path.append(name)
        for used in sorted(arrows[name]):
            visit(used)
        path.pop()
        done.add(name)

    for name in sorted(MODULES):
        visit(name)


@pytest.mark.parametrize("name", [name for name in MODULES if name and room(name) != "_engines"])
def test_only_engines_call_the_extension(name: str) -> None:
    """Rule 2: elsewhere its values may be named and its closed forms over small sums called."""
    asked = {
        node.attr
        for node in ast.walk(MODULES[name])
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "_core"
    }
    if room(name) == "_rows":
        asked -= {"check_rows"}  # reads them, to name what is not finite
    if name == "_rows.decompositions":
        asked -= {"svd", "eigh", "cholesky", "reciprocal_condition", "solve_lower", "qr_triangle", "qr_append"}
    assert asked - CLOSED_FORMS - VALUES == set()


def test_base_takes_no_user_array() -> None:
    """Rule 2: `_base` knows neither rows nor the extension."""
    for name, tree in MODULES.items():
        if room(name) == "_base":
            assert not {used for used in imports(tree) if room(used) != "_base"}, name


def test_no_module_bears_the_name_of_a_public_function() -> None:
    """Rule 6: at the root, `kernalign.compare` is a function and nothing else."""
    roots = {room(name) for name in MODULES} - {""}
    assert roots & {name for name in ka.__all__ if callable(getattr(ka, name))} == set()


def test_public_classes_say_where_users_find_them() -> None:
    classes = {name: getattr(ka, name) for name in ka.__all__ if isinstance(getattr(ka, name), type)}
    assert {name: given.__module__ for name, given in classes.items() if given.__module__ != "kernalign"} == {}


def test_dir_shows_the_public_names_only() -> None:
    shown = {name for name in dir(ka) if not name.startswith("_")}
    assert shown == set(ka.__all__) | {"embedding", "pmi", "robustness", "stitching", "compat", "sources", "suite"}
