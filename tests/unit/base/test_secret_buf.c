/* test_secret_buf.c - secrets live on the locked heap, have one owner and are wiped. */
#include "server/base/secret_buf.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "tests/support/kv_cmocka.h"

enum { HEAP_BYTES = 64 * 1024, SECRET_BYTES = 256, FREE_LIST_BYTES = 32, NOBODY = 65534 };

static void a_copy_is_on_the_locked_heap_and_ends_with_a_nul(void **state)
{
    KV_AUTO(kv_secret_buf) secret = KV_SECRET_NONE;
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(kv_secret_buf_copy(KV_SLICE("hunter2"), &secret, &err));
    assert_true(CRYPTO_secure_allocated(secret.data));
    assert_slice_equal(KV_SLICE("hunter2"), kv_secret_buf_slice(&secret));
    assert_int_equal(secret.data[secret.len], 0);
}

static void new_bytes_are_zero(void **state)
{
    static const uint8_t zeros[SECRET_BYTES] = { 0 };
    KV_AUTO(kv_secret_buf) secret = KV_SECRET_NONE;
    KV_AUTO(kv_secret_buf) empty = KV_SECRET_NONE;
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(kv_secret_buf_new(SECRET_BYTES, &secret, &err));
    assert_memory_equal(secret.data, zeros, SECRET_BYTES);
    assert_kv_ok(kv_secret_buf_copy(KV_SLICE_NONE, &empty, &err));
    assert_int_equal(empty.len, 0);
    assert_int_equal(empty.data[0], 0);
}

/* The heap stays mapped, so that freed bytes can be looked at. Its free list overwrites the first
 * of them. */
static void cleanup_wipes_the_bytes(void **state)
{
    kv_secret_buf secret = KV_SECRET_NONE;
    const volatile uint8_t *bytes;
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(kv_secret_buf_new(SECRET_BYTES, &secret, &err));
    memset(secret.data, 0xa5, SECRET_BYTES);
    bytes = secret.data;
    kv_secret_buf_cleanup(&secret);
    for (size_t i = FREE_LIST_BYTES; i < SECRET_BYTES; i++)
        assert_int_equal(bytes[i], 0);
    assert_null(secret.data);
    assert_int_equal(secret.len, 0);
    kv_secret_buf_cleanup(&secret);
}

static void a_wipe_zeroes_bytes_that_live_elsewhere(void **state)
{
    char text[8] = "1234567";

    (void)state;
    kv_wipe(text + 1, 5);
    assert_memory_equal(text,
                        "1\0\0\0\0\0"
                        "7",
                        sizeof(text));
    kv_wipe(NULL, 0);
}

static void a_move_leaves_one_owner(void **state)
{
    kv_secret_buf first = KV_SECRET_NONE;
    KV_AUTO(kv_secret_buf) second = KV_SECRET_NONE;
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(kv_secret_buf_copy(KV_SLICE("pin"), &first, &err));
    second = kv_secret_buf_move(&first);
    assert_null(first.data);
    assert_int_equal(first.len, 0);
    assert_slice_equal(KV_SLICE("pin"), kv_secret_buf_slice(&second));
}

static void equal_compares_length_and_content(void **state)
{
    KV_AUTO(kv_secret_buf) secret = KV_SECRET_NONE;
    kv_secret_buf none = KV_SECRET_NONE;
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(kv_secret_buf_copy(KV_SLICE("1234"), &secret, &err));
    assert_true(kv_secret_buf_equal(&secret, KV_SLICE("1234")));
    assert_false(kv_secret_buf_equal(&secret, KV_SLICE("1235")));
    assert_false(kv_secret_buf_equal(&secret, KV_SLICE("0234")));
    assert_false(kv_secret_buf_equal(&secret, KV_SLICE("123")));
    assert_false(kv_secret_buf_equal(&secret, KV_SLICE("12345")));
    assert_false(kv_secret_buf_equal(&secret, KV_SLICE_NONE));
    assert_true(kv_secret_buf_equal(&none, KV_SLICE_NONE));
}

