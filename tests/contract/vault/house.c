/* house.c - a whole server without its doors is built, shut, killed and opened again. */
#include "tests/contract/vault/house.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/auth/auth.h"
#include "server/base/text.h"
#include "server/gates.h"
#include "server/pending_mac.h"
#include "server/store/schema.h"
#include "server/store/stores.h"
#include "tests/contract/vault/house_disk.h"

enum { ARENA_BYTES = 64 << 20, WAIT_STEP_US = 5000, WAIT_STEPS = 12000, PROBE_MS = 600000 };

#define FROM_S  INT64_C(1577836800) /* 2020 */
#define UNTIL_S INT64_C(2208988800) /* 2040 */

/* An operation of a store has no context of ours. */
static house *living;

static int64_t now(void *context)
{
    house *h = context;

    return atomic_load(&h->now_ms);
}

made_certificate *house_certificate(const char *name)
{
    return make_certificate(
        &(certificate_shape){ .name = name, .from_s = FROM_S, .until_s = UNTIL_S });
}

/* --- death --- */

static void die(house *h)
{
    static const char *const last[] = {
        [HOUSE_KEYS_STAY] = "C_DestroyObject", [HOUSE_NO_NEW_KEYS] = "C_CopyObject"
    };

    atomic_store(&h->dead, true);
    if (!h->hsm)
        kv_fake_fail(last[h->death], CKR_FUNCTION_FAILED, UINT32_MAX);
}

static bool is_about(const kv_change *change, const kv_table *table)
{
    for (unsigned i = 0; i < change->count; i++)
        if (kv_change_ops(change)[i].table == table)
            return true;
    return false;
}

static void let_others(house *h, const kv_change *change)
{
    const kv_table *table = h->meanwhile.table;

    if (!table || !is_about(change, table))
        return;
    h->meanwhile.table = NULL;
    h->meanwhile.what(h, h->meanwhile.context);
    if (--h->meanwhile.times)
        h->meanwhile.table = table;
}

void house_meanwhile(house *h, const kv_table *table, unsigned times,
                     void (*what)(house *h, void *context), void *context)
{
    h->meanwhile.table = table;
    h->meanwhile.times = times;
    h->meanwhile.what = what;
    h->meanwhile.context = context;
}

static kv_status apply(kv_store *store, const kv_change *change, kv_store_state *state,
                       kv_error *err)
{
    house *h = living;

    let_others(h, change);
    if (atomic_load(&h->dead))
        return kv_fail(err, KV_UNAVAILABLE, "the house is dead");
    KV_TRY(house_disk_apply(h, store, change, state, err));
    if (atomic_load(&h->dies_in) > 0 && atomic_fetch_sub(&h->dies_in, 1) == 1)
        die(h);
    return KV_OK;
}

void house_die_after(house *h, unsigned changes, house_death death)
{
    h->death = death;
    atomic_store(&h->dies_in, (int)changes);
}

static void revive(house *h)
{
    atomic_store(&h->dies_in, 0);
    if (atomic_exchange(&h->dead, false) && !h->hsm)
        kv_fake_fail("", CKR_OK, 0);
}

/* --- parts --- */

static void make_tokens(house *h, bool softhsm)
{
    const char *labels[] = { "keys", "system", h->token_count > 2 ? "ca" : NULL, NULL };
    static const char *const uris[] = { "pkcs11:token=keys", "pkcs11:token=system",
                                        "pkcs11:token=ca" };
    static const kv_duty duties[] = { KV_DUTY_KEYS, KV_DUTY_SYSTEM, KV_DUTY_CA };
    struct _CK_FUNCTION_LIST *functions = softhsm ? NULL : kv_fake_new(labels);
    kv_error err = { 0 };

    if (softhsm)
        h->hsm = kv_softhsm_new(labels);
    else
        assert_kv_ok(kv_secret_buf_copy(KV_SLICE(KV_FAKE_PIN), &h->pin, &err));
    for (unsigned i = 0; i < h->token_count; i++) {
        if (softhsm)
            h->configs[i] = kv_softhsm_config(h->hsm, duties[i], labels[i]);
        else
            h->configs[i] = (kv_token_config){ .duty = duties[i],
                                               .functions = functions,
                                               .uri = uris[i],
                                               .pin = &h->pin,
                                               .exclusive = true };
        h->configs[i].probe_ms = PROBE_MS;
    }
}

static kv_token *system_token(house *h)
{
    return kv_tokens_get(h->tokens, KV_DUTY_SYSTEM);
}

static kv_status open_store(house *h, bool create, kv_error *err)
{
    kv_records_config config = { .sealer = kv_identity_sealer(&h->identity),
                                 .clock = &h->clock,
                                 .instance = kv_slice_of(h->identity.instance,
                                                         sizeof(h->identity.instance)) };
    char url[sizeof(h->database) + 8];

    (void)snprintf(url, sizeof(url), "sqlite:%s", h->database);
    KV_TRY(kv_store_open(url, create, &h->store, err));
    h->real_ops = h->store->ops;
    h->ops = *h->real_ops;
    h->ops.apply = apply;
    h->store->ops = &h->ops;
    config.store = h->store;
    return kv_records_open(&config, &h->records, err);
}

