"""What other implementations compute where that is not what the package computes, in float64 from their definitions."""

from __future__ import annotations

import numpy as np
from scipy import linalg, optimize, stats
from scipy.spatial import distance


def centred(x):
    return x - x.mean(axis=0)


def across(x):
    """Rows less their own mean."""
    return x - x.mean(axis=1, keepdims=True)


def unit(x):
    """Rows of length 1."""
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def cosine(a, b):
    return (a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b)


def double_centred(matrix):
    return matrix - matrix.mean(axis=0) - matrix.mean(axis=1, keepdims=True) + matrix.mean()


def hollow(matrix):
    """The matrix with a diagonal of zeros."""
    return matrix - np.diag(np.diag(matrix))


def pad(x, y):
    """Both with as many columns as the wider, by columns of zeros."""
    width = max(x.shape[1], y.shape[1])
    return [np.pad(side, ((0, 0), (0, width - side.shape[1]))) for side in (x, y)]


def leading(x, rank):
    """Principal components of rows."""
    u, s, _ = np.linalg.svd(centred(x), full_matrices=False)
    return u[:, :rank] * s[:rank]


def columns_correlated(x, y):
    """Correlations of all columns of x with all of y."""
    return np.corrcoef(x.T, y.T)[: x.shape[1], x.shape[1] :]


def paired_correlations(x, y):
    x, y = centred(x), centred(y)
    with np.errstate(invalid="ignore"):
        return (x * y).sum(axis=0) / np.linalg.norm(x, axis=0) / np.linalg.norm(y, axis=0)


# Canonical correlations


def _whitened(x):
    """Left singular vectors of the centred columns that hold anything."""
    u, s, _ = np.linalg.svd(centred(x), full_matrices=False)
    return u[:, s > s[0] * 1e-10]


def correlations(x, y):
    return np.linalg.svd(_whitened(x).T @ _whitened(y), compute_uv=False)


def rotated_pwcca(x, y):
    """Weights from the data turned, not whitened, by the canonical directions, means added back before QR."""
    joint = np.cov(x.T, y.T)
    p = x.shape[1]

    def inverse_root(c):
        values, vectors = np.linalg.eigh(c)
        return vectors / np.sqrt(values) @ vectors.T

    left, rho, _ = np.linalg.svd(inverse_root(joint[:p, :p]) @ joint[:p, p:] @ inverse_root(joint[p:, p:]))
    directions, _ = np.linalg.qr(centred(x) @ left + x.mean(axis=0))
    weights = np.abs(directions.T @ x).sum(axis=1)
    return (weights * rho).sum() / weights.sum()


def svcca_by_sum(x, y):
    """Rows centred across features first; directions that hold 99 % of the sum of singular values, not of squares."""

    def reduced(side):
        u, s, _ = np.linalg.svd(across(side), full_matrices=False)
        rank = next((d for d in range(len(s)) if s[:d].sum() > 0.99 * s.sum()), len(s))
        return u[:, :rank]

    return correlations(reduced(x), reduced(y)).mean()


def r2_cca_of_first(x, y):
    """Squared overlap of the bases that QR gives for all columns, over those of x."""
    qx, qy = (np.linalg.qr(centred(side))[0] for side in (x, y))
    return np.linalg.norm(qx.T @ qy) ** 2 / qx.shape[1]


def r2_cca_of_columns(x, y):
    """The same over the smaller number of columns, however many items there are."""
    qx, qy = (np.linalg.qr(centred(side))[0] for side in (x, y))
    return np.linalg.norm(qx.T @ qy) ** 2 / min(x.shape[1], y.shape[1])


