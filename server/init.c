/* init.c - an installation is made: keys, sealed tables, chain, first administrator. */
#include "server/init.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/audit/audit.h"
#include "server/auth/access.h"
#include "server/base/text.h"
#include "server/credentials.h"
#include "server/init_again.h"
#include "server/init_tokens.h"
#include "server/pending_mac.h"
#include "server/server.h"
#include "server/store/schema.h"
#include "server/system_keys.h"

enum { ARENA_BYTES = 1 << 20 };

typedef struct initialisation {
    const kv_settings *settings;
    const kv_init_request *request;
    kv_log *log;
    int home_lock;
    kv_arena arena;
    kv_tokens *tokens;
    kv_identity identity;
    kv_system_key audit_key;
    kv_system_key token_key;
    kv_signer_row pending_row;
    kv_pending_key pending_key;
    kv_store *store;
    kv_records *records;
    kv_audit *audit;
} initialisation;

/* --- keys and store --- */

static kv_status refuse_second(initialisation *at, kv_error *err)
{
    kv_status status =
        kv_identity_read(kv_tokens_get(at->tokens, KV_DUTY_SYSTEM), &at->identity, err);

    if (status == KV_NOT_FOUND) {
        *err = (kv_error){ 0 };
        return KV_OK;
    }
    if (status != KV_OK)
        return status;
    kv_init_done(at->settings);
    return kv_fail(err, KV_PRECONDITION, "the system token holds a keyvault already");
}

static kv_status make_keys(initialisation *at, kv_error *err)
{
    kv_token *token = kv_tokens_get(at->tokens, KV_DUTY_SYSTEM);

    if (!kv_random_id(at->identity.instance, sizeof(at->identity.instance)) ||
        !kv_random_id(at->identity.node, sizeof(at->identity.node)))
        return kv_fail(err, KV_INTERNAL, "no random bytes");
    KV_TRY(kv_system_key_create(token, KV_INIT_LABEL_SEAL, &at->identity.seal, err));
    KV_TRY(kv_system_key_create(token, KV_INIT_LABEL_AUDIT, &at->audit_key, err));
    KV_TRY(kv_system_key_create(token, KV_INIT_LABEL_TOKEN, &at->token_key, err));
    KV_TRY(kv_pending_key_create(token, kv_clock_now_ms(NULL), &at->arena, &at->pending_row, err));
    return kv_pending_key_derive(token, &at->pending_row,
                                 kv_slice_of(at->identity.node, sizeof(at->identity.node)),
                                 &at->pending_key, err);
}

static kv_status open_store(initialisation *at, kv_error *err)
{
    kv_records_config config = {
        .sealer = kv_identity_sealer(&at->identity),
        .log = at->log,
        .instance = kv_slice_of(at->identity.instance, sizeof(at->identity.instance)),
    };
    kv_store_state state;

    KV_TRY(kv_store_open(at->settings->store_url, true, &at->store, err));
    KV_TRY(at->store->ops->state(at->store, &state, err));
    if (state.version)
        return kv_fail(err, KV_EXISTS, "the database is in use already; init needs a new one");
    config.store = at->store;
    return kv_records_open(&config, &at->records, err);
}

static kv_signer_row signer_of(const kv_system_key *key, const char *purpose, int64_t now_ms)
{
    return (kv_signer_row){ .kid = kv_slice_text(key->kid),
                            .purpose = kv_slice_text(purpose),
                            .key_id = kv_slice_of(key->ref.id, sizeof(key->ref.id)),
                            .spki = kv_slice_of(key->spki, key->ref.spki.len),
                            .created = now_ms };
}

