/* families.c - keys, secrets, certificates, orders, backups and purges, each done from its
 * beginning.
 */
#include "tests/contract/vault/families.h"

#include <stdio.h>

#include "tests/contract/vault/scripted_issuer.h"
#include "tests/contract/vault/turning.h"

static kv_status make_key(house *h, kv_error *err)
{
    return act_make_key(h, "k", NULL, err);
}

static kv_status reset_key(house *h, kv_error *err)
{
    KV_TRY(act_delete(h, KV_COLLECTION_KEYS, "k", err));
    return act_purge(h, KV_COLLECTION_KEYS, "k", err);
}

static kv_status make_turning_key(house *h, kv_error *err)
{
    KV_TRY(make_key(h, err));
    return turning_set_policy(h, EACH_90_DAYS, err);
}

static kv_status rotate(house *h, kv_error *err)
{
    return turning_rotate(h, NULL, err);
}

static kv_status sign(house *h, kv_error *err)
{
    return act_sign(h, "k", KV_SLICE_NONE, err);
}

static kv_status set_secret(house *h, kv_error *err)
{
    return act_set_secret(h, "s", KV_SLICE("value"), NULL, err);
}

static kv_status get_secret(house *h, kv_error *err)
{
    kv_secret_bundle out;

    KV_TRY(act_get_secret(h, "s", KV_SLICE_NONE, &out, err));
    assert_slice_equal(KV_SLICE("value"), out.value);
    return KV_OK;
}

static kv_status reset_secret(house *h, kv_error *err)
{
    KV_TRY(act_delete(h, KV_COLLECTION_SECRETS, "s", err));
    return act_purge(h, KV_COLLECTION_SECRETS, "s", err);
}

static kv_status make_exportable(house *h, kv_error *err)
{
    return act_make_certificate(h, "c", "Self", true, NULL, err);
}

static kv_status make_waiting(house *h, kv_error *err)
{
    return act_make_certificate(h, "c", "Unknown", false, NULL, err);
}

static kv_status make_waiting_exportable(house *h, kv_error *err)
{
    return act_make_certificate(h, "c", "Unknown", true, NULL, err);
}

/* The secret is the last thing that could be lost: it is there, with the private key. */
static kv_status merge(house *h, kv_error *err)
{
    kv_secret_bundle secret;

    KV_TRY(act_merge(h, "c", err));
    KV_TRY(act_get_secret(h, "c", KV_SLICE_NONE, &secret, err));
    assert_non_null(memmem(secret.value.data, secret.value.len, "PRIVATE KEY", 11));
    return KV_OK;
}

static kv_status import(house *h, kv_error *err)
{
    return act_import_certificate(h, "c", err);
}

static kv_status cancel(house *h, kv_error *err)
{
    kv_certificate_pending_update_in in = { .target = act_target(KV_COLLECTION_CERTIFICATES, "c") };
    kv_certificate_operation out;
    house_job job;
    kv_status status;

    house_begin(h, &job);
    status = kv_certificate_pending_update(h->vault, &job.work, &in, &out, err);
    house_end(h, &job, status);
    return status;
}

/* Once there is an operation, time and a worker bring it to its end. */
static kv_status order(house *h, kv_error *err)
{
    kv_status status = act_make_certificate(h, "c", "Scripted", true, NULL, err);

    if (status != KV_OK && status != KV_PRECONDITION)
        return status;
    *err = (kv_error){ 0 };
    KV_TRY(scripted_drive(h, err));
    return act_get_secret(h, "c", KV_SLICE_NONE, NULL, err);
}

static kv_status reset_certificate(house *h, kv_error *err)
{
    KV_TRY(act_delete(h, KV_COLLECTION_CERTIFICATES, "c", err));
    return act_purge(h, KV_COLLECTION_CERTIFICATES, "c", err);
}

static kv_status make_deleted_key(house *h, kv_error *err)
{
    KV_TRY(make_key(h, err));
    KV_TRY(make_key(h, err));
    return act_delete(h, KV_COLLECTION_KEYS, "k", err);
}

/* A backup of a certificate whose key can come back, kept outside of the house. */
static kv_status make_backup(house *h, kv_error *err)
{
    kv_backup backup;

    KV_TRY(make_exportable(h, err));
    KV_TRY(act_backup(h, KV_COLLECTION_CERTIFICATES, "c", &backup, err));
    kv_arena_cleanup(&h->kept_arena);
    KV_TRY(kv_arena_copy(&h->kept_arena, backup.value, &h->kept, err));
    return reset_certificate(h, err);
}

/* It signs, and its secret has the private key. */
static kv_status restore(house *h, kv_error *err)
{
    kv_secret_bundle secret;

    KV_TRY(act_restore(h, KV_COLLECTION_CERTIFICATES, h->kept, err));
    KV_TRY(act_get_secret(h, "c", KV_SLICE_NONE, &secret, err));
    assert_non_null(memmem(secret.value.data, secret.value.len, "PRIVATE KEY", 11));
    return act_sign(h, "c", KV_SLICE_NONE, err);
}

static kv_status back_up(house *h, kv_error *err)
{
    kv_backup backup;

    return act_backup(h, KV_COLLECTION_CERTIFICATES, "c", &backup, err);
}

