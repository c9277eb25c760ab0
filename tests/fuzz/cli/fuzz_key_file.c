/* fuzz_key_file.c - key files as kvctl takes them: PEM, PKCS #8, JWK, .byok.
 *
 * The first byte chooses; with .byok the file is followed by a NUL and the public half.
 */
#include <stdlib.h>
#include <string.h>

#include <keyvault/v1/keys.pb-c.h>

#include "client/cli/run.h"

enum { ARENA = 4 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static kv_status fill(kv_cli *cli, ProtobufCMessage *request, bool wrapped, kv_slice file,
                      kv_error *err)
{
    const uint8_t *end = file.len ? memchr(file.data, 0, file.len) : NULL;
    size_t first = end ? (size_t)(end - file.data) : file.len;

    if (!wrapped)
        return kv_cli_fill_import(cli, request, file, err);
    return kv_cli_fill_wrapped(cli, request, kv_slice_of(file.data, first),
                               end ? kv_slice_of(end + 1, file.len - first - 1) : KV_SLICE_NONE,
                               err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kv_cli cli = { .arena = KV_ARENA(ARENA) };
    Keyvault__V1__ImportKeyRequest *request = calloc(1, sizeof(*request));
    kv_error err = { 0 };

    if (request)
        keyvault__v1__import_key_request__init(request);
    if (request && size) {
        if (fill(&cli, &request->base, data[0] & 1, kv_slice_of(data + 1, size - 1), &err) !=
                KV_OK &&
            !err.message[0])
            abort();
    }
    if (request)
        keyvault_message_free(request);
    kv_arena_cleanup(&cli.arena);
    return 0;
}
