/* test_tokens.c - opening, owning and losing tokens. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pkcs11/public_key.h"
#include "pkcs11/token.h"
#include "pkcs11/token_cipher.h"
#include "pkcs11/token_sign.h"
#include "tests/contract/pkcs11/bench.h"

static int new_softhsm(void **state)
{
    *state = bench_new(true);
    return 0;
}

static int new_fake(void **state)
{
    *state = bench_new(false);
    return 0;
}

static int free_bench(void **state)
{
    bench_free(*state);
    return 0;
}

static void fails_to_open(bench *b, kv_status why, const char *field)
{
    kv_tokens *tokens = NULL;
    kv_error err = { 0 };

    assert_kv_fails(why, kv_tokens_open(b->configs, 2, NULL, &tokens, &err));
    assert_string_equal(err.field, field);
    assert_null(tokens);
    if (!b->hsm)
        assert_int_equal(kv_fake_seen().sessions_now, 0);
}

static void there_is_one_login_a_token(void **state)
{
    bench *b = *state;
    bench_key key;

    bench_open(b);
    key = bench_bear(b, KV_CLASS_SIGN, KV_KEY_P256, false);
    bench_use(b, &key);
    assert_int_equal(kv_fake_seen().logins, 2);
    assert_int_equal(kv_fake_seen().initialised, 1);
    bench_shut(b);
    assert_int_equal(kv_fake_seen().finalised, 1);
    assert_int_equal(kv_fake_seen().sessions_now, 0);
}

static void two_duties_may_share_a_token(void **state)
{
    bench *b = *state;

    b->configs[1].uri = b->configs[0].uri;
    bench_open(b);
    assert_ptr_equal(kv_tokens_get(b->tokens, KV_DUTY_KEYS),
                     kv_tokens_get(b->tokens, KV_DUTY_SYSTEM));
    assert_null(kv_tokens_get(b->tokens, KV_DUTY_CA));
    assert_string_equal(kv_token_label(b->token), "keys");
    assert_int_equal(strlen(kv_token_serial(b->token)), 16);
}

static void a_uri_must_name_exactly_one_token(void **state)
{
    static const char *const bad[] = {
        "pkcs11:token=nobody",
        "pkcs11:manufacturer=fake",
        "pkcs11:slot-id=0;token=system",
        "pkcs11:token=system?pin-value=1234",
        "pkcs11:token=system?pin-source=/etc/pin",
        "http://token",
        "pkcs11:token=%zz",
        "pkcs11:",
        "token=system",
    };
    bench *b = *state;

    for (size_t i = 0; i < KV_COUNT(bad); i++) {
        b->configs[1].uri = bad[i];
        fails_to_open(b, KV_BAD_REQUEST, "uri");
    }
}

static void an_ambiguous_label_is_refused_and_a_serial_helps(void **state)
{
    bench *b = *state;

    b->configs[0].functions = b->configs[1].functions =
        kv_fake_new((const char *[]){ "keys", "system", "system", NULL });
    fails_to_open(b, KV_BAD_REQUEST, "uri");
    b->configs[1].uri = "pkcs11:token=system;serial=fake000000000002";
    bench_open(b);
    assert_string_equal(kv_token_serial(kv_tokens_get(b->tokens, KV_DUTY_SYSTEM)),
                        "fake000000000002");
}

static void a_wrong_pin_is_tried_once(void **state)
{
    KV_AUTO(kv_secret_buf) wrong = KV_SECRET_NONE;
    bench *b = *state;
    kv_error err = { 0 };

    assert_kv_ok(kv_secret_buf_copy(KV_SLICE("0000-wrong"), &wrong, &err));
    b->configs[0].pin = &wrong;
    fails_to_open(b, KV_PRECONDITION, "");
    if (!b->hsm)
        assert_int_equal(kv_fake_seen().logins, 1);
}

static void a_pin_that_stops_working_is_not_tried_again(void **state)
{
    bench *b = *state;
    kv_error err = { 0 };

    bench_open(b);
    kv_fake_fail("C_Login", CKR_PIN_INCORRECT, 1);
    assert_kv_fails(KV_PRECONDITION, kv_token_recover(b->token, 20000, &err));
    assert_int_equal(kv_token_state_of(b->token), KV_TOKEN_DOWN);
    (void)usleep(300000);
    /* Two at opening, two when recovering; the supervisor has not tried it since. */
    assert_int_equal(kv_fake_seen().logins, 4);
    assert_int_equal(kv_token_state_of(kv_tokens_get(b->tokens, KV_DUTY_SYSTEM)), KV_TOKEN_UP);
    assert_kv_fails(KV_UNAVAILABLE, kv_token_probe(b->token, &err));
    assert_int_equal(err.reason, KV_REASON_TOKEN_UNAVAILABLE);
}

