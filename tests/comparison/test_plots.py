"""Plots of a comparison: axes in, axes out, the numbers that are drawn, and what is said of them."""

from __future__ import annotations

import itertools
import subprocess
import sys
import warnings

import kernalign as ka
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernalign.comparison.plots.bars import shared_groups
from kernalign.comparison.plots.look import by_family, clustered
from layered_samples import layered, models
from scipy.cluster import hierarchy

matplotlib = pytest.importorskip("matplotlib")
METRICS = ("cka", "mutual_knn", "cycle_knn", "hsic")


@pytest.fixture(scope="module")
def every():
    return ka.compare(models(), metrics=METRICS, k=5, concatenated=True)


@pytest.fixture(scope="module")
def best():
    return ka.compare(models(), metrics=METRICS, k=5, layers="best")


@pytest.fixture(scope="module")
def two_sets():
    return ka.compare({"a": layered(3, 7, 1)}, {"b": layered(2, 6, 2)}, k=5)


@pytest.fixture(scope="module")
def many():
    """Ten models of two families, whose rows are in turns, and one that is unrelated."""
    rng = np.random.default_rng(0)
    of_family = rng.normal(size=(2, 60, 4))
    found = {f"m{i}": of_family[i % 2] @ rng.normal(size=(4, 9)) + rng.normal(size=(60, 9)) for i in range(10)}
    found["alone"] = rng.normal(size=(60, 9))
    return ka.compare(found, metrics=("cka", "cycle_knn"), k=5)


FAMILIES = {f"m{i}": ("even", "odd")[i % 2] for i in range(10)}


def marked(ax, gid):
    return [artist for artist in ax.get_children() if artist.get_gid() == gid]


def shown(ax):
    return ax.images[0].get_array()


def names(axis):
    return [tick.get_text() for tick in axis.get_ticklabels()]


# Heat maps


def test_heat_map_marks_the_chance_level(best):
    ax = best.plot("mutual_knn")
    [bar] = ax.child_axes
    np.testing.assert_array_equal(shown(ax).filled(np.nan), best.scores["mutual_knn"])
    level = np.nanmean(best.chance["mutual_knn"])
    [line] = marked(bar, "chance")
    assert list(line.get_ydata()) == [pytest.approx(level)] * 2
    assert f"chance {level:.3g}" in bar.get_title(loc="left")
    assert names(ax.yaxis) == names(ax.xaxis) == ["a", "b", "c"]


def test_heat_map_without_a_known_chance_level(best):
    [bar] = best.plot("hsic").child_axes
    assert not marked(bar, "chance")
    with pytest.raises(ValueError, match="vmin='chance' needs a chance level, and that of hsic is not known"):
        best.plot("hsic", vmin="chance")


def test_colours_are_those_of_the_whole_range_so_that_figures_compare(every, many):
    for found in (every, many):
        assert found.plot("cka").images[0].get_clim() == (0, 1)
    scores = many.best("cka")
    low, high = np.nanmean(scores.chance), np.nanmax(scores.score)
    assert many.plot("cka", vmin="chance", vmax="max").images[0].get_clim() == (low, high)
    assert many.plot("cka", vmin=0.2, vmax=0.7).images[0].get_clim() == (0.2, 0.7)
    hsic = every.largest("hsic")
    assert every.plot("hsic").images[0].get_clim() == (np.nanmin(hsic), np.nanmax(hsic))
    distances = ka.compare(models(), metrics=("procrustes",), layers="best")
    image = distances.plot("procrustes").images[0]
    assert image.get_clim() == (0, np.nanmax(distances.scores["procrustes"]))
    assert image.get_cmap().name == "viridis_r"  # near is bright, as elsewhere
    assert many.plot("cka", cmap="magma", title="Mine", figsize=(3, 2)).figure.get_size_inches().tolist() == [3, 2]


def test_scores_that_the_colours_do_not_reach_are_said(many):
    [bar] = many.plot("cka", vmin=0.3, vmax=0.4).child_axes
    assert bar._colorbar.extend == "both"


