/* lint.c - the rules for certificates, one row each. To add a rule, add a row and a test. */
#include "server/x509/lint.h"

#include "server/x509/lint_names.h"

#define DAY_MS INT64_C(86400000)

/* Days in force, as milliseconds since the epoch (00:00 UTC). */
#define ON_2026_03_15 (INT64_C(20527) * DAY_MS)
#define ON_2026_07_01 (INT64_C(20635) * DAY_MS)
#define ON_2027_03_15 (INT64_C(20892) * DAY_MS)
#define ON_2029_03_15 (INT64_C(21623) * DAY_MS)

/* How far from its signature a validity may begin. */
#define SIGNED_MS (48 * INT64_C(3600000))

#define SERVER_AUTH "1.3.6.1.5.5.7.3.1"
#define CLIENT_AUTH "1.3.6.1.5.5.7.3.2"

enum { RSA_BITS_MIN = 2048, RSA_BITS_CA_MIN = 3072, SERIAL_HEX_MIN = 16, SERIAL_HEX_MAX = 40 };

static bool has_eku(const kv_x509_facts *facts, const char *oid)
{
    for (size_t i = 0; i < facts->ekus.count; i++)
        if (kv_slice_equal(facts->ekus.items[i], kv_slice_text(oid)))
            return true;
    return false;
}

bool kv_lint_is_server(const kv_x509_facts *facts)
{
    return has_eku(facts, SERVER_AUTH);
}

static bool uses(const kv_x509_facts *facts, uint32_t usage)
{
    return (facts->key_usage & usage) != 0;
}

static bool is_ec(const kv_x509_facts *facts)
{
    return kv_key_kind_of(facts->key_kind)->family == KV_FAMILY_EC;
}

/* A day is 86,400 seconds; the second that not-after names is part of the validity. */
static bool longer_than(const kv_x509_facts *facts, int64_t days)
{
    return facts->not_after_ms - facts->not_before_ms + 1000 > days * DAY_MS;
}

static bool rsa_too_short(const kv_x509_facts *facts)
{
    return facts->is_rsa && facts->key_bits < RSA_BITS_MIN;
}

static bool rsa_short_for_ca(const kv_x509_facts *facts)
{
    return facts->is_rsa && facts->is_ca && facts->key_bits < RSA_BITS_CA_MIN;
}

static bool key_not_allowed(const kv_x509_facts *facts)
{
    return !facts->is_rsa && !is_ec(facts);
}

static bool signature_not_allowed(const kv_x509_facts *facts)
{
    static const char *const allowed[] = { "sha256WithRSAEncryption", "sha384WithRSAEncryption",
                                           "sha512WithRSAEncryption", "ecdsa-with-SHA256",
                                           "ecdsa-with-SHA384",       "ecdsa-with-SHA512" };

    for (size_t i = 0; i < KV_COUNT(allowed); i++)
        if (kv_slice_equal(facts->signature_algorithm, kv_slice_text(allowed[i])))
            return false;
    return !facts->details.good_pss;
}

/* 20 bytes with the one that a sign may need: below 2^159. */
static bool serial_bad(const kv_x509_facts *facts)
{
    kv_slice serial = facts->serial_hex;

    return serial.len < SERIAL_HEX_MIN || serial.len > SERIAL_HEX_MAX || serial.data[0] == '-' ||
           (serial.len == SERIAL_HEX_MAX && serial.data[0] >= '8');
}

static bool dates_reversed(const kv_x509_facts *facts)
{
    return facts->not_after_ms <= facts->not_before_ms;
}

static bool signs_without_ca(const kv_x509_facts *facts)
{
    return !facts->is_ca && uses(facts, KV_X509_KEY_CERT_SIGN);
}

static bool ca_without_sign(const kv_x509_facts *facts)
{
    return facts->is_ca && !uses(facts, KV_X509_KEY_CERT_SIGN);
}

