# SPDX-License-Identifier: MIT
# Copyright (c) 2026 the deltanet authors
"""plot.py RESULTS.json PLOT.svg: how near each case comes to its floor.

One bar a case: the floor as a share of the measured time, 1.0 (the line at the right) at best. A mark shows
where the same operation in plain loops stands.
"""

import html
import json
import sys

WIDTH, LABEL, ROW, TOP = 860, 330, 22, 46
BAR, LINE, TEXT, GRID, PLAIN = "#2f6f8f", "#b3412f", "#222222", "#dddddd", "#e0a030"


def cases(path):
    with open(path, encoding="utf-8") as file:
        results = json.load(file)
    for run in results["benchmarks"]:
        yield run["name"].split("/")[0], run["us"], run["floor_ratio"], run.get("plain_us", 0.0)


def svg(rows, title):
    height = TOP + ROW * len(rows) + 26
    scale = (WIDTH - LABEL - 90) / 1.0
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif"'
        f' font-size="12" fill="{TEXT}">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="20" font-size="14">{html.escape(title)}</text>',
    ]
    bottom = TOP + ROW * len(rows)
    for tenth in range(0, 11, 2):
        x = LABEL + scale * tenth / 10
        colour, width = (LINE, 2) if tenth == 10 else (GRID, 1)
        parts.append(f'<line x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{bottom}" stroke="{colour}" stroke-width="{width}"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{tenth / 10:.1f}</text>')
    for i, (name, us, ratio, plain) in enumerate(rows):
        y = TOP + ROW * i
        parts.append(f'<text x="{LABEL - 8}" y="{y + 14}" text-anchor="end" font-family="monospace">{html.escape(name)}</text>')
        parts.append(f'<rect x="{LABEL}" y="{y + 3}" width="{scale * min(ratio, 1.0):.1f}" height="{ROW - 7}" fill="{BAR}"/>')
        if plain > 0:
            mark = LABEL + scale * min(ratio * us / plain, 1.0)
            parts.append(f'<rect x="{mark - 1.5:.1f}" y="{y + 1}" width="3" height="{ROW - 3}" fill="{PLAIN}"/>')
        parts.append(f'<text x="{LABEL + scale * min(ratio, 1.0) + 6:.1f}" y="{y + 14}">{ratio:.2f} ({us:.3g} us)</text>')
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    rows = list(cases(sys.argv[1]))
    if not rows:
        sys.exit(f"plot.py: {sys.argv[1]}: expected at least one case, found none")
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write(svg(rows, "Floor over measured time (1.0: the limit of the machine; mark: plain loops); microseconds per token"))


if __name__ == "__main__":
    main()
