"""Similarity keeps torchmetrics' protocol: every way of dividing, merging, moving and storing gives one answer."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import kernalign as ka
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchmetrics")

from device_arrays import DeviceArray  # noqa: E402
from kernalign._engines.devices import Stream  # noqa: E402
from kernalign.compat.platonic.tensors import readable  # noqa: E402
from kernalign.compat.torchmetrics import Similarity  # noqa: E402
from torchmetrics import MetricCollection  # noqa: E402

METRICS = [
    ("cka", {}),
    ("cka", {"estimator": "biased"}),
    ("hsic", {}),
    ("kernel_alignment", {}),
    ("cca", {}),
    ("nbs", {}),
    ("angular_distance", {}),
    ("procrustes", {}),
    ("linear_predictivity", {}),
]


def batches(offset: float = 0.0, dtype: str = "float64", count: int = 7, each: int = 37):
    """Related rows far from the origin, in batches."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal((count * each, 6))
    y = x @ rng.standard_normal((6, 4)) + rng.standard_normal((len(x), 4))
    x, y = ((rows + offset).astype(dtype) for rows in (x, y))
    return [
        (torch.from_numpy(a), torch.from_numpy(b)) for a, b in zip(np.split(x, count), np.split(y, count), strict=True)
    ]


def joined(given):
    return tuple(torch.cat(side).numpy() for side in zip(*given, strict=True))


@pytest.mark.parametrize("metric, options", METRICS)
def test_batches_of_forward_and_update_agree_with_one_call(metric, options) -> None:
    """Their pattern: every value of forward is its batch's, and compute is that of all rows."""
    given = batches(0.0 if metric == "kernel_alignment" else 1000.0)
    forward, update = Similarity((6, 4), metric, **options), Similarity((6, 4), metric, **options)
    for x, y in given:
        expected = float(ka.measure(metric, x.numpy(), y.numpy(), **options))
        assert float(forward(x, y)) == pytest.approx(expected, rel=1e-9, abs=1e-12)
        update.update(x, y)
    expected = float(ka.measure(metric, *joined(given), **options))
    for found in (forward, update):
        value = found.compute()
        assert (value.dtype, value.shape) == (torch.float64, ())
        assert float(value) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_the_state_is_exact_where_raw_sums_lose_digits() -> None:
    far, near = (batches(offset, count=8, each=40) for offset in (1e6, 0.0))
    found = Similarity((6, 4))
    for x, y in far:
        found(x, y)
    rows = [side - 1e6 for side in joined(far)]  # exact
    assert float(found.compute()) == pytest.approx(float(ka.cka(*rows)), rel=1e-13)
    assert float(found.compute()) == pytest.approx(float(ka.cka(*joined(near))), rel=1e-8)


def test_merge_state_pickle_copy_clone_reset() -> None:
    given = batches()
    whole, left, right = Similarity((6, 4)), Similarity((6, 4)), Similarity((6, 4))
    for at, (x, y) in enumerate(given):
        whole.update(x, y)
        (left if at % 2 else right).update(x, y)
    left.merge_state(right)
    assert float(left.compute()) == pytest.approx(float(whole.compute()), rel=1e-15)
    for other in (pickle.loads(pickle.dumps(whole)), copy.deepcopy(whole), whole.clone()):
        assert float(other.compute()) == float(whole.compute())
        other.update(*given[0])
        assert other.moments.n == whole.moments.n + 37
    found, empty = float(whole.compute()), Similarity((6, 4))
    empty.merge_state(whole)
    assert torch.equal(empty.packed, whole.packed)
    whole.reset()
    assert whole.moments.n == 0
    assert not whole.packed.any()
    for x, y in given:
        whole.update(x, y)
    assert float(whole.compute()) == found


def test_state_dict_goes_on() -> None:
    given = batches()
    first, second = Similarity((6, 4)), Similarity((6, 4))
    first.persistent(True)
    second.persistent(True)
    for x, y in given[:3]:
        first.update(x, y)
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.packed, second.packed)


