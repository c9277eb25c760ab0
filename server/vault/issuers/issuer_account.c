/* issuer_account.c - what is done with an account at an authority, apart from orders: it gets
 * another key, and revokes what it was given. */
#include "server/vault/issuers/issuer_rules.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operations.h"

/* The issuer object, ready to be asked. */
static kv_status open_issuer(kv_vault *vault, kv_work *work, const kv_target *target,
                             kv_vault_row *vault_row, kv_chosen_issuer *out, kv_error *err)
{
    work->entry->collection = KV_SLICE("issuers");
    KV_TRY(kv_find_vault(vault, work, target->vault, vault_row, err));
    KV_TRY(kv_check_name(target->issuer, "issuer", err));
    work->entry->name = target->issuer;
    return kv_issuer_open(vault, work, vault_row, target->issuer, out, err);
}

kv_status kv_issuer_account_of(kv_vault *vault, kv_work *work, const kv_target *target,
                               kv_issuer_account_bundle *out, kv_error *err)
{
    KV_AUTO(kv_chosen_issuer) chosen = { 0 };
    kv_vault_row vault_row;

    KV_TRY(open_issuer(vault, work, target, &vault_row, &chosen, err));
    KV_TRY(kv_enrolment_open(vault, work, &vault_row, &chosen, err));
    *out = (kv_issuer_account_bundle){ .url = chosen.enrolment.row.url,
                                       .spki = chosen.enrolment.row.spki };
    return KV_OK;
}

/* `*next`: the key that is to take over, once there is one: whoever else had a hand in it, when it
 * is the account's the work is done. */
static kv_status try_roll(kv_vault *vault, kv_work *work, const kv_issuer_roll_key_in *in,
                          kv_slice *next, kv_issuer_account_bundle *out, kv_error *err)
{
    KV_AUTO(kv_chosen_issuer) chosen = { 0 };
    kv_vault_row vault_row;

    KV_TRY(open_issuer(vault, work, &in->target, &vault_row, &chosen, err));
    if (!chosen.issuer->new_key)
        return kv_fail(err, KV_UNSUPPORTED, "accounts of issuer %s have no key",
                       chosen.issuer->provider);
    KV_TRY(kv_enrolment_open(vault, work, &vault_row, &chosen, err));
    if (!next->len || !kv_slice_equal(chosen.enrolment.row.key_id, *next)) {
        KV_TRY(kv_enrolment_next_key(&chosen, err));
        *next = chosen.enrolment.row.next_key_id;
        KV_TRY(kv_issuer_new_key(chosen.issuer, &chosen.account, work->arena, work->deadline, err));
    }
    *out = (kv_issuer_account_bundle){ .url = chosen.enrolment.row.url,
                                       .spki = chosen.enrolment.row.spki };
    return KV_OK;
}

kv_status kv_vault_issuer_roll_key(kv_vault *vault, kv_work *work, const kv_issuer_roll_key_in *in,
                                   kv_issuer_account_bundle *out, kv_error *err)
{
    kv_slice next = KV_SLICE_NONE;
    unsigned races = 0;
    kv_status status;

    do
        status = try_roll(vault, work, in, &next, out, err);
    while (kv_race_again(work, status, &races, err));
    return status;
}

static kv_status reason_of(int asked, kv_issuer_revocation *out, kv_error *err)
{
    *out = (kv_issuer_revocation)asked;
    switch (*out) {
    case KV_ISSUER_UNSPECIFIED:
    case KV_ISSUER_KEY_COMPROMISE:
    case KV_ISSUER_AFFILIATION_CHANGED:
    case KV_ISSUER_SUPERSEDED:
    case KV_ISSUER_CESSATION:
        return KV_OK;
    }
    return kv_fail_field(err, "reason", "is not one that the holder of a certificate can give");
}

static kv_status find_version(kv_vault *vault, kv_work *work, const kv_target *asked,
                              kv_certificate_version_row *out, kv_error *err)
{
    kv_target target = *asked;
    kv_object_row object;
    kv_slice version;

    target.issuer = KV_SLICE_NONE;
    KV_TRY(kv_find_object(vault, work, &target, NULL, &object, err));
    KV_TRY(kv_pick_version(&object, asked->version, &version, err));
    work->entry->version = version;
    return kv_find_certificate_version(vault, work, object.uid, version, out, err);
}

/* Somebody else can come first with the account alone, and nothing is revoked before there is one.
 */
static kv_status try_revoke(kv_vault *vault, kv_work *work, const kv_issuer_revoke_in *in,
                            kv_issuer_revocation reason, kv_error *err)
{
    KV_AUTO(kv_chosen_issuer) chosen = { 0 };
    kv_certificate_version_row version;
    kv_vault_row vault_row;
    kv_issuer_order order = { .account = &chosen.account,
                              .chain = { .items = &version.der, .count = 1 },
                              .now_ms = work->now_ms,
                              .now_us = work->now_us,
                              .deadline = work->deadline,
                              .arena = work->arena };

    KV_TRY(open_issuer(vault, work, &in->target, &vault_row, &chosen, err));
    KV_TRY(find_version(vault, work, &in->target, &version, err));
    if (!chosen.issuer->revoke)
        return kv_fail(err, KV_UNSUPPORTED, "issuer %s cannot revoke", chosen.issuer->provider);
    KV_TRY(kv_enrolment_open(vault, work, &vault_row, &chosen, err));
    KV_TRY(kv_arena_print(work->arena, &work->entry->note, err, "issuer=%.*s",
                          KV_SLICE_ARG(in->target.issuer)));
    return kv_issuer_revoke(chosen.issuer, &order, reason, err);
}

kv_status kv_vault_issuer_revoke(kv_vault *vault, kv_work *work, const kv_issuer_revoke_in *in,
                                 kv_nothing_out *out, kv_error *err)
{
    kv_issuer_revocation reason;
    unsigned races = 0;
    kv_status status;

    *out = (kv_nothing_out){ 0 };
    KV_TRY(reason_of(in->reason, &reason, err));
    do
        status = try_revoke(vault, work, in, reason, err);
    while (kv_race_again(work, status, &races, err));
    return status;
}
