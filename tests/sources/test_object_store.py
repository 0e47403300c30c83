"""An object store on this machine: every format is read from it as from a disk, and plans of it run in processes."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import kernalign as ka
import numpy as np
import pytest
from click.testing import CliRunner
from kernalign.cli import main
from kernalign.sources import open_source
from sources.file_samples import WRITERS

pytestmark = [
    pytest.mark.scaleout,
    # Of the server and the client of the store, not ours.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:(moto|botocore|aiobotocore|werkzeug|flask|responses).*"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

rng = np.random.default_rng(0)
X = rng.standard_normal((400, 6)).astype(np.float32)
Y = (X @ rng.standard_normal((6, 5)) + rng.standard_normal((400, 5))).astype(np.float32)


@pytest.fixture(scope="module")
def bucket():
    """The file system and the URL of an empty bucket; its keys and its port are this process's and its children's."""
    server_of = pytest.importorskip("moto.server", reason="moto is not installed: pip install '.[test]'")
    s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed: pip install '.[test]'")
    server = server_of.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        system = s3fs.S3FileSystem()
        system.mkdir("embeddings")
        yield system, "s3://embeddings"
    server.stop()


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_is_read_from_the_store(bucket, name, tmp_path):
    system, url = bucket
    needed, write = WRITERS[name]
    pytest.importorskip(needed)
    local = write(tmp_path, X)
    system.put(f"{tmp_path}/", f"embeddings/{tmp_path.name}/", recursive=True)
    there = local.replace(str(tmp_path), f"{url}/{tmp_path.name}")
    assert float(ka.cka(there, Y)) == float(ka.cka(local, Y))


@pytest.fixture(scope="module")
def stored(bucket, tmp_path_factory):
    system, url = bucket
    folder = tmp_path_factory.mktemp("stored")
    for name, rows in (("x", X), ("y", Y)):
        np.save(folder / f"{name}.npy", rows)
        system.put(str(folder / f"{name}.npy"), f"embeddings/pair/{name}.npy")
    return f"{url}/pair"


@pytest.mark.parametrize("metric", ["cka", "mutual_knn"])
def test_a_plan_of_the_store_runs_in_processes_and_resumes(stored, metric, tmp_path):
    sides = f"{stored}/x.npy", f"{stored}/y.npy"
    plan = ka.plan(metric, *sides, memory_budget="200 MB")
    found = ka.execute(plan, executor=2, checkpoint=tmp_path / "run.ledger")
    assert float(found) == pytest.approx(float(ka.measure(metric, X, Y)), rel=1e-12)
    assert float(ka.execute(plan, checkpoint=tmp_path / "run.ledger")) == float(found)


def test_the_command_compares_what_is_in_the_store(stored):
    for given in ([f"{stored}/x.npy", f"{stored}/y.npy"], [stored]):
        done = CliRunner().invoke(main, ["compare", *given, "--metric", "cka", "--csv"])
        assert done.exit_code == 0, done.output
        (row,) = csv.DictReader(io.StringIO(done.stdout))
        assert float(row["score"]) == pytest.approx(float(ka.cka(X, Y)), rel=1e-9)


def test_what_is_not_there_is_one_sentence(stored, bucket):
    with pytest.raises((FileNotFoundError, ValueError), match=r"pair/z\.npy"):
        ka.cka(f"{stored}/z.npy", Y)
    system, url = bucket
    system.pipe("embeddings/cut.npy", b"\x93NUMPY\x01\x00" + bytes(20))
    with pytest.raises(ValueError, match=r"s3://embeddings/cut\.npy"):
        open_source(f"{url}/cut.npy")


def test_an_object_that_was_written_anew_is_another_one(bucket):
    system, url = bucket
    plans = []
    for rows in (X, 2 * X[:, ::-1]):
        path = Path("x.npy")
        with system.open(f"embeddings/again/{path}", "wb") as file:
            np.save(file, rows)
        system.invalidate_cache()
        plans.append(ka.plan("cka", f"{url}/again/x.npy", Y))
    assert plans[0].digest != plans[1].digest