def test_orders(many):
    order = names(many.plot("cka", order="family", families=FAMILIES).yaxis)
    assert order == [f"m{i}" for i in (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)] + ["alone"]
    ax = many.plot("cka", order="cluster")
    order = names(ax.yaxis)
    assert names(ax.xaxis) == order
    parts = ["".join("e" if int(name[1:]) % 2 == 0 else "o" for name in order if name != "alone")]
    assert parts[0] in ("eeeeeooooo", "oooooeeeee")
    at = [many.x_names.index(name) for name in order]
    np.testing.assert_array_equal(shown(ax).filled(np.nan), many.largest("cka")[np.ix_(at, at)])
    scores = [
        np.nanmean(many.largest("cka")[many.x_names.index(n)]) for n in names(many.plot("cka", order="score").yaxis)
    ]
    assert scores == sorted(scores, reverse=True)


def test_clusters_are_leaves_of_average_linkage():
    rng = np.random.default_rng(3)
    points = rng.normal(size=(9, 2))
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    order = clustered(apart)
    linked = hierarchy.linkage(apart[np.triu_indices(9, 1)], "average")
    for cut in range(2, 6):  # every cluster of the tree is one block
        labels = hierarchy.fcluster(linked, cut, "maxclust")[order]
        assert len([1 for a, b in itertools.pairwise(labels) if a != b]) == len(set(labels)) - 1
    assert by_family(["a", "b", "c", "d"], {"a": "x", "c": "x", "d": "y"}) == [0, 2, 3, 1]


def test_families_are_strips_with_a_legend(many):
    ax = many.plot("cka", families=FAMILIES)
    assert len(marked(ax, "family")) == 22
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["even", "odd", "other"]
    assert ax.get_xlim() == (-0.5, 10.5)
    assert ax.get_ylim() == (10.5, -0.5)


def test_what_is_not_above_chance_is_crossed_out(many):
    ax = many.plot("cka", significance=0.01)
    table = many.best("cka")
    q = ka.false_discovery(table.p_value)
    weak = {(i, j) for i, j in np.argwhere(q >= 0.01)}
    assert any(10 in at for at in weak)
    crossed = {(round(y - 0.32), round(x)) for line in marked(ax, "weak") for x, y in line.get_xydata()}
    assert crossed == weak
    assert ax.get_title().endswith("×: q ≥ 0.01")
    assert not marked(many.plot("cka"), "weak")


def test_no_p_value_is_found_for_a_plot_that_shows_none(monkeypatch):
    found = ka.compare({"a": layered(1, 7, 1)[:, 0], "b": layered(1, 6, 2)[:, 0]}, metrics=("cycle_knn",), k=5)
    asked = []
    monkeypatch.setattr(type(found.p_values), "__getitem__", lambda self, name: asked.append(name))
    found.plot("cycle_knn")
    assert asked == []


def test_an_arrow_where_the_order_matters(every, many):
    assert many.plot("cycle_knn").get_title().startswith("cycle_knn (row → column)\n")
    assert every.plot("cycle_knn", "layers", x="a", y="b").get_title().startswith("cycle_knn (a → b)\n")
    assert many.plot("cka").get_title().startswith("cka\n")
    bars = every.plot("cycle_knn", "bars")
    assert names(bars.yaxis)[0] == "a → b"
    assert names(every.plot("cka", "bars").yaxis)[0] == "a × b"


def hatched(ax):
    """The cells (row, column) that are marked as undefined."""
    assert ax.get_title().endswith("hatched: undefined") == bool(ax.collections)
    corners = [path.get_extents().min for marks in ax.collections for path in marks.get_paths()]
    return sorted((round(up + 0.5), round(across + 0.5)) for across, up in corners)


