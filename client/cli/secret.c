/* secret.c - values come from files or standard input and go where they are asked to. */
#include <stdlib.h>
#include <string.h>

#include <keyvault/v1/secrets.pb-c.h>

#include "client/cli/run.h"
#include "server/base/text.h"

enum { VALUE_MAX = 25 * 1024 };

kv_exit kv_cli_secret_set(kv_cli *cli)
{
    const char *file = kv_cli_given(cli, "file");
    ProtobufCMessage *request = NULL, *response = NULL;
    kv_slice value;
    kv_error err = { 0 };
    kv_exit told = kv_cli_read(cli, file ? file : "-", VALUE_MAX, &value);

    if (told == KV_EXIT_OK)
        told = kv_cli_build(cli, cli->args.verb->path, &request);
    if (told != KV_EXIT_OK)
        return told;
    if (kv_message_set_bytes(request, "value", value, &err) != KV_OK)
        told = kv_cli_fail_local(cli, &err);
    else
        told = kv_cli_call(cli, cli->args.verb->path, request, &response);
    keyvault_message_free(request);
    return told == KV_EXIT_OK ? kv_cli_show(cli, response) : told;
}

/* --- reading --- */

static kv_exit get(kv_cli *cli, Keyvault__V1__SecretBundle **out)
{
    ProtobufCMessage *request = NULL;
    kv_exit told = kv_cli_build(cli, cli->args.verb->path, &request);

    if (told != KV_EXIT_OK)
        return told;
    told = kv_cli_password(cli, request, "pfx_password");
    if (told == KV_EXIT_OK)
        told = kv_cli_call(cli, cli->args.verb->path, request, (ProtobufCMessage **)(void *)out);
    keyvault_message_free(request);
    return told;
}

/* Text that can be shown as it is; line ends and tabs are text too. */
static bool is_text(const ProtobufCBinaryData *value, const char *content_type)
{
    size_t from = 0;

    if (!strcmp(content_type, "application/x-pkcs12"))
        return false;
    for (size_t i = 0; i <= value->len; i++) {
        bool end = i == value->len;

        if (!end && value->data[i] != '\n' && value->data[i] != '\r' && value->data[i] != '\t')
            continue;
        if (!kv_text_printable(kv_slice_of(value->data + from, i - from)))
            return false;
        from = i + 1;
    }
    return true;
}

kv_exit kv_cli_secret_show(kv_cli *cli)
{
    Keyvault__V1__SecretBundle *bundle = NULL;
    kv_exit told = get(cli, &bundle);
    bool text;
    json_t *json;

    if (told != KV_EXIT_OK)
        return told;
    text = is_text(&bundle->value, bundle->content_type);
    json = kv_message_json(&bundle->base);
    if (json && text)
        (void)json_object_set_new(
            json, "value", json_stringn((const char *)bundle->value.data, bundle->value.len));
    if (json)
        (void)json_object_set_new(json, "encoding", json_string(text ? "utf-8" : "base64"));
    keyvault_message_free(bundle);
    return json ? kv_cli_print(cli, json) : kv_cli_usage(cli, "out of memory");
}

kv_exit kv_cli_secret_download(kv_cli *cli)
{
    Keyvault__V1__SecretBundle *bundle = NULL;
    kv_exit told = kv_cli_may_write(cli, kv_cli_given(cli, "file"));

    if (told == KV_EXIT_OK)
        told = get(cli, &bundle);
    if (told != KV_EXIT_OK)
        return told;
    told = kv_cli_write(cli, kv_cli_given(cli, "file"),
                        kv_slice_of(bundle->value.data, bundle->value.len));
    keyvault_message_free(bundle);
    return told;
}
