"""What other implementations compute where that is not what the package computes, in float64 from their definitions."""

from __future__ import annotations

import numpy as np
from scipy import optimize, stats
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


def mean_cross_singular_value(x, y):
    return np.linalg.svd(centred(x).T @ centred(y) / (len(x) - 1), compute_uv=False).mean()


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


def tau_b(a, b):
    return stats.kendalltau(a, b).statistic


# Descriptions of one side, compared


def uniformity(x):
    return np.log(np.exp(-2 * distance.squareform(distance.pdist(x, "sqeuclidean"))).mean())


def concentricity(x):
    return (unit(x) @ (x.mean(axis=0) / np.linalg.norm(x.mean(axis=0)))).mean()


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
