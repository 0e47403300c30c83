"""Outliers and the layer search of kernalign.compat.platonic: values, and every documented quirk."""

import numpy as np
import pytest
from kernalign.compat import platonic
from kernalign.compat.platonic import AlignmentMetrics, metrics, sweep
from reference import platonic as oracle

NAMES = list(oracle.METRICS)


# Outliers


@pytest.mark.parametrize("q", [0.0, 0.3, 0.95, 0.999])
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("shape", [(20, 7), (20, 3, 5)])
def test_outliers_are_clamped_at_one_threshold(q, exact, shape):
    x = np.random.default_rng(0).standard_t(3, size=shape)
    limit = oracle.threshold(x, q, exact)
    got = platonic.remove_outliers(x, q, exact)
    np.testing.assert_allclose(got, np.clip(x, -limit, limit), rtol=1e-12)
    assert got.dtype == np.float64
    transposed = np.asfortranarray(x.astype(np.float32))
    np.testing.assert_allclose(platonic.remove_outliers(transposed, q, exact), got, rtol=1e-5, atol=1e-6)


def test_exact_and_approximate_thresholds_differ():
    x = np.random.default_rng(0).standard_t(3, size=(20, 7))
    assert oracle.threshold(x, 0.95, True) != pytest.approx(oracle.threshold(x, 0.95, False), rel=1e-3)


def test_outliers_at_q_one_and_beyond():
    x = np.random.default_rng(0).normal(size=(5, 4))
    assert platonic.remove_outliers(x, 1) is x
    with pytest.raises(ValueError, match="q must be in"):
        platonic.remove_outliers(x, 1.5)


def test_max_threshold_is_ignored_with_a_warning():
    x = np.random.default_rng(0).normal(size=(5, 4))
    with pytest.warns(UserWarning, match="max_threshold is ignored"):
        got = platonic.remove_outliers(x, 0.9, max_threshold=0.1)
    np.testing.assert_array_equal(got, platonic.remove_outliers(x, 0.9))


def test_one_nan_makes_the_approximate_form_all_nan_and_leaves_the_exact_one():
    x = np.random.default_rng(0).normal(size=(30, 4))
    x[3, 1] = np.nan
    assert np.isnan(platonic.remove_outliers(x, 0.9)).all()
    got = platonic.remove_outliers(x, 0.9, exact=True)
    assert np.isnan(got).sum() == 1
    limit = oracle.threshold(x, 0.9, True)
    np.testing.assert_allclose(got, np.clip(x, -limit, limit))


def test_a_list_has_one_threshold_per_layer_and_a_tensor_one_for_all():
    x = np.random.default_rng(0).normal(size=(20, 2, 6)) * np.array([1, 10])[:, None]
    layers = [x[:, 0], x[:, 1]]
    whole, split = platonic.prepare_features(x), platonic.prepare_features(layers)
    assert whole.dtype == split[0].dtype == np.float32
    limit = oracle.threshold(x.astype(np.float32), 0.95, False)
    np.testing.assert_allclose(whole, np.clip(x, -limit, limit), rtol=1e-6)
    for layer, got in zip(layers, split, strict=True):
        limit = oracle.threshold(layer.astype(np.float32), 0.95, False)
        np.testing.assert_allclose(got, np.clip(layer, -limit, limit), rtol=1e-6)
    assert np.abs(whole[:, 0]).max() > np.abs(split[0]).max()


def test_outliers_of_tensors():
    torch = pytest.importorskip("torch")
    x = torch.randn(20, 3, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    got = platonic.prepare_features(x, exact=True)
    assert got.dtype == torch.float32
    limit = oracle.threshold(x.float().numpy(), 0.95, True)
    np.testing.assert_allclose(got.numpy(), x.float().numpy().clip(-limit, limit), rtol=1e-6)
    quantile = torch.quantile(x.abs().flatten(start_dim=1), 0.9, dim=1).mean()
    assert torch.allclose(platonic.remove_outliers(x, 0.9), x.clamp(-quantile, quantile))
    assert platonic.remove_outliers(x.bfloat16(), 0.9).dtype == torch.bfloat16
    assert platonic.remove_outliers(x.transpose(0, 2), 0.9, exact=True).shape == (6, 3, 20)


# Layers


def layered(n=40, seed=0):
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(n, 1, 12))
    x = shared * np.array([0.2, 2, 1])[:, None] + rng.normal(size=(n, 3, 12))
    y = shared * np.array([1, 0.1])[:, None] + rng.normal(size=(n, 2, 12))
    return x, y


@pytest.mark.parametrize("metric", NAMES)
@pytest.mark.parametrize("normalize", [False, True])
def test_compute_score_finds_the_best_pair_of_layers(metric, normalize):
    x, y = layered()
    x[5, 1] = 0  # a zero row stays zero
    layers = [x[:, i] for i in range(3)], [y[:, i] for i in range(2)]
    score, at = platonic.compute_score(x, y, metric, 4, normalize)
    expected, where = oracle.compute_score(*layers, metric, 4, normalize)
    assert at == where
    assert score == pytest.approx(expected, rel=1e-9)
    assert platonic.compute_score(layers[0], y, metric, 4, normalize) == (score, at)
    narrow = platonic.compute_score(x.astype(np.float32), y.astype(np.float32), metric, 4, normalize)
    assert narrow[0] == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("metric", ["cka", "unbiased_cka"])
