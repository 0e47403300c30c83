"""The callback logs, over all batches of a validation, what the metrics say of them joined."""

from __future__ import annotations

import kernalign as ka
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchmetrics")

from kernalign.compat.lightning import SimilarityCallback  # noqa: E402


class Module(torch.nn.Module):
    """The part of a LightningModule that callbacks use."""

    device = torch.device("cpu")

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last, self.logged = torch.nn.Linear(4, 5), torch.nn.Linear(5, 3), {}

    def forward(self, x):
        return self.last(self.first(x).relu())

    def log(self, name, value) -> None:
        self.logged[name] = float(value)


def validate(callback, module, batches) -> None:
    callback.on_validation_start(None, module)
    for at, batch in enumerate(batches):
        callback.on_validation_batch_end(None, module, module(batch), batch, at)
    callback.on_validation_epoch_end(None, module)


def test_it_logs_scores_of_whole_validations() -> None:
    module = Module()
    batches = torch.randn(4, 16, 4, generator=torch.Generator().manual_seed(1))
    callback = SimilarityCallback([("first", "last")], estimator="biased")
    for _ in range(2):
        validate(callback, module, batches)
        whole = batches.flatten(0, 1)
        expected = float(ka.cka(module.first(whole), module(whole), estimator="biased"))
        assert module.logged == {"cka/first~last": pytest.approx(expected, abs=1e-6)}
    assert not module.first._forward_hooks


def test_hooks_are_gone_after_an_exception() -> None:
    module, callback = Module(), SimilarityCallback([("first", "last")])
    callback.on_validation_start(None, module)
    assert module.first._forward_hooks
    callback.on_exception(None, module, ZeroDivisionError())
    assert not module.first._forward_hooks
    with pytest.raises(ValueError, match="the model has no module 'lasst'; did you mean 'last'"):
        SimilarityCallback([("first", "lasst")]).on_validation_start(None, module)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_real_trainer(tmp_path) -> None:
    lightning = pytest.importorskip("lightning.pytorch")

    class Real(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = torch.nn.Linear(4, 5), torch.nn.Linear(5, 3)

        def forward(self, x):
            return self.last(self.first(x).relu())

        def training_step(self, batch, at):
            return self(batch[0]).square().mean()

        validation_step = training_step

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    rows = torch.utils.data.TensorDataset(torch.randn(64, 4))
    loader = torch.utils.data.DataLoader(rows, batch_size=16)
    trainer = lightning.Trainer(
        max_epochs=1,
        accelerator="cpu",
        callbacks=[SimilarityCallback([("first", "last")])],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        default_root_dir=tmp_path,
    )
    model = Real()
    trainer.fit(model, loader, loader)
    with torch.no_grad():
        expected = float(ka.cka(model.first(rows.tensors[0]), model(rows.tensors[0])))
    assert float(trainer.callback_metrics["cka/first~last"]) == pytest.approx(expected, abs=1e-5)