static kv_status start_audit(house *h, bool create, kv_error *err)
{
    kv_audit_config config = {
        .folder = h->audit_folder,
        .segment_bytes = 8 << 20,
        .checkpoint_records = 1000,
        .checkpoint_ms = INT64_C(3600000),
        .node = kv_slice_of(h->identity.node, sizeof(h->identity.node)),
        .create = create,
        .store = h->store,
        .signer = { .sign = kv_system_key_sign,
                    .context = &h->audit_key,
                    .kid = kv_slice_text(h->audit_key.kid),
                    .spki = kv_slice_of(h->audit_key.spki, h->audit_key.ref.spki.len) },
        .anchor = kv_system_anchor(system_token(h)),
        .clock = &h->clock,
    };

    return kv_audit_start(&config, &h->audit, err);
}

static kv_status open_auth(house *h, kv_error *err)
{
    kv_role_token_key verifying = { .kid = kv_slice_text(h->token_key.kid),
                                    .spki =
                                        kv_slice_of(h->token_key.spki, h->token_key.ref.spki.len) };
    kv_auth_config config = { .records = h->records,
                              .signer = { .sign = kv_system_key_sign,
                                          .context = &h->token_key,
                                          .kid = kv_slice_text(h->token_key.kid) },
                              .keys = &verifying,
                              .key_count = 1,
                              .issuer = KV_SLICE("urn:keyvault:house"),
                              .separation = KV_SEPARATION_STRICT };

    return kv_auth_open(&config, &h->auth, err);
}

kv_status house_reconcile(house *h, kv_error *err)
{
    KV_TRY(kv_vault_reconcile(h->vault, &h->reconciled, err));
    return kv_vault_scan_all(h->vault, false, &h->scanned, err);
}

static kv_status open_vault(house *h, kv_error *err)
{
    kv_vault_config config = {
        .records = h->records,
        .tokens = h->tokens,
        .auth = h->auth,
        .audit = h->audit,
        .clock = &h->clock,
        .node = kv_slice_of(h->identity.node, sizeof(h->identity.node)),
        .instance = kv_slice_of(h->identity.instance, sizeof(h->identity.instance)),
        .secret_key_uses = h->secret_key_uses,
        .events_keep = h->events_keep,
        .known_logs = h->known_logs,
        .issuers = h->issuers ? h->issuers : house_issuers,
        .issuer_count = h->issuers ? h->issuer_count : 1,
        .version = "test",
        .checkpoint_ms = INT64_C(3600000),
        .audit_kid = kv_slice_text(h->audit_key.kid),
        .audit_spki = kv_slice_of(h->audit_key.spki, h->audit_key.ref.spki.len),
    };

    KV_TRY(kv_vault_open(&config, &h->vault, err));
    return house_reconcile(h, err);
}

/* --- the first start --- */

static kv_status make_identity(house *h, kv_error *err)
{
    kv_token *token;

    KV_TRY(kv_tokens_open(h->configs, h->token_count, NULL, &h->tokens, err));
    token = system_token(h);
    assert_true(kv_random_id(h->identity.instance, sizeof(h->identity.instance)));
    assert_true(kv_random_id(h->identity.node, sizeof(h->identity.node)));
    KV_TRY(kv_system_key_create(token, "seal", &h->identity.seal, err));
    KV_TRY(kv_system_key_create(token, "audit", &h->audit_key, err));
    KV_TRY(kv_system_key_create(token, "role tokens", &h->token_key, err));
    return kv_identity_write(token, &h->identity, err);
}

static kv_signer_row signer_row(house *h, const kv_system_key *key, const char *purpose)
{
    return (kv_signer_row){ .kid = kv_slice_text(key->kid),
                            .purpose = kv_slice_text(purpose),
                            .key_id = kv_slice_of(key->ref.id, sizeof(key->ref.id)),
                            .spki = kv_slice_of(key->spki, key->ref.spki.len),
                            .created = h->now_ms };
}

static kv_status store_identity(house *h, kv_error *err)
{
    kv_instance_row instance = { .id = 1,
                                 .instance = kv_slice_of(h->identity.instance,
                                                         sizeof(h->identity.instance)),
                                 .created = h->now_ms };
    kv_signer_row rows[] = { signer_row(h, &h->identity.seal, "seal"),
                             signer_row(h, &h->audit_key, "audit"),
                             signer_row(h, &h->token_key, "role-token") };
    kv_signer_row pending;
    kv_change change = { 0 };

    KV_TRY(kv_pending_key_create(system_token(h), h->now_ms, &h->arena, &pending, err));
    KV_TRY(kv_change_insert(&change, &kv_table_signers, &pending, err));
    KV_TRY(kv_change_insert(&change, &kv_table_instance, &instance, err));
    for (size_t i = 0; i < KV_COUNT(rows); i++)
        KV_TRY(kv_change_insert(&change, &kv_table_signers, &rows[i], err));
    KV_TRY(kv_records_seal(h->records, &change, &h->arena, err));
    return kv_records_apply(h->records, &change, NULL, err);
}

