/* pb_vaults.c - VaultService and ServerService. */
#include "keyvault/v1/vaults.pb-c.h"
#include "server/vault/checks.h"
#include "server/vault/messages/messages_vaults.h"
#include "server/wire/pb_impl.h"

static kv_status blackouts_in(const Keyvault__V1__BlackoutList *from, kv_arena *arena,
                              kv_vault_settings_in *out, kv_error *err)
{
    out->has_blackouts = from != NULL;
    if (!from)
        return KV_OK;
    return kv_pb_texts_in(from->n_windows, from->windows, arena, &out->blackouts, err);
}

kv_status kv_pb_read_vault_put(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_vault_put_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__CreateVaultRequest *m;

    KV_TRY(kv_pb_open(&keyvault__v1__create_vault_request__descriptor, body, KV_COLLECTION_NONE,
                      arena, &read->target, &message, err));
    m = (const void *)message;
    read->has_retention_days = m->has_retention_days_case != 0;
    read->retention_days = m->retention_days;
    read->has_purge_protection = m->has_purge_protection_case != 0;
    read->purge_protection = m->purge_protection;
    read->has_default_exportable = m->has_default_exportable_case != 0;
    read->default_exportable = m->default_exportable;
    read->has_allow_unauthenticated = m->has_allow_unauthenticated_encryption_case != 0;
    read->allow_unauthenticated = m->allow_unauthenticated_encryption;
    KV_TRY(blackouts_in(m->blackouts, arena, read, err));
    return kv_pb_tags_in(m->n_tags, m->tags, arena, &read->tags, err);
}

kv_status kv_pb_read_vault_patch(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_vault_patch_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__UpdateVaultRequest *m;

    KV_TRY(kv_pb_open(&keyvault__v1__update_vault_request__descriptor, body, KV_COLLECTION_NONE,
                      arena, &read->target, &message, err));
    m = (const void *)message;
    read->has_retention_days = m->has_retention_days_case != 0;
    read->retention_days = m->retention_days;
    read->has_purge_protection = m->has_purge_protection_case != 0;
    read->purge_protection = m->purge_protection;
    read->has_default_exportable = m->has_default_exportable_case != 0;
    read->default_exportable = m->default_exportable;
    read->has_allow_unauthenticated = m->has_allow_unauthenticated_encryption_case != 0;
    read->allow_unauthenticated = m->allow_unauthenticated_encryption;
    KV_TRY(blackouts_in(m->blackouts, arena, read, err));
    return kv_pb_tag_list_in(m->tags, arena, &read->tags, err);
}

kv_status kv_pb_read_vault_get(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__get_vault_request__descriptor, body, KV_COLLECTION_NONE,
                             arena, in, err);
}

kv_status kv_pb_read_vault_list(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_list(&keyvault__v1__list_vaults_request__descriptor, body, KV_COLLECTION_NONE,
                           arena, in, err);
}

kv_status kv_pb_read_vault_delete(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__delete_vault_request__descriptor, body,
                             KV_COLLECTION_NONE, arena, in, err);
}

kv_status kv_pb_read_vault_recover(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__recover_vault_request__descriptor, body,
                             KV_COLLECTION_NONE, arena, in, err);
}

kv_status kv_pb_read_vault_purge(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__purge_vault_request__descriptor, body,
                             KV_COLLECTION_NONE, arena, in, err);
}

kv_status kv_pb_read_vault_list_deleted(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_list(&keyvault__v1__list_deleted_vaults_request__descriptor, body,
                           KV_COLLECTION_NONE, arena, in, err);
}

kv_status kv_pb_read_server_status_get(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__get_server_status_request__descriptor, body,
                             KV_COLLECTION_NONE, arena, in, err);
}

kv_status kv_pb_read_server_check(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__check_server_request__descriptor, body,
                             KV_COLLECTION_NONE, arena, in, err);
}

static Keyvault__V1__BlackoutList *blackouts(kv_pb_writer *writer, const kv_x509_list *from)
{
    Keyvault__V1__BlackoutList *to =
        from->count ? kv_pb_new(writer, &keyvault__v1__blackout_list__descriptor) : NULL;

    if (to)
        to->windows = kv_pb_texts(writer, from->items, from->count, &to->n_windows);
    return to;
}

