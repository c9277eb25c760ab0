/* key_cipher.c - encrypt and wrap what a file holds, and the way back. */
#include <stdlib.h>
#include <string.h>

#include <keyvault/v1/keys.pb-c.h>

#include "client/cli/run.h"

enum { PLAINTEXT_MAX = 16 * 1024, SEALED_MAX = 64 * 1024 };

/* --- forth: the answer is printed, and is what the way back reads --- */

kv_exit kv_cli_key_encrypt(kv_cli *cli)
{
    const char *file = kv_cli_given(cli, "file");
    ProtobufCMessage *request = NULL, *response = NULL;
    kv_slice plaintext;
    kv_error err = { 0 };
    kv_exit told = kv_cli_read(cli, file ? file : "-", PLAINTEXT_MAX, &plaintext);

    if (told == KV_EXIT_OK)
        told = kv_cli_build(cli, cli->args.verb->path, &request);
    if (told != KV_EXIT_OK)
        return told;
    if (kv_message_set_bytes(request, "plaintext", plaintext, &err) != KV_OK)
        told = kv_cli_fail_local(cli, &err);
    else
        told = kv_cli_call(cli, cli->args.verb->path, request, &response);
    keyvault_message_free(request);
    return told == KV_EXIT_OK ? kv_cli_show(cli, response) : told;
}

/* --- back --- */

/* Those members of what encrypt or wrap printed that the request has; an option given wins. */
static kv_exit take_sealed(kv_cli *cli, ProtobufCMessage *request, const json_t *sealed)
{
    static const char *const members[] = { "algorithm", "ciphertext", "iv", "tag", "aad" };
    kv_error err = { 0 };

    for (size_t i = 0; i < KV_COUNT(members); i++) {
        const char *text = json_string_value(json_object_get(sealed, members[i]));

        if (!text || !*text || !kv_field_find(request->descriptor, members[i]) ||
            (!strcmp(members[i], "algorithm") && kv_cli_given(cli, "algorithm")))
            continue;
        if (kv_message_set(request, members[i], text, &err) != KV_OK)
            return kv_cli_fail_local(cli, &err);
    }
    return KV_EXIT_OK;
}

static kv_exit read_sealed(kv_cli *cli, ProtobufCMessage *request)
{
    const char *file = kv_cli_given(cli, "sealed-file");
    json_t *sealed;
    kv_slice bytes;
    kv_exit told = kv_cli_read(cli, file ? file : "-", SEALED_MAX, &bytes);

    if (told != KV_EXIT_OK)
        return told;
    sealed = json_loadb((const char *)bytes.data, bytes.len, JSON_REJECT_DUPLICATES, NULL);
    told = json_is_object(sealed)
               ? take_sealed(cli, request, sealed)
               : kv_cli_usage(cli, "--sealed-file is JSON as encrypt and wrap print it");
    json_decref(sealed);
    return told;
}

static kv_slice plaintext_of(const ProtobufCMessage *response)
{
    const ProtobufCFieldDescriptor *field = kv_field_find(response->descriptor, "plaintext");
    const ProtobufCBinaryData *value = kv_field_value(response, field, 0);

    return kv_slice_of(value->data, value->len);
}

kv_exit kv_cli_key_decrypt(kv_cli *cli)
{
    const char *file = kv_cli_given(cli, "file");
    ProtobufCMessage *request = NULL, *response = NULL;
    kv_exit told = kv_cli_may_write(cli, file);

    if (told == KV_EXIT_OK)
        told = kv_cli_build(cli, cli->args.verb->path, &request);
    if (told != KV_EXIT_OK)
        return told;
    told = read_sealed(cli, request);
    if (told == KV_EXIT_OK)
        told = kv_cli_call(cli, cli->args.verb->path, request, &response);
    keyvault_message_free(request);
    if (told != KV_EXIT_OK)
        return told;
    told = kv_cli_write(cli, file, plaintext_of(response));
    keyvault_message_free(response);
    return told;
}