static void a_full_heap_is_busy(void **state)
{
    kv_secret_buf untouched = KV_SECRET_NONE;
    kv_error err = { 0 };

    (void)state;
    assert_kv_fails(KV_BUSY, kv_secret_buf_new(2 * (size_t)HEAP_BYTES, &untouched, &err));
    assert_int_equal(err.reason, KV_REASON_LIMIT_REACHED);
    assert_null(untouched.data);
}

static void only_a_power_of_two_makes_a_heap(void **state)
{
    static const size_t bad[] = { 0, 1, 2048, 4097, 65535, SIZE_MAX };
    kv_error err = { 0 };

    (void)state;
    kv_secret_heap_close();
    for (size_t i = 0; i < KV_COUNT(bad); i++)
        assert_kv_fails(KV_BAD_REQUEST, kv_secret_heap_open(bad[i], &err));
    assert_int_equal(CRYPTO_secure_malloc_initialized(), 0);
    assert_kv_ok(kv_secret_heap_open(HEAP_BYTES, &err));
    /* A second time changes nothing. */
    assert_kv_ok(kv_secret_heap_open(HEAP_BYTES, &err));
}

/* In a process that may lock nothing; gives the status as exit code. */
static int open_without_permission(void)
{
    struct rlimit none = { 0 };
    kv_error err = { 0 };

    kv_secret_heap_close();
    if (setrlimit(RLIMIT_MEMLOCK, &none) != 0)
        return EXIT_FAILURE;
    if (geteuid() == 0 && setresuid(NOBODY, NOBODY, NOBODY) != 0)
        return EXIT_FAILURE;
    return kv_secret_heap_open(HEAP_BYTES, &err) == KV_UNAVAILABLE &&
                   strstr(err.detail, "RLIMIT_MEMLOCK") && !CRYPTO_secure_malloc_initialized()
               ? EXIT_SUCCESS
               : EXIT_FAILURE;
}

static void a_heap_that_cannot_be_locked_is_refused(void **state)
{
    pid_t child = fork();
    int outcome = -1;

    (void)state;
    assert_true(child >= 0);
    if (child == 0)
        _exit(open_without_permission());
    assert_int_equal(waitpid(child, &outcome, 0), child);
    assert_true(WIFEXITED(outcome));
    assert_int_equal(WEXITSTATUS(outcome), EXIT_SUCCESS);
}

/* A secret file in a folder of its own. */
typedef struct file {
    char folder[64];
    char path[96];
} file;

static int make_file(void **state)
{
    file *made = calloc(1, sizeof(*made));
    const char *place = getenv("TMPDIR");

    if (!made)
        return -1;
    (void)snprintf(made->folder, sizeof(made->folder), "%.40s/kv-test-XXXXXX",
                   place ? place : "/tmp");
    if (!mkdtemp(made->folder)) {
        free(made);
        return -1;
    }
    (void)snprintf(made->path, sizeof(made->path), "%s/pin", made->folder);
    *state = made;
    return 0;
}

static int remove_file(void **state)
{
    file *made = *state;

    (void)unlink(made->path);
    (void)rmdir(made->folder);
    free(made);
    return 0;
}

