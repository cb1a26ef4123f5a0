# SPDX-License-Identifier: MIT
# Copyright (c) 2026 the deltanet authors
"""check_layout.py ROOT: the rules of the tree that can be read off its text.

Prints one line `file:line: what is wrong` each and exits with 1 if there is any. Regular expressions,
not a parser: they look at code with comments and strings blanked out.
"""

import os
import pathlib
import re
import subprocess
import sys

TOP_LEVEL = set(
    """CMakeLists.txt CMakePresets.json LICENSE README.md CHANGELOG.md CONTRIBUTING.md .clang-format
    .clang-tidy .editorconfig .gitignore .pre-commit-config.yaml vcpkg.json conanfile.py include
    kernels_cuda tests bench examples docs cmake .ci""".split()
)
MAX_LINES, MANY_LINES = 500, 350

CXX = {".hpp", ".cpp", ".cuh", ".cu"}
SCRIPTS = {".py", ".sh", ".cmake"}

# Names with a reserved form that belong to the compiler, its intrinsics or the system.
FOREIGN_RESERVED = re.compile(
    r"__\w+__|__builtin_\w+|__has_\w+|__attribute|__restrict|__forceinline|__asm|__cplusplus|__(get_)?cpuid\w*"
    r"|__m(64|128|256|512)\w*|__mmask\d+|__bf16|__fp16|__(u?)int128|__FAST_MATH|__AVX\w*|__SSE\w*|__F16C"
    r"|__ARM\w*|__CUDA\w*|__NVCC\w*|__nv_\w+|__cpp_\w+|__GNUC\w*|__GLIBC\w*|__SANITIZE\w*|__BYTE_ORDER"
    r"|_Pragma|_MSC_VER|_WIN32|_M_\w+|_MM_\w+|_CMP_\w+|_OPENMP|_POSIX\w*|_Float16"
)
RESERVED = re.compile(r"\b(__\w+|_[A-Z]\w*|[A-Za-z]\w*__\w+)\b")

# A kernel is compiled with the flags of one arch; an inline function of a container would be compiled
# with them too, and the linker may keep that copy for the whole program.
KERNEL_MAY_INCLUDE = re.compile(
    r"deltanet/.+|xsimd/.+|(cstddef|cstdint|cstring|cmath|bit|concepts|limits|type_traits|utility)"
    r"|\w*intrin\.h|arm_(neon|sve|bf16)\.h"
)

problems, warnings = [], []


def problem(path, line, text):
    problems.append(f"{path}:{line}: {text}")


def project_files(root):
    """Files that git knows or would add; without git, all but build directories."""
    git = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(git, capture_output=True, text=True, check=False)
    if listed.returncode == 0 and listed.stdout:
        names = listed.stdout.rstrip("\0").split("\0")
    else:
        names = []
        for folder, folders, files in os.walk(root):
            if pathlib.Path(folder) == root:
                folders[:] = [f for f in folders if f != ".git" and not f.startswith("build")]
            names += [os.path.relpath(os.path.join(folder, f), root) for f in files]
    return sorted(pathlib.Path(n) for n in set(names) if (root / n).is_file())


