"""The pages of docs/reference, made from the package when the documentation is built."""

import importlib
import inspect
import math
import pkgutil
from pathlib import Path

import kernalign as ka
from kernalign import compat

_LEAVES = ("stitching", "suite", "pmi", "embedding", "robustness", "demo", "sources")
_TITLES = {"kernalign": "Metrics, comparisons and tests"}
_ARGUMENTS = {"rank": "rank=10"}
_NUMBERS = {-math.inf: "−∞", math.inf: "∞", math.pi / 2: "π/2"}


def public() -> dict[str, list[str]]:
    """Module -> its public functions and classes, but of modules whose libraries are not here."""
    modules = ["kernalign", *(f"kernalign.{leaf}" for leaf in _LEAVES)]
    modules += [f"kernalign.compat.{found.name}" for found in pkgutil.iter_modules(compat.__path__)]
    found = {}
    for module in modules:
        try:
            names = _names(importlib.import_module(module))
        except ImportError as error:
            if "kernalign" in (error.name or ""):
                raise
            continue
        found |= {module: names} if names else {}
    return found


def _names(module: object) -> list[str]:
    own = [name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
    offered = getattr(module, "__all__", [name for name in own if not name.startswith("_")])
    return [name for name in offered if inspect.isclass(value := getattr(module, name)) or inspect.isroutine(value)]


def example(name: str) -> str:
    """One line that calls a metric."""
    return f"ka.{name}({', '.join(['x', 'y', *(_ARGUMENTS[need] for need in ka.METRICS[name].needs)])})"


def _row(name: str) -> str:
    info = ka.METRICS[name]
    low, high = (_NUMBERS.get(bound, f"{bound:g}") for bound in info.range)
    cells = (
        f"{{py:obj}}`~kernalign.{name}`",
        info.description,
        f"{low} … {high}" + ("" if info.larger_is_closer else ", 0 is closest"),
        "rows not paired" if not info.paired else "yes" if info.symmetric else "no: x → y",
        info.chance,
        info.cost,
        f"`{example(name)}`",
    )
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def metrics_page() -> str:
    """The table of all metrics."""
    head = ("metric", "what it says", "range", "symmetric", "by chance", "work, memory", "call")
    lines = [
        "# All metrics",
        "",
        "Made from `kernalign.METRICS`. There are n items, p and q features, r = min(p, q), k neighbours. *By chance*",
        "is the mean under random pairing of the items, where no pairings need to be drawn for it; for the others",
        "`ka.permutation_test(name, x, y)` draws them. *Work* counts multiplications; *memory* is held beside x and y.",
        "",
        f"| {' | '.join(head)} |",
        "|" + "---|" * len(head),
        *(_row(name) for name in ka.METRICS),
    ]
    return "\n".join(lines) + "\n"


def _module_page(module: str, names: list[str]) -> str:
    lines = [module, "=" * len(module), "", f".. automodule:: {module}", "   :no-members:", ""]
    lines += [f".. currentmodule:: {module}", ""]
    if module == "kernalign":
        lines += [".. autodata:: METRICS", "   :no-value:", ""]
    for title, kind in (("Functions", inspect.isroutine), ("Classes", inspect.isclass)):
        chosen = [name for name in names if kind(getattr(importlib.import_module(module), name))]
        if chosen:
            lines += [
                title,
                "-" * len(title),
                "",
                ".. autosummary::",
                "   :toctree: generated",
                "   :nosignatures:",
                "",
            ]
            lines += [*(f"   {name}" for name in chosen), ""]
    return "\n".join(lines)


def write(folder: Path) -> None:
    """Make docs/reference, and in it the report of the suite builtin:quick."""
    folder.mkdir(exist_ok=True)
    (folder / "report").mkdir(exist_ok=True)
    run = ka.suite.load("builtin:quick", directory=folder / "quick").run()
    run.report(folder / "report" / "quick_report.html")
    pages = public()
    for module, names in pages.items():
        (folder / f"{module}.rst").write_text(_module_page(module, names), encoding="utf-8")
    (folder / "metrics.md").write_text(metrics_page(), encoding="utf-8")
    index = ["# Reference", "", "```{toctree}", ":maxdepth: 1", "", "metrics", *pages, "```"]
    (folder / "index.md").write_text("\n".join(index) + "\n", encoding="utf-8")
