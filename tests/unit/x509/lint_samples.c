/* lint_samples.c - one certificate that breaks each rule, and one that nearly does. */
#include "tests/unit/x509/lint_samples.h"

#include "server/base/slice.h"

/* 2025-01-01, 2027-06-01, 2030-01-01 */
#define IN_2025 DAYS(20089)
#define IN_2027 DAYS(20970)
#define IN_2030 DAYS(21915)

static const kv_slice hosts[] = { KV_SLICE("www.example.com") };
static const kv_slice server[] = { KV_SLICE("1.3.6.1.5.5.7.3.1") };
static const kv_slice both[] = { KV_SLICE("1.3.6.1.5.5.7.3.1"), KV_SLICE("1.3.6.1.5.5.7.3.2") };
static const kv_slice client[] = { KV_SLICE("1.3.6.1.5.5.7.3.2") };
static const kv_slice strange[] = { KV_SLICE("a@example.com") };

/* Keeps every rule of both scopes. */
kv_x509_facts lint_good(void)
{
    return (kv_x509_facts){
        .subject = KV_SLICE("CN=www.example.com"),
        .issuer = KV_SLICE("CN=Test CA"),
        .common_name = KV_SLICE("WWW.example.com"),
        .serial_hex = KV_SLICE("4102030405060708"),
        .not_before_ms = NOW,
        .not_after_ms = NOW + DAYS(47) - 1000,
        .key_kind = KV_KEY_P256,
        .key_bits = 256,
        .has_key_usage = true,
        .key_usage = KV_X509_DIGITAL_SIGNATURE,
        .ekus = { .items = server, .count = 1 },
        .sans = { .dns_names = { .items = hosts, .count = 1 } },
        .signature_algorithm = KV_SLICE("ecdsa-with-SHA256"),
        .subject_key_id = KV_SLICE("01234567890123456789"),
        .authority_key_id = KV_SLICE("98765432109876543210"),
        .details = { .has_revocation = true, .reserved_policies = 1 },
        .beside = { .signed_after_ms = NOW + 1,
                    .signed_before_ms = NOW + 2,
                    .issuer_until_ms = NOW + DAYS(4000) },
    };
}

/* ---- one change each ---- */

#define SPOIL(name, ...)               \
    static void name(kv_x509_facts *f) \
    {                                  \
        __VA_ARGS__;                   \
    }

void lint_make_rsa(kv_x509_facts *f)
{
    f->is_rsa = true;
    f->key_kind = KV_KEY_RSA_2048;
    f->key_bits = 2048;
    f->key_usage |= KV_X509_KEY_ENCIPHERMENT;
    f->signature_algorithm = KV_SLICE("sha256WithRSAEncryption");
}

SPOIL(make_ca, f->is_ca = true; f->key_usage = KV_X509_KEY_CERT_SIGN; f->ekus.count = 0)
SPOIL(short_rsa, lint_make_rsa(f); f->key_kind = KV_KEY_NONE; f->key_bits = 2047)
SPOIL(other_key, f->key_kind = KV_KEY_NONE)
SPOIL(sha1_signature, f->signature_algorithm = KV_SLICE("ecdsa-with-SHA1"))
SPOIL(odd_pss, f->signature_algorithm = KV_SLICE("rsassaPss"))
SPOIL(good_pss, odd_pss(f); f->details.good_pss = true)
SPOIL(short_serial, f->serial_hex = KV_SLICE("41020304050607"))
SPOIL(negative_serial, f->serial_hex = KV_SLICE("-4102030405060708"))
SPOIL(long_serial, f->serial_hex = KV_SLICE("410203040506070809101112131415161718192021"))
/* Its sign needs one byte more. */
SPOIL(wide_serial, f->serial_hex = KV_SLICE("8102030405060708091011121314151617181920"))
SPOIL(reversed_dates, f->not_after_ms = f->not_before_ms)

static void nameless(kv_x509_facts *f)
{
    f->subject = KV_SLICE("");
    f->common_name = KV_SLICE("");
    f->ekus = (kv_x509_list){ .items = client, .count = 1 };
    f->sans.dns_names.count = 0;
}

static void bad_host(kv_x509_facts *f)
{
    static const kv_slice names[] = { KV_SLICE("www.example.com"), KV_SLICE("a_b.example.com") };

    f->sans.dns_names = (kv_x509_list){ .items = names, .count = 2 };
}

