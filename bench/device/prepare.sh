#!/usr/bin/env bash
# Builds the wheel for a machine with a GPU, and fetches what that machine lacks. usage: prepare.sh FOLDER
# PYTHON: an interpreter of the version that is there; ARCHITECTURES: what nvcc compiles for.
set -euo pipefail
folder=$(realpath -m "${1:?usage: prepare.sh FOLDER}")
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3.12}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$folder"
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" wheel --quiet --no-deps --wheel-dir "$folder" . \
  -C cmake.define.KERNALIGN_CUDA=ON -C cmake.define.KERNALIGN_CUDA_ARCHITECTURES="${ARCHITECTURES:-90-real}"
"$work/venv/bin/pip" download --quiet --only-binary :all: --dest "$folder" scipy-openblas32 click rich pytest
cp -r tests/gpu "$folder/"
git rev-parse HEAD > "$folder/commit"
ls -l "$folder"
