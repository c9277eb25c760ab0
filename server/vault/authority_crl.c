/* authority_crl.c - certificates are revoked, and the lists that say so. */
#include "server/base/text.h"
#include "server/vault/authority_rules.h"
#include "server/vault/objects.h"
#include "server/vault/operations.h"
#include "server/vault/own_step.h"
#include "server/x509/crl.h"
#include "server/x509/inspect.h"

enum {
    TRIES = 5,        /* against others who revoke at the same time */
    PER_SCAN = 500,   /* rows of revoked certificates */
    ENTRIES = 100000, /* of a list */
    LIST_ARENA_BYTES = 64 << 20
};

static const int64_t hour_ms = INT64_C(3600000);

static kv_status get_list(kv_vault *vault, kv_work *work, const kv_authority_row *authority,
                          kv_crl_row *out, kv_error *err)
{
    *out = (kv_crl_row){ .authority_uid = authority->uid };
    return kv_records_get(vault->config.records, &kv_table_crls, out, work->arena, err);
}

/* --- a new list --- */

/* What has expired stands on one more list after that, as RFC 5280 asks, and then on none. */
static kv_status take_rows(kv_work *work, const kv_rows *rows, const kv_crl_row *list,
                           kv_x509_revoked *entries, size_t *count, kv_error *err)
{
    const kv_issued_row *found = rows->rows;

    for (unsigned i = 0; i < rows->count; i++) {
        if (found[i].not_after && found[i].not_after < list->this_update)
            continue;
        if (*count == ENTRIES)
            return kv_fail(err, KV_BUSY, "a revocation list has at most %d entries", ENTRIES);
        entries[*count] = (kv_x509_revoked){ .revoked_ms = found[i].revoked,
                                             .reason = (int)found[i].reason,
                                             .invalid_since = found[i].invalid_since };
        KV_TRY(kv_arena_copy(work->arena, found[i].serial, &entries[(*count)++].serial, err));
    }
    return KV_OK;
}

static kv_status collect(kv_vault *vault, kv_work *work, const kv_crl_row *list,
                         kv_x509_crl_build *out, kv_error *err)
{
    kv_x509_revoked *entries = kv_arena_array(work->arena, ENTRIES, sizeof(*entries));
    kv_issued_row from = { .authority_uid = list->authority_uid, .state = KV_ISSUED_REVOKED };
    kv_scan scan = {
        .table = &kv_table_issued, .index = 2, .prefix = 2, .from = &from, .limit = PER_SCAN
    };
    size_t count = 0;
    bool more = true;

    if (!entries)
        return kv_arena_full(err);
    while (more) {
        KV_AUTO(kv_arena) page = KV_ARENA(KV_STEP_ARENA_BYTES);
        kv_rows rows;

        KV_TRY(kv_records_scan(vault->config.records, &scan, &page, &rows, err));
        KV_TRY(take_rows(work, &rows, list, entries, &count, err));
        more = rows.more && rows.count;
        if (more)
            KV_TRY(kv_arena_copy(work->arena,
                                 ((const kv_issued_row *)rows.rows)[rows.count - 1].serial,
                                 &from.serial, err));
        scan.after = true;
    }
    out->revoked = entries;
    out->count = count;
    return KV_OK;
}

static kv_status publish(kv_vault *vault, kv_work *work, const kv_authority_row *authority,
                         kv_error *err)
{
    kv_x509_crl_build build = { .issuer = authority->certificate,
                                .now_ms = work->now_ms,
                                .next_ms = work->now_ms + authority->crl_hours * hour_ms };
    kv_change number = { 0 };
    kv_change made = { 0 };
    kv_authority_key key;
    kv_crl_row list;

    KV_TRY(kv_authority_can_sign(vault, authority, err));
    KV_TRY(get_list(vault, work, authority, &list, err));
    list.number++;
    list.owed = 1;
    KV_TRY(kv_change_update(&number, &kv_table_crls, &list, err));
    KV_TRY(kv_commit_step(vault, work, "CertificateRevocationListBegin", &number, err));
    KV_TRY(kv_authority_signer(vault, authority, &key, &build.signer, err));
    KV_TRY(collect(vault, work, &list, &build, err));
    build.number = (uint64_t)list.number;
    KV_TRY(kv_x509_crl_build_der(work->arena, &build, &list.der, err));
    list.this_update = build.now_ms;
    list.next_update = build.next_ms;
    list.owed = 0;
    KV_TRY(kv_change_update(&made, &kv_table_crls, &list, err));
    return kv_commit_step(vault, work, "CertificateRevocationListPublish", &made, err);
}

