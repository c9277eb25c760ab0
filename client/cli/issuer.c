/* issuer.c - the verbs of issuers that are more than one call: the credential comes from a file. */
#include <string.h>

#include <keyvault/v1/issuers.pb-c.h>

#include "client/cli/run.h"

enum { CREDENTIAL_MAX = 4096 };

kv_exit kv_cli_issuer_set(kv_cli *cli)
{
    ProtobufCMessage *request = NULL, *response = NULL;
    kv_exit told = kv_cli_build(cli, cli->args.verb->path, &request);

    if (told != KV_EXIT_OK)
        return told;
    told = kv_cli_secret_option(cli, "credential-file", CREDENTIAL_MAX, request, "credentials.pwd");
    if (told == KV_EXIT_OK)
        told = kv_cli_call(cli, cli->args.verb->path, request, &response);
    keyvault_message_free(request);
    return told == KV_EXIT_OK ? kv_cli_show(cli, response) : told;
}

kv_exit kv_cli_issuer_check(kv_cli *cli)
{
    ProtobufCMessage *response = NULL;
    kv_exit told = kv_cli_ask(cli, cli->args.verb->path, &response);
    bool accepted;

    if (told != KV_EXIT_OK)
        return told;
    accepted = ((const Keyvault__V1__CheckIssuerResponse *)(const void *)response)->accepted;
    told = kv_cli_show(cli, response);
    return told == KV_EXIT_OK && !accepted ? KV_EXIT_NO : told;
}
