/* settings_rows.h - the settings one by one, for who shows, compares or documents them.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include "server/settings.h"

/* One row of the table, for `check-config` and the documentation test. */
typedef struct kv_setting_help {
    const char *section;
    const char *key;
    const char *value; /* default, "" for none */
    const char *meaning;
} kv_setting_help;

/* NULL past the last row. */
const kv_setting_help *kv_settings_help(unsigned row);
/* The same of what an [oidc.NAME] section may hold. */
const kv_setting_help *kv_settings_provider_help(unsigned row);
/* The effective value of that row as text; `out` is NUL-terminated. */
void kv_settings_value(const kv_settings *settings, unsigned row, char *out, size_t size);
void kv_settings_provider_value(const kv_oidc_settings *provider, unsigned row, char *out,
                                size_t size);

/* Have both the same value there? */
bool kv_settings_same(const kv_settings *a, const kv_settings *b, unsigned row);
/* Copies the value of one row. KV_BUSY when out of memory. */
kv_status kv_settings_keep(kv_settings *settings, const kv_settings *from, unsigned row,
                           kv_error *err) KV_MUST_USE;
/* The sections [oidc.NAME], which are no rows. */
bool kv_settings_same_providers(const kv_settings *a, const kv_settings *b);
