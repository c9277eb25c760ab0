/* refusals.c - a bounded table, so that a flood of strangers cannot grow anything. */
#include "server/audit/refusals.h"

#include <stdio.h>

/* "192.0.2.1:5555" and "[2001:db8::1]:5555" without the port; anything else as it is. */
static kv_slice without_port(kv_slice peer)
{
    for (size_t i = peer.len; i > 0; i--) {
        if (peer.data[i - 1] == ']')
            return kv_slice_of(peer.data, i);
        if (peer.data[i - 1] == ':')
            return kv_slice_of(peer.data, i - 1);
    }
    return peer;
}

static uint32_t hash_of(const kv_refusal *refusal)
{
    uint32_t hash = 2166136261u;

    for (const char *at = refusal->peer; *at; at++)
        hash = (hash ^ (uint8_t)*at) * 16777619u;
    for (size_t i = 0; i < sizeof(refusal->principal_id); i++)
        hash = (hash ^ refusal->principal_id[i]) * 16777619u;
    hash = (hash ^ (uint8_t)refusal->status) * 16777619u;
    return (hash ^ (uint8_t)refusal->reason) * 16777619u;
}

static bool alike(const kv_refusal *a, const kv_refusal *b)
{
    return a->status == b->status && a->reason == b->reason &&
           a->has_principal == b->has_principal &&
           kv_slice_equal(kv_slice_of(a->principal_id, sizeof(a->principal_id)),
                          kv_slice_of(b->principal_id, sizeof(b->principal_id))) &&
           strcmp(a->peer, b->peer) == 0;
}

/* The place of its like, or a new one. */
static kv_refusal *place(kv_refusals *refusals, const kv_refusal *refusal)
{
    uint32_t slot = hash_of(refusal) % KV_REFUSAL_SLOTS;
    kv_refusal *overflow = &refusals->list[KV_REFUSALS];

    for (; refusals->slots[slot] != 0; slot = (slot + 1) % KV_REFUSAL_SLOTS)
        if (alike(&refusals->list[refusals->slots[slot] - 1], refusal))
            return &refusals->list[refusals->slots[slot] - 1];
    if (refusals->count < KV_REFUSALS) {
        refusals->list[refusals->count] = *refusal;
        refusals->slots[slot] = (uint16_t)++refusals->count;
        return &refusals->list[refusals->count - 1];
    }
    if (!refusals->overflowed) {
        *overflow = *refusal;
        (void)snprintf(overflow->peer, sizeof(overflow->peer), "*");
        overflow->has_principal = false;
        refusals->overflowed = true;
    }
    return overflow;
}

void kv_refusals_add(kv_refusals *refusals, const kv_audit_entry *entry)
{
    kv_slice peer = without_port(entry->peer);
    kv_refusal refusal = { .operation = entry->operation,
                           .status = entry->status,
                           .reason = entry->reason,
                           .time_ms = entry->time_ms };

    refusal.has_principal = entry->has_principal;
    if (entry->has_principal)
        memcpy(refusal.principal_id, entry->principal_id, sizeof(refusal.principal_id));
    memcpy(refusal.request_id, entry->request_id, sizeof(refusal.request_id));
    if (peer.len >= sizeof(refusal.peer))
        peer.len = sizeof(refusal.peer) - 1;
    if (peer.len > 0)
        memcpy(refusal.peer, peer.data, peer.len);
    place(refusals, &refusal)->count += entry->count ? entry->count : 1;
}
