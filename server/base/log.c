/* log.c - one JSON object a line, built on the stack and written at once. */
#include "server/base/log.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/base/text.h"

enum {
    LINE_BYTES = 4096,
    ROOM_FOR_END = 3, /* the quote of a text that was cut, a brace, a line end */
    SPELLED_BYTES = 8,
    UTF8_BYTES = 4
};

struct kv_log {
    int fd;
    atomic_int least; /* kv_log_level */
};

typedef struct line {
    char text[LINE_BYTES];
    size_t len;
    bool full; /* what comes now is left out */
} line;

static const char *const level_names[KV_LOG_LEVEL_COUNT] = {
    [KV_LOG_DEBUG] = "debug",
    [KV_LOG_INFO] = "info",
    [KV_LOG_WARNING] = "warning",
    [KV_LOG_ERROR] = "error",
};

kv_log *kv_log_new(int fd, kv_log_level least)
{
    kv_log *log = calloc(1, sizeof(*log));

    if (log)
        *log = (kv_log){ .fd = fd, .least = (int)least };
    return log;
}

void kv_log_set_least(kv_log *log, kv_log_level least)
{
    if (log)
        atomic_store(&log->least, (int)least);
}

void kv_log_free(kv_log *log)
{
    free(log);
}

/* False, and nothing added, when it does not fit. */
static bool add(line *out, const char *text, size_t len)
{
    if (len > LINE_BYTES - ROOM_FOR_END - out->len)
        return false;
    memcpy(out->text + out->len, text, len);
    out->len += len;
    return true;
}

/* Spells the first character of `text` as in JSON; how many bytes of `text` that was. A byte that
 * is not UTF-8 becomes the replacement character. */
static size_t spell(const char *text, char out[SPELLED_BYTES])
{
    unsigned char first = (unsigned char)*text;

    if (first == '"' || first == '\\') {
        (void)snprintf(out, SPELLED_BYTES, "\\%c", first);
        return 1;
    }
    if (first < 0x20 || first == 0x7f) {
        (void)snprintf(out, SPELLED_BYTES, "\\u%04x", first);
        return 1;
    }
    for (size_t len = 1; len <= UTF8_BYTES && text[len - 1]; len++)
        if (kv_text_printable(kv_slice_of(text, len))) {
            (void)snprintf(out, SPELLED_BYTES, "%.*s", (int)len, text);
            return len;
        }
    (void)snprintf(out, SPELLED_BYTES, "\\ufffd");
    return 1;
}

/* False when it was cut, and the closing quote is missing. */
static bool add_quoted(line *out, const char *text)
{
    char character[SPELLED_BYTES];
    bool fits = add(out, "\"", 1);

    while (fits && *text) {
        text += spell(text, character);
        fits = add(out, character, strlen(character));
    }
    return fits && add(out, "\"", 1);
}

static bool add_value(line *out, const kv_log_field *field)
{
    char number[24];

    if (!field->text) {
        int len = snprintf(number, sizeof(number), "%lld", (long long)field->number);

        return add(out, number, (size_t)len);
    }
    if (!add_quoted(out, field->text)) {
        out->text[out->len++] = '"';
        out->full = true;
    }
    return true;
}

static void add_field(line *out, const kv_log_field *field)
{
    size_t before = out->len;

    if (out->full)
        return;
    if (add(out, ",", 1) && add_quoted(out, field->name) && add(out, ":\"", 2)) {
        /* There is room for the opening quote, if it takes one. */
        out->len--;
        if (add_value(out, field))
            return;
    }
    out->len = before;
    out->full = true;
}

void kv_log_write(kv_log *log, kv_log_level level, const char *event, const kv_log_field *fields)
{
    char time[KV_TIME_TEXT_BYTES];
    line out = { .len = 0 };

    if (!log || (int)level < atomic_load_explicit(&log->least, memory_order_relaxed))
        return;
    kv_time_text(kv_clock_now_ms(NULL), time);
    (void)add(&out, "{\"time\":", 8);
    (void)add_quoted(&out, time);
    add_field(&out, &(kv_log_field){ "level", level_names[level], 0 });
    add_field(&out, &(kv_log_field){ "event", event, 0 });
    for (; fields && fields->name; fields++)
        add_field(&out, fields);
    memcpy(out.text + out.len, "}\n", 2);
    /* A log that cannot be written must not stop the server. */
    if (write(log->fd, out.text, out.len + 2) < 0)
        return;
}
