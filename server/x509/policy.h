/* policy.h - what a certificate is to contain, who issues it, and when it is renewed.
 *
 * The complete policy object in Azure's shape: the members have the names of the fields of
 * keyvault.v1.CertificatePolicy, and errors name them with the prefix "policy.", for instance
 * "policy.x509_props.sans.dns_names[3]".
 *
 * All text is UTF-8 and borrowed. An absent text is the empty slice, an absent number is 0. The
 * members `..._given` tell decoders and merges of policies whether a field was present; the
 * functions here read only validity_months_given.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "pkcs11/key.h"
#include "server/base/arena.h"
#include "server/base/error.h"
#include "server/base/slice.h"

enum {
    KV_X509_SUBJECT_MAX = 200, /* characters */
    KV_X509_SANS_MAX = 100,    /* of all kinds together */
    KV_X509_SAN_MAX = 255,     /* bytes of one name */
    KV_X509_URI_MAX = 2048,    /* of a URI */
    KV_X509_EKUS_MAX = 20,
    KV_X509_CTY_MAX = 64,
    KV_X509_VALIDITY_MONTHS_MAX = 1200,
    KV_X509_VALIDITY_MONTHS_DEFAULT = 12,
    KV_X509_DAYS_PER_MONTH = 27, /* of validity, for the bound of days_before_expiry */
    KV_X509_LIFETIME_ACTIONS_MAX = 2,
    KV_X509_LIFETIME_PERCENTAGE_DEFAULT = 80
};

#define KV_X509_CONTENT_PKCS12  "application/x-pkcs12"
#define KV_X509_CONTENT_PEM     "application/x-pem-file"
#define KV_X509_ISSUER_SELF     "Self"
#define KV_X509_ISSUER_UNKNOWN  "Unknown"
#define KV_X509_ISSUER_LOCAL_CA "LocalCA"

/* Texts, or DER certificates leaf first. */
typedef struct kv_x509_list {
    const kv_slice *items; /* borrowed */
    size_t count;
} kv_x509_list;

/* Bit n is bit n of the KeyUsage extension of RFC 5280. */
typedef enum kv_x509_key_usage {
    KV_X509_DIGITAL_SIGNATURE = 1 << 0,
    KV_X509_NON_REPUDIATION = 1 << 1,
    KV_X509_KEY_ENCIPHERMENT = 1 << 2,
    KV_X509_DATA_ENCIPHERMENT = 1 << 3,
    KV_X509_KEY_AGREEMENT = 1 << 4,
    KV_X509_KEY_CERT_SIGN = 1 << 5,
    KV_X509_CRL_SIGN = 1 << 6,
    KV_X509_ENCIPHER_ONLY = 1 << 7,
    KV_X509_DECIPHER_ONLY = 1 << 8
} kv_x509_key_usage;

enum { KV_X509_KEY_USAGE_COUNT = 9, KV_X509_KEY_USAGE_ALL = (1 << 9) - 1 };

/* The name of bit `index` as Azure and RFC 5280 spell it ("digitalSignature", "cRLSign"). */
const char *kv_x509_key_usage_name(unsigned index);
/* The bit of a name (exact spelling); 0 when there is none. */
uint32_t kv_x509_key_usage_bit(kv_slice name);

typedef struct kv_x509_key_props {
    kv_slice kty;      /* RSA, RSA-HSM, EC, EC-HSM */
    uint32_t key_size; /* bits */
    kv_slice crv;      /* P-256, P-384, P-521 */
    bool exportable;
    bool exportable_given;
    bool reuse_key; /* a renewal keeps the key */
    bool reuse_key_given;
} kv_x509_key_props;

typedef struct kv_x509_sans {
    kv_x509_list emails;
    kv_x509_list dns_names; /* A-labels */
    kv_x509_list upns;      /* user principal names */
    kv_x509_list uris;
    kv_x509_list ip_addresses; /* textual IPv4 or IPv6 */
} kv_x509_sans;

typedef struct kv_x509_props {
    kv_slice subject; /* a distinguished name as text, see dn.h; kept as the caller spelled it */
    kv_x509_sans sans;
    kv_x509_list ekus;  /* dotted object identifiers */
    uint32_t key_usage; /* kv_x509_key_usage bits */
    uint32_t validity_months;
    bool validity_months_given; /* an explicit 0 is refused; without it 0 is the default */
    bool ca;                    /* basic_constraints.ca */
    bool ca_given;
} kv_x509_props;

typedef enum kv_x509_action {
    KV_X509_ACTION_NONE = 0, /* absent or not known: refused */
    KV_X509_EMAIL_CONTACTS,
    KV_X509_AUTO_RENEW
} kv_x509_action;

typedef struct kv_x509_lifetime_action {
    kv_x509_action action;
    uint32_t lifetime_percentage; /* exactly one of the two is given */
    uint32_t days_before_expiry;
} kv_x509_lifetime_action;

typedef struct kv_x509_issuer_props {
    kv_slice name; /* Self, Unknown, or the name of an issuer of the vault */
    kv_slice cty;  /* certificate type, meant for the issuer */
    bool cert_transparency;
    bool cert_transparency_given;
} kv_x509_issuer_props;

typedef struct kv_x509_policy {
    kv_x509_key_props key_props;
    kv_slice content_type; /* secret_props.content_type */
    kv_x509_props x509_props;
    const kv_x509_lifetime_action *lifetime_actions; /* borrowed */
    size_t lifetime_action_count;
    kv_x509_issuer_props issuer;
} kv_x509_policy;

/* Fills what is absent: kty RSA, RSA keys 2048 bits, EC keys P-256 (or the curve of key_size),
 * content type PKCS#12, EKUs serverAuth and clientAuth, key usage digitalSignature and, for RSA
 * keys, keyEncipherment (a CA: keyCertSign, cRLSign, digitalSignature and no EKUs), 12 months,
 * issuer Unknown, one lifetime action at 80 % (AutoRenew; EmailContacts for issuer Unknown).
 * Never judges: kv_x509_policy_check does. What it adds is static and lives for ever. */
void kv_x509_policy_defaults(kv_x509_policy *policy);

/* Judges a policy that kv_x509_policy_defaults has completed. KV_BAD_REQUEST names the field and
 * the rule. Whether a named issuer exists is the caller's question. `arena` is for scratch. */
kv_status kv_x509_policy_check(kv_arena *arena, const kv_x509_policy *policy,
                               kv_error *err) KV_MUST_USE;

/* The kind of key a policy asks for; KV_KEY_NONE for one that no check would pass. */
kv_key_kind kv_x509_policy_key_kind(const kv_x509_policy *policy);

/* True for the issuer's name in any case ("self"). */
bool kv_x509_policy_issuer_is(const kv_x509_policy *policy, const char *name);
