/* certificate_bring.c - certificates that were made elsewhere: import, and merge with a request. */
#include <stdlib.h>
#include <string.h>

#include <keyvault/v1/certificates.pb-c.h>

#include "client/cli/run.h"
#include "client/cli/say.h"

enum { FILE_MAX = 1 << 20, MERGE_MAX = 256 * 1024, FILES_MAX = 20 };

static kv_exit show(kv_cli *cli, KV_TAKES Keyvault__V1__CertificateBundle *bundle)
{
    for (size_t i = 0; i < bundle->n_warnings; i++)
        kv_say(cli->err, "kvctl: warning: %s\n", bundle->warnings[i]);
    return kv_cli_show(cli, &bundle->base);
}

kv_exit kv_cli_certificate_import(kv_cli *cli)
{
    const char *path = cli->args.verb->path;
    const char *file = kv_cli_given(cli, "file");
    const char *password = kv_cli_given(cli, "password-file");
    Keyvault__V1__CertificateBundle *bundle = NULL;
    ProtobufCMessage *request = NULL;
    kv_slice value;
    kv_error err = { 0 };
    kv_exit told;

    if (!strcmp(file, "-") && password && !strcmp(password, "-"))
        return kv_cli_usage(cli, "standard input cannot be both the file and the password");
    told = kv_cli_read(cli, file, FILE_MAX, &value);
    if (told == KV_EXIT_OK)
        told = kv_cli_build(cli, path, &request);
    if (told != KV_EXIT_OK)
        return told;
    told = kv_message_set_bytes(request, "value", value, &err) == KV_OK
               ? kv_cli_password(cli, request, "password")
               : kv_cli_fail_local(cli, &err);
    if (told == KV_EXIT_OK)
        told = kv_cli_call(cli, path, request, (ProtobufCMessage **)(void *)&bundle);
    keyvault_message_free(request);
    return told == KV_EXIT_OK ? show(cli, bundle) : told;
}

/* Every --file, in the order of the command line. */
static kv_exit read_all(kv_cli *cli, ProtobufCBinaryData *pieces, size_t *count)
{
    for (size_t i = 0; i < cli->args.count; i++) {
        kv_slice bytes;
        kv_exit told;

        if (strcmp(cli->args.values[i].option->name, "file") != 0)
            continue;
        if (*count == FILES_MAX)
            return kv_cli_usage(cli, "at most %d files", FILES_MAX);
        told = kv_cli_read(cli, cli->args.values[i].text, MERGE_MAX, &bytes);
        if (told != KV_EXIT_OK)
            return told;
        pieces[*count].data = (uint8_t *)bytes.data; /* packed, never written */
        pieces[*count].len = bytes.len;
        ++*count;
    }
    return KV_EXIT_OK;
}

kv_exit kv_cli_certificate_merge(kv_cli *cli)
{
    const char *path = cli->args.verb->path;
    ProtobufCBinaryData pieces[FILES_MAX];
    Keyvault__V1__MergeCertificateRequest *request = NULL;
    Keyvault__V1__CertificateBundle *bundle = NULL;
    size_t count = 0;
    kv_exit told = read_all(cli, pieces, &count);

    if (told == KV_EXIT_OK)
        told = kv_cli_build(cli, path, (ProtobufCMessage **)(void *)&request);
    if (told != KV_EXIT_OK)
        return told;
    request->n_x5c = count;
    request->x5c = pieces;
    told = kv_cli_call(cli, path, &request->base, (ProtobufCMessage **)(void *)&bundle);
    request->n_x5c = 0;
    request->x5c = NULL;
    keyvault_message_free(request);
    return told == KV_EXIT_OK ? show(cli, bundle) : told;
}
