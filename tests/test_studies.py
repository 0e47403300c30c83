"""The studies: their numbers against oracles, and words that follow from the numbers, whichever way these point."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from kernalign import pmi  # noqa: E402

from bench.studies import asked, caveats, cka_and_stitching, colour, gpu_roofline, labelled, stitched_pairs  # noqa: E402

MAPS = ("ridge", "affine", "procrustes", "low_rank")
NAMES = ("dinov2s_block09_cls", "mpnet_l12", "glove50")


def real_task():
    """Real representations, and classes by the thirds of the captions' first principal component."""
    given = labelled.representations(ROOT / "tests" / "data" / "clipart_small.npz", NAMES)
    captions = given["mpnet_l12"] - given["mpnet_l12"].mean(axis=0)
    first = np.linalg.svd(captions, full_matrices=False)[0][:, 0]
    thirds = np.searchsorted(np.quantile(first, [1 / 3, 2 / 3]), first)
    return given, labelled.task_of("thirds", [f"class {third}" for third in thirds], 5, "thirds")


@pytest.fixture(scope="module")
def real_pairs():
    given, task = real_task()
    return given, task, list(stitched_pairs.measure(given, [task]))


def test_real_pairs_agree_with_numpy(real_pairs):
    given, task, pairs = real_pairs
    assert len(pairs) == 6
    for pair in pairs:
        x, y = (given[name] - given[name].mean(axis=0) for name in (pair.source, pair.target))
        off = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
        assert pair.misalignment == pytest.approx((off**2).sum() / (y**2).sum(), rel=1e-8)
        eta1, eta2 = (np.linalg.svd(side, compute_uv=False) ** 2 for side in (x, y))
        biased = ((x.T @ y) ** 2).sum() / np.linalg.norm(eta1) / np.linalg.norm(eta2)
        promised = biased * pair.source_flatness / np.sqrt(pair.target_participation)
        assert pair.promised == pytest.approx(promised, rel=1e-8)
        assert pair.promised <= 1 - pair.misalignment
        assert pair.misalignment < pair.misalignment_cv
        assert pair.stitched_risk <= pair.bound
        assert pair.stitched_risk_cv <= pair.bound_cv
        counts = np.unique(task.labels, return_counts=True)[1] / len(task.labels)
        assert pair.constant == pytest.approx(1 - (counts**2).sum())
        commonest = np.unique(task.labels[~task.test], return_counts=True)
        assert pair.chance == (task.labels[task.test] == commonest[0][commonest[1].argmax()]).mean()


def test_pairs_have_one_cka_and_two_stitchings(real_pairs):
    _, _, pairs = real_pairs
    found = {(pair.source, pair.target): pair for pair in pairs}
    there, back = found["glove50", "mpnet_l12"], found["mpnet_l12", "glove50"]
    assert (there.cka, there.nbs, there.mutual_knn) == (back.cka, back.nbs, back.mutual_knn)
    assert there.misalignment != back.misalignment
    assert there.native == back.native_source


def test_a_rotation_loses_nothing():
    given, task = real_task()
    x = given["mpnet_l12"]
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((64, 64)))[0]
    for pair in stitched_pairs.measure({"x": x, "turned": x @ turn + 3}, [task]):
        assert pair.cka == pytest.approx(1, abs=1e-6)
        assert pair.misalignment < 1e-10
        assert pair.procrustes == pair.native
        assert pair.kept >= 1


def one_common_direction():
    """CKA near 1 from one strong direction that says nothing of the classes; the rest of the target says all."""
    rng = np.random.default_rng(0)
    labels = np.arange(150) % 3
    strong = 40 * rng.standard_normal((150, 1))
    x = np.hstack([strong, rng.standard_normal((150, 5))])
    y = np.hstack([strong, 3 * np.eye(3)[labels] + 0.3 * rng.standard_normal((150, 3))])
    task = labelled.task_of("planted", [str(label) for label in labels], 5, "planted")
    return list(stitched_pairs.measure({"x": x, "y": y}, [task]))


def test_a_pair_of_high_cka_that_stitches_badly_is_found():
    pairs = one_common_direction()
    there, back = pairs
    assert (there.source, there.target) == ("x", "y")
    assert there.cka > 0.95
    assert there.native > 0.9
    assert there.kept < 0.5
    assert there.source_flatness == pytest.approx(1, abs=1e-3)
    assert np.isnan(back.kept)  # x's own probe is at chance: nothing to lose
    words = " ".join(cka_and_stitching.findings(pairs))
    assert "1 of 1 pairs whose target reads the task above chance" in words
    assert "Of these, 1 stitch badly" in words
    assert "own probes do as well as the targets' in 0 of these 1" in words
    assert "x → y" in words


