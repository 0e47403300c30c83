"""The representations that files and directories hold, as commands name them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem

from kernalign.cli.labels import read_labels, stands_alone
from kernalign.sources import are_layers, by_name, open_sources, open_unit, split_spec
from kernalign.sources.arranged import Arranged
from kernalign.sources.directories import Found, Model, models_of
from kernalign.sources.formats import format_of
from kernalign.sources.place import Place, shown
from kernalign.sources.shards import Unit, units


class FileName(click.ParamType):  # type: ignore[type-arg]
    """A file, an array in it (FILE:KEY), a directory or an address; shells complete names of files."""

    name = "file"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type="file")]


def open_models(files: Sequence[str], layered: bool, shards: bool, dimensions: tuple[int, ...]) -> Found:
    """What files and directories hold; names are short where these tell them apart, whole paths elsewhere."""
    if not all(files):
        raise click.UsageError("a file or directory must have a name, got an empty one")
    found = Found([], [])
    single = []
    for spec in files:
        place, key = split_spec(spec)
        if key is None and place.is_directory and format_of(place) is None:
            inner = models_of(place, layered=layered, shards=shards, dimensions=dimensions)
            found.models.extend(inner.models)
            found.skipped.extend(inner.skipped)
        elif key is None and place.is_file:
            single.append(place)
            found.models.append(Model("", str(place), []))
        else:
            found.models.extend(_models(spec, layered, dimensions))
    parts = {str(unit.places[0]): unit for unit in units(single, shards=shards)}
    inside = {str(place) for unit in parts.values() for place in unit.places[1:]}
    models = [model for model in found.models if model.short or model.whole not in inside]
    opened = [[model] if model.short else _of_unit(parts[model.whole], layered, dimensions) for model in models]
    models = [model for own in opened for model in own]
    count = Counter(model.short for model in models)
    stems = Counter(_file_name(model) for model in models)
    for at, model in enumerate(models):
        if count[model.short] > 1:  # arrays called alike: the name of the file, where that tells it from all others
            own = _file_name(model)
            models[at] = model._replace(short=own if stems[own] == 1 and not count[own] else model.whole)
    for name, times in Counter(model.short for model in models).items():
        if times > 1:
            raise click.UsageError(f"{name} is given twice")
    return Found(models, found.skipped)


def _file_name(model: Model) -> str:
    """The file that a model is in, without its ending."""
    return split_spec(model.whole)[0].stem


def arrange(models: list[Model], axes: str | None, pool: str | None) -> list[str]:
    """Let arrays of as many axes as there are letters be read as items, layers and features, and pool maps.

    Returns what is left as it is.
    """
    if axes is None and pool is None:
        return []
    sources = [source for model in models if not isinstance(model.given, Exception) for source in model.given]
    count = len(axes or "ndtt")
    letters = {count: axes} if pool is None else {4: None, count: axes}
    stored = [(source, source.stored) for source in sources if source.stored is not None]
    if sources and not any(one.ndim == count for _, one in stored):
        option = (
            f"--pool is for arrays of {count} axes" if axes is None else f"--axes {axes} is for arrays of {count} axes"
        )
        more = ", or with --axes for others" if axes is None else ""
        raise click.UsageError(f"{option}{more}; no array has so many")
    left = [source.spec for source, one in stored if axes is None and one.ndim == 3]
    for source, one in stored:
        if one.ndim in letters:
            source.stored = Arranged(one, letters[one.ndim], pool)
    return [f"{spec} has 3 axes, read as items, layers and features; --axes ntd pools positions" for spec in left]


def check_named(models: Sequence[Model]) -> None:
    """Raise unless the rows of all models that could be opened have names."""
    for model in models:
        for source in [] if isinstance(model.given, Exception) else model.given:
            if source.labels is None:
                raise click.UsageError(
                    f"--pairing ids needs names of all rows, but {source.spec} has none; --ids says where they are"
                )


def bad_rows_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--zero-rows`` and ``--nan-rows``."""
    either = click.Choice(["error", "drop_pair"])
    command = click.option("--nan-rows", default="error", type=either, help="Drop items with NaN or infinity.")(command)
    return click.option("--zero-rows", default="error", type=either, help="Drop items with a row without direction.")(
        command
    )


def pairing_of(spec: str, pairing: str, models: Sequence[Model]) -> dict[str, Any]:
    """What pairs rows by ids: one list for all models, or an array or column in the file of each."""
    if pairing == "position":
        raise click.UsageError("--ids is not available with --pairing position")
    if stands_alone(spec):
        labels = list(read_labels(spec, "--ids"))
        return {"pairing": "ids", "ids": {model.short: labels for model in models}}
    for model in models:
        for source in [] if isinstance(model.given, Exception) else model.given:
            source.name_rows(spec)
    return {"pairing": "ids"}


def _models(spec: str | Place, layered: bool, dimensions: tuple[int, ...]) -> list[Model]:
    """The representations of a file: each of its arrays or, if layers are asked for and can be, all of them as one."""
    try:
        found = open_sources(spec, dimensions=dimensions)
    except (ValueError, OSError, ImportError) as error:
        return [Model(Place(spec).stem, shown(spec), error)]
    if layered and are_layers(found):
        return [Model(found[0].place.stem, str(found[0].place), by_name(found))]
    return [Model(one.name, one.spec, [one]) for one in found]


def _of_unit(unit: Unit, layered: bool, dimensions: tuple[int, ...]) -> list[Model]:
    """Those of a file, or of its parts as one."""
    if len(unit.places) == 1:
        return _models(unit.place, layered, dimensions)
    try:
        found = open_unit(unit, dimensions)
    except (ValueError, OSError, ImportError) as error:
        return [Model(unit.name, str(unit.place), error)]
    return [Model(unit.name if len(found) == 1 else one.name, one.spec, [one]) for one in found]