@pytest.mark.parametrize("mode", ["all", "best"])
def test_undefined_scores_are_hatched(mode, best, tmp_path):
    xs = {"a": np.ones((30, 4)), "b": layered(2, 4, 1, n=30), "c": np.ones((30, 3))}
    with pytest.warns(ka.AlignmentWarning):
        found = ka.compare(xs, metrics=("cka", "mutual_knn"), layers=mode, normalize="l2")
    ax = found.plot("cka", order="cluster")  # no score at all: no colours, so no colour bar
    assert ax.child_axes == []
    assert hatched(ax) == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]
    ax.figure.savefig(tmp_path / "x.png")
    ax = found.plot("mutual_knn")
    assert len(ax.child_axes) == 1
    assert hatched(ax) == []
    xs["d"] = layered(1, 5, 3, n=30)
    with pytest.warns(ka.AlignmentWarning):
        ax = ka.compare(xs, metrics=("cka",), layers=mode).plot("cka")
    assert len(ax.child_axes) == 1
    assert set(hatched(ax)) == {(i, j) for i in range(4) for j in range(4) if i != j} - {(1, 3), (3, 1)}
    assert hatched(best.plot("cka")) == []


def test_undefined_layers_are_hatched():
    x = layered(3, 4, 1, n=30)
    x[:, 1] = 1.0
    with pytest.warns(ka.AlignmentWarning):
        found = ka.compare({"a": x}, {"b": layered(2, 4, 2, n=30)}, metrics=("cka",))
    assert hatched(found.plot("cka", "layers")) == [(1, 0), (1, 1)]
    ax = found.plot("cka", "profile")
    assert [tuple(one.get_xdata()) for one in marked(ax, "undefined")] == [(1,)]
    assert "undefined" in [text.get_text() for text in ax.get_legend().get_texts()]


def test_undefined_bars_say_so():
    xs = {"a": layered(1, 4, 1, n=30), "b": np.ones((30, 4)), "c": layered(1, 4, 2, n=30)}
    with pytest.warns(ka.AlignmentWarning):
        ax = ka.compare(xs, metrics=("cka",)).plot("cka", "bars")
    told = marked(ax, "undefined")
    assert [(one.get_text(), names(ax.yaxis)[int(one.xy[1])]) for one in told] == [
        ("undefined", "a × b"),
        ("undefined", "b × c"),
    ]


def test_one_representation_is_drawn_by_its_layers():
    found = ka.compare({"a": layered(3, 4, 1, n=30)}, metrics=("cka",))
    np.testing.assert_array_equal(shown(found.plot("cka")), found.scores["cka"]["a", "a"])
    with pytest.raises(ValueError, match="a alone was compared: kind='layers'"):
        found.plot("cka", "bars")


def test_layers_of_one_pair(every, best, two_sets):
    ax = every.plot("cka", "layers", x="a", y="b")
    scores = every.scores["cka"]["a", "b"]
    np.testing.assert_array_equal(np.asarray(shown(ax)), scores)
    assert names(ax.xaxis) == ["0", "1", "2", "concatenated"]
    [frame] = marked(ax, "best")
    assert np.add(frame.get_xy()[::-1], 0.5).tolist() == list(np.unravel_index(scores.argmax(), scores.shape))
    turned = every.plot("cka", "layers", x="b", y="a")
    np.testing.assert_array_equal(np.asarray(shown(turned)), scores.T)
    assert two_sets.plot("cka", "layers").get_ylabel() == "a, layer"
    with pytest.raises(ValueError, match="must choose one pair of names, got 'a' and None; compared were a × b"):
        every.plot("cka", "layers", x="a")
    with pytest.raises(ValueError, match="x and y must choose pairs that were compared, got 'a' and 'a'"):
        every.plot("cka", "layers", x="a", y="a")
    with pytest.raises(ValueError, match="needs the scores of all layers"):
        best.plot("cka", "layers", x="a", y="b")


@pytest.mark.parametrize("count", [2, 12, 24, 78])
def test_labels_of_many_models_are_legible(count):
    rng = np.random.default_rng(0)
    given = {f"a model of some size {i}": rng.normal(size=(12, 3)) for i in range(count)}
    found = ka.compare(given, metrics=("nbs",), p_values=False)
    ax = found.plot("nbs")
    ticks = ax.get_xticklabels()
    assert len(ticks) == len(ax.get_yticklabels()) == count
    assert min(tick.get_fontsize() for tick in ticks) >= 5
    assert {tick.get_ha() for tick in ticks} == {"right"}
    ax.figure.draw_without_rendering()
    for axis in (ax.get_xticklabels(), ax.get_yticklabels()):
        boxes = [tick.get_window_extent() for tick in axis]
        assert all(box.x0 >= 0 and box.y0 >= 0 for box in boxes)  # none is cut
    edges = [box.y0 for box in boxes]
    gaps = -np.diff(edges) if count > 1 else np.array([99.0])
    assert gaps.min() >= 0.85 * max(tick.get_fontsize() for tick in ax.get_yticklabels()) * ax.figure.dpi / 72


