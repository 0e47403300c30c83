"""Many representations, many layers, many metrics: what depends on one layer is computed once, pairings after."""

from __future__ import annotations

import inspect
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

import numpy as np

from kernalign import _core
from kernalign._base import checks
from kernalign._base.kernels import Delta, Kernels, Linear, Precomputed, SideKernel, check_given, kernels_of
from kernalign._base.memory import budget_of
from kernalign._base.progress import ProgressArgument, Report, reporting
from kernalign._rows import on_device
from kernalign._rows.arrays import afford
from kernalign._rows.followed import followed, relisted
from kernalign._rows.items import BAD_ROWS, BadRows, Undirected, either
from kernalign._rows.labels import as_indicators, group_numbers
from kernalign._rows.layer_rows import RowOptions
from kernalign._rows.layered import Layer, Representation, open_representations
from kernalign._rows.options import Normalize
from kernalign._rows.pairing import PAIRINGS, Kept, Pairing
from kernalign.comparison.families.base import Asked
from kernalign.comparison.plan import PValues, make_plan
from kernalign.comparison.result import Comparison
from kernalign.comparison.run import Run
from kernalign.metrics import registry
from kernalign.metrics.record import MetricInfo

if TYPE_CHECKING:
    from kernalign.comparison.typed import AllLayers, BestLayers, Options

INTERRUPTED = "interrupted"  # the reason of scores that were not made, and the name of their number in settings
_FEWEST = 19  # pairings, of which none has a p-value below 0.05


