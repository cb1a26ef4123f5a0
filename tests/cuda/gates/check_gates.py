# SPDX-License-Identifier: MIT
# Copyright (c) 2026 the deltanet authors
"""check_gates.py ARCH --nvcc NVCC --occupancy PROGRAM --work FOLDER [--update] [--include FOLDER]...

Compiles kernels_cuda/*.cu for one architecture (80, 90, ...) and compares each kernel with its row in
gates.csv:
  registers       at most
  static_shared   bytes, at most; dynamic_shared is what the launch asks for (check_launches.py compares it)
  blocks_per_sm   at least, by the toolkit's own occupancy calculator
  HMMA ...        instructions in the code, exactly: a change is a change of the kernel, or the compiler gave
                  up on unrolling
  slow_paths      divisions and roots with the exact subroutine, at most
and whatever the table says: no spills, no stack, no local memory, and __launch_bounds__.

--update writes what was found into the table, for a person to review; dynamic_shared of known rows stays.
One architecture at a time: they share the file.
"""

import argparse
import concurrent.futures
import csv
import pathlib
import re
import subprocess
import sys

import cubin

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
TABLE = HERE / "gates.csv"
COUNTED = ["HMMA", "LDSM", "LDGSTS", "BAR"]
COLUMNS = ["kernel", "arch", "threads", "registers", "static_shared", "dynamic_shared", "blocks_per_sm"]
COLUMNS += COUNTED + ["slow_paths"]
MAX_DYNAMIC_SHARED = {"80": 163 << 10, "90": 227 << 10, "100": 227 << 10, "120": 99 << 10}

# What calibration.cu contains, and what in it must be found wrong.
CALIBRATION = {
    "products": {"HMMA": 2, "LDSM": 4, "LDGSTS": 2, "BAR": 1},
    "exact_division": {"slow_paths": ["__cuda_sm3x_div_rn_noftz_f32_slowpath"]},
    "local_array": {"local": True},
}


