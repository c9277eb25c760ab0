/* verbs.c - everything kvctl can do. To add a verb, add a row; its help follows from it. */
#include "client/cli/run.h"

#define END          \
    {                \
        .name = NULL \
    }
#define NO_OPTIONS          \
    (const kv_cli_option[]) \
    {                       \
        END                 \
    }

/* A text that becomes a field; and the same, required. */
#define TEXT(name, value, field, help)              \
    {                                               \
        name, value, help, field, KV_OPTION_TEXT, 0 \
    }
#define NEED(name, value, field, help)                               \
    {                                                                \
        name, value, help, field, KV_OPTION_TEXT, KV_OPTION_REQUIRED \
    }
#define MANY(name, value, field, help)                               \
    {                                                                \
        name, value, help, field, KV_OPTION_TEXT, KV_OPTION_REPEATED \
    }
#define WHEN(name, field, help)                      \
    {                                                \
        name, "TIME", help, field, KV_OPTION_TIME, 0 \
    }
#define YES(name, field, help)                               \
    {                                                        \
        name, "[true|false]", help, field, KV_OPTION_BOOL, 0 \
    }
/* The verb's own. */
#define OWN(name, value, help)                     \
    {                                              \
        name, value, help, NULL, KV_OPTION_TEXT, 0 \
    }
#define OWN_NEED(name, value, help)                                 \
    {                                                               \
        name, value, help, NULL, KV_OPTION_TEXT, KV_OPTION_REQUIRED \
    }
#define SWITCH(name, help)                        \
    {                                             \
        name, NULL, help, NULL, KV_OPTION_FLAG, 0 \
    }

#define VAULT                                                                              \
    {                                                                                      \
        "vault", "VAULT", "the vault; KVCTL_VAULT or kvctl.conf may name it too", "vault", \
            KV_OPTION_TEXT, KV_OPTION_REQUIRED | KV_OPTION_VAULT                           \
    }
#define NAME    NEED("name", "NAME", "name", "name of the object, 1 to 127 of [0-9A-Za-z-]")
#define VERSION TEXT("version", "VERSION", "version", "32 hexadecimal digits; default: the newest")
#define TAGS(field)                                                            \
    {                                                                          \
        "tag", "NAME=VALUE", "a tag", field, KV_OPTION_TAG, KV_OPTION_REPEATED \
    }
#define ENABLED    YES("enabled", "attributes.enabled", "whether it can be used")
#define NOT_BEFORE WHEN("not-before", "attributes.not_before", "not usable before; none removes it")
#define EXPIRES    WHEN("expires", "attributes.expires", "not usable after; none removes it")
#define FILE_OUT   OWN_NEED("file", "FILE", "where to write, mode 0600; - is standard output")
#define OVERWRITE  SWITCH("overwrite", "replace the file if it exists")
#define PRINCIPAL(flags)                                                                         \
    {                                                                                            \
        "principal", "NAME|ID", "who, by name or id", "principal_id", KV_OPTION_PRINCIPAL, flags \
    }

/* shape: table */
static const kv_cli_option global_options[] = {
    OWN("endpoint", "HOST:PORT,...", "the server; port 8443; then those that stand in for it"),
    OWN("server-name", "NAME", "what its certificate must say, if not the host"),
    OWN("ca", "FILE", "PEM with the CA that vouches for the server"),
    OWN("certificate", "FILE", "PEM with your client certificate"),
    OWN("key", "FILE", "PEM with its private key"),
    OWN("roles", "ROLE,...", "use these roles only; default: all you hold there"),
    OWN("scope", "SCOPE", "where you hold them: /vaults/v; default: as WhoAmI tells"),
    OWN("output", "json|table|tsv", "form of the answer; default json (-o)"),
    OWN("query", "PATH", "print this part of the answer only: id.version"),
    OWN("timeout", "SECONDS", "how long a call may take; default 30"),
    OWN("idempotency-key", "KEY",
        "of a change: given again within a day, it is answered and not made again"),
    OWN("config", "FILE", "instead of ~/.config/keyvault/kvctl.conf"),
    OWN("profile", "NAME", "use the settings of [NAME] in kvctl.conf too"),
    SWITCH("help", "this text (-h)"),
    END,
};

const kv_cli_option *kv_cli_global_options(void)
{
    return global_options;
}

/* --- options that several verbs share --- */

/* shape: table */
static const kv_cli_option vault_name[] = { NEED("name", "NAME", "vault", "name of the vault"),
                                            END };
/* shape: table */
static const kv_cli_option of_vault[] = { VAULT, END };
/* shape: table */
static const kv_cli_option of_name[] = { VAULT, NAME, END };
/* shape: table */
static const kv_cli_option of_version[] = { VAULT, NAME, VERSION, END };

/* --- vault --- */

#define VAULT_SETTINGS(tags)                                                           \
    NEED("name", "NAME", "vault", "3 to 24 of [0-9A-Za-z-], beginning with a letter"), \
        TEXT("retention-days", "DAYS", "retention_days",                               \
             "how long deleted objects can be recovered: 7 to 90"),                    \
        YES("purge-protection", "purge_protection",                                    \
            "nobody can purge before that; true is for ever"),                         \
        YES("default-exportable", "default_exportable",                                \
            "of certificate policies that do not say"),                                \
        YES("allow-unauthenticated-encryption", "allow_unauthenticated_encryption",    \
            "with the vault's keys: CBC and RSA1_5"),                                  \
        TAGS(tags), END