@overload
def compare(
    xs: Mapping[str, Any],
    ys: Mapping[str, Any] | None = None,
    *,
    layers: Literal["all"] = "all",
    **options: Unpack[Options],
) -> AllLayers: ...
@overload
def compare(
    xs: Mapping[str, Any],
    ys: Mapping[str, Any] | None = None,
    *,
    layers: Literal["best"],
    **options: Unpack[Options],
) -> BestLayers: ...
@overload
def compare(
    xs: Mapping[str, Any],
    ys: Mapping[str, Any] | None = None,
    *,
    layers: Literal["all", "best"],
    **options: Unpack[Options],
) -> Comparison: ...
def compare(
    xs: Mapping[str, Any],
    ys: Mapping[str, Any] | None = None,
    *,
    metrics: Iterable[str] | Mapping[str, Any] = ("cka", "mutual_knn"),
    k: int = 10,
    normalize: Normalize = None,
    clip_quantile: float | None = None,
    layers: Literal["all", "best"] = "all",
    concatenated: bool = False,
    estimator: str | None = None,
    kernel: Kernels | None = None,
    metric_options: Mapping[str, Mapping[str, Any]] | None = None,
    p_values: PValues = True,
    uncertainty: bool = False,
    groups: Any = None,
    threads: int | None = None,
    device: str | None = None,
    progress: ProgressArgument = False,
    errors: Literal["record", "raise"] = "record",
    pairing: Pairing = "auto",
    ids: Mapping[str, Any] | None = None,
    zero_rows: BadRows = "error",
    nan_rows: BadRows = "error",
    memory_budget: int | str | None = None,
) -> Comparison:
    """Compare every representation of xs with every one of ys, layer by layer, under several metrics.

    Parameters
    ----------
    xs, ys : dict of names and representations of the same n items: an (n, p) array, an (n, L, p) array, a list of L
        arrays (n, p_l) or a dict of them by the names of layers, or the path of a file that holds one of the first two
        or several (n, p_l) arrays: layers that are called like these and are in the order of their names, layer2 before
        layer10 (``"file.npz:key"`` chooses one). Files are memory-mapped where their format allows. ``ys=None``: all
        pairs of xs, each once where the metric is symmetric (in the order of xs), in both orders where it is not; none
        with itself, but where xs is a single one: its layers with each other.
    metrics : names of `kernalign.METRICS`; or a dict whose keys are what the scores are called by and whose values are
        names or pairs (name, keyword arguments): ``{"mknn50": ("mutual_knn", {"k": 50}), "cka": "cka"}``
    k, estimator, kernel : handed to the metrics that take them; None leaves their own defaults ("unbiased" and
        ``Linear()`` for cka, hsic and kernel_alignment). A pair of kernels is of ``xs`` and of ``ys``; where one is
        ``Delta()``, these are 1-D class labels.
    normalize : None, "l2" or "standardize", of every layer
    clip_quantile : None or e.g. 0.95: values beyond this quantile of their absolute size are clipped, before
        ``normalize``. One threshold for a whole (n, L, p) array, one for each array of a list (Huh et al. 2024).
    layers : "all" keeps the scores of all pairs of layers, "best" those of the best pair (the smallest of equals)
    concatenated : the concatenation of all layers of a representation is one more candidate, the last
    metric_options : metric -> further keyword arguments of its function: ``{"mutual_knn": {"metric": "euclidean"}}``
    p_values : find p-values and, for `Comparison.best`, what the covariance of layers is made of; without, the
        skewness of CKA and the CKA of the layers of one representation among themselves are not computed.
        "permutation": also of metrics without a null, from 999 random pairings (of all of up to 8 items), the same for
        all pairs, or from as many as a number says; metrics of Gram matrices then take a product a pairing, others are
        called anew for each, so that a pair takes 999 times as long. Chance levels that are drawn when a score of a
        pair is asked for its own (of shapes and `soft_correlation`) are not drawn here: ``chance`` is nan.
    uncertainty : add standard errors and 95 % intervals where a metric has them; it is then called pair by pair
    groups : labels of any kind, one for each row of the first representation, or found by the labels of rows where both
        have some; they follow rows that are dropped or joined, as do ``metric_options`` of items (given, cv). Items
        with one label are one thing (captions of an image, trials of a stimulus). Chance levels and p-values of metrics
        that take ``groups`` are then those of whole groups that change places; these metrics are called pair by pair.
        Others have no p-value then, but by ``p_values="permutation"``, and that of a search over layers is not known.
    device : where neighbour lists and sums of Gram matrices are made. None: on the CUDA device that holds layers, if
        one does. "cuda" or "cuda:1": there; layers that are there are read where they are, others are copied there
        once. "cpu": on the CPU. All else is computed on the CPU, from a copy of layers that are on a device.
    threads, progress : as for `cka`; progress counts a thousand for each layer's part and each pair of layers
    errors : "record": what cannot be opened, has another number of rows than most, or cannot be scored (NaN, zero rows
        under cosine) costs its own cells, which are nan with the reason in `Comparison.reasons`; if nothing can be
        scored, the first error is raised. "raise": the first error is raised. Arguments that cannot be are always
        errors.
    pairing, ids : as for `cka`, for all representations at once: "auto" brings the rows of those that carry labels
        into the order of the first of them, "ids" takes the items that all have; ``ids`` is a dict of names and labels
    zero_rows, nan_rows : "drop_pair" drops an item for all representations, layers and metrics, so that every cell is
        of the same items, if any layer has NaN or infinity there or, where a metric needs a direction, a row of zeros
        (a constant row for the correlation of rsa). `Comparison.settings` has the counts, ``dropped`` and by reason.
    memory_budget : as for `cka`, of what is kept of all layers together

    Returns
    -------
    Comparison
        Every score equals that of its function called for the two layers. P-values and the nulls of searches are found
        when they are first read, saved or pickled; until then the layers are held, and must not change.

    Warns
    -----
    UndefinedScoreWarning, AlignmentWarning
        Once each, with the first of `Comparison.reasons` and of ``Comparison.notes``. One of the latter tells of rows
        that seem to be in another order than those of the first representation: see `check_pairing`.

    Notes
    -----
    Of every layer this holds, beside the input, O(n k) numbers for metrics of neighbour lists, O(n) and converted
    rows of at most 32 MB for kernels, and one table of scores; never an n x n array, but for rsa the ranks of as
    many layers as 1 GB holds, at 4 n^2 bytes each (others are ranked again for their pairs), and likewise principal
    directions, up to 16 p min(n, p) bytes each. The concatenation of a list of layers, and clipped copies for metrics
    without a shared part, are held too. Those are mmd, one_to_one, soft_matching and metrics with further
    ``metric_options`` than the kind of neighbours or of dissimilarities, which are called pair by pair. CKA
    and its like go through one sweep of the Gram matrices of all layers, but those of linear kernels pair by pair, as
    one-pair calls with n > p + q do, where that costs less or there are over 5000 items: scores of the two ways differ
    by their rounding (of float32 products about 1e-8).

    Raises
    ------
    TypeError, ValueError
        Bad arguments, by name; ``Precomputed()`` with metrics that need rows. And see ``errors``: representations of
        different n (both are named); a zero row under cosine or l2, a constant row under the correlation of rsa, NaN or
        infinity, with the representation, layer and row.
    OSError
        See ``errors``: a file cannot be read.
    KeyboardInterrupt
        After Ctrl-C, as ever; once there is a score, its ``partial`` is the `Comparison` of what was scored, in which
        the others are nan, with the reason "interrupted" (in IPython ``sys.last_value.partial``).

    See Also
    --------
    Comparison : what it returns
    plan : the same in tasks, on other processes or machines
    kernalign.suite.load : comparisons described in a file, with claims and a report
    measure : one pair, one metric

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((200, 10))
    >>> early, late = x + 3 * rng.standard_normal(x.shape), x + 0.5 * rng.standard_normal(x.shape)
    >>> models = {"one": x, "two": np.stack([early, late], axis=1)}  # (items, layers, features)
    >>> found = ka.compare(models, metrics=("cka", "mutual_knn"), k=5)
    >>> found.scores["cka"]["one", "two"].round(1).tolist()
    [[0.1, 0.8]]
    >>> score, layers, p_value = found.best("cka")["one", "two"]
    >>> layers, p_value < 1e-9
    ((0, 1), True)
    """
    begun, given = time.perf_counter(), dict(locals())
    for name in ("xs", "ys", "progress"):
        given.pop(name)
    for name in ("metrics", "metric_options", "groups"):
        if given[name] is not None and type(given[name]) is not tuple:
            given[name] = relisted(given[name])
    run, settings = prepare(xs, ys, **given)
    with reporting(progress, "comparing") as report:
        return outcome(run, settings, report, begun)


