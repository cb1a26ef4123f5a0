# SPDX-License-Identifier: MIT
# Copyright (c) 2026 the deltanet authors
"""check_symbols.py NM ARCH OBJECT...: what an object file of one instruction set defines.

Every symbol that the linker may share with another object file (weak, unique) must carry the tag of this
object's own arch, and the only one that others can name is the kernel table. Otherwise the program might run a
function that was compiled for an instruction set that its CPU lacks.
"""

import re
import subprocess
import sys

# Baseline: whatever the compiler does by default, which is none of the others.
TAGS = {"avx2": r"xsimd::fma3<xsimd::avx2>", "avx512": r"xsimd::avx512bw", "avx512bf16": r"deltanet::cpu::avx512bf16"}
BASELINE = r"xsimd::(sse\w*|neon\w*|sve\w*|generic)"


def main() -> int:
    nm, arch, objects = sys.argv[1], sys.argv[2], sys.argv[3:]
    listed = subprocess.run([nm, "-C", "--defined-only", *objects], capture_output=True, text=True, check=True)
    own_tag = re.compile(TAGS.get(arch, BASELINE))
    shared, exported = [], []
    for line in listed.stdout.splitlines():
        match = re.match(r"[0-9a-f]+ (\w) (.*)", line)
        if not match:
            continue
        kind, name = match.groups()
        if kind in "WwVvu" and not own_tag.search(name):
            shared.append(name)
        elif kind in "TDRBG":
            exported.append(name)
    table = f"deltanet::dispatch::kernels_{arch}"
    for name in shared:
        print(f"shared between instruction sets: {name}")
    for name in exported:
        if name != table:
            print(f"exported besides the table: {name}")
    if table not in exported:
        print(f"not found: {table}")
    print(f"{len(shared)} shared, {len(exported)} exported")
    return 0 if not shared and exported == [table] else 1


if __name__ == "__main__":
    sys.exit(main())