def test_few_labels_where_there_is_little_room():
    rng = np.random.default_rng(0)
    found = ka.compare({f"m{i}": rng.normal(size=(12, 3)) for i in range(60)}, metrics=("nbs",), p_values=False)
    ax = matplotlib.figure.Figure(figsize=(2.5, 2)).add_subplot()
    found.plot("nbs", ax=ax)
    assert 5 < len(ax.get_yticklabels()) < 30


# Maps


def test_map_places_representations(best, two_sets):
    ax = best.plot("cka", "map")
    points = np.asarray(ax.collections[0].get_offsets())
    between = np.linalg.norm(points[:, None] - points[None], axis=2)
    distances = best.distances("cka")
    if distances[0, 1] + distances[1, 2] >= distances[0, 2]:  # three points that are a triangle fit in the plane
        np.testing.assert_allclose(between, distances, atol=1e-9)
    off = np.triu_indices(3, 1)
    stress = np.sqrt(((between - distances)[off] ** 2).sum() / (distances[off] ** 2).sum())
    assert ax.get_title().endswith(f"stress {stress:.2f}")
    assert sorted(text.get_text() for text in ax.texts) == ["a", "b", "c"]
    with pytest.raises(ValueError, match="of one set with itself"):
        two_sets.plot("cka", "map")


@pytest.mark.parametrize("count", [2, 12, 24, 78])
def test_names_of_a_map_cover_neither_dots_nor_each_other(count):
    rng = np.random.default_rng(count)
    base = rng.normal(size=(40, 5))
    given = {f"model number {i}": base + 0.3 * rng.normal(size=(40, 5)) for i in range(count)}
    ax = ka.compare(given, metrics=("nbs",), p_values=False).plot("nbs", "map")
    ax.figure.draw_without_rendering()
    renderer = ax.figure._get_renderer()
    boxes = np.array([matplotlib.text.Text.get_window_extent(text, renderer).extents for text in ax.texts])
    sides = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:]) - np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    overlap = np.triu(np.clip(sides, 0, None).prod(axis=2), 1)
    assert overlap.max() <= 0.1 * np.prod(boxes[0, 2:] - boxes[0, :2])
    dots = ax.transData.transform(ax.collections[0].get_offsets())
    inside = ((dots[:, None] > boxes[None, :, :2]) & (dots[:, None] < boxes[None, :, 2:])).all(axis=2)
    assert inside.sum() == 0


# Profiles


def test_profiles_are_lines_over_the_band_of_chance(every, two_sets):
    ax = every.plot("cka", "profile", x="a", y="b")
    scores, chance, sd = (table["cka"]["a", "b"] for table in (every.scores, every.chance, every.chance_sd))
    assert len(ax.lines) == scores.shape[1]
    for layer, line in enumerate(ax.lines):
        np.testing.assert_array_equal(line.get_ydata(), scores[:, layer])
    [band] = marked(ax, "chance")
    ends = band.get_paths()[0].vertices[:, 1]
    assert ends.min() == pytest.approx((chance - 1.96 * sd).min())
    assert ends.max() == pytest.approx((chance + 1.96 * sd).max())
    assert names(ax.xaxis) == list(every.x_layers["a"])
    assert ax.get_ylim()[1] == 1
    turned = every.plot("cka", "profile", x="b", y="a")
    np.testing.assert_array_equal(turned.lines[0].get_ydata(), scores[0])
    several = every.plot("cka", "profile", y="a", vmin=-0.1, vmax=0.8, families={"b": "F"})
    assert len(several.lines) == every.scores["cka"]["a", "b"].shape[0] * 2
    assert several.get_ylim() == (-0.1, 0.8)
    assert two_sets.plot("mutual_knn", "profile", vmax="max").get_ylim()[1] < 1
    with pytest.raises(ValueError, match="vmin must be a number, got 'chance'"):
        every.plot("cka", "profile", x="a", y="b", vmin="chance")


