/* house_disk.h - the disk under a house: a change can be said to have failed and stand all the
 * same.
 */
#pragma once

#include "tests/contract/vault/house.h"

/* What becomes of a change that is said to have failed. */
typedef enum house_doubt {
    HOUSE_NO_DOUBT,
    HOUSE_UNTOLD,   /* it was made: the answer was lost */
    HOUSE_UNSYNCED, /* it is in the file, but fsync() failed; the process goes on without it */
    HOUSE_UNSYNCED_KILLED /* the same, and the process is killed: the next one finds it */
} house_doubt;

/* The change after `changes - 1` more ones. After HOUSE_UNSYNCED_KILLED nothing can be stored any
 * more, while tokens go on: a restart finds what a kill would have left. */
void house_doubt_after(house *h, unsigned changes, house_doubt doubt);
/* Whether it came to that. */
bool house_doubted(const house *h);

/* --- for house.c --- */

/* Before the first store is opened. */
void house_disk_begin(void);
/* Makes the change, unless it is to be in doubt. */
kv_status house_disk_apply(house *h, kv_store *store, const kv_change *change,
                           kv_store_state *state, kv_error *err) KV_MUST_USE;
/* The database as it is, before anything is closed; and put back after that, if it was a kill. */
void house_disk_keep(house *h);
void house_disk_put_back(house *h);
