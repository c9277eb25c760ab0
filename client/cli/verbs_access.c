/* verbs_access.c - what kvctl can do with principals, roles and role tokens. */
#include "client/cli/verbs.h"

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

#define PRINCIPAL_COLUMNS \
    "ID=id NAME=displayName KIND=kind:PRINCIPAL_KIND_ ENABLED=enabled CREATED=created:time"
#define CREDENTIAL_COLUMNS                                               \
    "ID=id PRINCIPAL=principalId KIND=kind:CREDENTIAL_KIND_ VALUE=value" \
    " SHA256=certificateSha256:hex VAULT=vault EXPIRES=notAfter:time"
#define ASSIGNMENT_COLUMNS \
    "ID=id PRINCIPAL=principalId ROLE=role:ROLE_ SCOPE=scope EXPIRES=expires:time"

/* clang-format off */
/* shape: table */
const kv_cli_verb kv_cli_verbs_access[] = {
    { "principal", "create", "somebody or something that can hold roles",
      API "AccessService/CreatePrincipal", principal_create, kv_cli_run_call, PRINCIPAL_COLUMNS },
    { "principal", "show", "one principal", API "AccessService/GetPrincipal", principal_one,
      kv_cli_run_call, PRINCIPAL_COLUMNS },
    { "principal", "list", "all principals", API "AccessService/ListPrincipals", kv_cli_no_options,
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
      API "AccessService/ListRoles", kv_cli_no_options, kv_cli_run_list,
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
      API "AccessService/WhoAmI", kv_cli_no_options, kv_cli_run_call,
      "ID=principal.id NAME=principal.displayName ROLES=assignments.0.role:ROLE_" },
    { "token", "issue", "a role token for another program", API "AccessService/IssueRoleToken",
      token_issue, kv_cli_token_issue, "JTI=jti SCOPE=scope EXPIRES=expires:time TOKEN=token" },
    { "token", "login", "sign in at an identity provider, with --roles and --scope; kvctl login",
      API "AccessService/IssueRoleToken", token_login, kv_cli_login,
      "JTI=jti SCOPE=scope EXPIRES=expires:time" },
    { "token", "logout", "forget what login got; kvctl logout", NULL, kv_cli_no_options,
      kv_cli_logout,
      NULL },
    { "token", "revoke", "end one role token, or all of a principal", NULL, token_revoke,
      kv_cli_token_revoke, PRINCIPAL_COLUMNS },
    { .noun = NULL },
};
/* clang-format on */
