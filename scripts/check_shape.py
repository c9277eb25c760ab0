#!/usr/bin/env python3
"""Fails for code that breaks the house style in a way a script can see (docs/style.md).

Tables are exempt from the lengths: put /* shape: table */ on the line above the definition.

usage: check_shape.py [--root FOLDER]
"""
import argparse
import os
import pathlib
import re
import sys

FUNCTION_LINES, SOURCE_LINES, HEADER_LINES, COLUMNS = 60, 500, 150, 100
SKIPPED = re.compile(r"build.*|node_modules|__pycache__|\.(?!ci$|clang|git[-i]).*|corpus")
TEXT = {".c", ".h", ".py", ".sh", ".cmake", ".txt", ".md", ".proto", ".json", ".js", ".sql", ""}
NARROW = {".c", ".h", ".py", ".sh", ".cmake", ".js", ".proto"}
CALLS = re.compile(r"(?<![\w.>])(strcpy|strcat|v?sprintf|gets|atoi|alloca|system|popen)\s*\(")
NO_MEMCMP = ("server/auth/", "server/audit/", "server/vault/")
PRINTS = re.compile(r"(?<![\w.>])((?:v|d|f|vd|vf)?printf|f?puts|f?putc|putchar|fwrite|perror|"
                    r"json_dumpf)\s*\(")
# What prints for all of kvctl, and those that print nothing but their own texts.
MAY_PRINT = ("say.c", "help.c", "manual.c", "completion.c")
OPEN_END = re.compile(r"\b(?:TODO|FIXME|XXX)\b(?!\(#\d+\)| #\d+)")
MACHINE_PATH = re.compile(r"(?<![\w.~}/-])/(?:work|root|home)/")
TABLE = "/* shape: table */"


def blank(match):
    """A comment or literal, as blanks and line ends of the same length."""
    text = match.group(0)
    if text[0] in "\"'":
        return text[0] + " " * (len(text) - 2) + text[0]
    return re.sub(r"[^\n]", " ", text)


def code_of(text):
    """The text without comments, literals and preprocessor lines; positions stay the same."""
    text = re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text,
                  flags=re.DOTALL)
    return re.sub(r"^[ \t]*#(?:\\\n|[^\n])*", blank_line, text, flags=re.MULTILINE)


def blank_line(match):
    return re.sub(r"[^\n]", " ", match.group(0))


def definitions(code):
    """Yields (start, end, head, braced) of everything at file scope, in order."""
    depth, start, opened = 0, 0, None
    for at, char in enumerate(code):
        if char == "{":
            if depth == 0 and opened is None:
                opened = at
            depth += 1
        elif char == "}":
            depth -= 1
        if depth or char not in ";}":
            continue
        head = code[start:at if opened is None else opened].strip()
        # Only a function's body ends a definition without a semicolon.
        if char == "}" and not head.endswith(")") and not re.search(r"\)\s*KV_\w+$", head):
            continue
        if head:
            yield start + len(code[start:]) - len(code[start:].lstrip()), at, head, opened
        start, opened = at + 1, None


def is_function(head, opened):
    return opened is not None and bool(re.search(r"\)(\s*KV_\w+)*$", head))


def mutable_variable(head):
    """Whether a definition at file scope, or a static local, is a variable that is not const."""
    name = re.split(r"=|\[", head)[0]
    if re.match(r"(typedef|extern|_Static_assert|static_assert|enum|union|struct)\b", name):
        if not re.match(r"(struct|union|enum)\s+\w+\s+\**\w+\s*$", name.strip()):
            return False
    if "(" in name and not re.search(r"\(\s*\*", name):
        return False
    last_star = name.rfind("*")
    return "const" not in (name[last_star:] if last_star >= 0 else name)


