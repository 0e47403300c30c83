"""Rows of neighbours, of dissimilarities, and of what describes one side."""

from conformance.row import Departure, Row

_ORDER = "ties in the order of an unstable sort"
_SPLIT = "equal dissimilarities that rounding tells apart are ties for us"


def _ties(within, why=_SPLIT):
    return {"ties": Departure(why, within=within)}


_NO_COUNTS = Departure("numbers below 0, here 0, have no logarithm: theirs have nothing left, and score 0", "0.0")
_BURES_CORRELATION = "unit(across(x)), unit(across(y))"

ROWS = [
    Row(
        "platonic/mutual_knn_topk",
        "neighbours in common of 10, by inner product",
        "platonic.mutual_knn(x, y, 10)",
        cells=_ties(0.01, _ORDER),
    ),
    Row(
        "platonic/cycle_knn_topk",
        "items that a neighbour leads back to",
        "platonic.cycle_knn(x, y, 10)",
        cells=_ties(0.1, _ORDER),
    ),
    Row(
        "platonic/lcs_knn_topk",
        "longest common subsequence of lists",
        "platonic.lcs_knn(x, y, 10)",
        cells=_ties(0.1, _ORDER),
    ),
    Row("platonic/edit_distance_knn_topk", "1 - edit distance of lists / 10", "platonic.edit_distance_knn(x, y, 10)"),
    Row(
        "platonic/cknna_topk",
        "masked kernels, then unbiased CKA",
        "platonic.cknna(x, y, 10)",
        cells=_ties(0.02, _ORDER),
    ),
    Row(
        "resi/JaccardSimilarity",
        "Jaccard of 10 neighbours by cosine",
        "jaccard_knn(x, y, 10)",
        cells=_ties(1e-3, "ties in the order of a sort, for us in shares"),
    ),
    Row(
        "llm_repsim/jaccard_similarity",
        "Jaccard of 10 neighbours by cosine of centred columns",
        "jaccard_knn(centred(x), centred(y), 10)",
    ),
    Row(
        "resi/RankSimilarity",
        "common neighbours by how high and how alike they rank",
        "rank_similarity(x, y, 10)",
        cells=_ties(0.02, _ORDER),
    ),
    Row(
        "resi/SecondOrderCosineSimilarity",
        "cosine of distances to the neighbours of either side",
        "second_order_cosine(x, y, 10)",
        cells=_ties(0.02, _ORDER),
    ),
    Row(
        "brainscore/rsa-correlation-spearman",
        "Spearman of correlation distances",
        "rsa(x, y)",
    ),
    Row(
        "resi/RSA_correlation_spearman rsatoolbox/rsa-correlation-spearman"
        " thingsvision/rsa_method_correlation_corr_method_spearman",
        "Spearman of correlation distances",
        "rsa(x, y)",
        cells=_ties(3e-5),
    ),
    Row(
        "rsatoolbox/rsa-correlation-rho_a",
        "Spearman's rho-a of correlation distances",
        'rsa(x, y, comparison="rho_a")',
        cells=_ties(3e-5),
    ),
    Row(
        "rsatoolbox/rsa-euclidean-rho_a rsatoolbox/rsa-mahalanobis-rho_a",
        "Spearman's rho-a of squared distances",
        'rsa(x, y, distance="sqeuclidean", comparison="rho_a")',
    ),
    Row(
        "llm_repsim/representational_similarity_analysis",
        "Spearman of correlation distances of centred columns",
        "rsa(centred(x), centred(y))",
    ),
    Row(
        "resi/RSA_euclidean_spearman rsatoolbox/rsa-euclidean-spearman rsatoolbox/rsa-mahalanobis-spearman"
        " thingsvision/rsa_method_euclidean_corr_method_spearman"
        " thingsvision/rsa_method_gaussian_corr_method_spearman",
        "Spearman of Euclidean distances, whatever monotone function of them is taken",
        'rsa(x, y, distance="euclidean")',
    ),
    Row(
        "mouse_vision/rsa nnsrm_neurips18/rsa rsatoolbox/rsa-correlation-corr"
        " thingsvision/rsa_method_correlation_corr_method_pearson",
        "Pearson of correlation distances",
        'rsa(x, y, comparison="pearson")',
    ),
    Row(
        "neuroaimetrics/RSA rsatoolbox/rsa-correlation-kendall rsatoolbox/rsa-correlation-tau_b",
        "Kendall's tau-b of correlation distances",
        'rsa(x, y, comparison="tau_b")',
        cells=_ties(5e-4),
    ),
    Row(
        "rsatoolbox/rsa-correlation-tau_a",
        "Kendall's tau-a of correlation distances",
        'rsa(x, y, comparison="kendall")',
    ),
    Row(
        "rsatoolbox/rsa-euclidean-kendall rsatoolbox/rsa-euclidean-tau_b rsatoolbox/rsa-mahalanobis-kendall"
        " rsatoolbox/rsa-mahalanobis-tau_b",
        "Kendall's tau-b of squared distances",
        'rsa(x, y, distance="sqeuclidean", comparison="tau_b")',
    ),
    Row(
        "rsatoolbox/rsa-euclidean-tau_a rsatoolbox/rsa-mahalanobis-tau_a",
        "Kendall's tau-a of squared distances",
        'rsa(x, y, distance="sqeuclidean", comparison="kendall")',
    ),
    Row("rsatoolbox/rsa-correlation-cosine", "cosine of correlation distances", 'rsa(x, y, comparison="cosine")'),
    Row(
        "rsatoolbox/rsa-euclidean-cosine rsatoolbox/rsa-mahalanobis-cosine",
        "cosine of squared distances",
        'rsa(x, y, distance="sqeuclidean", comparison="cosine")',
    ),
    Row(
        "rsatoolbox/rsa-euclidean-corr rsatoolbox/rsa-mahalanobis-corr",
        "Pearson of squared distances",
        'rsa(x, y, distance="sqeuclidean", comparison="pearson")',
    ),
    Row(
        "thingsvision/rsa_method_euclidean_corr_method_pearson",
        "Pearson of distances",
        'rsa(x, y, distance="euclidean", comparison="pearson")',
    ),
    Row(
        "thingsvision/rsa_method_cosine_corr_method_pearson",
        "Pearson of cosine distances",
        'rsa(x, y, distance="cosine", comparison="pearson")',
    ),
    Row(
        "thingsvision/rsa_method_cosine_corr_method_spearman",
        "Spearman of cosine distances",
        'rsa(x, y, distance="cosine")',
        cells=_ties(3e-5),
    ),
    Row(
        "thingsvision/rsa_method_gaussian_corr_method_pearson",
        "Pearson of 1 - exp(-d²/mean d²)",
        'rsa(gaussian_dissimilarities(x), gaussian_dissimilarities(y), distance="precomputed", comparison="pearson")',
    ),
    Row(
        "rsatoolbox/rsa-euclidean-cosine_cov rsatoolbox/rsa-mahalanobis-cosine_cov",
        "whitened cosine of squared distances, which is biased linear CKA",
        'rsa(x, y, distance="sqeuclidean", comparison="whitened_cosine")',
    ),
    Row(
        "rsatoolbox/rsa-correlation-cosine_cov",
        "whitened cosine of correlation distances",
        'rsa(x, y, comparison="whitened_cosine")',
    ),
    Row(
        "rsatoolbox/rsa-euclidean-corr_cov rsatoolbox/rsa-mahalanobis-corr_cov",
        "whitened cosine of squared distances less their mean",
        'rsa(x, y, distance="sqeuclidean", comparison="whitened_pearson")',
    ),
    Row(
        "rsatoolbox/rsa-correlation-corr_cov",
        "whitened cosine of correlation distances less their mean",
        'rsa(x, y, comparison="whitened_pearson")',
    ),
    Row("rsatoolbox/rsa-euclidean-bures rsatoolbox/rsa-mahalanobis-bures", "NBS of squared distances", "nbs(x, y)"),
    Row("rsatoolbox/rsa-correlation-bures", "NBS of correlation distances", f"nbs({_BURES_CORRELATION})"),
    Row(
        "rsatoolbox/rsa-euclidean-bures_metric rsatoolbox/rsa-mahalanobis-bures_metric",
        "squared Procrustes distance of features over the root of their number",
        "procrustes(x / math.sqrt(x.shape[1]), y / math.sqrt(y.shape[1])) ** 2",
    ),
    Row(
        "rsatoolbox/rsa-correlation-bures_metric",
        "half the squared Procrustes distance of standardised rows",
        f"procrustes({_BURES_CORRELATION}) ** 2 / 2",
    ),
    *(
        Row(
            " ".join(f"rsatoolbox/rsa-poisson-{one}" for one in theirs.split()),
            f"{what} of symmetrised divergences of counts, with a prior of 1 that counts a tenth",
            f'rsa(counts(x), counts(y), distance="precomputed", comparison="{comparison}")',
            cells=dict.fromkeys(("golden", "offset", "wide"), _NO_COUNTS) | (_ties(2e-3) if ranked else {}),
        )
        for theirs, comparison, what, ranked in (
            ("corr", "pearson", "Pearson", False),
            ("cosine", "cosine", "cosine", False),
            ("spearman", "spearman", "Spearman", True),
            ("rho_a", "rho_a", "Spearman's rho-a", True),
            ("kendall tau_b", "tau_b", "Kendall's tau-b", True),
            ("corr_cov", "whitened_pearson", "whitened Pearson", False),
            ("cosine_cov", "whitened_cosine", "whitened cosine", False),
        )
    ),
    Row(
        "rsatoolbox/rsa-poisson-bures",
        "NBS of kernels of the same",
        departure=Departure("not offered: these are no distances of vectors", "bures_of_counts(x, y)"),
    ),
    Row(
        "rsatoolbox/rsa-poisson-bures_metric",
        "their squared Procrustes distance",
        departure=Departure("as above", "bures_of_counts(x, y, distance=True)"),
    ),
    Row(
        "measure/rsatoolbox/zero_diagonal-cosine",
        "cosine of dissimilarity matrices",
        departure=Departure(
            "the adapter passes features, padded with zeros, for dissimilarities",
            "features_as_dissimilarities(x, y)",
        ),
    ),
    Row(
        "llm_repsim/rsm_norm_diff resi/RSA_euclidean_euclidean",
        "Euclidean norm of the difference of distances",
        departure=Departure(
            "not offered: distance_alignment is of squared distances and a mean",
            'np.linalg.norm(upper(x, "euclidean") - upper(y, "euclidean"))',
        ),
    ),
    Row(
        "resi/RSA_correlation_euclidean",
        "the same of correlation distances",
        departure=Departure("as above", 'np.linalg.norm(upper(x, "correlation") - upper(y, "correlation"))'),
    ),
    Row(
        "resi/RSMNormDifference",
        "spectral norm of the difference of distance matrices",
        departure=Departure(
            "as above; the norm is meant for vectors, and takes a matrix here", "whole_matrix_norm(x, y)"
        ),
    ),
    Row(
        "resi/MagnitudeDifference",
        "difference of the lengths of mean items",
        departure=Departure(
            "of one side at a time: see describe",
            "abs(np.linalg.norm(x.mean(axis=0)) - np.linalg.norm(y.mean(axis=0)))",
        ),
    ),
    Row(
        "resi/ConcentricityDifference",
        "difference of mean cosines with the mean item",
        departure=Departure("as above", "abs(concentricity(x) - concentricity(y))"),
    ),
    Row(
        "resi/UniformityDifference",
        "difference of log mean exp(-2 d²)",
        departure=Departure("as above", "abs(uniformity(x) - uniformity(y))"),
    ),
    Row(
        "imd/imd",
        "multi-scale intrinsic distance: heat traces of neighbour graphs, from 100 random vectors",
        departure=Departure(
            "not offered: values are 1 to 19, standard errors 15 to 34",
            "intrinsic_distance(x, y)",
            within="4 * intrinsic_distance_error(x, y, 100)",
        ),
    ),
    Row(
        "resi/IMDScore",
        "the same from 40,000",
        departure=Departure(
            "not offered: standard errors are 0.7 to 1.7",
            "intrinsic_distance(x, y)",
            within="4 * intrinsic_distance_error(x, y, 40_000)",
        ),
        cells={
            "ties": Departure(
                "the graph is of ties in the order of a partition", "intrinsic_distance(x, y)", lot="items"
            )
        },
    ),
]
