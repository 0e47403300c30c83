"""Rows of canonical correlations, shapes, matchings of columns and regressions."""

from conformance.row import Departure, Row

_TIES_RANK = Departure("15 of 26 columns are independent, and they divide by 26", "cca(x, y) * 15 / 26")
_OVER_RANKS = Departure(
    "columns are not independent: ours is over the larger rank",
    'cca(x, y, statistic="eos", centred=False)'
    " * max(np.linalg.matrix_rank(x), np.linalg.matrix_rank(y)) / max(x.shape[1], y.shape[1])",
)


def _no_components(expression):
    return Departure("15 independent columns have no 25 components but those of rounding", expression, lot="columns")


_NO_SPLITS = (
    "predictivity takes the median over columns of all items together, not a mean of medians; and all three are"
    " PLS: the adapter binds the last"
)
_LEFT_OUT = 'x, y, regression="ridge", alpha=1.0, cv=folds_in_order(len(x))'
_RESHAPED = "the adapter passes items as channels"

ROWS = [
    Row(
        "contrasim/cca svcca/cca sim_metric/mean_cca_corr",
        "mean canonical correlation",
        "cca(x, y)",
        cells={"ties": _TIES_RANK},
    ),
    Row(
        "contrasim/svcca",
        "mean canonical correlation of all singular directions: SVCCA that leaves none out",
        "cca(x, y)",
    ),
    Row(
        "contrasim/cca_squared_correlation svcca/cca_squared_correlation sim_metric/mean_sq_cca_corr",
        "mean squared canonical correlation",
        'cca(x, y, statistic="r2")',
        cells={
            "ties": Departure(
                "15 of 26 columns are independent, and they divide by 26", 'cca(x, y, statistic="r2") * 15 / 26'
            )
        },
    ),
    Row(
        "representation_similarity/cca",
        "mean squared canonical correlation by QR, over the smaller number of columns",
        'cca(x, y, statistic="r2")',
        cells={
            "wide": Departure(
                "39 correlations are forced to 1, QR adds the constant, and they divide by 50",
                "r2_cca_of_columns(x, y)",
            ),
            "ties": Departure("QR gives a direction to every column, dependent or not", within=0.2),
        },
    ),
    Row(
        "drfrankenstein/cca",
        "squared overlap of the bases of QR, over the columns of x",
        'cca(x, y, statistic="r2")',
        cells={
            "ties": Departure("QR gives a direction to every column, dependent or not", within=0.2),
            "real": Departure("150 directions of x, of which y has 128", "r2_cca_of_first(x, y)"),
        },
    ),
    Row(
        "contrasim/pwcca resi/PWCCA rtd/pwcca svcca/pwcca",
        "canonical correlations weighted by directions that are turned, not whitened, their means added back",
        "pwcca(x, y)",
        Departure(
            "the projection lacks the whitening, and the means of other columns are added to it: its weights are not"
            " those of the paper",
            "rotated_pwcca(x, y)",
        ),
    ),
    Row("sim_metric/pwcca_dist", "1 - PWCCA as in its paper", "1 - pwcca(x, y)"),
    Row(
        "resi/SVCCA",
        "correlation of the first principal components",
        "svcca(x, y, variance=0.99)",
        Departure(
            "a share of variance is held against 0.99 times the variance itself, which none reaches: rank 1",
            "svcca(x, y, rank=1)",
        ),
    ),
    Row(
        "rtd/svcca",
        "SVCCA of rows centred across features, directions by 99 % of the sum of singular values",
        "svcca(x, y, variance=0.99)",
        Departure("centred along the wrong axis, and values are summed where squares are meant", "svcca_by_sum(x, y)"),
    ),
    Row(
        "platonic/svcca",
        "SVCCA of standardised columns, 10 directions of a random SVD, correlations by iteration",
        "platonic.svcca(x, y, cca_dim=min(10, x.shape[1], y.shape[1]))",
        cells={
            name: Departure("a random SVD without power enough: another value at every call", within=0.08)
            for name in ("offset", "wide", "ties", "real")
        },
    ),
    Row(
        "pyrcca/cca",
        "correlation of columns with those predicted from the other side by kernel CCA without a ridge",
        departure=Departure(
            "n x n kernels are singular without a ridge, and the adapter exchanges the sides of their eigenproblem:"
            " vectors of rounding",
            "kernel_cca_without_ridge(x, y)",
            lot="columns",
        ),
    ),
    Row(
        "svcca/pls",
        "mean singular value of the cross-covariance",
        departure=Departure("not offered: in the units of both sides", "mean_cross_singular_value(x, y)"),
    ),
    Row(
        "resi/EigenspaceOverlapScore",
        "squared overlap of column spaces, uncentred, over the larger number of columns",
        'cca(x, y, statistic="eos", centred=False)',
        cells=dict.fromkeys(("wide", "real"), _OVER_RANKS),
    ),
    Row(
        "resi/Gulp",
        "squared GULP distance without a ridge: p + q - 2 Σρ²",
        "gulp(x, y, ridge=0.0) ** 2",
        cells={
            "ties": Departure(
                "6 of 22 empty directions have positive eigenvalues by rounding, and each counts as 1",
                "gulp(x, y, ridge=0.0) ** 2 + 6",
            )
        },
    ),
    Row(
        "llm_repsim/orthogonal_procrustes netrep/LinearMetric_euclidean nn_similarity_index/bures_distance"
        " resi/ProcrustesSizeAndShapeDistance",
        "Procrustes distance, centred",
        "procrustes(x, y)",
    ),
    Row("sim_metric/procrustes survey_measures/procrustes", "Procrustes distance, squared", "procrustes(x, y) ** 2"),
    Row(
        "netrep/LinearMetric_angular resi/OrthogonalAngularShapeMetricCentered",
        "angle of shapes",
        "angular_distance(x, y)",
    ),
    Row(
        "repsim/ShapeMetric[{alpha}][angular]",
        "angle of shapes, y reduced to as many principal components as x has columns",
        "angular_distance(x, y)",
        cells={"offset": Departure("9 of 24 components of y are left out", "angular_distance(x, leading(y, 15))")},
    ),
    Row(
        "repsim/ShapeMetric[{alpha}][euclidean]",
        "Procrustes distance, y reduced likewise",
        "procrustes(x, y)",
        cells={"offset": Departure("9 of 24 components of y are left out", "procrustes(x, leading(y, 15))")},
    ),
    Row("nn_similarity_index/nbs", "normalised Bures similarity", "nbs(x, y)"),
    Row(
        "resi/OrthogonalProcrustesCenteredAndNormalized",
        "Procrustes distance of shapes of length 1",
        "math.sqrt(2 - 2 * nbs(x, y))",
    ),
    Row(
        "modelsym/ortho_procrustes",
        "1 - half the Procrustes distance of shapes of length 1",
        "1 - math.sqrt(2 - 2 * nbs(x, y)) / 2",
        Departure(_RESHAPED + ": items are turned, features are not, nothing is centred", "items_as_features(x, y)"),
    ),
    Row(
        "modelsym/wreath_procrustes",
        "the same by matching channels of length 1",
        "one_to_one(x, y)",
        Departure(_RESHAPED + ": items are matched", "items_matched(x, y)"),
    ),
    Row(
        "nnsrm_neurips18/procrustes",
        "Procrustes disparity, 1 - NBS²",
        "1 - nbs(x, y) ** 2",
        Departure("features are taken for items", "transposed_disparity(x, y)"),
    ),
    Row(
        "llm_repsim/aligned_cossim",
        "mean cosine of items, x turned to y, both centred",
        departure=Departure(
            "not offered: NBS weighs items by length", "mean_row_cosine(*turned(centred(x), centred(y)))"
        ),
    ),
    Row(
        "resi/AlignedCosineSimilarity",
        "mean cosine of items, x turned to y, uncentred",
        departure=Departure("not offered: NBS weighs items by length", "mean_row_cosine(*turned(x, y))"),
    ),
    Row(
        "neuroaimetrics/LinearShapeMetric",
        "angle of shapes on items left out, reduced to the smaller width by PCA",
        departure=Departure("not offered: a stitcher scored by hand", "shape_angle_left_out(x, y)"),
        cells={
            name: Departure(
                "not offered; as few items train as there are columns, and what none of them fixes is turned anyhow",
                "shape_angle_left_out(x, y)",
                lot="columns",
            )
            for name in ("wide", "real")
        },
    ),
    Row(
        "netrep/PermutationMetric_euclidean",
        "distance after the best matching of columns, centred",
        "soft_matching(x, y) * math.sqrt(x.shape[1])",
        cells={
            name: Departure(
                "widths differ: they add columns of zeros, soft_matching splits columns",
                "permuted_distance(centred(x), centred(y))",
            )
            for name in ("offset", "wide", "real")
        },
    ),
    Row(
        "netrep/PermutationMetric_angular",
        "angle after the best matching of columns, centred",
        "np.arccos(((centred(x) ** 2).sum() + (centred(y) ** 2).sum() - x.shape[1] * soft_matching(x, y) ** 2)"
        " / (2 * np.linalg.norm(centred(x)) * np.linalg.norm(centred(y))))",
        cells={
            name: Departure("widths differ: columns of zeros", "permuted_angle(centred(x), centred(y))")
            for name in ("offset", "wide", "real")
        },
    ),
    Row(
        "resi/PermutationProcrustes",
        "distance after the best matching of columns, uncentred",
        "soft_matching(x, y) * math.sqrt(x.shape[1])",
        Departure("means are matched too, and narrower sides padded with zeros", "permuted_distance(x, y)"),
    ),
    Row("resi/HardCorrelationMatch", "mean correlation of columns matched one to one", "one_to_one(x, y)"),
    Row(
        "neuroaimetrics/SoftMatching",
        "mean correlation of columns matched by optimal transport",
        '1 - soft_matching(x, y, normalize="standardize") ** 2 / (2 * (len(x) - 1))',
    ),
    Row(
        "resi/SoftCorrelationMatch",
        "mean of the best correlation of every column, of both sides",
        "soft_correlation(x, y, absolute=False)",
    ),
    Row(
        "neuroaimetrics/pairwisematching",
        "correlation, on items left out, of every column of y with its best of x",
        departure=Departure("not offered: five shuffled folds", 'over_folds(x, y, "best column")'),
    ),
    Row(
        "brainscore/correlation",
        "median correlation of columns of the same number",
        departure=Departure("not offered: columns must be the same", "np.median(paired_correlations(x, y))"),
    ),
    Row(
        "nnsrm_neurips18/isc",
        "mean correlation of all pairs of columns",
        departure=Departure("not offered: signs cancel", "columns_correlated(x, y).mean()"),
    ),
    Row(
        "measure/subspacematch/max_match",
        "share of columns in subspaces that span each other up to 0.25",
        departure=Departure("not offered: 0 or 1 on all inputs", "maximum_match(x, y)"),
    ),
    Row("resi/LinearRegression", "R² of x from y by least squares, in-sample", "linear_predictivity(y, x)"),
    Row(
        "brain_language_nlp/ridge brain_language_nlp/kernel_ridge",
        "mean R² of the columns of y from x, ridge 1, without intercept, in-sample",
        departure=Departure("not offered: a ridge needs left-out items, and means an intercept", "ridge_r2(x, y)"),
    ),
    Row(
        "deepdive/neural_regression-alpha1-pearson_r-5folds_cv deepdive/neural_regression-alpha0-pearson_r-5folds_cv",
        "mean correlation with the predictions of a ridge of 1 (alpha is not passed on), five folds in order",
        f'predictivity({_LEFT_OUT}, statistic="pearson")',
    ),
    Row(
        "deepdive/neural_regression-alpha1-pearson_r2-5folds_cv deepdive/neural_regression-alpha0-pearson_r2-5folds_cv",
        "the same, squared",
        f'(predictivity({_LEFT_OUT}, statistic="pearson").per_column ** 2).mean()',
    ),
    Row(
        "deepdive/neural_regression-alpha1-r2-5folds_cv deepdive/neural_regression-alpha0-r2-5folds_cv",
        "mean R² of the same",
        f'predictivity({_LEFT_OUT}, multioutput="uniform_average")',
        Departure(
            "errors are held against the mean of all items, which no prediction knew, ours against that of other folds",
            "r2_scores(y, left_out(x, y)).mean()",
        ),
    ),
    Row(
        "neuroaimetrics/LinearPredictivity",
        "correlation with predictions of a ridge chosen inside five shuffled folds",
        departure=Departure("not offered: test items are standardised by themselves", 'over_folds(x, y, "ridge")'),
    ),
    Row(
        "neuroaimetrics/reverseLinearPredictivity",
        "the same of x from y",
        departure=Departure("as above", 'over_folds(y, x, "ridge")'),
    ),
    Row(
        "neuroaimetrics/PLSreg",
        "the same by 25 components of PLS",
        departure=Departure("as above", 'over_folds(x, y, "pls")'),
        cells={"ties": _no_components('over_folds(x, y, "pls")')},
    ),
    Row(
        "neuroaimetrics/VERSA",
        "Kendall's tau of dissimilarities of ridge predictions and of y on items left out",
        departure=Departure("as above", 'over_folds(x, y, "dissimilarities")'),
    ),
    Row(
        "brainscore/linear_regression-pearsonr_correlation brainscore/ridge_regression-pearsonr_correlation"
        " brainscore/pls_regression-pearsonr_correlation",
        "median correlation with predictions of 25 components of PLS, ten random splits",
        departure=Departure(_NO_SPLITS, 'pls_by_splits(x, y, "draws")'),
        cells={"ties": _no_components('pls_by_splits(x, y, "draws")')},
    ),
    Row(
        "brainscore/linear_regression-pearsonr_correlation-5folds_cv"
        " brainscore/ridge_regression-pearsonr_correlation-5folds_cv"
        " brainscore/pls_regression-pearsonr_correlation-5folds_cv",
        "the same, five shuffled folds",
        departure=Departure("as above", 'pls_by_splits(x, y, "folds")'),
        cells={"ties": _no_components('pls_by_splits(x, y, "folds")')},
    ),
    Row(
        "mouse_vision/CorrelationNeuralMap mouse_vision/PLSNeuralMap",
        "regression onto neurons",
        departure=Departure("does not run with NumPy 2"),
    ),
]
