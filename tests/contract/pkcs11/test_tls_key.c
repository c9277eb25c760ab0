/* test_tls_key.c - a TLS handshake with a key on the tls token, beside the other tokens. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "pkcs11/tls_key.h"
#include "server/base/text.h"
#include "tests/contract/pkcs11/bench.h"

typedef struct identity {
    kv_softhsm *hsm;
    kv_token_config keys;
    kv_tls_key_config tls;
    kv_tokens *tokens;
    kv_slice spki;
    kv_arena arena;
} identity;

static void bear(identity *it, kv_key_kind kind, kv_slice label)
{
    kv_token_config config = kv_softhsm_config(it->hsm, KV_DUTY_TLS, "tls");
    kv_key_spec spec = {
        .class = KV_CLASS_SIGN, .kind = kind, .label = label, .keep_public = true
    };
    kv_tokens *tokens = NULL;
    kv_error err = { 0 };
    kv_key_born born;

    assert_true(kv_random_id(spec.id, sizeof(spec.id)));
    assert_kv_ok(kv_tokens_open(&config, 1, NULL, &tokens, &err));
    assert_kv_ok(
        kv_token_key_generate(kv_tokens_get(tokens, KV_DUTY_TLS), &spec, &it->arena, &born, &err));
    it->spki = born.spki;
    kv_tokens_close(tokens);
}

static int set_up(void **state)
{
    identity *it = calloc(1, sizeof(*it));
    kv_error err = { 0 };

    it->arena = KV_ARENA(1 << 20);
    it->hsm = kv_softhsm_new((const char *[]){ "keys", "tls", NULL });
    it->keys = kv_softhsm_config(it->hsm, KV_DUTY_KEYS, "keys");
    it->tls = (kv_tls_key_config){ .module = KV_SOFTHSM_MODULE,
                                   .uri = kv_softhsm_uri(it->hsm, "tls"),
                                   .pin = kv_softhsm_pin(it->hsm),
                                   .files_dir = it->keys.files_dir,
                                   .backup_dir = it->keys.backup_dir };
    bear(it, KV_KEY_P256, KV_SLICE("identity"));
    assert_kv_ok(kv_tokens_open(&it->keys, 1, NULL, &it->tokens, &err));
    *state = it;
    return 0;
}

static int tear_down(void **state)
{
    identity *it = *state;

    kv_tokens_close(it->tokens);
    kv_softhsm_free(it->hsm);
    kv_arena_cleanup(&it->arena);
    free(it);
    return 0;
}

static void signs_for_its_public_key(kv_tls_key *key, kv_slice spki)
{
    const unsigned char *at = spki.data;
    EVP_PKEY *public = d2i_PUBKEY(NULL, &at, (long)spki.len);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char signature[512];
    size_t len = sizeof(signature);
    kv_error err = { 0 };

    assert_kv_ok(kv_tls_key_enter(key, &err));
    assert_true(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, kv_tls_key_get(key)) > 0);
    assert_true(EVP_DigestSign(ctx, signature, &len, (const unsigned char *)"abc", 3) > 0);
    kv_tls_key_leave(key);
    assert_true(EVP_MD_CTX_reset(ctx));
    assert_true(EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, public) > 0);
    assert_int_equal(EVP_DigestVerify(ctx, signature, len, (const unsigned char *)"abc", 3), 1);
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(public);
}

static void close_all(identity *it, kv_tls_key *key)
{
    kv_tokens_close(it->tokens);
    it->tokens = NULL;
    kv_tls_key_close(key);
}

static void the_key_signs_beside_the_other_tokens(void **state)
{
    identity *it = *state;
    kv_tls_key *key = NULL;
    kv_error err = { 0 };

    assert_kv_ok(kv_tls_key_open(&it->tls, it->tokens, &key, &err));
    assert_false(kv_tls_key_stale(key));
    signs_for_its_public_key(key, it->spki);
    assert_kv_ok(kv_token_probe(kv_tokens_get(it->tokens, KV_DUTY_KEYS), &err));
    close_all(it, key);
}

static X509 *self_signed(EVP_PKEY *key)
{
    X509 *certificate = X509_new();
    X509_NAME *name = X509_get_subject_name(certificate);

    assert_true(X509_set_version(certificate, X509_VERSION_3));
    assert_true(ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1));
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(certificate), 0));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(certificate), 3600));
    assert_true(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                           (const unsigned char *)"localhost", -1, -1, 0));
    assert_true(X509_set_issuer_name(certificate, name));
    assert_true(X509_set_pubkey(certificate, key));
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    return certificate;
}

/* Both ends in this thread, over memory. */
static bool shake_hands(SSL_CTX *server_ctx, SSL_CTX *client_ctx)
{
    SSL *server = SSL_new(server_ctx), *client = SSL_new(client_ctx);
    BIO *one = NULL, *other = NULL;
    int a = 0, b = 0;

    assert_true(BIO_new_bio_pair(&one, 0, &other, 0));
    SSL_set_bio(server, one, one);
    SSL_set_bio(client, other, other);
    SSL_set_accept_state(server);
    SSL_set_connect_state(client);
    for (int i = 0; i < 20 && (a != 1 || b != 1); i++) {
        a = SSL_do_handshake(client);
        b = SSL_do_handshake(server);
    }
    SSL_free(server);
    SSL_free(client);
    return a == 1 && b == 1;
}

