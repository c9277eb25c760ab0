/* policy.h - permissions and roles as data: what each is called, and which role has which.
 *
 * Threads: any; pure functions over constant tables.
 */
#pragma once

#include <stdbool.h>

#include "server/auth/caller.h"
#include "server/auth/permission.h"

/* "certificates/create", "secrets/getSecret", "keys/sign"; "" for values that no caller can hold
 * (KV_MAY_NOTHING, KV_MAY_BE_ANYONE, KV_MAY_BE_PROVED, KV_MAY_BE_KNOWN, KV_PERMISSION_COUNT).
 * One of a row only is spelled as the one of the two that most who are refused lack. */
const char *kv_permission_name(kv_permission permission);
/* Does it stand for either of two others, in rows of the table of routes only? */
bool kv_permission_of_row_only(kv_permission permission);

/* Exact. KV_MAY_NOTHING when no caller can hold one of that name. */
kv_permission kv_permission_find(kv_slice name);

/* "crypto-user"; "" for KV_ROLE_NONE and values out of range. */
const char *kv_role_name(kv_role role);
/* Exact, lower case. KV_ROLE_NONE when there is no such role. */
kv_role kv_role_find(kv_slice name);

/* Does the role hold the permission? False for KV_MAY_NOTHING, KV_MAY_BE_ANYONE, KV_MAY_BE_KNOWN
 * with every role. One of a row only: either of the two permissions it stands for. */
bool kv_role_may(kv_role role, kv_permission permission);
