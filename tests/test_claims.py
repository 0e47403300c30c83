"""Studies of published claims, and the leaderboard: numbers against oracles, and words that follow from them."""

import csv
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import kernalign as ka  # noqa: E402

from bench import leaderboard  # noqa: E402
from bench.studies import (  # noqa: E402
    alignment_radius,
    caption_density,
    ceiling,
    cknna_sweep,
    colour_panel,
    competent_alike,
    contrastive_pmi,
    kare_and_risk,
    labelled,
    like_outputs,
    members,
    modalities,
    stitching_claims,
    structured_path,
)

CLIPART = ROOT / "tests" / "data" / "clipart_small.npz"
NAMES = ("dinov2s_block09_cls", "mpnet_l12", "glove50")


@pytest.mark.filterwarnings("ignore::kernalign.AlignmentWarning")
def test_radius_fails_where_the_kernel_is_nearly_the_identity(monkeypatch):
    """Unrelated rows and narrow kernels: the diagonal makes the sample's alignment, and no radius knows of that."""
    monkeypatch.setattr(alignment_radius, "DRAWS", 5)
    draw = np.random.default_rng(0)
    narrow = {name: draw.standard_normal((520, 6)) for name in "xy"}
    found = {one.kernel: one for one in alignment_radius.deviations(narrow) if one.n == 480}
    assert found["Gaussian, σ = median × 0.125"].beyond == 1
    assert found["Gaussian, σ = median × 1"].beyond == 0
    assert found["Gaussian, σ = median × 0.125"].flatness > 1
    words = alignment_radius.report(list(found.values()), {"an identity": [1e-12]}, 1.0)
    assert "Refuted as stated" in words
    assert "Held on these data" in alignment_radius.report([found["linear"]], {"an identity": [1e-12]}, 1.0)


def test_identities_of_alignment_hold_and_what_was_stated_does_not():
    draw = np.random.default_rng(0)
    x = draw.standard_normal((60, 5))
    gaps = alignment_radius.identities(x, x[:, :3] + 0.5)
    corrected = [name for name in gaps if "stated" not in name and name != "D = 8 C² (1 - A)"]
    assert len(corrected) == 3
    assert max(gaps[name] for name in corrected) < 1e-10
    assert min(gaps[name] for name in set(gaps) - set(corrected)) > 1e-3


def test_contrastive_learners_find_pmi_where_it_embeds():
    joint = contrastive_pmi.ring(6)
    margin = joint.sum(axis=1)
    kernel = np.log(joint / np.outer(margin, margin))
    for two in (False, True):
        found = contrastive_pmi.learned(joint, 6, 3, seed=0, two=two)
        np.testing.assert_allclose(found - found.mean(), kernel - kernel.mean(), atol=1e-3)
    odd = np.array([[1.0, 5.0], [5.0, 1.0]]) / 12  # PMI is lowest on the diagonal: one encoder cannot
    one, both = (contrastive_pmi.learned(odd, 2, 1, seed=0, two=two) for two in (False, True))
    assert one[0, 0] >= one[0, 1] - 1e-6
    assert both[0, 0] - both[0, 1] == pytest.approx(np.log(1 / 5), abs=1e-4)


@pytest.mark.filterwarnings("ignore::kernalign.AlignmentWarning")
def test_cknna_of_the_sweep_is_that_of_the_package_and_of_all_neighbours_cka():
    given = {name: rows[:40] for name, rows in labelled.representations(CLIPART, NAMES).items()}
    found = cknna_sweep.maps(given, [5, 39])
    for variant, k in found:
        rows = cknna_sweep.prepared(given, centred=variant.endswith("rows"))
        x, y = rows[NAMES[1]], rows[NAMES[0]]
        both = [float(ka.cknna(a, b, k, variant=variant.split(",")[0])) for a, b in ((x, y), (y, x))]
        assert found[variant, k][1, 0] == pytest.approx(np.mean(both), rel=1e-9)
    cka = cknna_sweep.references(given)["cka"]
    np.testing.assert_allclose(found["ucentred", 39], cka, atol=1e-9)
    np.testing.assert_allclose(found["platonic", 39], cka, atol=1e-9)


