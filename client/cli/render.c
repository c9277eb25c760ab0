/* render.c - tables are what JSON says, cut to columns. */
#include "client/cli/render.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/message.h"
#include "client/cli/say.h"
#include "server/base/text.h"

enum {
    COLUMNS_MAX = 16,
    TEXT_BYTES = 64,
    CELL_BYTES = 256,
    CSV_BYTES = 1 << 14,
    BYTES_MAX = 1 << 16,
    MS = 1000
};

/* The last second of the year 9999: what is written with more digits is no time, but a number. */
#define LAST_SECOND INT64_C(253402300799)

typedef struct column {
    char name[TEXT_BYTES];
    char path[TEXT_BYTES];
    char form[TEXT_BYTES];
    int width;
} column;

typedef struct columns {
    column rows[COLUMNS_MAX];
    size_t count;
} columns;

const json_t *kv_json_at(const json_t *value, const char *path)
{
    while (value && *path) {
        size_t len = strcspn(path, ".");
        char name[TEXT_BYTES];
        uint64_t at;

        (void)snprintf(name, sizeof(name), "%.*s", (int)len, path);
        if (json_is_array(value))
            value = kv_text_number(kv_slice_text(name), SIZE_MAX, &at) ? json_array_get(value, at)
                                                                       : NULL;
        else
            value = json_object_get(value, name);
        path += len + (path[len] == '.');
    }
    return value;
}

/* --- columns --- */

static void parse_columns(const char *text, columns *out)
{
    out->count = 0;
    while (*text && out->count < COLUMNS_MAX) {
        column *it = &out->rows[out->count++];
        size_t len = strcspn(text, " ");
        size_t name = strcspn(text, "=");
        size_t path = strcspn(text, ": ");

        *it = (column){ .width = 0 };
        (void)snprintf(it->name, sizeof(it->name), "%.*s", (int)name, text);
        (void)snprintf(it->path, sizeof(it->path), "%.*s", (int)(path - name - 1), text + name + 1);
        if (text[path] == ':')
            (void)snprintf(it->form, sizeof(it->form), "%.*s", (int)(len - path - 1),
                           text + path + 1);
        text += len + strspn(text + len, " ");
    }
}

/* Of an object nobody thought of: what is plain in it. */
static void guess_columns(const json_t *object, columns *out)
{
    const char *name;
    json_t *value;

    out->count = 0;
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        column *it = &out->rows[out->count];

        if (json_is_object(value) || json_is_array(value) || out->count == COLUMNS_MAX)
            continue;
        *it = (column){ .width = 0 };
        (void)snprintf(it->name, sizeof(it->name), "%s", name);
        (void)snprintf(it->path, sizeof(it->path), "%s", name);
        out->count++;
    }
}

/* --- cells --- */

static void shorten(const char *text, const char *prefix, char *out, size_t size)
{
    size_t len = strlen(prefix);

    (void)snprintf(out, size, "%s", strncmp(text, prefix, len) ? text : text + len);
    for (char *c = out; *c; c++)
        *c = *c == '_' ? '-' : (char)tolower((unsigned char)*c);
}

static void hex_cell(const char *base64, char *out, size_t size)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(BYTES_MAX);
    kv_slice bytes;
    kv_error err;

    if (kv_bytes_parse(&arena, base64, &bytes, &err) == KV_OK && 2 * bytes.len + 1 <= size)
        kv_hex(bytes, out);
    else
        (void)snprintf(out, size, "%s", base64);
}

static void number_cell(json_int_t number, const char *form, char *out, size_t size)
{
    char time[KV_TIME_TEXT_BYTES];
    bool is_ms = !strcmp(form, "ms");
    json_int_t most = is_ms ? LAST_SECOND * MS : LAST_SECOND;

    if ((!is_ms && strcmp(form, "time") != 0) || number < -most || number > most) {
        (void)snprintf(out, size, "%" JSON_INTEGER_FORMAT, number);
        return;
    }
    kv_time_text(is_ms ? number : number * MS, time);
    if (!is_ms)
        (void)memcpy(time + 19, "Z", 2); /* whole seconds */
    (void)snprintf(out, size, "%s", number ? time : "");
}

static void text_cell(const char *text, const char *form, char *out, size_t size)
{
    if (!strcmp(form, "hex"))
        hex_cell(text, out, size);
    else if (isupper((unsigned char)*form))
        shorten(text, form, out, size);
    else
        (void)snprintf(out, size, "%s", text);
}

static void plain_cell(const json_t *value, const char *form, char *out, size_t size)
{
    out[0] = '\0';
    if (json_is_string(value))
        text_cell(json_string_value(value), form, out, size);
    else if (json_is_integer(value))
        number_cell(json_integer_value(value), form, out, size);
    else if (json_is_boolean(value))
        (void)snprintf(out, size, "%s", json_is_true(value) ? "true" : "false");
}

/* A list is told with commas, tags as name=value. */
static void list_cell(const json_t *list, const char *form, char *out, size_t size)
{
    size_t i, len = 0;
    const json_t *value;

    out[0] = '\0';
    json_array_foreach(list, i, value)
    {
        const char *name = json_string_value(json_object_get(value, "name"));
        const char *text = json_string_value(json_object_get(value, "value"));
        char cell[CELL_BYTES];

        plain_cell(value, form, cell, sizeof(cell));
        len += (size_t)snprintf(out + len, size - len, "%s%s%s%s%s", i ? "," : "", cell,
                                name ? name : "", name ? "=" : "", text ? text : "");
        if (len >= size)
            return;
    }
}

