/* pb_keys.c - KeyService. */
#include "keyvault/v1/keys.pb-c.h"
#include "server/vault/messages/messages_keys.h"
#include "server/wire/pb_impl.h"

/* By the number of keyvault.v1.SignatureAlgorithm. */
static const char *const algorithms[] = {
    NULL,    "RS256", "RS384",  "RS512", "PS256", "PS384", "PS512", "ES256",
    "ES384", "ES512", "ES256K", "EdDSA", "HS256", "HS384", "HS512",
};
_Static_assert(KV_COUNT(algorithms) ==
                   KEYVAULT__V1__SIGNATURE_ALGORITHM__SIGNATURE_ALGORITHM_HS512 + 1,
               "a name for each");

static kv_status algorithm_in(Keyvault__V1__SignatureAlgorithm number, const char **out,
                              kv_error *err)
{
    if (number <= 0 || (size_t)number >= KV_COUNT(algorithms))
        return kv_fail_field(err, "algorithm", "is required");
    *out = algorithms[number];
    return KV_OK;
}

static Keyvault__V1__SignatureAlgorithm algorithm_out(const char *name)
{
    for (size_t i = 1; i < KV_COUNT(algorithms); i++)
        if (name && !strcmp(name, algorithms[i]))
            return (Keyvault__V1__SignatureAlgorithm)i;
    return KEYVAULT__V1__SIGNATURE_ALGORITHM__SIGNATURE_ALGORITHM_UNSPECIFIED;
}

kv_status kv_pb_read_key_create(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_key_create_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__CreateKeyRequest *m;

    KV_TRY(kv_pb_open(&keyvault__v1__create_key_request__descriptor, body, KV_COLLECTION_KEYS,
                      arena, &read->target, &message, err));
    m = (const void *)message;
    if (m->kty == KEYVAULT__V1__KEY_TYPE__KEY_TYPE_UNSPECIFIED)
        return kv_fail_field(err, "kty", "is required");
    read->kty = (kv_key_type)m->kty;
    read->key_size = m->key_size;
    read->crv = (kv_curve)m->crv;
    read->key_ops = kv_pb_mask(m->n_key_ops, (const int *)m->key_ops);
    KV_TRY(kv_pb_attributes_in(m->attributes, &read->attributes, err));
    return kv_pb_tags_in(m->n_tags, m->tags, arena, &read->tags, err);
}

kv_status kv_pb_read_key_update(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_key_update_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__UpdateKeyRequest *m;

    KV_TRY(kv_pb_open(&keyvault__v1__update_key_request__descriptor, body, KV_COLLECTION_KEYS,
                      arena, &read->target, &message, err));
    m = (const void *)message;
    read->key_ops = kv_pb_mask(m->n_key_ops, (const int *)m->key_ops);
    KV_TRY(kv_pb_attributes_in(m->attributes, &read->attributes, err));
    return kv_pb_tag_list_in(m->tags, arena, &read->tags, err);
}

kv_status kv_pb_read_key_sign(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_key_sign_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__SignRequest *m;

    KV_TRY(kv_pb_open(&keyvault__v1__sign_request__descriptor, body, KV_COLLECTION_KEYS, arena,
                      &read->target, &message, err));
    m = (const void *)message;
    KV_TRY(algorithm_in(m->algorithm, &read->algorithm, err));
    if (m->input_case == KEYVAULT__V1__SIGN_REQUEST__INPUT__NOT_SET)
        return kv_fail_field(err, "digest", "a digest or a message is required");
    read->is_digest = m->input_case == KEYVAULT__V1__SIGN_REQUEST__INPUT_DIGEST;
    read->data = kv_pb_slice(read->is_digest ? m->digest : m->message);
    read->der = m->der;
    return KV_OK;
}

kv_status kv_pb_read_key_verify(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_key_verify_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__VerifyRequest *m;

    KV_TRY(kv_pb_open(&keyvault__v1__verify_request__descriptor, body, KV_COLLECTION_KEYS, arena,
                      &read->target, &message, err));
    m = (const void *)message;
    KV_TRY(algorithm_in(m->algorithm, &read->algorithm, err));
    if (m->input_case == KEYVAULT__V1__VERIFY_REQUEST__INPUT__NOT_SET)
        return kv_fail_field(err, "digest", "a digest or a message is required");
    if (m->signature.len == 0 || m->signature.len > 1024)
        return kv_fail_field(err, "signature", "must be 1 to 1024 bytes long");
    read->is_digest = m->input_case == KEYVAULT__V1__VERIFY_REQUEST__INPUT_DIGEST;
    read->data = kv_pb_slice(read->is_digest ? m->digest : m->message);
    read->signature = kv_pb_slice(m->signature);
    read->der = m->der;
    return KV_OK;
}

kv_status kv_pb_read_key_get(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__get_key_request__descriptor, body, KV_COLLECTION_KEYS,
                             arena, in, err);
}

kv_status kv_pb_read_key_list(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_list(&keyvault__v1__list_keys_request__descriptor, body, KV_COLLECTION_KEYS,
                           arena, in, err);
}

kv_status kv_pb_read_key_list_versions(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_list(&keyvault__v1__list_key_versions_request__descriptor, body,
                           KV_COLLECTION_KEYS, arena, in, err);
}

kv_status kv_pb_read_key_delete(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__delete_key_request__descriptor, body,
                             KV_COLLECTION_KEYS, arena, in, err);
}