def test_words_follow_the_numbers():
    there = one_common_direction()[0]
    well = [replace(there, kept=0.9), replace(there, source="y", target="x", kept=0.95)]
    assert "None of them stitches badly" in " ".join(cka_and_stitching.findings(well))
    unlike = [replace(pair, cka=0.1) for pair in well]
    words = " ".join(cka_and_stitching.findings(unlike))
    assert "the question has no answer" in words
    assert "Of 2 pairs with a CKA below 0.2, 2 keep 80%" in words
    able = [replace(pair, kept=0.1, native_source=1.0, **dict.fromkeys(MAPS, 0.4)) for pair in well]
    words = " ".join(cka_and_stitching.findings(able))
    assert "in 2 of these 2" in words
    assert "2 still keep less than 50%. CKA had not promised much" in words
    many = [replace(pair, source_width=pair.n) for pair in well]
    assert "2 of 2 pairs have as many features as items" in " ".join(cka_and_stitching.findings(many))
    verdict = cka_and_stitching._verdict([*well, *able, *unlike])
    assert "badly: refuted**, 2 of 4 keep less than 50%" in verdict
    assert "well: refuted**, 2 of 2 keep 80% or more" in verdict
    assert "well: undecided" in cka_and_stitching._verdict(well)
    assert "badly: held**, 0 of 2" in cka_and_stitching._verdict(well)
    nothing = [replace(pair, kept=float("nan")) for pair in well]
    assert "(2 pairs are left out)" in " ".join(cka_and_stitching.findings(nothing))


def test_tasks_come_from_folders(tmp_path):
    ids = [f"animals/birds/{i}" for i in range(30)] + [f"food/{i}" for i in range(20)] + ["tools/one"]
    path = tmp_path / "items.json"
    path.write_text(json.dumps([{"id": name} for name in ids]), encoding="utf-8")
    coarse, fine = labelled.folder_tasks(path)
    assert set(coarse.labels) == {"animals", "food"}
    assert set(fine.labels) == {"animals/birds", "food"}
    assert coarse.items.tolist() == list(range(50))
    assert coarse.test.sum() == 10 + 6
    assert "2 classes, 50 items, 16 of them test" in coarse.rule
    with pytest.raises(ValueError, match="labels must have two classes"):
        labelled.task_of("few", ["a"] * 9 + ["b"], 5, "few")


def test_traps_are_taken_out():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((40, 5)), rng.standard_normal((40, 4))
    x[7], y[[20, 30]] = x[3], y[2]
    x[:, 1], y[:, 3] = 4.0, 1e-6 * y[:, 3]
    live, usable = labelled.without_traps({"x": x, "y": y})
    np.testing.assert_array_equal(live["x"], x[:, [0, 2, 3, 4]])
    np.testing.assert_array_equal(live["y"], y[:, :3])
    assert sorted(set(range(40)) - set(usable)) == [7, 20, 30]
    task = labelled.task_of("halves", ["a"] * 10 + ["b"] * 30, 9, "halves", usable)
    assert set(task.items) == set(usable)
    assert (task.labels == "a").sum() == 9
    with pytest.raises(ValueError, match="labels must have two classes"):
        labelled.task_of("halves", ["a"] * 10 + ["b"] * 30, 10, "halves", usable)