def outcome(run: Run, settings: dict[str, Any], report: Report, begun: float) -> Comparison:
    """Finish a comparison that was prepared: make the states that its store lacks, and the scores. An interrupt takes
    along what was scored."""
    try:
        if run.shop.place is None:
            run.work(report)
        else:
            with run.copies:
                run.work(report)
    except KeyboardInterrupt as interrupt:
        if run.scored:
            settings[INTERRUPTED] = run.stop(INTERRUPTED)
            interrupt.partial = _result(run, settings, begun)  # type: ignore[attr-defined]
        raise
    return finished(run, settings, begun)


def prepared(xs: Mapping[str, Any], ys: Mapping[str, Any] | None, **options: Any) -> tuple[Run, dict[str, Any]]:
    """`prepare`, with the defaults of `compare`."""
    return prepare(xs, ys, **defaulted(xs, ys, **options))


def defaulted(xs: Any, ys: Any, **options: Any) -> dict[str, Any]:
    """Options of `compare` with its defaults, but for ``progress``."""
    bound = inspect.signature(compare).bind(xs, ys, **options)
    bound.apply_defaults()
    given = {name: value for name, value in bound.arguments.items() if name not in ("xs", "ys", "progress")}
    return {name: relisted(value) for name, value in given.items()}


def finished(run: Run, settings: dict[str, Any], begun: float) -> Comparison:
    """What was made as a value, and its warnings."""
    found = _result(run, settings, begun)
    run.caveats.warn()
    return found


def _result(run: Run, settings: dict[str, Any], begun: float) -> Comparison:
    seconds = time.perf_counter() - begun
    now = datetime.now(UTC).isoformat(timespec="seconds")
    provenance = {"kernalign": _core.build_info()["version"], "finished_at": now, "seconds": round(seconds, 3)}
    return run.result(settings, provenance)


