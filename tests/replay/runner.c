/* runner.c - reads a scenario: lines, words, variables. */
#include "tests/replay/runner.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum { STATEMENT_MAX = 1 << 16 };

const char *runner_word(const statement *of, unsigned index)
{
    return index < of->count ? of->words[index] : NULL;
}

const char *runner_need(runner *r, const statement *of, unsigned index)
{
    if (index >= of->count)
        runner_fail(r, "a word is missing after '%s'", of->words[of->count - 1]);
    return of->words[index];
}

uint64_t runner_number(runner *r, const char *text)
{
    uint64_t number;

    if (!kv_text_number(kv_slice_text(text), UINT32_MAX, &number))
        runner_fail(r, "'%s' is not a number", text);
    return number;
}

int64_t runner_span_s(runner *r, const char *text)
{
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
    char *end;
    int64_t number = strtoll(text, &end, 10);

    for (size_t i = 0; i < KV_COUNT(units); i++)
        if (*end == units[i].unit)
            return number * units[i].seconds;
    if (*end)
        runner_fail(r, "'%s' is not a span of time", text);
    return number;
}

const char *runner_text(runner *r, kv_slice text)
{
    const char *out;
    kv_error err = { 0 };

    assert_kv_ok(kv_arena_text(&r->arena, text, &out, &err));
    return out;
}

/* --- variables --- */

void runner_set(runner *r, const char *name, const char *suffix, kv_slice value)
{
    char full[RUNNER_NAME];
    kv_error err = { 0 };
    unsigned i = 0;

    (void)snprintf(full, sizeof(full), "%s%s", name, suffix);
    while (i < r->variable_count && strcmp(r->variables[i].name, full) != 0)
        i++;
    if (i == RUNNER_VARIABLES)
        runner_fail(r, "too many variables");
    if (i == r->variable_count)
        r->variable_count++;
    memcpy(r->variables[i].name, full, sizeof(full));
    assert_kv_ok(kv_arena_copy(&r->arena, value, &r->variables[i].value, &err));
}

static kv_slice value_of(runner *r, const char *name)
{
    kv_error err = { 0 };
    kv_slice value;

    if (!strncmp(name, "now", 3) && (!name[3] || name[3] == '+' || name[3] == '-')) {
        int64_t at = r->h->now_ms / 1000 + (name[3] ? runner_span_s(r, name + 3) : 0);

        assert_kv_ok(kv_arena_print(&r->arena, &value, &err, "%lld", (long long)at));
        return value;
    }
    for (unsigned i = 0; i < r->variable_count; i++)
        if (!strcmp(r->variables[i].name, name))
            return r->variables[i].value;
    runner_fail(r, "nothing is called $%s", name);
    return KV_SLICE_NONE;
}

static bool in_name(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '-' || c == '+';
}

/* Replaces every $name. */
static void expand(runner *r, const char *from, char out[STATEMENT_MAX])
{
    size_t len = 0;

    while (*from) {
        char name[RUNNER_NAME] = "";
        size_t name_len = 0;
        kv_slice value;

        if (*from != '$') {
            out[len++] = *from++;
            assert_true(len < STATEMENT_MAX);
            continue;
        }
        for (from++; in_name(*from) && name_len + 1 < sizeof(name); from++)
            name[name_len++] = *from;
        value = value_of(r, name);
        assert_true(len + value.len < STATEMENT_MAX);
        memcpy(out + len, value.data, value.len);
        len += value.len;
    }
    out[len] = '\0';
}

/* --- words --- */

/* A body in braces, braces in quoted text aside; the word is what stands between them. */
static char *take_body(char *at, const char **word)
{
    int depth = 0;
    bool quoted = false;

    *word = at + 1;
    for (; *at; at++) {
        if (*at == '\\' && quoted && at[1])
            at++;
        else if (*at == '"')
            quoted = !quoted;
        else if (*at == '{' && !quoted)
            depth++;
        else if (*at == '}' && !quoted && --depth == 0)
            break;
    }
    if (*at)
        *at++ = '\0';
    return at;
}

static char *take_word(char *at, const char **word)
{
    if (*at == '{')
        return take_body(at, word);
    if (*at == '"') {
        *word = ++at;
        at += strcspn(at, "\"");
    } else {
        *word = at;
        at += strcspn(at, " \t\n");
    }
    if (*at)
        *at++ = '\0';
    return at;
}

static void run_statement(runner *r, const char *text)
{
    char *expanded = kv_arena_alloc(&r->arena, STATEMENT_MAX);
    statement words = { 0 };
    char *at;

    assert_non_null(expanded);
    expand(r, text, expanded);
    at = expanded;
    for (;;) {
        at += strspn(at, " \t\n");
        if (!*at || *at == '#')
            break;
        assert_true(words.count < RUNNER_WORDS);
        at = take_word(at, &words.words[words.count++]);
    }
    if (words.count)
        runner_step(r, &words);
}

/* How many braces are open at the end of a line. */
static int open_braces(const char *line)
{
    int depth = 0;
    bool quoted = false;

    for (; *line; line++) {
        if (*line == '\\' && quoted && line[1])
            line++;
        else if (*line == '"')
            quoted = !quoted;
        else if (!quoted)
            depth += (*line == '{') - (*line == '}');
    }
    return depth;
}

static void run_file(runner *r)
{
    FILE *file = fopen(r->file, "r");
    char line[4096];
    char *text = malloc(STATEMENT_MAX);
    unsigned number = 0;
    int depth = 0;

    assert_non_null(file);
    assert_non_null(text);
    text[0] = '\0';
    while (fgets(line, sizeof(line), file)) {
        number++;
        if (!depth) {
            r->line = number;
            text[0] = '\0';
        }
        if (line[strspn(line, " \t")] == '#')
            continue;
        assert_true(strlen(text) + strlen(line) < STATEMENT_MAX);
        memcpy(text + strlen(text), line, strlen(line) + 1);
        depth += open_braces(line);
        if (depth <= 0)
            run_statement(r, text);
    }
    if (depth)
        runner_fail(r, "a brace is not closed");
    free(text);
    (void)fclose(file);
}

static const char *the_file;

static void scenario(void **state)
{
    runner *r = calloc(1, sizeof(*r));

    (void)state;
    assert_non_null(r);
    r->file = the_file;
    r->arena = KV_ARENA(RUNNER_MEMORY);
    r->h = house_new(false);
    r->people[r->people_count++] = (person){ .name = "root", .certificate = r->h->admin };
    run_file(r);
    house_assert_tidy(r->h);
    for (unsigned i = 1; i < r->people_count; i++)
        free_certificate(r->people[i].certificate);
    house_free(r->h);
    kv_arena_cleanup(&r->arena);
    free(r);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(scenario) };

    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s FILE\n", argv[0]);
        return 2;
    }
    the_file = argv[1];
    return cmocka_run_group_tests_name(argv[1], tests, NULL, NULL);
}
