/* delivery_mail.c - a turn of one contact: what is due goes out in one mail.
 *
 * After an outage of ours or of the mail server's there is a lot to tell: it is told in one mail,
 * and the next one to this contact comes an interval later. What a person has to act on goes alone,
 * with the certificate request it is about.
 */
#include "server/base/text.h"
#include "server/notify/letters.h"
#include "server/notify/postman.h"
#include "server/vault/certificates/certificate_rules.h"
#include "server/vault/notices/contact_rules.h"
#include "server/vault/notices/delivery_rules.h"
#include "server/vault/operations/operation_rules.h"

enum { MAIL_MS = 30000, TOLD_MOST = 100, DELETED_WAIT_MS = 60 * 60 * 1000, REST_MS = 2000 };

typedef struct round {
    kv_vault_row vault_row;
    kv_slice target;
    kv_delivery_row *rows; /* waiting ones, by their time */
    unsigned count;        /* that are due and go together */
    bool more;
    kv_contact contact;
} round;

static kv_status waiting(kv_vault *vault, kv_work *work, round *at, int64_t *next_at, kv_error *err)
{
    kv_delivery_row from = { .target = at->target, .state = KV_DELIVERY_WAITING };
    kv_scan scan = {
        .table = &kv_table_deliveries, .index = 1, .prefix = 2, .from = &from, .limit = TOLD_MOST
    };
    kv_rows rows;

    KV_TRY(kv_records_scan(vault->config.records, &scan, work->arena, &rows, err));
    at->rows = rows.rows;
    at->count = 0;
    while (at->count < rows.count && at->rows[at->count].next_at <= work->now_ms)
        at->count++;
    at->more = rows.more && at->count == rows.count;
    *next_at = 0;
    if (rows.count && !at->count)
        *next_at = at->rows[0].next_at;
    return KV_OK;
}

/* False: not a contact any more. */
static kv_status find_contact(kv_vault *vault, kv_work *work, round *at, bool *found, kv_error *err)
{
    kv_contacts_row stored;
    kv_contacts contacts;
    bool exists = false;

    *found = false;
    KV_TRY(kv_contacts_find(vault, work, at->vault_row.uid, &stored, &exists, err));
    if (!exists)
        return KV_OK;
    KV_TRY(kv_contacts_of(work, &at->vault_row, &stored, &contacts, err));
    for (size_t i = 0; i < contacts.count && !*found; i++) {
        *found = kv_text_equal_nocase(contacts.items[i].email, at->rows[0].address);
        at->contact = contacts.items[i];
    }
    return KV_OK;
}

/* The first urgent one comes to the front and goes alone. */
static void choose(round *at)
{
    for (unsigned i = 0; i < at->count; i++) {
        kv_delivery_row urgent = at->rows[i];

        if (!kv_letter_urgent(urgent.type))
            continue;
        at->more = at->more || at->count > 1;
        at->rows[0] = urgent;
        at->count = 1;
        return;
    }
}

/* --- what it says --- */

static kv_status find_csr(kv_vault *vault, kv_work *work, const kv_delivery_row *row, kv_slice *der,
                          kv_error *err)
{
    kv_operation_row operation;
    bool exists = false;

    *der = KV_SLICE_NONE;
    KV_TRY(kv_operation_find(vault, work, row->object_uid, &operation, &exists, err));
    if (exists && kv_operation_in_progress(&operation))
        *der = operation.csr;
    return KV_OK;
}

static kv_status compose_one(kv_vault *vault, kv_work *work, round *at, kv_letter *mail,
                             kv_letter_attachment *attachment, kv_error *err)
{
    const kv_delivery_row *row = &at->rows[0];
    kv_letter_text words;

    if (kv_letter_urgent(row->type))
        KV_TRY(find_csr(vault, work, row, &attachment->body, err));
    KV_TRY(kv_letter_of_one(work->arena, row->body, attachment->body, &words, err));
    mail->subject = words.subject;
    mail->text = words.text;
    if (attachment->body.len)
        mail->attachment = attachment;
    return KV_OK;
}

static kv_status compose_many(kv_work *work, round *at, kv_letter *mail, kv_error *err)
{
    kv_slice *events = kv_arena_array(work->arena, at->count, sizeof(*events));
    kv_letter_text words;

    if (!events)
        return kv_arena_full(err);
    for (unsigned i = 0; i < at->count; i++)
        events[i] = at->rows[i].body;
    KV_TRY(kv_letter_of_many(work->arena, at->vault_row.display_name, events, at->count, 0, &words,
                             err));
    mail->subject = words.subject;
    mail->text = words.text;
    return KV_OK;
}