def check_c(name, text, lines, report):
    code = code_of(text)
    line_at = lambda at: text.count("\n", 0, at) + 1
    table_lines = 0

    first = re.match(r"/\* (\S+) - \S", lines[0] if lines else "")
    if not first or first[1] != os.path.basename(name):
        report(1, f"the first line must be '/* {os.path.basename(name)} - what it is'")
    functions = {word[1] for _, _, head, opened in definitions(code) if is_function(head, opened)
                 for word in [re.search(r"(\w+)\s*\(", head)] if word}
    for start, end, head, opened in definitions(code):
        # Macros that define functions stand before it without a semicolon.
        macros = re.match(r"(?:[A-Z_]+\([^;{}()]*\)\s*)+", code[start:])
        start += macros.end() if macros and not is_function(head, opened) else 0
        length = line_at(end) - line_at(start) + 1
        if lines[max(line_at(start) - 2, 0)].strip() == TABLE:
            table_lines += length
        elif is_function(head, opened) and length > FUNCTION_LINES:
            report(line_at(start), f"a function of {length} lines, more than {FUNCTION_LINES}")
        if name.startswith("tests/"):
            continue  # a fake has state that the code under test cannot carry
        # In a header `kv_decode a, b;` declares functions; the linker finds a variable there.
        declared = head.rpartition(" ")[2] in functions or (
            name.endswith(".h") and not head.startswith("static"))
        if not declared and not is_function(head, opened) and mutable_variable(head):
            report(line_at(start), "a global that is not const")
        if is_function(head, opened):
            for local in re.finditer(r"\bstatic\b[^;={(]*", code[opened:end]):
                if mutable_variable(local[0]):
                    report(line_at(opened + local.start()), "a static local that is not const")
    limit = HEADER_LINES if name.endswith(".h") else SOURCE_LINES
    if len(lines) - table_lines > limit:
        report(1, f"{len(lines) - table_lines} lines, more than {limit}")
    for match in CALLS.finditer(code):
        report(line_at(match.start()), f"{match[1]} is forbidden")
    for match in re.finditer(r"\bgoto\b", code):
        report(line_at(match.start()), "goto is forbidden")
    if name.endswith(".c"):
        for match in re.finditer(r"^[ \t]*extern\b", code, re.MULTILINE):
            report(line_at(match.start()), "extern belongs in a header")
    for match in re.finditer(r"\bHASH_ADD\w*\(", code):
        if "KV_HASH_HAS" not in code[match.end():].split("}", 1)[0][:300]:
            report(line_at(match.start()), "HASH_ADD without KV_HASH_HAS")
    if re.search(r'#include ["<]uthash.h', text) and name != "server/base/hash.h":
        report(1, "uthash.h ends the process without memory: server/base/hash.h")
    if name.startswith("client/cli/") and os.path.basename(name) not in MAY_PRINT:
        for match in PRINTS.finditer(code):
            report(line_at(match.start()), f"{match[1]} is forbidden here: client/cli/say.h")
    if name.startswith(NO_MEMCMP):
        for match in re.finditer(r"\bmemcmp\s*\(", code):
            report(line_at(match.start()), "memcmp is forbidden here: kv_secret_buf_equal")


def check_file(root, name):
    """Gives the findings of one file as (line, text)."""
    found = []
    report = lambda line, text: found.append((line, text))
    suffix = pathlib.Path(name).suffix
    try:
        text = (root / name).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return [(1, "is not UTF-8")] if suffix in NARROW else []
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        if suffix in NARROW and len(line) > COLUMNS:
            report(number, f"{len(line)} columns, more than {COLUMNS}")
        if line.startswith(("<<<<<<< ", ">>>>>>> ")):
            report(number, "a conflict of a merge")
        if OPEN_END.search(line) and name != "scripts/check_shape.py":
            report(number, "an open end needs its issue's number: TODO(#12)")
        if MACHINE_PATH.search(line):
            report(number, "a path of somebody's machine")
    if suffix in (".c", ".h") and ".pb-c." not in name:
        check_c(name, text, lines, report)
    return found


def names_under(root):
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(f for f in folders if not SKIPPED.fullmatch(f))
        for file in sorted(files):
            path = pathlib.Path(folder, file)
            if path.suffix in TEXT and file not in (".git", "LICENSE", "package-lock.json"):
                yield path.relative_to(root).as_posix()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path,
                        default=pathlib.Path(__file__).resolve().parent.parent)
    root = parser.parse_args().root
    bad = 0
    for name in names_under(root):
        for line, text in check_file(root, name):
            bad += 1
            print(f"{name}:{line}: {text}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
