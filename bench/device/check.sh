#!/usr/bin/env bash
# Tests, checks and times a GPU with what prepare.sh left, without a network. usage: check.sh FOLDER OUT
# PYTHON: an interpreter with NumPy and SciPy, and with torch or CuPy if these are to be checked.
set -euo pipefail
folder=$(realpath "${1:?usage: check.sh FOLDER OUT}") out=$(realpath -m "${2:?usage: check.sh FOLDER OUT}")
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv --system-site-packages "$work/venv"
"$work/venv/bin/pip" install --quiet --no-index --find-links "$folder" kernalign pytest
cd "$work"
cp "$folder/commit" "$out/commit"
status=0
"$work/venv/bin/python" -m pytest -q -rs -p no:cacheprovider "$folder/gpu" > "$out/tests.txt" 2>&1 || status=$?
tail -n 20 "$out/tests.txt"
grep -Eq '[0-9]+ passed' "$out/tests.txt" || { echo "FAIL: no test ran on a device"; status=1; }
"$work/venv/bin/python" -m kernalign.gpucheck --out "$out/report.json" || status=$?
[ -s "$out/report.json" ] || { echo "FAIL: no device was checked"; status=1; }

# What bounds the kernels that take longest, where ncu is: their memory and arithmetic as shares of the device's.
if command -v ncu > /dev/null; then
  for kernels in 'Select|Certify' 'Centred' 'TileValues|TileProducts'; do
    ncu --clock-control none --section SpeedOfLight --section Occupancy --kernel-name-base mangled \
      --kernel-name "regex:entry.*($kernels)" --launch-count 8 --csv --log-file "$out/ncu_${kernels%%|*}.csv" \
      "$work/venv/bin/python" -m kernalign.gpucheck --step times --out "$work/under_ncu.json" \
      || echo "ncu failed, see $out/ncu_${kernels%%|*}.csv"
  done
fi
exit $status