kv_status kv_crl_publish(kv_vault *vault, kv_work *work, const kv_authority_row *authority,
                         kv_error *err)
{
    kv_status status = KV_CONFLICT;

    for (int i = 0; i < TRIES && status == KV_CONFLICT; i++) {
        KV_AUTO(kv_arena) arena = KV_ARENA(LIST_ARENA_BYTES);
        kv_work step = kv_step_of(work, &arena);

        *err = (kv_error){ 0 };
        step.now_ms = kv_clock_now_ms(vault->config.clock);
        status = publish(vault, &step, authority, err);
    }
    return status;
}

void kv_crl_try(kv_vault *vault, kv_work *work, const kv_authority_row *authority)
{
    kv_error why = { 0 };

    if (authority->certificate.len && kv_crl_publish(vault, work, authority, &why) != KV_OK)
        kv_log_write(vault->config.log, KV_LOG_WARNING, "crl.later",
                     (kv_log_field[]){ { "why", why.message, 0 }, { 0 } });
    kv_responder_try(vault, work, authority);
}

void kv_responder_try(kv_vault *vault, kv_work *work, const kv_authority_row *authority)
{
    kv_error why = { 0 };

    if (kv_responder_ensure(vault, work, authority, &why) != KV_OK)
        kv_log_write(vault->config.log, KV_LOG_WARNING, "ocsp.responder_later",
                     (kv_log_field[]){ { "why", why.message, 0 }, { 0 } });
}

/* --- revocation --- */

static kv_status find_issued(kv_vault *vault, kv_work *work, const kv_authority_row *authority,
                             kv_slice text, kv_issued_row *out, kv_error *err)
{
    uint8_t *serial = kv_arena_alloc(work->arena, KV_X509_SERIAL_BYTES);
    kv_status status = KV_NOT_FOUND;

    if (!serial)
        return kv_arena_full(err);
    if (!text.len || text.len > 40 || text.len % 2)
        return kv_fail_field(err, "serial", "must be hexadecimal, two digits a byte");
    *out = (kv_issued_row){ .authority_uid = authority->uid };
    if (text.len == 2 * KV_X509_SERIAL_BYTES) {
        if (!kv_unhex(text, serial, KV_X509_SERIAL_BYTES))
            return kv_fail_field(err, "serial", "must be hexadecimal, two digits a byte");
        out->serial = kv_slice_of(serial, KV_X509_SERIAL_BYTES);
        status = kv_records_get(vault->config.records, &kv_table_issued, out, work->arena, err);
    }
    if (status == KV_NOT_FOUND ||
        (status == KV_OK && kv_slice_equal(out->state, KV_ISSUED_RESERVED)))
        return kv_fail(err, KV_NOT_FOUND, "this authority issued no such certificate");
    return status;
}

static bool known_reason(int reason)
{
    return reason >= 0 && reason <= 9 && reason != 6 && reason != 7 && reason != 8;
}

/* `*again`: it was revoked before. */
static kv_status revoke(kv_vault *vault, kv_work *work, const kv_authority_revoke_in *in,
                        const kv_authority_row *authority, kv_issued_row *row, bool *again,
                        kv_error *err)
{
    kv_change change = { 0 };
    kv_crl_row list;

    KV_TRY(find_issued(vault, work, authority, in->serial, row, err));
    *again = kv_slice_equal(row->state, KV_ISSUED_REVOKED);
    if (*again)
        return KV_OK;
    row->state = KV_ISSUED_REVOKED;
    row->revoked = work->now_ms;
    row->reason = in->reason;
    row->invalid_since = in->invalid_since;
    KV_TRY(get_list(vault, work, authority, &list, err));
    list.owed = 1;
    KV_TRY(kv_change_update(&change, &kv_table_issued, row, err));
    KV_TRY(kv_change_update(&change, &kv_table_crls, &list, err));
    return kv_commit_change(vault, work, &change, err);
}