SPOIL(no_host, f->sans.dns_names.count = 0; f->common_name = KV_SLICE(""))
SPOIL(mail_beside_host, f->sans.emails = (kv_x509_list){ .items = strange, .count = 1 })
SPOIL(unknown_name_beside_host, f->other_sans = 1)

void lint_internal_host(kv_x509_facts *f)
{
    static const kv_slice names[] = { KV_SLICE("www.example.com"), KV_SLICE("intranet") };

    f->sans.dns_names = (kv_x509_list){ .items = names, .count = 2 };
}

SPOIL(foreign_common_name, f->common_name = KV_SLICE("example.com"))
SPOIL(sign_without_ca, f->key_usage |= KV_X509_KEY_CERT_SIGN)
SPOIL(ca_without_sign, make_ca(f); f->key_usage = KV_X509_CRL_SIGN)
SPOIL(ec_encipherment, f->key_usage |= KV_X509_KEY_ENCIPHERMENT)
SPOIL(encipher_only, f->key_usage |= KV_X509_ENCIPHER_ONLY)
SPOIL(no_handshake, f->key_usage = KV_X509_NON_REPUDIATION)

static void code_signing_server(kv_x509_facts *f)
{
    static const kv_slice ekus[] = { KV_SLICE("1.3.6.1.5.5.7.3.1"), KV_SLICE("1.3.6.1.5.5.7.3.3") };

    f->ekus = (kv_x509_list){ .items = ekus, .count = 2 };
}

void lint_server_and_client(kv_x509_facts *f)
{
    f->ekus = (kv_x509_list){ .items = both, .count = 2 };
}

static void server_and_client_in_2025(kv_x509_facts *f)
{
    lint_server_and_client(f);
    f->not_before_ms = IN_2025;
    f->not_after_ms = IN_2025 + DAYS(47);
}

SPOIL(no_key_id, f->authority_key_id = KV_SLICE(""))
SPOIL(no_key_id_of_a_server, f->subject_key_id = KV_SLICE(""))
SPOIL(no_key_id_of_a_ca, make_ca(f); f->subject_key_id = KV_SLICE(""))
SPOIL(no_key_id_of_its_own, no_key_id(f); make_ca(f); f->self_issued = true)
SPOIL(two_common_names, f->details.common_names = 2)

void lint_live(kv_x509_facts *f, int64_t from, int64_t days, int64_t more_ms)
{
    f->beside = (kv_x509_beside){ .signed_after_ms = from, .signed_before_ms = from };
    f->not_before_ms = from;
    f->not_after_ms = from + DAYS(days) - 1000 + more_ms;
}

static void long_in_2025(kv_x509_facts *f)
{
    lint_live(f, IN_2025, 398, 1000);
}

static void long_now(kv_x509_facts *f)
{
    lint_live(f, NOW, 200, 1000);
}

static void long_in_2027(kv_x509_facts *f)
{
    lint_live(f, IN_2027, 100, 1000);
}

static void long_in_2030(kv_x509_facts *f)
{
    lint_live(f, IN_2030, 47, 1000);
}

static void long_self_signed(kv_x509_facts *f)
{
    f->self_issued = true;
    f->not_after_ms = f->not_before_ms + DAYS(90) + 601 * 1000;
}

/* ---- what stays within the rule it nearly breaks ---- */

static void nothing(kv_x509_facts *f)
{
    (void)f;
}

static void full_in_2025(kv_x509_facts *f)
{
    lint_live(f, IN_2025, 398, 0);
}

static void full_now(kv_x509_facts *f)
{
    lint_live(f, NOW, 200, 0);
}

static void full_in_2027(kv_x509_facts *f)
{
    lint_live(f, IN_2027, 100, 0);
}

static void full_in_2030(kv_x509_facts *f)
{
    lint_live(f, IN_2030, 47, 0);
}

static void full_self_signed(kv_x509_facts *f)
{
    f->self_issued = true;
    f->not_after_ms = f->not_before_ms + DAYS(90) + 600 * 1000;
}

