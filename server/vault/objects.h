/* objects.h - what keys, secrets and certificates do alike: listing, deletion, purge. Inner to
 * vault.
 */
#pragma once

#include "server/vault/messages/messages_common.h"
#include "server/vault/vault_impl.h"

/* The same work with other memory: an operation of any number of steps gives each an arena of its
 * own. What a step leaves in work->entry must not live there. */
enum { KV_STEP_ARENA_BYTES = 8 << 20 };
static inline kv_work kv_step_of(const kv_work *work, kv_arena *arena)
{
    kv_work step = *work;

    step.arena = arena;
    return step;
}

/* Adds to a change that takes away the last use of a key: the key is to go. After the commit
 * kv_destroy_key() does it, or else reconciliation. `row` must live until the commit. (births.c) */
kv_status kv_change_doom(kv_vault *vault, kv_work *work, kv_slice key_id, kv_token_object_row *row,
                         kv_change *change, kv_error *err) KV_MUST_USE;

/* Fills one line of a list from an object and its version. */
typedef kv_status kv_item_fill(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                               const kv_object_row *object, kv_slice version, kv_object_item *out,
                               kv_error *err);

/* One page of the names of a collection, live or deleted ones. A page may be empty and still have a
 * next one. */
kv_status kv_list_objects(kv_vault *vault, kv_work *work, const kv_list_in *in, bool deleted,
                          kv_item_fill *fill, kv_object_list *out, kv_error *err) KV_MUST_USE;
/* One page of the versions of a name, in the order of their version texts; `table` is one of the
 * three version tables. */
kv_status kv_list_versions(kv_vault *vault, kv_work *work, const kv_list_in *in,
                           const kv_table *table, kv_item_fill *fill, kv_object_list *out,
                           kv_error *err) KV_MUST_USE;

/* KV_PRECONDITION with KV_REASON_MANAGED for a key or secret that belongs to a certificate. */
kv_status kv_refuse_managed(const kv_object_row *object, const char *verb,
                            kv_error *err) KV_MUST_USE;

/* Deletes the target (and with a certificate its key and secret): `*object` is the row after. */
kv_status kv_delete_object(kv_vault *vault, kv_work *work, const kv_target *target,
                           kv_vault_row *vault_row, kv_object_row *object,
                           kv_error *err) KV_MUST_USE;
kv_status kv_recover_object(kv_vault *vault, kv_work *work, const kv_target *target,
                            kv_vault_row *vault_row, kv_object_row *object,
                            kv_error *err) KV_MUST_USE;
/* Purges a deleted target for ever: marks it, destroys its keys on the token, removes its rows. */
kv_status kv_purge_object(kv_vault *vault, kv_work *work, const kv_target *target,
                          kv_error *err) KV_MUST_USE;
/* The part after the mark; also what reconciliation calls for a purge that a crash interrupted. */
kv_status kv_finish_purge(kv_vault *vault, kv_work *work, kv_object_row *object,
                          kv_error *err) KV_MUST_USE;

/* The object a new version goes to: `*exists` tells whether the row is there. KV_EXISTS with
 * KV_REASON_SOFT_DELETED when the name is taken by a deleted one; KV_PRECONDITION with
 * KV_REASON_MANAGED when it belongs to a certificate. A new row is filled but not stored. */
kv_status kv_object_for_version(kv_vault *vault, kv_work *work, const kv_target *target,
                                kv_vault_row *vault_row, kv_object_row *object, bool *exists,
                                kv_error *err) KV_MUST_USE;
/* After a new object was stored: a purge of its vault that began meanwhile marked the vault first
 * and looks for objects then, so either it finds this one, or the mark is found here and the object
 * goes again: KV_NOT_FOUND. */
kv_status kv_object_keep(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                         kv_object_row *object, kv_error *err) KV_MUST_USE;
/* Adds the object row (inserted or updated, `current` set) to a change. */
kv_status kv_change_object(kv_change *change, kv_object_row *object, bool exists, kv_slice version,
                           kv_error *err) KV_MUST_USE;
/* Errors of a lost race, told to the caller: "changed meanwhile". */
kv_status kv_lost_race(kv_status status, kv_error *err) KV_MUST_USE;
/* For operations that leave more behind than their one change, a key on a token above all, so that
 * they cannot simply run again (`repeats` in server/routes.c): is the change to be made again, with
 * the rows as they are now? `*races` counts; then `*err` is empty. Not past KV_RACES, and not when
 * a call with the same idempotency key came first, whose answer is given. */
enum { KV_RACES = 4 };
bool kv_race_again(const kv_work *work, kv_status status, unsigned *races,
                   kv_error *err) KV_MUST_USE;
