/* verbs_certificate.c - what kvctl can do with certificates. */
#include "client/cli/verbs.h"

#define POLICY                                                                                     \
    { "policy", "@FILE|JSON",   "the policy, as `policy show` prints it; options below change it", \
      "policy", KV_OPTION_JSON, 0 },                                                               \
        TEXT("issuer", "NAME", "policy.issuer.name",                                               \
             "Self, Unknown or an authority of the vault"),                                        \
        TEXT("certificate-type", "TYPE", "policy.issuer.cty", "of an authority: tls-server, ..."), \
        YES("cert-transparency", "policy.issuer.cert_transparency",                                \
            "take it only with enough timestamps of transparency logs for browsers"),              \
        TEXT("subject", "DN", "policy.x509_props.subject", "X.500 name: CN=www.example.org"),      \
        MANY("dns-name", "NAME", "policy.x509_props.sans.dns_names", "alternative name"),          \
        MANY("ip-address", "IP", "policy.x509_props.sans.ip_addresses", "alternative name"),       \
        MANY("email", "ADDRESS", "policy.x509_props.sans.emails", "alternative name"),             \
        MANY("uri", "URI", "policy.x509_props.sans.uris", "alternative name"),                     \
        MANY("upn", "NAME", "policy.x509_props.sans.upns", "alternative name"),                    \
        TEXT("key-type", "RSA|EC", "policy.key_props.kty", "default RSA"),                         \
        TEXT("key-size", "BITS", "policy.key_props.key_size", "RSA: 2048, 3072, 4096"),            \
        TEXT("curve", "P-256|P-384|P-521", "policy.key_props.crv", "EC"),                          \
        YES("exportable", "policy.key_props.exportable",                                           \
            "whether the private key may leave the token as a PFX"),                               \
        YES("reuse-key", "policy.key_props.reuse_key", "for the next version"),                    \
        TEXT("validity-months", "N", "policy.x509_props.validity_months", "default 12"),           \
        MANY("key-usage", "USAGE", "policy.x509_props.key_usage", "digitalSignature, ..."),        \
        MANY("eku", "OID", "policy.x509_props.ekus", "extended key usage"),                        \
        TEXT("content-type", "TYPE", "policy.secret_props.content_type",                           \
             "of its secret: application/x-pkcs12 or application/x-pem-file")

/* shape: table */
static const kv_cli_option certificate_create[] = {
    VAULT,   NAME,         POLICY,
    ENABLED, TAGS("tags"), SWITCH("no-wait", "do not wait until the certificate is there"),
    END,
};
static const kv_cli_option pending_show[] = {
    VAULT, NAME, SWITCH("wait", "until it is over; how far it is, is told meanwhile"), END
};
static const kv_cli_option certificate_renew[] = {
    VAULT, NAME, SWITCH("no-wait", "do not wait until the certificate is there"), END
};
#define CHAIN_OPTIONS                                                                     \
    YES("preserve-cert-order", "preserve_cert_order",                                     \
        "its secret has the certificates as they stand in the file; default leaf first"), \
        YES("require-complete-chain", "require_complete_chain",                           \
            "refuse a chain without its root; default a warning")

/* shape: table */
static const kv_cli_option certificate_import[] = {
    VAULT,
    NAME,
    OWN_NEED("file", "FILE", "PFX, or PEM with the private key; - is standard input"),
    OWN("password-file", "FILE", "its password, file of mode 0600; - is standard input"),
    POLICY,
    CHAIN_OPTIONS,
    ENABLED,
    TAGS("tags"),
    END,
};
/* shape: table */
static const kv_cli_option certificate_merge[] = {
    VAULT,
    NAME,
    { "file", "FILE", "the certificate, its issuers too: PEM, DER or PKCS #7; - is standard input",
      NULL, KV_OPTION_PATH, KV_OPTION_REQUIRED | KV_OPTION_REPEATED },
    CHAIN_OPTIONS,
    ENABLED,
    TAGS("tags"),
    END,
};
/* shape: table */
static const kv_cli_option certificate_policy[] = { VAULT, NAME, POLICY, END };
/* shape: table */
static const kv_cli_option certificate_show[] = {
    VAULT,   TEXT("name", "NAME", "name", "name of the certificate; or --thumbprint"),
    VERSION, OWN("thumbprint", "HEX", "SHA-1 or SHA-256 of the certificate, instead of a name"),
    END,
};
/* shape: table */
static const kv_cli_option certificate_download[] = {
    VAULT,
    NAME,
    VERSION,
    FILE_OUT,
    TEXT("format", "pem|der|pkcs7", "format",
         "pem and pkcs7: with its issuers; der: the certificate alone; default pem"),
    OVERWRITE,
    END,
};
/* shape: table */
static const kv_cli_option certificate_update[] = {
    VAULT, NAME, VERSION, ENABLED, TAGS("tags.items"), END
};