void lint_root_of_ten_years(kv_x509_facts *f)
{
    make_ca(f);
    f->self_issued = true;
    f->common_name = KV_SLICE("Test CA");
    f->sans.dns_names.count = 0;
    f->not_after_ms = f->not_before_ms + DAYS(3650);
}

static void client_without_hosts(kv_x509_facts *f)
{
    f->ekus = (kv_x509_list){ .items = client, .count = 1 };
    f->common_name = KV_SLICE("somebody");
    f->sans = (kv_x509_sans){ .emails = { .items = strange, .count = 1 } };
    f->not_after_ms = f->not_before_ms + DAYS(700);
    f->key_usage = KV_X509_NON_REPUDIATION;
}

SPOIL(longest_serial, f->serial_hex = KV_SLICE("4102030405060708091011121314151617181920"))
SPOIL(agreement, f->key_usage |= KV_X509_KEY_AGREEMENT | KV_X509_ENCIPHER_ONLY)

static void address_alone(kv_x509_facts *f)
{
    static const kv_slice addresses[] = { KV_SLICE("192.0.2.1") };

    f->common_name = KV_SLICE("192.0.2.1");
    f->sans = (kv_x509_sans){ .ip_addresses = { .items = addresses, .count = 1 } };
}

SPOIL(over_a_year, f->not_after_ms = f->not_before_ms + DAYS(366) + 601 * 1000)
SPOIL(a_leap_year, f->not_after_ms = f->not_before_ms + DAYS(366) + 600 * 1000)

static void reverse_name(kv_x509_facts *f)
{
    static const kv_slice names[] = { KV_SLICE("www.example.com"),
                                      KV_SLICE("7.2.0.192.in-addr.ARPA") };

    f->sans.dns_names = (kv_x509_list){ .items = names, .count = 2 };
}

static void client_with_two_common_names(kv_x509_facts *f)
{
    client_without_hosts(f);
    two_common_names(f);
}

static void nearly_arpa(kv_x509_facts *f)
{
    static const kv_slice names[] = { KV_SLICE("www.example.com"), KV_SLICE("arpa.example.com"),
                                      KV_SLICE("notarpa") };

    f->sans.dns_names = (kv_x509_list){ .items = names, .count = 3 };
}

static void address(kv_x509_facts *f, const kv_slice *one)
{
    f->sans.ip_addresses = (kv_x509_list){ .items = one, .count = 1 };
}

static void global_v4(kv_x509_facts *f)
{
    static const kv_slice text = KV_SLICE("172.32.0.1");

    address(f, &text);
}

static void global_v6(kv_x509_facts *f)
{
    static const kv_slice text = KV_SLICE("2001:db9::1");

    address(f, &text);
}

static void private_v4(kv_x509_facts *f)
{
    static const kv_slice text = KV_SLICE("172.31.255.255");

    address(f, &text);
}

static void private_v6(kv_x509_facts *f)
{
    static const kv_slice text = KV_SLICE("fd00::1");

    address(f, &text);
}

static void documentation_v6(kv_x509_facts *f)
{
    static const kv_slice text = KV_SLICE("2001:db8::1");

    address(f, &text);
}

/* One address of each further entry of IANA's registries. */
#define ADDRESS(name, text)                         \
    static void name(kv_x509_facts *f)              \
    {                                               \
        static const kv_slice one = KV_SLICE(text); \
                                                    \
        address(f, &one);                           \
    }

ADDRESS(relay_v4, "192.88.99.1")
ADDRESS(beside_relay_v4, "192.88.98.255")
ADDRESS(sink_v4, "192.175.48.255")
ADDRESS(beside_sink_v4, "192.175.49.0")
ADDRESS(protocol_v6, "2001:1ff::1")
ADDRESS(beside_protocol_v6, "2001:200::1")
ADDRESS(relay_v6, "2002:808:808::1")
ADDRESS(beside_relay_v6, "2003::1")
ADDRESS(new_documentation_v6, "3fff:fff::1")
ADDRESS(beside_new_documentation_v6, "3fff:1000::1")
ADDRESS(sink_v6, "2620:4f:8000::1")
ADDRESS(beside_sink_v6, "2620:4f:8001::1")

