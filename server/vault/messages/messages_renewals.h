/* messages_renewals.h - renewals of many certificates. target.vault may be empty: all vaults. */
#pragma once

#include "server/vault/messages/messages_common.h"

enum {
    KV_FORECAST_HOURS = 720,
    KV_FORECAST_HOURS_MAX = 2160,
    KV_RENEW_ALL_SPREAD_S = 24 * 60 * 60,
    KV_RENEW_ALL_SPREAD_MAX_S = 30 * 24 * 60 * 60
};

typedef kv_list_in kv_inventory_list_in;

typedef struct kv_inventory_item {
    kv_object_id id;
    bool enabled;
    int64_t expires;
    kv_slice subject;
    kv_slice authority;
    kv_slice issuer;
    int64_t next_renewal;
    int64_t waiting; /* kv_waiting */
    int64_t attempts;
    kv_slice status;
    kv_slice error;
    int64_t updated;
    kv_tags tags;
    bool key_known_outside;
    int64_t suggested_from; /* 0: nothing is suggested */
    int64_t suggested_until;
    kv_slice explanation; /* URL; may be empty */
} kv_inventory_item;

typedef struct kv_inventory_page {
    const kv_inventory_item *items;
    size_t count;
    kv_slice next_page_token;
} kv_inventory_page;

typedef struct kv_forecast_get_in {
    kv_target target;
    kv_slice token;
    uint32_t hours;
} kv_forecast_get_in;

typedef struct kv_forecast {
    int64_t from;
    const uint32_t *renewals;
    size_t hours;
    kv_slice next_page_token;
} kv_forecast;

typedef struct kv_renew_all_in {
    kv_target target;
    uint32_t spread_seconds;
} kv_renew_all_in;

typedef struct kv_renewed_all {
    uint32_t count;
} kv_renewed_all;