def compile_unit(arguments, source):
    """Cubin and the lines of ptxas for one .cu file."""
    output = arguments.work / f"{source.stem}.sm_{arguments.arch}.cubin"
    log = output.with_suffix(".log")
    if arguments.reuse and log.exists():
        return output, log.read_text(encoding="utf-8")
    command = [arguments.nvcc, "-std=c++20", "--expt-relaxed-constexpr", "-O3", f"-arch=sm_{arguments.arch}"]
    command += ["-cubin", "-Xptxas", "-v", "-Xcompiler", "-Wall,-Wextra"]
    command += [f"-I{folder}" for folder in [ROOT / "include", ROOT, *arguments.include]]
    run = subprocess.run([*command, "-o", str(output), str(source)], capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise RuntimeError(f"{source.name} does not compile for sm_{arguments.arch}:\n{run.stderr}")
    warnings = [line for line in run.stderr.splitlines() if "warning" in line]
    if warnings:
        raise RuntimeError(f"{source.name}: " + "\n".join(warnings))
    log.write_text(run.stderr, encoding="utf-8")
    return output, run.stderr


def resources(log):
    """By symbol: registers, static shared bytes, bytes of stack and spills."""
    found, symbol = {}, None
    for line in log.splitlines():
        if match := re.search(r"Compiling entry function '(\S+)'", line):
            symbol = match[1]
            found[symbol] = {"registers": 0, "static_shared": 0, "stack": 0, "spills": 0}
        elif symbol and (match := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes", line)):
            found[symbol]["stack"] = int(match[1])
            found[symbol]["spills"] = int(match[2]) + int(match[3])
        elif symbol and (match := re.search(r"Used (\d+) registers", line)):
            found[symbol]["registers"] = int(match[1])
            shared = re.search(r"(\d+) bytes smem", line)
            found[symbol]["static_shared"] = int(shared[1]) if shared else 0
            symbol = None
    return found


def kernels_of(arguments, source):
    """Rows as measured; `faults` holds what no table allows."""
    path, log = compile_unit(arguments, source)
    measured = resources(log)
    kernels = cubin.Cubin(path).kernels()
    names = cubin.demangled([kernel.symbol for kernel in kernels])
    rows = []
    for kernel in kernels:
        row = {"kernel": names[kernel.symbol], "arch": arguments.arch, "threads": kernel.threads}
        row.update(measured[kernel.symbol])
        row.update({name: kernel.instructions[name] for name in COUNTED})
        row["slow_paths"] = len(kernel.slow_paths)
        row["slow_path_names"] = kernel.slow_paths
        row["local"] = kernel.instructions["LDL"] + kernel.instructions["STL"]
        row["source"] = source.name
        rows.append(row)
    return rows


def check_calibration(arguments):
    """The table of opcodes and the search for slow paths, against code whose contents are known."""
    rows = {row["kernel"]: row for row in kernels_of(arguments, HERE / "calibration.cu")}
    problems = []
    for name, wanted in CALIBRATION.items():
        row = rows[name]
        found = {**row, "slow_paths": row["slow_path_names"], "local": row["local"] > 0}
        for key, value in wanted.items():
            if found[key] != value:
                problems.append(f"calibration: {name}: {key} is {found[key]}, expected {value}")
        if name == "local_array" and row["stack"] == 0:
            problems.append("calibration: local_array: no stack frame was reported")
    return problems


def add_blocks_per_sm(arguments, rows):
    lines = "".join(
        f"{row['arch']} {row['registers']} {row['static_shared']} {row['dynamic_shared']} {row['threads']}\n"
        for row in rows
    )
    run = subprocess.run([arguments.occupancy], input=lines, capture_output=True, text=True, check=True)
    for row, line in zip(rows, run.stdout.splitlines()):
        row["blocks_per_sm"] = int(line)


def faults(row):
    """What no table allows."""
    if row["spills"] or row["stack"]:
        yield f"{row['stack']} bytes of stack, {row['spills']} bytes of spills"
    if row["local"]:
        yield f"{row['local']} accesses to local memory"
    if not row["threads"]:
        yield "no __launch_bounds__"
    if row["blocks_per_sm"] < 1:
        yield "does not fit the multiprocessor"
    if row["dynamic_shared"] + row["static_shared"] > MAX_DYNAMIC_SHARED[row["arch"]]:
        yield "more shared memory than a block can have"


def differences(row, wanted):
    """What the table does not allow."""
    for column in ("registers", "static_shared", "slow_paths"):
        if row[column] > int(wanted[column]):
            yield f"{column} {row[column]}, at most {wanted[column]}"
    for column in ["threads", *COUNTED]:
        if row[column] != int(wanted[column]):
            yield f"{column} {row[column]}, expected {wanted[column]}"
    if row["blocks_per_sm"] < int(wanted["blocks_per_sm"]):
        yield f"blocks_per_sm {row['blocks_per_sm']}, at least {wanted['blocks_per_sm']}"


def read_table():
    with TABLE.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(line for line in file if not line.startswith("#"))]


def write_table(rows):
    head = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    rows = sorted(rows, key=lambda row: (row["kernel"], int(row["arch"])))
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        file.write("\n".join(head) + "\n")
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("arch")
    parser.add_argument("--nvcc", required=True)
    parser.add_argument("--occupancy", required=True)
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--include", action="append", default=[])
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--reuse", action="store_true", help="what an earlier run compiled into the folder")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)

    problems = check_calibration(arguments)
    sources = sorted((ROOT / "kernels_cuda").glob("*.cu"))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        rows = [row for unit in pool.map(lambda source: kernels_of(arguments, source), sources) for row in unit]
    table = read_table()
    known = {row["kernel"]: row for row in table if row["arch"] == arguments.arch}
    any_arch = {row["kernel"]: row for row in table}
    for row in rows:
        row["dynamic_shared"] = int(any_arch.get(row["kernel"], {}).get("dynamic_shared", 0))
    add_blocks_per_sm(arguments, rows)

    for row in rows:
        found = list(faults(row))
        if row["kernel"] not in known and not arguments.update:
            found.append("not in the table")
        elif not arguments.update:
            found += differences(row, known[row["kernel"]])
        problems += [f"{row['source']}: {row['kernel']}: {text}" for text in found]
    if arguments.update:
        write_table([row for row in table if row["arch"] != arguments.arch] + rows)
    else:
        gone = set(known) - {row["kernel"] for row in rows}
        problems += [f"{TABLE.name}: {name}: no such kernel for sm_{arguments.arch}" for name in sorted(gone)]
    for problem in problems:
        print(f"sm_{arguments.arch}: {problem}")
    print(f"sm_{arguments.arch}: {len(rows)} kernels in {len(sources)} files, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
