/* test_tls_key.c - a TLS handshake with a key on the tls token, beside the other tokens. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "pkcs11/tls_key.h"
#include "server/base/text.h"
#include "tests/contract/pkcs11/bench.h"

typedef struct identity {
    kv_softhsm *hsm;
    kv_token_config configs[2]; /* keys, tls */
    const char *uri;
    kv_tokens *tokens;
    kv_token *tls;
    kv_slice spki;
    kv_arena arena;
} identity;

static void open_tokens(identity *it)
{
    kv_error err = { 0 };

    assert_kv_ok(kv_tokens_open(it->configs, KV_COUNT(it->configs), NULL, &it->tokens, &err));
    it->tls = kv_tokens_get(it->tokens, KV_DUTY_TLS);
}

static void bear(identity *it, kv_key_kind kind, kv_slice label)
{
    kv_key_spec spec = { .class = KV_CLASS_SIGN, .kind = kind, .label = label };
    kv_error err = { 0 };
    kv_key_born born;

    assert_true(kv_random_id(spec.id, sizeof(spec.id)));
    assert_kv_ok(kv_token_key_generate(it->tls, &spec, &it->arena, &born, &err));
    it->spki = born.spki;
}

static int set_up(void **state)
{
    identity *it = calloc(1, sizeof(*it));

    it->arena = KV_ARENA(1 << 20);
    it->hsm = kv_softhsm_new((const char *[]){ "keys", "tls", NULL });
    it->configs[0] = kv_softhsm_config(it->hsm, KV_DUTY_KEYS, "keys");
    it->configs[1] = kv_softhsm_config(it->hsm, KV_DUTY_TLS, "tls");
    it->uri = kv_softhsm_uri(it->hsm, "tls");
    open_tokens(it);
    bear(it, KV_KEY_P256, KV_SLICE("identity"));
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

static EVP_PKEY *public_of(kv_slice spki)
{
    const unsigned char *at = spki.data;
    EVP_PKEY *public = d2i_PUBKEY(NULL, &at, (long)spki.len);

    assert_non_null(public);
    return public;
}

static EVP_PKEY *pair_of(kv_tls_key *key, kv_slice spki)
{
    EVP_PKEY *public = public_of(spki), *pair = NULL;
    kv_error err = { 0 };

    assert_kv_ok(kv_tls_key_pair(key, public, &pair, &err));
    EVP_PKEY_free(public);
    return pair;
}

static bool signs(EVP_PKEY *pair, kv_slice spki, const EVP_MD *digest, int padding)
{
    EVP_PKEY *public = public_of(spki);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *how = NULL;
    unsigned char signature[512];
    size_t len = sizeof(signature);
    bool made;

    assert_true(EVP_DigestSignInit(ctx, &how, digest, NULL, pair) > 0);
    if (padding)
        assert_true(EVP_PKEY_CTX_set_rsa_padding(how, padding) > 0);
    made = EVP_DigestSign(ctx, signature, &len, (const unsigned char *)"abc", 3) > 0;
    assert_true(EVP_MD_CTX_reset(ctx));
    if (made) {
        assert_true(EVP_DigestVerifyInit(ctx, &how, digest, NULL, public) > 0);
        if (padding)
            assert_true(EVP_PKEY_CTX_set_rsa_padding(how, padding) > 0);
        assert_int_equal(EVP_DigestVerify(ctx, signature, len, (const unsigned char *)"abc", 3), 1);
    }
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(public);
    return made;
}

static void the_key_signs_beside_the_other_tokens(void **state)
{
    identity *it = *state;
    kv_tls_key *key = NULL;
    kv_error err = { 0 };
    EVP_PKEY *pair;

    assert_kv_ok(kv_tls_key_open(it->tls, it->uri, &key, &err));
    pair = pair_of(key, it->spki);
    kv_tls_key_close(key);
    /* A digest may be longer than the order of the curve. */
    assert_true(signs(pair, it->spki, EVP_sha256(), 0));
    assert_true(signs(pair, it->spki, EVP_sha384(), 0));
    assert_kv_ok(kv_token_probe(kv_tokens_get(it->tokens, KV_DUTY_KEYS), &err));
    EVP_PKEY_free(pair);
}

/* OpenSSL copies a key, to set something of it, say. */
static void a_copy_of_the_pair_has_the_key_for_itself(void **state)
{
    identity *it = *state;
    kv_tls_key *key = NULL;
    EVP_PKEY *pair, *other = EVP_PKEY_new();
    kv_error err = { 0 };
    EC_KEY *copy;

    assert_kv_ok(kv_tls_key_open(it->tls, it->uri, &key, &err));
    pair = pair_of(key, it->spki);
    copy = EC_KEY_dup(EVP_PKEY_get0_EC_KEY(pair));
    assert_non_null(copy);
    assert_int_equal(EVP_PKEY_assign_EC_KEY(other, copy), 1);
    EVP_PKEY_free(pair);
    kv_tls_key_close(key);
    assert_true(signs(other, it->spki, EVP_sha256(), 0));
    EVP_PKEY_free(other);
}

/* As an administrator of the HSM would, with a program: "--keypairgen", say. */
static void tool(const identity *it, const char *what, const char *option, const char *value,
                 const char *file)
{
    char *arguments[] = { "pkcs11-tool", "--module",      KV_SOFTHSM_MODULE,
                          "--login",     "--token-label", "tls",
                          "--label",     "identity",      "--pin",
                          NULL,          (char *)what,    (char *)option,
                          (char *)value, "--output-file", (char *)file,
                          NULL };
    posix_spawn_file_actions_t files;
    int status = -1;
    pid_t pid;

    arguments[9] = (char *)kv_secret_buf_slice(it->configs[1].pin).data;
    if (!file)
        arguments[13] = NULL;
    (void)posix_spawn_file_actions_init(&files);
    (void)posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    (void)posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    assert_int_equal(posix_spawnp(&pid, arguments[0], &files, NULL, arguments, environ), 0);
    (void)posix_spawn_file_actions_destroy(&files);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* One that may be used with every mechanism. */
static void an_rsa_key_signs_in_both_ways(void **state)
{
    identity *it = *state;
    char path[PATH_MAX];
    uint8_t der[1024];
    kv_slice spki = { der, 0 };
    kv_tls_key *key = NULL;
    kv_error err = { 0 };
    EVP_PKEY *pair;
    FILE *file;

    tool(it, "--delete-object", "--type", "privkey", NULL);
    tool(it, "--keypairgen", "--key-type", "rsa:2048", NULL);
    (void)snprintf(path, sizeof(path), "%s/rsa.der", kv_softhsm_dir(it->hsm));
    tool(it, "--read-object", "--type", "pubkey", path);
    file = fopen(path, "r");
    assert_non_null(file);
    spki.len = fread(der, 1, sizeof(der), file);
    (void)fclose(file);
    assert_kv_ok(kv_token_recover(it->tls, 1000, &err));
    assert_kv_ok(kv_tls_key_open(it->tls, it->uri, &key, &err));
    pair = pair_of(key, spki);
    assert_true(signs(pair, spki, EVP_sha256(), RSA_PKCS1_PADDING));
    assert_true(signs(pair, spki, EVP_sha512(), RSA_PKCS1_PSS_PADDING));
    EVP_PKEY_free(pair);
    kv_tls_key_close(key);
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
    EVP_PKEY *pair;

    assert_kv_ok(kv_tls_key_open(it->tls, it->uri, &key, &err));
    pair = pair_of(key, it->spki);
    certificate = self_signed(pair);
    assert_true(SSL_CTX_set_min_proto_version(server, TLS1_3_VERSION));
    assert_int_equal(SSL_CTX_use_certificate(server, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(server, pair), 1);
    assert_int_equal(SSL_CTX_check_private_key(server), 1);
    assert_true(X509_STORE_add_cert(SSL_CTX_get_cert_store(client), certificate));
    SSL_CTX_set_verify(client, SSL_VERIFY_PEER, NULL);
    for (int i = 0; i < 5; i++)
        assert_true(shake_hands(server, client));
    X509_free(certificate);
    EVP_PKEY_free(pair);
    kv_tls_key_close(key);
    SSL_CTX_free(server);
    SSL_CTX_free(client);
}

static void after_a_reinitialisation_the_key_still_signs(void **state)
{
    identity *it = *state;
    kv_token *keys = kv_tokens_get(it->tokens, KV_DUTY_KEYS);
    kv_tls_key *key = NULL;
    kv_error err = { 0 };
    EVP_PKEY *pair;

    assert_kv_ok(kv_tls_key_open(it->tls, it->uri, &key, &err));
    pair = pair_of(key, it->spki);
    for (int i = 0; i < 3; i++) {
        assert_kv_ok(kv_token_recover(keys, 1000, &err));
        assert_true(signs(pair, it->spki, EVP_sha256(), 0));
    }
    EVP_PKEY_free(pair);
    kv_tls_key_close(key);
}

static void one_key_must_fit(void **state)
{
    identity *it = *state;
    kv_tls_key *key = NULL;
    kv_error err = { 0 };
    EVP_PKEY *pair;

    assert_kv_fails(KV_BAD_REQUEST, kv_tls_key_open(it->tls, "pkcs11:token=other", &key, &err));
    assert_kv_fails(KV_BAD_REQUEST, kv_tls_key_open(it->tls, "pkcs11:token=keys", &key, &err));
    assert_kv_fails(KV_BAD_REQUEST, kv_tls_key_open(it->tls, "tls.pem", &key, &err));
    assert_kv_fails(KV_NOT_FOUND,
                    kv_tls_key_open(it->tls, "pkcs11:token=tls;object=nothing", &key, &err));
    bear(it, KV_KEY_P384, KV_SLICE("second"));
    assert_kv_fails(KV_NOT_FOUND, kv_tls_key_open(it->tls, it->uri, &key, &err));
    assert_string_equal(err.message, "more than one key on the TLS token fits the URI");
    assert_kv_ok(kv_tls_key_open(it->tls, "pkcs11:token=tls;object=second", &key, &err));
    pair = pair_of(key, it->spki);
    assert_true(signs(pair, it->spki, EVP_sha256(), 0));
    EVP_PKEY_free(pair);
    kv_tls_key_close(key);
}

/* A server opens its key again at every reload. */
static void no_number_of_openssl_is_used_up(void **state)
{
    identity *it = *state;
    kv_tls_key *key = NULL;
    kv_error err = { 0 };
    int rsa = 0, ec = 0;

    for (int i = 0; i < 4; i++) {
        int last_rsa = rsa, last_ec = ec;

        assert_kv_ok(kv_tls_key_open(it->tls, it->uri, &key, &err));
        kv_tls_key_close(key);
        rsa = RSA_get_ex_new_index(0, NULL, NULL, NULL, NULL);
        ec = EC_KEY_get_ex_new_index(0, NULL, NULL, NULL, NULL);
        assert_true(rsa > 0 && ec > 0);
        if (i > 0) {
            assert_int_equal(rsa, last_rsa + 1);
            assert_int_equal(ec, last_ec + 1);
        }
    }
}

static void both_halves_must_belong_together(void **state)
{
    identity *it = *state;
    EVP_PKEY *stranger = EVP_EC_gen("P-256"), *other = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    EVP_PKEY *rsa = EVP_RSA_gen(2048), *longer = EVP_EC_gen("P-384"), *pair = NULL;
    kv_tls_key *key = NULL;
    kv_error err = { 0 };

    assert_kv_ok(kv_tls_key_open(it->tls, it->uri, &key, &err));
    assert_kv_fails(KV_PRECONDITION, kv_tls_key_pair(key, stranger, &pair, &err));
    assert_kv_fails(KV_UNSUPPORTED, kv_tls_key_pair(key, other, &pair, &err));
    assert_true(kv_tls_key_pair(key, rsa, &pair, &err) != KV_OK);
    assert_kv_fails(KV_PRECONDITION, kv_tls_key_pair(key, longer, &pair, &err));
    assert_string_equal(err.message, "the server's certificate and key do not belong together");
    assert_null(pair);
    EVP_PKEY_free(longer);
    EVP_PKEY_free(stranger);
    EVP_PKEY_free(other);
    EVP_PKEY_free(rsa);
    kv_tls_key_close(key);
}

/* Another one of the same name takes its place; SoftHSM sees what others do when it is initialised
 * again. */
static void a_key_that_has_gone_is_told_and_another_found(void **state)
{
    identity *it = *state;
    kv_tls_key *key = NULL;
    const char *why = "";
    kv_error err = { 0 };
    EVP_PKEY *pair, *own;

    assert_kv_ok(kv_tls_key_open(it->tls, it->uri, &key, &err));
    pair = pair_of(key, it->spki);
    tool(it, "--delete-object", "--type", "privkey", NULL);
    assert_kv_ok(kv_token_recover(it->tls, 1000, &err));
    assert_false(signs(pair, it->spki, EVP_sha256(), 0));
    (void)ERR_peek_last_error_data(&why, NULL);
    assert_non_null(strstr(why, "no key on the TLS token"));
    ERR_clear_error();

    tool(it, "--keypairgen", "--key-type", "EC:prime256v1", NULL);
    assert_kv_ok(kv_token_recover(it->tls, 1000, &err));
    /* Of the same name, but what it signs is not for the certificate. */
    assert_false(signs(pair, it->spki, EVP_sha256(), 0));
    ERR_clear_error();
    own = public_of(it->spki);
    EVP_PKEY_free(pair);
    assert_kv_fails(KV_PRECONDITION, kv_tls_key_pair(key, own, &pair, &err));
    EVP_PKEY_free(own);
    kv_tls_key_close(key);
}

/* Of the token of others, or of this one: a signature fails then and is made again later. */
static void faults_refuse_a_signature_and_hold_up_nobody(void **state)
{
    static const char *const calls[] = { "C_OpenSession", "C_SignInit", "C_Sign" };
    static const CK_RV faults[] = { CKR_DEVICE_ERROR, CKR_SESSION_HANDLE_INVALID,
                                    CKR_KEY_HANDLE_INVALID, CKR_SESSION_COUNT };
    bench *b = *state;
    bench_key born = bench_bear(b, KV_CLASS_SIGN, KV_KEY_P256, false);
    kv_tls_key *key = NULL;
    kv_error err = { 0 };
    EVP_PKEY *pair;

    assert_kv_ok(kv_tls_key_open(b->token, b->configs[0].uri, &key, &err));
    pair = pair_of(key, born.born.spki);
    for (size_t i = 0; i < KV_COUNT(calls); i++)
        for (size_t j = 0; j < KV_COUNT(faults); j++) {
            kv_token_thread_end(b->token);
            kv_fake_fail(calls[i], faults[j], 100);
            assert_false(signs(pair, born.born.spki, EVP_sha256(), 0));
            ERR_clear_error();
            kv_fake_fail(calls[i], CKR_OK, 0);
            bench_wait(b->token, KV_TOKEN_UP);
            assert_true(signs(pair, born.born.spki, EVP_sha256(), 0));
        }
    EVP_PKEY_free(pair);
    kv_tls_key_close(key);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_key_signs_beside_the_other_tokens),
        TEST(a_copy_of_the_pair_has_the_key_for_itself),
        TEST(an_rsa_key_signs_in_both_ways),
        TEST(a_handshake_uses_the_key),
        TEST(after_a_reinitialisation_the_key_still_signs),
        TEST(one_key_must_fit),
        TEST(no_number_of_openssl_is_used_up),
        TEST(both_halves_must_belong_together),
        TEST(a_key_that_has_gone_is_told_and_another_found),
        cmocka_unit_test_setup_teardown(faults_refuse_a_signature_and_hold_up_nobody, bench_fake,
                                        bench_close),
    };

    /* An isolated module's process may be gone, as the server knows too. */
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("tls_key", tests, NULL, NULL);
}