def test_the_state_stays_float64() -> None:
    found = Similarity((6, 4)).half().float()
    found.update(*batches(dtype="float32")[0])
    assert found.packed.dtype == torch.float64
    assert found.half().packed.dtype == torch.float64


def test_a_device_without_float64_leaves_the_state_on_the_cpu() -> None:
    """As MPS does, which torch's meta device stands for here."""
    found = Similarity((6, 4))

    def move(tensor):
        if tensor.dtype == torch.float64:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        return tensor.to("meta")

    found._apply(move)
    assert found.packed.device.type == "cpu"
    assert found.device.type == "meta"
    found.update(*batches()[0])
    assert found.compute().dtype == torch.float32
    found.reset()
    assert found.moments.n == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.int64])
def test_dtypes(dtype) -> None:
    x, y = ((4 * rows).to(dtype) for rows in batches()[0])
    found = Similarity((6, 4))
    found.update(x, y)
    assert float(found.compute()) == pytest.approx(float(ka.cka(x, y)), rel=1e-6)


def test_gradients_stop_and_a_collection_holds_several() -> None:
    x, y = batches()[0]
    x.requires_grad_()
    found = MetricCollection({name: Similarity((6, 4), name) for name in ("cka", "nbs")})
    values = found(x, y)
    assert not any(value.requires_grad for value in values.values())
    assert set(found.compute()) == {"cka", "nbs"}


def test_what_it_says_of_itself() -> None:
    assert Similarity(3).higher_is_better is True
    assert Similarity(3, "procrustes").higher_is_better is False
    assert (Similarity(3).plot_lower_bound, Similarity(3).plot_upper_bound) == (-1.0, 1.0)
    assert Similarity(3, "procrustes").plot_upper_bound is None
    assert Similarity.is_differentiable is False
    assert Similarity.full_state_update is False


def test_few_items_are_undefined_and_end_no_training() -> None:
    found = Similarity((6, 4))
    with pytest.warns(ka.UndefinedScoreWarning, match="cka is undefined: cka \\(unbiased\\) needs at least 4 rows"):
        assert torch.isnan(found(*(rows[:3] for rows in batches()[0])))
    found(*batches()[0])
    assert found.moments.n == 40


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: Similarity(3, "rsa"), "metric must be .*, got 'rsa'"),
        (lambda: Similarity((3, 4, 5)), "num_features must be one number, or one for x and one for y"),
        (lambda: Similarity(0), "num_features must be at least 1, got 0"),
        (lambda: Similarity((6, 4)).update(torch.ones(5, 6), torch.ones(5, 6)), "y must have the 4 columns"),
        (lambda: Similarity((6, 4)).update(torch.ones(5, 6), torch.ones(4, 4)), "same number of rows, got 5 and 4"),
        (lambda: Similarity((6, 4)).update(torch.ones(6), torch.ones(4)), "2-D"),
        (lambda: Similarity(3, colour=1), "colour"),
    ],
)
def test_errors(make, words) -> None:
    with pytest.raises(ValueError, match=words):
        make()


WORKER = """
import sys
import torch
import torch.distributed as dist
from kernalign.compat.torchmetrics import Similarity

rank, meeting, empty = int(sys.argv[1]), sys.argv[2], sys.argv[3] == "empty"
torch.set_num_threads(1)
dist.init_process_group("gloo", init_method="file://" + meeting, rank=rank, world_size=2)
x = torch.randn(600, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 1000
y = x @ torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) + 0.5 * x[:, :4] ** 2
alone = Similarity((6, 4), sync_on_compute=False)
alone.update(x, y)
found = Similarity((6, 4))
for at in range(rank, 6, 2):
    if not (empty and rank == 1):
        found(x[100 * at : 100 * at + 100], y[100 * at : 100 * at + 100])
own = found.moments.n
both = found.compute()
if empty:
    rows = torch.cat([torch.arange(100 * at, 100 * at + 100) for at in (0, 2, 4)])
    alone.reset()
    alone.update(x[rows], y[rows])
assert abs(both - alone.compute()) < 1e-14, (both, alone.compute())
assert found.moments.n == own  # synced for compute only
gathered = [torch.zeros((), dtype=torch.float64) for _ in range(2)]
dist.all_gather(gathered, both)
assert gathered[0] == gathered[1]
dist.destroy_process_group()
print("agreed")
"""