/* shape: table */
static const kv_cli_option vault_create[] = { VAULT_SETTINGS("tags") };
/* shape: table */
static const kv_cli_option vault_update[] = { VAULT_SETTINGS("tags.items") };

/* --- certificate --- */

#define POLICY                                                                                     \
    { "policy", "@FILE|JSON",   "the policy, as `policy show` prints it; options below change it", \
      "policy", KV_OPTION_JSON, 0 },                                                               \
        TEXT("issuer", "NAME", "policy.issuer.name",                                               \
             "Self, Unknown or an authority of the vault"),                                        \
        TEXT("certificate-type", "TYPE", "policy.issuer.cty", "of an authority: tls-server, ..."), \
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

/* --- ca --- */

#define REVOCATION                                                                               \
    TEXT("crl-url", "URL", "revocation.crl_url", "where its revocation list will be: http://"),  \
        TEXT("ocsp-url", "URL", "revocation.ocsp_url", "where its OCSP responder will be"),      \
        TEXT("issuer-url", "URL", "revocation.issuer_url", "where its own certificate will be"), \
        TEXT("crl-hours", "HOURS", "revocation.crl_hours",                                       \
             "how long a list is valid; default 168"),                                           \
        TEXT("max-validity-months", "MONTHS", "max_validity_months", "of what it issues")

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
static const kv_cli_option ca_update[] = { VAULT, NAME,
                                           YES("enabled", "enabled", "whether it issues"),
                                           REVOCATION, END };
/* shape: table */
static const kv_cli_option ca_file[] = { VAULT, NAME, FILE_OUT, OVERWRITE, END };
/* shape: table */
static const kv_cli_option ca_crl[] = { VAULT,     NAME,
                                        FILE_OUT,  OWN("format", "pem|der", "default pem"),
                                        OVERWRITE, END };
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
#define CA_COLUMNS                                                                \
    "NAME=name TYPE=type:CERTIFICATE_AUTHORITY_TYPE_ STATE=state SUBJECT=subject" \
    " KEY=keyKind EXPIRES=notAfter:time"

/* --- issuer --- */

#define ISSUER NEED("name", "NAME", "issuer", "the issuer, as policies name it")
#define ISSUER_OPTIONS                                                                            \
    TEXT("account-id", "ID", "credentials.account_id", "account at the authority"),               \
        { "credential-file", "FILE", "with the password or key of the account; - is stdin", NULL, \
          KV_OPTION_PATH,    0 },                                                                 \
        WHEN("credential-expires", "credentials.expires", "when that ends; none: never"),         \
        TEXT("organization-id", "ID", "org_details.id", "organisation at the authority"),         \
        { "org-details", "JSON|@FILE",   "organisation with its administrators",                  \
          "org_details", KV_OPTION_JSON, 0 },                                                     \
        TEXT("settings", "JSON", "settings", "of the provider: one JSON object"),                 \
        TEXT("trust", "private|public", "trust", "who is to trust its certificates"),             \
        MANY("allow-domain", "RULE", "allowed_domains.rules",                                     \
             "example.com, *.example.com, .example.com, 192.0.2.0/24, @example.com; * is all"),   \
        MANY("allow-requester", "NAME|ID", "allowed_requesters.principals",                       \
             "who may use it; default: all who may create certificates"),                         \
        YES("enabled", "enabled", "whether it can be used"), END
/* shape: table */
static const kv_cli_option of_issuer[] = { VAULT, ISSUER, END };
/* shape: table */
static const kv_cli_option issuer_set[] = {
    VAULT, ISSUER,
    NEED("provider", "PROVIDER", "provider", "Self, Unknown, ...: who speaks with the authority"),
    ISSUER_OPTIONS
};
/* shape: table */
static const kv_cli_option issuer_update[] = {
    VAULT, ISSUER, TEXT("provider", "PROVIDER", "provider", "who speaks with the authority"),
    ISSUER_OPTIONS
};

/* --- key --- */

/* shape: table */
static const kv_cli_option key_create[] = {
    VAULT,
    NAME,
    NEED("key-type", "RSA|EC|OCT|OKP", "kty", "kind of key; OCT is symmetric, OKP is Ed25519"),
    TEXT("key-size", "BITS", "key_size", "RSA: 2048 (default), 3072, 4096; OCT: 128 to 512"),
    TEXT("curve", "P-256|P-384|P-521|P-256K", "crv", "EC; default P-256"),
    MANY("operation", "NAME", "key_ops",
         "what it may ever do: sign verify, encrypt decrypt, wrap-key unwrap-key"),
    ENABLED,
    NOT_BEFORE,
    EXPIRES,
    TAGS("tags"),
    END,
};
/* shape: table */
static const kv_cli_option key_update[] = {
    VAULT,
    NAME,
    VERSION,
    ENABLED,
    MANY("operation", "NAME", "key_ops", "what it may do"),
    NOT_BEFORE,
    EXPIRES,
    TAGS("tags.items"),
    END,
};