def prepare(
    xs: Mapping[str, Any],
    ys: Mapping[str, Any] | None,
    *,
    metrics: Iterable[str] | Mapping[str, Any],
    k: int,
    normalize: Normalize,
    clip_quantile: float | None,
    layers: Literal["all", "best"],
    concatenated: bool,
    estimator: str | None,
    kernel: Kernels | None,
    metric_options: Mapping[str, Mapping[str, Any]] | None,
    p_values: PValues,
    uncertainty: bool,
    groups: Any,
    threads: int | None,
    device: str | None,
    errors: Literal["record", "raise"],
    pairing: Pairing,
    ids: Mapping[str, Any] | None,
    zero_rows: BadRows,
    nan_rows: BadRows,
    memory_budget: int | str | None,
) -> tuple[Run, dict[str, Any]]:
    """Check what `compare` was given and open it: the work to be done, and the settings of its result."""
    checks.check_choice(layers, "layers", ("all", "best"))
    place = on_device.check_device(device)
    checks.check_choice(errors, "errors", ("record", "raise"))
    checks.check_choice(pairing, "pairing", PAIRINGS)
    for bad, name in ((zero_rows, "zero_rows"), (nan_rows, "nan_rows")):
        checks.check_choice(bad, name, BAD_ROWS)
    for flag, name in ((concatenated, "concatenated"), (uncertainty, "uncertainty")):
        checks.check_flag(flag, name)
    k = checks.check_positive(k, "k")
    if isinstance(p_values, (bool, np.bool_)):
        p_values = bool(p_values)
    elif isinstance(p_values, (int, np.integer)):
        p_values = checks.integer(p_values, "p_values", _FEWEST)
    elif not (isinstance(p_values, str) and p_values == "permutation"):
        raise ValueError(
            f"p_values must be True, False, 'permutation' or a number of pairings, got {checks.shown(p_values)}"
        )
    names, called, own_options = _asked_for(metrics, metric_options)
    records = {name: registry.METRICS[called.get(name, name)] for name in names}
    if uncertainty:
        for name, record in records.items():
            method = record.uncertainty(own_options[name])
            if method is not None and not (record.takes("groups") and groups is not None):
                own_options[name].setdefault("uncertainty", method)
    kernels = _kernels(records, own_options, kernel, square=ys is None)
    square = isinstance(kernels[0], Precomputed), isinstance(kernels[1], Precomputed)
    triangles = "precomputed" in [own.get("distance") for own in own_options.values()]
    if triangles:
        _check_dissimilarities(records, own_options)
    if (triangles or True in square) and (normalize or clip_quantile is not None or concatenated):
        what = "distance='precomputed' takes dissimilarities" if triangles else "Precomputed() takes Gram matrices"
        raise ValueError(f"normalize, clip_quantile and concatenated apply to rows, but {what}")
    sides = {"xs": xs} if ys is None else {"xs": xs, "ys": ys}
    made_on, given = on_device.compared_on(sides, place), sides
    if made_on is not None or place is not None:  # what no state is made of is looked at on the CPU
        sides = {argument: on_device.downloaded_within(side) for argument, side in sides.items()}
    for own, (argument, side) in zip(kernels, list(sides.items()), strict=False):
        if isinstance(own, Delta) and isinstance(side, Mapping):
            sides[argument] = {name: as_indicators(one, f"{argument}[{name!r}]") for name, one in side.items()}
    rows = None
    if ids is not None or triangles or (pairing, zero_rows, nan_rows) != ("auto", "error", "error"):
        kinds = [record.undirected({"kernel": kernel, **own_options[name]}) for name, record in records.items()]
        shared: Undirected = "zero" if normalize == "l2" else ""
        x_kind, y_kind = (either(*found, shared) for found in zip(*kinds, strict=True))
        square = (True, True) if triangles else square
        rows = RowOptions(pairing, ids, zero_rows, nan_rows, (x_kind, y_kind), square, triangles)
    how: Any = {"normalize": normalize, "clip_quantile": clip_quantile, "concatenated": concatenated, "rows": rows}
    opened, kept, of_rows = open_representations(sides, **how, record=errors == "record")
    x, y = opened["xs"], opened["xs" if ys is None else "ys"]
    if ys is None and len(x) == 1 and layers == "best":
        raise ValueError("layers must be 'all' for a single representation: each of its layers is best with itself")
    n = _items((*x, *y))
    count = checks.check_threads(threads)
    options = {name: followed(own, kept or Kept(n)) if own else {} for name, own in own_options.items()}
    numbers = None
    if groups is not None:
        labels = group_numbers(groups, kept or Kept(n))
        numbers = tuple(labels.tolist())
        for name in names:
            if records[name].takes("groups"):
                options[name].setdefault("groups", numbers)
    asked = Asked(n, k, estimator, kernel, normalize, clip_quantile, options, called, numbers)
    plan = make_plan(names, asked, x, y, square=ys is None, mode=layers, p_values=p_values)
    what = f"what is kept of {len(plan.layers)} layers of {n} items"
    remedy = "fewer metrics or layers at a time take less"
    afford(what, plan.nbytes, budget_of(memory_budget), count, remedy)
    copies = None if made_on is None or kept is not None else _given_there(given, opened, made_on)
    run = Run(plan, x, y, count, record=errors == "record", place=made_on, copies=copies)
    settings = {
        "k": k,
        "estimator": estimator,
        "kernel": None if kernel is None else repr(kernel),
        "normalize": normalize,
        "clip_quantile": clip_quantile,
        "concatenated": concatenated,
        "p_values": p_values,
        "metric_options": {name: _plain(own) for name, own in own_options.items() if own},
        **({} if groups is None else {"groups": int(labels.max()) + 1}),
        **({} if made_on is None else {"device": f"cuda:{made_on}"}),
    }
    return run, settings | of_rows


