/* pb_issuers.c - IssuerService. */
#include "keyvault/v1/issuers.pb-c.h"
#include "server/vault/messages/messages_issuers.h"
#include "server/wire/pb_impl.h"

_Static_assert((int)KV_X509_LINT_PRIVATE == KEYVAULT__V1__TRUST_SCOPE__TRUST_SCOPE_PRIVATE &&
                   (int)KV_X509_LINT_PUBLIC == KEYVAULT__V1__TRUST_SCOPE__TRUST_SCOPE_PUBLIC,
               "the numbers of the .proto");

static kv_status organization_in(const Keyvault__V1__OrganizationDetails *from, kv_arena *arena,
                                 kv_issuer_settings_in *out, kv_error *err)
{
    kv_issuer_admin *admins;

    out->has_organization = from != NULL;
    if (!from)
        return KV_OK;
    admins = kv_arena_array(arena, from->n_admin_details, sizeof(*admins));
    if (!admins)
        return kv_arena_full(err);
    for (size_t i = 0; i < from->n_admin_details; i++) {
        const Keyvault__V1__AdministratorDetails *admin = from->admin_details[i];

        admins[i] = (kv_issuer_admin){ .first_name = kv_slice_text(admin->first_name),
                                       .last_name = kv_slice_text(admin->last_name),
                                       .email = kv_slice_text(admin->email),
                                       .phone = kv_slice_text(admin->phone) };
    }
    out->organization_id = kv_slice_text(from->id);
    out->admins = admins;
    out->admin_count = from->n_admin_details;
    return KV_OK;
}

static kv_status credentials_in(const Keyvault__V1__IssuerCredentials *from,
                                kv_issuer_settings_in *out, kv_error *err)
{
    if (!from)
        return KV_OK;
    out->account_id = kv_slice_text(from->account_id);
    out->credential = kv_pb_slice(from->pwd);
    out->has_credential_expires = from->has_expires_case != 0;
    return kv_pb_time(out->has_credential_expires ? from->expires : 0, "credentials.expires",
                      &out->credential_expires, err);
}

static kv_status order_rules_in(const Keyvault__V1__OrderRules *from, kv_arena *arena,
                                kv_issuer_settings_in *out, kv_error *err)
{
    out->has_order_rules = from != NULL;
    if (!from)
        return KV_OK;
    out->orders_per_hour = from->orders_per_hour;
    out->certificates_per_week = from->certificates_per_week;
    return kv_pb_texts_in(from->n_blackouts, from->blackouts, arena, &out->blackouts, err);
}

/* The two requests differ in their types alone. */
#define READ_SETTINGS(function, type, descriptor)                                                \
    kv_status function(kv_slice body, kv_arena *arena, void *in, kv_error *err)                  \
    {                                                                                            \
        kv_issuer_settings_in *read = in;                                                        \
        const ProtobufCMessage *message;                                                         \
        const type *m;                                                                           \
                                                                                                 \
        KV_TRY(kv_pb_open(&(descriptor), body, KV_COLLECTION_CERTIFICATES, arena, &read->target, \
                          &message, err));                                                       \
        m = (const void *)message;                                                               \
        read->provider = kv_slice_text(m->provider);                                             \
        read->settings = kv_slice_text(m->settings);                                             \
        read->trust = (kv_x509_lint_scope)m->trust;                                              \
        read->has_strict_lint = m->has_strict_lint_case != 0;                                    \
        read->strict_lint = m->strict_lint;                                                      \
        read->has_enabled = m->has_enabled_case != 0;                                            \
        read->enabled = m->enabled;                                                              \
        KV_TRY(credentials_in(m->credentials, read, err));                                       \
        KV_TRY(order_rules_in(m->order_rules, arena, read, err));                                \
        KV_TRY(organization_in(m->org_details, arena, read, err));                               \
        read->has_requesters = m->allowed_requesters != NULL;                                    \
        if (m->allowed_requesters)                                                               \
            KV_TRY(kv_pb_texts_in(m->allowed_requesters->n_principals,                           \
                                  m->allowed_requesters->principals, arena, &read->requesters,   \
                                  err));                                                         \
        read->has_domains = m->allowed_domains != NULL;                                          \
        if (!m->allowed_domains)                                                                 \
            return KV_OK;                                                                        \
        return kv_pb_texts_in(m->allowed_domains->n_rules, m->allowed_domains->rules, arena,     \
                              &read->domains, err);                                              \
    }

