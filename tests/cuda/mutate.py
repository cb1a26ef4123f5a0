#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Copyright (c) 2026 the deltanet authors
"""mutate.py [--work FOLDER] [--only REGEX] [--tests REGEX] [--table FILE] [--list]

Breaks the CUDA kernels in one place at a time and expects a test on the executor to fail: without each
barrier, each wait and commit of asynchronous copies, with waits one group weaker, with other swizzles and
fragment indices, with matrices loaded the other way round. Works on a copy of the tree, builds the check
tests that include the file and runs them until the first failure. Ends with a table of mutants and what
killed them, and "N killed, N survived"; a status of 0 only without survivors.

An hour or so: run it after a change of a kernel's synchronisation or layout, not at every push. A survivor
is a missing test, or equivalent: then say why in EQUIVALENT.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# What is done to a line: name, what it matches, what stands there instead.
RULES = [
    ("barrier deleted", r"__syncthreads\(\);", ";"),
    ("warp barrier deleted", r"__syncwarp\(\);", ";"),
    ("wait deleted", r"ptx::cp_async_wait<\d+>\(\);", ";"),
    ("wait weakened", r"cp_async_wait<(\d+)>", lambda m: f"cp_async_wait<{int(m[1]) + 1}>"),
    ("commit deleted", r"ptx::cp_async_commit\(\);", ";"),
    ("swizzle shifted", r"(?<=\w|\)) \^ (?=[\w(])", " ^ 1 ^ "),
    ("lane of a row shifted", r"\blane \* (\d+)", r"(lane ^ 1) * \1"),
    ("lane of a word shifted", r"(?<=[\w\]])\[lane\]", "[lane ^ 1]"),
    ("fragment row shifted", r"\(lane >> 2\)", "((lane ^ 4) >> 2)"),
    ("fragment row shifted", r"\blane / 4\b", "(lane ^ 4) / 4"),
    ("fragment column shifted", r"\(lane & 3\)", "((lane ^ 1) & 3)"),
    ("fragment column shifted", r"\blane % 4\b", "(lane ^ 1) % 4"),
    ("matrix loaded the other way", r"ldmatrix_x4_trans\(", "ldmatrix_x4("),
    ("matrix loaded the other way", r"ldmatrix_x4\(", "ldmatrix_x4_trans("),
]
# Files without kernels of their own: ptx.cuh is what conformance/ tests.
LEFT_OUT = {"ptx.cuh", "launch.cuh"}

# (file, text of the line, rule): why no test can tell the mutant from the kernel.
EQUIVALENT = {
    ("chunk_tiles.cuh",
     "__device__ __forceinline__ int row_of_sums(int h, int lane) { return (lane >> 2) + h * 8; }",
     "fragment row shifted"):
        "the rows are a warp's value columns, which never mix; values, outputs and states take this one order",
    ("chunk_state.cuh", "if (lane % 4 == 0) to.scale[j] = scale.scale;", "fragment column shifted"):
        "the four lanes of a column have the same scale, one of them stores it",
}


class Mutant:
    def __init__(self, path, line, rule, before, after):
        self.path, self.line, self.rule, self.before, self.after = path, line, rule, before, after

    def name(self):
        return f"{self.path.name}:{self.line} {self.rule}"

    def reason(self):
        return EQUIVALENT.get((self.path.name, self.before.strip(), self.rule))


def mutants(root):
    for path in sorted((root / "kernels_cuda").glob("*.cuh")):
        if path.name in LEFT_OUT:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
            code = line.split("//")[0]
            for rule, pattern, replacement in RULES:
                for match in re.finditer(pattern, code):
                    changed = match.expand(replacement) if isinstance(replacement, str) else replacement(match)
                    after = code[: match.start()] + changed + code[match.end() :]
                    yield Mutant(path, number, rule, line, after)


def copy_tree(target):
    """What git knows or would add, so that a mutant never touches the work of a person."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.rstrip("\0").split("\0"):
        if (ROOT / name).is_file():
            to = target / name
            if to.exists() and to.read_bytes() == (ROOT / name).read_bytes():
                continue
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, to)


