/* webhook.c - webhooks of a vault are set, shown, tried and taken away.
 *
 * Each has an Ed25519 key of its own on the `system` token, made with it and destroyed with it, so
 * a receiver that knows one public key takes deliveries of that webhook and no other.
 */
#include <stdio.h>

#include "server/base/text.h"
#include "server/vault/certificates/certificate_rules.h"
#include "server/vault/events/events.h"
#include "server/vault/named_page.h"
#include "server/vault/notices/delivery_rules.h"
#include "server/vault/notices/webhook_rules.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operations.h"
#include "server/vault/values.h"

enum { TYPE_MAX = 128 };

/* --- setting --- */

static bool is_known(kv_slice type)
{
    kv_slice one = type;

    for (int i = 0; i < KV_EVENT_TYPE_COUNT; i++)
        if (kv_webhook_wants(&one, 1, kv_slice_text(kv_event_kind_of((kv_event_type)i)->name)))
            return true;
    return false;
}

static kv_status take_types(kv_work *work, const kv_webhook_set_in *in, kv_webhook_row *row,
                            kv_error *err)
{
    bool auditors = kv_webhook_for_auditors(in->types, in->type_count);
    char field[64];

    if (in->type_count > KV_WEBHOOK_TYPES_MAX)
        return kv_fail_field(err, "event_types", "has at most %d elements", KV_WEBHOOK_TYPES_MAX);
    for (size_t i = 0; i < in->type_count; i++) {
        (void)snprintf(field, sizeof(field), "event_types[%zu]", i);
        if (in->types[i].len > TYPE_MAX || !is_known(in->types[i]))
            return kv_fail_field(err, field,
                                 "is no type of event, nor the beginning of one with a star");
        if (auditors && !kv_webhook_for_auditors(&in->types[i], 1))
            return kv_fail_field(err, field, "events for auditors have a webhook of their own");
    }
    return kv_texts_store(work, &(kv_x509_list){ .items = in->types, .count = in->type_count },
                          &row->types, err);
}

static kv_status take_authorization(kv_vault *vault, kv_work *work, const kv_webhook_set_in *in,
                                    kv_vault_row *vault_row, kv_webhook_row *row, kv_error *err)
{
    kv_secret_version_row sealed = { 0 };
    kv_box place;

    if (!in->has_authorization)
        return KV_OK;
    if (in->authorization.len > KV_WEBHOOK_AUTHORIZATION_MAX)
        return kv_fail_field(err, "authorization", "has at most %d bytes",
                             KV_WEBHOOK_AUTHORIZATION_MAX);
    for (size_t i = 0; i < in->authorization.len; i++)
        if (in->authorization.data[i] < ' ' || in->authorization.data[i] > '~')
            return kv_fail_field(err, "authorization", "must be of printable ASCII");
    row->authorization = KV_SLICE_NONE;
    row->authorization_key_id = KV_SLICE_NONE;
    KV_TRY(kv_new_uid(work, &row->authorization_uid, err));
    if (!in->authorization.len)
        return KV_OK;
    place = kv_webhook_place(row);
    KV_TRY(kv_box_close(vault, work, vault_row, &place, in->authorization, &sealed, err));
    row->authorization_key_id = sealed.key_id;
    row->authorization = sealed.ciphertext;
    return KV_OK;
}

/* What all attempts have in common: what the endpoint said, and the key of a new one. */
typedef struct effort {
    unsigned races;
    bool asked;
    kv_webhook_row answer; /* the row as the endpoint was asked, and what it said */
    bool born;
    kv_birth birth;
    kv_token_object_row key;
} effort;

static bool same_endpoint(const kv_webhook_row *a, const kv_webhook_row *b)
{
    return kv_slice_equal(a->url, b->url) && kv_slice_equal(a->authorization, b->authorization);
}

static void take_answer(const kv_webhook_row *answer, kv_webhook_row *row)
{
    row->agreed = answer->agreed;
    row->rate = answer->rate;
    row->last_error = answer->last_error;
}

/* Once, unless it would be asked with something else by now. */
static kv_status ask(kv_vault *vault, kv_work *work, const kv_webhook_set_in *in, effort *all,
                     kv_webhook_row *row, kv_error *err)
{
    if (!row->enabled)
        return KV_OK;
    if (!all->asked || !(in->has_authorization || same_endpoint(row, &all->answer))) {
        KV_TRY(kv_webhook_shake_hands(vault, work, row, err));
        all->asked = true;
        all->answer = *row;
    }
    take_answer(&all->answer, row);
    return KV_OK;
}

