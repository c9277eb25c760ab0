#!/usr/bin/env python3
"""Draws the results of scripts/bench.sh: how near to the token's own speed each operation comes.

    scripts/bench_picture.py FOLDER FILE.svg
"""
import sys
from xml.sax.saxutils import escape

from bench_results import NAMES, best, read_part, sync_ms

WIDTH, ROW, BAR, LEFT, RIGHT, TOP = 860, 74, 13, 250, 150, 86
SIDES = [
    ("software", None, "OpenSSL, key in memory", "#c9c9c9"),
    ("copy", None, "token, session copy", "#8fb8de"),
    ("object", None, "token object", "#3f7fbf"),
    ("served", 64, "keyvault, 64 in flight", "#2e8540"),
    ("p11kit", None, "p11-kit server, its best", "#d98c3f"),
]
LONGEST = 2.0  # times the token object; what is longer is cut, and says so


def bar(y, share, label, colour):
    room = WIDTH - LEFT - RIGHT
    cut = share > LONGEST
    length = room * min(share, LONGEST) / LONGEST
    text = f"{share:.2f}×{' →' if cut else ''} ({label})"
    return (f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR - 2}" fill="{colour}"/>'
            f'<text x="{LEFT + length + 5:.1f}" y="{y + BAR - 3}" class="n">{escape(text)}</text>')


def operation(y, name, rows):
    to = best(rows, "object")
    parts = [f'<text x="{LEFT - 12}" y="{y + 3 * BAR}" text-anchor="end">{escape(name)}</text>']
    at = y
    for side, parallel, _, colour in SIDES:
        row = best(rows, side, parallel)
        if row:
            parts.append(bar(at, row.rate / to.rate, f"{row.rate:,.0f}/s", colour))
            at += BAR
    return parts


def legend():
    parts, x = [], 20
    for _, _, label, colour in SIDES:
        parts.append(f'<rect x="{x}" y="46" width="11" height="11" fill="{colour}"/>'
                     f'<text x="{x + 16}" y="56">{escape(label)}</text>')
        x += 30 + 6.6 * len(label)
    return parts


def main():
    folder, path = sys.argv[1:]
    measured = [(NAMES[part].split(" (")[0], read_part(folder, part)) for part in NAMES]
    measured = [(name, rows) for name, rows in measured
                if best(rows, "object") and best(rows, "served", 64)]
    height = TOP + ROW * len(measured) + 20
    line = LEFT + (WIDTH - LEFT - RIGHT) / LONGEST
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="12">',
        "<style>.n{font-size:10.5px;fill:#444}.h{font-size:15px}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        '<text x="20" y="26" class="h">Throughput, as multiples of the token object '
        f"(fdatasync {sync_ms(folder):.2f} ms)</text>",
        *legend(),
        f'<line x1="{line}" x2="{line}" y1="{TOP - 8}" y2="{height - 20}" stroke="#999" '
        'stroke-dasharray="3 3"/>',
    ]
    for number, (name, rows) in enumerate(measured):
        lines += operation(TOP + ROW * number, name, rows)
    with open(path, "w", encoding="utf-8") as out:
        out.write("\n".join(lines + ["</svg>"]) + "\n")


main()