static void write_file(const file *made, const char *text, mode_t mode)
{
    int fd = open(made->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

static void a_file_is_read_without_its_last_newline(void **state)
{
    static const struct {
        const char *content;
        const char *secret;
    } rows[] = {
        { "1234", "1234" }, { "1234\n", "1234" }, { "1234\n\n", "1234\n" },
        { " 12 ", " 12 " }, { "", "" },           { "\n", "" },
    };
    const file *made = *state;

    for (size_t i = 0; i < KV_COUNT(rows); i++) {
        KV_AUTO(kv_secret_buf) secret = KV_SECRET_NONE;
        kv_error err = { 0 };

        write_file(made, rows[i].content, 0600);
        assert_kv_ok(kv_secret_buf_read_file(made->path, 16, &secret, &err));
        assert_true(CRYPTO_secure_allocated(secret.data));
        assert_slice_equal(kv_slice_text(rows[i].secret), kv_secret_buf_slice(&secret));
    }
}

static void a_file_that_others_may_touch_is_refused(void **state)
{
    static const mode_t modes[] = { 0640, 0604, 0660, 0602, 0610, 0601, 0644, 0777 };
    const file *made = *state;

    for (size_t i = 0; i < KV_COUNT(modes); i++) {
        kv_secret_buf secret = KV_SECRET_NONE;
        kv_error err = { 0 };

        write_file(made, "1234", modes[i]);
        assert_kv_fails(KV_PRECONDITION, kv_secret_buf_read_file(made->path, 16, &secret, &err));
        assert_null(secret.data);
        assert_string_equal(err.detail, made->path);
        assert_null(strstr(err.message, made->path));
    }
}

static void a_file_that_is_too_long_is_refused(void **state)
{
    const file *made = *state;
    KV_AUTO(kv_secret_buf) secret = KV_SECRET_NONE;
    kv_error err = { 0 };

    write_file(made, "12345678", 0600);
    assert_kv_fails(KV_BAD_REQUEST, kv_secret_buf_read_file(made->path, 7, &secret, &err));
    assert_null(secret.data);
    assert_kv_ok(kv_secret_buf_read_file(made->path, 8, &secret, &err));
    assert_int_equal(secret.len, 8);
}

static void what_cannot_be_read_is_unavailable(void **state)
{
    const file *made = *state;
    kv_secret_buf secret = KV_SECRET_NONE;
    kv_error err = { 0 };

    assert_kv_fails(KV_UNAVAILABLE, kv_secret_buf_read_file(made->path, 16, &secret, &err));
    assert_non_null(strstr(err.detail, made->path));
    assert_kv_fails(KV_UNAVAILABLE, kv_secret_buf_read_file(made->folder, 16, &secret, &err));
    assert_non_null(strstr(err.detail, made->folder));
    assert_null(secret.data);
}

static void a_file_larger_than_the_heap_is_busy(void **state)
{
    const file *made = *state;
    kv_secret_buf secret = KV_SECRET_NONE;
    kv_error err = { 0 };

    write_file(made, "1234", 0600);
    assert_kv_fails(KV_BUSY,
                    kv_secret_buf_read_file(made->path, 2 * (size_t)HEAP_BYTES, &secret, &err));
    assert_null(secret.data);
}

static int open_heap(void **state)
{
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(kv_secret_heap_open(HEAP_BYTES, &err));
    return 0;
}

/* Nothing may be left over, on failures neither. */
static int close_heap(void **state)
{
    (void)state;
    assert_int_equal(CRYPTO_secure_used(), 0);
    kv_secret_heap_close();
    return 0;
}

#define FILE_TEST(name) cmocka_unit_test_setup_teardown(name, make_file, remove_file)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_is_on_the_locked_heap_and_ends_with_a_nul),
        cmocka_unit_test(new_bytes_are_zero),
        cmocka_unit_test(cleanup_wipes_the_bytes),
        cmocka_unit_test(a_wipe_zeroes_bytes_that_live_elsewhere),
        cmocka_unit_test(a_move_leaves_one_owner),
        cmocka_unit_test(equal_compares_length_and_content),
        cmocka_unit_test(a_full_heap_is_busy),
        cmocka_unit_test(only_a_power_of_two_makes_a_heap),
        cmocka_unit_test(a_heap_that_cannot_be_locked_is_refused),
        FILE_TEST(a_file_is_read_without_its_last_newline),
        FILE_TEST(a_file_that_others_may_touch_is_refused),
        FILE_TEST(a_file_that_is_too_long_is_refused),
        FILE_TEST(what_cannot_be_read_is_unavailable),
        FILE_TEST(a_file_larger_than_the_heap_is_busy),
    };

    return cmocka_run_group_tests_name("secret_buf", tests, open_heap, close_heap);
}