#define SIGNED                                                                                  \
    NEED("algorithm", "ALG", "algorithm", "RS256 PS256 ES256 HS256 (384, 512), ES256K, EdDSA"), \
        OWN("message-file", "FILE", "what is signed, hashed here; - is standard input"),        \
        OWN("digest", "HEX", "the hash of what is signed, in hexadecimal or base64"),           \
        SWITCH("der", "an ECDSA signature as OpenSSL wants it, not r and s side by side")

/* shape: table */
static const kv_cli_option key_sign[] = {
    VAULT,
    NAME,
    VERSION,
    SIGNED,
    OWN("signature-file", "FILE", "write the signature's bytes there; - is standard output"),
    OVERWRITE,
    END,
};
/* shape: table */
static const kv_cli_option key_verify[] = {
    VAULT,
    NAME,
    VERSION,
    SIGNED,
    OWN_NEED("signature-file", "FILE", "with the signature's bytes; - is standard input"),
    END,
};
#define PLAINTEXT                                                                                 \
    NEED("algorithm", "ALG", "algorithm", "RSA-OAEP-256, A256GCM, A256KW, AES-KEY-WRAP-PAD ..."), \
        OWN("file", "FILE", "with the plaintext; default, or -: standard input (-f)")
#define SEALED                                                                                     \
    OWN("sealed-file", "FILE", "JSON as printed on the way there; default, or -: standard input"), \
        FILE_OUT, TEXT("algorithm", "ALG", "algorithm", "default: as the JSON says"), OVERWRITE

/* shape: table */
static const kv_cli_option key_encrypt[] = {
    VAULT,
    NAME,
    VERSION,
    PLAINTEXT,
    TEXT("iv", "HEX", "iv", "CBC: 16 bytes; default: the token chooses"),
    TEXT("aad", "HEX", "aad", "GCM: authenticated too"),
    END,
};
/* shape: table */
static const kv_cli_option key_wrap[] = { VAULT, NAME, VERSION, PLAINTEXT, END };
/* shape: table */
static const kv_cli_option key_decrypt[] = { VAULT, NAME, VERSION, SEALED, END };
/* shape: table */
static const kv_cli_option key_import[] = {
    VAULT,
    NAME,
    OWN("file", "FILE",
        "with the private key, PEM, PKCS#8 or JWK; default, or -: standard input (-f)"),
    OWN("byok-file", "FILE", "a key wrapped for a key-exchange key: .byok file, or the bytes"),
    OWN("public-key-file", "FILE", "of the wrapped key, PEM or DER"),
    OWN("exchange-key", "NAME[/VERSION]", "it was wrapped for; default: as the .byok file says"),
    SWITCH("symmetric", "the file's bytes themselves are the key"),
    MANY("operation", "NAME", "key_ops", "what it may ever do; as for key create"),
    ENABLED,
    NOT_BEFORE,
    EXPIRES,
    TAGS("tags"),
    END,
};
/* shape: table */
static const kv_cli_option key_random[] = { VAULT,
                                            NEED("count", "N", "count", "how many bytes, 1 to 128"),
                                            END };
/* shape: table */
static const kv_cli_option key_download[] = {
    VAULT, NAME, VERSION, FILE_OUT, OWN("format", "pem|der", "default pem"), OVERWRITE, END,
};

/* --- backups --- */

/* shape: table */
static const kv_cli_option backup_options[] = { VAULT, NAME, FILE_OUT, OVERWRITE, END };
/* shape: table */
static const kv_cli_option restore_options[] = {
    VAULT,
    OWN_NEED("file", "FILE", "the backup; - is standard input"),
    END,
};

/* --- secret --- */

/* shape: table */
static const kv_cli_option secret_set[] = {
    VAULT,
    NAME,
    OWN("file", "FILE", "with the value; default, or -: standard input (-f)"),
    TEXT("content-type", "TYPE", "content_type", "what the value is, for readers"),
    ENABLED,
    NOT_BEFORE,
    EXPIRES,
    TAGS("tags"),
    END,
};

#define FORMAT                                                                                     \
    TEXT("format", "pfx|pem", "format", "of a certificate's secret; default: as its policy says"), \
        OWN("password-file", "FILE",                                                               \
            "password for the PFX, file of mode 0600; - is standard input"),                       \
        YES("pfx-for-old-clients", "pfx_for_old_clients",                                          \
            "weak encryption, for programs that read no other")

/* shape: table */
static const kv_cli_option secret_show[] = { VAULT, NAME, VERSION, FORMAT, END };
/* shape: table */
static const kv_cli_option secret_download[] = { VAULT,  NAME,      VERSION, FILE_OUT,
                                                 FORMAT, OVERWRITE, END };
/* shape: table */
static const kv_cli_option secret_update[] = {
    VAULT,   NAME,
    VERSION, TEXT("content-type", "TYPE", "content_type", "what the value is, for readers"),
    ENABLED, NOT_BEFORE,
    EXPIRES, TAGS("tags.items"),
    END,
};

/* --- principal, role, token --- */