static kv_status purge_key(house *h, kv_error *err)
{
    return act_purge(h, KV_COLLECTION_KEYS, "k", err);
}

static kv_status make_deleted_certificate(house *h, kv_error *err)
{
    KV_TRY(make_exportable(h, err));
    return act_delete(h, KV_COLLECTION_CERTIFICATES, "c", err);
}

static kv_status purge_certificate(house *h, kv_error *err)
{
    return act_purge(h, KV_COLLECTION_CERTIFICATES, "c", err);
}

static kv_target corp(void)
{
    return (kv_target){ .vault = KV_SLICE(ACT_VAULT),
                        .collection = KV_COLLECTION_CERTIFICATES,
                        .issuer = KV_SLICE("corp") };
}

static kv_status set_issuer(house *h, kv_error *err)
{
    kv_issuer_set_in in = { .target = corp(),
                            .provider = KV_SLICE(HOUSE_PROVIDER),
                            .credential = KV_SLICE("password"),
                            .has_domains = true,
                            .domains = { .items = &KV_SLICE("*"), .count = 1 } };
    kv_issuer_bundle out;
    house_job job;
    kv_status status;

    house_begin(h, &job);
    status = kv_vault_issuer_set(h->vault, &job.work, &in, &out, err);
    house_end(h, &job, status);
    return status;
}

static kv_status order_there(house *h, kv_error *err)
{
    return act_make_certificate(h, "c", "corp", false, NULL, err);
}

static kv_status reset_issuer(house *h, kv_error *err)
{
    kv_issuer_delete_in in = { .target = corp() };
    kv_issuer_bundle out;
    house_job job;
    kv_status status;

    house_begin(h, &job);
    status = kv_vault_issuer_delete(h->vault, &job.work, &in, &out, err);
    house_end(h, &job, status);
    return status;
}

static kv_status reset_order(house *h, kv_error *err)
{
    KV_TRY(reset_certificate(h, err));
    return reset_issuer(h, err);
}

const family families[] = {
    { "key", NULL, make_key, reset_key, KV_OK },
    { "rotation", make_turning_key, rotate, reset_key, KV_OK },
    { "sign", make_key, sign, reset_key, KV_OK },
    { "secret", NULL, set_secret, reset_secret, KV_OK },
    { "secret read", set_secret, get_secret, reset_secret, KV_OK },
    { "certificate", NULL, make_exportable, reset_certificate, KV_OK },
    { "waiting certificate", NULL, make_waiting, reset_certificate, KV_PRECONDITION },
    { "waiting exportable certificate", NULL, make_waiting_exportable, reset_certificate,
      KV_PRECONDITION },
    { "merge", make_waiting_exportable, merge, reset_certificate, KV_PRECONDITION },
    { "import", NULL, import, reset_certificate, KV_OK },
    { "backup", make_exportable, back_up, reset_certificate, KV_OK },
    { "restore", make_backup, restore, reset_certificate, KV_EXISTS },
    { "order", NULL, order, reset_certificate, KV_OK },
    { "issuer", NULL, set_issuer, reset_issuer, KV_OK },
    { "order with an account", set_issuer, order_there, reset_order, KV_PRECONDITION },
    { "cancel", make_waiting, cancel, reset_certificate, KV_PRECONDITION },
    { "purge of a key", make_deleted_key, purge_key, NULL, KV_NOT_FOUND },
    { "purge of a certificate", make_deleted_certificate, purge_certificate, NULL, KV_NOT_FOUND },
};

const size_t family_count = KV_COUNT(families);

/* --- again --- */

/* What a start does for the vault; now and then the whole start. */
static kv_status start_again(house *h, unsigned n, kv_error *err)
{
    enum { WHOLE_EACH = 8 };

    if (atomic_load(&h->dead) || n % WHOLE_EACH == 0)
        return house_restart(h, err);
    return house_reconcile(h, err);
}

void family_repeat(house *h, const family *of, unsigned n)
{
    kv_error err = { 0 };
    kv_status status;

    if (start_again(h, n, &err) != KV_OK)
        fail_msg("%s, %u: no start: %s (%s)", of->name, n, err.message, err.detail);
    assert_int_equal(h->scanned.unknown_objects, 0);
    assert_int_equal(h->scanned.missing_objects, 0);
    house_assert_tidy(h);
    status = of->run(h, &err);
    if (status != KV_OK && status != of->second)
        fail_msg("%s, %u: not the second time: %s (%s)", of->name, n, err.message, err.detail);
    if (of->reset)
        assert_kv_ok(of->reset(h, &err));
    assert_int_equal(house_keys_on_token(h, KV_DUTY_KEYS), 0);
}

void family_prepare(house *h, const family *of)
{
    kv_error err = { 0 };

    if (of->prepare)
        assert_kv_ok(of->prepare(h, &err));
}

house *family_house(void)
{
    house *h = house_new(false);
    kv_error err = { 0 };

    scripted_join(h);
    assert_kv_ok(act_make_vault(h, &err));
    /* The principals that read are there before the faults begin. */
    assert_kv_fails(KV_NOT_FOUND, act_get_secret(h, "none", KV_SLICE_NONE, NULL, &err));
    return h;
}
