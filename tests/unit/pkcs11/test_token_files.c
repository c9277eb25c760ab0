/* test_token_files.c - the lock, and copies of token.object that are good or not used. */
#include "pkcs11/token_files.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/kv_cmocka.h"

#define FOLDER "12345678-9abc-def0-1111-222233334444"
#define SERIAL "1111222233334444"

typedef struct place {
    char dir[64], root[96], backup[96], object[192];
    kv_token_files files;
} place;

static void put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    (void)close(fd);
}

static void assert_holds(const char *path, const char *text)
{
    char bytes[256] = { 0 };
    int fd = open(path, O_RDONLY);

    assert_true(fd >= 0 && read(fd, bytes, sizeof(bytes) - 1) >= 0);
    (void)close(fd);
    assert_string_equal(bytes, text);
}

static int set_up(void **state)
{
    place *at = calloc(1, sizeof(*at));
    char folder[160];
    kv_error err = { 0 };

    (void)snprintf(at->dir, sizeof(at->dir), "/tmp/kv-files-XXXXXX");
    assert_non_null(mkdtemp(at->dir));
    (void)snprintf(at->root, sizeof(at->root), "%s/tokens", at->dir);
    (void)snprintf(at->backup, sizeof(at->backup), "%s/backup", at->dir);
    (void)snprintf(folder, sizeof(folder), "%s/" FOLDER, at->root);
    (void)snprintf(at->object, sizeof(at->object), "%s/token.object", folder);
    assert_int_equal(mkdir(at->root, 0700), 0);
    assert_int_equal(mkdir(folder, 0700), 0);
    put(at->object, "the token");
    assert_kv_ok(kv_token_files_open(at->root, at->backup, &at->files, &err));
    assert_kv_ok(kv_token_files_find(&at->files, SERIAL, &err));
    *state = at;
    return 0;
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info;
    (void)type;
    (void)where;
    return remove(path);
}

static int tear_down(void **state)
{
    place *at = *state;

    kv_token_files_cleanup(&at->files);
    (void)nftw(at->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(at);
    return 0;
}

static void an_empty_file_is_restored(void **state)
{
    place *at = *state;
    unsigned restored = 9;
    kv_error err = { 0 };

    assert_string_equal(at->files.folder, FOLDER);
    assert_kv_ok(kv_token_files_before_login(&at->files, &err));
    assert_int_equal(truncate(at->object, 0), 0);
    assert_kv_ok(kv_token_files_restore(&at->files, &restored, &err));
    assert_int_equal(restored, 1);
    assert_holds(at->object, "the token");
}

static void a_file_with_bytes_is_left_alone(void **state)
{
    place *at = *state;
    unsigned restored = 9;
    kv_error err = { 0 };

    assert_kv_ok(kv_token_files_before_login(&at->files, &err));
    put(at->object, "changed");
    assert_kv_ok(kv_token_files_restore(&at->files, &restored, &err));
    assert_int_equal(restored, 0);
    assert_holds(at->object, "changed");
}

static void the_copy_follows_the_file_after_a_login(void **state)
{
    place *at = *state;
    unsigned restored;
    kv_error err = { 0 };

    assert_kv_ok(kv_token_files_before_login(&at->files, &err));
    put(at->object, "with a new PIN");
    /* Before the login the old copy stays: the new bytes have not proved themselves. */
    assert_kv_ok(kv_token_files_before_login(&at->files, &err));
    assert_kv_ok(kv_token_files_after_login(&at->files, &err));
    assert_int_equal(truncate(at->object, 0), 0);
    assert_kv_ok(kv_token_files_restore(&at->files, &restored, &err));
    assert_holds(at->object, "with a new PIN");
}

/* As SoftHSM leaves it when the disk has become full. */
static void a_file_that_a_login_emptied_is_put_back(void **state)
{
    place *at = *state;
    kv_error err = { 0 };

    assert_kv_ok(kv_token_files_before_login(&at->files, &err));
    assert_int_equal(truncate(at->object, 0), 0);
    assert_kv_ok(kv_token_files_after_login(&at->files, &err));
    assert_holds(at->object, "the token");
}

static void an_empty_file_is_never_copied(void **state)
{
    place *at = *state;
    kv_error err = { 0 };

    assert_int_equal(truncate(at->object, 0), 0);
    assert_kv_fails(KV_UNAVAILABLE, kv_token_files_before_login(&at->files, &err));
    assert_kv_fails(KV_UNAVAILABLE, kv_token_files_after_login(&at->files, &err));
}

static void a_token_without_files_is_refused(void **state)
{
    place *at = *state;
    kv_error err = { 0 };

    assert_kv_fails(KV_PRECONDITION, kv_token_files_find(&at->files, "9999888877776666", &err));
    assert_kv_fails(KV_PRECONDITION, kv_token_files_find(&at->files, "", &err));
}

static void without_folders_there_is_nothing_to_do(void **state)
{
    kv_token_files files = KV_TOKEN_FILES_NONE;
    unsigned restored = 9;
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(kv_token_files_open(NULL, NULL, &files, &err));
    assert_kv_ok(kv_token_files_restore(&files, &restored, &err));
    assert_int_equal(restored, 0);
    assert_kv_ok(kv_token_files_find(&files, SERIAL, &err));
    assert_kv_ok(kv_token_files_before_login(&files, &err));
    assert_kv_ok(kv_token_files_after_login(&files, &err));
    assert_kv_ok(kv_token_files_sync(&files, &err));
    kv_token_files_cleanup(&files);
}

static void a_lock_has_one_holder(void **state)
{
    place *at = *state;
    char path[128];
    int one = -1, other = -1;
    kv_error err = { 0 };

    (void)snprintf(path, sizeof(path), "%s/lock", at->dir);
    assert_kv_ok(kv_token_lock(path, &one, &err));
    assert_kv_fails(KV_PRECONDITION, kv_token_lock(path, &other, &err));
    (void)close(one);
    assert_kv_ok(kv_token_lock(path, &other, &err));
    (void)close(other);
    assert_kv_fails(KV_UNAVAILABLE, kv_token_lock("/nonexistent/lock", &other, &err));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_empty_file_is_restored),
        TEST(a_file_with_bytes_is_left_alone),
        TEST(the_copy_follows_the_file_after_a_login),
        TEST(a_file_that_a_login_emptied_is_put_back),
        TEST(an_empty_file_is_never_copied),
        TEST(a_token_without_files_is_refused),
        TEST(without_folders_there_is_nothing_to_do),
        TEST(a_lock_has_one_holder),
    };

    return cmocka_run_group_tests_name("token_files", tests, NULL, NULL);
}