static kv_status store_identity(initialisation *at, kv_error *err)
{
    int64_t now_ms = kv_clock_now_ms(NULL);
    kv_instance_row instance = {
        .id = 1,
        .instance = kv_slice_of(at->identity.instance, sizeof(at->identity.instance)),
        .created = now_ms,
    };
    kv_signer_row seal = signer_of(&at->identity.seal, "seal", now_ms);
    kv_signer_row audit = signer_of(&at->audit_key, "audit", now_ms);
    kv_signer_row token = signer_of(&at->token_key, "role-token", now_ms);
    kv_change change = { 0 };
    kv_store_state state;

    KV_TRY(kv_change_insert(&change, &kv_table_instance, &instance, err));
    KV_TRY(kv_change_insert(&change, &kv_table_signers, &seal, err));
    KV_TRY(kv_change_insert(&change, &kv_table_signers, &audit, err));
    KV_TRY(kv_change_insert(&change, &kv_table_signers, &token, err));
    KV_TRY(kv_change_insert(&change, &kv_table_signers, &at->pending_row, err));
    KV_TRY(kv_records_seal(at->records, &change, &at->arena, err));
    kv_records_authenticate(at->records, kv_pending_mac_of(&at->pending_key));
    return kv_records_apply(at->records, &change, &state, err);
}

static kv_status start_audit(initialisation *at, kv_error *err)
{
    const kv_settings *settings = at->settings;
    kv_audit_config config = {
        .folder = settings->audit_folder,
        .segment_bytes = (uint64_t)settings->audit_segment_bytes,
        .checkpoint_records = (uint64_t)settings->audit_checkpoint_records,
        .checkpoint_ms = settings->audit_checkpoint_seconds * 1000,
        .low_water_bytes = (uint64_t)settings->audit_low_water_bytes,
        .node = kv_slice_of(at->identity.node, sizeof(at->identity.node)),
        .create = true,
        .store = at->store,
        .signer = { .sign = kv_system_key_sign,
                    .context = &at->audit_key,
                    .kid = kv_slice_text(at->audit_key.kid),
                    .spki = kv_slice_of(at->audit_key.spki, at->audit_key.ref.spki.len) },
        .anchor = kv_system_anchor(kv_tokens_get(at->tokens, KV_DUTY_SYSTEM)),
        .pending_mac = kv_pending_mac_of(&at->pending_key),
        .log = at->log,
    };

    return kv_audit_start(&config, &at->audit, err);
}

/* --- the first administrator --- */

typedef struct recorder {
    initialisation *at;
    kv_audit_entry entry;
    kv_audit_ticket ticket; /* guarded by the mutex until done */
    pthread_mutex_t mutex;
    pthread_cond_t done;
    bool is_done;
    kv_status status;
} recorder;

static kv_status commit(void *context, kv_change *change, kv_error *err)
{
    recorder *to = context;
    initialisation *at = to->at;
    kv_store_state state;
    kv_slice record;

    KV_TRY(kv_records_seal(at->records, change, &at->arena, err));
    KV_TRY(kv_audit_encode(&to->entry, &at->arena, &record, err));
    change->pending = (kv_pending){
        .node = kv_slice_of(at->identity.node, sizeof(at->identity.node)),
        .request_id = kv_slice_of(to->entry.request_id, sizeof(to->entry.request_id)),
        .record = record,
    };
    KV_TRY(kv_records_apply(at->records, change, &state, err));
    to->entry.store_version = state.version;
    memcpy(to->entry.store_digest, state.digest, sizeof(to->entry.store_digest));
    return KV_OK;
}

static void recorded(kv_audit_ticket *ticket, kv_status status)
{
    recorder *to = (recorder *)(void *)((char *)ticket - offsetof(recorder, ticket));

    pthread_mutex_lock(&to->mutex);
    to->status = status;
    to->is_done = true;
    pthread_cond_signal(&to->done);
    pthread_mutex_unlock(&to->mutex);
}

static kv_status wait_for_record(recorder *to, kv_error *err)
{
    to->ticket = (kv_audit_ticket){ .entry = &to->entry, .pending = true, .done = recorded };
    kv_audit_post(to->at->audit, &to->ticket);
    pthread_mutex_lock(&to->mutex);
    while (!to->is_done)
        (void)pthread_cond_wait(&to->done, &to->mutex);
    pthread_mutex_unlock(&to->mutex);
    if (to->status != KV_OK)
        return kv_fail(err, KV_UNAVAILABLE, "the audit log cannot be written");
    return KV_OK;
}