@pytest.mark.filterwarnings("ignore::kernalign.AlignmentWarning")
def test_words_on_cknna_follow_the_numbers():
    given = {name: rows[:60] for name, rows in labelled.representations(CLIPART, (*NAMES, "minilm6_l06")).items()}
    found = cknna_sweep.agreements(given, [10, 50, 59], list(given))
    assert len(found) == 4 * 3 * 2
    page = cknna_sweep.report(found, list(given), 60, 1.0, "command")
    assert "platonic-rep's variant fades" in page
    low = [
        replace(one, correlation=0.1) if one.variant == "platonic" else replace(one, correlation=0.9) for one in found
    ]
    page = cknna_sweep.report(low, list(given), 60, 1.0, "command")
    assert "Held: platonic-rep's variant fades" in page
    assert "Yes**: with the mean taken from the rows" in page
    same = [replace(one, correlation=0.9) for one in found]
    assert "Refuted: platonic-rep's variant fades" in cknna_sweep.report(same, list(given), 60, 1.0, "command")


def test_slopes_of_structured_networks_are_those_of_differences():
    draw = np.random.default_rng(0)
    x, labels = draw.random((2, 15, 6)), draw.integers(0, 10, (2, 15))
    shapes = [(6, 5), (1, 5), (5, 3), (3, 10), (1, 10)]
    model = structured_path.Model(draw.random((6, 3)), 0.3, [draw.standard_normal((2, *shape)) for shape in shapes])

    def loss():
        chosen = np.take_along_axis(structured_path.softmax(model.logits(x)), labels[..., None], -1)
        return -np.log(chosen).mean(axis=(1, 2))[1]

    for values, slope in zip(model.parameters, model.slopes(x, labels), strict=True):
        before, at = values[1, 0, 1], (1, 0, 1)
        values[at] = before + 1e-5
        above = loss()
        values[at] = before - 1e-5
        below = loss()
        values[at] = before
        assert slope[at] == pytest.approx((above - below) / 2e-5, abs=1e-8)


@pytest.mark.filterwarnings("ignore::kernalign.AlignmentWarning")
def test_verdicts_on_structured_networks_follow_the_numbers(monkeypatch):
    pytest.importorskip("sklearn")
    for name, value in {"DIMENSIONS": (8,), "WIDTHS": (16,), "CORRECTIONS": (0.3,)}.items():
        monkeypatch.setattr(structured_path, name, value)
    found, plain = structured_path.differences(seeds=3, steps=20)
    assert len(found) == 3
    assert "| follows low frequencies |" in structured_path.report(found, plain, 1.0)
    sure = {at: {key: np.array([1.0, 1.1, 0.9]) for key in own} for at, own in found.items()}
    told = structured_path.verdicts(sure)
    assert told["ends more accurate"]["random"] == (1, 0, 0)
    assert told["converges faster"]["random"] == (0, 0, 1)


def noise(count):
    return np.random.default_rng(3).normal(size=count)


def test_words_on_the_leaderboard_follow_the_numbers():
    """A first place is shared by what it does not beat in paired repeats."""
    rows = [
        {
            "repeat": str(seed),
            "suite": suite,
            "set": at,
            "check": check,
            "metric": metric,
            "value": str(value + seed / 9),
        }
        for suite, at, check in leaderboard.COLUMNS
        for metric, value in {"cka": 2.0, "procrustes": 9.0, "mutual_knn": 1.0, "jaccard_knn": 1.0}.items()
        for seed in range(4)
    ]
    numbers = leaderboard.gathered(rows)
    first = next(iter(numbers.values()))
    assert leaderboard.leaders(first) == ["procrustes"]
    assert leaderboard.interval([1.0, 2.0, 3.0]) == pytest.approx((2, 4.3027 / np.sqrt(3)), abs=1e-3)
    told = leaderboard.words(numbers)
    assert "**No metric wins: refuted.**" in told
    assert "**Procrustes finds wrong labels best: held.**" in told
    assert "**Neighbours find shortcuts best: refuted.**" in told
    assert "**CKA notices deletion only where 1 to 3 of 96 components are left: held.**" in told
    assert "| procrustes | **" in leaderboard.page(rows)
    alike = [{**row, "value": str(int(row["repeat"]) + draw)} for row, draw in zip(rows, noise(len(rows)), strict=True)]
    assert "**Procrustes finds wrong labels best: undecided.**" in leaderboard.words(leaderboard.gathered(alike))


