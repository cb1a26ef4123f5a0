# SPDX-License-Identifier: MIT
# Copyright (c) 2026 the deltanet authors
"""check_macros.py INCLUDE_DIR WITH_IO WITH_ONEDNN COMPILER [FLAG ...]

Fails if including the library leaves a macro defined that a header of ours defined and that is not
named DELTANET_*. -dD keeps each #define with the file it stands in, so the macros of Eigen, xsimd and
the standard library need no list.
"""

import pathlib
import re
import subprocess
import sys


def main() -> int:
    include_dir = pathlib.Path(sys.argv[1]).resolve()
    with_io, with_onednn = sys.argv[2] == "1", sys.argv[3] == "1"
    compiler, flags = sys.argv[4], sys.argv[5:]
    headers = [include_dir / "deltanet/deltanet.hpp"]
    if with_io:
        headers += sorted((include_dir / "deltanet/io").glob("*.hpp"))
    if with_onednn:
        headers.append(include_dir / "deltanet/linear/onednn.hpp")
    source = "".join(f'#include "{header}"\n' for header in headers)
    command = [compiler, "-std=c++20", "-E", "-dD", "-x", "c++", *flags, "-"]
    run = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        print(run.stderr)
        return 1

    current, owner = "", {}  # owner: macros of ours that are defined where the output has been read to
    for line in run.stdout.splitlines():
        if marker := re.match(r'# \d+ "([^"]*)"', line):
            current = marker[1]
        elif define := re.match(r"#\s*define (\w+)", line):
            ours = pathlib.Path(current).is_absolute() and include_dir in pathlib.Path(current).resolve().parents
            if ours:
                owner[define[1]] = current
        elif undef := re.match(r"#\s*undef (\w+)", line):
            owner.pop(undef[1], None)
    leaks = {name: path for name, path in owner.items() if not name.startswith("DELTANET_")}
    for name, path in sorted(leaks.items()):
        print(f"{path}: macro {name} outlives the header; name it DELTANET_* or #undef it")
    print(f"{len(owner)} macros of the library, {len(leaks)} of them outside DELTANET_*")
    # None at all would mean that the output was not understood: DELTANET_VERSION_MAJOR is always there.
    return 1 if leaks or "DELTANET_VERSION_MAJOR" not in owner else 0


if __name__ == "__main__":
    sys.exit(main())