static void cell(const json_t *object, const column *it, char *out, size_t size)
{
    const json_t *value = kv_json_at(object, it->path);

    if (json_is_array(value))
        list_cell(value, it->form, out, size);
    else
        plain_cell(value, it->form, out, size);
    kv_text_clean(out);
}

/* --- lines --- */

static size_t row_count(const json_t *value)
{
    return json_is_array(value) ? json_array_size(value) : 1;
}

static const json_t *row_at(const json_t *value, size_t at)
{
    return json_is_array(value) ? json_array_get(value, at) : value;
}

static void measure(columns *all, const json_t *value)
{
    for (size_t c = 0; c < all->count; c++) {
        column *it = &all->rows[c];

        it->width = (int)strlen(it->name);
        for (size_t i = 0; i < row_count(value); i++) {
            char text[CELL_BYTES];

            cell(row_at(value, i), it, text, sizeof(text));
            if (kv_say_width(text) > it->width)
                it->width = kv_say_width(text);
        }
    }
}

static void print_row(FILE *out, const columns *all, const json_t *object, bool table)
{
    for (size_t c = 0; c < all->count; c++) {
        const column *it = &all->rows[c];
        bool last = c + 1 == all->count;
        char text[CELL_BYTES];

        if (object)
            cell(object, it, text, sizeof(text));
        else
            (void)snprintf(text, sizeof(text), "%s", it->name);
        if (table && !last)
            kv_say(out, "%-*s  ", it->width, text);
        else if (table)
            kv_say(out, "%s", text);
        else
            kv_say_field(out, kv_slice_text(text));
        if (!table && !last)
            kv_say(out, "\t");
    }
    kv_say(out, "\n");
}

/* --- CSV --- */

static void print_csv_field(FILE *out, const char *text, bool first)
{
    bool formula = *text && strchr("=+-@", *text);
    bool quoted = formula || strpbrk(text, "\",") || *text == ' ';

    if (!first)
        kv_say(out, ",");
    if (!quoted) {
        kv_say_field(out, kv_slice_text(text));
        return;
    }
    kv_say(out, "\"%s", formula ? "'" : "");
    for (size_t len; *text; text += len) {
        len = strcspn(text, "\"");
        kv_say_field(out, kv_slice_of(text, len));
        kv_say(out, text[len] ? "\"\"" : "");
        len += text[len] != '\0';
    }
    kv_say(out, "\"");
}

static void print_csv_row(FILE *out, const columns *all, const json_t *object)
{
    char text[CSV_BYTES];

    for (size_t c = 0; c < all->count; c++) {
        if (object)
            cell(object, &all->rows[c], text, sizeof(text));
        print_csv_field(out, object ? text : all->rows[c].name, c == 0);
    }
    kv_say(out, "\r\n");
}

static void print_csv(FILE *out, const char *spec, const json_t *value)
{
    column alone = { .name = "VALUE" };
    columns all = { .rows = { alone }, .count = 1 };

    if (spec)
        parse_columns(spec, &all);
    else if (json_is_object(row_at(value, 0)))
        guess_columns(row_at(value, 0), &all);
    print_csv_row(out, &all, NULL);
    for (size_t i = 0; i < row_count(value); i++)
        print_csv_row(out, &all, row_at(value, i));
}

/* Whole. What is alone may be piped into another program as it is; of a list, each is one line. */
static void print_alone(FILE *out, const json_t *value, bool listed)
{
    const char *text = json_string_value(value);
    char number[TEXT_BYTES];

    if (text && !listed) {
        kv_say_value(out, kv_slice_of(text, json_string_length(value)));
        return;
    }
    plain_cell(value, "", number, sizeof(number));
    kv_say_field(out, kv_slice_text(text ? text : number));
    kv_say(out, "\n");
}

static void print_rows(FILE *out, bool table, const char *spec, const json_t *value)
{
    columns all;

    if (json_is_array(value) && !json_array_size(value))
        return;
    if (!json_is_object(row_at(value, 0))) {
        for (size_t i = 0; i < row_count(value); i++)
            print_alone(out, row_at(value, i), json_is_array(value));
        return;
    }
    if (spec)
        parse_columns(spec, &all);
    else
        guess_columns(row_at(value, 0), &all);
    if (table) {
        measure(&all, value);
        print_row(out, &all, NULL, true);
    }
    for (size_t i = 0; i < row_count(value); i++)
        print_row(out, &all, row_at(value, i), table);
}

void kv_render(FILE *out, kv_output output, const char *spec, const json_t *value)
{
    if (!value)
        return;
    if (output == KV_OUTPUT_CSV) {
        print_csv(out, spec, value);
        return;
    }
    if (output != KV_OUTPUT_JSON) {
        print_rows(out, output == KV_OUTPUT_TABLE, spec, value);
        return;
    }
    (void)!kv_say_json(out, value, JSON_INDENT(2) | JSON_ENCODE_ANY);
    kv_say(out, "\n");
}
