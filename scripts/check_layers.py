#!/usr/bin/env python3
"""Fails for every #include that scripts/layers.txt does not allow.

usage: check_layers.py [--root FOLDER] [--rules FILE]
"""
import argparse
import fnmatch
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def read_rules(path):
    """Gives {path prefix: (folders, libraries)} and {library: [header patterns]}."""
    rules, libraries = {}, {}
    for line in path.read_text().splitlines():
        line = line.split("#")[0].strip()
        if line.startswith("library "):
            name, headers = line[len("library "):].split(":")
            libraries.setdefault(name.strip(), []).extend(headers.split())
        elif line:
            name, allowed = line.split(":")
            folders, seen = (allowed + "|").split("|")[:2]
            rules[name.strip()] = (folders.split(), seen.split() + ["system"])
    return rules, libraries


def fits(rule, name):
    """A rule is a folder, or a file without its suffix or last words; `x/*`: the files in x."""
    if rule.endswith("/*"):
        return name.rpartition("/")[0] == rule[:-2]
    return re.match(re.escape(rule) + r"(/|_|\.)", name) is not None


def rule_of(name, rules):
    return max((rule for rule in rules if fits(rule, name)), key=len, default=None)


def allowed(own, kind, header, rules, libraries):
    folders, seen = rules.get(own, ([], []))
    for library, patterns in libraries.items():
        if any(fnmatch.fnmatch(header, p) for p in patterns):
            return library in seen
    near = own is not None and any(fits(folder, header) for folder in [*folders, own])
    return kind == '"' and ("all" in folders or near)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, default=HERE.parent)
    parser.add_argument("--rules", type=pathlib.Path, default=HERE / "layers.txt")
    options = parser.parse_args()
    rules, libraries = read_rules(options.rules)
    bad = 0
    folders = [options.root / top for top in ("server", "pkcs11", "client")]
    for path in sorted(p for folder in folders for p in folder.rglob("*.[ch]")):
        name, text = path.relative_to(options.root).as_posix(), path.read_text()
        own = rule_of(name, rules)
        for match in INCLUDE.finditer(text):
            if not allowed(own, *match.groups(), rules, libraries):
                bad = 1
                line = text.count("\n", 0, match.start(1)) + 1
                print(f"{name}:{line}: {own or 'no rule'} may not include {match[2]}")
    return bad


if __name__ == "__main__":
    sys.exit(main())
