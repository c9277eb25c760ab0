/* manual.c - kvctl(1), written from the table of verbs. */
#include <string.h>

#include "client/cli/cli.h"
#include "client/cli/completion.h"

/* Hyphens that are typed, backslashes, and what at the start of a line would be a request. */
static void text(const char *from, FILE *out)
{
    if (*from == '.' || *from == '\'')
        (void)fputs("\\&", out);
    for (; *from; from++) {
        if (*from == '-')
            (void)fputs("\\-", out);
        else if (*from == '\\')
            (void)fputs("\\e", out);
        else if (*from == '\'')
            (void)fputs("\\(aq", out);
        else
            (void)fputc(*from, out);
    }
}

/* An argument of a macro, in quotation marks. */
static void quoted(const char *from, FILE *out)
{
    (void)fputc('"', out);
    for (; *from; from++) {
        if (*from == '"')
            (void)fputs("\\(dq", out);
        else if (*from == '-')
            (void)fputs("\\-", out);
        else
            (void)fputc(*from, out);
    }
    (void)fputc('"', out);
}

static void print_options(const kv_cli_option *rows, FILE *out)
{
    for (; rows && rows->name; rows++) {
        (void)fputs(".TP\n.BI \\-\\-", out);
        text(rows->name, out);
        if (rows->value) {
            (void)fputs(" \" \" ", out);
            quoted(rows->value, out);
        }
        (void)fputc('\n', out);
        text(rows->help, out);
        if (rows->flags & KV_OPTION_REQUIRED)
            (void)fputs(" (required)", out);
        if (rows->flags & KV_OPTION_REPEATED)
            (void)fputs(" (may be repeated)", out);
        (void)fputc('\n', out);
    }
}

static void print_verb(const kv_cli_verb *verb, FILE *out)
{
    (void)fputs(".SS \"kvctl ", out);
    text(verb->noun, out);
    (void)fputc(' ', out);
    text(verb->verb, out);
    (void)fputs("\"\n", out);
    text(verb->summary, out);
    (void)fputs(".\n", out);
    if (verb->path) {
        (void)fputs("Calls ", out);
        text(verb->path + 1, out);
        (void)fputs(".\n", out);
    }
    print_options(verb->options, out);
}

static void print_frame(const char *version, const char *date, FILE *out)
{
    (void)fprintf(out, ".TH KVCTL 1 \"%s\" \"keyvault %s\" \"User Commands\"\n", date, version);
    (void)fputs(".SH NAME\n"
                "kvctl \\- the command line of the key vault server\n"
                ".SH SYNOPSIS\n"
                ".B kvctl\n"
                ".I NOUN VERB\n"
                ".RI [ options ]\n"
                ".br\n"
                ".B kvctl\n"
                ".RI [ \"NOUN \" [ VERB ]]\n"
                ".B \\-\\-help\n"
                ".SH DESCRIPTION\n"
                "Makes, uses and manages keys, secrets and certificates that a key vault server\n"
                "keeps on its tokens, and who may do that. Every verb is one call of the server's\n"
                "gRPC interface, or a few. The caller is known by a client certificate.\n"
                ".SH OPTIONS OF EVERY VERB\n"
                "They may stand before the noun. Each can also be set by a variable\n"
                "(KVCTL_ENDPOINT, KVCTL_CA and so on) and by a line in kvctl.conf; the command\n"
                "line wins, then the variable.\n",
                out);
}

void kv_cli_manual(const char *version, const char *date, FILE *out)
{
    size_t count = kv_cli_verb_count();

    print_frame(version, date, out);
    print_options(kv_cli_global_options(), out);
    (void)fputs(".SH VERBS\n", out);
    for (size_t i = 0; i < count; i++)
        print_verb(kv_cli_verb_at(i), out);
    (void)fputs(".SH EXIT STATUS\n", out);
    for (int i = 0; i < KV_EXIT_COUNT; i++) {
        (void)fprintf(out, ".TP\n.B %d\n", i);
        text(kv_cli_exit_meaning((kv_exit)i), out);
        (void)fputc('\n', out);
    }
    (void)fputs(".SH FILES\n"
                ".TP\n"
                ".I ~/.config/keyvault/kvctl.conf\n"
                "Lines of the form \"name = value\", with the names of the options of every verb\n"
                "and \"vault\"; sections are profiles.\n"
                ".SH SEE ALSO\n"
                ".BR keyvaultd (8),\n"
                ".BR keyvaultd.conf (5)\n",
                out);
}