/* shape: table */
static const kv_cli_option principal_create[] = {
    NEED("name", "NAME", "display_name", "1 to 128 bytes"),
    NEED("kind", "service|management|user", "kind",
         "an application, somebody known by a "
         "management certificate, or a person"),
    END,
};
/* shape: table */
static const kv_cli_option principal_one[] = { PRINCIPAL(KV_OPTION_REQUIRED), END };
/* shape: table */
static const kv_cli_option principal_update[] = {
    PRINCIPAL(KV_OPTION_REQUIRED),
    TEXT("name", "NAME", "display_name", "the new name"),
    YES("enabled", "enabled", "whether it may do anything"),
    END,
};
/* shape: table */
static const kv_cli_option credential_add[] = {
    PRINCIPAL(KV_OPTION_REQUIRED),
    OWN("certificate-file", "FILE", "PEM or DER, pinned by its SHA-256"),
    OWN("vault", "VAULT", "it is a management certificate of that vault (with --certificate-file)"),
    OWN("uri", "URI", "SAN URI in certificates of the client CA"),
    OWN("dns", "NAME", "SAN DNS name in certificates of the client CA"),
    OWN("subject", "DN", "subject of certificates of the client CA, RFC 4514"),
    OWN("ca-file", "FILE", "that CA's certificate; default: the configured client CA"),
    OWN("oidc-provider", "NAME", "[oidc.NAME] of the server: whoever its tokens stand for"),
    OWN("claim", "CLAIM", "which claim of its tokens; default: the provider's first, sub"),
    OWN("value", "VALUE", "what the claim must say"),
    END,
};
/* shape: table */
static const kv_cli_option credential_list[] = {
    PRINCIPAL(0),
    TEXT("vault", "VAULT", "vault", "management certificates of the vault, instead"),
    END,
};
/* shape: table */
static const kv_cli_option credential_remove[] = {
    NEED("id", "ID", "credential_id", "of the credential: kvctl principal credential list"), END
};
/* shape: table */
static const kv_cli_option role_assign[] = {
    PRINCIPAL(KV_OPTION_REQUIRED),
    NEED("role", "ROLE", "role", "certificate-officer, crypto-user, ...: kvctl role list"),
    NEED("scope", "SCOPE", "scope", "/, /vaults/v, /vaults/v/keys or /vaults/v/keys/k"),
    WHEN("expires", "expires", "when it ends by itself"),
    END,
};
#define QUESTION                                                                       \
    NEED("permission", "PERMISSION", "permission", "keys/sign, ...: kvctl role list"), \
        NEED("scope", "SCOPE", "scope", "/, /vaults/v, /vaults/v/keys or /vaults/v/keys/k")
/* shape: table */
static const kv_cli_option role_explain[] = { PRINCIPAL(0), QUESTION, END };
/* shape: table */
static const kv_cli_option who_can[] = { QUESTION, END };
/* shape: table */
static const kv_cli_option assignment_list[] = {
    PRINCIPAL(0), TEXT("scope", "SCOPE", "scope", "this one and those under it"), END
};
/* shape: table */
static const kv_cli_option assignment_remove[] = {
    NEED("id", "ID", "assignment_id", "of the assignment: kvctl role assignment list"), END
};
/* shape: table */
static const kv_cli_option token_issue[] = {
    { "role", "ROLE", "a role you hold there", "roles", KV_OPTION_TEXT,
      KV_OPTION_REQUIRED | KV_OPTION_REPEATED },
    NEED("scope", "SCOPE", "scope", "where it counts: /, /vaults/v, ..."),
    TEXT("seconds", "N", "ttl_seconds", "60 to 28800; default 900"),
    OWN("file", "FILE", "write the token there, mode 0600, instead of showing it (-f)"),
    OVERWRITE,
    END,
};
/* shape: table */
static const kv_cli_option token_login[] = {
    OWN("oidc-issuer", "URL", "identity provider to sign in at; KVCTL_OIDC_ISSUER, kvctl.conf"),
    OWN("oidc-client-id", "ID", "what kvctl is called there; KVCTL_OIDC_CLIENT_ID, kvctl.conf"),
    OWN("oidc-ca", "FILE", "PEM with the CA that vouches for it; default: the system's"),
    OWN("oidc-scope", "SCOPES", "what to ask it for; default: openid"),
    OWN("id-token-file", "FILE", "exchange this token of it instead; - is standard input"),
    TEXT("seconds", "N", "ttl_seconds", "life of the role token, 60 to 28800; default 900"),
    END,
};
/* shape: table */
static const kv_cli_option token_revoke[] = {
    OWN("jti", "ID", "of one role token: kvctl token issue tells it"),
    OWN("principal", "NAME|ID", "all role tokens of that principal"),
    END,
};

/* --- audit --- */

