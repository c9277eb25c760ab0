/* args.c - reading a command line by the table of verbs, and guessing what was meant. */
#include <limits.h>
#include <string.h>

#include "client/cli/cli.h"

enum { WORDS_MAX = 3, NEAR = 3, DISTANCE_BYTES = 40 };

/* --- what was perhaps meant --- */

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Levenshtein's distance, one row at a time. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[DISTANCE_BYTES + 1];
    size_t len = strlen(b);

    if (len > DISTANCE_BYTES)
        return UINT_MAX;
    for (unsigned j = 0; j <= len; j++)
        row[j] = j;
    for (unsigned i = 0; a[i]; i++) {
        unsigned corner = row[0];

        row[0] = i + 1;
        for (unsigned j = 0; j < len; j++) {
            unsigned above = row[j + 1];

            row[j + 1] = least(least(above, row[j]) + 1, corner + (a[i] != b[j]));
            corner = above;
        }
    }
    return row[len];
}

typedef struct guess {
    const char *text;
    unsigned distance;
} guess;

static void consider(guess *best, const char *typed, const char *known)
{
    unsigned far = distance(typed, known);
    bool begins = strlen(typed) > 2 && !strncmp(typed, known, strlen(typed));

    if (begins)
        far = 1;
    if (far <= NEAR && far < strlen(known) && (!best->text || far < best->distance))
        *best = (guess){ known, far };
}

static const char *or_help(const guess *best, const char *otherwise)
{
    return best->text ? best->text : otherwise;
}

/* --- nouns and verbs --- */

static bool is_noun(const char *word)
{
    size_t count = kv_cli_verb_count();

    for (size_t i = 0; i < count; i++)
        if (!strcmp(kv_cli_verb_at(i)->noun, word))
            return true;
    return false;
}

static kv_status fail_noun(const char *word, kv_error *err)
{
    size_t count = kv_cli_verb_count();
    guess best = { 0 };

    for (size_t i = 0; i < count; i++)
        consider(&best, word, kv_cli_verb_at(i)->noun);
    return kv_fail(err, KV_BAD_REQUEST, "there is no noun '%.40s'; %s%s", word,
                   best.text ? "did you mean " : "see ", or_help(&best, "kvctl --help"));
}

static kv_status fail_verb(const char *noun, const char *typed, kv_error *err)
{
    size_t count = kv_cli_verb_count();
    guess best = { 0 };

    for (size_t i = 0; i < count; i++)
        if (!strcmp(kv_cli_verb_at(i)->noun, noun))
            consider(&best, typed, kv_cli_verb_at(i)->verb);
    if (best.text)
        return kv_fail(err, KV_BAD_REQUEST, "'%s' has no verb '%.40s'; did you mean '%s %s'?", noun,
                       typed, noun, best.text);
    return kv_fail(err, KV_BAD_REQUEST, "'%s' has no verb '%.40s'; see kvctl %s --help", noun,
                   typed, noun);
}

/* How many of the words are the verb's; 0 if it is not this one. */
static int matches(const kv_cli_verb *verb, const char *const *words, int count)
{
    const char *rest = verb->verb;

    for (int i = 0; i < count; i++) {
        size_t len = strlen(words[i]);

        if (strncmp(rest, words[i], len) != 0 || (rest[len] && rest[len] != ' '))
            return 0;
        if (!rest[len])
            return i + 1;
        rest += len + 1;
    }
    return 0;
}

/* --- options --- */

static const kv_cli_option *find_option(const kv_cli_verb *verb, const char *name, size_t len)
{
    const kv_cli_option *lists[] = { verb ? verb->options : NULL, kv_cli_global_options() };

    for (size_t i = 0; i < KV_COUNT(lists); i++)
        for (const kv_cli_option *row = lists[i]; row && row->name; row++)
            if (strlen(row->name) == len && !strncmp(row->name, name, len))
                return row;
    return NULL;
}

/* What people try, and what to do instead. */
static kv_status fail_secret_option(const char *name, kv_error *err)
{
    return kv_fail(err, KV_BAD_REQUEST,
                   "there is no option --%s: others on this computer can see a command line; "
                   "give the secret on standard input or with %s",
                   name, !strcmp(name, "value") ? "--file" : "--password-file");
}

static kv_status fail_option(const kv_cli_verb *verb, const char *name, size_t len, kv_error *err)
{
    const kv_cli_option *lists[] = { verb ? verb->options : NULL, kv_cli_global_options() };
    guess best = { 0 };
    char typed[DISTANCE_BYTES];

    (void)snprintf(typed, sizeof(typed), "%.*s", (int)len, name);
    if (!strcmp(typed, "value") || !strcmp(typed, "password"))
        return fail_secret_option(typed, err);
    for (size_t i = 0; i < KV_COUNT(lists); i++)
        for (const kv_cli_option *row = lists[i]; row && row->name; row++)
            consider(&best, typed, row->name);
    if (best.text)
        return kv_fail(err, KV_BAD_REQUEST, "there is no option --%s here; did you mean --%s?",
                       typed, best.text);
    return kv_fail(err, KV_BAD_REQUEST, "there is no option --%s here; see kvctl%s%s%s%s --help",
                   typed, verb ? " " : "", verb ? verb->noun : "", verb ? " " : "",
                   verb ? verb->verb : "");
}

static kv_status add_value(kv_cli_args *args, const kv_cli_option *option, const char *text,
                           kv_error *err)
{
    if (!(option->flags & KV_OPTION_REPEATED) && kv_cli_value_of(args, option->name))
        return kv_fail(err, KV_BAD_REQUEST, "--%s is given twice", option->name);
    if (args->count == KV_CLI_VALUES_MAX)
        return kv_fail(err, KV_BAD_REQUEST, "more than %d options", KV_CLI_VALUES_MAX);
    args->values[args->count++] = (kv_cli_value){ option, text };
    return KV_OK;
}