def test_words_of_what_follows_outputs_follow_the_numbers():
    """Closeness grows for distances too, and a claim about neighbours is refuted only where none of them leads."""
    rng = np.random.default_rng(0)
    base = rng.normal(size=(40, 6))
    rows = np.stack([base + scale * rng.normal(size=base.shape) for scale in (0, 0.1, 0.5, 2)])
    pairs = [(0, 1), (0, 2), (0, 3)]
    for one in ({"id": "cka"}, {"id": "procrustes"}, {"id": "pwcca"}, {"id": "mutual_knn", "k": 5}):
        assert like_outputs._correlation(one, rows, pairs, [3.0, 2.0, 1.0]) == pytest.approx(1)
    ahead = {"cka": 0.1 * noise(9), "mutual_knn": 1 + 0.1 * noise(9) ** 2, "jaccard_knn": 0.1 * noise(9) ** 3}
    assert "best: held**" in like_outputs.report(ahead, 1.0)
    level = {"cka": noise(9), "mutual_knn": noise(9) ** 2, "jaccard_knn": noise(9) ** 3}
    assert "best: undecided**" in like_outputs.report(level, 1.0)
    behind = ahead | {"nbs": 5 + 0.1 * noise(9) ** 2}
    assert "best: refuted**" in like_outputs.report(behind, 1.0)


def test_the_leaderboard_is_what_its_table_says():
    with leaderboard.TABLE.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert leaderboard.PAGE.read_text(encoding="utf-8") == leaderboard.page(rows)


def test_risks_are_those_of_ridge_regression_and_words_follow_them():
    draw = np.random.default_rng(0)
    x, held = draw.standard_normal((30, 4)) + 1, draw.standard_normal((20, 4))
    target, other = draw.standard_normal((30, 2)), draw.standard_normal((20, 2))
    a, mean, level = x - x.mean(axis=0), x.mean(axis=0), target.mean(axis=0)
    expected = [
        (
            ((held - mean) @ np.linalg.solve(a.T @ a + 30 * ridge * np.eye(4), a.T @ (target - level)) + level - other)
            ** 2
        )
        .sum(axis=1)
        .mean()
        for ridge in (0.1, 2.0)
    ]
    np.testing.assert_allclose(kare_and_risk.risks(x, target, held, other, np.array([0.1, 2.0])), expected)
    right = np.ones(5) + 0.01 * np.arange(5)
    rows = [kare_and_risk.Known("x", items, 50, right, right, right) for items in ("all different", "each twice")]
    assert "**Held, where items are different**" in kare_and_risk.report(rows, 1.0)
    assert "**Refuted, where" in kare_and_risk.report([replace(rows[0], best=3 * right), rows[1]], 1.0)


@pytest.mark.filterwarnings("ignore::kernalign.AlignmentWarning")
def test_ceilings_are_split_halves_and_words_follow_the_numbers():
    draw = np.random.default_rng(0)
    common = draw.standard_normal((80, 4))
    given = {
        name: common @ draw.standard_normal((4, 40)) + noise * draw.standard_normal((80, 40))
        for name, noise in {"a": 0.01, "b": 0.01, "c": 3.0}.items()
    }
    clear, noisy = ceiling.halves(given["a"]), ceiling.halves(given["c"])
    assert clear > 0.6 > 0.4 > noisy
    found = ceiling.pairs(given, seen=("a",))
    assert [pair.kind for pair in found] == ["pictures × words", "pictures × words", "words"]
    assert found[0].ceiling == pytest.approx(np.sqrt(clear * ceiling.halves(given["b"])))
    assert found[0].share == pytest.approx((found[0].score - 10 / 79) / (found[0].ceiling - 10 / 79))
    sizes = ceiling.by_size(given["a"], given["b"], (40, 80))
    assert [size[2] for size in sizes] == pytest.approx([10 / 39, 10 / 79])
    grows = [(40, 0.4, 0.1, 0.3), (80, 0.5, 0.1, 0.4)]
    assert "**Refuted**" in ceiling.report(found, grows, 1.0)
    low = [replace(pair, ceiling=0.6, low=0.5) for pair in found]
    assert "**Held**" in ceiling.report(low, [(40, 0.5, 0.2, 0.3), (80, 0.4, 0.1, 0.35)], 1.0)