static void a_handshake_uses_the_key(void **state)
{
    identity *it = *state;
    kv_tls_key *key = NULL;
    SSL_CTX *server = SSL_CTX_new(TLS_server_method()), *client = SSL_CTX_new(TLS_client_method());
    X509 *certificate;
    kv_error err = { 0 };

    assert_kv_ok(kv_tls_key_open(&it->tls, it->tokens, &key, &err));
    certificate = self_signed(kv_tls_key_get(key));
    assert_true(SSL_CTX_set_min_proto_version(server, TLS1_3_VERSION));
    assert_int_equal(SSL_CTX_use_certificate(server, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(server, kv_tls_key_get(key)), 1);
    assert_int_equal(SSL_CTX_check_private_key(server), 1);
    assert_true(X509_STORE_add_cert(SSL_CTX_get_cert_store(client), certificate));
    SSL_CTX_set_verify(client, SSL_VERIFY_PEER, NULL);
    assert_kv_ok(kv_tls_key_enter(key, &err));
    for (int i = 0; i < 5; i++)
        assert_true(shake_hands(server, client));
    kv_tls_key_leave(key);
    X509_free(certificate);
    SSL_CTX_free(server);
    SSL_CTX_free(client);
    close_all(it, key);
}

static void after_a_reinitialisation_the_key_is_loaded_again(void **state)
{
    identity *it = *state;
    kv_token *keys = kv_tokens_get(it->tokens, KV_DUTY_KEYS);
    kv_tls_key *key = NULL;
    kv_error err = { 0 };

    assert_kv_ok(kv_tls_key_open(&it->tls, it->tokens, &key, &err));
    for (int i = 0; i < 3; i++) {
        assert_kv_ok(kv_token_recover(keys, 1000, &err));
        assert_true(kv_tls_key_stale(key));
        assert_kv_fails(KV_UNAVAILABLE, kv_tls_key_enter(key, &err));
        assert_kv_ok(kv_tls_key_reload(key, &err));
        assert_false(kv_tls_key_stale(key));
        signs_for_its_public_key(key, it->spki);
    }
    close_all(it, key);
}

static void nobody_reinitialises_under_a_handshake(void **state)
{
    identity *it = *state;
    kv_token *keys = kv_tokens_get(it->tokens, KV_DUTY_KEYS);
    kv_tls_key *key = NULL;
    kv_error err = { 0 };

    assert_kv_ok(kv_tls_key_open(&it->tls, it->tokens, &key, &err));
    assert_kv_ok(kv_tls_key_enter(key, &err));
    assert_kv_fails(KV_TIMEOUT, kv_token_recover(keys, 50, &err));
    kv_tls_key_leave(key);
    close_all(it, key);
}

static void one_key_must_fit(void **state)
{
    identity *it = *state;
    kv_tls_key *key = NULL;
    kv_error err = { 0 };

    kv_tokens_close(it->tokens);
    it->tokens = NULL;
    bear(it, KV_KEY_RSA_2048, KV_SLICE("second"));
    assert_kv_ok(kv_tokens_open(&it->keys, 1, NULL, &it->tokens, &err));
    assert_kv_fails(KV_NOT_FOUND, kv_tls_key_open(&it->tls, it->tokens, &key, &err));
    it->tls.uri = "pkcs11:token=tls;object=nothing";
    assert_kv_fails(KV_NOT_FOUND, kv_tls_key_open(&it->tls, it->tokens, &key, &err));
    it->tls.uri = "pkcs11:token=other";
    assert_kv_fails(KV_BAD_REQUEST, kv_tls_key_open(&it->tls, it->tokens, &key, &err));
    it->tls.uri = "pkcs11:token=tls;object=second";
    assert_kv_ok(kv_tls_key_open(&it->tls, it->tokens, &key, &err));
    signs_for_its_public_key(key, it->spki);
    close_all(it, key);
}

static unsigned descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    unsigned count = 0;

    assert_non_null(folder);
    while (readdir(folder))
        count++;
    (void)closedir(folder);
    return count;
}