/* shape: table */
static const kv_cli_option certificate_watch[] = {
    VAULT,
    NAME,
    OWN_NEED("folder", "FOLDER", "where versions are put; FOLDER/current is the newest"),
    SWITCH("with-key", "the private key too, from the certificate's secret; it must be exportable"),
    OWN("check", "COMMAND",
        "run before a version becomes the current one; its failure keeps the old"),
    OWN("reload", "COMMAND", "run after a version became the current one"),
    OWN("probe", "HOST:PORT", "then see by TLS that it is served; else the reload has failed"),
    OWN("probe-name", "NAME", "that is asked for there (SNI); default HOST, unless an address"),
    OWN("probe-seconds", "N", "how long it may take until it is served; default 10"),
    SWITCH("once", "do not wait for the next version"),
    END,
};
#define ONE_VAULT_OR_ALL TEXT("vault", "VAULT", "vault", "only those of this one; default all")

/* shape: table */
static const kv_cli_option certificate_inventory[] = { ONE_VAULT_OR_ALL, END };
/* shape: table */
static const kv_cli_option certificate_forecast[] = {
    ONE_VAULT_OR_ALL, TEXT("hours", "N", "hours", "how far ahead; default 720, thirty days"), END
};

#define CERTIFICATE_COLUMNS                                                      \
    "NAME=id.name VERSION=id.version SUBJECT=subject ENABLED=attributes.enabled" \
    " EXPIRES=attributes.expires:time THUMBPRINT=x5t:hex"
#define INVENTORY_COLUMNS                                                             \
    "VAULT=id.vault NAME=id.name EXPIRES=expires:time ISSUER=issuer"                  \
    " RENEWAL=nextRenewal:time WAITING=waiting:RENEWAL_WAIT_ STATUS=status TAGS=tags" \
    " UPDATED=updated:time ERROR=error"
#define OPERATION_COLUMNS                                              \
    "NAME=id.name VERSION=id.version STATUS=status ISSUER=issuer.name" \
    " TRANSPARENCY=certificateTransparency:CERTIFICATE_TRANSPARENCY_ ERROR=error.message"

/* clang-format off */
/* shape: table */
const kv_cli_verb kv_cli_verbs_certificate[] = {
    { "certificate", "create", "make a key, a certificate and a secret of one name",
      API "CertificateService/CreateCertificate", certificate_create, kv_cli_certificate_create,
      OPERATION_COLUMNS },
    { "certificate", "renew", "make the next version now, by the stored policy",
      API "CertificateService/CreateCertificate", certificate_renew, kv_cli_certificate_create,
      OPERATION_COLUMNS },
    { "certificate", "import", "bring a certificate and its private key, made elsewhere",
      API "CertificateService/ImportCertificate", certificate_import, kv_cli_certificate_import,
      CERTIFICATE_COLUMNS },
    { "certificate", "show", "one certificate, by name or thumbprint",
      API "CertificateService/GetCertificate", certificate_show, kv_cli_certificate_show,
      CERTIFICATE_COLUMNS },
    { "certificate", "list", "the newest version of each",
      API "CertificateService/ListCertificates", kv_cli_of_vault, kv_cli_run_list,
      CERTIFICATE_COLUMNS },
    { "certificate", "list-versions", "all versions of one",
      API "CertificateService/ListCertificateVersions", kv_cli_of_name, kv_cli_run_list,
      CERTIFICATE_COLUMNS },
    { "certificate", "inventory", "all of them: expiry, issuer, tags, next renewal, last error",
      API "RenewalService/ListInventory", certificate_inventory, kv_cli_run_list,
      INVENTORY_COLUMNS },
    { "certificate", "forecast", "how many are renewed in each hour to come",
      API "RenewalService/GetForecast", certificate_forecast, kv_cli_forecast,
      "HOUR=hour:time RENEWALS=renewals" },
    { "certificate", "download", "the public certificate and its issuers, to a file",
      API "CertificateService/GetCertificateChain", certificate_download,
      kv_cli_certificate_download, NULL },
    { "certificate", "watch", "keep files up to date with the newest version, and reload programs",
      API "EventService/WatchEvents", certificate_watch, kv_cli_certificate_watch, NULL },
    { "certificate", "set-attributes", "enable, disable, tag a version",
      API "CertificateService/UpdateCertificate", certificate_update, kv_cli_run_call,
      CERTIFICATE_COLUMNS },
    DELETION("certificate", "CertificateService", "Certificate", "Certificates",
             CERTIFICATE_COLUMNS, CERTIFICATE_COLUMNS),
    { "certificate", "pending show", "the operation that makes a version",
      API "CertificateService/GetCertificateOperation", pending_show, kv_cli_pending_show,
      OPERATION_COLUMNS },
    { "certificate", "pending merge", "complete it with what was made of its CSR",
      API "CertificateService/MergeCertificate", certificate_merge, kv_cli_certificate_merge,
      CERTIFICATE_COLUMNS },
    { "certificate", "pending cancel", "ask for its cancellation",
      API "CertificateService/CancelCertificateOperation", kv_cli_of_name, kv_cli_run_call,
      OPERATION_COLUMNS },
    { "certificate", "pending delete", "stop and forget it",
      API "CertificateService/DeleteCertificateOperation", kv_cli_of_name, kv_cli_run_call,
      OPERATION_COLUMNS },
    { "certificate", "policy show", "what the next version will be",
      API "CertificateService/GetCertificatePolicy", kv_cli_of_name, kv_cli_run_call, NULL },
    { "certificate", "policy set", "change what the next version will be",
      API "CertificateService/UpdateCertificatePolicy", certificate_policy, kv_cli_run_call,
      NULL },
    { .noun = NULL },
};
/* clang-format on */
