"""Comparison: the scores of many representations and layers, as a value that can be read, drawn, saved and loaded."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from kernalign._base import checks
from kernalign._base.files import atomic_write
from kernalign._base.frames import as_frame
from kernalign._base.score import AlignmentWarning
from kernalign._base.warn import warn
from kernalign.comparison import file, merging, tidy, words
from kernalign.comparison.best import Cells, Maximum, Nulls, best_of, maximum, method
from kernalign.comparison.plots.draw import draw
from kernalign.comparison.tables import Array, Best, Caveat, Input, Names, Reason, gathered, merged, pairs_of
from kernalign.metrics import registry
from kernalign.metrics.record import MetricInfo

if TYPE_CHECKING:
    from pandas import DataFrame

Table: TypeAlias = dict[Names, Array] | Array
Inputs: TypeAlias = Mapping[str, tuple[Input, ...]]  # of every layer


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """What `kernalign.compare` found.

    Attributes
    ----------
    metrics : what the metrics are called: their names, or the keys of the dict that was asked for
    n : number of items
    x_layers, y_layers : name of a representation -> labels of its layers
    square : one set was compared with itself
    mode : "all" or "best"
    scores, chance, chance_sd, p_values : metric -> table. In mode "all" a table is a dict {(x, y): (L_x, L_y) array};
        of a set with itself it has every pair once, in the order of the names, and both orders where the metric is not
        symmetric (where it is, either order may be asked for); of a single representation, the pair with itself. In
        mode "best" it is an array (X, Y), symmetric where the metric is, with nan on the diagonal of a set with itself;
        chance and p are those of a best of so many.
        nan: undefined, failed (see `reasons`) or not known.
        p_values (in mode "best" chance and chance_sd, too) are found when first read, saved or pickled; until then the
        layers are held.
    best_layers : mode "best": metric -> (X, Y, 2) places of the best layers, -1 where there is none; else empty
    intervals : mode "all", metrics whose options ask for uncertainty: metric -> {(x, y): (L_x, L_y, 3)}: standard
        error and the ends of a 95 % interval
    reasons : for each score that is nan a named tuple: metric, x, y, x_layer, y_layer (None where there is only one),
        status ("undefined": it does not exist for this input; "failed": the input cannot be read or scored) and text
    caveats : what makes numbers mean less than they seem to, as named tuples: kind, x, y, x_layer, y_layer, value, text
    notes : the same, one line for each kind of sentence
    names : metric -> its name in `kernalign.METRICS`, where it is called otherwise
    log10_p, p_methods : mode "all": tables of the decimal logarithms of p_values, which go on where numbers end, and of
        how they were found; else empty
    inputs : for xs and for ys: name -> (features, digest) of every layer
    provenance : version of kernalign, when the comparison was finished, and the seconds that it took
    settings : what was asked for

    See Also
    --------
    compare : makes it
    mantel_test, metric_agreement : of its tables

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((100, 5))
    >>> models = {name: x + rng.standard_normal(x.shape) for name in "abc"}
    >>> found = ka.compare(models, metrics=("cka",), layers="best")
    >>> found.scores["cka"].shape, found.x_names
    ((3, 3), ('a', 'b', 'c'))
    >>> [(row["x"], row["y"]) for row in found.rows()]
    [('a', 'b'), ('a', 'c'), ('b', 'c')]
    """

    metrics: tuple[str, ...]
    n: int
    x_layers: dict[str, tuple[str, ...]]
    y_layers: dict[str, tuple[str, ...]]
    square: bool
    mode: Literal["all", "best"]
    scores: Mapping[str, Table]
    chance: Mapping[str, Table]
    chance_sd: Mapping[str, Table]
    p_values: Mapping[str, Table]
    best_layers: dict[str, Array]
    reasons: tuple[Reason, ...]
    caveats: tuple[Caveat, ...]
    settings: dict[str, Any]
    nulls: Mapping[str, Nulls]
    intervals: Mapping[str, Mapping[Names, Array]] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    log10_p: Mapping[str, Table] = field(default_factory=dict)
    p_methods: Mapping[str, Table] = field(default_factory=dict)
    inputs: tuple[Inputs, Inputs] = field(default=({}, {}))
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(merged(self.caveats))

    @property
    def x_names(self) -> tuple[str, ...]:
        return tuple(self.x_layers)

    @property
    def y_names(self) -> tuple[str, ...]:
        return tuple(self.y_layers)

    def pairs(self, metric: str) -> list[Names]:
        """The pairs of names that were compared, in order; see `scores`."""
        self._check(metric)
        return pairs_of(self.x_names, self.y_names, self.square, self.record(metric).symmetric)

    def record(self, metric: str) -> MetricInfo:
        """What `kernalign.METRICS` knows of a metric, whatever it is called here."""
        self._check(metric)
        return registry.METRICS[self.names.get(metric, metric)]

    def best(self, metric: str) -> Best:
        """The best pair of layers for every pair of representations, and its chance level; so is ``found[metric]``.

        In mode "all" the null of the best score is simulated (`best.maximum`) when it is first read, which takes about
        draws * L_x * L_y * 20 ns for each pair of representations.
        """
        self._check(metric)
        tables: Any = self.scores, self.best_layers
        if self.mode == "best":
            score, layers = (table[metric] for table in tables)
        else:
            score, layers = self._best_of(metric)[:2]
        how = method(self.nulls, metric)
        return Best(metric, self.x_names, self.y_names, score, layers, how, partial(self._levels, metric))

    __getitem__ = best

    def _levels(self, metric: str, tested: bool) -> tuple[Array, ...]:
        """Chance, its spread and p of the best; of single layers without p unless that is asked for."""
        tables: Any = self.chance, self.chance_sd, self.p_values
        every = (*self.x_layers.values(), *self.y_layers.values())
        if not tested and self.mode == "all" and all(len(layers) == 1 for layers in every):
            return self._best_of(metric)[2:4]
        if self.mode == "best":
            return tuple(table[metric] for table in tables)
        null = self.nulls.get(metric)
        return self._gather(
            metric, lambda pair: maximum(self.record(metric), self._searched(metric, pair), null, pair, self.n)
        )[2:]

    def cells(self, metric: str, pair: Names) -> Cells:
        """Mode "all": scores, chance, chance_sd and p_values of one pair of names."""
        self._check(metric)
        if self.mode != "all":
            raise ValueError("cells are those of mode 'all': compare(..., layers='all')")
        named = isinstance(pair, tuple) and all(isinstance(one, str) for one in pair)
        if not named or pair not in self.scores[metric]:
            raise ValueError(
                f"pair must be two names that were compared, got {checks.shown(pair)}; see pairs({metric!r})"
            )
        return Cells(
            *(table[metric][pair] for table in (self.scores, self.chance, self.chance_sd, self.p_values))  # type: ignore[index]
        )

    def rows(self) -> Iterator[dict[str, Any]]:
        """One dict for every score, with the columns of ``kernalign.comparison.tidy`` whatever was compared.

        A number that is not known is nan, a word that does not apply None. A p_value is never 0: below 1e-307 only
        ``log10_p`` goes on. ``q_value`` is that of Benjamini and Hochberg among the scores of one metric.
        """
        return tidy.rows(self)

    @property
    def failed(self) -> bool:
        """Whether some score is missing because its input could not be read or scored."""
        return any(reason.status == "failed" for reason in self.reasons)

    def to_dict(self) -> dict[str, list[Any]]:
        """The rows column by column, as table libraries take them."""
        rows = list(self.rows())
        return {column: [row[column] for row in rows] for column in tidy.COLUMNS}

    def to_csv(self, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False) -> str | None:
        """The rows as CSV, in which what is not known is empty: the text, or None if it is written to ``path``, whole
        or not at all.

        Raises
        ------
        FileExistsError
            The file exists and ``overwrite`` is False.
        """
        text = tidy.as_csv(self.rows())
        checks.check_flag(overwrite, "overwrite")
        if path is None:
            return text
        with atomic_write(path, overwrite=overwrite) as file:
            file.write(text.encode())
        return None

    def to_dataframe(self) -> DataFrame:
        """The rows as a pandas table.

        Raises
        ------
        ImportError
            pandas is not installed.
        """
        return as_frame(self.rows(), "to_dataframe")

    def plot(
        self,
        metric: str,
        kind: Literal["heatmap", "layers", "map", "profile", "bars"] = "heatmap",
        *,
        x: str | None = None,
        y: str | None = None,
        ax: Any = None,
        order: Literal["cluster", "family", "score"] | None = None,
        families: Mapping[str, str] | None = None,
        significance: float | None = None,
        vmin: float | Literal["chance"] | None = None,
        vmax: float | Literal["max"] | None = None,
        cmap: Any = None,
        figsize: tuple[float, float] | None = None,
        title: str | None = None,
        differences: Mapping[Names, Any] | None = None,
        ceiling: float | tuple[float, float] | None = None,
    ) -> Any:
        """Draw the scores of one metric with matplotlib, and return the axes.

        Parameters
        ----------
        metric : what is drawn; of one that is not symmetric, from x to y, which an arrow says
        kind : ``"heatmap"``: best scores, representation by representation. ``"layers"``: scores of all layers of ``x``
            and ``y``. ``"profile"``: the same as lines along the layers of x (of y, where only those have several), one
            for each layer of the other, over the band of chance of single layers. ``"bars"``: best scores, with 95 %
            intervals where there are, and chance. ``"map"``: representations of one set as points whose distances are
            near -log score (classical scaling; its stress is Kruskal's first). Scores of layers need mode "all".
            Undefined scores are hatched cells in heat maps, crosses at the foot of profiles, and words in bars; a map
            needs every score. Of one representation, whose layers were compared, the heat map is that of the layers.
        x, y : names that choose what layers, profile and bars draw; left out, all that were compared
        ax : axes to draw in. None: those of a new figure, which is pyplot's where that is imported and in notebooks, so
            that it is shown there; else nothing holds it but its axes (``ax.figure.savefig``).
        order : of heat maps and bars: None, as given; "family", in blocks (usual with ``families``); "score", best
            first; "cluster" (heat maps), neighbours alike: average linkage of score differences
        families : name -> family, told by colour
        significance : false discovery rate (Benjamini and Hochberg), 0.05 say, at which heat maps cross out what is not
            above chance (this reads all p-values, which may take long), and ``differences`` are judged. None: no
            crosses, and 0.05
        vmin, vmax : ends of the colours, or of the axis of scores: numbers, "chance" (heat maps) and "max", the largest
            score. None: 0 and the largest possible score, so that two figures compare; of distances and metrics without
            bounds those of the data
        cmap, figsize, title : as matplotlib's, in place of the usual
        differences : bars: (name, name) -> `PairedDifference` of `compare_scores`, or its p-value, of every two bars;
            bars that share no letter differ
        ceiling : bars: the noise ceiling, a number or its two ends

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ImportError
            matplotlib is not installed.
        TypeError, ValueError
            An option that the kind does not read, or the comparison does not hold what it draws.
        """
        self._check(metric)
        given: dict[str, Any] = {"x": x, "y": y, "order": order, "families": families, "significance": significance}
        given |= {"vmin": vmin, "vmax": vmax, "cmap": cmap, "figsize": figsize, "title": title}
        return draw(self, metric, kind, ax, **given, differences=differences, ceiling=ceiling)

    def merge(self, other: Comparison) -> Comparison:
        """This comparison with the pairs of another one: what was added to a set need not be compared anew.

        ``compare(models).merge(compare(new, models))`` is ``compare(models | new)``, the pairs of new ones among
        themselves excepted, which are to be merged too. Both must be of the same items, metrics and options; of a pair
        that both have, this one's score stays. Neither of the two is changed.

        Raises
        ------
        TypeError, ValueError
            Not a Comparison; items, metrics or options differ, a name means different data, a pair is in neither.
        """
        checks.check_type(other, "other", Comparison, "a Comparison")
        found: Comparison = merging.merge(self, other)
        return found

    def distances(self, metric: str) -> Array:
        """-log of the best scores of a set with itself, as a symmetric matrix with a zero diagonal.

        Scores below 1 / (2 n k) count as that much (Huh et al. 2024): -log of 0 is no distance.

        Warns
        -----
        AlignmentWarning
            Of how many pairs the score was raised so; unrelated representations are then all equally far apart.

        Raises
        ------
        ValueError
            Two sets were compared, the metric is a distance itself, or a score is undefined.
        """
        self._check(metric)
        if not self.square or not self.record(metric).larger_is_closer:
            raise ValueError("distances are made of similarities of one set with itself (ys=None)")
        score = self.largest(metric)
        off = ~np.eye(len(score), dtype=bool)
        if np.isnan(score[off]).any():
            raise ValueError(f"distances need every score of {metric}, but some are undefined; see reasons")
        least = 1 / (2 * self.n * self.settings["k"])
        raised = (int((score[off] < least).sum()) + 1) // 2
        if raised:
            count = len(score) * (len(score) - 1) // 2
            text = f"{metric} of {raised} of {count} pairs is below 1 / (2 n k) = {least:.3g}, which stands in for it"
            warn(f"{text}: -log of 0 is no distance", AlignmentWarning)
        apart = np.zeros_like(score)
        apart[off] = -np.log(np.clip(score[off], least, 1.0))
        return np.asarray((apart + apart.T) / 2)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write to ``path``: whole or not at all, checksummed, without pickle.

        Raises
        ------
        FileExistsError
            The file exists and ``overwrite`` is False.
        """
        file.save(self, path, overwrite=overwrite)

    @staticmethod
    def load(path: str | os.PathLike[str]) -> Comparison:
        """Read a comparison written by `save`.

        Raises
        ------
        ValueError
            The file is not a whole, unchanged comparison of this format version.
        """
        return file.load(path, Comparison)

    def __repr__(self) -> str:
        return words.line(self)

    def __str__(self) -> str:
        return words.lines(self)

    def _repr_html_(self) -> str:
        return words.page(self)

    def largest(self, metric: str) -> Array:
        """Best scores (X, Y), without their chance level."""
        self._check(metric)
        if self.mode == "best":
            scores: Any = self.scores[metric]
            return np.asarray(scores)
        return self._best_of(metric)[0]

    def _best_of(self, metric: str) -> tuple[Array, ...]:
        return self._gather(metric, lambda pair: best_of(self.record(metric), self._untested(metric, pair)))

    def _searched(self, metric: str, pair: Names) -> Cells:
        """The cells; p-values only of a single pair of layers, whose null is that of the best."""
        cells = self._untested(metric, pair)
        return self.cells(metric, pair) if cells.score.size == 1 else cells

    def _untested(self, metric: str, pair: Names) -> Cells:
        tables: Any = self.scores, self.chance, self.chance_sd
        score, chance, chance_sd = (table[metric][pair] for table in tables)
        return Cells(score, chance, chance_sd, np.full_like(score, np.nan))

    def _gather(self, metric: str, find: Callable[[Names], Maximum]) -> tuple[Array, ...]:
        found = {pair: find(pair) for pair in self.pairs(metric) if not self.square or pair[0] != pair[1]}
        return gathered(found, self.x_names, self.y_names, self.square and self.record(metric).symmetric)

    def _check(self, metric: str) -> None:
        checks.check_choice(metric, "metric", self.metrics)