kv_status kv_authority_revoke(kv_vault *vault, kv_work *work, const kv_authority_revoke_in *in,
                              kv_revoked_bundle *out, kv_error *err)
{
    kv_status status = KV_CONFLICT;
    kv_authority_row authority;
    kv_issued_row row;
    kv_crl_row list;
    kv_slice serial;
    bool again = false;

    KV_TRY(kv_authority_find(vault, work, &in->target, NULL, &authority, err));
    KV_TRY(kv_text_lower(work->arena, in->serial, &serial, err));
    if (serial.len == 2 * KV_X509_SERIAL_BYTES)
        work->entry->version = serial;
    if (!known_reason(in->reason))
        return kv_fail_field(err, "reason", "is not one of the enumeration");
    if (in->invalid_since > work->now_ms)
        return kv_fail_field(err, "invalidity_date", "must not be in the future");
    for (int i = 0; i < TRIES && status == KV_CONFLICT; i++) {
        *err = (kv_error){ 0 };
        status = revoke(vault, work, in, &authority, &row, &again, err);
    }
    KV_TRY(kv_lost_race(status, err));
    KV_TRY(get_list(vault, work, &authority, &list, err));
    if (list.owed) {
        kv_crl_try(vault, work, &authority);
        KV_TRY(get_list(vault, work, &authority, &list, err));
    }
    *out = (kv_revoked_bundle){ .serial = serial,
                                .revoked = row.revoked,
                                .reason = (int)row.reason,
                                .crl_number = (uint64_t)list.number,
                                .on_crl = !list.owed };
    return KV_OK;
}

kv_status kv_authority_crl_get(kv_vault *vault, kv_work *work, const kv_authority_crl_in *in,
                               kv_crl_bundle *out, kv_error *err)
{
    kv_authority_row authority;
    kv_crl_row list;

    KV_TRY(kv_authority_find(vault, work, &in->target, NULL, &authority, err));
    KV_TRY(get_list(vault, work, &authority, &list, err));
    if (!list.der.len)
        return kv_fail(err, KV_PRECONDITION, "there is no revocation list yet");
    *out = (kv_crl_bundle){ .crl = list.der,
                            .number = (uint64_t)list.number,
                            .this_update = list.this_update,
                            .next_update = list.next_update };
    return KV_OK;
}

/* --- the keeper's chore --- */

static kv_status publish_if_due(kv_vault *vault, kv_own_step *at, void *row, void *context,
                                kv_error *err)
{
    const kv_crl_row *list = row;
    bool due = list->owed || at->work.now_ms >= (list->this_update + list->next_update) / 2;
    unsigned *made = context;
    kv_authority_row authority;
    kv_x509_facts facts;
    bool exists = false;

    KV_TRY(kv_authority_look_up(vault, &at->work, list->vault_uid, list->authority, &authority,
                                &exists, err));
    if (!exists || !authority.certificate.len)
        return KV_OK;
    KV_TRY(kv_x509_inspect(&at->arena, authority.certificate, &facts, err));
    if (facts.not_after_ms <= at->work.now_ms)
        return KV_OK;
    /* One that cannot must not stop the others. */
    if (!due) {
        kv_responder_try(vault, &at->work, &authority);
        return KV_OK;
    }
    kv_crl_try(vault, &at->work, &authority);
    (*made)++;
    return KV_OK;
}

kv_status kv_vault_crls_due(kv_vault *vault, unsigned *made, kv_error *err)
{
    *made = 0;
    return kv_each_row(vault, &kv_table_crls, publish_if_due, made, err);
}
