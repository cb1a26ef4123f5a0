#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Copyright (c) 2026 the deltanet authors
"""check_docs.py ROOT [--update] [--run DIR] [--compile COMMAND...]: README.md and docs/*.md say what is so.

Always: the fenced block behind a marker
    <!-- example: FILE NAME -->   is FILE between [example-begin NAME] and [example-end NAME];
    <!-- output: FILE -->         is the comment "// Expected output:" at the end of FILE;
links lead to files and headings that exist; so do the paths in the tables of docs/hacking.md.
--update writes marked blocks anew. --run compares what the programs of the examples, built in DIR, print
with their comments (numbers may differ by one in the last place). --compile compiles all other ```cpp blocks
in one go: COMMAND gets the flags for syntax only and a file. Prints one line a problem; exits with 1 if any.
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

FENCE = re.compile(r"(?:^<!-- (example|output): (\S+) ?(\S*) -->\n)?^```(\w*)\n(.*?)^```$", re.M | re.S)
PREAMBLE = """#include <algorithm>
#include <cstdio>
#include <deltanet/deltanet.hpp>
#include <deltanet/io/gguf_binding.hpp>
#include <deltanet/io/layer_binding.hpp>
#include <deltanet/io/model_config.hpp>
#include <deltanet/parallel/shard.hpp>
#include <deltanet/prefix_cache.hpp>
using namespace deltanet;
// What a snippet may take for granted.
struct Engine {
    LayerConfig config;
    LayerWeights<EigenLinear> weights;
    StateSlots slots;
    DeltaNetLayer<CpuBackend<>> layer;
    CpuBackend<> backend;
    Workspace workspace;
    Batch batch;
    View<const float, 2> x;
    View<float, 2> y;
    std::vector<float> conv, recurrent;
    index_t n_tokens, slot;
};
"""

problems = []


def expected_output(source):
    """The lines of the comment at the end of an example."""
    lines = source.read_text(encoding="utf-8").split("// Expected output:\n")[-1].splitlines()
    return "".join(line[3:] + "\n" for line in lines)


def marked_text(root, kind, file, name):
    source = root / file
    if not source.is_file():
        return None
    if kind == "output":
        return expected_output(source)
    part = re.search(
        rf"^// \[example-begin {re.escape(name)}\]\n(.*?)^// \[example-end {re.escape(name)}\]$",
        source.read_text(encoding="utf-8"), re.M | re.S,
    )
    return part and part[1]


def check_blocks(root, page, update):
    """Returns the unmarked C++ blocks, with the lines that they begin at."""
    text, snippets = page.read_text(encoding="utf-8"), []

    def check(match):
        kind, file, name, language, body = match.groups()
        line = text.count("\n", 0, match.start(5)) + 1
        if not kind:
            if language == "cpp":
                snippets.append((page, line, body))
            return match[0]
        wanted = marked_text(root, kind, file, name)
        if wanted is None:
            problems.append(f"{page}:{line}: {file} has no {kind} {name}")
        elif body != wanted:
            if update:
                return match[0][: match.start(5) - match.start()] + wanted + "```"
            problems.append(f"{page}:{line}: the block is not the {kind} {name} of {file}; --update writes it")
        return match[0]

    updated = FENCE.sub(check, text)
    if updated != text:
        page.write_text(updated, encoding="utf-8")
    return snippets


def slugs(page):
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def check_links(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|href)="([^"]+)"', text):
        path, _, anchor = target.partition("#")
        if re.match(r"\w+:", target):
            continue
        file = page.parent / path if path else page
        if not file.exists():
            problems.append(f"{page}: the link {target} leads nowhere")
        elif anchor and file.suffix == ".md" and anchor not in slugs(file):
            problems.append(f"{page}: no heading for the link {target}")


def check_table_paths(root, page):
    for row in re.findall(r"^\|.*$", page.read_text(encoding="utf-8"), re.M):
        for word in re.findall(r"`([^`\s]*/[^`\s]*)`", row):
            pattern = re.sub(r"<[^>]*>", "*", word)  # <op> stands for any
            if not any(root.glob(pattern)):
                problems.append(f"{page}: {word} is not there")


def almost_equal(printed, wanted):
    """Equal word by word, or numbers that differ by one in the last place."""
    a, b = printed.split(), wanted.split()
    for x, y in zip(a, b):
        if x != y:
            if not re.fullmatch(r"-?\d+\.\d+", x) or not re.fullmatch(r"-?\d+\.\d+", y):
                return False
            if abs(float(x) - float(y)) > 1.01 * 10.0 ** -len(y.partition(".")[2]):
                return False
    return len(a) == len(b)


def run_examples(root, folder):
    for source in sorted((root / "examples").glob("[0-9]*.cpp")):
        program = pathlib.Path(folder) / source.stem
        if not program.is_file():
            problems.append(f"{source}: not built in {folder}")
            continue
        done = subprocess.run([program], cwd=root, capture_output=True, text=True, check=False)
        if done.returncode != 0 or not almost_equal(done.stdout, expected_output(source)):
            problems.append(f"{source}: exit status {done.returncode}, printed\n{done.stdout}{done.stderr}")


def compile_snippets(command, snippets):
    """Declarations stand at namespace scope, statements in a member function of Engine's child."""
    parts = [PREAMBLE]
    for number, (page, line, body) in enumerate(snippets):
        includes = "".join(re.findall(r"^#include.*\n", body, re.M))
        rest = re.sub(r"^#include.*$", "", body, flags=re.M)
        at = f'#line {line} "{page}"\n'
        if re.search(r"^(template|struct|class|static_assert|int main)\b", rest, re.M):
            parts.append(f"{includes}namespace snippet{number} {{\n{at}{rest}}}\n")
        else:
            parts.append(f"{includes}struct Snippet{number} : Engine {{ void run() {{\n{at}{rest}}} }};\n")
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "snippets.cpp"
        file.write_text("\n".join(parts), encoding="utf-8")
        done = subprocess.run([*command, "-fsyntax-only", str(file)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            problems.append(done.stderr)


def main():
    arguments = sys.argv[1:]
    command = arguments[arguments.index("--compile") + 1 :] if "--compile" in arguments else []
    root = pathlib.Path(arguments[0]).resolve()
    pages = [root / "README.md", *sorted((root / "docs").glob("*.md"))]
    snippets = [snippet for page in pages for snippet in check_blocks(root, page, "--update" in arguments)]
    for page in pages:
        check_links(page)
    check_table_paths(root, root / "docs" / "hacking.md")
    if "--run" in arguments:
        run_examples(root, arguments[arguments.index("--run") + 1])
    if command and shutil.which(command[0]):
        compile_snippets(command, snippets)
    for line in problems:
        print(line)
    print(f"{len(pages)} pages, {len(snippets)} snippets, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
