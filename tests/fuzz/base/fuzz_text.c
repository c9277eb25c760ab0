/* fuzz_text.c - base64url, hexadecimal, UTF-8 and numbers from anybody. */
#include <stdlib.h>

#include "server/base/text.h"

enum { LIMIT = 64 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_clean(kv_slice text)
{
    uint32_t character;

    while (text.len) {
        size_t len = kv_text_character(text, &character);

        if (!len || kv_text_steers(character))
            return false;
        text = kv_slice_of(text.data + len, text.len - len);
    }
    return true;
}

/* What is cleaned is clean, and no longer than before; what was clean stays as it was. */
static void clean(const uint8_t *data, size_t size)
{
    char *text = calloc(1, size + 1);
    kv_slice before;

    if (!text)
        return;
    if (size)
        memcpy(text, data, size);
    before = kv_slice_of(data, strlen(text));
    kv_text_clean(text);
    if (strlen(text) > before.len || !is_clean(kv_slice_text(text)) ||
        (is_clean(before) && !kv_slice_equal(kv_slice_text(text), before)))
        abort();
    free(text);
}

/* What is read strictly is spelled back exactly, or the process ends. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(LIMIT);
    kv_slice text = kv_slice_of(data, size);
    kv_slice bytes, again;
    uint64_t number;
    kv_error err;

    if (size > LIMIT / 8)
        return 0;
    if (kv_unbase64url(&arena, text, &bytes, &err) == KV_OK &&
        (kv_base64url(&arena, bytes, &again, &err) != KV_OK || !kv_slice_equal(text, again)))
        abort();
    if (kv_text_printable(text) && memchr(data, 0, size))
        abort();
    clean(data, size);
    if (kv_text_number(text, UINT32_MAX, &number) && number > UINT32_MAX)
        abort();
    return 0;
}
