/* schema_renewals.h - what is to be renewed, and when. Through schema.h. */
#pragma once

#include "server/store/table.h"

/* Of a certificate whose policy has it renewed; kept by the change that makes a version. */
typedef struct kv_renewal_row {
    kv_row_head head;
    kv_slice object_uid; /* key */
    kv_slice vault_uid;
    kv_slice version; /* the one that is to be followed */
    int64_t due_at;   /* when to begin, or to look again */
    int64_t attempts; /* begun for this version */
} kv_renewal_row;

extern const kv_table kv_table_renewals;
