/* certificate_watch.c - the newest version of a certificate is kept in files, for programs that
 * serve with it.
 *
 * Each version has a folder of its own, complete before anybody sees it:
 *
 *     FOLDER/<version>/fullchain.pem   leaf first
 *     FOLDER/<version>/privkey.pem     with --with-key, mode 0600
 *     FOLDER/current -> <version>      moved by one rename: all files change together
 *
 * A key that does not belong to the certificate, or a --check that fails, leaves `current` alone.
 * A --probe that does not see it served counts as a --reload that failed: it is tried again.
 * The version before is kept; older ones are removed. A version whose check failed is checked again
 * with each heartbeat, with the files as they are.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/pkcs12.h>

#include <keyvault/v1/certificates.pb-c.h>
#include <keyvault/v1/events.pb-c.h>
#include <keyvault/v1/secrets.pb-c.h>

#include "client/cli/certificate_probe.h"
#include "client/cli/say.h"
#include "client/failure.h"
#include "client/keyvault_watch.h"

#define NEW_VERSION "Microsoft.KeyVault.CertificateNewVersionCreated"

enum { PATH_BYTES = 4096, VERSION_DIGITS = 32, ENVIRONMENT_MAX = 1024 };

typedef struct deployment {
    kv_cli *cli;
    const char *vault, *name, *folder;
    char current[VERSION_DIGITS + 1]; /* "": none yet */
    char before[VERSION_DIGITS + 1];
    char tried[VERSION_DIGITS + 1]; /* its files are complete, its check has failed so far */
    bool reload_owed;
    kv_cli_probe probe;
} deployment;

static kv_exit trouble(const deployment *at, const char *what)
{
    kv_say(at->cli->err, "kvctl: %s: %s\n", what, strerror(errno));
    return KV_EXIT_GENERAL;
}

static bool path_of(const deployment *at, const char *version, const char *file,
                    char out[PATH_BYTES])
{
    int len = snprintf(out, PATH_BYTES, "%s/%s%s%s", at->folder, version, *file ? "/" : "", file);

    return len > 0 && len < PATH_BYTES;
}

/* --- commands --- */

