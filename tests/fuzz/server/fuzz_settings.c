/* fuzz_settings.c - any bytes as a configuration: refused with a message, or read and printed. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/settings_rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    KV_AUTO(kv_settings) settings = { 0 };
    kv_error err = { 0 };
    char *text = malloc(size + 1);
    char value[256];

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    if (kv_settings_parse(text, &settings, &err) == KV_OK) {
        for (unsigned i = 0; kv_settings_help(i); i++)
            kv_settings_value(&settings, i, value, sizeof(value));
        if (settings.home[0] != '/')
            abort();
    } else if (!err.message[0]) {
        abort();
    }
    free(text);
    return 0;
}
