/* softhsm.c - throw-away SoftHSM tokens. */
#include "tests/support/softhsm.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pkcs11/token_create.h"

enum { PATH_BYTES = 512, MOST_PATHS = 96 };

struct kv_softhsm {
    char dir[PATH_BYTES];
    char conf[PATH_BYTES + 32];
    char tokens[PATH_BYTES + 32];
    char backup[PATH_BYTES + 32];
    char pin_file[PATH_BYTES + 32];
    kv_secret_buf pin;
    char *paths[MOST_PATHS]; /* what was lent to callers */
    size_t path_count;
};

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    perror(what);
    abort();
}

static void must_kv(kv_status status, const kv_error *err, const char *what)
{
    if (status == KV_OK)
        return;
    (void)fprintf(stderr, "%s: %s (%s)\n", what, err->message, err->detail);
    abort();
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    size_t len = strlen(text);

    must(fd >= 0 && write(fd, text, len) == (ssize_t)len && close(fd) == 0, path);
}

static void write_conf(const char *path, const char *tokens)
{
    char text[PATH_BYTES + 128];

    (void)snprintf(text, sizeof(text),
                   "directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n",
                   tokens);
    write_file(path, text);
}

static void create_token(const kv_softhsm *hsm, const char *label)
{
    KV_AUTO(kv_secret_buf) so_pin = KV_SECRET_NONE;
    kv_error err = { 0 };
    kv_token_create_spec spec = {
        .module = KV_SOFTHSM_MODULE, .label = label, .so_pin = &so_pin, .pin = &hsm->pin
    };

    must_kv(kv_secret_buf_copy(KV_SLICE(KV_SOFTHSM_SO_PIN), &so_pin, &err), &err, "SO PIN");
    must_kv(kv_token_create(&spec, &err), &err, "kv_token_create");
}

kv_softhsm *kv_softhsm_new(const char *const *labels)
{
    kv_softhsm *hsm = calloc(1, sizeof(*hsm));
    const char *base = getenv("TMPDIR");
    kv_error err = { 0 };

    must(hsm != NULL, "calloc");
    (void)snprintf(hsm->dir, sizeof(hsm->dir), "%s/kv-softhsm-XXXXXX", base ? base : "/tmp");
    must(mkdtemp(hsm->dir) != NULL, "mkdtemp");
    (void)snprintf(hsm->conf, sizeof(hsm->conf), "%s/softhsm2.conf", hsm->dir);
    (void)snprintf(hsm->tokens, sizeof(hsm->tokens), "%s/tokens", hsm->dir);
    (void)snprintf(hsm->backup, sizeof(hsm->backup), "%s/backup", hsm->dir);
    (void)snprintf(hsm->pin_file, sizeof(hsm->pin_file), "%s/pin", hsm->dir);
    must(mkdir(hsm->tokens, 0700) == 0, hsm->tokens);
    write_conf(hsm->conf, hsm->tokens);
    write_file(hsm->pin_file, KV_SOFTHSM_PIN "\n");
    must(setenv("SOFTHSM2_CONF", hsm->conf, 1) == 0, "setenv");
    must_kv(kv_secret_buf_copy(KV_SLICE(KV_SOFTHSM_PIN), &hsm->pin, &err), &err, "PIN");
    for (size_t i = 0; labels[i]; i++)
        create_token(hsm, labels[i]);
    return hsm;
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info;
    (void)type;
    (void)where;
    return remove(path);
}

