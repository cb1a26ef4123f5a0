# SPDX-License-Identifier: MIT
# Copyright (c) 2026 the deltanet authors
"""check_launches.py --work FOLDER [--update] PROGRAM...

Runs the tests (one schedule) and compares what they launch with gates.csv: every kernel of the table is
launched by some test, with as many threads as its launch bounds and with the dynamic shared memory that
the gates reckon with. --update writes the largest dynamic_shared of each kernel into the table.
"""

import argparse
import os
import pathlib
import subprocess
import sys

import check_gates
import cubin


def symbols(program):
    """Names of functions by their offset in the program."""
    run = subprocess.run(["nm", "--defined-only", program], capture_output=True, text=True, check=True)
    fields = (line.split() for line in run.stdout.splitlines())
    return {int(offset, 16): name for offset, kind, name in fields if kind in "tTwW"}


def launches(program, log):
    """(kernel, threads, dynamic_shared) of all launches of a program."""
    log.unlink(missing_ok=True)
    environment = {**os.environ, "DELTANET_SIMT_LAUNCHES": str(log), "DELTANET_SIMT_SCHEDULES": "1"}
    run = subprocess.run([program], env=environment, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise RuntimeError(f"{program} failed:\n{run.stdout[-3000:]}")
    if not log.exists():
        return set()
    lines = [line.split() for line in log.read_text(encoding="utf-8").splitlines()]
    functions = symbols(program)
    found = {(functions[int(offset, 16)], int(threads), int(shared)) for offset, threads, shared in lines}
    names = cubin.demangled(sorted({symbol for symbol, _, _ in found}))
    return {(names[symbol], threads, shared) for symbol, threads, shared in found}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("programs", nargs="+")
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--update", action="store_true")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)

    seen = {}
    for program in arguments.programs:
        for name, threads, shared in launches(program, arguments.work / "launches.txt"):
            seen.setdefault(name, []).append((threads, shared))
    table = check_gates.read_table()
    problems = set()
    for row in table:
        name = row["kernel"]
        if name not in seen:
            problems.add(f"{name}: no test launches it")
            continue
        largest = max(shared for _, shared in seen[name])
        if arguments.update:
            row["dynamic_shared"] = largest
        if largest > int(row["dynamic_shared"]):
            problems.add(f"{name}: dynamic_shared {largest} at a launch, {row['dynamic_shared']} in the table")
        for threads, _ in seen[name]:
            if threads > int(row["threads"]):
                problems.add(f"{name}: {threads} threads at a launch, {row['threads']} in the table")
    if arguments.update:
        check_gates.write_table(table)
    for problem in sorted(problems):
        print(problem)
    print(f"{len({row['kernel'] for row in table})} kernels, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
