/* pb_authorities.c - CertificateAuthorityService. */
#include "keyvault/v1/authorities.pb-c.h"
#include "server/vault/messages/messages_authorities.h"
#include "server/vault/messages/messages_certificates.h"
#include "server/vault/messages/messages_issued.h"
#include "server/wire/pb_impl.h"
#include "server/wire/pb_policy.h"

_Static_assert(
    (int)KV_AUTHORITY_ROOT ==
            KEYVAULT__V1__CERTIFICATE_AUTHORITY_TYPE__CERTIFICATE_AUTHORITY_TYPE_ROOT &&
        (int)KV_AUTHORITY_SUBORDINATE ==
            KEYVAULT__V1__CERTIFICATE_AUTHORITY_TYPE__CERTIFICATE_AUTHORITY_TYPE_SUBORDINATE,
    "the numbers of the .proto");

/* --- reading --- */

static kv_status subtrees_in(const Keyvault__V1__GeneralSubtrees *from, kv_arena *arena,
                             kv_x509_subtrees *out, kv_error *err)
{
    if (!from)
        return KV_OK;
    KV_TRY(kv_pb_texts_in(from->n_dns_names, from->dns_names, arena, &out->dns_names, err));
    KV_TRY(kv_pb_texts_in(from->n_ip_ranges, from->ip_ranges, arena, &out->ip_ranges, err));
    KV_TRY(kv_pb_texts_in(from->n_emails, from->emails, arena, &out->emails, err));
    return kv_pb_texts_in(from->n_directory_names, from->directory_names, arena,
                          &out->directory_names, err);
}

static void revocation_in(const Keyvault__V1__RevocationConfiguration *from,
                          kv_revocation_config *out)
{
    if (!from)
        return;
    *out = (kv_revocation_config){ .given = true,
                                   .crl_url = kv_slice_text(from->crl_url),
                                   .ocsp_url = kv_slice_text(from->ocsp_url),
                                   .issuer_url = kv_slice_text(from->issuer_url),
                                   .crl_hours = from->crl_hours };
}

kv_status kv_pb_read_authority_create(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_authority_create_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__CreateCertificateAuthorityRequest *m;

    KV_TRY(kv_pb_open(&keyvault__v1__create_certificate_authority_request__descriptor, body,
                      KV_COLLECTION_NONE, arena, &read->target, &message, err));
    m = (const void *)message;
    read->kind = (kv_authority_kind)m->type;
    read->subject = kv_slice_text(m->subject);
    read->kty = kv_pb_key_type_name(m->kty);
    read->key_size = m->key_size;
    read->crv = kv_pb_curve_name(m->crv);
    read->validity_months = m->validity_months;
    read->path_limited = m->has_path_length_case != 0;
    read->path_length = m->path_length;
    if (m->name_constraints) {
        KV_TRY(
            subtrees_in(m->name_constraints->permitted, arena, &read->constraints.permitted, err));
        KV_TRY(subtrees_in(m->name_constraints->excluded, arena, &read->constraints.excluded, err));
    }
    read->parent = kv_slice_text(m->parent);
    revocation_in(m->revocation, &read->revocation);
    read->max_months = m->max_validity_months;
    return kv_pb_texts_in(m->n_allow_vaults, m->allow_vaults, arena, &read->allow_vaults, err);
}

kv_status kv_pb_read_authority_get(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__get_certificate_authority_request__descriptor, body,
                             KV_COLLECTION_NONE, arena, in, err);
}

kv_status kv_pb_read_authority_list(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_list(&keyvault__v1__list_certificate_authorities_request__descriptor, body,
                           KV_COLLECTION_NONE, arena, in, err);
}

kv_status kv_pb_read_authority_delete(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__delete_certificate_authority_request__descriptor, body,
                             KV_COLLECTION_NONE, arena, in, err);
}

kv_status kv_pb_read_authority_crl(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_authority_crl_in *read = in;
    const ProtobufCMessage *message;

    KV_TRY(kv_pb_open(&keyvault__v1__get_certificate_revocation_list_request__descriptor, body,
                      KV_COLLECTION_NONE, arena, &read->target, &message, err));
    read->key = ((const Keyvault__V1__GetCertificateRevocationListRequest *)message)->key_number;
    return KV_OK;
}

kv_status kv_pb_read_authority_import(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_authority_import_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__ImportCertificateAuthorityCertificateRequest *m;

    KV_TRY(kv_pb_open(&keyvault__v1__import_certificate_authority_certificate_request__descriptor,
                      body, KV_COLLECTION_NONE, arena, &read->target, &message, err));
    m = (const void *)message;
    return kv_pb_x5c_in(m->n_x5c, m->x5c, arena, &read->x5c, err);
}