def test_models_of_other_depths_share_relative_depth():
    found = ka.compare({"a": layered(3, 7, 1), "b": layered(5, 6, 2)}, {"y": layered(1, 5, 3)}, k=5)
    ax = found.plot("cka", "profile")
    assert [line.get_xdata().tolist() for line in ax.lines] == [[0, 0.5, 1], [0, 0.25, 0.5, 0.75, 1]]
    assert ax.get_xlabel() == "relative depth in x"


def test_profiles_of_many_layers_have_a_colour_bar():
    found = ka.compare({"a": layered(3, 7, 1)}, {"b": layered(14, 4, 2)}, metrics=("cka",))
    ax = found.plot("cka", "profile")
    assert len(ax.lines) == 14
    assert len(ax.child_axes) == 1


def test_profiles_say_of_how_many_they_are_and_leave_room_for_labels(every):
    ax = every.plot("cka", "profile")
    assert f"{len(every.x_names)} representations" in ax.get_title()
    deep = ka.compare({"m": layered(30, 4, 1)}, metrics=("cka",)).plot("cka", "profile")
    deep.figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in deep.get_xticklabels()]
    assert all(left.x1 + 1 < right.x0 for left, right in itertools.pairwise(boxes))


def test_a_single_pair_has_both_names(two_sets):
    assert names(two_sets.plot("cka", "bars").yaxis) == ["a × b"]


# Bars


@pytest.fixture(scope="module")
def against():
    rng = np.random.default_rng(1)
    y = rng.normal(size=(80, 5))
    xs = {f"m{i}": y @ rng.normal(size=(5, 6)) + (0.4 + i) * rng.normal(size=(80, 6)) for i in range(5)}
    found = ka.compare(xs, {"brain": y}, metrics=("cka",), uncertainty=True)
    tests = {(a, b): ka.compare_scores("cka", xs[a], xs[b], y) for a, b in itertools.combinations(xs, 2)}
    return found, tests


def bars(ax):
    [scores] = [one for one in ax.containers if getattr(one, "patches", None) and one[0].get_gid() != "chance"]
    return [bar.get_width() for bar in scores]


def test_bars_show_errors_chance_and_the_ceiling(against):
    found, _ = against
    ax = found.plot("cka", "bars", ceiling=(0.9, 0.95))
    scores = [found.scores["cka"][pair][0, 0] for pair in found.pairs("cka")]
    assert bars(ax) == scores
    assert names(ax.yaxis) == ["m0", "m1", "m2", "m3", "m4"]
    [spread] = [one for one in ax.containers if one.get_label().startswith("_") and not getattr(one, "patches", None)]
    ends = np.array([segment[:, 0] for segment in spread[2][0].get_segments()])
    np.testing.assert_allclose(ends, [found.intervals["cka"][pair][0, 0, 1:] for pair in found.pairs("cka")])
    [ceiling] = marked(ax, "ceiling")
    assert ceiling.get_extents().transformed(ax.transData.inverted()).intervalx.tolist() == pytest.approx([0.9, 0.95])
    assert marked(ax, "chance")
    assert ax.get_xlim()[1] == 1
    order = bars(found.plot("cka", "bars", order="score"))
    assert order == sorted(scores, reverse=True)
    assert marked(found.plot("cka", "bars", ceiling=0.9), "ceiling")


