/* access_work.h - what a call brings to the operations of access.h. */
#pragma once

#include <stdint.h>

#include "server/auth/caller.h"
#include "server/base/arena.h"
#include "server/store/store.h"

struct kv_auth;

/* How a change reaches the store: the layer above fills change->pending (the audit record), seals
 * and applies. It must not change the order or the rows of the operations already there.
 * Called once per attempt; after KV_CONFLICT or KV_EXISTS it may be called again. */
typedef struct kv_commit {
    kv_status (*commit)(void *context, kv_change *change, kv_error *err);
    void *context; /* borrowed */
} kv_commit;

/* Sentences for the caller: pairs of roles that only `separation_of_duty = warn` lets pass. */
enum { KV_WARNINGS_MAX = 8 };
typedef struct kv_warnings {
    kv_slice items[KV_WARNINGS_MAX];
    unsigned count;
} kv_warnings;

/* Who changes, when, and how. Borrowed for the call. */
typedef struct kv_access_work {
    struct kv_auth *auth;
    const kv_caller *caller;
    int64_t now_ms;
    kv_arena *arena;
    kv_commit commit;
    kv_warnings *warnings; /* filled before the commit; NULL: nobody asks */
} kv_access_work;

typedef struct kv_access_page {
    kv_slice token; /* empty: from the start; else `next` of the page before */
    unsigned size;  /* 0: KV_ACCESS_PAGE_DEFAULT; at most KV_ACCESS_PAGE_MAX */
} kv_access_page;