static bool ec_enciphers(const kv_x509_facts *facts)
{
    return is_ec(facts) && uses(facts, KV_X509_KEY_ENCIPHERMENT | KV_X509_DATA_ENCIPHERMENT);
}

static bool only_without_agreement(const kv_x509_facts *facts)
{
    return uses(facts, KV_X509_ENCIPHER_ONLY | KV_X509_DECIPHER_ONLY) &&
           !uses(facts, KV_X509_KEY_AGREEMENT);
}

static bool server_cannot_handshake(const kv_x509_facts *facts)
{
    uint32_t needed = KV_X509_DIGITAL_SIGNATURE | KV_X509_KEY_AGREEMENT;

    if (facts->is_rsa)
        needed |= KV_X509_KEY_ENCIPHERMENT;
    return kv_lint_is_server(facts) && facts->has_key_usage && !uses(facts, needed);
}

static bool eku_mixed(const kv_x509_facts *facts)
{
    /* anyExtendedKeyUsage, codeSigning, emailProtection, timeStamping, OCSPSigning */
    static const char *const foreign[] = { "2.5.29.37.0", "1.3.6.1.5.5.7.3.3", "1.3.6.1.5.5.7.3.4",
                                           "1.3.6.1.5.5.7.3.8", "1.3.6.1.5.5.7.3.9" };

    for (size_t i = 0; kv_lint_is_server(facts) && i < KV_COUNT(foreign); i++)
        if (has_eku(facts, foreign[i]))
            return true;
    return false;
}

static bool eku_server_and_client(const kv_x509_facts *facts)
{
    return kv_lint_is_server(facts) && has_eku(facts, CLIENT_AUTH);
}

static bool server_leaf(const kv_x509_facts *facts)
{
    return kv_lint_is_server(facts) && !facts->is_ca;
}

/* Nobody looks for a server's own one, and the baseline requirements (section 7.1.2.7.6) would
 * rather not have it; who signed itself needs no other's (RFC 5280, section 4.2.1.1). */
static bool key_id_absent(const kv_x509_facts *facts)
{
    return (facts->subject_key_id.len == 0 && !server_leaf(facts)) ||
           (facts->authority_key_id.len == 0 && !facts->self_issued);
}

static bool server_over_398_days(const kv_x509_facts *facts)
{
    return server_leaf(facts) && longer_than(facts, 398);
}

static bool server_over_200_days(const kv_x509_facts *facts)
{
    return server_leaf(facts) && longer_than(facts, 200);
}

static bool server_over_100_days(const kv_x509_facts *facts)
{
    return server_leaf(facts) && longer_than(facts, 100);
}

static bool server_over_47_days(const kv_x509_facts *facts)
{
    return server_leaf(facts) && longer_than(facts, 47);
}

/* Twelve months may be a leap year; ten minutes of back-dating are nobody's wish. */
static bool server_over_a_year(const kv_x509_facts *facts)
{
    return server_leaf(facts) &&
           facts->not_after_ms - facts->not_before_ms > 366 * DAY_MS + 600 * 1000;
}

/* Ten minutes of back-dating are not validity that anybody asked for. */
static bool self_over_90_days(const kv_x509_facts *facts)
{
    return facts->self_issued && !facts->is_ca &&
           facts->not_after_ms - facts->not_before_ms > 90 * DAY_MS + 600 * 1000;
}

static bool two_algorithms(const kv_x509_facts *facts)
{
    return facts->details.two_algorithms;
}

static bool rsa_weak(const kv_x509_facts *facts)
{
    return facts->details.bad_rsa;
}

static bool rsa_primes_close(const kv_x509_facts *facts)
{
    return facts->details.close_primes;
}

static bool not_der(const kv_x509_facts *facts)
{
    return facts->details.not_der;
}

static bool times_long(const kv_x509_facts *facts)
{
    return facts->details.long_times;
}

static bool country_bad(const kv_x509_facts *facts)
{
    return facts->details.bad_country;
}

