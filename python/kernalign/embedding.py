"""Points from distances (multidimensional scaling), and the similarity transform that lays one cloud on another."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from kernalign._base import checks
from kernalign._base.readable import Readable
from kernalign._rows import arrays
from kernalign._rows.decompositions import eigh, svd
from kernalign._rows.magnitude import check_magnitude, divided, exponent_of, restored
from kernalign._rows.matrices import centre, dense, error_of, symmetric

Array = NDArray[np.float64]

_MOST_EXPONENT = 960  # of points: their differences stay in the range of float64
_MOST_SCALE, _MOST_RATIO = 900, 400  # differences of the exponents of two clouds: so do a scale, and squares of ratios


def classical_mds(distances: Any, dims: int = 2) -> Array:
    """Points whose Euclidean distances come close to the given ones, by Torgerson's classical scaling.

    Parameters
    ----------
    distances : (n, n) symmetric, not negative. The diagonal is ignored (taken as 0).
    dims : number of coordinates, 1 <= dims <= n

    Returns
    -------
    (n, dims) float64 array
        Centred principal coordinates, in the units of ``distances``: the leading eigenvectors of -H D^2 H / 2 (D^2
        element by element), times the square roots of their eigenvalues. Exact where the distances are Euclidean in
        that many dimensions. A coordinate whose eigenvalue is not positive, or no larger than the rounding of the
        distances may make it, is 0. The entry of largest magnitude of each
        coordinate is positive, so that the signs are reproducible.

    Raises
    ------
    ValueError, TypeError
        The distances are not a finite, symmetric, non-negative square matrix, or dims is out of range.

    Notes
    -----
    Holds up to 40 n^2 bytes. Torgerson 1952; Gower 1966.

    See Also
    --------
    smacof : the least stress, by iteration
    fit_similarity : lays what comes out on something known

    Examples
    --------
    >>> import numpy as np
    >>> from kernalign import embedding
    >>> place = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
    >>> distances = np.linalg.norm(place[:, None] - place, axis=-1)
    >>> points = embedding.classical_mds(distances)
    >>> np.linalg.norm(points[1] - points[2]).round(6).item(), embedding.raw_stress(points, distances) < 1e-12
    (5.0, True)
    """
    d = _distances(distances)
    n = len(d)
    dims = checks.integer(dims, "dims", 1, n, limit="the number of points ")
    unit = d.max()
    if unit == 0:
        return np.zeros((n, dims))
    d /= unit
    d *= d
    rounding = error_of(distances, "distances") * float(linalg.norm(d))
    d -= d.mean(axis=0)
    d -= d.mean(axis=1, keepdims=True)
    values, vectors = eigh(d * -0.5, dims)
    values, vectors = values[::-1], vectors[:, ::-1]
    positive = np.where(values > max(n * np.finfo(float).eps * max(values[0], 0.0), rounding), values, 0.0)
    largest = vectors[np.abs(vectors).argmax(axis=0), np.arange(dims)]
    return np.asarray(vectors * (np.where(largest < 0, -1.0, 1.0) * np.sqrt(positive) * unit))


def smacof(distances: Any, dims: int = 2, *, starts: int = 8, max_iter: int = 300, seed: int = 0) -> Array:
    """Points that minimise `raw_stress`, by scikit-learn's SMACOF from random starts; the best start is kept.

    Parameters
    ----------
    distances, dims : as for `classical_mds`
    starts : random starts (Huh et al. 2024 take 1000)
    max_iter : Guttman transforms per start, at most
    seed : of the starts; the same seed gives the same points

    Returns
    -------
    (n, dims) float64 array, centred. Rotation and reflection are arbitrary: see `fit_similarity`.

    Raises
    ------
    ValueError, TypeError
        As `classical_mds`; starts or max_iter below 1.
    ImportError
        scikit-learn is not installed.

    Notes
    -----
    Each step costs O(n^2 dims); holds up to 64 n^2 bytes. de Leeuw 1977; Borg and Groenen 2005, section 8.6.

    See Also
    --------
    classical_mds : exact, without iteration
    raw_stress : what it minimises

    Examples
    --------
    >>> import numpy as np
    >>> from kernalign import embedding
    >>> rng = np.random.default_rng(0)
    >>> distances = np.linalg.norm(rng.standard_normal((10, 1, 3)) - rng.standard_normal((1, 10, 3)), axis=-1)
    >>> distances = distances + distances.T
    >>> points, exact = embedding.smacof(distances, starts=4), embedding.classical_mds(distances)
    >>> embedding.raw_stress(points, distances) < embedding.raw_stress(exact, distances)
    True
    """
    d = _distances(distances)
    dims = checks.integer(dims, "dims", 1, len(d), limit="the number of points ")
    starts, max_iter = checks.check_repeats(starts, "starts"), checks.check_positive(max_iter, "max_iter")
    seed = checks.integer(seed, "seed", 0, 2**32 - 1)
    try:
        from sklearn import manifold
    except ImportError as error:
        raise ImportError("smacof needs scikit-learn: pip install 'kernalign[sklearn]'") from error
    unit = d.max()
    if unit == 0:
        return np.zeros((len(d), dims))
    points, _ = manifold.smacof(
        d / unit,
        n_components=dims,
        n_init=starts,
        max_iter=max_iter,
        eps=1e-9,
        random_state=seed,
        normalized_stress=False,
    )
    return np.asarray((points - points.mean(axis=0)) * unit)


def raw_stress(points: Any, distances: Any) -> float:
    """Sum over pairs i < j of (distances_ij - |points_i - points_j|)^2, in the squared units of ``distances``.

    See Also
    --------
    smacof : minimises it

    Examples
    --------
    >>> from kernalign import embedding
    >>> embedding.raw_stress([[0.0], [1.0]], [[0.0, 3.0], [3.0, 0.0]])
    4.0
    """
    (points, distances), _ = arrays.same_items([("points", points), ("distances", distances)], {}, square=[False, True])
    z, d = _points(points, "points"), _distances(distances)
    checks.check_same_rows(len(z), len(d), "points", "distances")
    exponent = max(exponent_of(z), exponent_of(d))  # squares of any scale stay in range
    z, d = divided(z, exponent), divided(d, exponent)
    rows = ((np.sqrt(((z[i + 1 :] - z[i]) ** 2).sum(axis=1)) - d[i, i + 1 :]) for i in range(len(z)))
    return float(restored(sum((row**2).sum() for row in rows), 2 * exponent, "squares of the distances"))


@dataclass(frozen=True, repr=False)
class Similarity(Readable):
    """The map z -> scale * z @ rotation + translation, and how well it laid x on y.

    Attributes
    ----------
    rotation : (d, d) orthogonal; a reflection if its determinant is -1
    scale : a number >= 0
    translation : (d,)
    rmsd : root of the mean squared distance between mapped x and y, in the units of y
    r2 : 1 - (sum of squared distances) / (sum of squares of centred y)

    See Also
    --------
    fit_similarity : makes it

    Examples
    --------
    >>> import numpy as np
    >>> from kernalign import embedding
    >>> x = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> fit = embedding.fit_similarity(x, 3 * x)
    >>> fit.transform(np.array([[2.0, 0.0]])).round(6).tolist()
    [[6.0, 0.0]]
    """

    rotation: Array
    scale: float
    translation: Array
    rmsd: float
    r2: float

    def transform(self, points: Any) -> Array:
        """Map (m, d) points."""
        z = _points(points, "points")
        if z.shape[1] != len(self.rotation):
            raise ValueError(f"points must have {len(self.rotation)} columns, got {z.shape[1]}")
        return np.asarray(self.scale * (z @ self.rotation) + self.translation)


def fit_similarity(x: Any, y: Any, *, reflection: bool = True, scaling: bool = True) -> Similarity:
    """Rotation, scale and translation that lay x on y with the least squared error (Kabsch 1976, Umeyama 1991).

    Parameters
    ----------
    x, y : (n, d) points, paired by row, neither all in one place
    reflection : allow a reflection, which gives the optimum over all of O(d); False keeps to rotations. (For odd d the
        better of two fits by rotations, of x and of -x, is the fit with reflection; for even d it is not.)
    scaling : fit the scale; False keeps it at 1

    Returns
    -------
    Similarity
        With reflection and scaling, r2 is the square of the Procrustes correlation |Xc' Yc|_* / (|Xc| |Yc|).

    Raises
    ------
    ValueError, TypeError
        Shapes differ, a value is not finite, one side is constant, or one is over 1e270 times the other (without
        scaling, 1e120).

    See Also
    --------
    Similarity : what it returns
    kernalign.procrustes, kernalign.stitching.ProcrustesStitcher : for representations

    Examples
    --------
    >>> import numpy as np
    >>> from kernalign import embedding
    >>> square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    >>> turned = 2 * square @ np.array([[0.0, 1.0], [-1.0, 0.0]]) + 5
    >>> fit = embedding.fit_similarity(square, turned)
    >>> round(fit.scale, 6), round(fit.r2, 6), fit.translation.round(6).tolist()
    (2.0, 1.0, [5.0, 5.0])
    """
    x, y = arrays.aligned(("x", x), ("y", y))
    a, b = _points(x, "x"), _points(y, "y")
    if a.shape != b.shape:
        raise ValueError(f"x and y must have the same shape, got {a.shape} and {b.shape}")
    e, f = exponent_of(a), exponent_of(b)
    most = _MOST_SCALE if checks.check_flag(scaling, "scaling") else _MOST_RATIO
    if abs(e - f) > most:
        raise ValueError(f"x and y must be within a factor of {2.0**most:.0e} of each other; scale either")
    a, b = divided(a, e), divided(b, f)  # squares of any scale stay in range
    sides = []
    for points, name in ((a, "x"), (b, "y")):
        mean, centred = points[0] + (points - points[0]).mean(axis=0), centre(points)
        norm = float(linalg.norm(centred))
        if not norm > 0:
            raise ValueError(f"{name} must hold at least two different points, got only {points[0]}")
        sides.append((mean, centred, norm))
    (mean_x, x_c, norm_x), (mean_y, y_c, norm_y) = sides
    u, s, vt = svd((x_c / norm_x).T @ (y_c / norm_y), full=True)
    signs = np.ones(len(s))
    if not checks.check_flag(reflection, "reflection") and np.linalg.det(u) * np.linalg.det(vt) < 0:
        signs[-1] = -1.0  # gives up the least correlated direction
    rotation = (u * signs) @ vt
    scale = max(0.0, float((signs * s).sum())) * norm_y / norm_x if scaling else math.ldexp(1.0, e - f)
    residual = float(linalg.norm(scale * (x_c @ rotation) - y_c))
    return Similarity(
        rotation=rotation,
        scale=math.ldexp(scale, f - e),
        translation=np.ldexp(mean_y - scale * (mean_x @ rotation), f),
        rmsd=math.ldexp(residual / math.sqrt(len(a)), f),
        r2=1.0 - (residual / norm_y) ** 2,
    )


def _points(points: Any, name: str) -> Array:
    z = dense(arrays.rows(points, name))
    check_magnitude(float(np.abs(z).max()), name, _MOST_EXPONENT)
    return z


def _distances(distances: Any) -> Array:
    d = symmetric(distances, "distances")
    np.fill_diagonal(d, 0.0)
    if (d < 0).any():
        i, j = np.argwhere(d < 0)[0]
        raise ValueError(f"distances must not be negative, got {d[i, j]} at row {i}, column {j}")
    return d
