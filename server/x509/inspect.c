/* inspect.c - reads a certificate into plain facts. */
#include "server/x509/inspect.h"

#include <time.h>

#include <arpa/inet.h>

#include <openssl/err.h>

#include "pkcs11/key.h"
#include "server/base/text.h"
#include "server/x509/openssl.h"

enum { CERTIFICATE_MAX = 64 * 1024, OID_TEXT_MAX = 128, REQUEST_BITS_MAX = 16384 };

/* A certificate, or a request, which has the same things in other places. */
typedef struct reader {
    const char *noun;
    const X509_NAME *subject;
    const X509_PUBKEY *spki;
    const STACK_OF(X509_EXTENSION) *extensions;
    kv_arena *arena;
    kv_x509_facts *facts;
    kv_error *err;
} reader;

static kv_status refused(const reader *r, const char *part)
{
    char message[96];

    (void)snprintf(message, sizeof(message), "the %s has a malformed %s", r->noun, part);
    return kv_ossl_failed(r->err, KV_BAD_REQUEST, message);
}

static kv_status read_name(const reader *r, const X509_NAME *name, kv_slice *out)
{
    KV_AUTO(kv_ossl_bio) text = BIO_new(BIO_s_mem());
    unsigned long flags = XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB;
    char *data = NULL;
    long len;

    if (!text || X509_NAME_print_ex(text, name, 0, flags) < 0)
        return refused(r, "name");
    len = BIO_get_mem_data(text, &data);
    return kv_arena_copy(r->arena, kv_slice_of(data, len > 0 ? (size_t)len : 0), out, r->err);
}

static kv_status read_common_name(const reader *r)
{
    const X509_NAME *name = r->subject;
    KV_AUTO(kv_ossl_bytes) utf8 = NULL;
    int at = -1, last = -1;
    int len;

    while ((at = X509_NAME_get_index_by_NID(name, NID_commonName, at)) >= 0)
        last = at;
    r->facts->common_name = KV_SLICE("");
    if (last < 0)
        return KV_OK;
    len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, last)));
    if (len < 0)
        return refused(r, "common name");
    return kv_arena_copy(r->arena, kv_slice_of(utf8, (size_t)len), &r->facts->common_name, r->err);
}

static kv_status read_time(const reader *r, const ASN1_TIME *time, int64_t *out)
{
    struct tm parts;

    if (!ASN1_TIME_to_tm(time, &parts))
        return refused(r, "validity");
    *out = (int64_t)timegm(&parts) * 1000;
    return KV_OK;
}

static kv_status read_serial(const reader *r, const ASN1_INTEGER *serial)
{
    bool negative = ASN1_STRING_type(serial) == V_ASN1_NEG_INTEGER;
    kv_slice bytes = kv_slice_of(ASN1_STRING_get0_data(serial), (size_t)ASN1_STRING_length(serial));
    char *text = kv_arena_alloc(r->arena, 2 * bytes.len + 2);

    if (!text)
        return kv_arena_full(r->err);
    text[0] = '-';
    kv_hex(bytes, text + negative);
    r->facts->serial_hex = kv_slice_text(text);
    return KV_OK;
}

/* From the algorithm identifier, which is much cheaper than another decoded key. A curve counts
 * only by its name, never by explicit parameters. */
static kv_key_kind kind_of(const X509_PUBKEY *spki, unsigned bits)
{
    X509_ALGOR *algorithm = NULL;
    const ASN1_OBJECT *object;
    const void *value;
    int type;

    if (!X509_PUBKEY_get0_param(NULL, NULL, NULL, &algorithm, spki))
        return KV_KEY_NONE;
    X509_ALGOR_get0(&object, &type, &value, algorithm);
    if (OBJ_obj2nid(object) == NID_rsaEncryption)
        return kv_key_kind_rsa(bits);
    if (OBJ_obj2nid(object) == NID_X9_62_id_ecPublicKey && type == V_ASN1_OBJECT)
        return kv_key_kind_curve(OBJ_obj2nid(value));
    return KV_KEY_NONE;
}