void kv_softhsm_free(kv_softhsm *hsm)
{
    if (!hsm)
        return;
    (void)unsetenv("SOFTHSM2_CONF");
    (void)nftw(hsm->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    kv_secret_buf_cleanup(&hsm->pin);
    for (size_t i = 0; i < hsm->path_count; i++)
        free(hsm->paths[i]);
    free(hsm);
}

const char *kv_softhsm_dir(const kv_softhsm *hsm)
{
    return hsm->dir;
}

const char *kv_softhsm_conf(const kv_softhsm *hsm)
{
    return hsm->conf;
}

const char *kv_softhsm_tokens(const kv_softhsm *hsm)
{
    return hsm->tokens;
}

const char *kv_softhsm_pin_file(const kv_softhsm *hsm)
{
    return hsm->pin_file;
}

const kv_secret_buf *kv_softhsm_pin(const kv_softhsm *hsm)
{
    return &hsm->pin;
}

static const char *lend(kv_softhsm *hsm, const char *before, const char *label, const char *after)
{
    size_t len = strlen(before) + strlen(label) + strlen(after) + 1;
    char *text = malloc(len);

    must(text != NULL && hsm->path_count < MOST_PATHS, "too many configurations of one kv_softhsm");
    (void)snprintf(text, len, "%s%s%s", before, label, after);
    hsm->paths[hsm->path_count++] = text;
    return text;
}

const char *kv_softhsm_uri(kv_softhsm *hsm, const char *label)
{
    return lend(hsm, "pkcs11:token=", label, "");
}

kv_token_config kv_softhsm_config(kv_softhsm *hsm, kv_duty duty, const char *label)
{
    const char *before = getenv("KV_TEST_MODULE");
    char lock[PATH_BYTES + 8];

    (void)snprintf(lock, sizeof(lock), "%s/", hsm->dir);
    return (kv_token_config){
        .duty = duty,
        .module = before ? before : KV_SOFTHSM_MODULE,
        .uri = kv_softhsm_uri(hsm, label),
        .pin = &hsm->pin,
        .lock_path = lend(hsm, lock, label, ".lock"),
        .files_dir = hsm->tokens,
        .backup_dir = hsm->backup,
        .exclusive = true,
        .isolated = getenv("KV_ISOLATED"),
        .isolated_folder = lend(hsm, lock, "isolated", ""),
        .isolated_environment = "SOFTHSM2_CONF",
    };
}

static void join(char out[PATH_MAX], const char *folder, const char *name)
{
    must(snprintf(out, PATH_MAX, "%s/%s", folder, name) < PATH_MAX, "a path is too long");
}

static void copy_file(const char *from, const char *to)
{
    char bytes[8192];
    ssize_t got;
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    must(in >= 0 && out >= 0, from);
    while ((got = read(in, bytes, sizeof(bytes))) > 0)
        must(write(out, bytes, (size_t)got) == got, to);
    must(got == 0 && close(in) == 0 && close(out) == 0, to);
}

/* Copies the plain files of one token folder. */
static void copy_folder(const char *from, const char *to)
{
    char source[PATH_MAX], target[PATH_MAX];
    DIR *folder = opendir(from);
    struct dirent *entry;

    must(folder != NULL && mkdir(to, 0700) == 0, from);
    while ((entry = readdir(folder))) {
        if (entry->d_name[0] == '.')
            continue;
        join(source, from, entry->d_name);
        join(target, to, entry->d_name);
        copy_file(source, target);
    }
    (void)closedir(folder);
}

void kv_softhsm_copy(const kv_softhsm *hsm, const char *dir, char *conf)
{
    char tokens[PATH_BYTES], source[PATH_MAX], target[PATH_MAX];
    DIR *folder = opendir(hsm->tokens);
    struct dirent *entry;

    (void)snprintf(tokens, sizeof(tokens), "%s/tokens", dir);
    must(folder != NULL && mkdir(dir, 0700) == 0 && mkdir(tokens, 0700) == 0, dir);
    while ((entry = readdir(folder))) {
        if (entry->d_name[0] == '.')
            continue;
        join(source, hsm->tokens, entry->d_name);
        join(target, tokens, entry->d_name);
        copy_folder(source, target);
    }
    (void)closedir(folder);
    join(conf, dir, "softhsm2.conf");
    write_conf(conf, tokens);
}
