/* event_rules.h - what files about events share. Inner to vault. */
#pragma once

#include "server/vault/events/event_outbox.h"
#include "server/vault/events/events.h"
#include "server/vault/vault_impl.h"

/* The consumer whose cursor is the last event that was swept. No name that others may have. */
#define KV_EVENTS_SWEPT "_swept"

/* `*out` is new (generation 0) when there is no such consumer. (event_read.c) */
kv_status kv_event_consumer_find(kv_vault *vault, kv_arena *arena, const char *name,
                                 kv_event_consumer_row *out, kv_error *err) KV_MUST_USE;
/* Adds to the change that makes a version current or alters it: when its end is announced.
 * (expiry_due.c) */
kv_status kv_expiry_keep(kv_vault *vault, kv_work *work, const kv_event_version *about,
                         kv_change *change, kv_error *err) KV_MUST_USE;
/* Adds to the change of a certificate's policy: its end may be announced at another moment.
 * (expiry_due.c) */
kv_status kv_expiry_policy_altered(kv_vault *vault, kv_work *work,
                                   const kv_certificate_version_row *current,
                                   const kv_x509_policy *policy, kv_change *change,
                                   kv_error *err) KV_MUST_USE;
/* The policy's moment for that version. (expiry_due.c) */
int64_t kv_expiry_asked_of(const kv_x509_policy *policy, const kv_certificate_version_row *version);
/* Adds to the change that stores an operation: it has failed, or waits for somebody. Nothing in any
 * other state. (event_make.c) */
kv_status kv_event_operation(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                             const kv_object_row *object, const kv_operation_row *operation,
                             kv_change *change, kv_error *err) KV_MUST_USE;
/* The cause of a failed renewal: "renewal", or "renewal-again" when more than one attempt has been
 * made for the version. (event_make.c) */
kv_slice kv_event_renewal_cause(int64_t attempts);
/* Where `disabled`: the change does it to that key. (event_make.c) */
kv_status kv_event_key_disabled(kv_work *work, const kv_event_version *about, bool disabled,
                                kv_change *change, kv_error *err) KV_MUST_USE;
/* Adds to a change that removes events: everything up to there is gone. (event_read.c) */
kv_status kv_event_swept(kv_vault *vault, kv_work *work, int64_t sequence, kv_change *change,
                         kv_error *err) KV_MUST_USE;
/* The facts of a version as an event has them; type and time aside. (event_make.c) */
kv_event_row kv_event_of_version(const kv_event_version *about, const char *cause);
