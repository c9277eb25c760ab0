/* completion.c - what the Tab key gives in bash and zsh, written from the table of verbs. */
#include "client/cli/completion.h"

#include <string.h>

#include "client/cli/cli.h"

enum { PATH_BYTES = 64 };

/* "certificate policy set": what is typed before the options. */
typedef struct place {
    char text[PATH_BYTES];
    size_t len;
} place;

static void spell(const kv_cli_verb *verb, place *out)
{
    (void)snprintf(out->text, sizeof(out->text), "%s %s", verb->noun, verb->verb);
    out->len = strlen(out->text);
}

/* The first `len` bytes are whole words of the verb's spelling. */
static bool begins(const place *verb, const char *text, size_t len)
{
    return verb->len >= len && !strncmp(verb->text, text, len) &&
           (!len || verb->len == len || verb->text[len] == ' ');
}

/* Whether a verb before row `before` begins with these words too. */
static bool was_before(size_t before, const char *text, size_t len)
{
    for (size_t i = 0; i < before; i++) {
        place at;

        spell(kv_cli_verb_at(i), &at);
        if (begins(&at, text, len))
            return true;
    }
    return false;
}

typedef void each_word(const kv_cli_verb *verb, const char *word, size_t len, bool last, FILE *out);

/* The words that may follow, each once. */
static void next_words(const char *text, size_t len, each_word *show, FILE *out)
{
    size_t count = kv_cli_verb_count();

    for (size_t i = 0; i < count; i++) {
        size_t start = len ? len + 1 : 0, word;
        place at;

        spell(kv_cli_verb_at(i), &at);
        if (!begins(&at, text, len) || at.len == len)
            continue;
        word = strcspn(at.text + start, " ");
        if (!was_before(i, at.text, start + word))
            show(kv_cli_verb_at(i), at.text + start, word, start + word == at.len, out);
    }
}

/* Calls for every beginning of every verb once: "", "key", "key create". `verb` if it is whole. */
typedef void each_place(const char *text, size_t len, const kv_cli_verb *verb, FILE *out);

static void all_places(each_place *show, FILE *out)
{
    size_t count = kv_cli_verb_count();

    show("", 0, NULL, out);
    for (size_t i = 0; i < count; i++) {
        place at;

        spell(kv_cli_verb_at(i), &at);
        for (size_t end = strcspn(at.text, " ");; end += 1 + strcspn(at.text + end + 1, " ")) {
            if (!was_before(i, at.text, end))
                show(at.text, end, end == at.len ? kv_cli_verb_at(i) : NULL, out);
            if (end == at.len)
                break;
        }
    }
}

static bool is_file(const kv_cli_option *option)
{
    return option->value && strstr(option->value, "FILE");
}

/* "[true|false]", "json|table|tsv|csv": the words one can choose from. */
static bool is_choice(const kv_cli_option *option)
{
    return option->value && strchr(option->value, '|') && !is_file(option) &&
           strcmp(option->value, "NAME|ID") != 0;
}

/* The choices with spaces between them. */
static void print_choices(const kv_cli_option *option, FILE *out)
{
    for (const char *c = option->value; *c; c++)
        if (*c != '[' && *c != ']')
            (void)fputc(*c == '|' ? ' ' : *c, out);
}

/* --- bash --- */

static void bash_word(const kv_cli_verb *verb, const char *word, size_t len, bool last, FILE *out)
{
    (void)verb;
    (void)last;
    (void)fprintf(out, "%.*s ", (int)len, word);
}

static void bash_options(const kv_cli_option *rows, FILE *out)
{
    for (; rows && rows->name; rows++)
        (void)fprintf(out, "--%s ", rows->name);
}

static void bash_place(const char *text, size_t len, const kv_cli_verb *verb, FILE *out)
{
    (void)fprintf(out, "    '%.*s') words='", (int)len, text);
    next_words(text, len, bash_word, out);
    (void)fprintf(out, "' options='");
    if (verb)
        bash_options(verb->options, out);
    (void)fprintf(out, "' ;;\n");
}

/* `where` is a pattern of the shell. */
static void bash_values(const char *where, const kv_cli_option *rows, FILE *out)
{
    for (; rows && rows->name; rows++) {
        if (!rows->value)
            continue;
        (void)fprintf(out, "    %s' --%s') ", where, rows->name);
        if (is_file(rows))
            (void)fprintf(
                out, "compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "
                     "\"$current\") ;;\n");
        else if (is_choice(rows))
            (void)fprintf(out, "_kvctl_words '");
        else
            (void)fprintf(out, ";;\n");
        if (is_choice(rows)) {
            print_choices(rows, out);
            (void)fprintf(out, "' ;;\n");
        }
    }
}

