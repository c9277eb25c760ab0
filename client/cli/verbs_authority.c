/* verbs_authority.c - what kvctl can do with certificate authorities. */
#include "client/cli/verbs.h"

#define REVOCATION                                                                               \
    TEXT("crl-url", "URL", "revocation.crl_url", "where its revocation list will be: http://"),  \
        TEXT("ocsp-url", "URL", "revocation.ocsp_url", "where its OCSP responder will be"),      \
        TEXT("issuer-url", "URL", "revocation.issuer_url", "where its own certificate will be"), \
        TEXT("crl-hours", "HOURS", "revocation.crl_hours",                                       \
             "how long a list is valid; default 168"),                                           \
        TEXT("max-validity-months", "MONTHS", "max_validity_months", "of what it issues"),       \
        MANY("allow-vault", "NAME", "allow_vaults", "another vault whose issuers may name it")

/* shape: table */
static const kv_cli_option ca_create[] = {
    VAULT,
    NEED("name", "NAME", "name", "1 to 127 of [0-9A-Za-z-]; policies name it as their issuer"),
    NEED("type", "root|subordinate", "type", "self-signed, or signed by another authority"),
    NEED("subject", "DN", "subject", "X.500 name: CN=Example Root, O=Example, C=CH"),
    TEXT("key-type", "EC|RSA", "kty", "default EC"),
    TEXT("key-size", "BITS", "key_size", "RSA: 3072 (default), 4096"),
    TEXT("curve", "P256|P384", "crv", "EC; default P384"),
    TEXT("validity-months", "MONTHS", "validity_months", "default 120"),
    TEXT("path-length", "NUMBER", "path_length", "how many authorities may follow below it"),
    MANY("permitted-dns", "NAME", "name_constraints.permitted.dns_names", "it and all below"),
    MANY("permitted-ip", "CIDR", "name_constraints.permitted.ip_ranges", "10.0.0.0/8"),
    MANY("permitted-email", "NAME", "name_constraints.permitted.emails", "address or host"),
    MANY("permitted-dn", "DN", "name_constraints.permitted.directory_names", "O=Example"),
    MANY("excluded-dns", "NAME", "name_constraints.excluded.dns_names", "it and all below"),
    MANY("excluded-ip", "CIDR", "name_constraints.excluded.ip_ranges", "10.0.0.0/8"),
    MANY("excluded-email", "NAME", "name_constraints.excluded.emails", "address or host"),
    MANY("excluded-dn", "DN", "name_constraints.excluded.directory_names", "O=Example"),
    TEXT("parent", "NAME", "parent", "an authority here that signs it; else there is a CSR"),
    REVOCATION,
    END,
};
/* shape: table */
static const kv_cli_option ca_update[] = { VAULT,
                                           NAME,
                                           YES("enabled", "enabled", "whether it issues"),
                                           REVOCATION,
                                           MANY("disallow-vault", "NAME", "disallow_vaults",
                                                "a vault whose issuers may not any more"),
                                           END };
/* shape: table */
static const kv_cli_option ca_file[] = { VAULT, NAME, FILE_OUT, OVERWRITE, END };
/* shape: table */
static const kv_cli_option ca_crl[] = { VAULT,
                                        NAME,
                                        TEXT("key-number", "NUMBER", "key_number",
                                             "of which of its keys; default: the current one"),
                                        FILE_OUT,
                                        OWN("format", "pem|der", "default pem"),
                                        OVERWRITE,
                                        END };
