"""Values of the newest releases of other packages, asked in an environment that is made for them."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest

from conformance.inputs import PAIRS
from conformance.oracles import PACKAGES
from conformance.row import OURS, value

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def interpreter(tmp_path_factory):
    """Python with the packages: that of KERNALIGN_ORACLES, or of a new environment, which takes minutes and 2 GB."""
    if "KERNALIGN_ORACLES" in os.environ:
        return os.environ["KERNALIGN_ORACLES"]
    home = tmp_path_factory.mktemp("oracles")
    venv.create(home, with_pip=True)
    python = home / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    return str(python)


@pytest.mark.parametrize("pair", ["golden", "offset"])
@pytest.mark.parametrize("package", PACKAGES)
def test_values_are_those_of(package, pair, interpreter, tmp_path):
    x, y = PAIRS[pair]
    np.savez(tmp_path / "pair.npz", x=x, y=y)
    asked = [interpreter, str(Path(__file__).with_name("oracles.py")), package, str(tmp_path / "pair.npz")]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    for call, theirs in json.loads(answer.stdout.splitlines()[-1]).items():
        assert value(call, x, y, OURS) == pytest.approx(theirs, abs=2e-6), call