def run(command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


class Build:
    """The copy, configured; tests by the files that they include."""

    def __init__(self, work, tests):
        self.tree, self.folder = work / "tree", work / "build"
        copy_tree(self.tree)
        options = ["-DCMAKE_BUILD_TYPE=Release", "-DDELTANET_BUILD_EXAMPLES=OFF", "-DDELTANET_BUILD_BENCH=OFF"]
        configured = run(["cmake", "-G", "Ninja", "-S", str(self.tree), "-B", str(self.folder), *options])
        if configured.returncode != 0:
            sys.exit(configured.stderr)
        targets = run(["ninja", "-C", str(self.folder), "-t", "targets", "all"]).stdout
        names = sorted(set(re.findall(r"^(deltanet_cuda_\w+_check):", targets, re.M)))
        self.tests = [name for name in names if re.search(tests, name)]
        built = self.build(self.tests)
        if built.returncode != 0:
            sys.exit(built.stdout)
        self.covering = self.read_dependencies()

    def build(self, tests):
        return run(["ninja", "-C", str(self.folder), *tests])

    def read_dependencies(self):
        """Tests by the names of the kernel files that are compiled into them."""
        files, current = {}, None  # kernel files by object
        for line in run(["ninja", "-C", str(self.folder), "-t", "deps"]).stdout.splitlines():
            if match := re.match(r"(\S+): #deps", line):
                current = files.setdefault(match[1], set())
            elif current is not None and (match := re.search(r"kernels_cuda/(\w+\.cuh)$", line)):
                current.add(match[1])
        covering = {}
        for test in self.tests:
            inputs = run(["ninja", "-C", str(self.folder), "-t", "inputs", f"tests/cuda/{test}"]).stdout
            for name in set().union(*(files.get(line, ()) for line in inputs.splitlines())):
                covering.setdefault(name, []).append(test)
        return covering

    def killer(self, mutant):
        """The first test that fails, or None. What does not compile is a mistake in RULES."""
        text = mutant.path.read_text(encoding="utf-8")
        lines = text.split("\n")
        lines[mutant.line - 1] = mutant.after
        tests = sorted(self.covering.get(mutant.path.name, ()))
        try:
            mutant.path.write_text("\n".join(lines), encoding="utf-8")
            for test in tests:
                if self.build([test]).returncode != 0:
                    sys.exit(f"{mutant.name()}: `{mutant.after.strip()}` does not compile")
                program = self.folder / "tests/cuda" / test
                try:
                    result = run([str(program), "--abort"], timeout=900, env=dict(os.environ))
                except subprocess.TimeoutExpired:
                    return f"{test}: does not end"
                if result.returncode != 0:
                    return f"{test}: {first_finding(result.stdout)}"
            return None
        finally:
            mutant.path.write_text(text, encoding="utf-8")


def first_finding(output):
    """What the executor found, or the check that failed."""
    lines = output.splitlines()
    if "  findings:" in lines and lines.index("  findings:") + 1 < len(lines):
        finding = lines[lines.index("  findings:") + 1].strip()
        if finding:
            return finding
    failed = [i for i, line in enumerate(lines) if line.endswith("FAILED:")]
    return lines[failed[0] + 1].strip() if failed and failed[0] + 1 < len(lines) else "failed"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "build/mutants")
    parser.add_argument("--only", default="", help="mutants whose name or line matches")
    parser.add_argument("--tests", default="", help="check builds whose name matches; all that include the file")
    parser.add_argument("--table", type=pathlib.Path, help="write the table there too")
    parser.add_argument("--list", action="store_true", help="names alone, nothing is built")
    arguments = parser.parse_args()
    if arguments.list:
        for mutant in mutants(ROOT):
            print(f"{mutant.name()}: {mutant.before.strip()}")
        return 0

    build = Build(arguments.work.resolve(), arguments.tests)
    rows, survivors = [], 0
    for mutant in mutants(build.tree):
        if not re.search(arguments.only, f"{mutant.name()} {mutant.before}"):
            continue
        reason = mutant.reason()
        killer = f"equivalent: {reason}" if reason else build.killer(mutant)
        survivors += killer is None
        rows.append((mutant.name(), f"`{mutant.before.strip()}`", killer or "SURVIVED"))
        print(" | ".join(rows[-1]), flush=True)
    if arguments.table:
        head = "| mutant | line | killed by |\n|---|---|---|\n"
        table = "".join(f"| {name} | {line} | {killer} |\n" for name, line, killer in rows)
        arguments.table.write_text(head + table, encoding="utf-8")
    print(f"{len(rows) - survivors} killed, {survivors} survived")
    return 1 if survivors or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