kv_status kv_pb_read_authority_update(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_authority_update_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__UpdateCertificateAuthorityRequest *m;

    KV_TRY(kv_pb_open(&keyvault__v1__update_certificate_authority_request__descriptor, body,
                      KV_COLLECTION_NONE, arena, &read->target, &message, err));
    m = (const void *)message;
    read->has_enabled = m->has_enabled_case != 0;
    read->enabled = m->enabled;
    revocation_in(m->revocation, &read->revocation);
    read->max_months = m->max_validity_months;
    KV_TRY(kv_pb_texts_in(m->n_allow_vaults, m->allow_vaults, arena, &read->allow_vaults, err));
    return kv_pb_texts_in(m->n_disallow_vaults, m->disallow_vaults, arena, &read->disallow_vaults,
                          err);
}

kv_status kv_pb_read_authority_revoke(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_authority_revoke_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__RevokeCertificateRequest *m;

    KV_TRY(kv_pb_open(&keyvault__v1__revoke_certificate_request__descriptor, body,
                      KV_COLLECTION_NONE, arena, &read->target, &message, err));
    m = (const void *)message;
    if (!m->serial[0])
        return kv_fail_field(err, "serial", "is required");
    read->serial = kv_slice_text(m->serial);
    read->reason = (int)m->reason;
    return kv_pb_time(m->invalidity_date, "invalidity_date", &read->invalid_since, err);
}

kv_status kv_pb_read_authority_renew(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_authority_renew_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__RenewCertificateAuthorityRequest *m;

    KV_TRY(kv_pb_open(&keyvault__v1__renew_certificate_authority_request__descriptor, body,
                      KV_COLLECTION_NONE, arena, &read->target, &message, err));
    m = (const void *)message;
    read->new_key = m->new_key;
    read->kty = kv_pb_key_type_name(m->kty);
    read->key_size = m->key_size;
    read->crv = kv_pb_curve_name(m->crv);
    read->validity_months = m->validity_months;
    read->parent = kv_slice_text(m->parent);
    revocation_in(m->revocation, &read->revocation);
    return KV_OK;
}

kv_status kv_pb_read_issued_list(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_issued_list_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__ListIssuedCertificatesRequest *m;

    KV_TRY(kv_pb_open(&keyvault__v1__list_issued_certificates_request__descriptor, body,
                      KV_COLLECTION_NONE, arena, &read->target, &message, err));
    m = (const void *)message;
    read->page = (kv_page){ .size = m->page_size,
                            .token = kv_slice_of(m->page_token.data, m->page_token.len) };
    read->state = (int)m->state;
    KV_TRY(kv_pb_time(m->ends_from, "ends_from", &read->ends_from, err));
    return kv_pb_time(m->ends_before, "ends_before", &read->ends_before, err);
}

kv_status kv_pb_read_issued_get(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_issued_get_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__GetIssuedCertificateRequest *m;

    KV_TRY(kv_pb_open(&keyvault__v1__get_issued_certificate_request__descriptor, body,
                      KV_COLLECTION_NONE, arena, &read->target, &message, err));
    m = (const void *)message;
    if (!m->serial[0])
        return kv_fail_field(err, "serial", "is required");
    read->serial = kv_slice_text(m->serial);
    return KV_OK;
}

/* --- writing --- */

static Keyvault__V1__RevocationConfiguration *revocation(kv_pb_writer *writer,
                                                         const kv_revocation_config *from)
{
    Keyvault__V1__RevocationConfiguration *to =
        kv_pb_new(writer, &keyvault__v1__revocation_configuration__descriptor);

    if (!to)
        return NULL;
    to->crl_url = kv_pb_text(writer, from->crl_url);
    to->ocsp_url = kv_pb_text(writer, from->ocsp_url);
    to->issuer_url = kv_pb_text(writer, from->issuer_url);
    to->crl_hours = from->crl_hours;
    return to;
}

static void former_keys(kv_pb_writer *writer, const kv_authority_bundle *from,
                        Keyvault__V1__CertificateAuthority *to)
{
    to->former_keys =
        kv_pb_array(writer, from->former_count, sizeof(*to->former_keys), &to->n_former_keys);
    for (size_t i = 0; i < to->n_former_keys; i++) {
        Keyvault__V1__FormerAuthorityKey *key =
            kv_pb_new(writer, &keyvault__v1__former_authority_key__descriptor);

        to->former_keys[i] = key;
        if (!key)
            return;
        key->key_number = from->formers[i].number;
        key->certificate = kv_pb_bytes(from->formers[i].certificate);
        key->not_after = kv_pb_seconds(from->formers[i].not_after);
        key->crl_url = kv_pb_text(writer, from->formers[i].crl_url);
        key->destroyed = from->formers[i].destroyed;
    }
}

