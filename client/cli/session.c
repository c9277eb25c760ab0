/* session.c - the role token that a login left behind, for one server and one certificate. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>
#include <openssl/sha.h>

#include "client/cli/run.h"
#include "client/cli/say.h"
#include "server/base/secret_buf.h"
#include "server/base/text.h"

enum { SESSION_BYTES = 16 * 1024, LAST_USE_S = 5 };

/* The file; NULL where there is no folder for it, or nobody to be known. The token is bound to the
 * certificate, so another one has another file. */
static kv_exit find_file(kv_cli *cli, const char **out)
{
    uint8_t hash[SHA256_DIGEST_LENGTH];
    char hex[2 * sizeof(hash) + 1];
    kv_slice der, both, path;
    kv_error err = { 0 };
    kv_exit told;

    *out = NULL;
    if (!cli->config.cache || !cli->config.certificate || !cli->config.endpoint)
        return KV_EXIT_OK;
    told = kv_cli_certificate_der(cli, cli->config.certificate, &der);
    if (told != KV_EXIT_OK)
        return told;
    (void)SHA256(der.data, der.len, hash);
    kv_hex(kv_slice_of(hash, sizeof(hash)), hex);
    if (kv_arena_print(&cli->arena, &both, &err, "%s %s", hex, cli->config.endpoint) != KV_OK)
        return kv_cli_fail_local(cli, &err);
    (void)SHA256(both.data, both.len, hash);
    kv_hex(kv_slice_of(hash, sizeof(hash) / 2), hex);
    if (kv_arena_print(&cli->arena, &path, &err, "%s/session-%s", cli->config.cache, hex) != KV_OK)
        return kv_cli_fail_local(cli, &err);
    *out = (const char *)path.data;
    return KV_EXIT_OK;
}

static const char *read_session(kv_cli *cli, kv_slice bytes)
{
    json_error_t where;
    json_t *session =
        json_loadb((const char *)bytes.data, bytes.len, JSON_REJECT_DUPLICATES, &where);
    const char *token = json_string_value(json_object_get(session, "token"));
    const char *copy = NULL;
    kv_error err;

    if (token &&
        json_integer_value(json_object_get(session, "expires")) > time(NULL) + LAST_USE_S &&
        kv_arena_text(&cli->arena, kv_slice_text(token), &copy, &err) != KV_OK)
        copy = NULL;
    json_decref(session);
    return copy;
}

const char *kv_cli_session(kv_cli *cli)
{
    KV_AUTO(kv_secret_buf) bytes = KV_SECRET_NONE;
    const char *file;
    kv_error err = { 0 };

    /* Whatever is wrong with the certificate is told by who needs it. */
    if (!cli->config.certificate || access(cli->config.certificate, R_OK) ||
        find_file(cli, &file) != KV_EXIT_OK || !file || access(file, F_OK))
        return NULL;
    if (kv_secret_buf_read_file(file, SESSION_BYTES, &bytes, &err) != KV_OK) {
        kv_say(cli->err, "kvctl: %s is not used: %s\n", file, err.message);
        return NULL;
    }
    return read_session(cli, kv_secret_buf_slice(&bytes));
}

/* The folder and the one above it, as the XDG rules want them: for the owner alone. */
static bool make_folder(kv_cli *cli)
{
    char parent[4096];
    const char *slash = strrchr(cli->config.cache, '/');
    size_t len = slash ? (size_t)(slash - cli->config.cache) : 0;

    if (len && len < sizeof(parent)) {
        memcpy(parent, cli->config.cache, len);
        parent[len] = '\0';
        (void)mkdir(parent, S_IRWXU);
    }
    return !mkdir(cli->config.cache, S_IRWXU) || errno == EEXIST;
}

kv_exit kv_cli_session_keep(kv_cli *cli, const char *token, int64_t expires)
{
    const char *file;
    kv_slice bytes;
    kv_error err = { 0 };
    kv_exit told = find_file(cli, &file);

    if (told != KV_EXIT_OK)
        return told;
    if (!file)
        return kv_cli_usage(cli, "there is no place to keep the role token: HOME is not set");
    if (!make_folder(cli)) {
        kv_say(cli->err, "kvctl: %s cannot be made: %s\n", cli->config.cache, strerror(errno));
        return KV_EXIT_GENERAL;
    }
    if (kv_arena_print(&cli->arena, &bytes, &err, "{\"token\":\"%s\",\"expires\":%lld}\n", token,
                       (long long)expires) != KV_OK)
        return kv_cli_fail_local(cli, &err);
    return kv_cli_replace(cli, file, bytes);
}

kv_exit kv_cli_session_forget(kv_cli *cli)
{
    const char *file;
    kv_exit told = find_file(cli, &file);

    if (told == KV_EXIT_OK && file && unlink(file) && errno != ENOENT) {
        kv_say(cli->err, "kvctl: %s cannot be removed: %s\n", file, strerror(errno));
        return KV_EXIT_GENERAL;
    }
    return told;
}
