/* role_choice.h - which roles, where, a call is best made with.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/methods.h"

enum { KV_ROLES_MAX = 8, KV_ROLE_REQUEST_BYTES = KV_SCOPE_BYTES + 128 };

/* A role that the caller holds. */
typedef struct kv_held_role {
    int role;
    char scope[KV_SCOPE_BYTES]; /* lower case */
} kv_held_role;

/* What a role token is asked for. */
typedef struct kv_role_choice {
    int roles[KV_ROLES_MAX];
    size_t count;
    char scope[KV_SCOPE_BYTES];
} kv_role_choice;

/* All roles held that cover `target`, and the narrowest scope in which all of them are held. Only
 * those in `wanted`, unless there are none. False when no role covers the target. */
bool kv_role_choose(const kv_held_role *held, size_t held_count, const int *wanted,
                    size_t wanted_count, const char *target, kv_role_choice *out);

/* The IssueRoleTokenRequest for it, for so many seconds (0: the server's default); its length. */
size_t kv_role_choice_pack(const kv_role_choice *choice, uint32_t seconds,
                           uint8_t out[KV_ROLE_REQUEST_BYTES]);

bool kv_role_choice_equal(const kv_role_choice *a, const kv_role_choice *b);
