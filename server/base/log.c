/* log.c - one JSON object a line, built on the stack and written at once. */
#include "server/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/base/text.h"

enum { LINE_BYTES = 4096, ROOM_FOR_END = 4 };

struct kv_log {
    int fd;
    kv_log_level least;
};

typedef struct line {
    char text[LINE_BYTES];
    size_t len;
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
        *log = (kv_log){ .fd = fd, .least = least };
    return log;
}

void kv_log_free(kv_log *log)
{
    free(log);
}

static void add(line *out, const char *text, size_t len)
{
    if (len > LINE_BYTES - ROOM_FOR_END - out->len)
        return;
    memcpy(out->text + out->len, text, len);
    out->len += len;
}

static void add_quoted(line *out, const char *text)
{
    add(out, "\"", 1);
    for (const char *c = text; *c && out->len < LINE_BYTES - 64; c++) {
        char escape[8];

        if (*c == '"' || *c == '\\')
            add(out, (char[]){ '\\', *c }, 2);
        else if ((unsigned char)*c < 0x20 || *c == 0x7f)
            add(out, escape, (size_t)snprintf(escape, sizeof(escape), "\\u%04x", *c));
        else
            add(out, c, 1);
    }
    add(out, "\"", 1);
}

static void add_field(line *out, const kv_log_field *field)
{
    char number[24];

    add(out, ",", 1);
    add_quoted(out, field->name);
    add(out, ":", 1);
    if (field->text)
        add_quoted(out, field->text);
    else
        add(out, number,
            (size_t)snprintf(number, sizeof(number), "%lld", (long long)field->number));
}

void kv_log_write(kv_log *log, kv_log_level level, const char *event, const kv_log_field *fields)
{
    char time[KV_TIME_TEXT_BYTES];
    line out = { .len = 0 };

    if (!log || level < log->least)
        return;
    kv_time_text(kv_clock_now_ms(NULL), time);
    add(&out, "{\"time\":", 8);
    add_quoted(&out, time);
    add_field(&out, &(kv_log_field){ "level", level_names[level], 0 });
    add_field(&out, &(kv_log_field){ "event", event, 0 });
    for (; fields && fields->name; fields++)
        add_field(&out, fields);
    memcpy(out.text + out.len, "}\n", 2);
    /* A log that cannot be written must not stop the server. */
    if (write(log->fd, out.text, out.len + 2) < 0)
        return;
}
