"""Spectral overlap and band alignment against eigendecompositions of whole kernels, and against KA and CKA."""

import itertools

import kernalign as ka
import numpy as np
import pytest
from kernalign import demo
from reference import alignment, spectral
from samples import orthogonal, related

SHAPES = [(30, 4, 6), (12, 20, 5), (10, 15, 12)]


def embedded(u, s):
    return u * np.asarray(s, dtype=float)


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_overlap_agrees_with_the_oracle(shape, centred):
    x, y = related(*shape)
    found = ka.spectral_overlap(x, y, 3, centred=centred)
    np.testing.assert_allclose(found.overlap, spectral.overlap(x, y, 3, centred), atol=1e-9)
    np.testing.assert_allclose(found.eigenvalues_x, spectral.eigen(x, centred)[0][:3], rtol=1e-10)
    np.testing.assert_allclose(found.eigenvalues_y, spectral.eigen(y, centred)[0][:3], rtol=1e-10)
    assert found.alignment == pytest.approx(spectral.band(x, y, 0, 3, centred), rel=1e-9)
    blocks = [found.overlap[:r, :r].sum() / r for r in (1, 2, 3)]
    np.testing.assert_allclose(found.cumulative, blocks)
    assert found.settings["centred"] is centred


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a14_the_spectral_form_is_the_trace_form(shape, centred):
    x, y = related(*shape)
    whole = ka.band_alignment(x, y, [(0, 10**6)], centred=centred)
    kernel = alignment.centred_linear if centred else alignment.linear
    name = ka.cka if centred else ka.kernel_alignment
    assert whole.alignment[0] == pytest.approx(alignment.cosine(kernel(x), kernel(y)), rel=1e-10)
    assert whole.alignment[0] == pytest.approx(name(x, y, estimator="biased"), rel=1e-9)
    assert whole.share_x[0] == pytest.approx(1)


def test_a14_shared_eigenfunctions_leave_the_cosine_of_the_eigenvalues():
    u = np.linalg.qr(np.random.default_rng(0).normal(size=(20, 4)))[0]
    s, t = np.array([4.0, 3, 2, 1]), np.array([9.0, 2, 1.5, 1])
    found = ka.spectral_overlap(embedded(u, s), embedded(u, t), 4)
    np.testing.assert_allclose(found.overlap, np.eye(4), atol=1e-12)
    cosine = (s**2 @ t**2) / (np.linalg.norm(s**2) * np.linalg.norm(t**2))
    assert found.alignment == pytest.approx(cosine, rel=1e-12)


def test_e3_the_inner_products_must_be_squared():
    """The paper's first spectral form sums <f_i, f_j> itself: another number, which even changes with signs."""
    x, y = related(40, 5, 6)
    right = ka.kernel_alignment(x, y, estimator="biased")
    assert ka.spectral_overlap(x, y, 5).alignment != pytest.approx(spectral.without_the_square(x, y), abs=0.05)
    assert ka.band_alignment(x, y, [(0, 9)]).alignment[0] == pytest.approx(right, rel=1e-10)
    assert spectral.without_the_square(x, y) != pytest.approx(right, abs=0.05)


def test_e4_only_the_centred_sum_is_hsic():
    """|Sigma_12|^2 of uncentred features is the numerator of the kernel alignment, not HSIC."""
    x, y = related(40, 5, 6)
    x, y = x + 3.0, y + 1.0

    def numerator(centred):
        a = ka.spectral_overlap(x, y, 5, centred=centred)
        return a.eigenvalues_x @ a.overlap @ a.eigenvalues_y

    y = y[:, :5]
    hsic = alignment.hsic_b(alignment.centred_linear(x), alignment.centred_linear(y))
    assert numerator(True) == pytest.approx(hsic, rel=1e-10)
    with pytest.warns(ka.AlignmentWarning, match="the mean holds"):
        uncentred = numerator(False)
    assert uncentred == pytest.approx((alignment.linear(x) * alignment.linear(y)).mean(), rel=1e-10)
    assert uncentred > 1.2 * hsic


def test_a31_same_span_overlaps_wholly():
    x, _ = related(30, 6, 3)
    mixed = x @ np.random.default_rng(1).normal(size=(6, 6))
    assert ka.spectral_overlap(x, mixed, 6, centred=True).cumulative[-1] == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize("centred", [False, True])
def test_a31_chance_is_the_mean_over_all_pairings(centred):
    x, y = related(6, 3, 4)
    x, y = x - 0.2, y - 0.1
    found = ka.spectral_overlap(x, y, 3, centred=centred)
    bands = ka.band_alignment(x, y, [(0, 2), (1, 3)], centred=centred)
    orders = list(map(list, itertools.permutations(range(6))))
    every = [ka.spectral_overlap(x, y[o], 3, centred=centred).cumulative for o in orders]
    np.testing.assert_allclose(found.chance, np.mean(every, axis=0), rtol=1e-10)
    if centred:
        np.testing.assert_allclose(found.chance, np.array([1, 2, 3]) / 5, rtol=1e-12)
    every = [ka.band_alignment(x, y[o], [(0, 2), (1, 3)], centred=centred).alignment for o in orders]
    np.testing.assert_allclose(bands.chance, np.mean(every, axis=0), rtol=1e-10)