/* When exactly it was signed is known only of what is signed here. */
static bool begins_elsewhen(const kv_x509_facts *facts)
{
    const kv_x509_beside *beside = &facts->beside;

    return server_leaf(facts) && beside->signed_before_ms &&
           (facts->not_before_ms < beside->signed_after_ms - SIGNED_MS ||
            facts->not_before_ms > beside->signed_before_ms + SIGNED_MS);
}

static bool outlives_issuer(const kv_x509_facts *facts)
{
    return facts->beside.issuer_until_ms && facts->not_after_ms > facts->beside.issuer_until_ms;
}

static bool leaf_constrains(const kv_x509_facts *facts)
{
    return !facts->is_ca && facts->details.has_constraints;
}

static bool common_names(const kv_x509_facts *facts)
{
    return server_leaf(facts) && facts->details.common_names > 1;
}

static bool unit_there(const kv_x509_facts *facts)
{
    return server_leaf(facts) && facts->details.has_unit;
}

static bool unique_ids(const kv_x509_facts *facts)
{
    return facts->details.has_unique_ids;
}

/* Short-lived ones end before anybody could have heard of it. */
static bool revocation_unsaid(const kv_x509_facts *facts)
{
    return server_leaf(facts) && !facts->details.has_revocation && longer_than(facts, 7);
}

static bool url_foreign(const kv_x509_facts *facts)
{
    return server_leaf(facts) && facts->details.foreign_url;
}

static bool policy_unsaid(const kv_x509_facts *facts)
{
    return server_leaf(facts) && facts->details.reserved_policies != 1;
}

#define ANY     KV_X509_LINT_ANY
#define PRIVATE KV_X509_LINT_PRIVATE
#define PUBLIC  KV_X509_LINT_PUBLIC
#define WARNING KV_X509_LINT_WARNING
#define ERROR   KV_X509_LINT_ERROR

