/* records_impl.h - what the files of kv_records share. Inner to them. */
#pragma once

#include <stdatomic.h>

#include "server/store/records.h"
#include "server/store/seal.h"
#include "server/store/verified.h"

enum { KV_INSTANCE_BYTES = 16 };

typedef struct kv_watch_entry {
    kv_records_watcher *watcher;
    void *context; /* borrowed */
} kv_watch_entry;

struct kv_records {
    kv_records_config config;
    uint8_t instance[KV_INSTANCE_BYTES];
    kv_seal_checker *checker;
    kv_verified *verified; /* borrowed; NULL: rows are not looked up in the digest */
    atomic_bool stopping;
    _Atomic int64_t quiet_until_us;  /* of rows that are passed over */
    _Atomic int64_t last_generation; /* the largest given out by this process */
    kv_pending_mac pending_mac;
    unsigned watch_count;
    kv_watch_entry watches[KV_WATCHERS];
};

/* Tells the operator; the caller only learns that something is wrong inside. */
kv_status kv_records_alarm(kv_records *records, kv_status status, const kv_error *err);
/* Is it a row that the scan asked for, with a good seal? */
kv_status kv_records_check_found(kv_records *records, const kv_scan *scan, const void *row,
                                 kv_error *err);