static Keyvault__V1__Vault *vault(kv_pb_writer *writer, const kv_vault_bundle *from)
{
    Keyvault__V1__Vault *to = kv_pb_new(writer, &keyvault__v1__vault__descriptor);

    if (!to)
        return NULL;
    to->name = kv_pb_text(writer, from->name);
    to->retention_days = from->retention_days;
    to->purge_protection = from->purge_protection;
    to->default_exportable = from->default_exportable;
    to->allow_unauthenticated_encryption = from->allow_unauthenticated;
    to->created = kv_pb_seconds(from->created);
    to->updated = kv_pb_seconds(from->updated);
    to->tags = kv_pb_tags(writer, &from->tags, &to->n_tags);
    to->deletion = kv_pb_deletion(writer, &from->deletion);
    to->blackouts = blackouts(writer, &from->blackouts);
    return to;
}

kv_status kv_pb_write_vault_bundle(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__Vault *to = vault(&writer, out);

    if (!to)
        return kv_arena_full(err);
    return kv_pb_pack(&writer, &to->base, body, err);
}

kv_status kv_pb_write_vault_list(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    const kv_vault_list *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__ListVaultsResponse to = KEYVAULT__V1__LIST_VAULTS_RESPONSE__INIT;

    to.vaults = kv_pb_array(&writer, from->count, sizeof(*to.vaults), &to.n_vaults);
    for (size_t i = 0; i < to.n_vaults; i++)
        to.vaults[i] = vault(&writer, &from->items[i]);
    to.next_page_token = kv_pb_bytes(from->next_page_token);
    return kv_pb_pack(&writer, &to.base, body, err);
}

static Keyvault__V1__TokenStatus *token_line(kv_pb_writer *writer, const kv_token_line *from)
{
    Keyvault__V1__TokenStatus *to = kv_pb_new(writer, &keyvault__v1__token_status__descriptor);

    if (!to)
        return NULL;
    to->duty = kv_pb_text(writer, from->duty);
    to->state = kv_pb_text(writer, from->state);
    to->label = kv_pb_text(writer, from->label);
    to->serial = kv_pb_text(writer, from->serial);
    to->manufacturer = kv_pb_text(writer, from->manufacturer);
    to->model = kv_pb_text(writer, from->model);
    to->since = kv_pb_seconds(from->since);
    to->last_error = kv_pb_text(writer, from->last_error);
    return to;
}

kv_status kv_pb_write_server_status(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    const kv_server_status *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__ServerStatus to = KEYVAULT__V1__SERVER_STATUS__INIT;
    Keyvault__V1__StoreStatus store = KEYVAULT__V1__STORE_STATUS__INIT;
    Keyvault__V1__AuditLogStatus audit = KEYVAULT__V1__AUDIT_LOG_STATUS__INIT;

    to.version = kv_pb_text(&writer, from->version);
    to.node = kv_pb_text(&writer, from->node);
    to.started = kv_pb_seconds(from->started);
    to.uptime_seconds = from->uptime_seconds;
    to.tokens = kv_pb_array(&writer, from->token_count, sizeof(*to.tokens), &to.n_tokens);
    for (size_t i = 0; i < to.n_tokens; i++)
        to.tokens[i] = token_line(&writer, &from->tokens[i]);
    store.backend = kv_pb_text(&writer, from->store_backend);
    store.state = kv_pb_text(&writer, from->store_state);
    store.schema_version = from->schema_version;
    to.store = &store;
    audit.state = kv_pb_text(&writer, from->audit_state);
    audit.head_sequence = from->audit_head_sequence;
    audit.last_checkpoint = kv_pb_seconds(from->last_checkpoint);
    audit.checkpoint_late = from->checkpoint_late;
    to.audit = &audit;
    return kv_pb_pack(&writer, &to.base, body, err);
}

static Keyvault__V1__Check *check(kv_pb_writer *writer, const kv_check *from)
{
    Keyvault__V1__Check *to = kv_pb_new(writer, &keyvault__v1__check__descriptor);

    if (!to)
        return NULL;
    to->name = kv_pb_text(writer, kv_slice_text(from->name));
    to->result = (Keyvault__V1__CheckResult)from->result;
    to->what = kv_pb_text(writer, from->what);
    to->next = kv_pb_text(writer, kv_slice_text(from->next));
    return to;
}

kv_status kv_pb_write_checks(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    const kv_checks *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__ServerReport to = KEYVAULT__V1__SERVER_REPORT__INIT;

    to.checks = kv_pb_array(&writer, from->count, sizeof(*to.checks), &to.n_checks);
    for (size_t i = 0; i < to.n_checks; i++)
        to.checks[i] = check(&writer, &from->items[i]);
    to.left_out = from->left_out;
    to.time_ms = from->time_ms;
    return kv_pb_pack(&writer, &to.base, body, err);
}