def test_squared_cosines_are_doubly_substochastic():
    x, y = related(25, 8, 9)
    overlap = ka.spectral_overlap(x, y, 8).overlap
    assert (overlap >= 0).all()
    assert (overlap.sum(axis=0) <= 1 + 1e-12).all()
    assert (overlap.sum(axis=1) <= 1 + 1e-12).all()


# Degenerate eigenvalues


def test_inside_an_eigenspace_only_block_sums_count():
    rng = np.random.default_rng(0)
    u, v = (np.linalg.qr(rng.normal(size=(20, 4)))[0] for _ in "xy")
    s = np.array([3.0, 2, 2, 1])
    x, y = embedded(u, s), embedded(v, [5, 4, 3, 2])
    turned = u.copy()
    turned[:, 1:3] = u[:, 1:3] @ orthogonal(2, 3)  # another basis of the same eigenspace, so the same kernel
    other = embedded(turned, s)
    np.testing.assert_allclose(x @ x.T, other @ other.T, atol=1e-12)
    a, b = (ka.spectral_overlap(side, y, 4) for side in (x, other))
    np.testing.assert_allclose(a.overlap, b.overlap, atol=1e-12)
    np.testing.assert_array_equal(a.groups_x, [0, 1, 1, 2])
    np.testing.assert_array_equal(a.groups_y, [0, 1, 2, 3])
    expected = (u.T @ v) ** 2
    np.testing.assert_allclose(a.overlap[[0, 3]], expected[[0, 3]], atol=1e-12)
    np.testing.assert_allclose(a.overlap[1:3].sum(axis=0), expected[1:3].sum(axis=0), atol=1e-12)
    np.testing.assert_allclose(a.overlap[1], a.overlap[2], atol=1e-15)
    assert a.alignment == pytest.approx(alignment.cosine(x @ x.T, y @ y.T), rel=1e-10)


def test_a_rank_that_cuts_an_eigenspace_takes_its_share():
    u = np.linalg.qr(np.random.default_rng(0).normal(size=(15, 4)))[0]
    flat = embedded(u, [1, 1, 1, 1])
    found = ka.spectral_overlap(flat, flat @ orthogonal(4), 2)
    np.testing.assert_allclose(found.overlap, 0.25, atol=1e-12)
    np.testing.assert_allclose(found.cumulative, [0.25, 0.5], atol=1e-12)
    bands = ka.band_alignment(flat, flat, [(0, 2), (0, 4)])
    np.testing.assert_allclose(bands.alignment, [0.5, 1], atol=1e-12)


def test_tol_decides_what_is_degenerate():
    u = np.linalg.qr(np.random.default_rng(0).normal(size=(15, 3)))[0]
    x = embedded(u, [1, 0.999, 0.5])
    np.testing.assert_array_equal(ka.spectral_overlap(x, x, 3).groups_x, [0, 1, 2])
    np.testing.assert_array_equal(ka.spectral_overlap(x, x, 3, tol=0.01).groups_x, [0, 0, 1])
    for tol, error in ((-1, ValueError), (1, ValueError), ("0", TypeError), (True, TypeError)):
        with pytest.raises(error, match="tol must be"):
            ka.spectral_overlap(x, x, 3, tol=tol)


# Bands


@pytest.mark.parametrize("centred", [False, True])
def test_bands_agree_with_the_oracle(centred):
    x, y = related(30, 7, 9)
    bands = [(0, 2), (2, 7), (3, 4)]
    found = ka.band_alignment(x, y, bands, centred=centred)
    assert found.bands == tuple(bands)
    np.testing.assert_allclose(found.alignment, [spectral.band(x, y, *b, centred) for b in bands], rtol=1e-8)
    eta = spectral.eigen(x, centred)[0]
    np.testing.assert_allclose(found.share_x, [eta[a:b].sum() / eta.sum() for a, b in bands], rtol=1e-10)


def test_an_empty_band_is_nan_and_says_so():
    x, y = related(20, 3, 8)
    with pytest.warns(ka.UndefinedScoreWarning, match=r"\[\(5, 7\)\]: x has rank 3 and y has rank 8"):
        found = ka.band_alignment(x, y, [(0, 3), (5, 7)])
    assert np.isfinite(found.alignment[0])
    assert np.isnan(found.alignment[1])
    assert np.isnan(found.chance[1])
    with pytest.warns(ka.UndefinedScoreWarning):
        constant = ka.band_alignment(np.ones((20, 3)), y, [(0, 3)], centred=True)
    assert np.isnan(constant.alignment[0])
    assert constant.share_x[0] == 0


@pytest.mark.parametrize("bands", [[], [(0,)], [(2, 2)], [(-1, 2)], [(0, 2.5)], [3], [(0, True)]], ids=str)
def test_bad_bands_are_named(bands):
    with pytest.raises((TypeError, ValueError), match="bands must"):
        ka.band_alignment(*related(10, 3, 3), bands)


