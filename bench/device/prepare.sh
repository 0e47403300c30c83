#!/usr/bin/env bash
# Fills a folder with all that check.sh needs on a machine with a GPU and no network. usage: prepare.sh FOLDER
# PYTHON: an interpreter of the version that is there; ARCHITECTURES: what nvcc compiles for.
set -euo pipefail
folder=$(realpath -m "${1:?usage: prepare.sh FOLDER}")
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3.12}
"$python" --version > /dev/null || { echo "PYTHON must name an interpreter that is here, got $python"; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$folder"
rm -rf "$folder"/*.whl "$folder/gpu"
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" wheel --quiet --no-deps --wheel-dir "$folder" . \
  -C cmake.define.KERNALIGN_CUDA=ON -C cmake.define.KERNALIGN_CUDA_ARCHITECTURES="${ARCHITECTURES:-90-real}"
# All that it depends on but NumPy and SciPy, which torch's machines have, and which would be most of the weight.
"$python" -c '
import re, tomllib
for line in tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"]:
    if re.match(r"[\w-]+", line)[0] not in ("numpy", "scipy"):
        print(line)
' > "$work/needed.txt"
"$work/venv/bin/pip" download --quiet --only-binary :all: --dest "$folder" -r "$work/needed.txt" pytest
cp -r tests/gpu "$folder/"
git describe --always --dirty --abbrev=40 > "$folder/commit"
du -ch "$folder"/*
