/* webhook.c - the verbs of webhooks that are more than one call. */
#include <keyvault/v1/webhooks.pb-c.h>

#include "client/cli/run.h"

enum { AUTHORIZATION_MAX = 2048 };

kv_exit kv_cli_webhook_set(kv_cli *cli)
{
    return kv_cli_set_with_secret(cli, "authorization-file", AUTHORIZATION_MAX, "authorization");
}

kv_exit kv_cli_webhook_test(kv_cli *cli)
{
    ProtobufCMessage *response = NULL;
    kv_exit told = kv_cli_ask(cli, cli->args.verb->path, &response);
    bool taken;

    if (told != KV_EXIT_OK)
        return told;
    taken = ((const Keyvault__V1__TestWebhookResponse *)(const void *)response)->taken;
    told = kv_cli_show(cli, response);
    return told == KV_EXIT_OK && !taken ? KV_EXIT_NO : told;
}
