/* help.c - the table of verbs, as text. */
#include <string.h>

#include "client/cli/cli.h"

enum { OPTION_COLUMN = 30, VERB_COLUMN = 18 };

static const char *const exits[KV_EXIT_COUNT] = {
    [KV_EXIT_OK] = "done",
    [KV_EXIT_GENERAL] = "something else went wrong",
    [KV_EXIT_USAGE] = "the command line or a value in it is wrong",
    [KV_EXIT_NOT_FOUND] = "not found",
    [KV_EXIT_DENIED] = "permission denied",
    [KV_EXIT_UNAUTHENTICATED] = "the client certificate or role token is not accepted",
    [KV_EXIT_CONFLICT] = "exists already, changed meanwhile, or not in a state that allows it",
    [KV_EXIT_UNAVAILABLE] = "server unreachable or busy, or the time was up: worth another try",
    [KV_EXIT_NO] = "checked, and the answer is no: signature not valid, audit log broken",
};

const char *kv_cli_exit_meaning(kv_exit code)
{
    return exits[code];
}

static void print_options(const kv_cli_option *rows, FILE *out)
{
    for (; rows && rows->name; rows++) {
        char left[OPTION_COLUMN * 2];

        (void)snprintf(left, sizeof(left), "--%s%s%s", rows->name, rows->value ? " " : "",
                       rows->value ? rows->value : "");
        (void)fprintf(out, "  %-*s %s%s%s\n", OPTION_COLUMN, left, rows->help,
                      rows->flags & KV_OPTION_REQUIRED ? " (required)" : "",
                      rows->flags & KV_OPTION_REPEATED ? " (may be repeated)" : "");
    }
}

static void help_verb(const kv_cli_verb *verb, FILE *out)
{
    (void)fprintf(out, "kvctl %s %s: %s\n", verb->noun, verb->verb, verb->summary);
    if (verb->path)
        (void)fprintf(out, "Calls %s.\n", verb->path + 1);
    (void)fprintf(out, "\nOptions:\n");
    print_options(verb->options, out);
    (void)fprintf(out, "\nOptions of every verb:\n");
    print_options(kv_cli_global_options(), out);
}

static void help_noun(const char *noun, FILE *out)
{
    size_t count = kv_cli_verb_count();

    (void)fprintf(out, "kvctl %s VERB [options]\n\nVerbs:\n", noun);
    for (size_t i = 0; i < count; i++)
        if (!strcmp(kv_cli_verb_at(i)->noun, noun))
            (void)fprintf(out, "  %-*s %s\n", VERB_COLUMN, kv_cli_verb_at(i)->verb,
                          kv_cli_verb_at(i)->summary);
    (void)fprintf(out, "\nkvctl %s VERB --help tells the options.\n", noun);
}

static void help_all(FILE *out)
{
    size_t count = kv_cli_verb_count();

    (void)fprintf(out, "kvctl NOUN VERB [options]: the command line of the key vault server\n\n");
    for (size_t i = 0; i < count; i++) {
        if (!i || strcmp(kv_cli_verb_at(i)->noun, kv_cli_verb_at(i - 1)->noun) != 0)
            (void)fprintf(out, "%s  %s:", i ? "\n" : "", kv_cli_verb_at(i)->noun);
        (void)fprintf(out, "%s %s",
                      i && !strcmp(kv_cli_verb_at(i)->noun, kv_cli_verb_at(i - 1)->noun) ? "," : "",
                      kv_cli_verb_at(i)->verb);
    }
    (void)fprintf(out, "\n\nOptions of every verb, KVCTL_... variables and kvctl.conf:\n");
    print_options(kv_cli_global_options(), out);
    (void)fprintf(out, "\nExit codes:\n");
    for (int i = 0; i < KV_EXIT_COUNT; i++)
        (void)fprintf(out, "  %d  %s\n", i, exits[i]);
    (void)fprintf(out, "\nkvctl NOUN --help and kvctl NOUN VERB --help tell more.\n");
}

void kv_cli_help(const kv_cli_args *args, FILE *out)
{
    if (args->verb)
        help_verb(args->verb, out);
    else if (args->noun)
        help_noun(args->noun, out);
    else
        help_all(out);
}