def test_real_representations_agree_at_low_frequencies():
    """Demo data: what vision and text share is in the leading eigenfunctions; every band beats chance there."""
    data = demo.representations()
    found = ka.band_alignment(data["vision"], data["use_en"], [(0, 10), (10, 50), (50, 300)], centred=True)
    assert (found.alignment[:2] > 1.5 * found.chance[:2]).all()
    assert (np.diff(found.alignment / found.chance) < 0).all()
    assert found.share_x.sum() == pytest.approx(1, abs=0.02)


# What must not matter, and what is refused


def test_a_spectrum_made_once_gives_the_same():
    x, y = related(30, 5, 40)
    a, b = (ka.spectrum(side, centred=True, normalize="l2") for side in (x, y))
    assert a.eigenvalues.sum() == pytest.approx(((alignment.l2_rows(x) - alignment.l2_rows(x).mean(0)) ** 2).sum() / 30)
    direct = ka.spectral_overlap(x, y, 4, centred=True, normalize="l2")
    shared = ka.spectral_overlap(a, b, 4)
    np.testing.assert_array_equal(direct.overlap, shared.overlap)
    assert direct.settings == {**shared.settings, "pairing": "position"}
    with pytest.raises(TypeError, match="normalize must be given when the Spectrum is made"):
        ka.spectral_overlap(a, b, 4, normalize="l2")
    with pytest.raises(ValueError, match="centred must be that of the Spectrum, True, got False"):
        ka.spectral_overlap(a, b, 4, centred=False)
    with pytest.raises(ValueError, match="centred alike"):
        ka.spectral_overlap(a, ka.spectrum(y), 4)
    with pytest.raises(ValueError, match="same number of rows, got 30 and 29"):
        ka.spectral_overlap(a, ka.spectrum(y[1:], centred=True), 4)
    with pytest.raises(TypeError, match="both be arrays"):
        ka.spectral_overlap(a, y, 4)


@pytest.mark.parametrize("unit", [1e-150, 1e150])
def test_units_translation_and_rotation_do_not_matter(unit):
    x, y = related(30, 5, 6)
    plain = ka.spectral_overlap(x, y, 5, centred=True)
    moved = ka.spectral_overlap(((x + 7) @ orthogonal(5)) * unit, y / unit, 5, centred=True)
    np.testing.assert_allclose(moved.overlap, plain.overlap, atol=1e-9)
    assert moved.alignment == pytest.approx(plain.alignment, rel=1e-9)


def test_layout_and_dtype_do_not_matter():
    x, y = (np.round(side * 8) / 8 for side in related(30, 5, 6))
    plain = ka.spectral_overlap(x, y, 4)
    wide = np.zeros((60, 10))
    wide[::2, ::2] = x
    for same in (wide[::2, ::2], np.asfortranarray(x), x.astype(np.float32), x.astype(np.float16)):
        np.testing.assert_array_equal(ka.spectral_overlap(same, y, 4).overlap, plain.overlap)
    order = np.random.default_rng(0).permutation(30)
    np.testing.assert_allclose(ka.spectral_overlap(x[order], y[order], 4).overlap, plain.overlap, atol=1e-10)


def test_inputs_are_not_changed():
    x, y = related(30, 5, 6)
    before = x.copy()
    ka.spectral_overlap(x, y, 3, centred=True)
    np.testing.assert_array_equal(x, before)


def test_rank_is_numerical_rank():
    x, y = related(30, 5, 6)
    doubled = np.hstack([x, x])
    assert ka.spectrum(doubled).rank == 5
    assert ka.spectrum(doubled).columns == 10
    assert ka.spectrum(np.ones((4, 2)) * 0.1, centred=True).rank == 0
    wide = np.round(related(8, 20, 3)[0] * 8) / 8
    for offset in (0, 1e9):  # which must not leave rounding behind that looks like one direction more
        assert ka.spectrum(wide + offset, centred=True).rank == 7
    with pytest.raises(ValueError, match=r"numerical rank of x \(5\) and of y \(6\), got 6"):
        ka.spectral_overlap(doubled, y, 6)
    for rank, error in ((0, ValueError), (1.5, TypeError), (True, TypeError)):
        with pytest.raises(error, match="rank must be"):
            ka.spectral_overlap(x, y, rank)


def test_options_work_as_everywhere():
    x, y = related(30, 5, 6)
    x[3] = 0
    found = ka.spectral_overlap(x, y, 3, normalize="l2", zero_rows="drop_pair")
    assert found.n == 29
    assert found.settings["dropped"] == 1
    seen = []
    ka.spectral_overlap(x, y, 3, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 2), (1, 2), (2, 2)]
    with pytest.raises(TypeError, match="unknown keyword argument 'centered'"):
        ka.spectral_overlap(x, y, 3, centered=True)
    with pytest.raises(ValueError, match="zero_rows must be 'error'"):
        ka.spectrum(x, zero_rows="drop_pair")
    with pytest.raises(TypeError, match="centred must be True or False"):
        ka.spectrum(x, centred="yes")
    with pytest.raises(ValueError, match="at least 2 rows"):
        ka.spectral_overlap(x[:1], y[:1], 1)