/* The same mail has the same id when a crash makes it go out again. */
static kv_status mail_id(kv_work *work, const round *at, kv_slice *out, kv_error *err)
{
    char digits[2 * KV_TARGET_BYTES + 1];

    kv_hex(at->target, digits);
    return kv_arena_print(work->arena, out, err, "evt.%lld.%u.%.16s",
                          (long long)at->rows[0].sequence, at->count, digits);
}

static kv_status send_mail(kv_vault *vault, kv_work *work, round *at, kv_error *err)
{
    kv_letter_attachment attachment = { .name = KV_SLICE("request.p10"),
                                        .type = KV_SLICE("application/pkcs10") };
    kv_letter mail = { .to = at->contact.email,
                       .to_name = at->contact.name,
                       .date_ms = work->now_ms };

    KV_TRY(mail_id(work, at, &mail.id, err));
    if (at->count == 1)
        KV_TRY(compose_one(vault, work, at, &mail, &attachment, err));
    else
        KV_TRY(compose_many(work, at, &mail, err));
    return kv_postman_send(vault->config.notify.postman, &mail, kv_deadline_in_ms(MAIL_MS),
                           work->arena, err);
}

/* --- what becomes of it --- */

static kv_status delivered(kv_vault *vault, kv_work *work, round *at, kv_error *err)
{
    kv_change change = { 0 };

    KV_TRY(kv_change_room(&change, work->arena, at->count, err));
    for (unsigned i = 0; i < at->count; i++)
        KV_TRY(kv_change_delete(&change, &kv_table_deliveries, &at->rows[i], err));
    return kv_commit_step(vault, work, "NotificationMail", &change, err);
}

static kv_status settle(kv_vault *vault, kv_work *work, round *at, kv_status sent, kv_error *err)
{
    kv_attempt attempt = { .for_good = sent == KV_BAD_REQUEST };

    KV_TRY(kv_arena_copy(work->arena, kv_slice_text(err->message), &attempt.why, err));
    *err = (kv_error){ 0 };
    for (unsigned i = 0; i < at->count; i++) {
        bool died;

        KV_TRY(kv_delivery_settle(vault, work, &at->rows[i], &attempt, &died, err));
    }
    kv_log_write(vault->config.log, KV_LOG_WARNING, "notification.mail_failed",
                 (kv_log_field[]){ { "why", (const char *)attempt.why.data, 0 },
                                   { "notices", NULL, at->count },
                                   { 0 } });
    return KV_OK;
}

static kv_status mail_round(kv_vault *vault, kv_work *work, round *at, kv_turn_end *end,
                            kv_error *err)
{
    kv_status sent;

    choose(at);
    work->entry->vault = at->vault_row.display_name;
    work->entry->collection = KV_SLICE("contacts");
    sent = send_mail(vault, work, at, err);
    if (sent == KV_CANCELLED || sent == KV_BUSY || sent == KV_INTERNAL)
        return sent;
    end->tried = true;
    end->trouble = sent != KV_OK;
    end->due_at = work->now_ms;
    end->not_before =
        work->now_ms + (sent == KV_OK ? vault->config.notify.mail_interval_ms : REST_MS);
    return sent == KV_OK ? delivered(vault, work, at, err) : settle(vault, work, at, sent, err);
}

static kv_status turn(kv_vault *vault, kv_work *work, kv_slice target, kv_turn_end *end,
                      kv_error *err)
{
    round at = { .target = target };
    bool found = false;
    kv_status status;

    *end = (kv_turn_end){ 0 };
    if (!vault->config.notify.postman)
        return KV_OK;
    KV_TRY(waiting(vault, work, &at, &end->due_at, err));
    if (!at.count)
        return KV_OK;
    status = kv_vault_by_uid(vault, work, at.rows[0].vault_uid, &at.vault_row, err);
    if (status == KV_NOT_FOUND)
        return kv_turn_throw_away(vault, work, target, end, err);
    KV_TRY(status);
    if (at.vault_row.deleted) {
        end->due_at = work->now_ms + DELETED_WAIT_MS;
        return KV_OK;
    }
    KV_TRY(find_contact(vault, work, &at, &found, err));
    if (!found)
        return kv_turn_throw_away(vault, work, target, end, err);
    return mail_round(vault, work, &at, end, err);
}

kv_status kv_vault_step_mail(kv_vault *vault, int64_t *next_at, kv_error *err)
{
    return kv_take_turn(vault, KV_CHANNEL_MAIL, turn, next_at, err);
}