/* What the caller says, on top of what is stored. */
static kv_status take(kv_vault *vault, kv_work *work, const kv_webhook_set_in *in,
                      kv_vault_row *vault_row, effort *all, kv_webhook_row *row, kv_error *err)
{
    KV_TRY(kv_webhook_url_check(in->url, "url", err));
    if (!kv_slice_equal(row->url, in->url)) {
        /* A secret for one endpoint is not shown to another. */
        row->authorization = KV_SLICE_NONE;
        row->authorization_key_id = KV_SLICE_NONE;
    }
    row->display_name = in->target.issuer;
    row->url = in->url;
    row->enabled = !in->has_enabled || in->enabled;
    row->stopped = KV_SLICE_NONE;
    row->failing_since = 0;
    row->agreed = 0;
    row->rate = 0;
    row->last_error = KV_SLICE_NONE;
    row->updated = work->now_ms;
    KV_TRY(take_types(work, in, row, err));
    KV_TRY(take_authorization(vault, work, in, vault_row, row, err));
    return ask(vault, work, in, all, row, err);
}

static kv_status refuse_too_many(kv_vault *vault, kv_work *work, kv_slice vault_uid, kv_error *err)
{
    kv_rows rows;

    KV_TRY(kv_webhooks_of(vault, work, vault_uid, &rows, err));
    if (rows.count < KV_WEBHOOKS_MAX)
        return KV_OK;
    kv_fail(err, KV_BUSY, "a vault has at most %d webhooks", KV_WEBHOOKS_MAX);
    return kv_because(err, KV_REASON_LIMIT_REACHED);
}

static kv_status bear(kv_vault *vault, kv_work *work, const kv_webhook_row *row, effort *all,
                      kv_error *err)
{
    kv_key_born born;

    all->birth = (kv_birth){ .duty = KV_DUTY_SYSTEM,
                             .class = KV_CLASS_SIGN,
                             .kind = KV_KEY_ED25519,
                             .label = KV_SLICE("keyvault webhook"),
                             .owner_uid = row->vault_uid };
    KV_TRY(kv_birth_key(vault, work, &all->birth, &all->key, &born, err));
    all->born = true;
    return KV_OK;
}

/* A new one: its key is made last, when nothing is left to be refused. */
static kv_status make(kv_vault *vault, kv_work *work, effort *all, kv_webhook_row *row,
                      kv_error *err)
{
    kv_token_object_row key;
    kv_change change = { 0 };

    if (!all->born)
        KV_TRY(bear(vault, work, row, all, err));
    key = all->key;
    key.owner_uid = row->vault_uid;
    row->key_id = key.key_id;
    row->spki = key.spki;
    row->created = work->now_ms;
    KV_TRY(kv_change_update(&change, &kv_table_token_objects, &key, err));
    KV_TRY(kv_change_insert(&change, &kv_table_webhooks, row, err));
    KV_TRY(kv_lost_race(kv_commit_change(vault, work, &change, err), err));
    all->born = false; /* the webhook's */
    return KV_OK;
}

/* What it was, and what it becomes. */
static kv_status permit(kv_vault *vault, kv_work *work, const kv_webhook_set_in *in,
                        const kv_vault_row *vault_row, const kv_webhook_row *before, kv_error *err)
{
    bool auditors = kv_webhook_for_auditors(in->types, in->type_count);

    KV_TRY(kv_webhook_permit(vault, work, vault_row, auditors, err));
    if (!before)
        return KV_OK;
    KV_TRY(kv_webhook_row_for_auditors(work, before, &auditors, err));
    return kv_webhook_permit(vault, work, vault_row, auditors, err);
}