kv_status kv_pb_read_key_get_deleted(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__get_deleted_key_request__descriptor, body,
                             KV_COLLECTION_KEYS, arena, in, err);
}

kv_status kv_pb_read_key_list_deleted(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_list(&keyvault__v1__list_deleted_keys_request__descriptor, body,
                           KV_COLLECTION_KEYS, arena, in, err);
}

kv_status kv_pb_read_key_recover(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__recover_deleted_key_request__descriptor, body,
                             KV_COLLECTION_KEYS, arena, in, err);
}

kv_status kv_pb_read_key_purge(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__purge_deleted_key_request__descriptor, body,
                             KV_COLLECTION_KEYS, arena, in, err);
}

static Keyvault__V1__JsonWebKey *public_key(kv_pb_writer *writer, const kv_json_web_key *from)
{
    Keyvault__V1__JsonWebKey *to = kv_pb_new(writer, &keyvault__v1__json_web_key__descriptor);

    if (!to)
        return NULL;
    to->kty = (Keyvault__V1__KeyType)from->kty;
    to->crv = (Keyvault__V1__Curve)from->crv;
    to->n = kv_pb_bytes(from->n);
    to->e = kv_pb_bytes(from->e);
    to->x = kv_pb_bytes(from->x);
    to->y = kv_pb_bytes(from->y);
    return to;
}

static Keyvault__V1__KeyAttestation *attestation(kv_pb_writer *writer,
                                                 const kv_key_attestation *from)
{
    Keyvault__V1__KeyAttestation *to =
        kv_pb_new(writer, &keyvault__v1__key_attestation__descriptor);

    if (!to)
        return NULL;
    to->local = from->local;
    to->always_sensitive = from->always_sensitive;
    to->never_extractable = from->never_extractable;
    to->sensitive = from->sensitive;
    to->extractable = from->extractable;
    to->origin = kv_pb_text(writer, from->origin);
    to->key_id = kv_pb_bytes(from->key_id);
    return to;
}

static Keyvault__V1__KeyRetirement *retirement(kv_pb_writer *writer, const kv_key_retirement *from)
{
    Keyvault__V1__KeyRetirement *to;

    if (!from->replaced)
        return NULL;
    to = kv_pb_new(writer, &keyvault__v1__key_retirement__descriptor);
    if (!to)
        return NULL;
    to->replaced = kv_pb_seconds(from->replaced);
    to->disabled = kv_pb_seconds(from->disabled);
    to->kept = from->kept;
    to->destroying = kv_pb_seconds(from->destroying);
    to->destroyed = kv_pb_seconds(from->destroyed);
    return to;
}

kv_status kv_pb_write_key_bundle(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    const kv_key_bundle *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__KeyBundle to = KEYVAULT__V1__KEY_BUNDLE__INIT;

    to.id = kv_pb_object_id(&writer, &from->id);
    to.key = public_key(&writer, &from->key);
    to.spki = kv_pb_bytes(from->spki);
    to.key_size = from->key_size;
    to.key_ops = (void *)kv_pb_numbers(&writer, from->key_ops, &to.n_key_ops);
    to.attributes = kv_pb_attributes(&writer, &from->attributes);
    to.tags = kv_pb_tags(&writer, &from->tags, &to.n_tags);
    to.managed = from->managed;
    to.exportable = from->exportable;
    to.attestation = attestation(&writer, &from->attestation);
    to.deletion = kv_pb_deletion(&writer, &from->deletion);
    to.retirement = retirement(&writer, &from->retirement);
    return kv_pb_pack(&writer, &to.base, body, err);
}

static Keyvault__V1__KeyItem *item(kv_pb_writer *writer, const kv_object_item *from)
{
    Keyvault__V1__KeyItem *to = kv_pb_new(writer, &keyvault__v1__key_item__descriptor);

    if (!to)
        return NULL;
    to->id = kv_pb_object_id(writer, &from->id);
    to->attributes = kv_pb_attributes(writer, &from->attributes);
    to->tags = kv_pb_tags(writer, &from->tags, &to->n_tags);
    to->managed = from->managed;
    to->deletion = kv_pb_deletion(writer, &from->deletion);
    to->destroyed = kv_pb_seconds(from->destroyed);
    return to;
}

kv_status kv_pb_write_key_list(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    const kv_object_list *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__ListKeysResponse to = KEYVAULT__V1__LIST_KEYS_RESPONSE__INIT;

    to.items = kv_pb_array(&writer, from->count, sizeof(*to.items), &to.n_items);
    for (size_t i = 0; i < to.n_items; i++)
        to.items[i] = item(&writer, &from->items[i]);
    to.next_page_token = kv_pb_bytes(from->next_page_token);
    return kv_pb_pack(&writer, &to.base, body, err);
}

kv_status kv_pb_write_signature(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    const kv_signature *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__SignResponse to = KEYVAULT__V1__SIGN_RESPONSE__INIT;

    to.id = kv_pb_object_id(&writer, &from->id);
    to.algorithm = algorithm_out(from->algorithm);
    to.signature = kv_pb_bytes(from->signature);
    return kv_pb_pack(&writer, &to.base, body, err);
}

kv_status kv_pb_write_verification(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    const kv_verification *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__VerifyResponse to = KEYVAULT__V1__VERIFY_RESPONSE__INIT;

    to.id = kv_pb_object_id(&writer, &from->id);
    to.valid = from->valid;
    return kv_pb_pack(&writer, &to.base, body, err);
}
