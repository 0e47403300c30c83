"""The stub _core.pyi agrees with the built extension: the same names, the same arguments."""

import ast
import inspect
import re
from pathlib import Path

import kernalign
from kernalign import _core

STUB = ast.parse((Path(kernalign.__file__).with_name("_core.pyi")).read_text(encoding="utf-8"))


def classes() -> dict[str, ast.ClassDef]:
    return {node.name: node for node in STUB.body if isinstance(node, ast.ClassDef)}


def functions(body: list[ast.stmt]) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in body if isinstance(node, ast.FunctionDef)}


def public(namespace: object) -> set[str]:
    return {name for name in vars(namespace) if not name.startswith("_")}


def stub_arguments(function: ast.FunctionDef) -> list[str]:
    """Argument names of the stub; positional-only names and self do not count, for callers cannot see them."""
    arguments = function.args
    return [a.arg for a in [*arguments.args, *arguments.kwonlyargs] if a.arg != "self"]


def built_arguments(function: object) -> list[str] | None:
    """Argument names from pybind11's first docstring line; None if it has overloads or unnamed arguments."""
    signature = re.match(r"\w+\((.*)\) -> ", inspect.getdoc(function) or "")
    if not signature or "Overloaded function" in (inspect.getdoc(function) or ""):
        return None
    text = signature[1]
    while (shorter := re.sub(r"[\[({][^\[\](){}]*[\])}]", "", text)) != text:  # types may hold commas
        text = shorter
    names = [part.split(":")[0].split("=")[0].strip() for part in text.split(",")]
    names = [name for name in names if name not in ("self", "*", "/", "")]
    return None if any(re.fullmatch(r"arg\d+", name) for name in names) else names


def test_names_are_the_same() -> None:
    stubbed = set(classes()) | set(functions(STUB.body))
    stubbed |= {n.target.id for n in STUB.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)}
    assert {name for name in stubbed if not name.startswith("_")} == public(_core)


def test_class_members_are_the_same() -> None:
    for name, node in classes().items():
        members = set(functions(node.body))
        members |= {n.target.id for n in node.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)}
        members |= {t.id for n in node.body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)}
        assert {m for m in members if not m.startswith("_")} == public(getattr(_core, name)), name


def test_arguments_are_the_same() -> None:
    compared = 0
    pairs = [(node, getattr(_core, name)) for name, node in functions(STUB.body).items()]
    for name, node in classes().items():
        for method, function in functions(node.body).items():
            built = inspect.getattr_static(getattr(_core, name), method)
            if not isinstance(built, property) and not function.decorator_list:
                pairs.append((function, getattr(getattr(_core, name), method)))
    for function, built in pairs:
        names = built_arguments(built)
        if names is not None:
            assert stub_arguments(function) == names, function.name
            compared += 1
    assert compared >= 3
