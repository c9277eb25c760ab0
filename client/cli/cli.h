/* cli.h - kvctl: one run of one verb, and the tables that say what there is.
 *
 * Threads: one.
 */
#pragma once

#include <stdio.h>

#include <jansson.h>

#include "client/cli/config.h"
#include "client/keyvault.h"
#include "server/base/arena.h"

typedef struct kv_cli kv_cli;

/* Documented in docs/kvctl.md and by `kvctl --help`. */
typedef enum kv_exit {
    KV_EXIT_OK = 0,
    KV_EXIT_GENERAL = 1,
    KV_EXIT_USAGE = 2, /* the command line, or a value the server refused as malformed */
    KV_EXIT_NOT_FOUND = 3,
    KV_EXIT_DENIED = 4,
    KV_EXIT_UNAUTHENTICATED = 5,
    KV_EXIT_CONFLICT = 6,    /* exists already, changed meanwhile, or not in the right state */
    KV_EXIT_UNAVAILABLE = 7, /* unreachable, busy or too late: worth another try */
    KV_EXIT_NO = 8,          /* it was checked, and the answer is no */
    KV_EXIT_COUNT
} kv_exit;

/* How the text of an option becomes a value. */
typedef enum kv_option_kind {
    KV_OPTION_TEXT,  /* as the field's type wants it: text, number, true or false, enumeration */
    KV_OPTION_BOOL,  /* true or false; alone: true */
    KV_OPTION_FLAG,  /* no value; the field becomes true */
    KV_OPTION_TIME,  /* 2030-01-31T12:00:00Z, 2030-01-31, seconds, or "none" */
    KV_OPTION_TAG,   /* name=value */
    KV_OPTION_BYTES, /* hexadecimal or base64 */
    KV_OPTION_PRINCIPAL, /* id or name */
    KV_OPTION_JSON,      /* @file or {...}; read first, so that other options may change it */
    KV_OPTION_PATH       /* of a file; the verb's own business */
} kv_option_kind;

enum { KV_OPTION_REQUIRED = 1, KV_OPTION_REPEATED = 2, KV_OPTION_VAULT = 4 };

typedef struct kv_cli_option {
    const char *name;  /* "dns-name"; NULL ends a list */
    const char *value; /* "NAME" in the help; NULL: takes none */
    const char *help;
    const char *field; /* path in the request; NULL: the verb's own business */
    kv_option_kind kind;
    unsigned flags;
} kv_cli_option;

typedef kv_exit kv_cli_run(kv_cli *cli);

typedef struct kv_cli_verb {
    const char *noun;
    const char *verb; /* "policy show" */
    const char *summary;
    const char *path; /* of the method; NULL: several or none */
    const kv_cli_option *options;
    kv_cli_run *run;
    const char *columns; /* of tables: "NAME=id.name EXPIRES=attributes.expires:time" */
} kv_cli_verb;

/* In the order of the help, verbs of one noun together; NULL past the last. */
const kv_cli_verb *kv_cli_verb_at(size_t index);
size_t kv_cli_verb_count(void);
/* The options that every verb takes. */
const kv_cli_option *kv_cli_global_options(void);

enum { KV_CLI_VALUES_MAX = 256 };

typedef struct kv_cli_value {
    const kv_cli_option *option;
    const char *text; /* borrowed from argv */
} kv_cli_value;

typedef struct kv_cli_args {
    const kv_cli_verb *verb; /* NULL: only help was asked for */
    const char *noun;        /* with help: of this noun; NULL: of everything */
    bool help;
    kv_cli_value values[KV_CLI_VALUES_MAX];
    size_t count;
} kv_cli_args;

struct kv_cli {
    FILE *in, *out, *err; /* borrowed */
    kv_arena arena;
    kv_cli_args args;
    kv_cli_config config;
    keyvault *handle; /* opened by the first call */
};

/* Runs a whole command line and frees everything. `environment` is like getenv. */
kv_exit kv_cli_main(int argc, char **argv, const char *(*environment)(const char *name), FILE *in,
                    FILE *out, FILE *err);

/* --- args.c --- */

/* Errors say what is wrong and what was perhaps meant. */
kv_status kv_cli_parse(int argc, char **argv, kv_cli_args *out, kv_error *err) KV_MUST_USE;
/* Of options given once; NULL if absent. */
const char *kv_cli_value_of(const kv_cli_args *args, const char *option);
/* Required ones that are missing; `vault` may come from the configuration. */
kv_status kv_cli_check(const kv_cli_args *args, const kv_cli_config *config,
                       kv_error *err) KV_MUST_USE;

/* --- help.c --- */

void kv_cli_help(const kv_cli_args *args, FILE *out);
const char *kv_cli_exit_meaning(kv_exit code);

/* --- exits.c --- */

kv_exit kv_cli_exit_of(int code);
/* Tell on stderr what went wrong and what to do next. */
kv_exit kv_cli_fail(const kv_cli *cli, const keyvault_error *err);
kv_exit kv_cli_fail_local(const kv_cli *cli, const kv_error *err);
