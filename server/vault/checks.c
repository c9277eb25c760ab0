/* checks.c - a list of what was looked at. */
#include "server/vault/checks.h"

#include <stdarg.h>
#include <stdio.h>

enum { SENTENCE_BYTES = 512 };

kv_status kv_checks_add(kv_checks *checks, const char *name, kv_check_result result,
                        const char *next, kv_error *err, const char *format, ...)
{
    char text[SENTENCE_BYTES];
    kv_check *check = &checks->items[checks->count];
    va_list arguments;

    if (checks->count == KV_CHECKS_MAX) {
        checks->left_out += result != KV_CHECK_OK;
        return KV_OK;
    }
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    *check = (kv_check){ .name = name, .result = result, .next = next };
    KV_TRY(kv_arena_copy(checks->arena, kv_slice_text(text), &check->what, err));
    checks->count++;
    return KV_OK;
}