/* The name behind "-o" or "--output" or "--output=json". */
static const char *option_name(const char *word, size_t *len)
{
    static const char *const letters[] = { "o:output", "n:name", "h:help", "f:file", "v:vault" };

    if (word[1] == '-') {
        *len = strcspn(word + 2, "=");
        return word + 2;
    }
    for (size_t i = 0; i < KV_COUNT(letters); i++) {
        if (letters[i][0] != word[1] || word[2])
            continue;
        *len = strlen(letters[i] + 2);
        return letters[i] + 2;
    }
    *len = strlen(word + 1);
    return word + 1;
}

static bool is_bool(const char *word)
{
    return !strcmp(word, "true") || !strcmp(word, "false");
}

static kv_status take_option(kv_cli_args *args, int argc, char **argv, int *at, kv_error *err)
{
    const char *word = argv[*at];
    size_t len;
    const char *name = option_name(word, &len);
    const kv_cli_option *option = find_option(args->verb, name, len);
    const char *equals = word[1] == '-' && name[len] == '=' ? name + len + 1 : NULL;

    if (len == 4 && !strncmp(name, "help", len)) {
        args->help = true;
        return KV_OK;
    }
    if (!option)
        return fail_option(args->verb, name, len, err);
    if (!option->value && equals)
        return kv_fail(err, KV_BAD_REQUEST, "--%s takes no value", option->name);
    if (!option->value ||
        (option->kind == KV_OPTION_BOOL && !equals && (*at + 1 >= argc || !is_bool(argv[*at + 1]))))
        return add_value(args, option, "true", err);
    if (!equals && *at + 1 >= argc)
        return kv_fail(err, KV_BAD_REQUEST, "--%s needs a value: %s", option->name, option->value);
    return add_value(args, option, equals ? equals : argv[++*at], err);
}

/* --- the line --- */

/* The words before the first option. */
static int leading_words(int argc, char **argv, const char *words[WORDS_MAX])
{
    int count = 0;

    for (int i = 0; i < argc && count < WORDS_MAX && argv[i][0] != '-'; i++)
        words[count++] = argv[i];
    return count;
}

static kv_status find_verb(const char *const *words, int count, kv_cli_args *out, int *used,
                           kv_error *err)
{
    size_t rows = kv_cli_verb_count();

    *used = count;
    if (!count)
        return KV_OK;
    if (!is_noun(words[0]))
        return fail_noun(words[0], err);
    out->noun = words[0];
    for (size_t i = 0; i < rows; i++) {
        int taken = strcmp(kv_cli_verb_at(i)->noun, words[0])
                        ? 0
                        : matches(kv_cli_verb_at(i), words + 1, count - 1);

        if (!taken)
            continue;
        out->verb = kv_cli_verb_at(i);
        *used = 1 + taken;
        return KV_OK;
    }
    return count > 1 ? fail_verb(words[0], words[1], err) : KV_OK;
}

/* Options from `at` on, as long as there are any; in `words_end` all the rest must be options. */
static kv_status take_options(kv_cli_args *out, int argc, char **argv, int *at, bool words_end,
                              kv_error *err)
{
    for (; *at < argc; ++*at) {
        const char *word = argv[*at];

        if (word[0] == '-' && word[1])
            KV_TRY(take_option(out, argc, argv, at, err));
        else if (words_end)
            return kv_fail(err, KV_BAD_REQUEST,
                           "'%.40s' is not expected here; options begin with --", word);
        else
            return KV_OK;
    }
    return KV_OK;
}

kv_status kv_cli_parse(int argc, char **argv, kv_cli_args *out, kv_error *err)
{
    const char *words[WORDS_MAX];
    int used, count, at = 1;
    bool short_form;

    *out = (kv_cli_args){ 0 };
    for (int i = 1; i < argc; i++)
        out->help = out->help || !strcmp(argv[i], "--help") || !strcmp(argv[i], "-h");
    /* Options of every verb may come before the noun. */
    KV_TRY(take_options(out, argc, argv, &at, false, err));
    if (at < argc && !strcmp(argv[at], "help")) {
        out->help = true;
        at++;
    }
    count = leading_words(argc - at, argv + at, words);
    /* As many programs have it: `kvctl login` is `kvctl token login`. */
    short_form = count > 0 && (!strcmp(words[0], "login") || !strcmp(words[0], "logout"));
    if (short_form) {
        words[1] = words[0];
        words[0] = "token";
        count = 2;
    }
    /* "certificate policy --help" is half a verb: help of the noun. */
    if (find_verb(words, count, out, &used, err) != KV_OK && !(out->help && out->noun))
        return err->status;
    if (out->help)
        return KV_OK;
    at += short_form ? 1 : used;
    return take_options(out, argc, argv, &at, true, err);
}

const char *kv_cli_value_of(const kv_cli_args *args, const char *option)
{
    for (size_t i = 0; i < args->count; i++)
        if (!strcmp(args->values[i].option->name, option))
            return args->values[i].text;
    return NULL;
}

kv_status kv_cli_check(const kv_cli_args *args, const kv_cli_config *config, kv_error *err)
{
    for (const kv_cli_option *row = args->verb->options; row && row->name; row++) {
        if (!(row->flags & KV_OPTION_REQUIRED) || kv_cli_value_of(args, row->name))
            continue;
        if ((row->flags & KV_OPTION_VAULT) && config->vault)
            continue;
        return kv_fail(err, KV_BAD_REQUEST, "kvctl %s %s needs --%s %s (%s)", args->verb->noun,
                       args->verb->verb, row->name, row->value ? row->value : "", row->help);
    }
    return KV_OK;
}