def kernel_cca_without_ridge(x, y):
    """Mean correlation of columns with those predicted from ten variates of the other side; the eigenproblem of n x n
    kernels is singular, so that its vectors are those of rounding."""

    def kernel(side):
        products = centred(side) @ centred(side).T
        return products / np.linalg.eigvalsh(products).max()

    kx, ky, none = kernel(x), kernel(y), np.zeros((len(x), len(x)))
    own, cross = np.block([[kx @ kx, none], [none, ky @ ky]]), np.block([[none, kx @ ky], [ky @ kx, none]])
    values, vectors = linalg.eig(own, cross)
    first = vectors[:, np.argsort(np.where(np.isnan(values), 0, values))[::-1][:10]]
    sides, found = (_standardised(x), _standardised(y)), []
    weights = x.T @ first[: len(x)], y.T @ first[len(x) :]
    for at in (0, 1):
        variates = sides[1 - at] @ weights[1 - at]
        predicted = _standardised(variates @ np.linalg.pinv(weights[at].T, rcond=1e-15).T)
        found.append((sides[at] * predicted.real).mean(axis=0).mean())
    return np.mean(found)


def mean_cross_singular_value(x, y):
    return np.linalg.svd(centred(x).T @ centred(y) / (len(x) - 1), compute_uv=False).mean()


def maximum_match(x, y, share=0.25):
    """Columns left when those are taken away, again and again, of which more than a share of the length lies outside
    the span of the other side's; as a share of all columns."""
    sides, kept = (x, y), [np.ones(side.shape[1], dtype=bool) for side in (x, y)]

    def outside(at):
        other = sides[1 - at][:, kept[1 - at]]
        basis = np.linalg.svd(other, full_matrices=False)[0][:, : np.linalg.matrix_rank(other)]
        rest = sides[at] - basis @ (basis.T @ sides[at])
        return np.linalg.norm(rest, axis=0) > share * np.linalg.norm(sides[at], axis=0)

    while True:
        gone = [one & outside(at) for at, one in enumerate(kept)]
        if not any(one.any() for one in gone):
            return sum(one.sum() for one in kept) / sum(len(one) for one in kept)
        kept = [one & ~lost for one, lost in zip(kept, gone, strict=True)]


# Kernels


def overlap_of_hollow_kernels(kernel_x, kernel_y):
    """Cosine of centred kernels whose diagonals are removed after the centring."""
    return cosine(hollow(double_centred(kernel_x)), hollow(double_centred(kernel_y)))


def gaussian(x, sigma=1.0):
    return np.exp(-distance.squareform(distance.pdist(x, "sqeuclidean")) / (2 * sigma**2))


def laplacian(x, scale):
    return np.exp(-distance.squareform(distance.pdist(x)) / scale)


def masked_trace(kernel_x, kernel_y, topk=500):
    """Trace of the elementwise product of (I - 11'/topk) K, over (topk - 1)^2; with topk >= n nothing is masked."""
    turn = np.eye(len(kernel_x)) - 1 / topk
    return np.diag((turn @ kernel_x) * (turn @ kernel_y)).sum() / (topk - 1) ** 2


# Shapes and matchings


def nuclear(matrix):
    return np.linalg.svd(matrix, compute_uv=False).sum()


def turned(x, y):
    """x turned by the orthogonal map that brings it closest to y, uncentred, narrower sides padded."""
    x, y = pad(x, y)
    u, _, vt = np.linalg.svd(x.T @ y)
    return x @ u @ vt, y


def mean_row_cosine(x, y):
    return (unit(x) * unit(y)).sum(axis=1).mean()


def _matched(table):
    rows, columns = optimize.linear_sum_assignment(table, maximize=True)
    return table[rows, columns].sum()


def permuted_distance(x, y):
    """Distance after the best matching of columns, narrower sides padded; not centred."""
    x, y = pad(x, y)
    return np.sqrt((x**2).sum() + (y**2).sum() - 2 * _matched(x.T @ y))


def permuted_angle(x, y):
    x, y = pad(x, y)
    return np.arccos(_matched(x.T @ y) / np.linalg.norm(x) / np.linalg.norm(y))


def items_as_features(x, y):
    """1 - half the distance of shapes of length 1 whose items are taken for features."""
    return 1 - np.sqrt(2 - 2 * nuclear(x @ y.T) / np.linalg.norm(x) / np.linalg.norm(y)) / 2


