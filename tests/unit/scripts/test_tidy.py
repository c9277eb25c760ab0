#!/usr/bin/env python3
"""Runs scripts/tidy.py in a small tree: no finding gets by, and what passed is left alone."""
import contextlib
import io
import os
import pathlib
import runpy
import shutil
import subprocess
import sys
import tempfile
import time
import types
import unittest
from unittest import mock

SCRIPT = pathlib.Path(__file__).resolve().parents[3] / "scripts" / "tidy.py"
CHECKS = "Checks: '-*,clang-diagnostic-*,clang-analyzer-*'\nWarningsAsErrors: '*'\n" \
         "HeaderFilterRegex: '.*'\n"
NINJA = """\
rule cc
  command = cc -MD -MF $out.d -I{root} $flags -c $in -o $out
  deps = gcc
  depfile = $out.d
build one.o: cc {root}/server/one.c
build two.o: cc {root}/pkcs11/two.c
"""
GOOD = '#include "server/one.h"\nint one(int a)\n{\n    return a + ONE;\n}\n'
BAD = GOOD.replace("a + ONE", "a / (ONE - ONE)")
LEAK = "#include <stdlib.h>\nvoid one(void)\n{\n    char *a = malloc(1);\n    (void)a;\n}\n"
# Says that it is clang-tidy, and does what a test wants instead.
OTHER = "#!/bin/sh\n[ \"$1\" != --version ] || {{ echo {version}; exit 0; }}\n"


class Tree(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name).resolve()
        self.cache = self.root / "cache"
        self.environment = {**os.environ, "XDG_CACHE_HOME": str(self.cache)}
        for name in ("server", "pkcs11", "client", "scripts", "build", "other"):
            (self.root / name).mkdir()
        shutil.copy(SCRIPT, self.root / "scripts")
        self.write("scripts/tidy_model.h", "#define MODEL 1\n")
        self.write(".clang-tidy", CHECKS)
        self.write("server/one.h", "#define ONE 1\n")
        self.write("server/one.c", GOOD)
        self.write("pkcs11/two.c", "int two(void);\nint two(void)\n{\n    return 2;\n}\n")
        self.flags("-DTWO")

    def write(self, name, text):
        (self.root / name).write_text(text, encoding="utf-8")

    def flags(self, flags):
        self.write("build/build.ninja",
                   f"flags = {flags}\n" + NINJA.format(root=self.root))

    def build(self):
        build = self.root / "build"
        subprocess.run(["ninja", "--quiet", "-C", build], check=True, stdout=subprocess.DEVNULL)
        told = subprocess.run(["ninja", "-C", build, "-t", "compdb"], check=True, text=True,
                              stdout=subprocess.PIPE)
        self.write("build/compile_commands.json", told.stdout)

    def other(self, what, version="other"):
        """Another clang-tidy, first in PATH."""
        self.write("other/clang-tidy", OTHER.format(version=version) + what)
        (self.root / "other" / "clang-tidy").chmod(0o700)
        self.environment["PATH"] = f"{self.root / 'other'}:{os.environ['PATH']}"

    def tidy(self, *options, build=True):
        if build:
            self.build()
        # What was written before it began is what it looks at; file systems count in ticks.
        time.sleep(0.02)
        return self.in_process([str(self.root / "scripts" / "tidy.py"), *options,
                                str(self.root / "build")])

    def in_process(self, arguments):
        """The script from its first line on; an interpreter for each would take much longer."""
        said = io.StringIO()
        with mock.patch.dict(os.environ, self.environment), \
                mock.patch.object(sys, "argv", arguments), contextlib.redirect_stdout(said):
            with self.assertRaises(SystemExit) as end:
                runpy.run_path(arguments[0], run_name="__main__")
        return types.SimpleNamespace(stdout=said.getvalue(), returncode=end.exception.code)

    def passes(self, kept, *options, files=2, **more):
        """Nothing is wrong, and so many files are not looked at again."""
        done = self.tidy(*options, **more)
        self.assertEqual(done.stdout, f"{files} files, {kept} of them as they were when they "
                                      "passed; 0 with errors\n")
        self.assertEqual(done.returncode, 0)

    def finds(self, kept, *texts, errors=1, options=(), **more):
        done = self.tidy(*options, **more)
        for text in texts:
            self.assertIn(text, done.stdout)
        self.assertIn(f"2 files, {kept} of them as they were when they passed; {errors} with "
                      "errors\n", done.stdout)
        self.assertEqual(done.returncode, 1)


class Findings(Tree):
    def test_are_told_each_time_until_they_are_mended(self):
        self.write("server/one.c", BAD)
        self.finds(0, "server/one.c", "Division by zero")
        self.finds(1, "server/one.c", "Division by zero")
        self.write("server/one.c", GOOD)
        self.passes(1)
        self.passes(2)

    def test_the_same_text_as_one_that_passed_is_not_another_file_that_passes(self):
        self.passes(0)
        self.write("pkcs11/two.c", BAD)
        self.finds(1, "pkcs11/two.c", "Division by zero")

    def test_are_told_of_a_header_with_a_build_or_without(self):
        self.passes(0)
        self.write("server/one.h", "#define ONE (1 / 0)\n")
        self.finds(1, "Division by zero", build=False)
        self.finds(1, "Division by zero")

    def test_are_told_when_the_checks_look_for_more(self):
        self.write("server/one.c", LEAK.replace("(void)a;", "free(a);\n    *a = 1;"))
        self.write(".clang-tidy", CHECKS.replace("clang-analyzer-*", "misc-redundant-*"))
        self.passes(0)
        self.write(".clang-tidy", CHECKS)
        self.finds(0, "Use of memory after it is freed")

    def test_a_leak_is_none(self):
        self.write("server/one.c", LEAK)
        self.passes(0)
        self.write("server/one.c", LEAK.replace("(void)a;", "a[1] = (char)(1 / (a - a));"))
        self.finds(1, "server/one.c", "Division by zero")

    def test_what_no_build_knows_is_looked_at_each_time(self):
        self.write("client/three.c", GOOD)
        self.passes(0, files=3)
        self.passes(2, files=3)
        self.write("client/three.c", BAD)
        self.assertIn("client/three.c", self.tidy().stdout)

    def test_no_sources_are_an_error(self):
        self.build()
        for source in ("server/one.c", "pkcs11/two.c"):
            (self.root / source).unlink()
        done = self.tidy(build=False)
        self.assertEqual(done.stdout.split(",")[0], "0 files")
        self.assertEqual(done.returncode, 1)

    def test_a_header_that_is_gone_is_an_error_not_a_trace(self):
        self.passes(0)
        (self.root / "server" / "one.h").unlink()
        self.finds(1, "'server/one.h' file not found", build=False)


