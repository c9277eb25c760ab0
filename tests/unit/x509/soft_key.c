/* soft_key.c - software keys, policies, programs and files for the tests of certificates. */
#include "tests/unit/x509/soft_key.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "tests/support/kv_cmocka.h"

static kv_slice keep(kv_arena *arena, unsigned char *der, int len)
{
    kv_error err = { 0 };
    kv_slice out;

    assert_true(len > 0);
    assert_kv_ok(kv_arena_copy(arena, kv_slice_of(der, (size_t)len), &out, &err));
    OPENSSL_free(der);
    return out;
}

static bool sign_digest(soft_key *key, const kv_mechanism *alg, kv_slice digest, uint8_t *out,
                        size_t *len)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key->pair, NULL);
    EVP_MD *md = EVP_MD_fetch(NULL, alg->digest_name, NULL);
    bool good = EVP_PKEY_sign_init(context) == 1 &&
                (alg->family != KV_FAMILY_RSA ||
                 EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1) &&
                EVP_PKEY_CTX_set_signature_md(context, md) == 1 &&
                EVP_PKEY_sign(context, out, len, digest.data, digest.len) == 1;

    EVP_MD_free(md);
    EVP_PKEY_CTX_free(context);
    return good;
}

static kv_status sign(void *context, const kv_mechanism *alg, kv_slice digest, kv_arena *arena,
                      kv_slice *signature, kv_error *err)
{
    soft_key *key = context;
    uint8_t changed[KV_DIGEST_MAX], bytes[1024], raw[2 * KV_EC_COORDINATE_MAX];
    size_t len = sizeof(bytes), raw_len = sizeof(raw);

    key->signatures++;
    key->last_alg = alg->name;
    key->last_digest_len = digest.len;
    if (key->refuses)
        return kv_fail(err, KV_UNAVAILABLE, "the token is out of reach");
    memcpy(changed, digest.data, digest.len);
    changed[0] ^= key->lies;
    if (!sign_digest(key, alg, kv_slice_of(changed, digest.len), bytes, &len))
        return kv_fail(err, KV_INTERNAL, "no signature");
    if (alg->family == KV_FAMILY_RSA)
        return kv_arena_copy(arena, kv_slice_of(bytes, len), signature, err);
    KV_TRY(kv_ecdsa_from_der(kv_slice_of(bytes, len), alg->coordinate_len, raw, &raw_len, err));
    return kv_arena_copy(arena, kv_slice_of(raw, raw_len), signature, err);
}

static void finish(soft_key *key, kv_arena *arena)
{
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key->pair);
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(key->pair, &der);

    key->spki = keep(arena, der, len);
    der = NULL;
    len = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
    key->pkcs8 = keep(arena, der, len);
    PKCS8_PRIV_KEY_INFO_free(info);
    key->signer = (kv_x509_signer){ .sign = sign, .context = key };
}

void soft_key_make_rsa(soft_key *key, unsigned bits, kv_arena *arena)
{
    *key = (soft_key){ .pair = EVP_RSA_gen(bits) };
    assert_non_null(key->pair);
    finish(key, arena);
}

void soft_key_make(soft_key *key, kv_key_kind kind, kv_arena *arena)
{
    const kv_key_kind_row *row = kv_key_kind_of(kind);

    if (row->family == KV_FAMILY_RSA) {
        soft_key_make_rsa(key, row->bits, arena);
        return;
    }
    *key = (soft_key){ .pair = EVP_EC_gen(row->name) };
    assert_non_null(key->pair);
    finish(key, arena);
}

void soft_key_cleanup(soft_key *key)
{
    EVP_PKEY_free(key->pair);
    *key = (soft_key){ 0 };
}

kv_x509_policy soft_policy(kv_key_kind kind)
{
    static const kv_slice names[] = { KV_SLICE("www.example.com") };
    const kv_key_kind_row *row = kv_key_kind_of(kind);
    bool rsa = row->family == KV_FAMILY_RSA;
    kv_x509_policy policy = {
        .key_props = { .kty = rsa ? KV_SLICE("RSA") : KV_SLICE("EC"),
                       .key_size = row->bits,
                       .crv = rsa ? KV_SLICE_NONE : kv_slice_text(row->name) },
        .x509_props = { .subject = KV_SLICE("CN=www.example.com"),
                        .sans = { .dns_names = { .items = names, .count = 1 } },
                        .validity_months = 2 },
        .issuer = { .name = KV_SLICE("Self") },
    };

    kv_x509_policy_defaults(&policy);
    return policy;
}

kv_x509_built soft_certificate(soft_key *key, const kv_x509_policy *policy, int64_t now_ms,
                               kv_arena *arena)
{
    kv_x509_build in = { .policy = policy,
                         .spki = key->spki,
                         .signer = key->signer,
                         .now_ms = now_ms,
                         .scope = KV_X509_LINT_PRIVATE };
    kv_error err = { 0 };
    kv_x509_built built = { 0 };

    assert_kv_ok(kv_x509_certificate_build(arena, &in, &built, &err));
    return built;
}

static size_t read_all(int fd, char *out, size_t room)
{
    size_t len = 0;
    char sink[512];
    ssize_t got;

    do {
        bool full = len + 1 >= room;

        got = full ? read(fd, sink, sizeof(sink)) : read(fd, out + len, room - 1 - len);
        if (got > 0 && !full)
            len += (size_t)got;
    } while (got > 0 || (got < 0 && errno == EINTR));
    return len;
}

int soft_run(const char *const *argv, char *out, size_t room)
{
    posix_spawn_file_actions_t actions;
    int ends[2], status = 0, failed;
    pid_t child;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    assert_int_equal(posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, ends[1], 1), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, ends[1], 2), 0);
    failed = posix_spawnp(&child, argv[0], &actions, NULL, (char *const *)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    assert_int_equal(failed, 0);
    out[read_all(ends[0], out, room)] = 0;
    close(ends[0]);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void soft_file(const char *name, kv_slice content, char *path)
{
    const char *base = getenv("TMPDIR");
    char folder[128];
    int fd;

    (void)snprintf(folder, sizeof(folder), "%s/kv-x509-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, 256, "%s/%s", folder, name);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content.data, content.len), (ssize_t)content.len);
    close(fd);
}

void soft_file_remove(const char *path)
{
    char folder[256];
    char *slash;

    assert_int_equal(unlink(path), 0);
    (void)snprintf(folder, sizeof(folder), "%s", path);
    slash = strrchr(folder, '/');
    assert_non_null(slash);
    *slash = 0;
    assert_int_equal(rmdir(folder), 0);
}
