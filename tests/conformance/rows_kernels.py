"""Rows of kernels and of distances between items: CKA, HSIC, distance correlation."""

from conformance.row import Departure, Row

ROWS = [
    Row(
        "brainscore/cka contrasim/feature_space_linear_cka correcting_cka_alignment/cka drfrankenstein/cka"
        " implicitdeclaration_similarity/linear_cka llm_repsim/cka measure/stir/linear_CKA"
        " measure/xrsa_awes/feature_space_linear_cka measure/yuanli2333/cka neuroaimetrics/CKA nn_similarity_index/cka"
        " representation_similarity/cka resi/CKA rtd/cka thingsvision/cka_kernel_linear_biased"
        " unsupervised_analysis/cka",
        "linear CKA, biased",
        'cka(x, y, estimator="biased")',
    ),
    Row("platonic/cka", "linear CKA, biased, 1e-6 added to the denominator", "platonic.cka(x, y)"),
    Row(
        "contrasim/feature_space_linear_cka_debiased correcting_cka_alignment/cka_debiased"
        " measure/xrsa_awes/feature_space_linear_cka-debiased_True representation_similarity/cka_debiased"
        " thingsvision/cka_kernel_linear_unbiased",
        "linear CKA, unbiased",
        "cka(x, y)",
    ),
    Row(
        "platonic/unbiased_cka",
        "linear CKA, unbiased, 1e-6 added to the denominator",
        "platonic.unbiased_cka(x, y)",
        cells={
            "ties": Departure("they compute in float32", within=2e-5),
            "real": Departure("they compute in float32", within=1e-5),
        },
    ),
    Row(
        "measure/stir/kernel_CKA platonic/cka_rbf thingsvision/cka_kernel_rbf_biased_sigma_1.0",
        "CKA, biased, Gaussian kernel exp(-d²/2σ²) of σ = 1 for both sides",
        'cka(x, y, kernel=RBF(1.0), estimator="biased")',
    ),
    Row(
        "thingsvision/cka_kernel_rbf_unbiased_sigma_1.0",
        "CKA, unbiased, Gaussian kernel of σ = 1",
        "cka(x, y, kernel=RBF(1.0))",
    ),
    Row(
        "platonic/unbiased_cka_rbf",
        "CKA, unbiased, Gaussian kernel of σ = 1, 1e-6 added to the denominator",
        'platonic.unbiased_cka(x, y, kernel_metric="rbf", rbf_sigma=1.0)',
    ),
    Row(
        "netrep/LinearCKA repsim/AngularCKA.linear",
        "angle of biased linear CKA",
        "angular_cka(x, y)",
    ),
    Row("ensd/computeDist", "the same in right angles", "angular_cka(x, y) / (np.pi / 2)"),
    Row("fsd/linear_CKA_loss", "-log of biased linear CKA", '-math.log(cka(x, y, estimator="biased"))'),
    Row("sim_metric/lin_cka_dist", "1 - biased linear CKA", '1 - cka(x, y, estimator="biased")'),
    Row(
        "repsim/AngularCKA.SqExp[{sigma}]",
        "angle of biased CKA, Gaussian kernel of σ = 1",
        "angular_cka(x, y, kernel=RBF(1.0))",
    ),
    Row(
        "repsim/AngularCKA.Laplace[{sigma}]",
        "angle of biased CKA, kernel exp(-d/√2)",
        "angular_cka(x, y, kernel=Laplacian(math.sqrt(2)))",
    ),
    Row(
        "repsim/AngularCKA.unb.linear",
        "angle of the cosine of kernels that are centred and then lose their diagonal",
        'angular_cka(x, y, estimator="unbiased")',
        Departure(
            "what was centred is no longer so without its diagonal: not the U-centring of the unbiased estimator",
            "np.arccos(overlap_of_hollow_kernels(x @ x.T, y @ y.T))",
        ),
    ),
    Row(
        "repsim/AngularCKA.unb.SqExp[{sigma}]",
        "the same of Gaussian kernels of σ = 1",
        'angular_cka(x, y, kernel=RBF(1.0), estimator="unbiased")',
        Departure("as above", "np.arccos(overlap_of_hollow_kernels(gaussian(x), gaussian(y)))"),
    ),
    Row(
        "repsim/AngularCKA.unb.Laplace[{sigma}]",
        "the same of kernels exp(-d/√2)",
        'angular_cka(x, y, kernel=Laplacian(math.sqrt(2)), estimator="unbiased")',
        Departure(
            "as above", "np.arccos(overlap_of_hollow_kernels(laplacian(x, math.sqrt(2)), laplacian(y, math.sqrt(2))))"
        ),
    ),
    Row("measure/stir/linear_HSIC", "biased linear HSIC times n²", 'hsic(x, y, estimator="biased") * len(x) ** 2'),
    Row(
        "measure/stir/kernel_HSIC",
        "biased HSIC times n², Gaussian kernel of σ = 1",
        'hsic(x, y, kernel=RBF(1.0), estimator="biased") * len(x) ** 2',
    ),
    Row(
        "measure/stir/unbiased_linear_HSIC",
        "unbiased linear HSIC times (n - 3)²",
        "hsic(x, y)",
        Departure(
            "a sum is divided by n and then multiplied by n - 3, where n (n - 3) would divide",
            "hsic(x, y) * (len(x) - 3) ** 2",
        ),
    ),
    Row(
        "resi/DistanceCorrelation",
        "distance correlation, biased; the root of ours",
        'math.sqrt(distance_correlation(x, y, estimator="biased"))',
    ),
    Row(
        "ensd/ensd",
        "participation ratios of both sides times tr(KL) of kernels of trace 1",
        "ensd(x, y)",
    ),
    Row(
        "nn_similarity_index/euclidean",
        "Frobenius distance of linear kernels, uncentred",
        departure=Departure(
            "not offered: in the units of squared features; distance_alignment is the one of distances",
            "np.linalg.norm(x @ x.T - y @ y.T)",
        ),
    ),
    Row(
        "measure/contrasim/cosine measure/correcting_cka_alignment/cosine measure/representation_similarity/cosine",
        "cosine of whatever matrices are given; it was given the features",
        departure=Departure("a part of a CKA, not a measure", "cosine(x, y)"),
    ),
    Row(
        "measure/implicitdeclaration_similarity/linear_sparse_HSIC",
        "diagonal of products of half-centred kernels, 1/500 for 1/n",
        departure=Departure(
            "no HSIC: only the diagonal counts, centred for 500 items", "masked_trace(x @ x.T, y @ y.T)"
        ),
    ),
    Row(
        "measure/implicitdeclaration_similarity/cos_sparse_HSIC",
        "the same of cosines",
        departure=Departure("as above", "masked_trace(unit(x) @ unit(x).T, unit(y) @ unit(y).T)"),
    ),
    Row(
        "measure/implicitdeclaration_similarity/rbf_sparse_HSIC",
        "the same of Gaussian kernels of σ = 1",
        departure=Departure("as above", "masked_trace(gaussian(x), gaussian(y))"),
    ),
    Row(
        "modelsym/ortho_cka modelsym/wreath_cka",
        "CKA of kernels of spatial maps",
        departure=Departure("nan: the adapter gives them one item of n channels"),
    ),
]
