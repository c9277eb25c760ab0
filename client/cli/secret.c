/* secret.c - values come from files or standard input and go where they are asked to. */
#include <stdlib.h>
#include <string.h>

#include <keyvault/v1/secrets.pb-c.h>

#include "client/cli/run.h"
#include "server/base/secret_buf.h"
#include "server/base/text.h"

enum { VALUE_MAX = 25 * 1024, PASSWORD_MAX = 200 };

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

/* The password of a PFX, from a file that only the owner can read, or from standard input. */
static kv_exit read_password(kv_cli *cli, ProtobufCMessage *request)
{
    const char *path = kv_cli_given(cli, "password-file");
    KV_AUTO(kv_secret_buf) password = KV_SECRET_NONE;
    kv_slice bytes;
    kv_error err = { 0 };
    kv_exit told;

    if (!path)
        return KV_EXIT_OK;
    if (!strcmp(path, "-")) {
        told = kv_cli_read(cli, path, PASSWORD_MAX + 1, &bytes);
        if (told != KV_EXIT_OK)
            return told;
        if (bytes.len && bytes.data[bytes.len - 1] == '\n')
            bytes.len--;
    } else {
        if (kv_secret_buf_read_file(path, PASSWORD_MAX, &password, &err) != KV_OK)
            return kv_cli_fail_local(cli, &err);
        bytes = kv_secret_buf_slice(&password);
    }
    if (kv_message_set_bytes(request, "pfx_password", bytes, &err) != KV_OK)
        return kv_cli_fail_local(cli, &err);
    return KV_EXIT_OK;
}

static kv_exit get(kv_cli *cli, Keyvault__V1__SecretBundle **out)
{
    ProtobufCMessage *request = NULL;
    kv_exit told = kv_cli_build(cli, cli->args.verb->path, &request);

    if (told != KV_EXIT_OK)
        return told;
    told = read_password(cli, request);
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