static Keyvault__V1__IssuedCertificate *issued(kv_pb_writer *writer, const kv_issued_bundle *from)
{
    Keyvault__V1__IssuedCertificate *to =
        kv_pb_new(writer, &keyvault__v1__issued_certificate__descriptor);

    if (!to)
        return NULL;
    to->serial = kv_pb_text(writer, from->serial);
    to->key_number = from->key;
    to->state = (Keyvault__V1__IssuedCertificateState)from->state;
    to->subject = kv_pb_text(writer, from->subject);
    to->not_before = kv_pb_seconds(from->not_before);
    to->not_after = kv_pb_seconds(from->not_after);
    to->sha256 = kv_pb_bytes(from->sha256);
    to->version = kv_pb_text(writer, from->version);
    to->revoked = kv_pb_seconds(from->revoked);
    to->reason = (Keyvault__V1__RevocationReason)from->reason;
    to->certificate = kv_pb_bytes(from->certificate);
    return to;
}

kv_status kv_pb_write_issued(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__IssuedCertificate *to = issued(&writer, out);

    if (!to)
        return kv_arena_full(err);
    return kv_pb_pack(&writer, &to->base, body, err);
}

kv_status kv_pb_write_issued_list(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    const kv_issued_list *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__ListIssuedCertificatesResponse to =
        KEYVAULT__V1__LIST_ISSUED_CERTIFICATES_RESPONSE__INIT;

    to.items = kv_pb_array(&writer, from->count, sizeof(*to.items), &to.n_items);
    for (size_t i = 0; i < to.n_items; i++)
        to.items[i] = issued(&writer, &from->items[i]);
    to.next_page_token = kv_pb_bytes(from->next_page_token);
    return kv_pb_pack(&writer, &to.base, body, err);
}

static Keyvault__V1__CertificateAuthority *authority(kv_pb_writer *writer,
                                                     const kv_authority_bundle *from)
{
    Keyvault__V1__CertificateAuthority *to =
        kv_pb_new(writer, &keyvault__v1__certificate_authority__descriptor);

    if (!to)
        return NULL;
    to->vault = kv_pb_text(writer, from->vault);
    to->name = kv_pb_text(writer, from->name);
    to->type = (Keyvault__V1__CertificateAuthorityType)from->kind;
    to->state = kv_pb_text(writer, from->state);
    to->enabled = from->enabled;
    to->subject = kv_pb_text(writer, from->subject);
    to->issuer = kv_pb_text(writer, from->issuer);
    to->serial = kv_pb_text(writer, from->serial);
    to->not_before = kv_pb_seconds(from->not_before);
    to->not_after = kv_pb_seconds(from->not_after);
    to->certificate = kv_pb_bytes(from->certificate);
    to->chain = kv_pb_blobs(writer, from->chain.items, from->chain.count, &to->n_chain);
    to->csr = kv_pb_bytes(from->csr);
    to->key_kind = kv_pb_text(writer, from->key_kind);
    to->revocation = revocation(writer, &from->revocation);
    to->max_validity_months = from->max_months;
    to->allowed_vaults = kv_pb_texts(writer, from->allowed_vaults.items, from->allowed_vaults.count,
                                     &to->n_allowed_vaults);
    to->key_number = from->number;
    former_keys(writer, from, to);
    to->created = kv_pb_seconds(from->created);
    to->updated = kv_pb_seconds(from->updated);
    return to;
}

kv_status kv_pb_write_authority_bundle(const void *out, kv_arena *arena, kv_slice *body,
                                       kv_error *err)
{
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__CertificateAuthority *to = authority(&writer, out);

    if (!to)
        return kv_arena_full(err);
    return kv_pb_pack(&writer, &to->base, body, err);
}

kv_status kv_pb_write_authority_list(const void *out, kv_arena *arena, kv_slice *body,
                                     kv_error *err)
{
    const kv_authority_list *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__ListCertificateAuthoritiesResponse to =
        KEYVAULT__V1__LIST_CERTIFICATE_AUTHORITIES_RESPONSE__INIT;

    to.items = kv_pb_array(&writer, from->count, sizeof(*to.items), &to.n_items);
    for (size_t i = 0; i < to.n_items; i++)
        to.items[i] = authority(&writer, &from->items[i]);
    to.next_page_token = kv_pb_bytes(from->next_page_token);
    return kv_pb_pack(&writer, &to.base, body, err);
}

kv_status kv_pb_write_revoked(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    const kv_revoked_bundle *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__RevokedCertificate to = KEYVAULT__V1__REVOKED_CERTIFICATE__INIT;

    to.serial = kv_pb_text(&writer, from->serial);
    to.revoked = kv_pb_seconds(from->revoked);
    to.reason = (Keyvault__V1__RevocationReason)from->reason;
    to.crl_number = from->crl_number;
    to.on_crl = from->on_crl;
    return kv_pb_pack(&writer, &to.base, body, err);
}

kv_status kv_pb_write_crl(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    const kv_crl_bundle *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__CertificateRevocationList to = KEYVAULT__V1__CERTIFICATE_REVOCATION_LIST__INIT;

    to.crl = kv_pb_bytes(from->crl);
    to.number = from->number;
    to.this_update = kv_pb_seconds(from->this_update);
    to.next_update = kv_pb_seconds(from->next_update);
    return kv_pb_pack(&writer, &to.base, body, err);
}
