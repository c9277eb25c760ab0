/* warnings.c - collects sentences. */
#include "server/x509/warnings.h"

#include <stdarg.h>
#include <stdio.h>

#include "server/base/text.h"

enum { SENTENCE_MAX = 400 };

kv_status kv_x509_warn(kv_x509_warnings *warnings, kv_error *err, const char *format, ...)
{
    char text[SENTENCE_MAX];
    va_list args;

    if (warnings->count == KV_X509_WARNINGS_MAX)
        return KV_OK;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    kv_text_mend(text);
    return kv_arena_copy(warnings->arena, kv_slice_text(text), &warnings->items[warnings->count++],
                         err);
}

kv_status kv_x509_warnings_keep(const kv_x509_warnings *warnings, kv_x509_list *out, kv_error *err)
{
    kv_slice *items = kv_arena_array(warnings->arena, warnings->count, sizeof(*items));

    if (!items)
        return kv_arena_full(err);
    for (size_t i = 0; i < warnings->count; i++)
        items[i] = warnings->items[i];
    *out = (kv_x509_list){ .items = items, .count = warnings->count };
    return KV_OK;
}