def test_stitching_claims_are_judged_by_the_numbers():
    pytest.importorskip("sklearn")
    data = stitching_claims.digits()
    made = stitching_claims.networks(data, range(90, 92), steps=30)
    [low, full] = stitching_claims.lemma([tuple(made)], data, ranks=(3, 10))[:2]
    assert low.gap < 1e-9
    assert low.ratio[0] > 1.01 > full.ratio[0] > 1 - 1e-9
    low, full = (replace(one, ratio=one.ratio * (1 + 1e-9 * np.arange(3))) for one in (low, full))
    assert "Refuted as stated" in stitching_claims.lemma_words([low, full])
    same = replace(low, ratio=full.ratio)
    assert "Held as stated" in stitching_claims.lemma_words([same, full])
    chain = stitching_claims.forward([tuple(made)], data)
    assert all((one.stitched <= one.bound).all() for one in chain)
    assert "**Held**: no stitched risk exceeds the bound" in stitching_claims.forward_words(chain)
    broken = [replace(chain[0], bound=chain[0].stitched / 2)]
    assert "**Refuted**" in stitching_claims.forward_words(broken)
    accuracy = np.tile(np.eye(5) * 0.5 + 0.4, (3, 1, 1)) + 1e-4 * np.arange(3)[:, None, None]
    every = np.broadcast_to(np.arange(5), (3, 5))
    chosen = dict.fromkeys(stitching_claims.RULES, every) | {"last layer": np.full((3, 5), 4)}
    where = stitching_claims.Places(accuracy, np.full(3, 0.9), chosen)
    told = " ".join(stitching_claims.place_words(where, stitching_claims.RULES))
    assert "Same depth: held" in told
    assert "Last layer: refuted** , 40.0" in told.replace("**,", "** ,")


@pytest.mark.filterwarnings("ignore::kernalign.AlignmentWarning")
def test_competent_networks_are_judged_by_the_numbers(monkeypatch):
    pytest.importorskip("sklearn")
    monkeypatch.setattr(competent_alike, "PERMUTATIONS", 19)
    made = competent_alike.networks(competent_alike.digits(), "labels", (8, 12, 16), (2,), 25)
    assert len(made) == 30
    assert {one.half for one in made} == {0, 1}
    found = competent_alike.measure("labels", made)
    scores = np.array([[ka.cka(a.rows, b.rows) for b in made] for a in made])
    accuracy = np.array([one.accuracy for one in made])
    worst = np.flatnonzero(accuracy <= np.quantile(accuracy, 1 / 3))
    pairs = [
        scores[a, b]
        for a in worst
        for b in worst
        if a < b and made[a].family != made[b].family and made[a].half != made[b].half
    ]
    assert found[1].bins[0][0] == pytest.approx(np.mean(pairs), rel=1e-9)
    up = replace(found[0], correlation=0.9, error=0.1, p_value=0.01, bins=[(0.1, 0.01), (0.3, 0.01), (0.5, 0.01)])
    down = replace(up, correlation=-0.9, bins=up.bins[::-1])
    said = " ".join(competent_alike.words([up, down, replace(up, error=0.1, p_value=0.2)], {"labels": "taught wrong"}))
    assert [word.split(".")[0] for word in said.split("taught wrong: ")[1:]] == ["held", "refuted", "undecided"]
    assert "less alike than" in said
    assert "more alike than" in said


@pytest.mark.filterwarnings("ignore::kernalign.AlignmentWarning")
def test_the_trend_over_modalities_is_found_where_it_is_planted(monkeypatch):
    monkeypatch.setattr(modalities, "PERMUTATIONS", 199)
    draw = np.random.default_rng(0)
    labels = np.repeat(np.array(list("abcdef")), 20)
    common = np.repeat(draw.standard_normal((6, 5)), 20, axis=0) + 0.5 * draw.standard_normal((120, 5))

    def models(shared):
        return [
            members.Model(
                f"{side}{at}",
                side,
                {
                    str(layer): (common if shared else draw.standard_normal((120, 5)))
                    + noise * (1 + layer) * draw.standard_normal((120, 5))
                    for layer in range(2)
                },
            )
            for side in ("vision", "text")
            for at, noise in enumerate((0.3, 0.6, 1.0, 1.6, 2.4))
        ]

    items = np.arange(120)
    related, unrelated = models(True), models(False)
    able = modalities.competence(related, labels, items)
    assert all(values[0] > values[1] for values in able.values())
    found = modalities.trend(related, "vision", "text", able)
    assert "vision × text: held" in modalities._trend_words([found])[0]
    assert all(p < 0.05 for _, p, _ in found.sides)
    [said] = modalities._trend_words([replace(found, sides=((0.9, 0.01, 0.005), (0.6, 0.25, 1 / 12)))])
    assert "held, but for vision alone" in said
    assert "of text it could not, whatever the scores are (least p 0.08" in said
    assert modalities.alone(np.array([1.0, 2, 2, 3]), np.array([1.0, 2, 3, 4]))[2] == pytest.approx(2 / 24)
    told = modalities.foretold(related, "text", "vision", able)
    assert told.reference == "vision0/0"
    assert modalities.verdict(told.correlation, told.error, told.single_p) == "held"
    by_chance = modalities.trend(unrelated, "vision", "text", able)
    assert sum(pair.p_value < 0.05 for pair in by_chance.pairs) < 6
    assert "held" not in modalities._trend_words([by_chance])[0]
    page = modalities.report([found], [told], able, related, "six classes", 120, 1.0, "command")
    assert "| text0 | text | 2 |" in page