def items_matched(x, y):
    """The same by matching items of length 1."""
    return 1 - np.sqrt((2 * len(x) - 2 * _matched(unit(x) @ unit(y).T)) / (4 * len(x)))


def transposed_disparity(x, y):
    """Procrustes disparity of the transposed matrices: features are items."""
    x, y = (side / np.linalg.norm(side) for side in (across(x), across(y)))
    return 1 - nuclear(x @ y.T) ** 2


# Dissimilarities


def upper(x, metric):
    return distance.pdist(x, metric)


def gaussian_dissimilarities(x):
    squares = distance.squareform(distance.pdist(x, "sqeuclidean"))
    return 1 - np.exp(-squares / squares.mean())


def features_as_dissimilarities(x, y):
    """Cosine of the upper triangles of the features themselves, padded to be square."""
    square = [np.pad(side, ((0, 0), (0, len(side) - side.shape[1]))) for side in (x, y)]
    corner = np.triu_indices(len(x), 1)
    return cosine(*(side[corner] for side in square))


def whole_matrix_norm(x, y):
    """Largest singular value of the difference of distance matrices."""
    a, b = (distance.squareform(distance.pdist(side)) for side in (x, y))
    return np.linalg.norm(a - b, ord=2)


def counts(x):
    """Symmetrised Kullback-Leibler divergences of rows of counts, per column, with a prior of 1 that counts a tenth;
    numbers below 0 count as 0."""
    rates = (np.maximum(x, 0) + 0.1) / 1.1
    products = rates @ np.log(rates).T
    own = products.diagonal()
    return (own + own[:, None] - products - products.T) / x.shape[1]


def bures_of_counts(x, y, distance=False):
    """Fidelity of centred kernels of which these are squared distances, or Bures distance, squared; negative parts cut;
    0 where there are no counts."""
    if min(x.min(), y.min()) < 0:
        return 0.0
    a, b = (-double_centred(counts(side)) / 2 for side in (x, y))
    values, vectors = np.linalg.eigh(a)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    fidelity = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ b @ root), 0)).sum()
    traces = np.trace(a), np.trace(b)
    return sum(traces) - 2 * fidelity if distance else fidelity / np.sqrt(np.prod(traces))


def tau_b(a, b):
    return stats.kendalltau(a, b).statistic


# Descriptions of one side, compared


def uniformity(x):
    return np.log(np.exp(-2 * distance.squareform(distance.pdist(x, "sqeuclidean"))).mean())


def concentricity(x):
    return (unit(x) @ (x.mean(axis=0) / np.linalg.norm(x.mean(axis=0)))).mean()


_TIMES = np.logspace(-1, 1, 256)


def _neighbour_spectrum(x, k=5):
    """Eigenvalues of the normalised Laplacian of the graph of nearest neighbours, of either side."""
    squares = distance.squareform(distance.pdist(x, "sqeuclidean"))
    np.fill_diagonal(squares, -1)
    graph = np.zeros_like(squares)
    np.put_along_axis(graph, np.argsort(squares, axis=1, kind="stable")[:, 1 : k + 1], 1, axis=1)
    graph = np.maximum(graph, graph.T)
    roots = np.sqrt(graph.sum(axis=1))
    return np.linalg.eigvalsh(np.eye(len(x)) - graph / roots / roots[:, None])


def _heat(x, y):
    """Differences of mean heat kernels, weighted, at all times; and the error of one random vector a side."""
    spectra = [_neighbour_spectrum(side) for side in (x, y)]
    kept = [np.exp(-np.outer(_TIMES, one)) for one in spectra]
    weight = 1e6 * np.exp(-2 * (_TIMES + 1 / _TIMES))
    drawn = [one + np.outer(_TIMES * np.exp(-_TIMES), s) for one, s in zip(kept, spectra, strict=True)]
    error = np.sqrt(2 / (len(x) + 2) * sum(one.var(axis=1) for one in drawn))
    return weight * np.abs(kept[0].mean(axis=1) - kept[1].mean(axis=1)), weight * error


def intrinsic_distance(x, y):
    """Largest difference of heat traces of neighbour graphs, from their eigenvalues."""
    return _heat(x, y)[0].max()


