/* messages_events.h - listing and watching events. */
#pragma once

#include "server/vault/events/event_kinds.h"
#include "server/vault/messages/messages_common.h"

enum { KV_HEARTBEAT_MAX_S = 300 };

/* In both, target.vault, .collection and .name are filters. */
typedef struct kv_event_list_in {
    kv_target target;
    uint32_t types; /* 1 << kv_event_type; 0: all */
    int64_t from_ms;
    kv_page page;
} kv_event_list_in;

typedef struct kv_event_list {
    const kv_event_row **events;
    size_t count;
    kv_slice next_page_token; /* empty: that was all */
    int64_t cursor;
} kv_event_list;

typedef struct kv_event_watch_in {
    kv_target target;
    uint32_t types;
    bool has_after; /* false: from now */
    int64_t after;
    uint32_t heartbeat_seconds; /* 0: the default */
} kv_event_watch_in;

/* One message of the stream. */
typedef struct kv_event_message {
    int64_t cursor;
    const kv_event_row *event; /* NULL: a heartbeat */
} kv_event_message;