def test_the_study_writes_its_table(real_pairs, tmp_path):
    _, task, pairs = real_pairs
    cka_and_stitching.write(pairs, [task], tmp_path / "table", "command", 1.0)
    lines = (tmp_path / "table.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("task,source,target,n,")
    assert len(lines) == 7
    said = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "`command`" in said
    assert "**No pair of high CKA stitches badly: " in said
    assert "Labels: thirds, with at least 5 items: 3 classes" in said


@pytest.mark.filterwarnings("ignore::kernalign.AlignmentWarning")
def test_what_misleads_each_metric():
    """The claims of docs/which_metric.md, and that its table is what the script prints."""
    found = list(caveats.figures())
    page = (ROOT / "docs" / "which_metric.md").read_text(encoding="utf-8")
    for figure in found:
        named = re.escape(f"| {figure.caveat} | {figure.case} |")
        row = re.search(rf"^{named} (\S+) \| (.*): (\S+) \|", page, re.MULTILINE)
        assert row, figure
        assert row[2] == figure.against
        assert float(row[1]) == pytest.approx(figure.value, abs=2e-3)
        assert float(row[3]) == pytest.approx(figure.reference, abs=2e-3)
    pairs = {(figure.caveat, figure.case.split(",")[0]): (figure.value, figure.reference) for figure in found}
    strong, without = pairs["one direction rules", "cka"]
    assert strong > 0.9 > 0.1 > without
    tied, chance = pairs["ties", "mutual_knn(ties='index')"]
    assert tied > 1.5 * chance
    fair, chance = pairs["ties", "mutual_knn"]
    assert fair == pytest.approx(chance, rel=0.1)


def test_cielab_of_known_colours():
    """Values as published for sRGB under D65."""
    rgb = np.array([[255, 255, 255], [0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255], [10, 10, 10]])
    lab = [[100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.20], [87.73, -86.18, 83.18], [32.30, 79.19, -107.86], [2.74, 0, 0]]
    np.testing.assert_allclose(colour.cielab(rgb), lab, atol=0.02)


def test_colour_words_and_their_counts():
    names = ["green", "blue", "purple", "red", "bluish", "dark", "dark greenish blue", "reddish purple"]
    assert colour.sentences([*names, "purpley bluey"])[6:] == [["green", "blue"], ["red", "purple"], ["purple", "blue"]]
    assert colour.sentences(names)[4] == ["blue"]
    often = [["a", "b"]] * 6 + [["c", "a"]] * 5 + [["c", "d"]]
    words, counts = colour.frequent(pmi.cooccurrences(often))
    assert words == ["a", "b"]  # without d, c has 5 places
    np.testing.assert_array_equal(counts, [[0, 6], [6, 0]])


def test_names_of_colours_hold_their_geometry():
    pytest.importorskip("sklearn")
    colours = colour.read(ROOT / "tests" / "data" / "xkcd_colors.csv")
    assert len(colours) == 949
    words, counts = colour.frequent(pmi.cooccurrences(colour.sentences(list(colours))))
    assert {"blue", "green", "purple", "red", "brown"} <= set(words)
    lab = np.array([colours[word] for word in words])
    score, chance, p = colour.laid_on(colour.map_of(counts), lab)
    assert score > 0.5 > 0.3 > chance
    assert p == 1 / (colour.PERMUTATIONS + 1)
    assert colour.laid_on(np.random.default_rng(0).standard_normal(lab.shape), lab)[2] > 0.01


def test_times_on_gpus_are_bounds_and_only_reports_are_measured(tmp_path):
    job = gpu_roofline.moments(1e7, 1024)
    assert gpu_roofline.expected(job, gpu_roofline.H200) >= 1e7 * 2048**2 / gpu_roofline.H200.doubles
    halves = gpu_roofline.sharded(job, gpu_roofline.H200, 2, state=0)
    assert halves == gpu_roofline.expected(job, gpu_roofline.H200) / 2
    assert gpu_roofline.measured(tmp_path) == []
    report = {
        "card": "fast",
        "ceilings": {"copied": 1e12, "doubles": 1e13, "squares": 1e13, "floats": 2e13, "halves": 1e14},
        "times": [
            {"what": "cka rbf", "n": 100_000, "d": 1024, "seconds": 5.0},
            {"what": "cka", "n": 10_000_000, "d": 1024, "skipped": "out of memory"},
        ],
    }
    (tmp_path / "fast.json").write_text(json.dumps(report), encoding="utf-8")
    [row] = gpu_roofline.measured(tmp_path)
    assert (row["card"], row["seconds"], row["accepted"]) == ("fast", 5.0, None)
    assert 1 < row["bound"] < 5


def test_a_page_tells_the_command_without_the_reader_s_folders(monkeypatch):
    monkeypatch.setattr("sys.argv", ["study", "/somewhere/else/a.npz", "tests/data/b.csv", "one", "two"])
    given = asked.asked("study", None, {"file": "arrays", "items": "labels"}, arrays=True)
    assert (given.file.name, given.items.name, given.names) == ("a.npz", "b.csv", ["one", "two"])
    assert given.command == "python -m bench.studies.study a.npz tests/data/b.csv one two"