class Again(Tree):
    """What passed is looked at again when something about it is another."""

    def setUp(self):
        super().setUp()
        self.other("exit 0\n")
        self.passes(0)
        self.passes(2)

    def test_the_file_itself(self):
        self.write("server/one.c", GOOD + "/* the end */\n")
        self.passes(1)

    def test_a_header_with_a_build_or_without(self):
        self.write("server/one.h", "#define ONE 2\n")
        self.passes(1)
        self.passes(2)
        self.write("server/one.h", "#define ONE 3\n")
        self.passes(1, build=False)

    def test_how_it_is_compiled(self):
        self.flags("-DTWO=2")
        self.passes(0)

    def test_the_model_the_checks_and_the_script(self):
        for name in ("scripts/tidy_model.h", ".clang-tidy", "scripts/tidy.py"):
            text = (self.root / name).read_text(encoding="utf-8")
            comment = "/* more */\n" if name.endswith(".h") else "# more\n"
            self.write(name, text + comment)
            self.passes(0)
            self.passes(2)
            self.write(name, text)
            self.passes(2)

    def test_clang_tidy_itself(self):
        self.other("exit 0\n", version="newer")
        self.passes(0)
        self.passes(2)

    def test_but_not_in_another_clone(self):
        before, self.root = self.root, self.root.with_name(self.root.name + "-moved")
        before.rename(self.root)
        self.addCleanup(self.root.rename, before)
        self.environment["XDG_CACHE_HOME"] = str(self.root / "cache")
        self.other("exit 0\n")
        self.flags("-DTWO")
        self.passes(2)


class Trouble(Tree):
    def test_a_file_that_takes_too_long_is_named(self):
        self.other("case \"$*\" in *one.c) exec sleep 300 ;; esac\n")
        self.finds(0, "server/one.c: not finished after 1 seconds\n", options=("--seconds", "1"))
        self.other("exit 0\n")
        self.passes(1)

    def test_a_clang_tidy_that_breaks_is_an_error(self):
        for kept, end in ((0, "exit 3"), (1, "exit 1"), (1, "kill -SEGV $$")):
            self.other(f"case \"$*\" in *one.c) {end} ;; esac\n")
            self.finds(kept, "server/one.c: clang-tidy ended with ")

    def test_a_leak_beside_a_break_is_an_error(self):
        self.other("echo 'a.c:1: error: Potential leak of memory'; exit 2\n")
        self.finds(0, errors=2)

    def test_a_leak_beside_another_finding_is_an_error(self):
        leak = "echo 'a.c:1: error: Potential leak of memory'"
        self.other(f"{leak}; echo 'a.c:2: error: Division by zero'; exit 1\n")
        self.finds(0, errors=2)
        self.other(f"{leak}; exit 1\n")
        self.passes(0)

    def test_what_was_mended_meanwhile_has_not_passed_before(self):
        self.write("server/one.c", BAD)
        self.write("good.c", GOOD)
        self.other(f"cp '{self.root}/good.c' '{self.root}/server/one.c'\n")
        self.passes(0, "--jobs", "1")
        self.write("server/one.c", BAD)
        self.other("case \"$*\" in *one.c) echo 'one.c:4: error: bad'; exit 1 ;; esac\n")
        self.finds(1, "one.c:4: error: bad")

    def test_what_went_meanwhile_is_no_trace_and_has_not_passed(self):
        self.other(f"rm -f '{self.root}/server/one.h'\n")
        self.passes(0, "--jobs", "1")
        self.write("server/one.h", "#define ONE 1\n")
        self.other("exit 0\n")
        self.passes(1)

    def test_a_cache_that_cannot_be(self):
        self.cache.write_text("a file where the folder should be", encoding="utf-8")
        self.passes(0)
        self.passes(0)
        self.write("server/one.c", BAD)
        self.finds(0, "Division by zero")

    def test_a_cache_that_nothing_can_be_written_to(self):
        # Also for root, whom permissions do not stop.
        self.cache.mkdir()
        (self.cache / "keyvault-tidy").symlink_to("/proc/self")
        self.passes(0)
        self.passes(0)
        self.write("server/one.c", BAD)
        self.finds(0, "Division by zero")

    def test_the_cache_forgets_what_nobody_asks_for(self):
        self.passes(0)
        folder = self.cache / "keyvault-tidy"
        before = set(folder.iterdir())
        self.assertEqual(len(before), 2)
        month = time.time() - 31 * 24 * 3600
        for path in before:
            os.utime(path, (month, month))
        self.write("server/one.c", GOOD + "/* the end */\n")
        self.passes(1)
        # One of them was asked for; the other one went, and one came.
        after = set(folder.iterdir())
        self.assertEqual((len(after), len(after & before)), (2, 1))


if __name__ == "__main__":
    unittest.main()