static kv_status read_key(const reader *r)
{
    const EVP_PKEY *key = X509_PUBKEY_get0(r->spki);
    KV_AUTO(kv_ossl_bytes) der = NULL;
    int len = i2d_X509_PUBKEY(r->spki, &der);

    KV_TRY(kv_ossl_keep(r->arena, der, len, &r->facts->spki, r->err));
    r->facts->is_rsa = key && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA;
    r->facts->key_bits = key ? (unsigned)EVP_PKEY_get_bits(key) : 0;
    r->facts->key_kind = key ? kind_of(r->spki, r->facts->key_bits) : KV_KEY_NONE;
    ERR_clear_error();
    return KV_OK;
}

static kv_status read_signature_algorithm(const reader *r, const X509_ALGOR *algorithm)
{
    const ASN1_OBJECT *object;
    char text[OID_TEXT_MAX];

    X509_ALGOR_get0(&object, NULL, NULL, algorithm);
    if (OBJ_obj2txt(text, sizeof(text), object, 0) <= 0)
        return refused(r, "signature algorithm");
    return kv_arena_copy(r->arena, kv_slice_text(text), &r->facts->signature_algorithm, r->err);
}

/* The decoded extension; NULL when it is absent. Fails when it is malformed or there twice. */
static kv_status extension(const reader *r, int nid, const char *name, void **out, int *critical)
{
    *out = X509V3_get_d2i(r->extensions, nid, critical, NULL);
    if (!*out && *critical != -1)
        return refused(r, name);
    return KV_OK;
}

static kv_status read_constraints(const reader *r)
{
    KV_AUTO(kv_ossl_constraints) value = NULL;
    void *found;
    int critical;

    KV_TRY(extension(r, NID_basic_constraints, "basic constraints", &found, &critical));
    value = found;
    r->facts->is_ca = value && value->ca;
    return KV_OK;
}

static kv_status read_key_usage(const reader *r)
{
    KV_AUTO(kv_ossl_bits) value = NULL;
    void *found;
    int critical;

    KV_TRY(extension(r, NID_key_usage, "key usage", &found, &critical));
    value = found;
    r->facts->has_key_usage = value != NULL;
    for (int i = 0; value && i < KV_X509_KEY_USAGE_COUNT; i++)
        if (ASN1_BIT_STRING_get_bit(value, i))
            r->facts->key_usage |= UINT32_C(1) << i;
    return KV_OK;
}

static kv_status read_ekus(const reader *r)
{
    KV_AUTO(kv_ossl_usages) value = NULL;
    kv_slice *items;
    void *found;
    int critical, count;

    KV_TRY(extension(r, NID_ext_key_usage, "extended key usage", &found, &critical));
    value = found;
    count = value ? sk_ASN1_OBJECT_num(value) : 0;
    items = kv_arena_array(r->arena, (size_t)count, sizeof(kv_slice));
    if (!items)
        return kv_arena_full(r->err);
    for (int i = 0; i < count; i++) {
        char text[OID_TEXT_MAX];
        int len = OBJ_obj2txt(text, sizeof(text), sk_ASN1_OBJECT_value(value, i), 1);

        if (len <= 0 || (size_t)len >= sizeof(text))
            return refused(r, "extended key usage");
        KV_TRY(kv_arena_copy(r->arena, kv_slice_text(text), &items[i], r->err));
    }
    r->facts->ekus = (kv_x509_list){ .items = items, .count = (size_t)count };
    return KV_OK;
}

static kv_slice string_of(const ASN1_STRING *string)
{
    return kv_slice_of(ASN1_STRING_get0_data(string), (size_t)ASN1_STRING_length(string));
}

static kv_slice address_of(const ASN1_OCTET_STRING *address, char text[INET6_ADDRSTRLEN])
{
    kv_slice bytes = string_of(address);
    int family = bytes.len == 4 ? AF_INET : AF_INET6;

    if ((bytes.len != 4 && bytes.len != 16) ||
        !inet_ntop(family, bytes.data, text, INET6_ADDRSTRLEN))
        return KV_SLICE_NONE;
    return kv_slice_text(text);
}

static bool is_upn(const OTHERNAME *name)
{
    return OBJ_obj2nid(name->type_id) == NID_ms_upn && name->value->type == V_ASN1_UTF8STRING;
}

static void append(kv_x509_list *list, kv_slice *items, kv_slice text)
{
    list->items = list->count ? list->items : items;
    items[list->count++] = text;
}