/* With what they may want to know in the environment; their output is ours. */
static bool run_command(const deployment *at, const char *command, const char *version)
{
    char name[PATH_BYTES], which[PATH_BYTES], where[PATH_BYTES];
    char *arguments[] = { (char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c",
                          (char *)(uintptr_t)command, NULL };
    char *environment[ENVIRONMENT_MAX];
    size_t count = 0;
    pid_t child;
    int status = -1;

    (void)snprintf(name, sizeof(name), "KVCTL_CERTIFICATE_NAME=%s", at->name);
    (void)snprintf(which, sizeof(which), "KVCTL_CERTIFICATE_VERSION=%s", version);
    (void)snprintf(where, sizeof(where), "KVCTL_CERTIFICATE_FOLDER=%s/%s", at->folder, version);
    environment[count++] = name;
    environment[count++] = which;
    environment[count++] = where;
    for (char **entry = environ; *entry && count < ENVIRONMENT_MAX - 1; entry++)
        environment[count++] = *entry;
    environment[count] = NULL;
    if (posix_spawn(&child, "/bin/sh", NULL, NULL, arguments, environment) != 0)
        return false;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* The leaf that was written; NULL when it is not there any more. */
static X509 *written(const deployment *at)
{
    char path[PATH_BYTES];
    FILE *file = path_of(at, at->current, "fullchain.pem", path) ? fopen(path, "re") : NULL;
    X509 *leaf = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;

    if (file)
        (void)fclose(file);
    return leaf;
}

static bool is_served(const deployment *at, int seconds)
{
    char why[KV_PROBE_WHY_BYTES] = "its file cannot be read";
    X509 *leaf;
    bool is;

    if (!at->probe.where)
        return true;
    leaf = written(at);
    is = leaf && kv_cli_probe_serves(&at->probe, leaf, seconds, why);
    X509_free(leaf);
    if (is)
        kv_say(at->cli->err, "kvctl: %s serves version %s\n", at->probe.where, at->current);
    else
        kv_say(at->cli->err, "kvctl: %s does not serve version %s: %s\n", at->probe.where,
               at->current, why);
    return is;
}

static void reload(deployment *at)
{
    const char *command = kv_cli_given(at->cli, "reload");

    at->reload_owed = command && !run_command(at, command, at->current);
    if (at->reload_owed)
        kv_say(at->cli->err, "kvctl: the reload command failed; it is tried again\n");
    else
        at->reload_owed = !is_served(at, at->probe.seconds);
}

/* --- files --- */

static kv_exit write_file(const deployment *at, const char *version, const char *file,
                          kv_slice bytes)
{
    char path[PATH_BYTES];

    if (!path_of(at, version, file, path))
        return kv_cli_usage(at->cli, "the path of the folder is too long");
    return kv_cli_replace(at->cli, path, bytes);
}

/* One rename; whoever opens files through `current` sees the old ones or the new ones. */
static kv_exit flip(deployment *at, const char *version)
{
    char link[PATH_BYTES], temporary[PATH_BYTES];

    if (!path_of(at, "current", "", link) || !path_of(at, ".current.new", "", temporary))
        return kv_cli_usage(at->cli, "the path of the folder is too long");
    (void)unlink(temporary);
    if (symlink(version, temporary) || rename(temporary, link))
        return trouble(at, link);
    memcpy(at->before, at->current, sizeof(at->before));
    (void)snprintf(at->current, sizeof(at->current), "%s", version);
    return KV_EXIT_OK;
}

static bool is_version(const char *name)
{
    return strlen(name) == VERSION_DIGITS && strspn(name, "0123456789abcdef") == VERSION_DIGITS;
}

/* Ours alone: names that are a version, with the two files in them. */
static void remove_older(const deployment *at)
{
    DIR *entries = opendir(at->folder);
    const struct dirent *entry;
    char path[PATH_BYTES];

    while (entries && (entry = readdir(entries)) != NULL) {
        if (!is_version(entry->d_name) || !strcmp(entry->d_name, at->current) ||
            !strcmp(entry->d_name, at->before) || !strcmp(entry->d_name, at->tried))
            continue;
        if (path_of(at, entry->d_name, "privkey.pem", path))
            (void)unlink(path);
        if (path_of(at, entry->d_name, "fullchain.pem", path))
            (void)unlink(path);
        if (path_of(at, entry->d_name, "", path))
            (void)rmdir(path);
    }
    if (entries)
        (void)closedir(entries);
}

/* --- the private key --- */

static EVP_PKEY *read_key(const Keyvault__V1__SecretBundle *secret)
{
    BIO *bytes = BIO_new_mem_buf(secret->value.data, (int)secret->value.len);
    EVP_PKEY *key = NULL;
    PKCS12 *pfx = NULL;

    if (bytes && !strcmp(secret->content_type, "application/x-pem-file"))
        key = PEM_read_bio_PrivateKey(bytes, NULL, NULL, (void *)(uintptr_t) "");
    else if (bytes)
        pfx = d2i_PKCS12_bio(bytes, NULL);
    if (pfx)
        (void)PKCS12_parse(pfx, "", &key, NULL, NULL);
    PKCS12_free(pfx);
    BIO_free(bytes);
    return key;
}

static bool belongs(EVP_PKEY *key, kv_slice chain)
{
    BIO *bytes = BIO_new_mem_buf(chain.data, (int)chain.len);
    X509 *leaf = bytes ? PEM_read_bio_X509(bytes, NULL, NULL, NULL) : NULL;
    bool same = leaf && X509_check_private_key(leaf, key) == 1;

    X509_free(leaf);
    BIO_free(bytes);
    return same;
}

/* Never on disk before it is known to be that of the certificate. */
static kv_exit write_key(const deployment *at, const char *version, EVP_PKEY *key, kv_slice chain)
{
    BIO *pem = BIO_new(BIO_s_secmem());
    char *data = NULL;
    kv_exit told = KV_EXIT_GENERAL;
    long len = 0;

    if (!key || !belongs(key, chain))
        kv_say(at->cli->err, "kvctl: the secret has no private key of this certificate\n");
    else if (pem && PEM_write_bio_PKCS8PrivateKey(pem, key, NULL, NULL, 0, NULL, NULL) == 1)
        len = BIO_get_mem_data(pem, &data);
    if (len > 0)
        told = write_file(at, version, "privkey.pem", kv_slice_of(data, (size_t)len));
    BIO_free(pem);
    return told;
}

static kv_exit fetch_key(const deployment *at, const char *version, kv_slice chain)
{
    Keyvault__V1__GetSecretRequest request = KEYVAULT__V1__GET_SECRET_REQUEST__INIT;
    Keyvault__V1__SecretBundle *secret = NULL;
    EVP_PKEY *key;
    kv_exit told;

    request.vault = (char *)(uintptr_t)at->vault;
    request.name = (char *)(uintptr_t)at->name;
    request.version = (char *)(uintptr_t)version;
    told = kv_cli_call(at->cli, "/keyvault.v1.SecretService/GetSecret", &request.base,
                       (ProtobufCMessage **)(void *)&secret);
    if (told != KV_EXIT_OK)
        return told;
    key = read_key(secret);
    keyvault_message_free(secret);
    told = write_key(at, version, key, chain);
    EVP_PKEY_free(key);
    return told;
}

/* --- a version --- */

static kv_exit write_files(deployment *at, const char *version, kv_slice chain)
{
    char path[PATH_BYTES];
    kv_exit told = KV_EXIT_OK;

    if (!strcmp(version, at->tried))
        return KV_EXIT_OK;
    if (!path_of(at, version, "", path))
        return kv_cli_usage(at->cli, "the path of the folder is too long");
    if (mkdir(path, 0700) && errno != EEXIST)
        return trouble(at, path);
    if (kv_cli_given(at->cli, "with-key"))
        told = fetch_key(at, version, chain);
    if (told == KV_EXIT_OK)
        told = write_file(at, version, "fullchain.pem", chain);
    if (told == KV_EXIT_OK)
        (void)snprintf(at->tried, sizeof(at->tried), "%s", version);
    return told;
}

static kv_exit put(deployment *at, const char *version, kv_slice chain)
{
    const char *check = kv_cli_given(at->cli, "check");
    kv_exit told = write_files(at, version, chain);

    if (told != KV_EXIT_OK)
        return told;
    if (check && !run_command(at, check, version)) {
        kv_say(at->cli->err, "kvctl: the check failed; version %s is not used\n", version);
        remove_older(at);
        return KV_EXIT_GENERAL;
    }
    told = flip(at, version);
    if (told != KV_EXIT_OK)
        return told;
    *at->tried = 0;
    kv_say(at->cli->err, "kvctl: %s has version %s\n", at->folder, version);
    remove_older(at);
    reload(at);
    return KV_EXIT_OK;
}

/* The newest version, if it is not there yet. */
static kv_exit deploy(deployment *at)
{
    Keyvault__V1__GetCertificateChainRequest request =
        KEYVAULT__V1__GET_CERTIFICATE_CHAIN_REQUEST__INIT;
    Keyvault__V1__CertificateChain *chain = NULL;
    kv_exit told;

    request.vault = (char *)(uintptr_t)at->vault;
    request.name = (char *)(uintptr_t)at->name;
    request.format = KEYVAULT__V1__CHAIN_FORMAT__CHAIN_FORMAT_PEM;
    told = kv_cli_call(at->cli, "/keyvault.v1.CertificateService/GetCertificateChain",
                       &request.base, (ProtobufCMessage **)(void *)&chain);
    if (told != KV_EXIT_OK)
        return told;
    if (!chain->id || !is_version(chain->id->version))
        told = KV_EXIT_GENERAL;
    else if (strcmp(chain->id->version, at->current) != 0)
        told = put(at, chain->id->version, kv_slice_of(chain->encoded.data, chain->encoded.len));
    keyvault_message_free(chain);
    return told;
}

/* What was owed before; a version that has just come has had its turn. */
static void make_up(deployment *at, const char *before)
{
    if (at->reload_owed && !strcmp(before, at->current))
        reload(at);
}

/* --- and the next --- */

/* A stream that began well and cannot go on from where it was: its events are gone, or the server
 * was restored from a backup. What there is now is looked at anyhow. */
static bool lost(const keyvault_error *err)
{
    return err->code == KV_CODE_FAILED_PRECONDITION || err->code == KV_CODE_INVALID_ARGUMENT;
}

/* KV_EXIT_OK: another watch is to be opened. */
static kv_exit follow(deployment *at, keyvault_watch *from)
{
    bool began = false;
    bool known = false; /* what there is has been looked at since something may have changed */

    for (;;) {
        Keyvault__V1__WatchEventsResponse *message = NULL;
        keyvault_error err = { 0 };
        char before[VERSION_DIGITS + 1];

        if (keyvault_watch_next(from, &message, &err)) {
            known = false;
            if (began && lost(&err))
                return KV_EXIT_OK;
            if (!kv_cli_watch_goes_on(at->cli, &err))
                return kv_cli_fail(at->cli, &err);
            continue;
        }
        began = true;
        known = known && !message->event;
        keyvault_message_free(message);
        /* What failed is tried again with the next heartbeat. */
        memcpy(before, at->current, sizeof(before));
        if (!known)
            known = deploy(at) == KV_EXIT_OK;
        make_up(at, before);
    }
}

static kv_exit watch(deployment *at)
{
    Keyvault__V1__WatchEventsRequest request = KEYVAULT__V1__WATCH_EVENTS_REQUEST__INIT;
    char *types[] = { (char *)(uintptr_t)NEW_VERSION };
    keyvault_watch *from = NULL;
    keyvault_error err = { 0 };
    kv_exit told = kv_cli_open(at->cli);

    request.vault = (char *)(uintptr_t)at->vault;
    request.collection = (char *)(uintptr_t) "certificates";
    request.name = (char *)(uintptr_t)at->name;
    request.types = types;
    request.n_types = 1;
    if (told != KV_EXIT_OK)
        return told;
    while (told == KV_EXIT_OK) {
        if (keyvault_watch_open(at->cli->handle, &request, &from, &err))
            return kv_cli_fail(at->cli, &err);
        told = follow(at, from);
        keyvault_watch_close(from);
    }
    return told;
}

/* A reload that an earlier run owed is made up for, where somebody looks. */
static kv_exit once(deployment *at)
{
    char before[VERSION_DIGITS + 1];
    kv_exit told;

    memcpy(before, at->current, sizeof(before));
    told = deploy(at);
    if (told == KV_EXIT_OK)
        make_up(at, before);
    return told == KV_EXIT_OK && at->reload_owed ? KV_EXIT_GENERAL : told;
}

kv_exit kv_cli_certificate_watch(kv_cli *cli)
{
    deployment at = { .cli = cli,
                      .vault = cli->config.vault,
                      .name = kv_cli_given(cli, "name"),
                      .folder = kv_cli_given(cli, "folder") };
    char path[PATH_BYTES];
    ssize_t len;
    kv_exit told;

    told = kv_cli_probe_read(cli, &at.probe);
    if (told != KV_EXIT_OK)
        return told;
    if (kv_cli_given(cli, "vault"))
        at.vault = kv_cli_given(cli, "vault");
    if (mkdir(at.folder, 0700) && errno != EEXIST)
        return trouble(&at, at.folder);
    if (!path_of(&at, "current", "", path))
        return kv_cli_usage(cli, "the path of the folder is too long");
    len = readlink(path, at.current, VERSION_DIGITS);
    at.current[len > 0 ? len : 0] = '\0';
    at.reload_owed = *at.current && !is_served(&at, 1);
    return kv_cli_given(cli, "once") ? once(&at) : watch(&at);
}
