/* settings_rows.c - the settings one by one. */
#include "server/settings_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/settings_table.h"

kv_status kv_setting_set_text(void *base, const kv_setting_row *row, const char *value,
                              kv_error *err)
{
    char *copy = strdup(value);

    if (!copy)
        return kv_fail(err, KV_BUSY, "out of memory");
    free(*kv_setting_text(base, row));
    *kv_setting_text(base, row) = copy;
    return KV_OK;
}

const kv_setting_help *kv_settings_help(unsigned row)
{
    return row < kv_setting_row_count ? &kv_setting_rows[row].help : NULL;
}

const kv_setting_help *kv_settings_provider_help(unsigned row)
{
    return row < kv_provider_row_count ? &kv_provider_rows[row].help : NULL;
}

static void print_value(const void *base, const kv_setting_row *at, char *out, size_t size)
{
    void *readable = (void *)(uintptr_t)base;

    if (at->kind == KV_SETTING_NUMBER)
        (void)snprintf(out, size, "%lld", (long long)*kv_setting_number(readable, at));
    else
        (void)snprintf(out, size, "%s", *kv_setting_text(readable, at));
}

void kv_settings_value(const kv_settings *settings, unsigned row, char *out, size_t size)
{
    print_value(settings, &kv_setting_rows[row], out, size);
}

void kv_settings_provider_value(const kv_oidc_settings *provider, unsigned row, char *out,
                                size_t size)
{
    print_value(provider, &kv_provider_rows[row], out, size);
}

static bool same(const void *a, const void *b, const kv_setting_row *row)
{
    void *one = (void *)(uintptr_t)a, *other = (void *)(uintptr_t)b;

    if (row->kind == KV_SETTING_NUMBER)
        return *kv_setting_number(one, row) == *kv_setting_number(other, row);
    return !strcmp(*kv_setting_text(one, row), *kv_setting_text(other, row));
}

bool kv_settings_same(const kv_settings *a, const kv_settings *b, unsigned row)
{
    return same(a, b, &kv_setting_rows[row]);
}

kv_status kv_settings_keep(kv_settings *settings, const kv_settings *from, unsigned row,
                           kv_error *err)
{
    const kv_setting_row *at = &kv_setting_rows[row];
    void *readable = (void *)(uintptr_t)from;

    if (at->kind != KV_SETTING_NUMBER)
        return kv_setting_set_text(settings, at, *kv_setting_text(readable, at), err);
    *kv_setting_number(settings, at) = *kv_setting_number(readable, at);
    return KV_OK;
}

bool kv_settings_same_providers(const kv_settings *a, const kv_settings *b)
{
    bool equal = a->oidc_count == b->oidc_count;

    for (unsigned i = 0; equal && i < a->oidc_count; i++) {
        equal = !strcmp(a->oidc[i].name, b->oidc[i].name);
        for (unsigned k = 0; equal && k < kv_provider_row_count; k++)
            equal = same(&a->oidc[i], &b->oidc[i], &kv_provider_rows[k]);
    }
    return equal;
}