static kv_status attempt(kv_vault *vault, kv_work *work, const kv_webhook_set_in *in, effort *all,
                         kv_webhook_bundle *out, kv_error *err)
{
    kv_change change = { 0 };
    kv_vault_row vault_row;
    kv_webhook_row row;
    bool exists = false;

    work->entry->collection = KV_SLICE("webhooks");
    KV_TRY(kv_find_vault(vault, work, in->target.vault, &vault_row, err));
    KV_TRY(kv_check_name(in->target.issuer, "webhook", err));
    work->entry->name = in->target.issuer;
    KV_TRY(kv_webhook_look_up(vault, work, vault_row.uid, in->target.issuer, &row, &exists, err));
    KV_TRY(permit(vault, work, in, &vault_row, exists ? &row : NULL, err));
    if (!exists) {
        KV_TRY(refuse_too_many(vault, work, vault_row.uid, err));
        KV_TRY(kv_new_uid(work, &row.uid, err));
    }
    KV_TRY(take(vault, work, in, &vault_row, all, &row, err));
    if (exists) {
        KV_TRY(kv_change_update(&change, &kv_table_webhooks, &row, err));
        KV_TRY(kv_lost_race(kv_commit_change(vault, work, &change, err), err));
    } else {
        KV_TRY(make(vault, work, all, &row, err));
    }
    if (kv_webhook_state_of(&row) == KV_WEBHOOK_ACTIVE)
        kv_postbox_add(vault->postbox, row.uid, KV_CHANNEL_WEBHOOK, work->now_ms);
    return kv_webhook_bundle_of(work, &vault_row, &row, out, err);
}

kv_status kv_vault_webhook_set(kv_vault *vault, kv_work *work, const kv_webhook_set_in *in,
                               kv_webhook_bundle *out, kv_error *err)
{
    effort all = { 0 };
    kv_status status;

    do
        status = attempt(vault, work, in, &all, out, err);
    while (kv_race_again(work, status, &all.races, err));
    if (all.born)
        kv_birth_undo(vault, work, &all.birth);
    return status;
}

/* --- the others --- */

kv_status kv_vault_webhook_get(kv_vault *vault, kv_work *work, const kv_webhook_get_in *in,
                               kv_webhook_bundle *out, kv_error *err)
{
    kv_vault_row vault_row;
    kv_webhook_row row;

    KV_TRY(kv_webhook_find(vault, work, &in->target, &vault_row, &row, err));
    return kv_webhook_bundle_of(work, &vault_row, &row, out, err);
}

/* If it is the caller's. */
static kv_status list_one(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                          const kv_webhook_row *row, kv_webhook_bundle *items, size_t *count,
                          kv_error *err)
{
    bool auditors, may;

    KV_TRY(kv_webhook_row_for_auditors(work, row, &auditors, err));
    KV_TRY(kv_webhook_permits(vault, work, vault_row, auditors, &may, err));
    return may ? kv_webhook_bundle_of(work, vault_row, row, &items[(*count)++], err) : KV_OK;
}

kv_status kv_vault_webhook_list(kv_vault *vault, kv_work *work, const kv_webhook_list_in *in,
                                kv_webhook_list *out, kv_error *err)
{
    kv_named_page page;
    kv_webhook_bundle *items;
    const kv_webhook_row *found;
    size_t count = 0;

    KV_TRY(kv_named_page_read(vault, work, &kv_table_webhooks, "webhooks", in->target.vault,
                              &in->page, &page, err));
    found = page.rows.rows;
    items = kv_arena_array(work->arena, page.rows.count, sizeof(*items));
    if (!items)
        return kv_arena_full(err);
    for (unsigned i = 0; i < page.rows.count; i++)
        KV_TRY(list_one(vault, work, &page.vault_row, &found[i], items, &count, err));
    *out = (kv_webhook_list){ .items = items,
                              .count = count,
                              .next_page_token = page.next_page_token };
    return KV_OK;
}

kv_status kv_vault_webhook_delete(kv_vault *vault, kv_work *work, const kv_webhook_delete_in *in,
                                  kv_webhook_bundle *out, kv_error *err)
{
    kv_change change = { 0 };
    kv_token_object_row key;
    kv_vault_row vault_row;
    kv_webhook_row row;

    KV_TRY(kv_webhook_find(vault, work, &in->target, &vault_row, &row, err));
    KV_TRY(kv_webhook_bundle_of(work, &vault_row, &row, out, err));
    KV_TRY(kv_change_delete(&change, &kv_table_webhooks, &row, err));
    KV_TRY(kv_change_doom(vault, work, row.key_id, &key, &change, err));
    KV_TRY(kv_lost_race(kv_commit_change(vault, work, &change, err), err));
    /* What still waits for it is thrown away when its turn comes. */
    kv_postbox_add(vault->postbox, row.uid, KV_CHANNEL_WEBHOOK, work->now_ms);
    return kv_destroy_key(vault, work, row.key_id, err);
}