static void what_is_no_module_is_refused(void **state)
{
    bench *b = *state;

    b->configs[0].functions = NULL;
    b->configs[0].module = "/nonexistent/module.so";
    fails_to_open(b, KV_BAD_REQUEST, "module");
}

static void a_second_process_is_refused_by_the_lock(void **state)
{
    bench *b = *state;
    int answer[2], held = -1;
    char byte = '?';
    pid_t child;

    assert_int_equal(pipe(answer), 0);
    /* Forked before the module is initialised here: the child is the one that opens it. */
    child = fork();
    if (child == 0) {
        kv_error err = { 0 };
        kv_tokens *tokens = NULL;
        char go;

        if (read(answer[0], &go, 1) != 1)
            _exit(2);
        _exit(kv_tokens_open(b->configs, 2, NULL, &tokens, &err) == KV_PRECONDITION ? 0 : 1);
    }
    bench_open(b);
    assert_int_equal(write(answer[1], &byte, 1), 1);
    assert_int_equal(waitpid(child, &held, 0), child);
    assert_true(WIFEXITED(held) && WEXITSTATUS(held) == 0);
    (void)close(answer[0]);
    (void)close(answer[1]);
}

static void mechanisms_that_are_missing_are_named(void **state)
{
    bench *b = *state;
    kv_key_spec spec = { .class = KV_CLASS_MAC, .kind = KV_KEY_HMAC_256 };
    kv_key_born born;
    bench_key key;
    kv_error err = { 0 };

    kv_fake_without(CKM_GENERIC_SECRET_KEY_GEN);
    bench_open(b);
    assert_kv_fails(KV_UNSUPPORTED, kv_token_key_generate(b->token, &spec, &b->arena, &born, &err));
    assert_int_equal(err.reason, KV_REASON_NOT_SUPPORTED_BY_TOKEN);
    assert_string_equal(err.message, "CKM_GENERIC_SECRET_KEY_GEN is not supported by token 'keys'");
    assert_true(kv_token_supports(b->token, CKM_ECDSA));
    assert_false(kv_token_supports(b->token, CKM_GENERIC_SECRET_KEY_GEN));
    key = bench_bear(b, KV_CLASS_SIGN, KV_KEY_P256, false);
    bench_use(b, &key);
}

/* The token.object files below the folder of tokens. */
static unsigned for_each_token_object(bench *b, void (*act)(const char *path))
{
    DIR *dir = opendir(kv_softhsm_tokens(b->hsm));
    struct dirent *entry;
    char path[PATH_MAX];
    unsigned count = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s/token.object", kv_softhsm_tokens(b->hsm),
                       entry->d_name);
        act(path);
        count++;
    }
    (void)closedir(dir);
    return count;
}

static void empty_it(const char *path)
{
    assert_int_equal(truncate(path, 0), 0);
}

