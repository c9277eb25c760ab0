/* access.c - credentials and role tokens: verbs that choose between methods. */
#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>

#include <keyvault/v1/access.pb-c.h>

#include "client/cli/run.h"
#include "client/cli/say.h"

#define ACCESS "/keyvault.v1.AccessService/"

/* --- principal credential add --- */

/* The name in certificates of a client CA that stands for the principal. */
static kv_exit fill_mapping(kv_cli *cli, ProtobufCMessage *request, const char *type,
                            const char *value)
{
    const char *ca = kv_cli_given(cli, "ca-file");
    uint8_t hash[SHA256_DIGEST_LENGTH];
    kv_slice der;
    kv_error err = { 0 };
    kv_exit told = KV_EXIT_OK;

    if (ca)
        told = kv_cli_certificate_der(cli, ca, &der);
    if (told != KV_EXIT_OK)
        return told;
    if (ca)
        (void)SHA256(der.data, der.len, hash);
    if ((ca && kv_message_set_bytes(request, "ca_sha256", kv_slice_of(hash, sizeof(hash)), &err) !=
                   KV_OK) ||
        kv_message_set(request, "name_type", type, &err) != KV_OK ||
        kv_message_set(request, "value", value, &err) != KV_OK)
        return kv_cli_fail_local(cli, &err);
    return KV_EXIT_OK;
}

static kv_exit fill_pinned(kv_cli *cli, ProtobufCMessage *request, const char *file)
{
    const char *vault = kv_cli_given(cli, "vault");
    kv_slice der;
    kv_error err = { 0 };
    kv_exit told = kv_cli_certificate_der(cli, file, &der);

    if (told != KV_EXIT_OK)
        return told;
    if (kv_message_set_bytes(request, "certificate", der, &err) != KV_OK ||
        (vault && kv_message_set(request, "vault", vault, &err) != KV_OK))
        return kv_cli_fail_local(cli, &err);
    return KV_EXIT_OK;
}

/* A claim in tokens of an identity provider. */
static kv_exit fill_federation(kv_cli *cli, ProtobufCMessage *request, const char *provider)
{
    const char *claim = kv_cli_given(cli, "claim");
    const char *value = kv_cli_given(cli, "value");
    kv_error err = { 0 };

    if (!value)
        return kv_cli_usage(cli, "--oidc-provider needs --value");
    if (kv_message_set(request, "provider", provider, &err) != KV_OK ||
        (claim && kv_message_set(request, "claim", claim, &err) != KV_OK) ||
        kv_message_set(request, "value", value, &err) != KV_OK)
        return kv_cli_fail_local(cli, &err);
    return KV_EXIT_OK;
}

kv_exit kv_cli_credential_add(kv_cli *cli)
{
    static const char *const types[] = { "uri", "dns", "subject" };
    const char *provider = kv_cli_given(cli, "oidc-provider");
    const char *file = kv_cli_given(cli, "certificate-file");
    const char *path = file ? ACCESS "AddManagementCertificate" : ACCESS "AddCredential";
    const char *type = NULL;
    ProtobufCMessage *request = NULL, *response = NULL;
    kv_exit told;
    unsigned given = (file != NULL) + (provider != NULL);

    for (size_t i = 0; i < KV_COUNT(types); i++) {
        given += kv_cli_given(cli, types[i]) != NULL;
        type = kv_cli_given(cli, types[i]) ? types[i] : type;
    }
    if (given != 1)
        return kv_cli_usage(cli, "give one of --certificate-file, --uri, --dns, --subject and "
                                 "--oidc-provider");
    told = kv_cli_build(cli, path, &request);
    if (told != KV_EXIT_OK)
        return told;
    if (provider)
        told = fill_federation(cli, request, provider);
    else
        told = file ? fill_pinned(cli, request, file)
                    : fill_mapping(cli, request, type, kv_cli_given(cli, type));
    if (told == KV_EXIT_OK)
        told = kv_cli_call(cli, path, request, &response);
    keyvault_message_free(request);
    return told == KV_EXIT_OK ? kv_cli_show(cli, response) : told;
}

/* --- token --- */

kv_exit kv_cli_token_issue(kv_cli *cli)
{
    const char *file = kv_cli_given(cli, "file");
    Keyvault__V1__RoleToken *token = NULL;
    kv_exit told = kv_cli_ask(cli, cli->args.verb->path, (ProtobufCMessage **)(void *)&token);
    kv_error err = { 0 };

    if (told != KV_EXIT_OK)
        return told;
    for (size_t i = 0; i < token->n_warnings; i++)
        kv_say(cli->err, "kvctl: warning: %s\n", token->warnings[i]);
    if (file) {
        told = kv_cli_write(cli, file, kv_slice_text(token->token));
        /* It is in the file now: no need to show it too. */
        if (told == KV_EXIT_OK && kv_message_set(&token->base, "token", "", &err) != KV_OK)
            told = kv_cli_fail_local(cli, &err);
    }
    if (told == KV_EXIT_OK)
        return kv_cli_show(cli, &token->base);
    keyvault_message_free(token);
    return told;
}

kv_exit kv_cli_token_revoke(kv_cli *cli)
{
    const char *jti = kv_cli_given(cli, "jti");
    const char *principal = kv_cli_given(cli, "principal");
    const char *path = jti ? ACCESS "RevokeRoleToken" : ACCESS "RevokePrincipalTokens";
    ProtobufCMessage *request = NULL, *response = NULL;
    const char *id = NULL;
    kv_error err = { 0 };
    kv_exit told = KV_EXIT_OK;

    if (!jti == !principal)
        return kv_cli_usage(cli, "give --jti (of one role token) or --principal (all of theirs)");
    if (principal)
        told = kv_cli_principal(cli, principal, &id);
    if (told == KV_EXIT_OK)
        told = kv_cli_build(cli, path, &request);
    if (told != KV_EXIT_OK)
        return told;
    if (kv_message_set(request, jti ? "jti" : "principal_id", jti ? jti : id, &err) != KV_OK)
        told = kv_cli_fail_local(cli, &err);
    else
        told = kv_cli_call(cli, path, request, &response);
    keyvault_message_free(request);
    return told == KV_EXIT_OK ? kv_cli_show(cli, response) : told;
}