/* The lists grow in five arrays, each long enough for all names. */
static kv_status read_san(const reader *r, const GENERAL_NAME *name, kv_slice *items, size_t room)
{
    kv_x509_sans *sans = &r->facts->sans;
    char address[INET6_ADDRSTRLEN];
    kv_slice copy, text = KV_SLICE_NONE;

    if (name->type == GEN_EMAIL || name->type == GEN_DNS || name->type == GEN_URI)
        text = string_of(name->d.ia5);
    else if (name->type == GEN_IPADD)
        text = address_of(name->d.iPAddress, address);
    else if (name->type == GEN_OTHERNAME && is_upn(name->d.otherName))
        text = string_of(name->d.otherName->value->value.utf8string);
    /* A name that cannot be shown as text must not pass for a good one, nor for none. */
    if (text.len && !kv_text_printable(text))
        return refused(r, "alternative name");
    if (!text.len) {
        r->facts->other_sans++;
        return KV_OK;
    }
    KV_TRY(kv_arena_copy(r->arena, text, &copy, r->err));
    if (name->type == GEN_EMAIL)
        append(&sans->emails, items, copy);
    else if (name->type == GEN_DNS)
        append(&sans->dns_names, items + room, copy);
    else if (name->type == GEN_URI)
        append(&sans->uris, items + 2 * room, copy);
    else if (name->type == GEN_IPADD)
        append(&sans->ip_addresses, items + 3 * room, copy);
    else
        append(&sans->upns, items + 4 * room, copy);
    return KV_OK;
}

static kv_status read_sans(const reader *r)
{
    KV_AUTO(kv_ossl_general_names) value = NULL;
    kv_slice *items;
    void *found;
    int critical, count;

    KV_TRY(extension(r, NID_subject_alt_name, "alternative name", &found, &critical));
    value = found;
    count = value ? sk_GENERAL_NAME_num(value) : 0;
    r->facts->san_critical = value && critical == 1;
    items = kv_arena_array(r->arena, 5 * (size_t)count, sizeof(kv_slice));
    if (!items)
        return kv_arena_full(r->err);
    for (int i = 0; i < count; i++)
        KV_TRY(read_san(r, sk_GENERAL_NAME_value(value, i), items, (size_t)count));
    return KV_OK;
}

static kv_status read_key_ids(const reader *r)
{
    KV_AUTO(kv_ossl_octets) own = NULL;
    KV_AUTO(kv_ossl_key_id) authority = NULL;
    void *found;
    int critical;

    r->facts->subject_key_id = r->facts->authority_key_id = KV_SLICE("");
    KV_TRY(extension(r, NID_subject_key_identifier, "subject key identifier", &found, &critical));
    own = found;
    KV_TRY(
        extension(r, NID_authority_key_identifier, "authority key identifier", &found, &critical));
    authority = found;
    if (own)
        KV_TRY(kv_arena_copy(r->arena, string_of(own), &r->facts->subject_key_id, r->err));
    if (authority && authority->keyid)
        KV_TRY(kv_arena_copy(r->arena, string_of(authority->keyid), &r->facts->authority_key_id,
                             r->err));
    return KV_OK;
}

static kv_status read_extensions(const reader *r)
{
    KV_TRY(read_constraints(r));
    KV_TRY(read_key_usage(r));
    KV_TRY(read_ekus(r));
    KV_TRY(read_sans(r));
    KV_TRY(read_key_ids(r));
    ERR_clear_error();
    return KV_OK;
}

static kv_status read_certificate(const reader *r, const X509 *certificate, kv_slice der)
{
    kv_x509_facts *facts = r->facts;

    KV_TRY(read_name(r, r->subject, &facts->subject));
    KV_TRY(read_name(r, X509_get_issuer_name(certificate), &facts->issuer));
    KV_TRY(read_common_name(r));
    KV_TRY(read_serial(r, X509_get0_serialNumber(certificate)));
    KV_TRY(read_time(r, X509_get0_notBefore(certificate), &facts->not_before_ms));
    KV_TRY(read_time(r, X509_get0_notAfter(certificate), &facts->not_after_ms));
    KV_TRY(read_key(r));
    KV_TRY(read_signature_algorithm(r, X509_get0_tbs_sigalg(certificate)));
    KV_TRY(read_extensions(r));
    facts->self_issued = X509_NAME_cmp(r->subject, X509_get_issuer_name(certificate)) == 0;
    return kv_x509_details_of(certificate, der, &facts->details, r->err);
}

