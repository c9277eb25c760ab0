/* say.c - formats, whose texts cannot speak to the terminal. */
#include "client/cli/say.h"

#include <assert.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "client/cli/glyph.h"
#include "server/base/text.h"

enum { NUMBER_BYTES = 24 };

/* va_list may be an array, which as a parameter is none any more. */
typedef struct words {
    va_list args;
} words;

typedef struct place {
    int width; /* negative: to the left */
    int most;  /* of the text; negative: all */
} place;

/* --- formats --- */

/* The most that a character grows by when it is written as an escape: 2 bytes become 6. */
enum { ESCAPE_FACTOR = 3 };

/* Of a text that has been cleaned; NULL when out of memory. */
static char *copy_of(const char *text, bool escapes)
{
    kv_slice rest = kv_slice_text(text);
    size_t size = ESCAPE_FACTOR * rest.len + KV_GLYPH_ESCAPE_BYTES, at = 0;
    char *out = OPENSSL_malloc(size);

    while (out && rest.len) {
        uint32_t character = 0;
        size_t len = kv_text_character(rest, &character);

        len = len ? len : 1;
        if (escapes && kv_glyph_hidden(character)) {
            kv_glyph_escape(character, out + at);
            at += strlen(out + at);
        } else {
            memcpy(out + at, rest.data, len);
            at += len;
        }
        rest = kv_slice_of(rest.data + len, rest.len - len);
    }
    if (out)
        out[at] = '\0';
    return out;
}

/* What is shown for the text, to be given to forget(); NULL when out of memory. */
static char *shown(const char *text, size_t len, bool escapes)
{
    char *cleaned = OPENSSL_strndup(text, len), *out;

    if (!cleaned)
        return NULL;
    kv_text_clean(cleaned);
    out = copy_of(cleaned, escapes);
    OPENSSL_clear_free(cleaned, len + 1);
    return out;
}

/* It may be a secret. */
static void forget(char *text)
{
    OPENSSL_clear_free(text, text ? strlen(text) + 1 : 0);
}

static void pad(FILE *out, int cells)
{
    if (cells > 0)
        (void)fprintf(out, "%*s", cells, "");
}

static void say_text(FILE *out, const place *where, const char *text)
{
    size_t len = where->most < 0 ? strlen(text) : strnlen(text, (size_t)where->most);
    char *copy = shown(text, len, true);
    const char *told = copy ? copy : "?";
    int cells = (int)kv_glyph_cells(kv_slice_text(told));

    pad(out, where->width - cells);
    (void)fputs(told, out);
    pad(out, -where->width - cells);
    forget(copy);
}

int kv_say_width(const char *text)
{
    char *copy = shown(text, strlen(text), true);
    int cells = (int)kv_glyph_cells(kv_slice_text(copy ? copy : "?"));

    forget(copy);
    return cells;
}

static int read_count(const char **at, words *from)
{
    int count = 0;

    if (**at == '*') {
        (*at)++;
        return va_arg(from->args, int);
    }
    for (; **at >= '0' && **at <= '9'; (*at)++)
        count = 10 * count + (**at - '0');
    return count;
}

static const char *say_number(FILE *out, const place *where, const char *at, words *from)
{
    char text[NUMBER_BYTES] = "?";

    if (!strncmp(at, "lld", 3))
        (void)snprintf(text, sizeof(text), "%lld", va_arg(from->args, long long));
    else if (!strncmp(at, "llu", 3))
        (void)snprintf(text, sizeof(text), "%llu", va_arg(from->args, unsigned long long));
    else if (!strncmp(at, "zu", 2))
        (void)snprintf(text, sizeof(text), "%zu", va_arg(from->args, size_t));
    else if (*at == 'u')
        (void)snprintf(text, sizeof(text), "%u", va_arg(from->args, unsigned));
    else if (*at == 'd')
        (void)snprintf(text, sizeof(text), "%d", va_arg(from->args, int));
    else
        assert(!"a conversion that kv_say does not know");
    say_text(out, where, text);
    at += strcspn(at, "ud");
    return at + (*at != '\0');
}

