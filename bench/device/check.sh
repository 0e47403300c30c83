#!/usr/bin/env bash
# Tests, checks and times a GPU with what prepare.sh left, without a network. usage: check.sh FOLDER OUT
# PYTHON: an interpreter with NumPy and SciPy, and with torch, CuPy and JAX if these are to be checked; SECONDS_LEFT:
# when to stop. OUT holds what was found so far, in few files, whenever this is cut off.
set -euo pipefail
folder=$(realpath "${1:?usage: check.sh FOLDER OUT}") out=$(realpath -m "${2:?usage: check.sh FOLDER OUT}")
end=$((SECONDS + ${SECONDS_LEFT:-240}))
left() { echo $((end > SECONDS ? end - SECONDS : 1)); }
step() { printf '== %4ds  %s\n' "$SECONDS" "$1"; }
python=${PYTHON:-python3}
sources=$(realpath "$(dirname "$0")/../..")
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PYTHONUNBUFFERED=1 PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 PYTHONPATH="$work/site"

step "wheels"
# No environment is made: one within another would not see the packages of the outer one.
for wheel in "$folder"/*.whl; do "$python" -m zipfile -e "$wheel" "$work/site"; done
cd "$work"
if ! "$python" -c 'from kernalign import _core, _cuda' 2> "$work/import.txt"; then
  step "the wheel does not run here, $(tail -n 1 "$work/import.txt"): built from its sources"
  CMAKE_BUILD_PARALLEL_LEVEL=$(nproc) timeout "$(left)" "$python" -m pip wheel --quiet --no-deps --no-index \
    --no-build-isolation --wheel-dir "$work" "$sources" -C build-dir="$work/build" \
    -C cmake.define.KERNALIGN_CUDA=ON -C cmake.define.KERNALIGN_CUDA_ARCHITECTURES=native
  rm -r "$work/site/kernalign"
  "$python" -m zipfile -e "$work"/kernalign-*.whl "$work/site"
fi

"$python" -c 'import sys; from kernalign import _cuda; why = _cuda.why_not(); sys.exit(f"FAIL: no device: {why}" if why else 0)'

status=0
step "tests"
# Not where they are: that may be in a tree whose settings make errors of other libraries' warnings.
cp -r "$folder/gpu" "$work/gpu"
echo "[pytest]" > "$work/pytest.ini"
timeout 60 "$python" -m pytest -q -rs -p no:cacheprovider gpu > "$out/tests.txt" 2>&1 || status=$?
tail -n 20 "$out/tests.txt"
grep -Eq '[0-9]+ passed' "$out/tests.txt" || { echo "FAIL: no test ran on a device"; status=1; }
step "answers, and times"
"$python" -m kernalign.gpucheck --commit "$(cat "$folder/commit")" --seconds "$(left)" --out "$out/report.json" || status=$?
[ -s "$out/report.json" ] || { echo "FAIL: no device was checked"; status=1; }

# What bounds the kernels that take longest, where ncu is: their memory and arithmetic as shares of the device's.
if command -v ncu > /dev/null; then
  cat > "$work/longest.py" <<'PY'
import kernalign as ka, numpy as np
x, y = (np.random.default_rng(s).standard_normal((32768, 1024), dtype=np.float32) for s in (0, 1))
ka.knn(x, 10, device="cuda")
ka.cka(x, y, device="cuda")
ka.cka(x, y, kernel=ka.RBF(30.0), device="cuda")
PY
  for kernel in Select:5 Certify:0 TileValues:1 TileProducts:1 Centred:1; do  # and how many launches of it come first
    [ "$SECONDS" -lt "$end" ] || { echo "ncu: no time is left for ${kernel%:*}"; break; }
    step "ncu, ${kernel%:*}"
    timeout "$(left)" ncu --clock-control none --section SpeedOfLight --section Occupancy --kernel-name-base mangled \
      --kernel-name "regex:entry.*${kernel%:*}" --launch-skip "${kernel#*:}" --launch-count 1 --csv "$python" "$work/longest.py" \
      >> "$out/ncu.csv" 2>&1 || echo "ncu failed, see $out/ncu.csv"
  done
fi
step "done"
exit $status
