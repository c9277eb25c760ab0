/* separation.h - pairs of roles that nobody may hold in overlapping scopes.
 *
 * Threads: any; pure functions over a constant table.
 */
#pragma once

#include <stdbool.h>

#include "server/auth/caller.h"

typedef enum kv_separation {
    KV_SEPARATION_STRICT = 0, /* refuse */
    KV_SEPARATION_WARN,       /* allow, and say so in answer, audit record and log */
    KV_SEPARATION_OFF         /* development: every pair, and the role `administrator`, allowed */
} kv_separation;

/* Symmetric; false for a role and itself. */
bool kv_roles_exclude(kv_role a, kv_role b);
/* May the role be held and used at all in this mode? (`administrator` needs KV_SEPARATION_OFF.) */
bool kv_role_available(kv_role role, kv_separation mode);
/* The roles that `role` excludes; returns how many (at most KV_ROLE_COUNT). */
unsigned kv_role_excludes(kv_role role, kv_role out[KV_ROLE_COUNT]);