/* shape: table */
static const kv_cli_option audit_search[] = {
    OWN("from", "TIME", "not before; UTC"),
    OWN("to", "TIME", "before; default: now"),
    OWN("since", "15m|12h|7d", "instead of --from; default 1d"),
    TEXT("vault", "VAULT", "vault", "of this vault only"),
    TEXT("collection", "certificates|keys|secrets", "collection", "of these objects only"),
    TEXT("name", "NAME", "name", "of this object only"),
    PRINCIPAL(0),
    TEXT("operation", "NAME", "operation", "KeySign, SecretGet, ..."),
    YES("succeeded", "succeeded", "what was done, or what was refused"),
    TEXT("limit", "N", "limit", "most records; default 10000"),
    END,
};
/* shape: table */
static const kv_cli_option audit_export[] = {
    OWN_NEED("folder", "FOLDER", "where to write the segments; made if need be"),
    OWN("first", "N", "from this record on; default: the first one kept"),
    OWN("last", "N", "to this record; default: the last"),
    OWN("public-key", "FILE", "write the signer's public key there"),
    OVERWRITE,
    END,
};
/* shape: table */
static const kv_cli_option audit_verify[] = {
    SWITCH("live", "of the server: exported, verified and forgotten"),
    OWN("folder", "FOLDER", "with segments from kvctl audit export, or the server's own"),
    { "public-key", "FILE", "of the signer, PEM; with --folder", NULL, KV_OPTION_TEXT,
      KV_OPTION_REPEATED },
    END,
};
/* shape: table */
static const kv_cli_option audit_status[] = {
    OWN("public-key", "FILE", "write the signer's public key there"), OVERWRITE, END
};

/* --- the table --- */

#define API "/keyvault.v1."

#define VAULT_COLUMNS                                                                         \
    "NAME=name RETENTION=retentionDays PURGE-PROTECTION=purgeProtection CREATED=created:time" \
    " PURGED=deletion.scheduledPurgeDate:time"
#define CERTIFICATE_COLUMNS                                                      \
    "NAME=id.name VERSION=id.version SUBJECT=subject ENABLED=attributes.enabled" \
    " EXPIRES=attributes.expires:time THUMBPRINT=x5t:hex"
#define OPERATION_COLUMNS \
    "NAME=id.name VERSION=id.version STATUS=status ISSUER=issuer.name ERROR=error.message"
#define ISSUER_COLUMNS                                                                \
    "NAME=issuer PROVIDER=provider ACCOUNT=accountId CREDENTIAL=hasCredential"        \
    " EXPIRES=credentialExpires:time DOMAINS=allowedDomains TRUST=trust:TRUST_SCOPE_" \
    " ENABLED=enabled"
#define KEY_COLUMNS                                                       \
    "NAME=id.name VERSION=id.version TYPE=key.kty:KEY_TYPE_ SIZE=keySize" \
    " ENABLED=attributes.enabled MANAGED=managed EXPORTABLE=exportable"   \
    " CREATED=attributes.created:time"
#define KEY_ITEM_COLUMNS                                                         \
    "NAME=id.name VERSION=id.version ENABLED=attributes.enabled MANAGED=managed" \
    " CREATED=attributes.created:time PURGED=deletion.scheduledPurgeDate:time"
#define SECRET_COLUMNS                                                                    \
    "NAME=id.name VERSION=id.version CONTENT-TYPE=contentType ENABLED=attributes.enabled" \
    " MANAGED=managed CREATED=attributes.created:time PURGED=deletion.scheduledPurgeDate:time"
#define SIGNATURE_COLUMNS \
    "NAME=id.name VERSION=id.version ALGORITHM=algorithm:SIGNATURE_ALGORITHM_ SIGNATURE=signature"
#define CIPHER_COLUMNS                                                                        \
    "NAME=id.name VERSION=id.version ALGORITHM=algorithm:ENCRYPTION_ALGORITHM_ IV=iv TAG=tag" \
    " CIPHERTEXT=ciphertext"
#define VERIFY_COLUMNS "NAME=id.name VERSION=id.version VALID=valid"
#define PRINCIPAL_COLUMNS \
    "ID=id NAME=displayName KIND=kind:PRINCIPAL_KIND_ ENABLED=enabled CREATED=created:time"
#define CREDENTIAL_COLUMNS                                               \
    "ID=id PRINCIPAL=principalId KIND=kind:CREDENTIAL_KIND_ VALUE=value" \
    " SHA256=certificateSha256:hex VAULT=vault EXPIRES=notAfter:time"
#define ASSIGNMENT_COLUMNS \
    "ID=id PRINCIPAL=principalId ROLE=role:ROLE_ SCOPE=scope EXPIRES=expires:time"
#define RECORD_COLUMNS                                                                         \
    "SEQUENCE=sequence TIME=timeMs:ms PRINCIPAL=principalName OPERATION=operation VAULT=vault" \
    " NAME=name STATUS=status REASON=reason"

