/* issuer.c - the verbs of issuers that are more than one call: the credential comes from a file. */
#include <string.h>

#include <keyvault/v1/issuers.pb-c.h>

#include "client/cli/run.h"

enum { CREDENTIAL_MAX = 4096 };

kv_exit kv_cli_issuer_set(kv_cli *cli)
{
    return kv_cli_set_with_secret(cli, "credential-file", CREDENTIAL_MAX, "credentials.pwd");
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