static void an_emptied_token_object_is_restored_at_start(void **state)
{
    bench *b = *state;
    struct stat info;
    bench_key key;

    bench_open(b);
    key = bench_bear(b, KV_CLASS_SIGN, KV_KEY_P256, false);
    bench_shut(b);
    assert_int_equal(stat(b->configs[0].backup_dir, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    assert_int_equal(for_each_token_object(b, empty_it), 2);
    bench_open(b);
    bench_use(b, &key);
}

static void a_damaged_copy_is_not_restored(void **state)
{
    bench *b = *state;
    DIR *dir;
    struct dirent *entry;
    char path[PATH_MAX];
    int fd;

    bench_open(b);
    bench_shut(b);
    dir = opendir(b->configs[0].backup_dir);
    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", b->configs[0].backup_dir, entry->d_name);
        fd = open(path, O_WRONLY);
        assert_int_equal(pwrite(fd, "x", 1, 40), 1);
        (void)close(fd);
    }
    (void)closedir(dir);
    (void)for_each_token_object(b, empty_it);
    fails_to_open(b, KV_BAD_REQUEST, "uri");
}

static void a_folder_moved_away_and_back_heals(void **state)
{
    bench *b = *state;
    uint8_t digest[32] = { 1 }, signature[KV_SIGNATURE_MAX];
    size_t len = sizeof(signature);
    char away[PATH_MAX];
    kv_error err = { 0 };
    bench_key key;

    bench_open(b);
    key = bench_bear(b, KV_CLASS_SIGN, KV_KEY_P256, false);
    bench_use(b, &key);
    (void)snprintf(away, sizeof(away), "%s.away", kv_softhsm_tokens(b->hsm));
    assert_int_equal(rename(kv_softhsm_tokens(b->hsm), away), 0);
    bench_wait(b->token, KV_TOKEN_DOWN);
    assert_kv_fails(KV_UNAVAILABLE,
                    kv_token_sign(b->token, &key.ref, kv_mechanism_find(KV_SLICE("ES256")),
                                  kv_slice_of(digest, sizeof(digest)), signature, &len, &err));
    assert_int_equal(err.reason, KV_REASON_TOKEN_UNAVAILABLE);
    assert_true(err.retry_ms > 0);
    assert_kv_fails(KV_UNAVAILABLE, kv_token_key_destroy(b->token, key.spec.id, &err));
    assert_int_equal(rename(away, kv_softhsm_tokens(b->hsm)), 0);
    bench_wait(b->token, KV_TOKEN_UP);
    bench_use(b, &key);
}

/* SoftHSM's folder of a token ends with most of its serial number. */
static void find_folder(bench *b, const kv_token *token, char out[PATH_MAX])
{
    DIR *dir = opendir(kv_softhsm_tokens(b->hsm));
    const char *end = kv_token_serial(token) + 4;
    struct dirent *entry;

    assert_non_null(dir);
    out[0] = '\0';
    while ((entry = readdir(dir)))
        if (strlen(entry->d_name) > strlen(end) &&
            !strcmp(entry->d_name + strlen(entry->d_name) - strlen(end), end))
            (void)snprintf(out, PATH_MAX, "%s/%s", kv_softhsm_tokens(b->hsm), entry->d_name);
    (void)closedir(dir);
    assert_true(out[0]);
}

/* Nothing can be done while its files are away, so the module is left alone; then it is quick. */
static void a_token_that_is_away_does_not_disturb_the_others(void **state)
{
    enum { AWAY_US = 1500000 };
    bench *b = *state;
    char home[PATH_MAX], away[PATH_MAX];
    uint64_t generation;
    kv_error err = { 0 };
    kv_token *other;
    bench_key key;

    bench_open(b);
    other = kv_tokens_get(b->tokens, KV_DUTY_SYSTEM);
    key = bench_bear(b, KV_CLASS_SIGN, KV_KEY_P256, false);
    generation = atomic_load(&other->module->generation);
    find_folder(b, b->token, home);
    (void)snprintf(away, sizeof(away), "%s/away", kv_softhsm_dir(b->hsm));
    assert_int_equal(rename(home, away), 0);
    bench_wait(b->token, KV_TOKEN_DOWN);
    (void)usleep(AWAY_US);
    assert_int_equal(kv_token_state_of(b->token), KV_TOKEN_DOWN);
    assert_int_equal(atomic_load(&other->module->generation), generation);
    assert_int_equal(kv_token_state_of(other), KV_TOKEN_UP);
    assert_kv_ok(kv_token_probe(other, &err));
    assert_int_equal(rename(away, home), 0);
    bench_wait(b->token, KV_TOKEN_UP);
    bench_use(b, &key);
    assert_int_equal(atomic_load(&other->module->generation), generation + 1);
}

enum { THREADS = 6, ROUNDS = 200 };

typedef struct worker {
    bench *b;
    const bench_key *key;
    unsigned good;
} worker;

static void *sign_often(void *context)
{
    worker *w = context;
    const kv_mechanism *alg = kv_mechanism_find(KV_SLICE("ES256"));
    uint8_t digest[32] = { 7 }, signature[KV_SIGNATURE_MAX];
    kv_error err = { 0 };
    bool valid = false;

    for (unsigned i = 0; i < ROUNDS; i++) {
        size_t len = sizeof(signature);

        digest[1] = (uint8_t)i;
        if (kv_token_sign(w->b->token, &w->key->ref, alg, kv_slice_of(digest, sizeof(digest)),
                          signature, &len, &err) == KV_OK &&
            kv_public_key_verify(w->key->born.spki, alg, kv_slice_of(digest, sizeof(digest)),
                                 kv_slice_of(signature, len), &valid, &err) == KV_OK &&
            valid)
            w->good++;
    }
    return NULL;
}

static void threads_sign_at_once_each_in_its_session(void **state)
{
    bench *b = *state;
    pthread_t threads[THREADS];
    worker workers[THREADS];
    bench_key key;

    bench_open(b);
    key = bench_bear(b, KV_CLASS_SIGN, KV_KEY_P256, false);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (worker){ .b = b, .key = &key };
        assert_int_equal(pthread_create(&threads[i], NULL, sign_often, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(workers[i].good, ROUNDS);
    }
    /* Guards, owners, the supervisor's and this thread's: those of the workers are closed. */
    if (!b->hsm)
        assert_true(kv_fake_seen().sessions_now <= 7);
}

enum { RECOVERIES = 10 };

static void *sign_through_recoveries(void *context)
{
    worker *w = context;
    const kv_mechanism *alg = kv_mechanism_find(KV_SLICE("ES256"));
    uint8_t digest[32] = { 7 }, signature[KV_SIGNATURE_MAX];
    kv_error err = { 0 };

    for (unsigned i = 0; i < ROUNDS; i++) {
        size_t len = sizeof(signature);
        kv_status status =
            kv_token_sign(w->b->token, &w->key->ref, alg, kv_slice_of(digest, sizeof(digest)),
                          signature, &len, &err);

        w->good += status == KV_OK || (status == KV_UNAVAILABLE && err.retry_ms > 0);
    }
    return NULL;
}

static void threads_live_through_reinitialisations(void **state)
{
    bench *b = *state;
    pthread_t threads[THREADS];
    worker workers[THREADS];
    bench_key key;
    kv_error err = { 0 };

    bench_open(b);
    key = bench_bear(b, KV_CLASS_SIGN, KV_KEY_P256, false);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (worker){ .b = b, .key = &key };
        assert_int_equal(pthread_create(&threads[i], NULL, sign_through_recoveries, &workers[i]),
                         0);
    }
    for (unsigned i = 0; i < RECOVERIES; i++)
        assert_kv_ok(kv_token_recover(b->token, 5000, &err));
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(workers[i].good, ROUNDS);
    }
    bench_use(b, &key);
}