static kv_status read_request(const reader *r, const X509_REQ *request)
{
    const X509_ALGOR *algorithm = NULL;

    r->facts->issuer = r->facts->serial_hex = KV_SLICE("");
    X509_REQ_get0_signature(request, NULL, &algorithm);
    KV_TRY(read_name(r, r->subject, &r->facts->subject));
    KV_TRY(read_common_name(r));
    KV_TRY(read_key(r));
    KV_TRY(read_signature_algorithm(r, algorithm));
    return read_extensions(r);
}

static kv_status hash(kv_slice der, kv_x509_facts *facts, kv_error *err)
{
    if (!EVP_Digest(der.data, der.len, facts->sha1, NULL, EVP_sha1(), NULL) ||
        !EVP_Digest(der.data, der.len, facts->sha256, NULL, EVP_sha256(), NULL))
        return kv_ossl_failed(err, KV_INTERNAL, "a certificate could not be hashed");
    return KV_OK;
}

kv_status kv_x509_inspect(kv_arena *arena, kv_slice der, kv_x509_facts *out, kv_error *err)
{
    KV_AUTO(kv_ossl_x509) certificate = NULL;
    kv_x509_facts facts = { 0 };
    reader r = { .noun = "certificate", .arena = arena, .facts = &facts, .err = err };

    if (der.len > CERTIFICATE_MAX)
        return kv_fail(err, KV_BAD_REQUEST, "a certificate has at most %d bytes", CERTIFICATE_MAX);
    certificate = kv_ossl_parse_certificate(der);
    if (!certificate)
        return kv_fail(err, KV_BAD_REQUEST, "not a certificate in DER");
    r.subject = X509_get_subject_name(certificate);
    r.spki = X509_get_X509_PUBKEY(certificate);
    r.extensions = X509_get0_extensions(certificate);
    KV_TRY(read_certificate(&r, certificate, der));
    KV_TRY(hash(der, &facts, err));
    *out = facts;
    return KV_OK;
}

static bool verifies(X509_REQ *request)
{
    EVP_PKEY *key = X509_REQ_get0_pubkey(request);
    bool good =
        key && EVP_PKEY_get_bits(key) <= REQUEST_BITS_MAX && X509_REQ_verify(request, key) == 1;

    ERR_clear_error();
    return good;
}

kv_status kv_x509_inspect_request(kv_arena *arena, kv_slice der, kv_x509_facts *out, kv_error *err)
{
    KV_AUTO(kv_ossl_request) request = NULL;
    KV_AUTO(kv_ossl_extensions) extensions = NULL;
    const unsigned char *at = der.data;
    kv_x509_facts facts = { 0 };
    reader r = { .noun = "request", .arena = arena, .facts = &facts, .err = err };

    if (der.len > CERTIFICATE_MAX)
        return kv_fail(err, KV_BAD_REQUEST, "a request has at most %d bytes", CERTIFICATE_MAX);
    request = d2i_X509_REQ(NULL, &at, (long)der.len);
    ERR_clear_error();
    if (!request || at != der.data + der.len)
        return kv_fail(err, KV_BAD_REQUEST, "not a certification request in DER");
    if (!verifies(request))
        return kv_fail(err, KV_BAD_REQUEST, "the request is not signed by its own key");
    extensions = X509_REQ_get_extensions(request);
    ERR_clear_error();
    r.subject = X509_REQ_get_subject_name(request);
    r.spki = X509_REQ_get_X509_PUBKEY(request);
    r.extensions = extensions;
    KV_TRY(read_request(&r, request));
    KV_TRY(hash(der, &facts, err));
    *out = facts;
    return KV_OK;
}

bool kv_x509_is_self_signed(kv_slice der)
{
    KV_AUTO(kv_ossl_x509) certificate = kv_ossl_parse_certificate(der);
    bool result = certificate && X509_self_signed(certificate, 1) == 1;

    ERR_clear_error();
    return result;
}