READ_SETTINGS(kv_pb_read_issuer_set, Keyvault__V1__SetIssuerRequest,
              keyvault__v1__set_issuer_request__descriptor)
READ_SETTINGS(kv_pb_read_issuer_update, Keyvault__V1__UpdateIssuerRequest,
              keyvault__v1__update_issuer_request__descriptor)

kv_status kv_pb_read_issuer_get(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__get_issuer_request__descriptor, body,
                             KV_COLLECTION_CERTIFICATES, arena, in, err);
}

kv_status kv_pb_read_issuer_list(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_list(&keyvault__v1__list_issuers_request__descriptor, body,
                           KV_COLLECTION_CERTIFICATES, arena, in, err);
}

kv_status kv_pb_read_issuer_delete(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_issuer_delete_in *read = in;
    const ProtobufCMessage *message;

    KV_TRY(kv_pb_open(&keyvault__v1__delete_issuer_request__descriptor, body,
                      KV_COLLECTION_CERTIFICATES, arena, &read->target, &message, err));
    read->deactivate_account =
        ((const Keyvault__V1__DeleteIssuerRequest *)(const void *)message)->deactivate_account;
    return KV_OK;
}

kv_status kv_pb_read_issuer_check(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__check_issuer_request__descriptor, body,
                             KV_COLLECTION_CERTIFICATES, arena, in, err);
}

kv_status kv_pb_read_issuer_roll_key(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__roll_account_key_request__descriptor, body,
                             KV_COLLECTION_CERTIFICATES, arena, in, err);
}

kv_status kv_pb_read_issuer_revoke(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_issuer_revoke_in *read = in;
    const ProtobufCMessage *message;

    KV_TRY(kv_pb_open(&keyvault__v1__revoke_issued_certificate_request__descriptor, body,
                      KV_COLLECTION_CERTIFICATES, arena, &read->target, &message, err));
    read->reason =
        (int)((const Keyvault__V1__RevokeIssuedCertificateRequest *)(const void *)message)->reason;
    return KV_OK;
}

static Keyvault__V1__OrganizationDetails *organization(kv_pb_writer *writer,
                                                       const kv_issuer_bundle *from)
{
    Keyvault__V1__OrganizationDetails *to;

    if (!from->organization_id.len && !from->admin_count)
        return NULL;
    to = kv_pb_new(writer, &keyvault__v1__organization_details__descriptor);
    if (!to)
        return NULL;
    to->id = kv_pb_text(writer, from->organization_id);
    to->admin_details =
        kv_pb_array(writer, from->admin_count, sizeof(*to->admin_details), &to->n_admin_details);
    for (size_t i = 0; i < to->n_admin_details; i++) {
        Keyvault__V1__AdministratorDetails *admin =
            kv_pb_new(writer, &keyvault__v1__administrator_details__descriptor);

        to->admin_details[i] = admin;
        if (!admin)
            continue;
        admin->first_name = kv_pb_text(writer, from->admins[i].first_name);
        admin->last_name = kv_pb_text(writer, from->admins[i].last_name);
        admin->email = kv_pb_text(writer, from->admins[i].email);
        admin->phone = kv_pb_text(writer, from->admins[i].phone);
    }
    return to;
}

static Keyvault__V1__OrderRules *order_rules(kv_pb_writer *writer, const kv_issuer_bundle *from)
{
    Keyvault__V1__OrderRules *to = kv_pb_new(writer, &keyvault__v1__order_rules__descriptor);

    if (!to)
        return NULL;
    to->orders_per_hour = (uint32_t)from->orders_per_hour;
    to->certificates_per_week = (uint32_t)from->certificates_per_week;
    to->blackouts =
        kv_pb_texts(writer, from->blackouts.items, from->blackouts.count, &to->n_blackouts);
    return to;
}