SPOIL(another_algorithm, f->details.two_algorithms = true)
SPOIL(weak_rsa, lint_make_rsa(f); f->details.bad_rsa = true)
SPOIL(with_unique_ids, f->details.has_unique_ids = true)
SPOIL(constraining_leaf, f->details.has_constraints = true)
SPOIL(constraining_ca, make_ca(f); f->details.has_constraints = true)
SPOIL(odd_country, f->details.bad_country = true)
SPOIL(with_unit, f->details.has_unit = true)
SPOIL(client_with_unit, with_unit(f); f->ekus = (kv_x509_list){ .items = client, .count = 1 })
SPOIL(irrevocable, f->details.has_revocation = false)

static void short_and_irrevocable(kv_x509_facts *f)
{
    irrevocable(f);
    f->not_after_ms = f->not_before_ms + DAYS(7) - 1000;
}

SPOIL(list_by_ldap, f->details.foreign_url = true)
SPOIL(without_policy, f->details.reserved_policies = 0)
SPOIL(two_policies, f->details.reserved_policies = 2)
SPOIL(close_primes, lint_make_rsa(f); f->details.close_primes = true)
SPOIL(not_der, f->details.not_der = true)
SPOIL(long_times, f->details.long_times = true)
SPOIL(outlives_issuer, f->beside.issuer_until_ms = f->not_after_ms - 1000)
SPOIL(ends_with_issuer, f->beside.issuer_until_ms = f->not_after_ms)
SPOIL(issuer_unknown, f->beside.issuer_until_ms = 0)

/* The seconds of a certificate; what was asked for is known to the millisecond. */
static void signed_between(kv_x509_facts *f, int64_t after_ms, int64_t before_ms)
{
    f->beside.signed_after_ms = after_ms;
    f->beside.signed_before_ms = before_ms;
}

SPOIL(begins_early, signed_between(f, NOW + DAYS(2) + 1, NOW + DAYS(3)))
SPOIL(begins_late, signed_between(f, NOW - DAYS(9), NOW - DAYS(2) - 1))
SPOIL(begins_in_time, signed_between(f, NOW + DAYS(2), NOW + DAYS(30)))
SPOIL(begins_soon, signed_between(f, NOW - DAYS(30), NOW - DAYS(2)))
SPOIL(signed_at_some_time, signed_between(f, 0, 0))

static void early_client(kv_x509_facts *f)
{
    begins_early(f);
    f->ekus = (kv_x509_list){ .items = client, .count = 1 };
}

/* Which domains are a registry's is not known without Debian's publicsuffix or libpsl's own list.
 */
#define HOST(name, text)                                                       \
    static void name(kv_x509_facts *f)                                         \
    {                                                                          \
        static const kv_slice names[] = { KV_SLICE("www.example.com"), text }; \
                                                                               \
        f->sans.dns_names = (kv_x509_list){ .items = names, .count = 2 };      \
    }

HOST(all_of_uk, KV_SLICE("*.co.uk"))
HOST(all_of_capital_uk, KV_SLICE("*.CO.UK"))
HOST(all_of_a_country, KV_SLICE("*.de"))
HOST(all_of_no_domain, KV_SLICE("*.intranet"))
HOST(all_of_a_company, KV_SLICE("*.example.co.uk"))
HOST(all_of_customers, KV_SLICE("*.github.io"))
HOST(all_of_an_exception, KV_SLICE("*.city.kawasaki.jp"))
HOST(all_below_a_star, KV_SLICE("*.foo.kawasaki.jp"))
HOST(all_of_a_star, KV_SLICE("*.kawasaki.jp"))
HOST(a_registry, KV_SLICE("co.uk"))
HOST(a_company, KV_SLICE("example.co.uk"))
HOST(no_domain_at_all, KV_SLICE("host.intranet"))

HOST(below_a_star_country, KV_SLICE("www.example.ck"))

SPOIL(short_rsa_ca, lint_make_rsa(f); make_ca(f); f->key_bits = 3071)
SPOIL(long_rsa_ca, lint_make_rsa(f); make_ca(f); f->key_bits = 3072)

static void client_of_all_uk(kv_x509_facts *f)
{
    all_of_uk(f);
    f->ekus = (kv_x509_list){ .items = client, .count = 1 };
}