static void bash(FILE *out)
{
    size_t count = kv_cli_verb_count();

    (void)fputs("# kvctl completion for bash, written by kvctl from its table of verbs.\n"
                "_kvctl_words() { mapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$current\"); }\n"
                "# True when the word before takes a value.\n"
                "_kvctl_value() {\n"
                "    case \"$1 $2\" in\n",
                out);
    for (size_t i = 0; i < count; i++) {
        char quoted[PATH_BYTES + 2];
        place at;

        spell(kv_cli_verb_at(i), &at);
        (void)snprintf(quoted, sizeof(quoted), "'%s'", at.text);
        bash_values(quoted, kv_cli_verb_at(i)->options, out);
    }
    bash_values("*", kv_cli_global_options(), out);
    (void)fputs("    *) return 1 ;;\n"
                "    esac\n"
                "}\n"
                "_kvctl() {\n"
                "    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}\n"
                "    local words='' options='' place='' i\n"
                "    COMPREPLY=()\n"
                "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
                "        [[ ${COMP_WORDS[i]} != -* ]] || break\n"
                "        place+=\"${place:+ }${COMP_WORDS[i]}\"\n"
                "    done\n"
                "    if [[ $before == --* ]] && _kvctl_value \"$place\" \"$before\"; then return; "
                "fi\n"
                "    case $place in\n",
                out);
    all_places(bash_place, out);
    (void)fputs("    esac\n"
                "    if [[ $current == -* || -z $words ]]; then words=\"$options ",
                out);
    bash_options(kv_cli_global_options(), out);
    (void)fputs("\"; fi\n"
                "    _kvctl_words \"$words\"\n"
                "}\n"
                "complete -F _kvctl kvctl\n",
                out);
}

/* --- zsh --- */

/* In single quotes, with what _describe and _arguments read as syntax escaped. */
static void zsh_text(const char *text, FILE *out)
{
    for (; *text; text++) {
        if (*text == '\'')
            (void)fputs("'\\'", out);
        else if (strchr(":[]\\", *text))
            (void)fputc('\\', out);
        (void)fputc(*text, out);
    }
}

static void zsh_word(const kv_cli_verb *verb, const char *word, size_t len, bool last, FILE *out)
{
    (void)fprintf(out, "'%.*s:", (int)len, word);
    zsh_text(last ? verb->summary : "...", out);
    (void)fprintf(out, "' ");
}

static void zsh_options(const kv_cli_option *rows, FILE *out)
{
    for (; rows && rows->name; rows++) {
        (void)fprintf(out, "        '%s--%s%s[", rows->flags & KV_OPTION_REPEATED ? "*" : "",
                      rows->name, rows->value ? "=" : "");
        zsh_text(rows->help, out);
        (void)fputc(']', out);
        if (rows->value) {
            (void)fputc(':', out);
            zsh_text(rows->value, out);
            (void)fputc(':', out);
        }
        if (is_file(rows))
            (void)fputs("_files", out);
        if (is_choice(rows)) {
            (void)fputc('(', out);
            print_choices(rows, out);
            (void)fputc(')', out);
        }
        (void)fputs("'\n", out);
    }
}

static void zsh_place(const char *text, size_t len, const kv_cli_verb *verb, FILE *out)
{
    (void)fprintf(out, "    '%.*s')\n        words_next=(", (int)len, text);
    next_words(text, len, zsh_word, out);
    (void)fputs(")\n", out);
    if (verb) {
        (void)fputs("        options+=(\n", out);
        zsh_options(verb->options, out);
        (void)fputs("        )\n", out);
    }
    (void)fputs("        ;;\n", out);
}

static void zsh(FILE *out)
{
    (void)fputs("#compdef kvctl\n"
                "# kvctl completion for zsh, written by kvctl from its table of verbs.\n"
                "_kvctl() {\n"
                "    local place= i\n"
                "    local -a words_next options\n"
                "    for ((i = 2; i < CURRENT; i++)); do\n"
                "        [[ ${words[i]} != -* ]] || break\n"
                "        place+=\"${place:+ }${words[i]}\"\n"
                "    done\n"
                "    options=(\n",
                out);
    zsh_options(kv_cli_global_options(), out);
    (void)fputs("    )\n"
                "    case $place in\n",
                out);
    all_places(zsh_place, out);
    (void)fputs("    esac\n"
                "    if (( $#words_next )) && [[ ${words[CURRENT]} != -* ]]; then\n"
                "        _describe -t verbs 'kvctl' words_next\n"
                "    else\n"
                "        _arguments -S $options '*: :'\n"
                "    fi\n"
                "}\n"
                "if [[ $funcstack[1] == _kvctl ]]; then _kvctl \"$@\"; else compdef _kvctl kvctl; "
                "fi\n",
                out);
}

bool kv_cli_completion(const char *shell, FILE *out)
{
    if (!strcmp(shell, "bash"))
        bash(out);
    else if (!strcmp(shell, "zsh"))
        zsh(out);
    else
        return false;
    return true;
}