#define ON_FAKE(name)    cmocka_unit_test_setup_teardown(name, new_fake, free_bench)
#define ON_SOFTHSM(name) cmocka_unit_test_setup_teardown(name, new_softhsm, free_bench)

int main(void)
{
    const struct CMUnitTest fake[] = {
        ON_FAKE(there_is_one_login_a_token),
        ON_FAKE(two_duties_may_share_a_token),
        ON_FAKE(a_uri_must_name_exactly_one_token),
        ON_FAKE(an_ambiguous_label_is_refused_and_a_serial_helps),
        ON_FAKE(a_wrong_pin_is_tried_once),
        ON_FAKE(a_pin_that_stops_working_is_not_tried_again),
        ON_FAKE(what_is_no_module_is_refused),
        ON_FAKE(mechanisms_that_are_missing_are_named),
        ON_FAKE(threads_sign_at_once_each_in_its_session),
        ON_FAKE(threads_live_through_reinitialisations),
    };
    const struct CMUnitTest softhsm[] = {
        ON_SOFTHSM(a_second_process_is_refused_by_the_lock),
        ON_SOFTHSM(two_duties_may_share_a_token),
        ON_SOFTHSM(a_uri_must_name_exactly_one_token),
        ON_SOFTHSM(a_wrong_pin_is_tried_once),
        ON_SOFTHSM(an_emptied_token_object_is_restored_at_start),
        ON_SOFTHSM(a_damaged_copy_is_not_restored),
        ON_SOFTHSM(a_folder_moved_away_and_back_heals),
        ON_SOFTHSM(a_token_that_is_away_does_not_disturb_the_others),
        ON_SOFTHSM(threads_sign_at_once_each_in_its_session),
        ON_SOFTHSM(threads_live_through_reinitialisations),
    };

    return cmocka_run_group_tests_name("tokens on the fake", fake, NULL, NULL) +
           cmocka_run_group_tests_name("tokens on SoftHSM", softhsm, NULL, NULL);
}
