"""Diagnostics: every number against a plain definition, every hazard of real data with its sentence."""

from pathlib import Path

import kernalign as ka
import numpy as np
import pytest
from kernalign.metrics import describe
from reference import description as ref
from reference import neighbors as ref_neighbors

CLIPART = Path(__file__).parents[1] / "data" / "clipart_small.npz"


def cloud(n, p, seed=0, mean=0.0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, p)) * rng.gamma(1.0, size=p) + mean


@pytest.mark.parametrize("shape", [(60, 5), (20, 50), (30, 30), (900, 450), (430, 900)])
def test_numbers_are_those_of_their_definitions(shape):
    x = cloud(*shape, mean=0.7)
    found = ka.describe(x)
    ratio, share = ref.spectrum(x)
    assert found.participation_ratio == pytest.approx(ratio, rel=1e-9)
    assert found.top_share == pytest.approx(share, rel=1e-7)
    assert found.mean_share == pytest.approx(ref.mean_share(x), rel=1e-10)
    norms = np.linalg.norm(x, axis=1)
    assert (found.norm_min, found.norm_max) == pytest.approx((norms.min(), norms.max()), rel=1e-12)
    assert found.norm_median == pytest.approx(np.median(norms), rel=1e-12)
    assert found.norm_spread == pytest.approx(norms.std() / norms.mean(), rel=1e-9)
    assert (found.n, found.p, found.zero_rows, found.duplicate_rows, found.non_finite) == (*shape, 0, 0, 0)
    assert (found.tie_rate, found.tie_rows_examined) == (0, shape[0])


def test_isotropic_and_one_dimensional_clouds():
    x = np.random.default_rng(0).normal(size=(40, 8))
    found = ka.describe(np.linalg.qr(x - x.mean(axis=0))[0])
    assert found.participation_ratio == pytest.approx(8, rel=1e-6)
    assert found.top_share == pytest.approx(1 / 8, rel=1e-6)
    line = ka.describe(np.outer(np.arange(1.0, 30), [1, 2]))
    assert line.participation_ratio == pytest.approx(1)
    assert line.top_share == pytest.approx(1)


def test_odd_rows_are_counted():
    x = cloud(50, 4)
    x[7] = x[3]
    x[20] = x[3]
    x[21] = -0.0
    x[22] = 0.0
    x[30, 1], x[30, 2], x[31, 0] = np.nan, np.inf, -np.inf
    found = ka.describe(x)
    sound = np.delete(x, [30, 31], axis=0)
    assert (found.non_finite, found.non_finite_rows, found.zero_rows) == (3, 2, 2)
    assert found.duplicate_rows == ref.duplicates(sound) == 3
    assert found.participation_ratio == pytest.approx(ref.spectrum(sound)[0], rel=1e-9)
    assert found.tie_rows_examined == 46
    text = " ".join(found.warnings)
    for part in ("3 values in 2 rows are nan or infinite", "2 rows are zero", "3 rows repeat an earlier row"):
        assert part in text


def test_many_duplicates_and_hashes_that_collide(monkeypatch):
    x = np.random.default_rng(0).integers(0, 3, (200, 3)).astype(float)
    assert ka.describe(x).duplicate_rows == 200 - len(np.unique(x, axis=0))
    # Were every row of one hash, only those that equal the first would count: never too many.
    rows = describe._Reader(x, False)
    same = describe._duplicates(rows, np.arange(200), np.zeros(200, dtype=np.int64))
    assert same == (x == x[0]).all(axis=1).sum() - 1


@pytest.mark.parametrize("k", [1, 3, 10])
def test_tie_rate_is_that_of_exact_similarities(k):
    x = np.random.default_rng(1).integers(1, 5, (80, 2)).astype(float)
    s = -np.sort(-ref_neighbors.in_order(x, "cosine"), axis=1)
    found = ka.describe(x, k=k)
    assert found.tie_rate == pytest.approx((s[:, k - 1] == s[:, k]).mean())
    assert found.tie_rate > 0.3
    assert any(f"tie at the {k}-th neighbour" in sentence for sentence in found.warnings)


def test_ties_of_many_rows_are_those_of_a_sample():
    x = np.random.default_rng(1).integers(1, 30, (2500, 3)).astype(float)
    found = ka.describe(x)
    assert found.tie_rows_examined == 2000
    assert found.tie_rate == pytest.approx(ka.knn(x, 10).tie_rows.mean(), abs=0.03)
    assert "a sample" in str(found)


