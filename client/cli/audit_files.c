/* audit_files.c - export to files, keys from files. */
#include "client/cli/audit_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/pem.h>

#include "client/cli/say.h"
#include "client/failure.h"
#include "server/audit/frame.h"
#include "server/base/text.h"

#define AUDIT     "/keyvault.v1.AuditService/"
#define PEM_BEGIN "-----BEGIN PUBLIC KEY-----"

enum { KEY_BYTES = 8192, KID_DIGITS = 32 };

/* --- export --- */

static kv_exit fail_file(const kv_cli *cli, const char *what)
{
    kv_say(cli->err, "kvctl: %s: %s\n", what, strerror(errno));
    return KV_EXIT_GENERAL;
}

/* One segment after the other; a new name closes the file before. */
typedef struct export
{
    kv_cli *cli;
    int folder;
    int fd;
    char segment[KV_SEGMENT_NAME_BYTES];
    size_t segments;
}
export;

static kv_exit close_segment(export *it)
{
    int fd = it->fd;

    it->fd = -1;
    return fd < 0 || kv_cli_keep(fd) ? KV_EXIT_OK : fail_file(it->cli, it->segment);
}

static kv_exit open_segment(export *it, const char *name)
{
    uint64_t ignored;
    kv_exit told = close_segment(it);

    if (told != KV_EXIT_OK)
        return told;
    if (!kv_segment_name_parse(name, &ignored)) {
        kv_say(it->cli->err, "kvctl: the server named a segment that is none\n");
        return KV_EXIT_GENERAL;
    }
    it->fd = openat(it->folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (it->fd < 0)
        return fail_file(it->cli, name);
    (void)snprintf(it->segment, sizeof(it->segment), "%s", name);
    it->segments++;
    return KV_EXIT_OK;
}

static kv_exit write_chunk(export *it, const Keyvault__V1__AuditChunk *chunk)
{
    kv_exit told = KV_EXIT_OK;

    if (strcmp(chunk->segment, it->segment) != 0)
        told = open_segment(it, chunk->segment);
    if (told != KV_EXIT_OK)
        return told;
    if (chunk->data.len && pwrite(it->fd, chunk->data.data, chunk->data.len,
                                  (off_t)chunk->offset) != (ssize_t)chunk->data.len)
        return fail_file(it->cli, it->segment);
    return KV_EXIT_OK;
}

static kv_exit take_chunks(export *it, keyvault_stream *stream)
{
    for (;;) {
        Keyvault__V1__AuditChunk *chunk;
        keyvault_error err = { 0 };
        kv_exit told;

        if (keyvault_stream_next(stream, (ProtobufCMessage **)(void *)&chunk, &err))
            return kv_cli_fail(it->cli, &err);
        if (!chunk)
            return KV_EXIT_OK;
        told = write_chunk(it, chunk);
        keyvault_message_free(chunk);
        if (told != KV_EXIT_OK)
            return told;
    }
}

kv_exit kv_cli_export_segments(kv_cli *cli, const char *folder, uint64_t first, uint64_t last,
                               size_t *segments)
{
    Keyvault__V1__ExportAuditRequest request = KEYVAULT__V1__EXPORT_AUDIT_REQUEST__INIT;
    keyvault_stream *stream = NULL;
    keyvault_error err = { 0 };
    export it = { .cli = cli, .fd = -1 };
    kv_exit told = kv_cli_open(cli);

    if (told != KV_EXIT_OK)
        return told;
    if (mkdir(folder, S_IRWXU) && errno != EEXIST)
        return fail_file(cli, folder);
    it.folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (it.folder < 0)
        return fail_file(cli, folder);
    request.first_sequence = first;
    request.last_sequence = last;
    if (keyvault_stream_open(cli->handle, AUDIT "ExportAudit", &request.base, NULL, &stream, &err))
        told = kv_cli_fail(cli, &err);
    if (told == KV_EXIT_OK) {
        told = take_chunks(&it, stream);
        keyvault_stream_close(stream);
    }
    if (told == KV_EXIT_OK)
        told = close_segment(&it);
    if (it.fd >= 0)
        (void)close(it.fd);
    (void)close(it.folder);
    *segments = it.segments;
    return told;
}

kv_exit kv_cli_audit_ask_status(kv_cli *cli, Keyvault__V1__AuditStatus **out)
{
    Keyvault__V1__GetAuditStatusRequest request = KEYVAULT__V1__GET_AUDIT_STATUS_REQUEST__INIT;

    return kv_cli_call(cli, AUDIT "GetAuditStatus", &request.base,
                       (ProtobufCMessage **)(void *)out);
}

/* --- keys --- */

kv_exit kv_cli_write_audit_key(kv_cli *cli, const char *path,
                               const Keyvault__V1__AuditStatus *status)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    long len = 0;
    kv_exit told;

    if (bio && BIO_printf(bio, "kid: %s\n", status->kid) > 0 &&
        PEM_write_bio(bio, PEM_STRING_PUBLIC, "", status->public_key.data,
                      (long)status->public_key.len) > 0)
        len = BIO_get_mem_data(bio, &text);
    told = len > 0 ? kv_cli_write(cli, path, kv_slice_of(text, (size_t)len))
                   : kv_cli_usage(cli, "out of memory");
    BIO_free(bio);
    return told;
}