def blanked(text):
    """The text without comments, strings and character literals, every newline kept."""
    token = re.compile(
        r'//[^\n]*|/\*.*?\*/|R"([^(\s]*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<![0-9A-Fa-f])\'(?:\\.|[^\'\\\n])+\'', re.S
    )
    keep_includes = re.compile(r"^[ \t]*#[ \t]*include[^\n]*", re.M)
    includes = {m.start(): m[0] for m in keep_includes.finditer(text)}

    def blank(match):
        line_start = text.rfind("\n", 0, match.start()) + 1
        if line_start in includes and match[0].startswith('"'):
            return match[0]
        return "\n" * match[0].count("\n") or " "

    return token.sub(blank, text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def check_licence(path, text):
    mark = "//" if path.suffix in CXX else "#"
    lines = text.splitlines()
    if lines and lines[0].startswith("#!"):
        lines = lines[1:]
    wanted = [f"{mark} SPDX-License-Identifier: MIT", f"{mark} Copyright (c) 2026 the deltanet authors"]
    if lines[:2] != wanted:
        problem(path, 1, f"the file must begin with '{wanted[0]}' and '{wanted[1]}'")


def check_length(path, text):
    count = text.count("\n")
    if count > MAX_LINES:
        problem(path, count, f"{count} lines; split it, the limit is {MAX_LINES}")
    elif count > MANY_LINES:
        warnings.append(f"{path}: {count} lines, more than {MANY_LINES}")


def check_header(path, text, code):
    """A header of the library."""
    if not re.search(r"^#pragma once$", code, re.M):
        problem(path, 1, "no #pragma once")
    if not re.search(r"^///", text.split("#pragma once")[0], re.M):
        problem(path, 3, "no /// paragraph above #pragma once that says what the header is for")
    for match in re.finditer(r"^using namespace\b", code, re.M):  # at column 0: at namespace scope
        problem(path, line_of(code, match.start()), "using namespace at namespace scope")
    for match in re.finditer(r"\bnamespace\s*\{", code):
        problem(path, line_of(code, match.start()), "an anonymous namespace in a header")
    for match in RESERVED.finditer(code):
        if not FOREIGN_RESERVED.fullmatch(match[0]):
            problem(path, line_of(code, match.start()), f"'{match[0]}' is a name reserved for the compiler")
    for match in re.finditer(r"^static\s+(?!assert)|^static_cast", code, re.M):
        problem(path, line_of(code, match.start()), "static at namespace scope: use inline")
    if path.parts[:3] == ("include", "deltanet", "cuda"):
        return
    if path.parts[:4] == ("include", "deltanet", "cpu", "kernels"):
        for line, name in includes_of(code):
            if not KERNEL_MAY_INCLUDE.fullmatch(name):
                problem(path, line, f"a kernel includes <{name}>: no Eigen, no containers, no streams")


def includes_of(code):
    for match in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*[<"]([^>"\n]+)', code, re.M):
        yield line_of(code, match.start()), match[1]


def check_kernels_reach_no_eigen(codes):
    """Follows our own includes from each kernel."""
    include = pathlib.Path("include")
    for kernel in codes:
        if kernel.parts[:4] != ("include", "deltanet", "cpu", "kernels"):
            continue
        seen, queue = {kernel}, [kernel]
        while queue:
            path = queue.pop()
            for line, name in includes_of(codes[path]):
                if name.startswith(("Eigen/", "nlohmann/")) or name == "deltanet/layer.hpp":
                    problem(kernel, 1, f"the kernel reaches <{name}> through {path}:{line}")
                if include / name in codes and include / name not in seen:
                    seen.add(include / name)
                    queue.append(include / name)


def check_flags(path, text):
    for flag, where in (("-march=native", "CMakePresets.json"), ("-f" + "fast-math", None)):
        if str(path) != where and path.name != "check_layout.py":
            for match in re.finditer(re.escape(flag), text):
                problem(path, line_of(text, match.start()), f"{flag} belongs {'in ' + where if where else 'nowhere'}")


def check_versions(root):
    def first(name, pattern):
        found = re.search(pattern, (root / name).read_text(encoding="utf-8"), re.M)
        return ".".join(found.groups()) if found else None

    define = r"^#define DELTANET_VERSION_{} (\d+)\s*"
    found = {
        "include/deltanet/version.hpp": first(
            "include/deltanet/version.hpp", "".join(define.format(part) for part in ("MAJOR", "MINOR", "PATCH"))
        ),
        "CHANGELOG.md": first("CHANGELOG.md", r"^## \[([^\]]+)\]"),
        "vcpkg.json": first("vcpkg.json", r'"version": "([^"]+)"'),
        "conanfile.py": first("conanfile.py", r'version = "([^"]+)"'),
    }
    if len(set(found.values())) != 1 or None in found.values():
        problem("include/deltanet/version.hpp", 1, f"the version is not the same everywhere: {found}")


def main() -> int:
    root = pathlib.Path(sys.argv[1]).resolve()
    files = project_files(root)
    for name in sorted({path.parts[0] for path in files} - TOP_LEVEL):
        problem(name, 1, "the top level has no room for this; see CONTRIBUTING.md")
    codes = {}
    for path in files:
        is_script = path.suffix in SCRIPTS or path.name == "CMakeLists.txt" or path.parts[0] == ".ci"
        if path.suffix not in CXX and not is_script and path.suffix != ".json":
            continue
        text = (root / path).read_text(encoding="utf-8")
        if path.suffix in CXX:
            check_length(path, text)
            codes[path] = blanked(text)
        else:
            check_flags(path, text)
        if path.suffix in CXX or is_script:
            check_licence(path, text)
        if path.suffix == ".hpp" and path.parts[0] == "include":
            check_header(path, text, codes[path])
    check_kernels_reach_no_eigen(codes)
    check_versions(root)

    for line in warnings:
        print("note:", line)
    for line in problems:
        print(line)
    print(f"{len(files)} files, {len(problems)} problems")
    return 1 if problems or not codes else 0


if __name__ == "__main__":
    sys.exit(main())