/* shape: table */
static const kv_cli_option ca_import[] = {
    VAULT,
    NAME,
    { "file", "FILE", "its certificate and those above it: PEM, DER or PKCS #7", NULL,
      KV_OPTION_PATH, KV_OPTION_REQUIRED },
    END
};
/* shape: table */
static const kv_cli_option ca_revoke[] = {
    VAULT,
    NAME,
    NEED("serial", "HEX", "serial", "serial number of the certificate"),
    TEXT("reason", "REASON", "reason", "key-compromise, superseded, cessation-of-operation, ..."),
    WHEN("invalidity-date", "invalidity_date", "when the key was lost, as far as is known"),
    END
};
/* shape: table */
static const kv_cli_option ca_renew[] = {
    VAULT,
    NAME,
    YES("new-key", "new_key", "a new key too; of a root each key signs the other"),
    TEXT("key-type", "EC|RSA", "kty", "of a new key; default: as before"),
    TEXT("key-size", "BITS", "key_size", "RSA: 3072, 4096"),
    TEXT("curve", "P256|P384", "crv", "EC"),
    TEXT("validity-months", "MONTHS", "validity_months", "default 120"),
    TEXT("parent", "NAME", "parent", "an authority here that signs it; default: the one that did"),
    TEXT("crl-url", "URL", "revocation.crl_url", "where the list of the new key will be: http://"),
    TEXT("ocsp-url", "URL", "revocation.ocsp_url", "where its OCSP responder will be"),
    TEXT("issuer-url", "URL", "revocation.issuer_url", "where its own certificate will be"),
    TEXT("crl-hours", "HOURS", "revocation.crl_hours", "how long a list is valid"),
    END
};
/* shape: table */
static const kv_cli_option ca_issued[] = {
    VAULT,
    NAME,
    TEXT("state", "valid|revoked|expired", "state", "only those"),
    WHEN("ends-from", "ends_from", "whose validity ends then or later"),
    WHEN("ends-before", "ends_before", "whose validity ends before that"),
    END
};
/* shape: table */
static const kv_cli_option ca_find[] = {
    VAULT, NAME, NEED("serial", "HEX", "serial", "serial number of the certificate"), END
};
#define ISSUED_COLUMNS                                                    \
    "SERIAL=serial STATE=state:ISSUED_CERTIFICATE_STATE_ SUBJECT=subject" \
    " ENDS=notAfter:time KEY=keyNumber REVOKED=revoked:time"
#define CA_COLUMNS                                                                \
    "NAME=name TYPE=type:CERTIFICATE_AUTHORITY_TYPE_ STATE=state SUBJECT=subject" \
    " KEY=keyKind EXPIRES=notAfter:time"

/* clang-format off */
/* shape: table */
const kv_cli_verb kv_cli_verbs_authority[] = {
    { "ca", "create", "a certificate authority whose key is on the token",
      API "CertificateAuthorityService/CreateCertificateAuthority", ca_create, kv_cli_run_call,
      CA_COLUMNS },
    { "ca", "init", "another name of ca create",
      API "CertificateAuthorityService/CreateCertificateAuthority", ca_create, kv_cli_run_call,
      CA_COLUMNS },
    { "ca", "show", "one authority", API "CertificateAuthorityService/GetCertificateAuthority",
      kv_cli_of_name, kv_cli_run_call, CA_COLUMNS },
    { "ca", "list", "the authorities of a vault",
      API "CertificateAuthorityService/ListCertificateAuthorities", kv_cli_of_vault,
      kv_cli_run_list,
      CA_COLUMNS },
    { "ca", "csr", "the request for its certificate, PEM, to a file",
      API "CertificateAuthorityService/GetCertificateAuthority", ca_file, kv_cli_ca_csr, NULL },
    { "ca", "download", "its certificate and those above it, PEM, to a file",
      API "CertificateAuthorityService/GetCertificateAuthority", ca_file, kv_cli_ca_download,
      NULL },
    { "ca", "import", "bring the certificate that another authority made of the request",
      API "CertificateAuthorityService/ImportCertificateAuthorityCertificate", ca_import,
      kv_cli_ca_import, CA_COLUMNS },
    { "ca", "update", "enable, disable, say where its lists are",
      API "CertificateAuthorityService/UpdateCertificateAuthority", ca_update, kv_cli_run_call,
      CA_COLUMNS },
    { "ca", "renew", "a new certificate, with its key or with a new one",
      API "CertificateAuthorityService/RenewCertificateAuthority", ca_renew, kv_cli_run_call,
      CA_COLUMNS },
    { "ca", "issued", "what it issued, by the end of validity",
      API "CertificateAuthorityService/ListIssuedCertificates", ca_issued, kv_cli_run_list,
      ISSUED_COLUMNS },
    { "ca", "find", "one certificate that it issued, by its serial number",
      API "CertificateAuthorityService/GetIssuedCertificate", ca_find, kv_cli_run_call,
      ISSUED_COLUMNS },
    { "ca", "delete", "destroy its key, for ever; it must be disabled",
      API "CertificateAuthorityService/DeleteCertificateAuthority", kv_cli_of_name, kv_cli_run_call,
      NULL },
    { "ca", "revoke", "put a certificate that it issued onto its revocation list, for ever",
      API "CertificateAuthorityService/RevokeCertificate", ca_revoke, kv_cli_run_call,
      "SERIAL=serial REVOKED=revoked:time REASON=reason:REVOCATION_REASON_ LIST=crlNumber"
      " LISTED=onCrl" },
    { "ca", "crl", "its newest revocation list, to a file",
      API "CertificateAuthorityService/GetCertificateRevocationList", ca_crl, kv_cli_ca_crl,
      NULL },
    { .noun = NULL },
};
/* clang-format on */