/* The kid in the lines before the key; "" if there is none. */
static void find_kid(kv_slice text, char kid[KID_DIGITS + 1])
{
    const char *at = memmem(text.data, text.len, "kid: ", 5);
    const char *begin = memmem(text.data, text.len, PEM_BEGIN, strlen(PEM_BEGIN));
    const char *end = (const char *)text.data + text.len;

    kid[0] = '\0';
    if (at && begin && at < begin && end - at > 5 + KID_DIGITS)
        (void)snprintf(kid, KID_DIGITS + 1, "%.*s", KID_DIGITS, at + 5);
}

static kv_exit read_key(kv_cli *cli, const char *path, kv_slice *spki, char kid[KID_DIGITS + 1])
{
    char *name = NULL, *header = NULL;
    unsigned char *der = NULL;
    long len = 0;
    kv_slice text;
    kv_error err = { 0 };
    kv_exit told = kv_cli_read(cli, path, KEY_BYTES, &text);
    BIO *bio;

    if (told != KV_EXIT_OK)
        return told;
    find_kid(text, kid);
    bio = BIO_new_mem_buf(text.data, (int)text.len);
    if (!bio || PEM_read_bio(bio, &name, &header, &der, &len) != 1 ||
        strcmp(name, PEM_STRING_PUBLIC) != 0)
        told = kv_cli_usage(cli, "%s holds no public key in PEM", path);
    else if (kv_arena_copy(&cli->arena, kv_slice_of(der, (size_t)len), spki, &err) != KV_OK)
        told = kv_cli_fail_local(cli, &err);
    BIO_free(bio);
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(der);
    return told;
}

static kv_exit add_key(kv_cli *cli, kv_cli_audit_keys *out, const char *kid, kv_slice spki)
{
    const char *copy;
    kv_error err = { 0 };

    if (out->count == KV_CLI_AUDIT_KEYS)
        return kv_cli_usage(cli, "at most %d public keys", KV_CLI_AUDIT_KEYS);
    if (kv_arena_text(&cli->arena, kv_slice_text(kid), &copy, &err) != KV_OK)
        return kv_cli_fail_local(cli, &err);
    for (size_t i = 0; i < out->count; i++)
        if (kv_slice_equal(out->keys[i].kid, kv_slice_text(kid)))
            return KV_EXIT_OK;
    out->keys[out->count++] = (kv_audit_key){ .kid = kv_slice_text(copy), .spki = spki };
    return KV_EXIT_OK;
}

static bool read_header(int folder, const char *name, kv_segment_header *out)
{
    uint8_t bytes[KV_SEGMENT_HEADER_BYTES];
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));

    if (fd >= 0)
        (void)close(fd);
    return got == (ssize_t)sizeof(bytes) &&
           kv_segment_header_parse(kv_slice_of(bytes, sizeof(bytes)), out);
}

/* The key for every kid that the headers name. */
static kv_exit add_for_all(kv_cli *cli, const char *folder, kv_slice spki, kv_cli_audit_keys *out)
{
    DIR *entries = opendir(folder);
    kv_exit told = KV_EXIT_OK;
    const struct dirent *entry;

    if (!entries)
        return fail_file(cli, folder);
    while (told == KV_EXIT_OK && (entry = readdir(entries)) != NULL) {
        kv_segment_header header;
        uint64_t ignored;

        if (kv_segment_name_parse(entry->d_name, &ignored) &&
            read_header(dirfd(entries), entry->d_name, &header))
            told = add_key(cli, out, header.kid, spki);
    }
    (void)closedir(entries);
    return told;
}

kv_exit kv_cli_read_audit_keys(kv_cli *cli, const char *folder, kv_cli_audit_keys *out)
{
    kv_slice without_kid = KV_SLICE_NONE;
    size_t given = 0;

    out->count = 0;
    for (size_t i = 0; i < cli->args.count; i++) {
        const kv_cli_value *value = &cli->args.values[i];
        char kid[KID_DIGITS + 1] = "";
        kv_slice spki = KV_SLICE_NONE;
        kv_exit told;

        if (strcmp(value->option->name, "public-key") != 0)
            continue;
        given++;
        told = read_key(cli, value->text, &spki, kid);
        if (told == KV_EXIT_OK && *kid)
            told = add_key(cli, out, kid, spki);
        else
            without_kid = spki;
        if (told != KV_EXIT_OK)
            return told;
    }
    if (!without_kid.len)
        return KV_EXIT_OK;
    if (given > 1)
        return kv_cli_usage(cli, "of several keys each needs a line 'kid: ...' before it");
    return add_for_all(cli, folder, without_kid, out);
}
