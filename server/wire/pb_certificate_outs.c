/* pb_certificate_outs.c - the answers of CertificateService. */
#include "server/vault/messages/messages_certificates.h"
#include "server/wire/pb_policy.h"

static void names(kv_pb_writer *writer, const kv_certificate_operation *from,
                  Keyvault__V1__CertificateOperation *to)
{
    to->names = kv_pb_array(writer, from->name_count, sizeof(*to->names), &to->n_names);
    for (size_t i = 0; i < to->n_names; i++) {
        Keyvault__V1__OperationName *name =
            kv_pb_new(writer, &keyvault__v1__operation_name__descriptor);

        to->names[i] = name;
        if (!name)
            continue;
        name->name = kv_pb_text(writer, from->names[i].name);
        name->status = kv_pb_text(writer, from->names[i].status);
        name->details = kv_pb_text(writer, from->names[i].details);
        name->since = kv_pb_seconds(from->names[i].since_ms);
    }
}

kv_status kv_pb_write_certificate_operation(const void *out, kv_arena *arena, kv_slice *body,
                                            kv_error *err)
{
    const kv_certificate_operation *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__CertificateOperation to = KEYVAULT__V1__CERTIFICATE_OPERATION__INIT;
    Keyvault__V1__IssuerParameters issuer = KEYVAULT__V1__ISSUER_PARAMETERS__INIT;
    Keyvault__V1__OperationError error = KEYVAULT__V1__OPERATION_ERROR__INIT;

    to.id = kv_pb_object_id(&writer, &from->id);
    issuer.name = kv_pb_text(&writer, from->issuer_name);
    issuer.cty = kv_pb_text(&writer, from->issuer_cty);
    to.issuer = &issuer;
    to.csr = kv_pb_bytes(from->csr);
    to.cancellation_requested = from->cancellation_requested;
    to.status = kv_pb_text(&writer, from->status);
    to.status_details = kv_pb_text(&writer, from->status_details);
    if (from->error_code.len) {
        error.code = kv_pb_text(&writer, from->error_code);
        error.message = kv_pb_text(&writer, from->error_message);
        to.error = &error;
    }
    to.target = kv_pb_object_id(&writer, &from->target);
    to.request_id = kv_pb_text(&writer, from->request_id);
    to.created = kv_pb_seconds(from->created);
    to.updated = kv_pb_seconds(from->updated);
    to.warnings = kv_pb_texts(&writer, from->warnings.items, from->warnings.count, &to.n_warnings);
    names(&writer, from, &to);
    to.certificate_transparency = (Keyvault__V1__CertificateTransparency)from->transparency;
    return kv_pb_pack(&writer, &to.base, body, err);
}

kv_status kv_pb_write_certificate_bundle(const void *out, kv_arena *arena, kv_slice *body,
                                         kv_error *err)
{
    const kv_certificate_bundle *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__CertificateBundle to = KEYVAULT__V1__CERTIFICATE_BUNDLE__INIT;

    to.id = kv_pb_object_id(&writer, &from->id);
    to.kid = kv_pb_object_id(&writer, &from->kid);
    to.sid = kv_pb_object_id(&writer, &from->sid);
    to.x5t = kv_pb_bytes(from->x5t);
    to.x5t_s256 = kv_pb_bytes(from->x5t_s256);
    to.cer = kv_pb_bytes(from->cer);
    to.policy = from->has_policy ? kv_pb_policy(&writer, &from->policy) : NULL;
    to.content_type = kv_pb_text(&writer, from->content_type);
    to.attributes = kv_pb_attributes(&writer, &from->attributes);
    to.tags = kv_pb_tags(&writer, &from->tags, &to.n_tags);
    to.pending = from->pending;
    to.deletion = kv_pb_deletion(&writer, &from->deletion);
    to.subject = kv_pb_text(&writer, from->subject);
    to.issuer = kv_pb_text(&writer, from->issuer);
    to.serial_number = kv_pb_bytes(from->serial_number);
    to.key_known_outside = from->key_known_outside;
    to.preserve_cert_order = from->preserve_cert_order;
    to.warnings = kv_pb_texts(&writer, from->warnings.items, from->warnings.count, &to.n_warnings);
    return kv_pb_pack(&writer, &to.base, body, err);
}

kv_status kv_pb_write_certificate_policy_bundle(const void *out, kv_arena *arena, kv_slice *body,
                                                kv_error *err)
{
    const kv_certificate_policy_bundle *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__CertificatePolicyBundle to = KEYVAULT__V1__CERTIFICATE_POLICY_BUNDLE__INIT;

    to.policy = kv_pb_policy(&writer, &from->policy);
    to.enabled = from->enabled;
    to.created = kv_pb_seconds(from->created);
    to.updated = kv_pb_seconds(from->updated);
    return kv_pb_pack(&writer, &to.base, body, err);
}

kv_status kv_pb_write_certificate_chain(const void *out, kv_arena *arena, kv_slice *body,
                                        kv_error *err)
{
    const kv_certificate_chain *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__CertificateChain to = KEYVAULT__V1__CERTIFICATE_CHAIN__INIT;

    to.id = kv_pb_object_id(&writer, &from->id);
    to.format = (Keyvault__V1__ChainFormat)from->format;
    to.certificates = kv_pb_blobs(&writer, from->certificates.items, from->certificates.count,
                                  &to.n_certificates);
    to.encoded = kv_pb_bytes(from->encoded);
    return kv_pb_pack(&writer, &to.base, body, err);
}

static Keyvault__V1__CertificateItem *item(kv_pb_writer *writer, const kv_object_item *from)
{
    Keyvault__V1__CertificateItem *to =
        kv_pb_new(writer, &keyvault__v1__certificate_item__descriptor);

    if (!to)
        return NULL;
    to->id = kv_pb_object_id(writer, &from->id);
    to->x5t = kv_pb_bytes(from->x5t);
    to->x5t_s256 = kv_pb_bytes(from->x5t_s256);
    to->subject = kv_pb_text(writer, from->subject);
    to->attributes = kv_pb_attributes(writer, &from->attributes);
    to->tags = kv_pb_tags(writer, &from->tags, &to->n_tags);
    to->deletion = kv_pb_deletion(writer, &from->deletion);
    return to;
}

kv_status kv_pb_write_certificate_list(const void *out, kv_arena *arena, kv_slice *body,
                                       kv_error *err)
{
    const kv_object_list *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__ListCertificatesResponse to = KEYVAULT__V1__LIST_CERTIFICATES_RESPONSE__INIT;

    to.items = kv_pb_array(&writer, from->count, sizeof(*to.items), &to.n_items);
    for (size_t i = 0; i < to.n_items; i++)
        to.items[i] = item(&writer, &from->items[i]);
    to.next_page_token = kv_pb_bytes(from->next_page_token);
    return kv_pb_pack(&writer, &to.base, body, err);
}