def test_letters_say_which_bars_differ(against):
    found, tests = against
    ax = found.plot("cka", "bars", differences=tests, significance=0.01)
    letters = [text.get_text() for text in marked(ax, "letters")]
    pairs = list(itertools.combinations(range(5), 2))
    q = ka.false_discovery([tests[f"m{i}", f"m{j}"].p_value for i, j in pairs])
    assert 0 < (q < 0.01).sum() < len(q)
    for (i, j), one in zip(pairs, q, strict=True):
        assert bool(set(letters[i]) & set(letters[j])) == (one >= 0.01)
    assert "q ≥ 0.01" in ax.get_title()
    numbers = {pair: one.p_value for pair, one in tests.items()}
    again = found.plot("cka", "bars", differences=numbers, significance=0.01)
    assert [text.get_text() for text in marked(again, "letters")] == letters
    del numbers["m0", "m3"]
    with pytest.raises(ValueError, match="differences must hold every pair of bars, but 'm0' and 'm3' are missing"):
        found.plot("cka", "bars", differences=numbers)
    with pytest.raises(TypeError, match="differences must be a dict of pairs of names and p-values, got 3"):
        found.plot("cka", "bars", differences=3)
    with pytest.raises(ValueError, match="order must be 'score' or 'family' for kind='bars', got 'cluster'"):
        found.plot("cka", "bars", order="cluster")


@given(st.sets(st.tuples(st.integers(0, 6), st.integers(0, 6)).filter(lambda pair: pair[0] < pair[1])))
def test_two_bars_share_a_group_unless_they_differ(differ):
    groups = shared_groups(7, sorted(differ))
    for pair in itertools.combinations(range(7), 2):
        assert any(set(pair) <= group for group in groups) == (pair not in differ)
    assert set().union(*groups) == set(range(7))
    assert not any(one < other for one in groups for other in groups)


def test_many_bars_say_how_many_they_exceed():
    rng = np.random.default_rng(1)
    y = rng.normal(size=(30, 4))
    xs = {f"m{i}": y + (0.2 + i) * rng.normal(size=(30, 4)) for i in range(14)}
    found = ka.compare(xs, {"y": y}, metrics=("cka",))
    p = dict.fromkeys(itertools.combinations(xs, 2), 1.0) | {("m0", "m13"): 1e-9, ("m0", "m12"): 1e-9}
    ax = found.plot("cka", "bars", differences=p)
    assert [text.get_text() for text in marked(ax, "letters")] == ["2"] + [""] * 13


# Axes and figures


def test_plots_are_drawn_into_given_axes_and_saved(best, tmp_path):
    figure = matplotlib.figure.Figure()
    axes = figure.subplots(1, 2)
    for metric, ax in zip(("cka", "mutual_knn"), axes, strict=True):
        assert best.plot(metric, ax=ax) is ax
    for suffix, magic in ((".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml")):
        figure.savefig(tmp_path / f"two{suffix}")
        assert (tmp_path / f"two{suffix}").read_bytes().startswith(magic)


def test_bars_that_cannot_be_drawn_are_refused(many, monkeypatch):
    one, two = many.x_names[:2]
    for options, words in (
        ({"order": "cluster"}, "order must be 'score' or 'family' for kind='bars', got 'cluster'"),
        ({"x": one, "differences": [0.1]}, "differences must be a dict of pairs of names and p-values, got"),
    ):
        with pytest.raises((ValueError, TypeError), match=words):
            many.plot("cka", "bars", **options)
    families = {name: "ab"[name != two] for name in many.x_names}
    plain, ordered = (
        names(many.plot("cka", "bars", x=one, **order).yaxis)
        for order in ({}, {"order": "family", "families": families})
    )
    assert ordered == [two, *(name for name in plain if name != two)]
    assert many.plot("cka", "bars", x=one, vmin=-0.5, vmax=2.0).get_xlim() == (-0.5, 2.0)
    monkeypatch.setattr("kernalign.comparison.plots.bars._MOST", 1)
    with pytest.raises(ValueError, match="kind='bars' draws up to 1 bars, but x and y choose"):
        many.plot("cka", "bars")