@pytest.mark.parametrize("scale", [1, 1e-2])
def test_compute_score_is_the_same_whether_gram_matrices_fit_or_not(metric, scale, monkeypatch):
    x, y = (side * scale + 5 * scale for side in layered())
    kept = platonic.compute_score(x, y, metric, normalize=False)
    monkeypatch.setattr(sweep, "GRAM_BYTES", 0)
    assert platonic.compute_score(x, y, metric, normalize=False) == (pytest.approx(kept[0], rel=1e-9), kept[1])


@pytest.mark.parametrize("metric", ["mutual_knn", "cycle_knn", "lcs_knn", "edit_distance_knn"])
def test_every_layer_is_searched_once(metric, monkeypatch):
    searched = []
    search = metrics.graph
    monkeypatch.setattr(metrics, "graph", lambda *args, **kwargs: searched.append(1) or search(*args, **kwargs))
    x, y = layered()
    platonic.compute_score(x, y, metric)
    assert len(searched) == 3 + 2


def test_compute_score_defaults():
    x, y = layered()
    assert platonic.compute_score(x, y) == platonic.compute_score(x, y, "mutual_knn", topk=10, normalize=True)


def test_scores_that_are_not_positive_have_no_layers():
    x, y = np.random.default_rng(3).normal(size=(2, 3, 1, 4))
    assert platonic.compute_score(x, y, "unbiased_cka") == (0, None)  # nan
    rng = np.random.default_rng(1)
    negative = next(
        (a, b) for a, b in (rng.normal(size=(2, 12, 5)) for _ in range(50)) if AlignmentMetrics.unbiased_cka(a, b) < 0
    )
    assert platonic.compute_score([negative[0]], [negative[1]], "unbiased_cka", normalize=False) == (0, None)


def test_of_equal_scores_the_first_counts():
    x, y = layered()
    doubled = np.concatenate([x, x], axis=1)
    assert platonic.compute_score(doubled, y)[1] == platonic.compute_score(x, y)[1]


def test_layers_must_be_three_dimensional_or_a_list():
    x, y = layered()
    with pytest.raises(ValueError, match=r"x_feats must be \(items, layers, features\) or a list"):
        platonic.compute_score(x[:, 0], y)


@pytest.fixture
def feature_files(tmp_path):
    torch = pytest.importorskip("torch")
    features = [*layered(seed=1), *layered(seed=2)]
    paths = [tmp_path / f"{i}.pt" for i in range(4)]
    for feats, path in zip(features, paths, strict=True):
        torch.save({"feats": torch.from_numpy(feats), "num_params": 1}, path)
    return features, paths


def clamped_layers(feats, exact):
    feats = feats.astype(np.float32)
    limit = oracle.threshold(feats, 0.95, exact)
    return list(np.clip(feats, -limit, limit).transpose(1, 0, 2))


@pytest.mark.parametrize("metric", ["mutual_knn", "cycle_knn", "cka", "lcs_knn"])
def test_compute_alignment_swaps_its_sides(metric, feature_files):
    features, paths = feature_files
    for precise in (False, True):
        scores, layers = platonic.compute_alignment(paths[:2], paths[2:], metric, 5, precise=precise)
        assert layers.shape == (2, 2, 2)
        for i in range(2):
            for j in range(2):
                sides = [clamped_layers(features[at], precise) for at in (2 + j, i)]
                expected, where = oracle.compute_score(*sides, metric, 5)
                assert scores[i, j] == pytest.approx(expected, abs=2e-4)
                assert tuple(layers[i, j]) == where


def test_compute_alignment_mirrors_equal_lists(feature_files):
    features, paths = feature_files
    scores, layers = platonic.compute_alignment(paths, paths, "mutual_knn", 5)
    np.testing.assert_array_equal(scores, scores.T)
    for i in range(4):
        for j in range(i + 1, 4):
            np.testing.assert_array_equal(layers[i, j], layers[j, i, ::-1])
    cycles, _ = platonic.compute_alignment(paths, paths, "cycle_knn", 3)
    assert (cycles != cycles.T).any()
    layers_of = [clamped_layers(feats, True) for feats in features]
    expected = [[oracle.compute_score(y, x, "cycle_knn", 3)[0] for y in layers_of] for x in layers_of]
    np.testing.assert_allclose(cycles, expected, rtol=1e-9)


def test_compute_alignment_without_positive_scores_has_nan_layers(tmp_path):
    torch = pytest.importorskip("torch")
    paths = [tmp_path / "a.pt", tmp_path / "b.pt"]
    for seed, path in enumerate(paths):
        torch.save({"feats": torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(seed))}, path)
    scores, layers = platonic.compute_alignment(paths, paths, "unbiased_cka", 5)
    assert (scores == 0).all()
    assert np.isnan(layers).all()


def test_pickled_code_in_feature_files_is_not_run(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"feats": torch.zeros(3, 2, 4), "evil": print}, tmp_path / "a.pt")
    with pytest.raises(Exception, match=r"[Ww]eights"):
        platonic.compute_alignment([tmp_path / "a.pt"], [tmp_path / "a.pt"], "cka", 5)


def test_feature_files_must_hold_features(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"features": torch.zeros(3, 2, 4)}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match="must hold a dict with the key 'feats'"):
        platonic.compute_alignment([tmp_path / "a.pt"], [tmp_path / "a.pt"], "cka", 5)