/* As an administrator of the HSM would, with a program: "--keypairgen", say. */
static void tool(const identity *it, const char *what, const char *option, const char *value)
{
    char *arguments[] = {
        "pkcs11-tool", "--module", KV_SOFTHSM_MODULE, "--login",      "--token-label", "tls",
        "--label",     "identity", (char *)what,      (char *)option, (char *)value,   "--pin",
        NULL,          NULL
    };
    posix_spawn_file_actions_t files;
    int status = -1;
    pid_t pid;

    arguments[KV_COUNT(arguments) - 2] = (char *)kv_secret_buf_slice(it->tls.pin).data;
    (void)posix_spawn_file_actions_init(&files);
    (void)posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    (void)posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    assert_int_equal(posix_spawnp(&pid, arguments[0], &files, NULL, arguments, environ), 0);
    (void)posix_spawn_file_actions_destroy(&files);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* A second between two of them, for as long as it takes to bring the key back. */
static void tries_in_vain_pile_nothing_up(void **state)
{
    identity *it = *state;
    kv_tls_key *key = NULL;
    unsigned char *der = NULL;
    kv_error err = { 0 };
    unsigned open;

    assert_kv_ok(kv_tls_key_open(&it->tls, it->tokens, &key, &err));
    tool(it, "--delete-object", "--type", "privkey");
    assert_kv_fails(KV_NOT_FOUND, kv_tls_key_reload(key, &err));
    open = descriptors();
    for (int i = 0; i < 6; i++)
        assert_kv_fails(KV_NOT_FOUND, kv_tls_key_reload(key, &err));
    assert_int_equal(descriptors(), open);

    tool(it, "--keypairgen", "--key-type", "EC:prime256v1");
    assert_kv_ok(kv_tls_key_reload(key, &err));
    assert_int_equal(descriptors(), open);
    for (int i = 0; i < 2; i++) {
        int len = i2d_PUBKEY(kv_tls_key_get(key), &der);

        assert_true(len > 0);
        signs_for_its_public_key(key, kv_slice_of(der, (size_t)len));
        OPENSSL_free(der);
        der = NULL;
        assert_kv_ok(kv_token_recover(kv_tokens_get(it->tokens, KV_DUTY_KEYS), 1000, &err));
        assert_kv_ok(kv_tls_key_reload(key, &err));
    }
    assert_true(descriptors() <= open);
    close_all(it, key);
}

static void a_wrong_pin_is_told(void **state)
{
    KV_AUTO(kv_secret_buf) wrong = KV_SECRET_NONE;
    identity *it = *state;
    kv_tls_key *key = NULL;
    kv_error err = { 0 };

    assert_kv_ok(kv_secret_buf_copy(KV_SLICE("0000-wrong"), &wrong, &err));
    it->tls.pin = &wrong;
    assert_kv_fails(KV_PRECONDITION, kv_tls_key_open(&it->tls, it->tokens, &key, &err));
    assert_kv_ok(kv_token_probe(kv_tokens_get(it->tokens, KV_DUTY_KEYS), &err));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_key_signs_beside_the_other_tokens),
        TEST(a_handshake_uses_the_key),
        TEST(after_a_reinitialisation_the_key_is_loaded_again),
        TEST(nobody_reinitialises_under_a_handshake),
        TEST(one_key_must_fit),
        TEST(tries_in_vain_pile_nothing_up),
        TEST(a_wrong_pin_is_told),
    };

    /* An isolated module's process may be gone, as the server knows too. */
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("tls_key", tests, NULL, NULL);
}