/* shape: table */
const lint_sample lint_samples[] = {
    { short_rsa, lint_make_rsa, "key_rsa_size", PRIVATE, ERROR },
    { short_rsa, lint_make_rsa, "key_rsa_size", PUBLIC, ERROR },
    { other_key, lint_make_rsa, "key_kind", PRIVATE, ERROR },
    { sha1_signature, lint_make_rsa, "signature_algorithm", PRIVATE, ERROR },
    { odd_pss, good_pss, "signature_algorithm", PUBLIC, ERROR },
    { short_serial, longest_serial, "serial", PRIVATE, ERROR },
    { negative_serial, nothing, "serial", PRIVATE, ERROR },
    { long_serial, longest_serial, "serial", PUBLIC, ERROR },
    { wide_serial, longest_serial, "serial", PRIVATE, ERROR },
    { reversed_dates, nothing, "validity_order", PRIVATE, ERROR },
    { nameless, client_without_hosts, "name_present", PRIVATE, ERROR },
    { bad_host, lint_internal_host, "san_syntax", PRIVATE, ERROR },
    { no_host, address_alone, "san_present", PUBLIC, ERROR },
    { no_host, client_without_hosts, "san_present", PRIVATE, WARNING },
    { mail_beside_host, client_without_hosts, "san_types", PUBLIC, ERROR },
    { unknown_name_beside_host, address_alone, "san_types", PUBLIC, ERROR },
    { lint_internal_host, nothing, "san_internal", PUBLIC, ERROR },
    { reverse_name, nearly_arpa, "san_arpa", PUBLIC, ERROR },
    { private_v4, global_v4, "san_reserved_ip", PUBLIC, ERROR },
    { address_alone, global_v4, "san_reserved_ip", PUBLIC, ERROR },
    { private_v6, global_v6, "san_reserved_ip", PUBLIC, ERROR },
    { documentation_v6, global_v6, "san_reserved_ip", PUBLIC, ERROR },
    { relay_v4, beside_relay_v4, "san_reserved_ip", PUBLIC, ERROR },
    { sink_v4, beside_sink_v4, "san_reserved_ip", PUBLIC, ERROR },
    { protocol_v6, beside_protocol_v6, "san_reserved_ip", PUBLIC, ERROR },
    { relay_v6, beside_relay_v6, "san_reserved_ip", PUBLIC, ERROR },
    { new_documentation_v6, beside_new_documentation_v6, "san_reserved_ip", PUBLIC, ERROR },
    { sink_v6, beside_sink_v6, "san_reserved_ip", PUBLIC, ERROR },
    { two_common_names, nothing, "cn_single", PUBLIC, ERROR },
    { two_common_names, client_with_two_common_names, "cn_single", PUBLIC, ERROR },
    { foreign_common_name, client_without_hosts, "cn_in_san", PUBLIC, ERROR },
    { foreign_common_name, address_alone, "cn_in_san", PRIVATE, WARNING },
    { sign_without_ca, make_ca, "ku_cert_sign", PUBLIC, ERROR },
    { sign_without_ca, make_ca, "ku_cert_sign", PRIVATE, WARNING },
    { ca_without_sign, make_ca, "ku_ca", PRIVATE, ERROR },
    { ec_encipherment, lint_make_rsa, "ku_ec", PUBLIC, ERROR },
    { ec_encipherment, agreement, "ku_ec", PRIVATE, WARNING },
    { encipher_only, agreement, "ku_agreement", PRIVATE, WARNING },
    { no_handshake, lint_make_rsa, "ku_server", PUBLIC, ERROR },
    { no_handshake, client_without_hosts, "ku_server", PRIVATE, WARNING },
    { code_signing_server, lint_server_and_client, "eku_mixed", PUBLIC, ERROR },
    { code_signing_server, lint_server_and_client, "eku_mixed", PRIVATE, WARNING },
    { server_and_client_in_2025, lint_server_and_client, "eku_client", PUBLIC, WARNING },
    { lint_server_and_client, server_and_client_in_2025, "eku_client", PUBLIC, ERROR },
    { no_key_id, nothing, "key_identifiers", PRIVATE, WARNING },
    { no_key_id, no_key_id_of_its_own, "key_identifiers", PRIVATE, WARNING },
    { no_key_id_of_a_ca, no_key_id_of_a_server, "key_identifiers", PUBLIC, WARNING },
    { no_key_id_of_a_ca, no_key_id_of_a_server, "key_identifiers", PRIVATE, WARNING },
    { long_in_2025, full_in_2025, "validity_max", PUBLIC, ERROR },
    { long_now, full_now, "validity_max", PUBLIC, ERROR },
    { long_in_2027, full_in_2027, "validity_max", PUBLIC, ERROR },
    { long_in_2030, full_in_2030, "validity_max", PUBLIC, ERROR },
    { long_in_2030, lint_root_of_ten_years, "validity_max", PUBLIC, ERROR },
    { over_a_year, a_leap_year, "validity_max", PRIVATE, WARNING },
    { over_a_year, lint_root_of_ten_years, "validity_max", PRIVATE, WARNING },
    { another_algorithm, nothing, "signature_inside", PRIVATE, ERROR },
    { weak_rsa, lint_make_rsa, "key_rsa_weak", PRIVATE, ERROR },
    { with_unique_ids, nothing, "unique_ids", PUBLIC, ERROR },
    { constraining_leaf, constraining_ca, "nc_leaf", PUBLIC, ERROR },
    { constraining_leaf, constraining_ca, "nc_leaf", PRIVATE, WARNING },
    { odd_country, nothing, "subject_country", PUBLIC, ERROR },
    { odd_country, nothing, "subject_country", PRIVATE, WARNING },
    { with_unit, client_with_unit, "no_ou", PUBLIC, ERROR },
    { irrevocable, short_and_irrevocable, "revocation_info", PUBLIC, ERROR },
    { list_by_ldap, nothing, "url_http", PUBLIC, ERROR },
    { without_policy, nothing, "policy_reserved", PUBLIC, WARNING },
    { two_policies, nothing, "policy_reserved", PUBLIC, WARNING },
    { close_primes, lint_make_rsa, "key_rsa_close", PRIVATE, ERROR },
    { not_der, nothing, "der", PUBLIC, ERROR },
    { not_der, nothing, "der", PRIVATE, WARNING },
    { long_times, nothing, "validity_form", PUBLIC, ERROR },
    { long_times, nothing, "validity_form", PRIVATE, WARNING },
    { begins_early, begins_in_time, "validity_signed", PUBLIC, ERROR },
    { begins_late, begins_soon, "validity_signed", PUBLIC, ERROR },
    { begins_early, early_client, "validity_signed", PUBLIC, ERROR },
    { begins_early, signed_at_some_time, "validity_signed", PUBLIC, ERROR },
    { outlives_issuer, ends_with_issuer, "validity_issuer", PUBLIC, ERROR },
    { outlives_issuer, issuer_unknown, "validity_issuer", PRIVATE, WARNING },
    { all_of_uk, all_of_a_company, "san_wildcard_suffix", PUBLIC, ERROR },
    { all_of_capital_uk, all_of_customers, "san_wildcard_suffix", PUBLIC, ERROR },
    { all_of_a_country, a_registry, "san_wildcard_suffix", PUBLIC, ERROR },
    { all_of_no_domain, client_of_all_uk, "san_wildcard_suffix", PUBLIC, ERROR },
    { all_below_a_star, all_of_an_exception, "san_wildcard_suffix", PUBLIC, ERROR },
    { a_registry, a_company, "san_suffix", PUBLIC, WARNING },
    { a_registry, no_domain_at_all, "san_suffix", PUBLIC, WARNING },
    { a_registry, all_of_uk, "san_suffix", PUBLIC, WARNING },
    { a_registry, all_of_a_star, "san_suffix", PUBLIC, WARNING },
    { no_domain_at_all, nothing, "san_domain", PUBLIC, WARNING },
    { all_of_no_domain, below_a_star_country, "san_domain", PUBLIC, WARNING },
    { no_domain_at_all, lint_internal_host, "san_domain", PUBLIC, WARNING },
    { short_rsa_ca, long_rsa_ca, "key_rsa_ca", PUBLIC, WARNING },
    { short_rsa_ca, lint_make_rsa, "key_rsa_ca", PRIVATE, WARNING },
    { long_self_signed, full_self_signed, "validity_self_signed", PRIVATE, WARNING },
    { long_self_signed, lint_root_of_ten_years, "validity_self_signed", PRIVATE, WARNING },
};

const size_t lint_sample_count = KV_COUNT(lint_samples);