def test_what_a_kind_does_not_read_is_refused(best):
    with pytest.raises(ValueError, match="kind must be 'heatmap', 'layers', 'map', 'profile' or 'bars', got 'pie'"):
        best.plot("cka", "pie")
    with pytest.raises(ValueError, match="x must be left out for kind='heatmap', which does not read it"):
        best.plot("cka", x="a")
    with pytest.raises(ValueError, match="order='family' needs families"):
        best.plot("cka", order="family")
    with pytest.raises(TypeError, match="ax must be matplotlib axes or None, got 3"):
        best.plot("cka", ax=3)
    with pytest.raises(ValueError, match=r"significance must be in \(0, 1\), got 2"):
        best.plot("cka", significance=2)
    with pytest.raises(ValueError, match="vmax must be a number or 'max', got 'most'"):
        best.plot("cka", vmax="most")
    with pytest.raises(TypeError, match="families must be a dict"):
        best.plot("cka", families=["a"])


def test_names_are_text_in_plots(tmp_path):
    """Neither formulas, nor hidden from legends, nor lines, nor longer than a figure."""
    rng = np.random.default_rng(0)
    evil = ["$\\frac{a}$", "_hidden", "two\nlines", "x" * 300, "a%b&c", "\u202eevil"]
    given = {name: rng.normal(size=(20, 3)) for name in evil}
    found = ka.compare(given, metrics=("nbs",), p_values=False)
    families = dict(zip(evil, ["$x$", "_f", "g\nh", "i", "j", "k"], strict=True))
    against = ka.compare(given, {"$y$": rng.normal(size=(20, 3))}, metrics=("nbs",), p_values=False)
    drawn = [found.plot("nbs", families=families), found.plot("nbs", "map", families=families)]
    drawn += [against.plot("nbs", kind, families=families) for kind in ("bars", "profile")]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for ax in drawn:
            ax.figure.savefig(tmp_path / "x.svg")
            texts = [text.get_text() for text in ax.get_legend().get_texts()]
            assert len(texts) == 6
    ticks = names(drawn[0].yaxis)
    assert ticks[0] == evil[0]
    assert ticks[2] == "two lines"
    assert len(ticks[3]) < 40
    assert ticks[5] == "\\u202eevil"


SCRIPT = """
import sys
import numpy as np, kernalign as ka
rng = np.random.default_rng(0)
found = ka.compare({name: rng.normal(size=(20, 3)) for name in "abc"}, metrics=("nbs",), p_values=False)
"""


@pytest.mark.parametrize(
    "code",
    [
        # Nobody's figure where pyplot is not in use: nothing is imported, nothing is held
        "ax = found.plot('nbs'); assert 'matplotlib.pyplot' not in sys.modules; assert ax.figure.number_is_none()",
        # pyplot's where it is, once, and gone again where drawing fails
        "import matplotlib; matplotlib.use('Agg'); import matplotlib.pyplot as plt\n"
        "ax = found.plot('nbs'); assert plt.get_fignums() == [ax.figure.number]; assert plt.gca() is ax\n"
        "found.plot('nbs', ax=plt.figure().add_subplot()); assert len(plt.get_fignums()) == 2\n"
        "try:\n    found.plot('nbs', cmap='no such')\nexcept ValueError:\n    pass\n"
        "assert len(plt.get_fignums()) == 2",
    ],
    ids=["without pyplot", "with pyplot"],
)
def test_figures_are_registered_where_pyplot_is_in_use(code):
    code = code.replace("ax.figure.number_is_none()", "not hasattr(ax.figure, 'number')")
    done = subprocess.run([sys.executable, "-c", SCRIPT + code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_profiles_run_along_the_side_that_has_layers():
    """Areas of one table each beside a model with layers."""
    areas, model = {name: layered(1, 6, at) for at, name in enumerate("ab")}, layered(4, 5, 9)
    ax = ka.compare(areas, {"model": model}, metrics=("cka",)).plot("cka", "profile")
    other = ka.compare({"model": model}, areas, metrics=("cka",))
    assert ax.get_xlabel() == "layer of model"
    drawn = [line.get_ydata() for line in ax.lines if line.get_gid() is None]
    np.testing.assert_allclose(drawn, [other.scores["cka"]["model", name][:, 0] for name in "ab"], rtol=1e-12)
    assert [text.get_text() for text in ax.get_legend().get_texts()][:2] == ["a", "b"]