/* What follows a percent sign. */
static const char *say_one(FILE *out, const char *at, words *from)
{
    place where = { .most = -1 };
    bool left = *at == '-';

    at += left;
    where.width = read_count(&at, from);
    if (left)
        where.width = -where.width;
    if (*at == '.') {
        at++;
        where.most = read_count(&at, from);
    }
    if (*at != 's')
        return say_number(out, &where, at, from);
    say_text(out, &where, va_arg(from->args, const char *));
    return at + 1;
}

void kv_say_args(FILE *out, const char *format, va_list args)
{
    words from;

    va_copy(from.args, args);
    while (*format) {
        size_t plain = strcspn(format, "%");

        (void)fwrite(format, 1, plain, out);
        format += plain;
        if (*format)
            format = say_one(out, format + 1, &from);
    }
    va_end(from.args);
}

void kv_say(FILE *out, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    kv_say_args(out, format, args);
    va_end(args);
}

/* --- JSON --- */

/* How many bytes come before what has to be escaped. */
static size_t plain_bytes(kv_slice text)
{
    uint32_t character = 0;
    size_t len = 0;

    for (;;) {
        kv_slice rest = kv_slice_of(text.data + len, text.len - len);
        size_t bytes = kv_text_character(rest, &character);

        if (!bytes ||
            (character != '\n' && (kv_text_steers(character) || kv_glyph_hidden(character))))
            return len;
        len += bytes;
    }
}

/* Past the first plane two of them, as of UTF-16. */
static void dump_escape(FILE *out, uint32_t character)
{
    uint32_t beyond = character - 0x10000;

    if (character < 0x10000)
        (void)fprintf(out, "\\u%04X", (unsigned)character);
    else
        (void)fprintf(out, "\\u%04X\\u%04X", 0xd800U + (unsigned)(beyond >> 10),
                      0xdc00U + (unsigned)(beyond & 0x3ff));
}

/* Of UTF-8, in whole characters. Controls, apart from the line ends between values, are escaped
 * already. */
static int dump(const char *text, size_t len, void *context)
{
    kv_slice rest = kv_slice_of(text, len);
    FILE *out = context;

    for (;;) {
        uint32_t character = 0;
        size_t plain = plain_bytes(rest), bytes;

        (void)fwrite(rest.data, 1, plain, out);
        rest = kv_slice_of(rest.data + plain, rest.len - plain);
        if (!rest.len)
            return 0;
        bytes = kv_text_character(rest, &character);
        if (!bytes)
            return -1;
        dump_escape(out, character);
        rest = kv_slice_of(rest.data + bytes, rest.len - bytes);
    }
}

bool kv_say_json(FILE *out, const json_t *value, size_t flags)
{
    return !json_dump_callback(value, dump, out, flags);
}

/* --- values and bytes --- */

static bool is_terminal(FILE *out)
{
    int fd = fileno(out);

    return fd >= 0 && isatty(fd);
}

void kv_say_field(FILE *out, kv_slice text)
{
    char *copy = shown((const char *)text.data, text.len, is_terminal(out));

    (void)fputs(copy ? copy : "?", out);
    forget(copy);
}

void kv_say_value(FILE *out, kv_slice value)
{
    const uint8_t *end;

    if (!is_terminal(out)) {
        (void)fwrite(value.data, 1, value.len, out);
        (void)fputc('\n', out);
        return;
    }
    while (value.len && (end = memchr(value.data, '\n', value.len))) {
        size_t len = (size_t)(end - value.data);

        kv_say(out, "%.*s\n", (int)len, (const char *)value.data);
        value = kv_slice_of(end + 1, value.len - len - 1);
    }
    kv_say(out, "%.*s\n", KV_SLICE_ARG(value));
}

/* Text whose lines end in \n or \r\n; \r alone would go back over what was shown. */
static bool is_harmless(kv_slice bytes)
{
    while (bytes.len) {
        uint32_t character;
        size_t len = kv_text_character(bytes, &character);
        bool ends = len && (character == '\n' || kv_slice_starts_with(bytes, KV_SLICE("\r\n")));

        if (!len || (kv_text_steers(character) && character != '\t' && !ends))
            return false;
        bytes = kv_slice_of(bytes.data + len, bytes.len - len);
    }
    return true;
}

bool kv_say_bytes(FILE *out, kv_slice bytes)
{
    if (is_terminal(out) && !is_harmless(bytes))
        return false;
    if (bytes.len)
        (void)fwrite(bytes.data, 1, bytes.len, out);
    return true;
}
