/* backup.c - backups of keys, secrets and certificates, to files and back. */
#include <keyvault/v1/common.pb-c.h>

#include "client/cli/run.h"

enum { BACKUP_MAX = 1000 * 1000 };

kv_exit kv_cli_backup(kv_cli *cli)
{
    const char *file = kv_cli_given(cli, "file");
    Keyvault__V1__BackupBundle *bundle = NULL;
    kv_exit told = kv_cli_may_write(cli, file);

    if (told == KV_EXIT_OK)
        told = kv_cli_ask(cli, cli->args.verb->path, (ProtobufCMessage **)(void *)&bundle);
    if (told != KV_EXIT_OK)
        return told;
    told = kv_cli_write(cli, file, kv_slice_of(bundle->value.data, bundle->value.len));
    keyvault_message_free(bundle);
    return told;
}

kv_exit kv_cli_restore(kv_cli *cli)
{
    const char *path = cli->args.verb->path;
    ProtobufCMessage *request = NULL;
    ProtobufCMessage *answer = NULL;
    kv_slice value;
    kv_error err = { 0 };
    kv_exit told = kv_cli_read(cli, kv_cli_given(cli, "file"), BACKUP_MAX, &value);

    if (told == KV_EXIT_OK)
        told = kv_cli_build(cli, path, &request);
    if (told != KV_EXIT_OK)
        return told;
    told = kv_message_set_bytes(request, "value", value, &err) == KV_OK
               ? kv_cli_call(cli, path, request, &answer)
               : kv_cli_fail_local(cli, &err);
    keyvault_message_free(request);
    return told == KV_EXIT_OK ? kv_cli_show(cli, answer) : told;
}
