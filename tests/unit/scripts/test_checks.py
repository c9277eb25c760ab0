#!/usr/bin/env python3
"""Feeds the layer and shape checks with bad samples: every rule must be able to fail."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

SCRIPTS = pathlib.Path(__file__).resolve().parents[3] / "scripts"
GOOD = "/* a.c - a sample. */\n"


class Sample(unittest.TestCase):
    """A temporary tree that one script looks at."""

    script = ""

    def findings(self, files):
        """Writes {path: text}, runs the script, gives its exit code and lines."""
        with tempfile.TemporaryDirectory() as root:
            for name, text in files.items():
                path = pathlib.Path(root, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            done = subprocess.run(
                [sys.executable, "-I", "-S", "-B", str(SCRIPTS / self.script), "--root", root],
                capture_output=True, text=True, check=False)
        self.assertEqual(done.stderr, "")
        self.assertEqual(done.returncode, 1 if done.stdout else 0)
        return done.stdout.splitlines()

    def clean(self, files):
        self.assertEqual(self.findings(files), [])

    def one(self, files, where, what):
        """Exactly one finding, at `where`, that says `what`."""
        lines = self.findings(files)
        self.assertEqual(len(lines), 1, lines)
        self.assertTrue(lines[0].startswith(where + ": "), lines[0])
        self.assertIn(what, lines[0])


class Layers(Sample):
    script = "check_layers.py"

    def include(self, name, header, allowed):
        files = {name: f"/* a */\n#include {header}\n"}
        if allowed:
            self.clean(files)
        else:
            self.one(files, f"{name}:2", "may not include " + header.strip('<>"'))

    def test_a_folder_includes_itself_and_what_stands_below_it(self):
        self.include("server/base/text.c", '"server/base/text.h"', True)
        self.include("server/vault/key.c", '"server/store/store.h"', True)
        self.include("server/front/loop.c", '"server/core/call.h"', True)

    def test_never_upward(self):
        self.include("server/base/text.c", '"server/store/store.h"', False)
        self.include("pkcs11/token.c", '"server/store/store.h"', False)
        self.include("server/store/seal.c", '"pkcs11/token.h"', False)
        self.include("server/vault/key.c", '"server/core/call.h"', False)
        self.include("server/core/queue.c", '"server/front/loop.h"', False)
        self.include("server/wire/pb_keys.c", '"server/core/call.h"', False)

    def test_folders_of_one_layer_do_not_see_each_other(self):
        self.include("server/auth/policy.c", '"server/audit/record.h"', False)
        self.include("pkcs11/token.c", '"server/auth/policy.h"', False)

    def test_each_library_only_where_it_is_named(self):
        self.include("server/store/sqlite.c", "<sqlite3.h>", True)
        self.include("server/store/sqlite_rows.c", "<sqlite3.h>", True)
        self.include("server/store/stores.c", "<sqlite3.h>", False)
        self.include("server/vault/key.c", "<sqlite3.h>", False)
        self.include("pkcs11/token.c", "<p11-kit/pkcs11.h>", True)
        self.include("server/vault/key.c", "<p11-kit/pkcs11.h>", False)
        self.include("server/front/loop.c", "<event2/event.h>", True)
        self.include("server/core/queue.c", "<event2/event.h>", False)
        self.include("server/core/queue.c", "<nghttp2/nghttp2.h>", False)
        self.include("server/vault/key.c", '"keyvault/v1/keys.pb-c.h"', False)
        self.include("server/wire/pb_keys.c", '"keyvault/v1/keys.pb-c.h"', True)
        self.include("server/settings.c", "<ini.h>", True)
        self.include("server/main.c", "<ini.h>", False)

    def test_unknown_headers_and_folders_are_refused(self):
        self.include("server/base/text.c", "<curl/curl.h>", False)
        self.include("server/base/text.c", '"text.h"', False)
        self.include("server/base/text.c", '"tests/support/kv_cmocka.h"', False)
        self.include("server/attic/old.c", '"server/base/text.h"', False)
        self.include("server/base/text.c", "<sys/stat.h>", True)

    def test_only_the_files_of_server_itself_see_everything(self):
        self.include("server/main.c", '"server/front/loop.h"', True)
        self.include("server/settings.c", '"server/front/loop.h"', False)

    def test_the_client_shares_base_only(self):
        self.include("client/client.c", '"server/base/text.h"', True)
        self.include("client/client.c", '"server/vault/key.h"', False)
        self.include("client/cli/main.c", '"client/keyvault.h"', True)


class Shape(Sample):
    script = "check_shape.py"

    def test_a_tidy_file_is_clean(self):
        self.clean({
            "server/base/a.c": GOOD + "static const char *const names[] = { \"goto\", \"}\" };\n"
                                      "struct a;\n\nenum { LIMIT = 1 };\n\n"
                                      "typedef struct b {\n    int c;\n} b;\n\n"
                                      "int f(int a)\n{\n    /* strcpy(a, b); */\n"
                                      "    static const int d = 1;\n    return a + d;\n}\n",
            "server/base/a.h": "/* a.h - a sample. */\n#pragma once\nextern const int a;\n",
        })

    def test_the_first_line_says_what_the_file_is(self):
        self.one({"server/base/a.c": "int f(void);\n"}, "server/base/a.c:1", "first line")
        self.one({"server/base/a.c": "/* b.c - a. */\n"}, "server/base/a.c:1", "first line")

    def function(self, lines):
        return "int f(void)\n{\n" + "    ;\n" * (lines - 3) + "}\n"

    def test_functions_stop_at_60_lines(self):
        self.clean({"server/base/a.c": GOOD + self.function(60)})
        self.one({"server/base/a.c": GOOD + self.function(61)}, "server/base/a.c:2", "61 lines")

    def test_tables_may_be_long(self):
        table = "/* shape: table */\nstatic const int t[] = {\n" + "    1,\n" * 600 + "};\n"
        self.clean({"server/base/a.c": GOOD + table})
        self.clean({"server/base/a.c": GOOD + "/* shape: table */\n" + self.function(70)})

    def test_files_have_an_end(self):
        self.clean({"server/base/a.c": GOOD + "\n" * 499})
        self.one({"server/base/a.c": GOOD + "\n" * 500}, "server/base/a.c:1", "more than 500")
        self.one({"server/base/a.h": "/* a.h - a. */\n" + "\n" * 150}, "server/base/a.h:1", "150")

    def test_lines_stop_at_100_columns(self):
        self.clean({"server/base/a.c": GOOD + "/*" + "é" * 96 + "*/\n"})
        self.one({"server/base/a.c": GOOD + "/*" + "-" * 97 + "*/\n"}, "server/base/a.c:2", "101")

    def test_forbidden_calls(self):
        for call in ("strcpy", "strcat", "sprintf", "vsprintf", "gets", "atoi", "alloca",
                     "system", "popen"):
            body = f"void f(void)\n{{\n    {call} (a);\n}}\n"
            self.one({"pkcs11/a.c": GOOD + body}, "pkcs11/a.c:4", call + " is forbidden")
        other = "void f(void)\n{\n    a->system(b);\n    snprintf(c);\n}\n"
        self.clean({"pkcs11/a.c": GOOD + other})

    def test_kvctl_prints_in_one_file(self):
        for call in ("printf", "fprintf", "vfprintf", "dprintf", "puts", "fputs", "fputc", "putc",
                     "putchar", "fwrite", "perror", "json_dumpf"):
            body = GOOD + f"void f(void)\n{{\n    {call}(a);\n}}\n"
            self.one({"client/cli/a.c": body}, "client/cli/a.c:4", call + " is forbidden")
            self.clean({"client/a.c": body, "server/a.c": body})
            self.clean({"client/cli/say.c": body.replace("a.c -", "say.c -")})
        other = "void f(void)\n{\n    snprintf(c);\n    BIO_printf(b);\n    json_dumps(j);\n}\n"
        self.clean({"client/cli/a.c": GOOD + other})

    def test_no_goto(self):
        body = "void f(void)\n{\nout:\n    goto out;\n}\n"
        self.one({"client/a.c": GOOD + body}, "client/a.c:5", "goto")

    def test_secrets_are_not_compared_with_memcmp(self):
        body = GOOD + "int f(void)\n{\n    return memcmp(a, b, 1);\n}\n"
        for folder in ("auth", "audit", "vault"):
            self.one({f"server/{folder}/a.c": body}, f"server/{folder}/a.c:4", "memcmp")
        self.clean({"server/base/a.c": body,
                    "server/auth/a.c": body.replace("memcmp", "CRYPTO_memcmp")})

    def test_no_extern_in_a_source(self):
        self.one({"server/base/a.c": GOOD + "extern const int a;\n"}, "server/base/a.c:2", "extern")

    def test_no_state_outside_objects(self):
        for line in ("static int a;", "int a = 1;", "static const char *a;", "static b_t a[2];",
                     "static _Thread_local int a;", "static struct b a = { 0 };",
                     "static int (*a)(void);"):
            self.one({"server/base/a.c": GOOD + line + "\n"}, "server/base/a.c:2", "not const")
        header = "/* a.h - a. */\nstatic int a;\n"
        self.one({"server/base/a.h": header}, "server/base/a.h:2", "not const")
        self.clean({"server/base/a.h": "/* a.h - a. */\nkv_decode one, two;\n"})
        self.clean({"server/base/a.c": GOOD + "static kv_done f;\n\nstatic void f(int a)\n{\n}\n"})
        self.clean({"tests/support/a.c": GOOD + "static int a;\n"})
        local = "int f(void)\n{\n    static int a;\n    return a++;\n}\n"
        self.one({"server/base/a.c": GOOD + local}, "server/base/a.c:4", "not const")

    def test_open_ends_carry_a_number(self):
        self.one({"docs/a.md": "TO" + "DO later\n"}, "docs/a.md:1", "number")
        self.clean({"docs/a.md": "TO" + "DO(#12) and TO" + "DO #3\n"})

    def test_no_path_of_a_machine(self):
        for folder in ("work", "root", "home"):
            self.one({"README.md": f"see /{folder}/x\n"}, "README.md:1", "machine")
        self.clean({"README.md": "server/work/x and https://a.example/home/x\n"})

    def test_generated_code_is_exempt(self):
        self.clean({"proto/a.pb-c.c": "int f(void)\n{\n" + "    ;\n" * 600 + "}\n",
                    "build/dev/a.c": "goto\n", "client/node_modules/a.c": "goto\n"})


if __name__ == "__main__":
    unittest.main()