/* The last six verbs that keys, secrets and certificates have in common. */
#define DELETION(noun, service, One, Many, columns, items)                       \
    { noun,                                                                      \
      "delete",                                                                  \
      "delete all versions; they can be recovered for the vault's retention",    \
      API service "/Delete" One,                                                 \
      of_name,                                                                   \
      kv_cli_run_call,                                                           \
      columns },                                                                 \
        { noun,                                                                  \
          "list-deleted",                                                        \
          "what is deleted and can be recovered",                                \
          API service "/ListDeleted" Many,                                       \
          of_vault,                                                              \
          kv_cli_run_list,                                                       \
          items },                                                               \
        { noun,                                                                  \
          "show-deleted",                                                        \
          "one that is deleted",                                                 \
          API service "/GetDeleted" One,                                         \
          of_name,                                                               \
          kv_cli_run_call,                                                       \
          columns },                                                             \
        { noun,                                                                  \
          "recover",                                                             \
          "bring back what is deleted",                                          \
          API service "/RecoverDeleted" One,                                     \
          of_name,                                                               \
          kv_cli_run_call,                                                       \
          columns },                                                             \
        { noun,                                                                  \
          "purge",                                                               \
          "destroy what is deleted, for ever",                                   \
          API service "/PurgeDeleted" One,                                       \
          of_name,                                                               \
          kv_cli_run_call,                                                       \
          NULL },                                                                \
        { noun,                                                                  \
          "backup",                                                              \
          "all versions, encrypted for this server, to a file",                  \
          API service "/Backup" One,                                             \
          backup_options,                                                        \
          kv_cli_backup,                                                         \
          NULL },                                                                \
    {                                                                            \
        noun, "restore", "bring back what a backup has; never overwrites",       \
            API service "/Restore" One, restore_options, kv_cli_restore, columns \
    }