def _given_there(
    given: Mapping[str, Any], opened: Mapping[str, Sequence[Representation]], place: int
) -> on_device.Copies:
    """The rows of layers that are on the device already."""
    found = on_device.Copies()
    for one in [one for side in opened.values() for one in side]:
        for at, (label, layer) in enumerate(one.opened.items()):
            if isinstance(layer, Layer):
                there = on_device.layer_within(given[layer.place.argument][one.name], label, at)
                if there is not None and on_device.place_of(there) == place:
                    found[id(layer.rows)] = layer.rows, on_device.over(there, layer.rows, place)
    return found


def _check_dissimilarities(records: Mapping[str, MetricInfo], options: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise unless all metrics take dissimilarities."""
    for name, record in records.items():
        if not record.takes_dissimilarities(options[name]):
            raise ValueError(f"{name} needs rows, but distance='precomputed' says that dissimilarities are given")


def _asked_for(metrics: Any, options: Any) -> tuple[list[str], dict[str, str], dict[str, dict[str, Any]]]:
    """What the metrics are called, their names where these are others, and the options of each."""
    options = {} if options is None else options
    if not isinstance(options, Mapping) or not all(isinstance(given, Mapping) for given in options.values()):
        raise TypeError(f"metric_options must be a dict of metric names and dicts, got {checks.shown(options)}")
    if not isinstance(metrics, Mapping):
        listed = checks.items(metrics, "metrics", "names or a dict of them")
        metrics = {registry.metric_name(name): name for name in listed}
        options = {registry.as_named(name): given for name, given in options.items()}
    given = dict(metrics)
    if not given:
        raise ValueError("metrics must hold at least one name")
    called: dict[str, str] = {}
    own: dict[str, dict[str, Any]] = {}
    for metric, what in given.items():
        name, more = what if isinstance(what, tuple) and len(what) == 2 else (what, None)
        name = registry.metric_name(name)
        record = registry.METRICS[name]
        if not isinstance(metric, str) or not metric or not (more is None or isinstance(more, Mapping)):
            told = f"{checks.shown(metric)}: {checks.shown(what)}"
            raise TypeError(f"metrics must be a dict of words and names or pairs (name, dict), got {told}")
        own[metric] = {**(more or {}), **options.get(metric, {})}
        if metric != name:
            called[metric] = name
        missing = set(record.needs) - set(own[metric])
        if missing:
            raise TypeError(f"{metric} needs metric_options={{{metric!r}: {{{min(missing)!r}: ...}}}}")
    for metric in options:
        if metric not in given:
            raise ValueError(f"metric_options is for {metric!r}, which is not among the metrics {', '.join(given)}")
    alike: dict[Any, str] = {}
    for metric in given if called else ():
        same = alike.setdefault((called.get(metric, metric), repr(sorted(own[metric].items()))), metric)
        if same != metric:
            raise ValueError(f"metrics must differ, but {same} and {metric} are the same with the same options")
    return list(given), called, own


def _kernels(
    records: Mapping[str, MetricInfo], options: Mapping[str, Mapping[str, Any]], kernel: Any, *, square: bool
) -> tuple[SideKernel, SideKernel]:
    """What both sides are given for: a kernel of rows, or the one of Gram matrices or labels that all metrics have."""
    if kernel is None and not any("kernel" in own for own in options.values()):
        return Linear(), Linear()
    common = kernels_of(Linear() if kernel is None else kernel)
    asked = {name: kernels_of(options[name].get("kernel", common)) for name in records if records[name].takes("kernel")}
    if square and any(repr(x) != repr(y) for x, y in (common, *asked.values())):
        raise ValueError(
            "kernel must be one for all where xs are compared with each other, got a pair of different ones"
        )
    found = []
    for at in (0, 1):
        given = next(
            (pair[at] for pair in (common, *asked.values()) if isinstance(pair[at], (Precomputed, Delta))), common[at]
        )
        check_given(given, [name for name in records if name not in asked or type(asked[name][at]) is not type(given)])
        found.append(given)
    return found[0], found[1]


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    known = (bool, int, float, str, type(None))
    return {key: value if isinstance(value, known) else str(value) for key, value in options.items()}


def _items(given: Iterable[Representation]) -> int:
    """How many rows all layers have that could be opened; raises if none could be."""
    opened = [one for representation in given for one in representation.opened.values()]
    for one in opened:
        if isinstance(one, Layer):
            return one.rows.shape[0]
    raise opened[0]  # type: ignore[misc]
