/* settings_table.h - every setting as a row: what it is called, where its value goes, what it may
 * be. Inner to the settings.
 */
#pragma once

#include "server/settings.h"
#include "server/settings_rows.h"

typedef enum kv_setting_kind {
    KV_SETTING_TEXT,
    KV_SETTING_PATH,
    KV_SETTING_NUMBER,
    KV_SETTING_CHOICE
} kv_setting_kind;

typedef struct kv_setting_row {
    kv_setting_help help;
    kv_setting_kind kind;
    size_t offset;
    int64_t least;
    int64_t most;
    const char *choices; /* "strict|off": the first sets a bool to true; text keeps the word */
} kv_setting_row;

enum { KV_SETTING_ROWS_MAX = 256, KV_PROVIDER_ROWS_MAX = 32 };

/* Of kv_settings, and of kv_oidc_settings. */
extern const kv_setting_row kv_setting_rows[];
extern const size_t kv_setting_row_count;
extern const kv_setting_row kv_provider_rows[];
extern const size_t kv_provider_row_count;

/* Where a row's value is, in the struct that it is of. */
static inline char **kv_setting_text(void *base, const kv_setting_row *row)
{
    return (char **)(void *)((char *)base + row->offset);
}

static inline int64_t *kv_setting_number(void *base, const kv_setting_row *row)
{
    return (int64_t *)(void *)((char *)base + row->offset);
}

/* Copies the text over what was there. KV_BUSY when out of memory. */
kv_status kv_setting_set_text(void *base, const kv_setting_row *row, const char *value,
                              kv_error *err) KV_MUST_USE;
