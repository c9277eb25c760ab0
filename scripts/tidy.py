#!/usr/bin/env python3
"""Runs clang-tidy over server, pkcs11 and client, with what the build in FOLDER has compiled.

usage: tidy.py [--jobs N] [--seconds N] [FOLDER]

A file that passed is not looked at again as long as itself, every header that it includes, how it
is compiled, the checks and clang-tidy are the same: $XDG_CACHE_HOME/keyvault-tidy (~/.cache) has an
empty file named by the digest of all that, as ccache has what was compiled. They go when nobody
asked for 30 days. Where nothing can be kept, everything is looked at each time.
"""
import argparse
import concurrent.futures
import contextlib
import functools
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDERS = ("server", "pkcs11", "client")
MODEL = ROOT / "scripts" / "tidy_model.h"
ALWAYS = (MODEL, ROOT / ".clang-tidy", pathlib.Path(__file__).resolve())
KEPT_SECONDS = 30 * 24 * 3600
# The analyser does not know attribute cleanup: what it calls a leak is none. LeakSanitizer looks
# for real ones.
NO_ERROR = "Potential leak of memory"


def included(build):
    """Gives {source: paths of all that it includes, itself among them}, as Ninja knows them."""
    told = subprocess.run(["ninja", "-C", build, "-t", "deps"], check=True, text=True,
                          stdout=subprocess.PIPE).stdout
    found = {}
    for entry in told.split("\n\n"):
        head, *paths = entry.split("\n")
        if "(VALID)" not in head:
            continue
        paths = [(build / path.strip()).resolve() for path in paths if path.strip()]
        for path in paths:
            if path.suffix == ".c":
                found.setdefault(path, set()).update(paths)
    return found


def compiled(build):
    """Gives {source: how it is compiled}, the same for every clone."""
    entries = json.loads((build / "compile_commands.json").read_text())
    return {pathlib.Path(entry["file"]): entry["command"].replace(str(ROOT), "")
            for entry in entries}


@functools.lru_cache(maxsize=None)
def digest(path):
    return hashlib.sha256(path.read_bytes()).digest()


def key_of(paths, *words):
    """Names what passes or does not; None: one of the files is not there."""
    total = hashlib.sha256("\0".join(words).encode())
    try:
        for path in sorted({*paths, *ALWAYS}):
            total.update(digest(path))
    except OSError:
        return None
    return total.hexdigest()


def changed(paths, since):
    """Whether one of them may be another than the one whose digest was taken, or is gone."""
    try:
        return any(path.stat().st_mtime >= since for path in {*paths, *ALWAYS})
    except OSError:
        return True


class Passed:
    """The files of the cache. What cannot be read has not passed; what cannot be kept is lost."""

    def __init__(self):
        home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
        self.folder = pathlib.Path(home) / "keyvault-tidy"

    def has(self, key):
        try:
            os.utime(self.folder / key)
        except OSError:
            return False
        return True

    def add(self, key):
        with contextlib.suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / key).touch()

    def forget_old(self):
        with contextlib.suppress(OSError):
            for old in self.folder.iterdir():
                if time.time() - old.stat().st_mtime > KEPT_SECONDS:
                    old.unlink()


def look(source, build, seconds):
    """What is wrong with the file; empty: nothing."""
    command = ["clang-tidy", "-p", build, "--quiet", "--extra-arg=-include",
               f"--extra-arg={MODEL}", f"--extra-arg=-DKV_TIDY_{source.stem}", source]
    try:
        done = subprocess.run(command, text=True, stdout=subprocess.PIPE, errors="replace",
                              stderr=subprocess.STDOUT, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return f"{source}: not finished after {seconds} seconds\n"
    errors = [line for line in done.stdout.split("\n") if re.search(r"\berror: ", line)]
    if done.returncode == 0 or done.returncode == 1 and errors and all(
            NO_ERROR in line for line in errors):
        return ""
    return f"{source}: clang-tidy ended with {done.returncode}\n{done.stdout}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=2)
    # Of the clock: it runs beside tests, with what they leave.
    parser.add_argument("--seconds", type=int, default=900, help="for one file")
    parser.add_argument("build", nargs="?", type=pathlib.Path, default=ROOT / "build" / "fuzz")
    options = parser.parse_args()
    build, began = options.build.resolve(), time.time()
    passed = Passed()
    version = subprocess.run(["clang-tidy", "--version"], check=True, text=True,
                             stdout=subprocess.PIPE).stdout
    paths, commands = included(build), compiled(build)
    sources = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.c"))]

    def check(source):
        known = source in paths and source in commands
        key = known and key_of(paths[source], version, commands[source])
        if key and passed.has(key):
            return None
        wrong = look(source, build, options.seconds)
        if key and not wrong and not changed(paths[source], began):
            passed.add(key)
        return wrong

    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        results = list(pool.map(check, sources))
    passed.forget_old()
    wrong = [result for result in results if result]
    print("".join(wrong), end="")
    print(f"{len(sources)} files, {results.count(None)} of them as they were when they passed; "
          f"{len(wrong)} with errors")
    return 1 if wrong or not sources else 0


if __name__ == "__main__":
    sys.exit(main())
