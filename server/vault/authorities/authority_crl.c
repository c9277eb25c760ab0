/* authority_crl.c - certificates are revoked, and the lists that say so. */
#include "server/base/text.h"
#include "server/vault/authorities/authority_keys.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operations.h"
#include "server/vault/own_step.h"
#include "server/x509/crl.h"
#include "server/x509/inspect.h"

enum {
    TRIES = 5,          /* against others who revoke at the same time */
    PER_SCAN = 500,     /* rows of revoked certificates */
    RESPONDERS_MAX = 8, /* certificates of responders that are valid at once */
    ENTRIES = 100000,   /* of a list */
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

static kv_status collect_of(kv_vault *vault, kv_work *work, kv_slice authority_uid,
                            const kv_crl_row *list, kv_x509_revoked *entries, size_t *count,
                            kv_error *err)
{
    kv_issued_row from = { .authority_uid = authority_uid, .state = KV_ISSUED_REVOKED };
    kv_scan scan = {
        .table = &kv_table_issued, .index = 2, .prefix = 2, .from = &from, .limit = PER_SCAN
    };
    bool more = true;

    KV_TRY(kv_records_whole(vault->config.records, &kv_table_issued, err));
    while (more) {
        KV_AUTO(kv_arena) page = KV_ARENA(KV_STEP_ARENA_BYTES);
        kv_rows rows;

        KV_TRY(kv_records_scan(vault->config.records, &scan, &page, &rows, err));
        KV_TRY(take_rows(work, &rows, list, entries, count, err));
        more = rows.more && rows.count;
        if (more)
            KV_TRY(kv_arena_copy(work->arena,
                                 ((const kv_issued_row *)rows.rows)[rows.count - 1].serial,
                                 &from.serial, err));
        scan.after = true;
    }
    return KV_OK;
}

/* All that the authority revoked, whichever of its keys had signed it: a client that has the list
 * of another key, which has the same issuer, is not told less. */
static kv_status collect(kv_vault *vault, kv_work *work, const kv_authority_row *current,
                         const kv_crl_row *list, kv_x509_crl_build *out, kv_error *err)
{
    kv_x509_revoked *entries = kv_arena_array(work->arena, ENTRIES, sizeof(*entries));
    kv_authority_row *keys;
    size_t count = 0;
    size_t found = 0;

    if (!entries)
        return kv_arena_full(err);
    KV_TRY(kv_authority_all_keys(vault, work, current, &keys, &count, err));
    for (size_t i = 0; i < count; i++)
        KV_TRY(collect_of(vault, work, keys[i].uid, list, entries, &found, err));
    out->revoked = entries;
    out->count = found;
    return KV_OK;
}

/* One sequence of numbers for the lists of all keys: the current one's row has the last. */
static kv_status next_number(kv_vault *vault, kv_work *work, const kv_authority_row *authority,
                             kv_authority_row *current, kv_crl_row *list, kv_crl_row *counter,
                             kv_error *err)
{
    kv_slice base;
    uint32_t ignored;
    bool exists = false;

    KV_TRY(get_list(vault, work, authority, list, err));
    if (!kv_authority_split(list->authority, &base, &ignored))
        return kv_fail(err, KV_INTERNAL, "a revocation list is of no authority");
    KV_TRY(kv_authority_look_up(vault, work, list->vault_uid, base, current, &exists, err));
    if (!exists)
        return kv_fail(err, KV_CONFLICT, "the authority is gone");
    if (kv_slice_equal(current->uid, authority->uid)) {
        list->number++;
        return KV_OK;
    }
    KV_TRY(get_list(vault, work, current, counter, err));
    list->number = (counter->number > list->number ? counter->number : list->number) + 1;
    counter->number = list->number;
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
    kv_authority_row current;
    kv_authority_key key;
    kv_crl_row counter = { 0 };
    kv_crl_row list;

    KV_TRY(kv_authority_can_sign(vault, authority, err));
    KV_TRY(next_number(vault, work, authority, &current, &list, &counter, err));
    list.owed = 1;
    if (counter.number)
        KV_TRY(kv_change_update(&number, &kv_table_crls, &counter, err));
    KV_TRY(kv_change_update(&number, &kv_table_crls, &list, err));
    KV_TRY(kv_commit_step(vault, work, "CertificateRevocationListBegin", &number, err));
    KV_TRY(kv_authority_signer(vault, authority, &key, &build.signer, err));
    KV_TRY(collect(vault, work, &current, &list, &build, err));
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

static kv_status read_serial(kv_work *work, kv_slice text, kv_slice *out, kv_error *err)
{
    uint8_t *serial = kv_arena_alloc(work->arena, KV_X509_SERIAL_BYTES);

    *out = KV_SLICE_NONE;
    if (!serial)
        return kv_arena_full(err);
    if (!text.len || text.len > 40 || text.len % 2)
        return kv_fail_field(err, "serial", "must be hexadecimal, two digits a byte");
    if (text.len != 2 * KV_X509_SERIAL_BYTES)
        return KV_OK;
    if (!kv_unhex(text, serial, KV_X509_SERIAL_BYTES))
        return kv_fail_field(err, "serial", "must be hexadecimal, two digits a byte");
    *out = kv_slice_of(serial, KV_X509_SERIAL_BYTES);
    return KV_OK;
}

kv_status kv_issued_find(kv_vault *vault, kv_work *work, const kv_authority_row *authority,
                         kv_slice text, kv_authority_row *by, kv_issued_row *out, kv_error *err)
{
    kv_authority_row *keys;
    kv_slice serial;
    size_t count = 0;

    KV_TRY(read_serial(work, text, &serial, err));
    KV_TRY(kv_authority_all_keys(vault, work, authority, &keys, &count, err));
    for (size_t i = 0; serial.len && i < count; i++) {
        kv_status status;

        *err = (kv_error){ 0 };
        *by = keys[i];
        *out = (kv_issued_row){ .authority_uid = keys[i].uid, .serial = serial };
        status = kv_records_get(vault->config.records, &kv_table_issued, out, work->arena, err);
        if (status == KV_OK && !kv_slice_equal(out->state, KV_ISSUED_RESERVED))
            return KV_OK;
        if (status != KV_OK && status != KV_NOT_FOUND)
            return status;
    }
    *err = (kv_error){ 0 };
    return kv_fail(err, KV_NOT_FOUND, "this authority issued no such certificate");
}

/* A serial number that was taken lately may be in a certificate that is being signed. */
static kv_status any_on_its_way(kv_vault *vault, kv_work *work, const kv_authority_row *row,
                                bool *out, kv_error *err)
{
    kv_issued_row from = { .authority_uid = row->uid, .state = KV_ISSUED_RESERVED };
    kv_scan scan = {
        .table = &kv_table_issued, .index = 2, .prefix = 2, .from = &from, .limit = PER_SCAN
    };
    const kv_issued_row *found;
    kv_rows rows;

    KV_TRY(kv_records_scan(vault->config.records, &scan, work->arena, &rows, err));
    found = rows.rows;
    *out = rows.more;
    for (unsigned i = 0; i < rows.count && !*out; i++)
        *out = found[i].created > work->now_ms - hour_ms;
    return KV_OK;
}

kv_status kv_issued_any_valid(kv_vault *vault, kv_work *work, const kv_authority_row *row,
                              bool *out, kv_error *err)
{
    kv_issued_row from = { .authority_uid = row->uid, .not_after = work->now_ms };
    kv_scan scan = { .table = &kv_table_issued,
                     .index = 3,
                     .prefix = 1,
                     .from = &from,
                     .after = true,
                     .limit = RESPONDERS_MAX };
    const kv_issued_row *found;
    kv_rows rows;

    KV_TRY(kv_records_whole(vault->config.records, &kv_table_issued, err));
    KV_TRY(kv_records_scan(vault->config.records, &scan, work->arena, &rows, err));
    found = rows.rows;
    *out = rows.more;
    for (unsigned i = 0; i < rows.count && !*out; i++)
        *out = found[i].not_after > work->now_ms && !kv_slice_equal(found[i].object_uid, row->uid);
    return *out ? KV_OK : any_on_its_way(vault, work, row, out, err);
}

static bool known_reason(int reason)
{
    return reason >= 0 && reason <= 9 && reason != 6 && reason != 7 && reason != 8;
}

/* The lists of all keys are to have it. */
static kv_status owe(kv_vault *vault, kv_work *work, const kv_authority_row *keys, size_t count,
                     kv_change *change, kv_error *err)
{
    kv_crl_row *lists = kv_arena_array(work->arena, count, sizeof(*lists));

    if (!lists)
        return kv_arena_full(err);
    KV_TRY(kv_change_room(change, work->arena, (unsigned)count + 1, err));
    for (size_t i = 0; i < count; i++) {
        if (!keys[i].key_id.len)
            continue;
        KV_TRY(get_list(vault, work, &keys[i], &lists[i], err));
        lists[i].owed = 1;
        KV_TRY(kv_change_update(change, &kv_table_crls, &lists[i], err));
    }
    return KV_OK;
}

typedef struct revocation {
    kv_authority_row authority; /* current */
    kv_authority_row by;        /* the key that signed the certificate */
    kv_authority_row *keys;
    size_t count;
    kv_issued_row row;
    bool again; /* it was revoked before */
} revocation;

static kv_status revoke(kv_vault *vault, kv_work *work, const kv_authority_revoke_in *in,
                        revocation *at, kv_error *err)
{
    kv_change change = { 0 };

    KV_TRY(kv_issued_find(vault, work, &at->authority, in->serial, &at->by, &at->row, err));
    at->again = kv_slice_equal(at->row.state, KV_ISSUED_REVOKED);
    if (at->again)
        return KV_OK;
    at->row.state = KV_ISSUED_REVOKED;
    at->row.revoked = work->now_ms;
    at->row.reason = in->reason;
    at->row.invalid_since = in->invalid_since;
    KV_TRY(kv_authority_all_keys(vault, work, &at->authority, &at->keys, &at->count, err));
    KV_TRY(owe(vault, work, at->keys, at->count, &change, err));
    KV_TRY(kv_change_update(&change, &kv_table_issued, &at->row, err));
    return kv_commit_change(vault, work, &change, err);
}

/* The list of the key that signed it; without one when that key is gone. */
static kv_status tell(kv_vault *vault, kv_work *work, revocation *at, kv_slice serial,
                      kv_revoked_bundle *out, kv_error *err)
{
    kv_crl_row list = { .owed = 1 };

    if (at->by.key_id.len)
        KV_TRY(get_list(vault, work, &at->by, &list, err));
    if (list.owed && at->by.key_id.len) {
        KV_TRY(kv_authority_all_keys(vault, work, &at->authority, &at->keys, &at->count, err));
        for (size_t i = 0; i < at->count; i++)
            if (at->keys[i].key_id.len)
                kv_crl_try(vault, work, &at->keys[i]);
        KV_TRY(get_list(vault, work, &at->by, &list, err));
    }
    *out = (kv_revoked_bundle){ .serial = serial,
                                .revoked = at->row.revoked,
                                .reason = (int)at->row.reason,
                                .crl_number = (uint64_t)list.number,
                                .on_crl = !list.owed };
    return KV_OK;
}

kv_status kv_authority_revoke(kv_vault *vault, kv_work *work, const kv_authority_revoke_in *in,
                              kv_revoked_bundle *out, kv_error *err)
{
    kv_status status = KV_CONFLICT;
    revocation at = { 0 };
    kv_slice serial;

    KV_TRY(kv_authority_find(vault, work, &in->target, NULL, &at.authority, err));
    KV_TRY(kv_text_lower(work->arena, in->serial, &serial, err));
    if (serial.len == 2 * KV_X509_SERIAL_BYTES)
        work->entry->version = serial;
    if (!known_reason(in->reason))
        return kv_fail_field(err, "reason", "is not one of the enumeration");
    if (in->invalid_since > work->now_ms)
        return kv_fail_field(err, "invalidity_date", "must not be in the future");
    for (int i = 0; i < TRIES && status == KV_CONFLICT; i++) {
        *err = (kv_error){ 0 };
        status = revoke(vault, work, in, &at, err);
    }
    KV_TRY(kv_lost_race(status, err));
    return tell(vault, work, &at, serial, out, err);
}

kv_status kv_authority_crl_get(kv_vault *vault, kv_work *work, const kv_authority_crl_in *in,
                               kv_crl_bundle *out, kv_error *err)
{
    kv_authority_row authority;
    kv_authority_row by;
    kv_crl_row list;
    bool exists = false;

    KV_TRY(kv_authority_find(vault, work, &in->target, NULL, &authority, err));
    KV_TRY(kv_authority_of_key(vault, work, &authority, in->key, &by, &exists, err));
    if (!exists)
        return kv_fail(err, KV_NOT_FOUND, "the authority has no key %u", (unsigned)in->key);
    if (!by.key_id.len)
        return kv_fail(err, KV_PRECONDITION, "that key is destroyed, and its list with it");
    KV_TRY(get_list(vault, work, &by, &list, err));
    if (!list.der.len)
        return kv_fail(err, KV_PRECONDITION, "there is no revocation list yet");
    *out = (kv_crl_bundle){ .crl = list.der,
                            .number = (uint64_t)list.number,
                            .this_update = list.this_update,
                            .next_update = list.next_update };
    return KV_OK;
}

/* --- the keeper's chore --- */

/* A former key goes when nothing that it signed is valid any more. */
static bool retired(kv_vault *vault, kv_own_step *at, kv_authority_row *row)
{
    kv_error why = { 0 };
    bool any = true;
    kv_status status = kv_issued_any_valid(vault, &at->work, row, &any, &why);

    if (status == KV_OK && any)
        return false;
    /* "Cannot say" is no reason to destroy anything. */
    if (status == KV_OK && kv_authority_retire(vault, &at->work, row, &why) == KV_OK)
        return true;
    kv_log_write(vault->config.log, KV_LOG_WARNING, "authority.key_later",
                 (kv_log_field[]){ { "why", why.message, 0 }, { 0 } });
    return false;
}

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
    if (!kv_authority_is_current(&authority) && retired(vault, at, &authority))
        return KV_OK;
    if (authority.chains_from.len)
        kv_authority_try_chains(vault, &at->work, &authority);
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
