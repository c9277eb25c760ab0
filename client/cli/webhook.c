/* webhook.c - the verbs of webhooks that are more than one call. */
#include <keyvault/v1/webhooks.pb-c.h>

#include "client/cli/run.h"

enum { AUTHORIZATION_MAX = 2048 };

kv_exit kv_cli_webhook_set(kv_cli *cli)
{
    ProtobufCMessage *request = NULL, *response = NULL;
    kv_exit told = kv_cli_build(cli, cli->args.verb->path, &request);

    if (told != KV_EXIT_OK)
        return told;
    told = kv_cli_secret_option(cli, "authorization-file", AUTHORIZATION_MAX, request,
                                "authorization");
    if (told == KV_EXIT_OK)
        told = kv_cli_call(cli, cli->args.verb->path, request, &response);
    keyvault_message_free(request);
    return told == KV_EXIT_OK ? kv_cli_show(cli, response) : told;
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