static kv_status forget_some(kv_vault *vault, kv_work *step, kv_slice vault_uid, bool *more,
                             kv_error *err)
{
    kv_change change = { 0 };
    kv_webhook_row *webhooks;
    kv_rows rows;

    KV_TRY(kv_webhooks_of(vault, step, vault_uid, &rows, err));
    *more = rows.more;
    if (!rows.count)
        return KV_OK;
    webhooks = rows.rows;
    KV_TRY(kv_change_room(&change, step->arena, rows.count, err));
    for (unsigned i = 0; i < rows.count; i++)
        KV_TRY(kv_change_delete(&change, &kv_table_webhooks, &webhooks[i], err));
    return kv_commit_step(vault, step, "VaultPurgeWebhooks", &change, err);
}

kv_status kv_webhooks_forget(kv_vault *vault, kv_work *work, kv_slice vault_uid, kv_error *err)
{
    bool more = true;

    while (more) {
        KV_AUTO(kv_arena) arena = KV_ARENA(KV_STEP_ARENA_BYTES);
        kv_work step = kv_step_of(work, &arena);

        KV_TRY(forget_some(vault, &step, vault_uid, &more, err));
    }
    return kv_deliveries_forget(vault, work, vault_uid, err);
}

/* --- trying it --- */

static kv_status test_body(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                           kv_slice *id, kv_slice *body, kv_error *err)
{
    kv_event_row event = { .time = work->now_ms, .type = KV_SLICE(KV_EVENT_TEST) };
    char digits[2 * sizeof(work->entry->request_id) + 1];

    kv_hex(kv_slice_of(work->entry->request_id, sizeof(work->entry->request_id)), digits);
    KV_TRY(kv_arena_print(work->arena, id, err, "test_%s", digits));
    kv_event_place(vault_row, NULL, &event);
    return kv_event_cloud(vault, work->arena, &event, *id, body, err);
}

/* Found out by asking, as the server's own turns find it out: it belongs to the endpoint that was
 * asked. Who set another one meanwhile has asked that. */
static kv_status store_test(kv_vault *vault, kv_work *work, const kv_target *target,
                            const kv_webhook_row *asked, bool taken, kv_error *err)
{
    kv_change change = { 0 };
    kv_vault_row vault_row;
    kv_webhook_row row;

    KV_TRY(kv_webhook_find(vault, work, target, &vault_row, &row, err));
    if (!kv_slice_equal(row.uid, asked->uid) || !same_endpoint(&row, asked))
        return KV_OK;
    take_answer(asked, &row);
    if (taken) {
        row.stopped = KV_SLICE_NONE;
        row.failing_since = 0;
    }
    KV_TRY(kv_change_update(&change, &kv_table_webhooks, &row, err));
    KV_TRY(kv_lost_race(kv_commit_step(vault, work, "WebhookTested", &change, err), err));
    if (kv_webhook_state_of(&row) == KV_WEBHOOK_ACTIVE)
        kv_postbox_add(vault->postbox, row.uid, KV_CHANNEL_WEBHOOK, work->now_ms);
    return KV_OK;
}

kv_status kv_vault_webhook_test(kv_vault *vault, kv_work *work, const kv_webhook_test_in *in,
                                kv_webhook_tested *out, kv_error *err)
{
    kv_webhook_result result = { 0 };
    kv_vault_row vault_row;
    kv_webhook_row row;
    kv_slice id, body;
    unsigned races = 0;
    kv_status status;

    KV_TRY(kv_webhook_find(vault, work, &in->target, &vault_row, &row, err));
    KV_TRY(kv_webhook_shake_hands(vault, work, &row, err));
    KV_TRY(test_body(vault, work, &vault_row, &id, &body, err));
    if (row.agreed)
        KV_TRY(kv_webhook_deliver(vault, work, &row, id, body, &result, err));
    *out = (kv_webhook_tested){ .agreed = row.agreed != 0,
                                .taken = row.agreed && result.verdict == KV_WEBHOOK_TAKEN,
                                .status = result.status,
                                .details = row.agreed ? result.why : row.last_error };
    do
        status = store_test(vault, work, &in->target, &row, out->taken, err);
    while (kv_race_again(work, status, &races, err));
    return status;
}