def test_models_are_read_by_name_and_traps_taken_out(tmp_path):
    draw = np.random.default_rng(0)
    x, y = draw.standard_normal((30, 4)), draw.standard_normal((30, 3))
    x[3], y[5] = x[2], 0
    np.savez(tmp_path / "some.npz", **{"vision/net/1": x, "vision/net/2": x[:, :2], "text/words/0": y})
    found, usable = members.read(tmp_path / "some.npz")
    assert [(one.name, one.modality, list(one.layers)) for one in found] == [
        ("net", "vision", ["1", "2"]),
        ("words", "text", ["0"]),
    ]
    assert sorted(set(range(30)) - set(usable)) == [3, 5]
    np.testing.assert_array_equal(found[0].layers["1"], x[usable])


@pytest.mark.filterwarnings("ignore::kernalign.AlignmentWarning")
def test_density_and_colours_are_judged_by_the_numbers():
    captions = ["A red apple on a tree", "two cats"]
    assert caption_density.cut(captions, 3, random=False) == ["a red apple", "two cats"]
    assert caption_density.usable(["a " * 7, "a " * 8, "b " * 7, "c"]).tolist() == [True, False, True, False]
    assert colour_panel.single(["sea green", "sea", "seaweed", "tan", "bronze"]).tolist() == [
        False,
        True,
        False,
        True,
        True,
    ]
    random = caption_density.cut(captions, 3, random=True)
    assert all(set(some.split()) <= set(all_.lower().split()) for some, all_ in zip(random, captions, strict=True))
    assert len(random[0].split()) == 3
    draw = np.random.default_rng(0)
    lab = draw.standard_normal((200, 3)) * 30
    near, far = lab @ draw.standard_normal((3, 8)), draw.standard_normal((200, 8))
    gain = ka.compare_scores("mutual_knn", near, far, lab)
    up = caption_density.Curve("e", "v", [0.1, 0.2, 0.3, 0.4], [0.1, 0.1, 0.2, 0.4], gain)
    down = replace(up, gain=ka.compare_scores("mutual_knn", far, near, lab))
    assert "**Held**" in caption_density.words_of([up])
    assert "**Mixed**" in caption_density.words_of([up, down])
    assert "1 of 2 pairs, surely below in 1" in caption_density.words_of([up, down])
    assert "**Refuted**" in caption_density.words_of([down])
    assert "in 2 of 3 cases" in caption_density.words_of([up])
    seen = colour_panel.measure({"letters": far, "net/0": near, "net/1": 20 * far + near}, lab, permutations=19)
    assert seen[1].near > 0.5 > seen[0].near
    assert seen[1].r2 > 0.5 > 0.2 > seen[0].r2
    assert "**Held**" in colour_panel.words(seen)
    assert "net falls from" in colour_panel.words(seen)
    same = [seen[0], replace(seen[1], better=ka.compare_scores("mutual_knn", far, far, lab))]
    assert "**Refuted**" in colour_panel.words(same)
    page = colour_panel.report({"all names": seen}, {"all names": 200}, 1.0, "command")
    assert "## All names: 200" in page
    assert "| net/0 | 1.000" in page or "| net/0 | 0." in page
    assert "| e | v | 0.100, 0.100 |" in caption_density.report([up], 200, 1.0, "command")
