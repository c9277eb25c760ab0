/* verbs_issuer.c - what kvctl can do with issuers. */
#include "client/cli/verbs.h"

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
        YES("strict-lint", "strict_lint", "what breaks a rule that is an error is not accepted"), \
        MANY("allow-domain", "RULE", "allowed_domains.rules",                                     \
             "example.com, *.example.com, .example.com, 192.0.2.0/24, @example.com; * is all"),   \
        MANY("allow-requester", "NAME|ID", "allowed_requesters.principals",                       \
             "who may use it; default: all who may create certificates"),                         \
        TEXT("orders-per-hour", "N", "order_rules.orders_per_hour",                               \
             "the most that are placed; default 100"),                                            \
        TEXT("certificates-per-week", "N", "order_rules.certificates_per_week",                   \
             "of exactly the same names; default 5"),                                             \
        MANY("blackout", "WINDOW", "order_rules.blackouts",                                       \
             "nothing is renewed: 'Fri 18:00 - Mon 06:00', UTC"),                                 \
        YES("enabled", "enabled", "whether it can be used"), END
/* shape: table */
static const kv_cli_option of_issuer[] = { VAULT, ISSUER, END };
/* shape: table */
static const kv_cli_option issuer_delete[] = { VAULT, ISSUER,
                                               YES("deactivate-account", "deactivate_account",
                                                   "the authority closes its account, for good"),
                                               END };
/* shape: table */
static const kv_cli_option issuer_revoke[] = {
    VAULT,
    ISSUER,
    NEED("certificate-name", "NAME", "name", "the certificate"),
    TEXT("version", "VERSION", "version", "default: the current one"),
    TEXT("reason", "REASON", "reason", "key-compromise, superseded, cessation-of-operation, ..."),
    END
};
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

/* shape: table */
static const kv_cli_option issuer_renew_all[] = {
    VAULT, ISSUER, OWN("within", "DURATION", "spread over so long: 90s, 12h, 7d; default 1d"), END
};

#define ISSUER_COLUMNS                                                                \
    "NAME=issuer PROVIDER=provider ACCOUNT=accountId CREDENTIAL=hasCredential"        \
    " EXPIRES=credentialExpires:time DOMAINS=allowedDomains TRUST=trust:TRUST_SCOPE_" \
    " ENABLED=enabled HEALTHY=health.healthy"

/* clang-format off */
/* shape: table */
const kv_cli_verb kv_cli_verbs_issuer[] = {
    { "issuer", "set", "make an issuer, or replace all of it", API "IssuerService/SetIssuer",
      issuer_set, kv_cli_issuer_set, ISSUER_COLUMNS },
    { "issuer", "show", "one issuer, without its credential", API "IssuerService/GetIssuer",
      of_issuer, kv_cli_run_call, ISSUER_COLUMNS },
    { "issuer", "list", "all issuers of a vault", API "IssuerService/ListIssuers", kv_cli_of_vault,
      kv_cli_run_list, ISSUER_COLUMNS },
    { "issuer", "update", "change what is given, leave the rest",
      API "IssuerService/UpdateIssuer", issuer_update, kv_cli_issuer_set, ISSUER_COLUMNS },
    { "issuer", "delete", "with its credential; what waits for it fails",
      API "IssuerService/DeleteIssuer", issuer_delete, kv_cli_run_call, ISSUER_COLUMNS },
    { "issuer", "check", "does the authority take the credential? orders nothing",
      API "IssuerService/CheckIssuer", of_issuer, kv_cli_issuer_check,
      "ACCEPTED=accepted EXPIRES=credentialExpires:time ACCOUNT=account DETAILS=details" },
    { "issuer", "roll-account-key", "another key for the account at the authority, on the token",
      API "IssuerService/RollAccountKey", of_issuer, kv_cli_run_call, "URL=url" },
    { "issuer", "revoke", "have the authority revoke a certificate that it issued",
      API "IssuerService/RevokeIssuedCertificate", issuer_revoke, kv_cli_run_call, NULL },
    { "issuer", "renew-all", "renew now what it made, spread, as when an authority takes all back",
      API "RenewalService/RenewAll", issuer_renew_all, kv_cli_renew_all, "COUNT=count" },
    { .noun = NULL },
};
/* clang-format on */