static Keyvault__V1__IssuerHealth *health(kv_pb_writer *writer, const kv_issuer_bundle *from)
{
    Keyvault__V1__IssuerHealth *to = kv_pb_new(writer, &keyvault__v1__issuer_health__descriptor);

    if (!to)
        return NULL;
    to->healthy = from->healthy;
    to->unhealthy_since = kv_pb_seconds(from->unhealthy_since);
    to->reason = kv_pb_text(writer, from->unhealthy_reason);
    to->paused_until = kv_pb_seconds(from->paused_until);
    return to;
}

static Keyvault__V1__Issuer *issuer(kv_pb_writer *writer, const kv_issuer_bundle *from)
{
    Keyvault__V1__Issuer *to = kv_pb_new(writer, &keyvault__v1__issuer__descriptor);

    if (!to)
        return NULL;
    to->vault = kv_pb_text(writer, from->vault);
    to->issuer = kv_pb_text(writer, from->name);
    to->provider = kv_pb_text(writer, from->provider);
    to->account_id = kv_pb_text(writer, from->account_id);
    to->has_credential = from->has_credential;
    to->credential_expires = kv_pb_seconds(from->credential_expires);
    to->org_details = organization(writer, from);
    to->settings = kv_pb_text(writer, from->settings);
    to->trust = (Keyvault__V1__TrustScope)from->trust;
    to->strict_lint = from->strict_lint;
    to->allowed_domains =
        kv_pb_texts(writer, from->domains.items, from->domains.count, &to->n_allowed_domains);
    to->allowed_requesters = kv_pb_array(
        writer, from->requester_count, sizeof(*to->allowed_requesters), &to->n_allowed_requesters);
    for (size_t i = 0; i < to->n_allowed_requesters; i++) {
        Keyvault__V1__Requester *requester =
            kv_pb_new(writer, &keyvault__v1__requester__descriptor);

        to->allowed_requesters[i] = requester;
        if (!requester)
            continue;
        requester->id = kv_pb_text(writer, from->requesters[i].id);
        requester->name = kv_pb_text(writer, from->requesters[i].name);
    }
    to->enabled = from->enabled;
    to->created = kv_pb_seconds(from->created);
    to->updated = kv_pb_seconds(from->updated);
    to->order_rules = order_rules(writer, from);
    to->health = health(writer, from);
    return to;
}

kv_status kv_pb_write_issuer_bundle(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__Issuer *to = issuer(&writer, out);

    if (!to)
        return kv_arena_full(err);
    return kv_pb_pack(&writer, &to->base, body, err);
}

kv_status kv_pb_write_issuer_list(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    const kv_issuer_list *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__ListIssuersResponse to = KEYVAULT__V1__LIST_ISSUERS_RESPONSE__INIT;

    to.issuers = kv_pb_array(&writer, from->count, sizeof(*to.issuers), &to.n_issuers);
    for (size_t i = 0; i < to.n_issuers; i++)
        to.issuers[i] = issuer(&writer, &from->items[i]);
    to.next_page_token = kv_pb_bytes(from->next_page_token);
    return kv_pb_pack(&writer, &to.base, body, err);
}

kv_status kv_pb_write_issuer_checked(const void *out, kv_arena *arena, kv_slice *body,
                                     kv_error *err)
{
    const kv_issuer_checked *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__CheckIssuerResponse to = KEYVAULT__V1__CHECK_ISSUER_RESPONSE__INIT;

    to.accepted = from->accepted;
    to.details = kv_pb_text(&writer, from->details);
    to.credential_expires = kv_pb_seconds(from->credential_expires);
    to.account = kv_pb_text(&writer, from->account);
    to.validation_record = kv_pb_text(&writer, from->validation_record);
    return kv_pb_pack(&writer, &to.base, body, err);
}

kv_status kv_pb_write_issuer_account(const void *out, kv_arena *arena, kv_slice *body,
                                     kv_error *err)
{
    const kv_issuer_account_bundle *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__IssuerAccount to = KEYVAULT__V1__ISSUER_ACCOUNT__INIT;

    to.url = kv_pb_text(&writer, from->url);
    to.public_key = kv_pb_bytes(from->spki);
    return kv_pb_pack(&writer, &to.base, body, err);
}