/* Without a record: the chain begins after it. */
static kv_status commit(void *context, kv_change *change, kv_error *err)
{
    house *h = context;

    KV_TRY(kv_records_seal(h->records, change, &h->arena, err));
    return kv_records_apply(h->records, change, NULL, err);
}

static kv_status found(house *h, kv_error *err)
{
    KV_TRY(make_identity(h, err));
    KV_TRY(open_store(h, true, err));
    KV_TRY(store_identity(h, err));
    KV_TRY(kv_auth_bootstrap(h->records, (kv_commit){ commit, h }, der_of(h->admin),
                             KV_SLICE("root"), h->now_ms, &h->arena, &h->admin_principal, err));
    KV_TRY(start_audit(h, true, err));
    KV_TRY(open_auth(h, err));
    return open_vault(h, err);
}

static void fill_services(house *h)
{
    h->services = (kv_services){ .routes = kv_routes,
                                 .route_count = kv_routes_count,
                                 .auth = h->auth,
                                 .audit = h->audit,
                                 .vault = h->vault,
                                 .clock = h->clock };
    kv_gates_fill(&h->services);
}

static house *house_with(unsigned token_count, bool softhsm)
{
    const char *base = getenv("TMPDIR");
    house *h = calloc(1, sizeof(*h));
    kv_error err = { 0 };

    assert_non_null(h);
    living = h;
    house_disk_begin();
    h->token_count = token_count;
    h->arena = KV_ARENA(ARENA_BYTES);
    h->kept_arena = KV_ARENA(ARENA_BYTES);
    h->clock = (kv_clock){ now, h };
    h->now_ms = HOUSE_NOW_MS;
    h->admin = house_certificate("root");
    (void)snprintf(h->folder, sizeof(h->folder), "%s/kv_house_XXXXXX",
                   base && strlen(base) < sizeof(h->folder) / 2 ? base : "/tmp");
    assert_non_null(mkdtemp(h->folder));
    (void)snprintf(h->database, sizeof(h->database), "%s/store.db", h->folder);
    (void)snprintf(h->audit_folder, sizeof(h->audit_folder), "%s/audit", h->folder);
    make_tokens(h, softhsm);
    assert_kv_ok(kv_mailbox_new(&h->box, &err));
    assert_kv_ok(found(h, &err));
    fill_services(h);
    return h;
}

house *house_new(bool softhsm)
{
    return house_with(2, softhsm);
}

house *house_new_pki(void)
{
    return house_with(3, false);
}

void house_shut(house *h)
{
    house_disk_keep(h);
    kv_vault_close(h->vault);
    kv_audit_stop(h->audit);
    kv_auth_close(h->auth);
    kv_records_close(h->records);
    house_look_away();
    if (h->store)
        h->store->ops = h->real_ops;
    kv_store_close(h->store);
    kv_tokens_close(h->tokens);
    h->vault = NULL;
    h->audit = NULL;
    h->auth = NULL;
    h->records = NULL;
    h->store = NULL;
    h->tokens = NULL;
    house_disk_put_back(h);
}

kv_status house_open(house *h, kv_error *err)
{
    revive(h);
    KV_TRY(kv_tokens_open(h->configs, h->token_count, NULL, &h->tokens, err));
    KV_TRY(kv_identity_read(system_token(h), &h->identity, err));
    KV_TRY(open_store(h, false, err));
    KV_TRY(
        kv_system_signer_find(h->records, system_token(h), "audit", h->now_ms, &h->audit_key, err));
    KV_TRY(kv_system_signer_find(h->records, system_token(h), "role-token", h->now_ms,
                                 &h->token_key, err));
    KV_TRY(start_audit(h, false, err));
    KV_TRY(open_auth(h, err));
    KV_TRY(open_vault(h, err));
    fill_services(h);
    return KV_OK;
}

kv_status house_restart(house *h, kv_error *err)
{
    house_shut(h);
    return house_open(h, err);
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info;
    (void)type;
    (void)where;
    return remove(path);
}

void house_free(house *h)
{
    revive(h);
    house_shut(h);
    kv_mailbox_free(h->box);
    free_certificate(h->admin);
    if (h->reader)
        free_certificate(h->reader);
    if (h->hsm)
        kv_softhsm_free(h->hsm);
    else
        kv_fake_free();
    kv_secret_buf_cleanup(&h->pin);
    for (unsigned i = 0; i < HOUSE_JOBS; i++)
        kv_arena_cleanup(&h->jobs[i]);
    kv_arena_cleanup(&h->kept_arena);
    kv_arena_cleanup(&h->arena);
    (void)nftw(h->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    living = NULL;
    free(h);
}

void house_wait_for_tokens(house *h)
{
    for (int i = 0; i < WAIT_STEPS; i++) {
        if (kv_token_state_of(kv_tokens_get(h->tokens, KV_DUTY_KEYS)) == KV_TOKEN_UP &&
            kv_token_state_of(system_token(h)) == KV_TOKEN_UP)
            return;
        (void)usleep(WAIT_STEP_US);
    }
    fail_msg("a token does not come back");
}
