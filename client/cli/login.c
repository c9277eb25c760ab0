/* login.c - an identity provider's token for a role token that later commands use. */
#include <string.h>

#include <keyvault/v1/access.pb-c.h>

#include "client/cli/run.h"

enum { ID_TOKEN_BYTES = 16 * 1024 };

static kv_exit get_id_token(kv_cli *cli, kv_slice *out)
{
    const char *file = kv_cli_given(cli, "id-token-file");
    kv_exit told;

    if (!file) {
        if (!cli->config.oidc_issuer || !cli->config.oidc_client_id)
            return kv_cli_usage(cli, "where do you sign in? Give --oidc-issuer and "
                                     "--oidc-client-id, or --id-token-file");
        return kv_cli_device_login(cli, cli->config.oidc_issuer, cli->config.oidc_client_id, out);
    }
    told = kv_cli_read(cli, file, ID_TOKEN_BYTES, out);
    while (told == KV_EXIT_OK && out->len && strchr(" \t\r\n", out->data[out->len - 1]))
        out->len--;
    return told;
}

/* --roles and --scope belong to every verb; here they are what is asked for. */
static kv_exit fill(kv_cli *cli, ProtobufCMessage *request, kv_slice id_token)
{
    const char *at = cli->config.roles;
    const char *text;
    kv_error err = { 0 };

    while (*at) {
        size_t len = strcspn(at, ",");

        if (kv_arena_text(&cli->arena, kv_slice_of(at, len), &text, &err) != KV_OK ||
            kv_message_set(request, "roles", text, &err) != KV_OK)
            return kv_cli_fail_local(cli, &err);
        at += len + (at[len] == ',');
    }
    if (kv_arena_text(&cli->arena, id_token, &text, &err) != KV_OK ||
        kv_message_set(request, "id_token", text, &err) != KV_OK ||
        kv_message_set(request, "scope", cli->config.scope, &err) != KV_OK)
        return kv_cli_fail_local(cli, &err);
    return KV_EXIT_OK;
}

kv_exit kv_cli_login(kv_cli *cli)
{
    const char *path = cli->args.verb->path;
    Keyvault__V1__RoleToken *token = NULL;
    ProtobufCMessage *request = NULL;
    kv_slice id_token = KV_SLICE_NONE;
    kv_error err = { 0 };
    kv_exit told;

    if (!cli->config.roles || !cli->config.scope)
        return kv_cli_usage(cli, "which roles, and where? Give --roles ROLE,... and --scope SCOPE");
    if (!cli->config.certificate)
        return kv_cli_usage(cli, "a login is bound to a client certificate, which you may make "
                                 "yourself: give --certificate and --key");
    told = get_id_token(cli, &id_token);
    if (told == KV_EXIT_OK)
        told = kv_cli_build(cli, path, &request);
    if (told == KV_EXIT_OK)
        told = fill(cli, request, id_token);
    if (told == KV_EXIT_OK)
        told = kv_cli_call(cli, path, request, (ProtobufCMessage **)(void *)&token);
    keyvault_message_free(request);
    if (told == KV_EXIT_OK)
        told = kv_cli_session_keep(cli, token->token, token->expires);
    if (told == KV_EXIT_OK && kv_message_set(&token->base, "token", "", &err) != KV_OK)
        told = kv_cli_fail_local(cli, &err);
    if (told == KV_EXIT_OK)
        return kv_cli_show(cli, &token->base);
    keyvault_message_free(token);
    return told;
}

kv_exit kv_cli_logout(kv_cli *cli)
{
    return kv_cli_session_forget(cli);
}
