#!/usr/bin/env python3
"""Puts the tables of tests/live/faults into docs/faults.md: faults_table.py DOCUMENT TABLE..."""
import pathlib
import re
import sys


def totals(table):
    rows = [line.strip("| \n").split(" | ") for line in table.splitlines()[2:]]
    names = ("faults", "calls hit", "answered", "refused", "hung callers", "wrong answers")
    sums = [sum(int(row[i]) for row in rows) for i in range(2, 8)]
    text = ", ".join(f"{number} {name}" for number, name in zip(sums, names))
    longest = max(float(row[8]) for row in rows)
    return f"{len({row[0] for row in rows})} calls; {text}; longest way back {longest} s.\n"


def main():
    document = pathlib.Path(sys.argv[1])
    text = document.read_text(encoding="utf-8")
    for name in sys.argv[2:]:
        path = pathlib.Path(name)
        table = path.read_text(encoding="utf-8")
        text, found = re.subn(
            rf"(<!-- {path.stem} -->\n).*?(<!-- end -->)",
            lambda mark: f"{mark[1]}{totals(table)}\n{table}{mark[2]}",
            text, flags=re.DOTALL)
        if found != 1:
            sys.exit(f"{document} has no place for {path.stem}")
    document.write_text(text, encoding="utf-8")


main()