/* clang-format off */
/* shape: table */
const kv_x509_lint_row kv_x509_lint_rows[] = {
    { "key_rsa_size", ANY, ERROR, 0, 0, rsa_too_short,
      "an RSA key has at least 2048 bits" },
    { "key_kind", ANY, ERROR, 0, 0, key_not_allowed,
      "the key is RSA or on P-256, P-384 or P-521" },
    { "signature_algorithm", ANY, ERROR, 0, 0, signature_not_allowed,
      "the signature is RSA PKCS#1, RSA-PSS or ECDSA with SHA-256, SHA-384 or SHA-512" },
    { "serial", ANY, ERROR, 0, 0, serial_bad,
      "the serial number is positive and has 8 to 20 bytes" },
    { "validity_order", ANY, ERROR, 0, 0, dates_reversed,
      "not-after is later than not-before" },
    { "name_present", ANY, ERROR, 0, 0, kv_lint_subject_and_san_absent,
      "there is a subject or an alternative name" },
    { "san_syntax", ANY, ERROR, 0, 0, kv_lint_san_syntax,
      "a DNS name has letters, digits and hyphens, a wildcard only as its whole first label" },
    { "san_present", PUBLIC, ERROR, 0, 0, kv_lint_san_absent,
      "a server certificate names its hosts as alternative names" },
    { "san_present", PRIVATE, WARNING, 0, 0, kv_lint_san_absent,
      "a server certificate names its hosts as alternative names; clients ignore the subject" },
    { "san_types", PUBLIC, ERROR, 0, 0, kv_lint_san_kind_foreign,
      "a server certificate has only DNS names and IP addresses as alternative names" },
    { "san_internal", PUBLIC, ERROR, 0, 0, kv_lint_san_internal,
      "a server certificate has no host names of one label" },
    { "san_arpa", PUBLIC, ERROR, 0, 0, kv_lint_san_arpa,
      "a server certificate has no names below .arpa" },
    { "san_reserved_ip", PUBLIC, ERROR, 0, 0, kv_lint_san_reserved_ip,
      "a server certificate has no addresses of private or reserved networks" },
    { "cn_in_san", PUBLIC, ERROR, 0, 0, kv_lint_cn_not_in_san,
      "the common name of a server is one of its alternative names" },
    { "cn_in_san", PRIVATE, WARNING, 0, 0, kv_lint_cn_not_in_san,
      "the common name of a server is one of its alternative names" },
    { "cn_single", PUBLIC, ERROR, 0, 0, common_names,
      "a server certificate has one common name at most" },
    { "ku_cert_sign", PUBLIC, ERROR, 0, 0, signs_without_ca,
      "keyCertSign is for certification authorities" },
    { "ku_cert_sign", PRIVATE, WARNING, 0, 0, signs_without_ca,
      "keyCertSign is for certification authorities; strict verifiers refuse it elsewhere" },
    { "ku_ca", ANY, ERROR, 0, 0, ca_without_sign,
      "a certification authority has keyCertSign" },
    { "ku_ec", PUBLIC, ERROR, 0, 0, ec_enciphers,
      "an EC key has neither keyEncipherment nor dataEncipherment" },
    { "ku_ec", PRIVATE, WARNING, 0, 0, ec_enciphers,
      "an EC key has neither keyEncipherment nor dataEncipherment (RFC 8813)" },
    { "ku_agreement", ANY, WARNING, 0, 0, only_without_agreement,
      "encipherOnly and decipherOnly need keyAgreement" },
    { "ku_server", PUBLIC, ERROR, 0, 0, server_cannot_handshake,
      "the key usage of a server allows a TLS handshake" },
    { "ku_server", PRIVATE, WARNING, 0, 0, server_cannot_handshake,
      "the key usage of a server allows a TLS handshake" },
    { "eku_mixed", PUBLIC, ERROR, 0, 0, eku_mixed,
      "serverAuth does not stand beside other purposes" },
    { "eku_mixed", PRIVATE, WARNING, 0, 0, eku_mixed,
      "serverAuth does not stand beside other purposes" },
    { "eku_client", PUBLIC, WARNING, 0, ON_2026_07_01, eku_server_and_client,
      "serverAuth does not stand beside clientAuth" },
    { "eku_client", PUBLIC, ERROR, ON_2026_07_01, 0, eku_server_and_client,
      "serverAuth does not stand beside clientAuth" },
    { "key_identifiers", ANY, WARNING, 0, 0, key_id_absent,
      "there is an authority key identifier, and one of the subject unless it is a server" },
    { "validity_max", PUBLIC, ERROR, 0, ON_2026_03_15, server_over_398_days,
      "a server certificate is valid for at most 398 days" },
    { "validity_max", PUBLIC, ERROR, ON_2026_03_15, ON_2027_03_15, server_over_200_days,
      "a server certificate is valid for at most 200 days" },
    { "validity_max", PUBLIC, ERROR, ON_2027_03_15, ON_2029_03_15, server_over_100_days,
      "a server certificate is valid for at most 100 days" },
    { "validity_max", PUBLIC, ERROR, ON_2029_03_15, 0, server_over_47_days,
      "a server certificate is valid for at most 47 days" },
    { "validity_max", PRIVATE, WARNING, 0, 0, server_over_a_year,
      "a server certificate is valid for at most one year" },
    { "validity_self_signed", PRIVATE, WARNING, 0, 0, self_over_90_days,
      "a self-signed certificate is valid for at most 90 days" },
    { "signature_inside", ANY, ERROR, 0, 0, two_algorithms,
      "the algorithm that is signed is the one that it is signed with" },
    { "key_rsa_weak", ANY, ERROR, 0, 0, rsa_weak,
      "an RSA key has an odd exponent, whole bytes, and no modulus that is known to be weak" },
    { "key_rsa_close", ANY, ERROR, 0, 0, rsa_primes_close,
      "the primes of an RSA key are not so close that Fermat's method finds them in 100 rounds" },
    { "der", PUBLIC, ERROR, 0, 0, not_der,
      "its encoding is DER: no other bytes say the same" },
    { "der", PRIVATE, WARNING, 0, 0, not_der,
      "its encoding is DER: no other bytes say the same" },
    { "validity_form", PUBLIC, ERROR, 0, 0, times_long,
      "times until 2049 are written with two digits of the year" },
    { "validity_form", PRIVATE, WARNING, 0, 0, times_long,
      "times until 2049 are written with two digits of the year" },
    { "validity_signed", PUBLIC, ERROR, 0, 0, begins_elsewhen,
      "a server certificate begins within 48 hours of being signed" },
    { "validity_issuer", PUBLIC, ERROR, 0, 0, outlives_issuer,
      "a certificate does not end after that of its issuer" },
    { "validity_issuer", PRIVATE, WARNING, 0, 0, outlives_issuer,
      "a certificate does not end after that of its issuer" },
    { "san_wildcard_suffix", PUBLIC, ERROR, 0, 0, kv_lint_wildcard_suffix,
      "a wildcard does not stand directly before a public suffix of the ICANN section" },
    { "san_suffix", PUBLIC, WARNING, 0, 0, kv_lint_suffix,
      "a host name is no public suffix of the ICANN section: registries own these" },
    { "san_domain", PUBLIC, WARNING, 0, 0, kv_lint_unknown_domain,
      "a host name ends with a top-level domain that exists" },
    { "key_rsa_ca", ANY, WARNING, 0, 0, rsa_short_for_ca,
      "an RSA key of a certification authority has at least 3072 bits" },
    { "unique_ids", PUBLIC, ERROR, 0, 0, unique_ids,
      "there are no unique identifiers of issuer and subject" },
    { "nc_leaf", PUBLIC, ERROR, 0, 0, leaf_constrains,
      "name constraints are in certificates of authorities alone" },
    { "nc_leaf", PRIVATE, WARNING, 0, 0, leaf_constrains,
      "name constraints are in certificates of authorities alone" },
    { "subject_country", PUBLIC, ERROR, 0, 0, country_bad,
      "a country is two capital letters" },
    { "subject_country", PRIVATE, WARNING, 0, 0, country_bad,
      "a country is two capital letters" },
    { "no_ou", PUBLIC, ERROR, 0, 0, unit_there,
      "the subject has no organizational unit" },
    { "revocation_info", PUBLIC, ERROR, 0, 0, revocation_unsaid,
      "a server certificate of more than 7 days says where its revocation is told" },
    { "url_http", PUBLIC, ERROR, 0, 0, url_foreign,
      "lists, OCSP and the issuer's certificate are at http URLs" },
    { "policy_reserved", PUBLIC, WARNING, 0, 0, policy_unsaid,
      "there is exactly one policy identifier of the CA/Browser Forum" },
};
/* clang-format on */

const size_t kv_x509_lint_rows_count = KV_COUNT(kv_x509_lint_rows);

_Static_assert(KV_COUNT(kv_x509_lint_rows) <= KV_X509_FINDINGS_MAX, "room for every finding");

static bool applies(const kv_x509_lint_row *row, const kv_x509_facts *facts,
                    kv_x509_lint_scope scope)
{
    return (row->scope & scope) && facts->not_before_ms >= row->from_ms &&
           (row->until_ms == 0 || facts->not_before_ms < row->until_ms);
}

void kv_x509_lint(const kv_x509_facts *facts, kv_x509_lint_scope scope, kv_x509_findings *out)
{
    *out = (kv_x509_findings){ 0 };
    for (size_t i = 0; i < kv_x509_lint_rows_count; i++) {
        const kv_x509_lint_row *row = &kv_x509_lint_rows[i];

        if (!applies(row, facts, scope) || !row->broken(facts))
            continue;
        out->items[out->count++] = row;
        out->errors += row->severity == KV_X509_LINT_ERROR;
    }
}