def intrinsic_distance_error(x, y, vectors):
    """The standard error of the same from so many random vectors of length 1, at the time of the largest difference."""
    gap, error = _heat(x, y)
    return error[gap.argmax()] / np.sqrt(vectors)


# Regressions, with the folds of scikit-learn


def ridge_r2(x, y, penalty=1.0):
    """Mean R^2 over the columns of y of a ridge without intercept."""
    fitted = x @ np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ y)
    return (1 - ((y - fitted) ** 2).mean(axis=0) / y.var(axis=0)).mean()


def folds_in_order(n, folds=5):
    """Training and test items of folds of consecutive items."""
    items = np.arange(n)
    return [(np.setdiff1d(items, test), test) for test in np.array_split(items, folds)]


def left_out(x, y, penalty=1.0):
    """Predictions of y by a ridge with intercept, folds in the order of items."""
    found = np.empty_like(y)
    for train, test in folds_in_order(len(x)):
        mx, my = x[train].mean(axis=0), y[train].mean(axis=0)
        a = x[train] - mx
        b = np.linalg.solve(a.T @ a + penalty * np.eye(a.shape[1]), a.T @ (y[train] - my))
        found[test] = (x[test] - mx) @ b + my
    return found


def r2_scores(y, fitted):
    return 1 - ((y - fitted) ** 2).sum(axis=0) / (centred(y) ** 2).sum(axis=0)


def _standardised(x):
    with np.errstate(invalid="ignore"):
        return np.nan_to_num(centred(x) / x.std(axis=0))


def _shuffled_folds(n):
    from sklearn.model_selection import KFold

    return KFold(5, shuffle=True, random_state=42).split(np.arange(n))


def over_folds(x, y, kind):
    """Mean over five shuffled folds, train and test standardised each by itself, of what ``kind`` predicts."""
    found = []
    for train, test in _shuffled_folds(len(x)):
        a, b = _standardised(x[train]), _standardised(x[test])
        if kind == "best column":
            with np.errstate(invalid="ignore"):
                fitted = b[:, np.nan_to_num(columns_correlated(a, y[train])).argmax(axis=0)]
        else:
            fitted = _model(kind).fit(a, y[train]).predict(b)
        if kind == "dissimilarities":
            found.append(tau_b(upper(fitted, "correlation"), upper(y[test], "correlation")))
        else:
            found.append(np.nanmean(paired_correlations(fitted, y[test])))
    return np.mean(found)


def _model(kind):
    from sklearn.cross_decomposition import PLSRegression
    from sklearn.linear_model import RidgeCV

    return PLSRegression(25) if kind == "pls" else RidgeCV(alphas=np.logspace(-8, 8, 17))


def pls_by_splits(x, y, kind):
    """Mean over splits of the median correlation of columns with what 25 components of PLS predict."""
    from sklearn.cross_decomposition import PLSRegression
    from sklearn.model_selection import KFold, StratifiedShuffleSplit

    splits = {"folds": KFold(5, shuffle=True, random_state=1)}
    splits["draws"] = StratifiedShuffleSplit(10, train_size=0.9, random_state=1)
    found = []
    for train, test in splits[kind].split(x, np.zeros(len(x))):
        fitted = PLSRegression(25, scale=False).fit(x[train], y[train]).predict(x[test])
        found.append(np.nanmedian(paired_correlations(fitted, y[test])))
    return np.mean(found)


def shape_angle_left_out(x, y):
    """Angle on the items left out after turning by those of training, both sides reduced to the smallest width."""
    rank = min(x.shape[1], *y.shape)
    x, y = (side if side.shape[1] == rank else leading(side, rank) for side in (x, y))
    found = []
    for train, test in _shuffled_folds(len(x)):
        mx, my = x[train].mean(axis=0), y[train].mean(axis=0)
        u, _, vt = np.linalg.svd((x[train] - mx).T @ (y[train] - my))
        found.append(np.arccos(cosine((x[test] - mx) @ u, (y[test] - my) @ vt.T)))
    return np.mean(found)
