"""Plants defects in copies of the device kernels, one at a time: the check that is named with each must find it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
NATIVE = ROOT / "tests/native"
DEVICE = ("device_sim", "products_sim")
FLAGS = ["-std=c++17", "-O0", "-ffp-contract=off", "-Wno-unknown-pragmas", "-DKERNALIGN_SIMULATED", "-pthread"]
ADDRESS, THREAD = "address,undefined", "thread"
OVERFLOW, RACE = "heap-buffer-overflow", "data race"


class Defect(NamedTuple):
    """``old`` becomes ``new`` in a file; ``found_by`` is a test, or what a sanitizer says."""

    name: str
    file: str
    old: str
    new: str
    found_by: str
    sanitizer: str = ADDRESS
    checks: str = "test_cuda_kernels.cpp"


CANDIDATES, MOMENTS, TILES = "test_cuda_candidates.cpp", "test_cuda_moments.cpp", "test_cuda_tiles.cpp"
SQUARES, LISTS = "FAIL squares_are_those_of_sixteen_lanes", "FAIL exact_lists_are_those_of_all_scores"
PAYMENTS, QUEUES = "FAIL panels_pay_what_rounding_takes", "FAIL queues_hold_the_best_whatever_overflows"
COLUMNS, LENGTHS = "FAIL columns_are_summed_a_thousand_rows_at_a_time", "FAIL centred_rows_know_their_lengths"
VALUES, DIGITS = "FAIL tiles_become_values_and_their_sums", "FAIL close_rows_keep_the_digits_of_their_distances"
NEAR_ONE, PAIRS = "FAIL values_near_one_keep_their_digits", "FAIL products_of_tiles_are_summed_for_all_pairs"
BLOCKS = "FAIL blocks_less_their_means_are_added_to_sums"
EDGES = "FAIL rows_are_multiplied_along_edges"
SAMPLES = "FAIL pairs_are_those_of_the_next_rows_in_an_order"
BRACKETS = "FAIL brackets_hold_what_is_above_the_diagonal"
PROOFS = "FAIL rows_are_proven_only_by_bounds_below_all_others"
DEFECTS = [
    Defect(
        "two phases of Squares made one",
        "row_kernels.hpp",
        """        });
        block.each([&](Thread t, Shared& s) {
            if (t >= kRows""",
        """            if (t >= kRows""",
        SQUARES,
    ),
    Defect("a lane of Squares left out", "row_kernels.hpp", "lane < kLanes;", "lane + 1 < kLanes;", SQUARES),
    Defect(
        "two phases of Exact made one",
        "exact.hpp",
        """            });
            block.each([&](Thread t, Shared& s) {
                if (some + t >= end) return;""",
        """                if (some + t >= end) return;""",
        LISTS,
    ),
    Defect("k kept in place of k + 1", "exact.hpp", "keep = int(k + 1)", "keep = int(k)", LISTS),
    Defect("larger indices first", "exact.hpp", "a.index < b.index", "a.index > b.index", LISTS),
    Defect("rows among their own neighbours", "exact.hpp", "|| j == rows[first + q]", "", LISTS),
    Defect("shared memory that nobody set", "exact.hpp", "s.count[t] = goes_on ?", "goes_on ?", OVERFLOW),
    Defect("launches that begin anew", "exact.hpp", "goes_on ? held.of(t)[first + t] : 0", "0 * goes_on", LISTS),
    Defect("sizes that are not kept", "exact.hpp", "held.of(t)[first + t] = s.count[t]", "(void)s", OVERFLOW),
    Defect(
        "a launch that goes too far",
        "exact.hpp",
        "some + t >= end) return;\n            const",
        "false) return;\n            const",
        LISTS,
    ),
    Defect("no test of capacity", "exact.hpp", "size + kThreads > capacity(k)", "size > capacity(k)", OVERFLOW),
    Defect("++ in place of fetch_add", "exact.hpp", "fetch_add(&s.count[q], 1)", "s.count[q]++", RACE, THREAD),
    Defect(
        "two phases of Shrink made one: ranks of what is still read",
        "candidates.hpp",
        """            if (t == 0) s.size = 0;
        });
        block.each([&](Thread t, Shared& s) {
""",
        """            if (t == 0) s.size = 0;
""",
        QUEUES,
        checks=CANDIDATES,
    ),
    Defect(
        "two phases of Certify made one",
        "certify.hpp",
        """            });
            block.each([&](Thread t, Shared& s) {
                if (t >= held) return;""",
        """                if (t >= held) return;""",
        PROOFS,
        checks=CANDIDATES,
    ),
    Defect(
        "queues without a last place",
        "candidates.hpp",
        "if (at < capacity)",
        "if (true)",
        OVERFLOW,
        checks=CANDIDATES,
    ),
    Defect(
        "one candidate too few",
        "candidates.hpp",
        "if (rank < keep)",
        "if (rank + 1 < keep)",
        QUEUES,
        checks=CANDIDATES,
    ),
    Defect(
        "32 bits for a place in all queues",
        "candidates.hpp",
        "std::int64_t(row) * capacity + at]",
        "row * capacity + at]",
        "signed integer overflow",
        checks=CANDIDATES,
    ),
    Defect(
        "candidates in the wrong order of index",
        "candidates.hpp",
        "| (0xffffffffu - std::uint32_t(index))",
        "| std::uint32_t(index)",
        QUEUES,
        checks=CANDIDATES,
    ),
    Defect("rows among their own candidates", "candidates.hpp", "row == column || ", "", QUEUES, checks=CANDIDATES),
    Defect(
        "columns that are not fed",
        "candidates.hpp",
        "if (v[i][j] >= cut[j]) push(t, column",
        "if (v[i][j] > INFINITY) push(t, column",
        QUEUES,
        checks=CANDIDATES,
    ),
    Defect(
        "rows fed twice where others overflowed",
        "candidates.hpp",
        " || (only && !only[row])",
        "",
        QUEUES,
        checks=CANDIDATES,
    ),
    Defect(
        "++ in place of fetch_add in queues",
        "candidates.hpp",
        "fetch_add(count.of(t) + row, 1)",
        "count.of(t)[row]++",
        RACE,
        THREAD,
        checks=CANDIDATES,
    ),
    Defect(
        "halves that are rounded down",
        "rows.hpp",
        "while (double(near) < value)",
        "while (false)",
        PAYMENTS,
        checks=CANDIDATES,
    ),
    Defect(
        "an eighth of gamma",
        "panels.hpp",
        "gamma(double(depth) + 4, unit)",
        "gamma(double(depth) + 4, unit / 8)",
        PAYMENTS,
        checks=CANDIDATES,
    ),
    Defect(
        "offsets that pay nothing",
        "panels.hpp",
        "4 * 0x1p-24 * fabs(h) + error",
        "error",
        PAYMENTS,
        checks=CANDIDATES,
    ),
    Defect(
        "a proof by a bound that is equal",
        "certify.hpp",
        "< frame.threshold(",
        "<= frame.threshold(",
        PROOFS,
        checks=CANDIDATES,
    ),
    Defect(
        "two phases of Columns made one",
        "moment_kernels.hpp",
        """        });
        block.each([&](Thread t, Shared& s) {
            if (t >= kCols""",
        """            if (t >= kCols""",
        COLUMNS,
        checks=MOMENTS,
    ),
    Defect(
        "a last row of a chunk left out",
        "moment_kernels.hpp",
        "row < end; ++row) {\n                    const double apart",
        "row + 1 < end; ++row) {\n                    const double apart",
        COLUMNS,
        checks=MOMENTS,
    ),
    Defect(
        "two phases of Centred made one",
        "moment_kernels.hpp",
        """        });
        block.each([&](Thread t, Shared& s) {
            if (t >= kRows""",
        """            if (t >= kRows""",
        LENGTHS,
        checks=MOMENTS,
    ),
    Defect(
        "lengths before the shift",
        "moment_kernels.hpp",
        "sum += double(value) * double(value)",
        "sum += x.raw(row, f) * x.raw(row, f)",
        LENGTHS,
        checks=MOMENTS,
    ),
    Defect(
        "two phases of Borders made one",
        "moment_kernels.hpp",
        """        });
        block.each([&](Thread t, Shared& s) {
            const std::int64_t at = first + t;
""",
        """            const std::int64_t at = first + t;
""",
        BLOCKS,
        checks=MOMENTS,
    ),
    Defect(
        "all borders those of the first column",
        "moment_kernels.hpp",
        "total += s.sum[with][part][t]",
        "total += s.sum[0][part][t]",
        BLOCKS,
        checks=MOMENTS,
    ),
    Defect(
        "rows rounded before their means are taken",
        "moment_kernels.hpp",
        "float(rows[row * width + f] - means[f])",
        "float(rows[row * width + f]) - float(means[f])",
        BLOCKS,
        checks=MOMENTS,
    ),
    Defect("means that add nothing", "moment_kernels.hpp", " + together * means[f]", "", BLOCKS, checks=MOMENTS),
    Defect("both triangles added", "moment_kernels.hpp", "f = row + t; f", "f = t; f", BLOCKS, checks=MOMENTS),
    Defect(
        "two phases of TileValues made one",
        "tile_kernels.hpp",
        """            s.column[t / kCols][c] = sum;
        });
        block.each([&](Thread t, Shared& s) {
""",
        """            s.column[t / kCols][c] = sum;
""",
        VALUES,
        checks=TILES,
    ),
    Defect("the diagonal kept", "tile_kernels.hpp", "if (j > i) value", "if (j >= i) value", VALUES, checks=TILES),
    Defect(
        "columns that are not summed",
        "tile_kernels.hpp",
        "group < kGroups; ++group) total +=",
        "group < 1; ++group) total +=",
        VALUES,
        checks=TILES,
    ),
    Defect(
        "two phases of AddUp made one",
        "tile_kernels.hpp",
        """            s.sum[t / kCols][t % kCols] = sum;
        });
        block.each([&](Thread t, Shared& s) {
""",
        """            s.sum[t / kCols][t % kCols] = sum;
""",
        VALUES,
        checks=TILES,
    ),
    Defect(
        "distances that cancel",
        "tile_kernels.hpp",
        "if (apart < kCloseOf<T> * lengths)",
        "if (apart < 0)",
        DIGITS,
        checks=TILES,
    ),
    Defect(
        "close rows of float32 taken for those of float64",
        "tile_kernels.hpp",
        "sizeof(T) == 4 ? kCloseNarrow : kClose",
        "kClose",
        "FAIL narrow_tiles_become_values_in_float32",
        checks=TILES,
    ),
    Defect(
        "products of another row",
        "tile_kernels.hpp",
        "entry(products[at], i, j)",
        "entry(products[(r0 + r) * cols + c0 + c + (r > 0)], i, j)",
        OVERFLOW,
        checks=TILES,
    ),
    Defect("exp near 1", "tile_kernels.hpp", "x > T(-0.35) ?", "x > 1 ?", NEAR_ONE, checks=TILES),
    Defect(
        "two phases of TileProducts made one",
        "tile_kernels.hpp",
        """            });
            block.each([&](Thread t, Shared& s) {
                const int lane""",
        """                const int lane""",
        PAIRS,
        checks=TILES,
    ),
    Defect(
        "an end of a share left out",
        "tile_kernels.hpp",
        "inside = at + entry < end;",
        "inside = at + entry + 1 < end;",
        PAIRS,
        checks=TILES,
    ),
    Defect(
        "brackets without their ends' diagonal",
        "tile_kernels.hpp",
        "col0 + c <= row0 + r",
        "col0 + c < row0 + r",
        BRACKETS,
        checks=TILES,
    ),
    Defect(
        "two phases of SampledPairs made one",
        "tile_kernels.hpp",
        """        });
        block.each([&](Thread t, Shared& s) {
            if (t >= kPairs""",
        """            if (t >= kPairs""",
        SAMPLES,
        checks=TILES,
    ),
    Defect("an order that does not begin anew", "tile_kernels.hpp", "+ 1) % count;", "+ 1);", OVERFLOW, checks=TILES),
    Defect("found without room", "tile_kernels.hpp", "if (place < capacity)", "if (true)", OVERFLOW, checks=TILES),
    Defect(
        "++ in place of fetch_add in counts",
        "tile_kernels.hpp",
        "fetch_add(&s.below, below)",
        "s.below += below",
        RACE,
        THREAD,
        checks=TILES,
    ),
    Defect(
        "two phases of Edges made one",
        "edge_kernels.hpp",
        """            });
            block.each([&](Thread t, Shared& s) {
                if (t""",
        """                if (t""",
        EDGES,
        checks=TILES,
    ),
    Defect("edges without the mean", "edge_kernels.hpp", "first <= k; first", "first < k; first", EDGES, checks=TILES),
    Defect("a first part again", "certify.hpp", "first + block.index()", "block.index()", PROOFS, checks=CANDIDATES),
    Defect("a proof in spite of what was forgotten", "certify.hpp", "!lost[row] && ", "", PROOFS, checks=CANDIDATES),
]


def compiled(folder: Path, name: str, *arguments: str | Path, sanitizer: str) -> Path:
    out = folder / name
    command = ["g++", *FLAGS, f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all", "-I", ROOT / "csrc", *arguments]
    subprocess.run([*map(str, command), "-o", str(out)], check=True)
    return out


def outcome(program: Path) -> tuple[int, str]:
    ran = subprocess.run([program], capture_output=True, text=True, check=False, timeout=300)
    return ran.returncode, ran.stdout + ran.stderr


def survives(folder: Path, objects: dict[str, list[Path]], defect: Defect) -> str:
    """Nothing if the named check finds the defect, else what was found instead."""
    place = folder / defect.name
    (place / "cuda").mkdir(parents=True)
    text = (ROOT / "csrc/cuda" / defect.file).read_text(encoding="utf-8")
    if text.count(defect.old) != 1:
        return f"{defect.name}: its text is {text.count(defect.old)} times in {defect.file}"
    (place / "cuda" / defect.file).write_text(text.replace(defect.old, defect.new), encoding="utf-8")
    shadowed = ("-iquote", place, "-I", NATIVE, NATIVE / defect.checks, *objects[defect.sanitizer])
    code, said = outcome(compiled(place, "checks", *shadowed, sanitizer=defect.sanitizer))
    if code != 0 and defect.found_by in said:
        return ""
    return f"{defect.name}: expected {defect.found_by!r}, got exit {code}:\n{said[-2000:]}"


def main() -> int:
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(2) as workers:
        folder = Path(name)
        objects = {
            sanitizer: [
                compiled(folder, f"{part}-{sanitizer}.o", "-c", ROOT / f"csrc/cuda/{part}.cpp", sanitizer=sanitizer)
                for part in DEVICE
            ]
            for sanitizer in (ADDRESS, THREAD)
        }
        living = [said for said in workers.map(lambda one: survives(folder, objects, one), DEFECTS) if said]
    print("\n".join([*living, f"{len(DEFECTS) - len(living)} of {len(DEFECTS)} planted defects were found"]))
    return 1 if living else 0


if __name__ == "__main__":
    sys.exit(main())