/* clang-format off */
/* shape: table */
static const kv_cli_verb verbs[] = {
    { "vault", "create", "make a vault", API "VaultService/CreateVault", vault_create,
      kv_cli_run_call, VAULT_COLUMNS },
    { "vault", "show", "one vault", API "VaultService/GetVault", vault_name, kv_cli_run_call,
      VAULT_COLUMNS },
    { "vault", "list", "all vaults", API "VaultService/ListVaults", NO_OPTIONS, kv_cli_run_list,
      VAULT_COLUMNS },
    { "vault", "update", "change its settings", API "VaultService/UpdateVault", vault_update,
      kv_cli_run_call, VAULT_COLUMNS },
    { "vault", "delete", "delete it with all in it; it can be recovered for its retention",
      API "VaultService/DeleteVault", vault_name, kv_cli_run_call, VAULT_COLUMNS },
    { "vault", "list-deleted", "vaults that can be recovered",
      API "VaultService/ListDeletedVaults", NO_OPTIONS, kv_cli_run_list, VAULT_COLUMNS },
    { "vault", "recover", "bring back a deleted vault", API "VaultService/RecoverVault",
      vault_name, kv_cli_run_call, VAULT_COLUMNS },
    { "vault", "purge", "destroy a deleted vault and every key in it, for ever",
      API "VaultService/PurgeVault", vault_name, kv_cli_run_call, NULL },

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
      API "CertificateService/ListCertificates", of_vault, kv_cli_run_list, CERTIFICATE_COLUMNS },
    { "certificate", "list-versions", "all versions of one",
      API "CertificateService/ListCertificateVersions", of_name, kv_cli_run_list,
      CERTIFICATE_COLUMNS },
    { "certificate", "download", "the public certificate and its issuers, to a file",
      API "CertificateService/GetCertificateChain", certificate_download,
      kv_cli_certificate_download, NULL },
    { "certificate", "set-attributes", "enable, disable, tag a version",
      API "CertificateService/UpdateCertificate", certificate_update, kv_cli_run_call,
      CERTIFICATE_COLUMNS },
    DELETION("certificate", "CertificateService", "Certificate", "Certificates",
             CERTIFICATE_COLUMNS, CERTIFICATE_COLUMNS),
    { "certificate", "pending show", "the operation that makes a version",
      API "CertificateService/GetCertificateOperation", of_name, kv_cli_run_call,
      OPERATION_COLUMNS },
    { "certificate", "pending merge", "complete it with what was made of its CSR",
      API "CertificateService/MergeCertificate", certificate_merge, kv_cli_certificate_merge,
      CERTIFICATE_COLUMNS },
    { "certificate", "pending cancel", "ask for its cancellation",
      API "CertificateService/CancelCertificateOperation", of_name, kv_cli_run_call,
      OPERATION_COLUMNS },
    { "certificate", "pending delete", "stop and forget it",
      API "CertificateService/DeleteCertificateOperation", of_name, kv_cli_run_call,
      OPERATION_COLUMNS },
    { "certificate", "policy show", "what the next version will be",
      API "CertificateService/GetCertificatePolicy", of_name, kv_cli_run_call, NULL },
    { "certificate", "policy set", "change what the next version will be",
      API "CertificateService/UpdateCertificatePolicy", certificate_policy, kv_cli_run_call,
      NULL },

    { "ca", "create", "a certificate authority whose key is on the token",
      API "CertificateAuthorityService/CreateCertificateAuthority", ca_create, kv_cli_run_call,
      CA_COLUMNS },
    { "ca", "show", "one authority", API "CertificateAuthorityService/GetCertificateAuthority",
      of_name, kv_cli_run_call, CA_COLUMNS },
    { "ca", "list", "the authorities of a vault",
      API "CertificateAuthorityService/ListCertificateAuthorities", of_vault, kv_cli_run_list,
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
    { "ca", "delete", "destroy its key, for ever; it must be disabled",
      API "CertificateAuthorityService/DeleteCertificateAuthority", of_name, kv_cli_run_call,
      NULL },
    { "ca", "revoke", "put a certificate that it issued onto its revocation list, for ever",
      API "CertificateAuthorityService/RevokeCertificate", ca_revoke, kv_cli_run_call,
      "SERIAL=serial REVOKED=revoked:time REASON=reason:REVOCATION_REASON_ LIST=crlNumber"
      " LISTED=onCrl" },
    { "ca", "crl", "its newest revocation list, to a file",
      API "CertificateAuthorityService/GetCertificateRevocationList", ca_crl, kv_cli_ca_crl,
      NULL },

    { "issuer", "set", "make an issuer, or replace all of it", API "IssuerService/SetIssuer",
      issuer_set, kv_cli_issuer_set, ISSUER_COLUMNS },
    { "issuer", "show", "one issuer, without its credential", API "IssuerService/GetIssuer",
      of_issuer, kv_cli_run_call, ISSUER_COLUMNS },
    { "issuer", "list", "all issuers of a vault", API "IssuerService/ListIssuers", of_vault,
      kv_cli_run_list, ISSUER_COLUMNS },
    { "issuer", "update", "change what is given, leave the rest",
      API "IssuerService/UpdateIssuer", issuer_update, kv_cli_issuer_set, ISSUER_COLUMNS },
    { "issuer", "delete", "with its credential; what waits for it fails",
      API "IssuerService/DeleteIssuer", of_issuer, kv_cli_run_call, ISSUER_COLUMNS },
    { "issuer", "check", "does the authority take the credential? orders nothing",
      API "IssuerService/CheckIssuer", of_issuer, kv_cli_issuer_check,
      "ACCEPTED=accepted EXPIRES=credentialExpires:time DETAILS=details" },

    { "key", "create", "make a key on the token", API "KeyService/CreateKey", key_create,
      kv_cli_run_call, KEY_COLUMNS },
    { "key", "show", "one key, its public half", API "KeyService/GetKey", of_version,
      kv_cli_run_call, KEY_COLUMNS },
    { "key", "list", "the newest version of each", API "KeyService/ListKeys", of_vault,
      kv_cli_run_list, KEY_ITEM_COLUMNS },
    { "key", "list-versions", "all versions of one", API "KeyService/ListKeyVersions", of_name,
      kv_cli_run_list, KEY_ITEM_COLUMNS },
    { "key", "download", "the public key, to a file", API "KeyService/GetKey", key_download,
      kv_cli_key_download, NULL },
    { "key", "set-attributes", "enable, disable, tag a version, say what it may do",
      API "KeyService/UpdateKey", key_update, kv_cli_run_call, KEY_COLUMNS },
    { "key", "sign", "sign a file or a digest on the token", API "KeyService/Sign", key_sign,
      kv_cli_key_sign, SIGNATURE_COLUMNS },
    { "key", "verify", "verify a signature; exit code 8 if it is not valid",
      API "KeyService/Verify", key_verify, kv_cli_key_verify, VERIFY_COLUMNS },
    { "key", "encrypt", "encrypt a small file; bulk data has a data key of its own",
      API "KeyService/Encrypt", key_encrypt, kv_cli_key_encrypt, CIPHER_COLUMNS },
    { "key", "decrypt", "the way back, to a file", API "KeyService/Decrypt", key_decrypt,
      kv_cli_key_decrypt, NULL },
    { "key", "wrap", "wrap the bytes of another key", API "KeyService/WrapKey", key_wrap,
      kv_cli_key_encrypt, CIPHER_COLUMNS },
    { "key", "unwrap", "the way back, to a file", API "KeyService/UnwrapKey", key_decrypt,
      kv_cli_key_decrypt, NULL },
    { "key", "import", "put a key on the token that was made elsewhere",
      API "KeyService/ImportKey", key_import, kv_cli_key_import, KEY_COLUMNS },
    { "key", "random", "random bytes of the token", API "KeyService/GetRandomBytes", key_random,
      kv_cli_run_call, "VALUE=value" },
    DELETION("key", "KeyService", "Key", "Keys", KEY_COLUMNS, KEY_ITEM_COLUMNS),

    { "secret", "set", "keep a value, from standard input or a file",
      API "SecretService/SetSecret", secret_set, kv_cli_secret_set, SECRET_COLUMNS },
    { "secret", "show", "one secret with its value", API "SecretService/GetSecret", secret_show,
      kv_cli_secret_show, SECRET_COLUMNS },
    { "secret", "download", "the value, to a file; of a certificate: PFX or PEM with the key",
      API "SecretService/GetSecret", secret_download, kv_cli_secret_download, NULL },
    { "secret", "list", "the newest version of each, without values",
      API "SecretService/ListSecrets", of_vault, kv_cli_run_list, SECRET_COLUMNS },
    { "secret", "list-versions", "all versions of one, without values",
      API "SecretService/ListSecretVersions", of_name, kv_cli_run_list, SECRET_COLUMNS },
    { "secret", "set-attributes", "enable, disable, tag a version",
      API "SecretService/UpdateSecret", secret_update, kv_cli_run_call, SECRET_COLUMNS },
    DELETION("secret", "SecretService", "Secret", "Secrets", SECRET_COLUMNS, SECRET_COLUMNS),

    { "principal", "create", "somebody or something that can hold roles",
      API "AccessService/CreatePrincipal", principal_create, kv_cli_run_call, PRINCIPAL_COLUMNS },
    { "principal", "show", "one principal", API "AccessService/GetPrincipal", principal_one,
      kv_cli_run_call, PRINCIPAL_COLUMNS },
    { "principal", "list", "all principals", API "AccessService/ListPrincipals", NO_OPTIONS,
      kv_cli_run_list, PRINCIPAL_COLUMNS },
    { "principal", "update", "rename, enable, disable", API "AccessService/UpdatePrincipal",
      principal_update, kv_cli_run_call, PRINCIPAL_COLUMNS },
    { "principal", "delete", "remove it with its credentials and roles",
      API "AccessService/DeletePrincipal", principal_one, kv_cli_run_call, NULL },
    { "principal", "credential add", "a certificate, a name in one, or a claim that stands for it",
      NULL, credential_add, kv_cli_credential_add, CREDENTIAL_COLUMNS },
    { "principal", "credential list", "of a principal or a vault",
      API "AccessService/ListCredentials", credential_list, kv_cli_run_list, CREDENTIAL_COLUMNS },
    { "principal", "credential remove", "from the next call on it is unknown",
      API "AccessService/RemoveCredential", credential_remove, kv_cli_run_call, NULL },

    { "role", "list", "the roles, what they may, which exclude each other",
      API "AccessService/ListRoles", NO_OPTIONS, kv_cli_run_list,
      "NAME=name PERMISSIONS=permissions" },
    { "role", "assign", "grant a role", API "AccessService/AssignRole", role_assign,
      kv_cli_role_assign, ASSIGNMENT_COLUMNS },
    { "role", "explain", "may somebody do that there, and why; exit code 8 if not",
      API "AccessService/ExplainAccess", role_explain, kv_cli_role_explain, NULL },
    { "role", "who-can", "everybody who may do that there", API "AccessService/WhoCan", who_can,
      kv_cli_run_list,
      "ID=principal.id NAME=principal.displayName ROLE=reasons.0.assignment.role:ROLE_"
      " ON=reasons.0.assignment.scope" },
    { "role", "assignment list", "who holds what where", API "AccessService/ListAssignments",
      assignment_list, kv_cli_run_list, ASSIGNMENT_COLUMNS },
    { "role", "assignment remove", "take a role away; it ends with the answer",
      API "AccessService/RemoveAssignment", assignment_remove, kv_cli_run_call, NULL },

    { "token", "whoami", "who the server takes you for, and what you hold",
      API "AccessService/WhoAmI", NO_OPTIONS, kv_cli_run_call,
      "ID=principal.id NAME=principal.displayName ROLES=assignments.0.role:ROLE_" },
    { "token", "issue", "a role token for another program", API "AccessService/IssueRoleToken",
      token_issue, kv_cli_token_issue, "JTI=jti SCOPE=scope EXPIRES=expires:time TOKEN=token" },
    { "token", "login", "sign in at an identity provider, with --roles and --scope; kvctl login",
      API "AccessService/IssueRoleToken", token_login, kv_cli_login,
      "JTI=jti SCOPE=scope EXPIRES=expires:time" },
    { "token", "logout", "forget what login got; kvctl logout", NULL, NO_OPTIONS, kv_cli_logout,
      NULL },
    { "token", "revoke", "end one role token, or all of a principal", NULL, token_revoke,
      kv_cli_token_revoke, PRINCIPAL_COLUMNS },

    { "audit", "search", "who did what, when", API "AuditService/SearchAudit", audit_search,
      kv_cli_audit_search, RECORD_COLUMNS },
    { "audit", "export", "the log as it is on disk, to a folder", API "AuditService/ExportAudit",
      audit_export, kv_cli_audit_export, NULL },
    { "audit", "verify", "is the log whole? exit code 8 if not", NULL, audit_verify,
      kv_cli_audit_verify,
      "RESULT=result LAST=lastSequence PROVED=provedSequence AT=provedMs:ms WHAT=what" },
    { "audit", "status", "how far the log is proved", API "AuditService/GetAuditStatus",
      audit_status, kv_cli_audit_status,
      "HEAD=headSequence PROVED=checkpointSequence AT=checkpointMs:ms KID=kid FAILED=failed" },

    { "server", "status", "tokens, store and audit log", API "ServerService/GetServerStatus",
      NO_OPTIONS, kv_cli_run_call,
      "VERSION=version NODE=node STARTED=started:time STORE=store.state AUDIT=audit.state" },
    { "server", "doctor", "is everything as it should be? exit code 8 if not",
      API "ServerService/CheckServer", NO_OPTIONS, kv_cli_server_doctor,
      "RESULT=result:CHECK_RESULT_ CHECK=name WHAT=what NEXT=next" },
    { "server", "health", "does it serve? needs no role", "/grpc.health.v1.Health/Check",
      NO_OPTIONS, kv_cli_run_call, "STATUS=status" },
};
/* clang-format on */

const kv_cli_verb *kv_cli_verbs(size_t *count)
{
    *count = KV_COUNT(verbs);
    return verbs;
}