static kv_status register_administrator(initialisation *at, const kv_init_administrator *who,
                                        kv_error *err)
{
    recorder to = { .at = at,
                    .entry = { .time_ms = kv_clock_now_ms(NULL),
                               .operation = "ServerInitialize",
                               .principal_name = KV_SLICE("keyvaultd init"),
                               .name = kv_slice_text(who->name) },
                    .mutex = PTHREAD_MUTEX_INITIALIZER,
                    .done = PTHREAD_COND_INITIALIZER };
    kv_commit with = { .commit = commit, .context = &to };
    kv_slice certificates[KV_CLIENT_CAS];
    unsigned count = 0;
    kv_principal made;

    if (!kv_random_id(to.entry.request_id, sizeof(to.entry.request_id)))
        return kv_fail(err, KV_INTERNAL, "no random bytes");
    KV_TRY(kv_read_certificates(who->certificate_path, &at->arena, certificates, &count, err));
    if (count != 1)
        return kv_fail(err, KV_BAD_REQUEST, "'%.120s' must hold exactly one certificate",
                       who->certificate_path);
    KV_TRY(kv_auth_bootstrap(at->records, with, certificates[0], kv_slice_text(who->name),
                             to.entry.time_ms, &at->arena, &made, err));
    return wait_for_record(&to, err);
}

/* --- the whole --- */

static kv_status check_request(const kv_init_request *request, kv_error *err)
{
    if (request->administrator_count != 1)
        return kv_fail(err, KV_BAD_REQUEST,
                       "init takes exactly one --administrator NAME=CERTIFICATE.pem");
    if (access(request->administrators[0].certificate_path, R_OK) != 0)
        return kv_fail(err, KV_UNAVAILABLE, "the certificate '%.120s' cannot be read",
                       request->administrators[0].certificate_path);
    return KV_OK;
}

static kv_status run(initialisation *at, kv_error *err)
{
    KV_TRY(check_request(at->request, err));
    KV_TRY(kv_server_prepare(at->settings, &at->home_lock, err));
    if (at->request->create_tokens)
        KV_TRY(kv_init_create_tokens(at->settings, err));
    KV_TRY(kv_open_tokens(at->settings, at->log, &at->tokens, err));
    KV_TRY(refuse_second(at, err));
    KV_TRY(kv_init_begin(at->settings, at->tokens, err));
    KV_TRY(kv_init_tls(at->settings, at->request, at->tokens, err));
    KV_TRY(make_keys(at, err));
    KV_TRY(open_store(at, err));
    KV_TRY(store_identity(at, err));
    KV_TRY(start_audit(at, err));
    KV_TRY(register_administrator(at, &at->request->administrators[0], err));
    /* Last: only a whole installation has an identity, so a failed one can be begun again. */
    KV_TRY(kv_identity_write(kv_tokens_get(at->tokens, KV_DUTY_SYSTEM), &at->identity, err));
    kv_init_done(at->settings);
    return KV_OK;
}

kv_status kv_init(const kv_settings *settings, const kv_init_request *request, kv_log *log,
                  kv_error *err)
{
    initialisation at = { .settings = settings,
                          .request = request,
                          .log = log,
                          .home_lock = -1,
                          .arena = KV_ARENA(ARENA_BYTES) };
    kv_status status = run(&at, err);

    kv_audit_stop(at.audit);
    kv_records_close(at.records);
    kv_store_close(at.store);
    kv_pending_key_cleanup(&at.pending_key);
    kv_tokens_close(at.tokens);
    kv_arena_cleanup(&at.arena);
    if (at.home_lock >= 0)
        (void)close(at.home_lock);
    return status;
}
