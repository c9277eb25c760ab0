/* delivery_rules.h - what files about deliveries share. Inner to vault.
 *
 * The change that passes the events' cursor makes a row for each endpoint and contact that an event
 * is for. Deliveries of one object to one target go in order: only the first is "waiting", those
 * behind it are "held" until it is delivered or dead. A row goes when it was delivered; one that
 * was tried too often stays as a dead letter.
 */
#pragma once

#include "server/vault/events/events.h"
#include "server/vault/messages/messages_notify.h"
#include "server/vault/notices/postbox.h"
#include "server/vault/vault_impl.h"

#define KV_DELIVERY_WAITING     KV_SLICE("waiting")
#define KV_DELIVERY_HELD        KV_SLICE("held")
#define KV_DELIVERY_DEAD        KV_SLICE("dead")
#define KV_CHANNEL_MAIL_NAME    KV_SLICE("mail")
#define KV_CHANNEL_WEBHOOK_NAME KV_SLICE("webhook")

/* The type of an event that only tries whether it arrives. */
#define KV_EVENT_TEST "KeyVault.Test"

/* The name of this consumer of events. */
#define KV_NOTIFY_CONSUMER "notify"

/* --- event_cloud.c --- */

/* The event as CloudEvents 1.0, JSON; `data` as Azure has it, and what else the event tells. */
kv_status kv_event_cloud(kv_vault *vault, kv_arena *arena, const kv_event_row *event, kv_slice id,
                         kv_slice *out, kv_error *err) KV_MUST_USE;

/* --- delivery_rows.c --- */

/* What stands for a contact: 16 bytes of a hash over vault and address in lower case. */
kv_status kv_contact_target(kv_work *work, kv_slice vault_uid, kv_slice address, kv_slice *out,
                            kv_error *err) KV_MUST_USE;
/* The waiting one of a target that is due first. */
kv_status kv_delivery_first(kv_vault *vault, kv_work *work, kv_slice target, kv_delivery_row *out,
                            bool *exists, kv_error *err) KV_MUST_USE;
/* Adds to the change that delivers or buries `row`: the next one of its object waits now. `next`
 * must live until the commit. */
kv_status kv_delivery_release(kv_vault *vault, kv_work *work, const kv_delivery_row *row,
                              kv_delivery_row *next, kv_change *change, kv_error *err) KV_MUST_USE;
/* With a vault that is purged. */
kv_status kv_deliveries_forget(kv_vault *vault, kv_work *work, kv_slice vault_uid,
                               kv_error *err) KV_MUST_USE;
/* Everything of one target, a step at a time; `*more`: call again. */
kv_status kv_deliveries_drop(kv_vault *vault, kv_work *step, kv_slice target, bool *more,
                             kv_error *err) KV_MUST_USE;

/* --- delivery_doctor.c --- */

struct kv_checks;

kv_status kv_deliveries_check(kv_vault *vault, struct kv_checks *checks, kv_error *err) KV_MUST_USE;

/* --- delivery_turn.c --- */

/* What became of one attempt. */
typedef struct kv_attempt {
    bool done;       /* it was delivered */
    bool for_good;   /* it never will be */
    int64_t wait_ms; /* at least so long until the next; 0: as usual */
    int status;
    kv_slice why;
} kv_attempt;

/* Writes it down: the row goes, moves, or becomes a dead letter (`*died`), and then the next one of
 * its object may go. When the row changed meanwhile, it is read again. */
kv_status kv_delivery_settle(kv_vault *vault, kv_work *work, const kv_delivery_row *row,
                             const kv_attempt *attempt, bool *died, kv_error *err) KV_MUST_USE;
/* When the next daily mail goes. */
int64_t kv_digest_at(int64_t now_ms, unsigned hour);

/* A turn of one target, with memory and a record of its own. */
typedef kv_status kv_turn(kv_vault *vault, kv_work *work, kv_slice target, kv_turn_end *end,
                          kv_error *err);
/* Takes the target whose turn it is, and gives it back. */
kv_status kv_take_turn(kv_vault *vault, kv_channel channel, kv_turn *turn, int64_t *next_at,
                       kv_error *err) KV_MUST_USE;
/* Nobody is to be told any more: what waits for the target goes. */
kv_status kv_turn_throw_away(kv_vault *vault, kv_work *work, kv_slice target, kv_turn_end *end,
                             kv_error *err) KV_MUST_USE;