@pytest.mark.parametrize("kind", ["even", "empty"])
def test_two_processes_agree_with_one(tmp_path, kind) -> None:
    """DistributedDataParallel's way of merging, over gloo, also where one process saw no batch."""
    command = [sys.executable, "-c", WORKER]
    workers = [
        subprocess.Popen([*command, str(rank), str(tmp_path / "meeting"), kind], stdout=-1, stderr=-1, text=True)
        for rank in range(2)
    ]
    try:
        found = [worker.communicate(timeout=600) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert [(out.strip(), worker.returncode) for (out, _), worker in zip(found, workers, strict=True)] == [
        ("agreed", 0)
    ] * 2, found


def test_it_says_what_it_measures():
    assert repr(Similarity((4, 3), "hsic", estimator="biased")) == (
        "Similarity(num_features=(4, 3), metric='hsic', estimator='biased')"
    )


def test_batches_on_a_device_stay_there_until_the_state_is_read(cuda, monkeypatch) -> None:
    """The simulated device, since tensors of this torch are on the CPU."""
    given, there = batches(dtype="float32"), []
    found = Similarity((6, 4))
    with monkeypatch.context() as patch:
        patch.setattr("kernalign.compat.torchmetrics.readable", lambda *rows: there.pop())
        for x, y in given:
            there.append((DeviceArray(x.numpy()), DeviceArray(y.numpy())))
            found.update(x, y)
    assert not found._packed.any()  # nothing was downloaded
    assert type(found._stream._core) is Stream
    expected = float(ka.cka(*(rows.astype(np.float64) for rows in joined(given))))
    assert float(found.compute()) == pytest.approx(expected, rel=1e-11)
    # Saved with float64 products, it goes on and merges with one of float32 products.
    again, narrow = Similarity((6, 4)), Similarity((6, 4))
    again.packed = found.packed.clone()
    wide = [torch.cat(side).repeat(1, 4)[:, :16].contiguous() for side in zip(*given, strict=True)]
    one, other = Similarity(16), Similarity(16)
    one.update(*(side.double() for side in wide))
    other.update(*wide)
    one.merge_state(other)
    assert one.moments.n == 2 * len(wide[0])
    assert one.moments.cka().settings["products"] == "float32"
    again.update(*given[0])
    narrow.update(*given[0])
    again.merge_state(narrow)
    assert again.moments.n == found.moments.n + 2 * len(given[0][0])


def test_tensors_are_read_where_they_are_or_on_the_cpu(monkeypatch) -> None:
    class Tensor:
        def __init__(self, device: str, floating: bool = True) -> None:
            self.device, self.floating, self.done = torch.device(device), floating, ""

        def __getattr__(self, name):
            def call():
                self.done += f" {name}"
                return self

            return call

        def is_floating_point(self) -> bool:
            return self.floating

    def done(*places: str, floating: bool = True, why_not: str = "") -> list[str]:
        monkeypatch.setattr("kernalign._rows.on_device.why_not", lambda: why_not)
        return [one.done for one in readable(*(Tensor(place, floating) for place in places))]

    assert done("cuda:1", "cuda:1") == [" detach contiguous"] * 2
    assert done("cuda:1", "cuda:1", floating=False) == [" detach double contiguous"] * 2
    for places, reason in ((("cuda:0", "cuda:1"), ""), (("cuda:0", "cpu"), ""), (("cuda:0", "cuda:0"), "no driver")):
        assert done(*places, why_not=reason) == [" detach cpu"] * 2
    assert done("mps", "mps") == [" detach cpu"] * 2