def test_small_inputs():
    assert ka.describe([[1.0, 2.0], [3.0, 5.0]]).tie_rate is None
    one = ka.describe([[1.0, 2.0]])
    assert (one.n, one.duplicate_rows) == (1, 0)
    assert np.isnan(one.participation_ratio)
    few = ka.describe(cloud(5, 3))
    assert few.k == 4
    assert few.tie_rate == 0


def test_constant_representation():
    found = ka.describe(np.full((20, 3), 0.1))
    assert np.isnan([found.participation_ratio, found.top_share]).all()
    assert found.duplicate_rows == 19
    assert found.warnings[-1] == "all rows are equal: no centred metric is defined"
    zero = ka.describe(np.zeros((20, 3)))
    assert zero.zero_rows == 20
    assert zero.tie_rate is None
    assert np.isnan(zero.mean_share)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int32, ">f8"])
def test_dtype_and_strides_do_not_matter(dtype):
    x = np.round(cloud(40, 6) * 10).astype(dtype)
    wide = np.zeros((80, 12), dtype=dtype)
    wide[::2, ::-2] = x
    assert ka.describe(wide[::2, ::-2]) == ka.describe(x.astype(np.float64))


def test_bfloat16():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = cloud(40, 6).astype(ml_dtypes.bfloat16)
    assert ka.describe(x) == ka.describe(x.astype(np.float64))


@pytest.mark.parametrize("scale", [1e-160, 1e150])
def test_scale_does_not_matter(scale):
    x = cloud(40, 6)
    a, b = ka.describe(x), ka.describe(x * scale)
    assert b.participation_ratio == pytest.approx(a.participation_ratio, rel=1e-9)
    assert b.norm_max == pytest.approx(a.norm_max * scale, rel=1e-9)


def test_blocks_do_not_matter(monkeypatch):
    for x in (cloud(70, 5), cloud(20, 50)):
        x[3] = x[9]
        whole = ka.describe(x)
        with monkeypatch.context() as small:
            small.setattr("kernalign._rows.blocks._ELEMENTS", 40)
            found = ka.describe(x)
        assert found.participation_ratio == pytest.approx(whole.participation_ratio, rel=1e-12)
        assert found.duplicate_rows == whole.duplicate_rows == 1


def hazard(kind):
    x = cloud(300, 20)
    if kind == "one direction":
        x[:, 0] *= 200
    elif kind == "mean":
        x += 20
    elif kind == "outlier":
        x[5] *= 100
    elif kind == "saturated":
        return cloud(30, 40)
    elif kind == "nearly saturated":
        return cloud(30, 20)
    return x


@pytest.mark.parametrize(
    "kind,sentence",
    [
        ("one direction", "of the variance: linear CKA is blind to the rest"),
        ("mean", "the mean row holds"),
        ("outlier", "times the median norm"),
        ("saturated", "40 features for 30 items: linear fits, CCA and predictivity are perfect whatever the data"),
        ("nearly saturated", "20 features for 30 items: fitted in-sample they explain 69% of unrelated data"),
    ],
)
def test_hazards_have_their_sentences(kind, sentence):
    found = ka.describe(hazard(kind))
    assert any(sentence in warning for warning in found.warnings)
    assert f"! {found.warnings[0]}" in str(found)
    assert not any(sentence in warning for warning in ka.describe(hazard("none")).warnings)


def test_an_ordinary_cloud_has_no_warnings():
    rng = np.random.default_rng(0)
    found = ka.describe(rng.normal(size=(300, 20)))
    assert found.warnings == []
    assert "300 items x 20 features" in str(found)
    assert "!" not in str(found)


def test_real_embeddings():
    data = np.load(CLIPART)
    words = ka.describe(data["glove50"])
    assert words.duplicate_rows == 1
    assert words.participation_ratio == pytest.approx(ref.spectrum(data["glove50"])[0], rel=1e-9)


def test_progress_and_bad_input():
    seen = []
    ka.describe(cloud(20, 3), progress=lambda *at: seen.append(at))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    with pytest.raises(ValueError, match="x must have a finite row, got none"):
        ka.describe(np.full((3, 2), np.nan))
    with pytest.raises(ValueError, match=r"x must be 2-D .* got shape \(3,\)"):
        ka.describe(np.ones(3))
    with pytest.raises(TypeError, match=r"k must be an integer, got 1\.5"):
        ka.describe(cloud(9, 2), k=1.5)
    with pytest.raises(ValueError, match="k must be between 1 and"):
        ka.describe(cloud(9, 2), k=0)
