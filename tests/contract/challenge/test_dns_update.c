/* test_dns_update.c - records put into a zone of BIND, and everything that BIND refuses. */
#include "server/challenge/dns.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/secret_buf.h"
#include "tests/contract/challenge/name_server.h"
#include "tests/support/kv_cmocka.h"

enum { LONG_MS = 30000, HEAP = 1 << 16 };

#define RECORD "_acme-challenge.www.example.test"

typedef struct bench {
    name_server *server;
    char address[32];
    char key_file[64];
    kv_arena arena;
    kv_challenge_task task;
    kv_dns_update update;
} bench;

static void write_key(const bench *at, const char *secret, mode_t mode)
{
    FILE *file;

    (void)unlink(at->key_file);
    file = fopen(at->key_file, "we");
    assert_non_null(file);
    assert_true(fputs(secret, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(at->key_file, mode), 0);
}

static int start(void **state)
{
    bench *at = calloc(1, sizeof(*at));
    kv_error err = { 0 };

    assert_non_null(at);
    assert_kv_ok(kv_secret_heap_open(HEAP, &err));
    at->server = name_server_start();
    *state = at;
    return 0;
}

static int stop(void **state)
{
    bench *at = *state;

    name_server_stop(at->server);
    free(at);
    kv_secret_heap_close();
    return 0;
}

static int set_up(void **state)
{
    bench *at = *state;

    (void)snprintf(at->address, sizeof(at->address), "127.0.0.1:%u", name_server_port(at->server));
    (void)snprintf(at->key_file, sizeof(at->key_file), "%s/key", name_server_folder(at->server));
    write_key(at, NAME_SERVER_SECRET "\n", 0600);
    at->arena = KV_ARENA(64 * 1024);
    at->task = (kv_challenge_task){ .name = KV_SLICE("www.example.test"),
                                    .token = KV_SLICE("abc"),
                                    .key_authorization = KV_SLICE("abc.def"),
                                    .deadline = kv_deadline_in_ms(LONG_MS),
                                    .arena = &at->arena };
    at->update = (kv_dns_update){ .run = { .seconds = 20 },
                                  .server = at->address,
                                  .zone = "example.test",
                                  .key_name = NAME_SERVER_KEY,
                                  .algorithm = "hmac-sha256",
                                  .key_file = at->key_file };
    return 0;
}

static int take_down(void **state)
{
    bench *at = *state;

    kv_arena_cleanup(&at->arena);
    return 0;
}

static kv_status present(bench *at, kv_error *err)
{
    *err = (kv_error){ 0 };
    return kv_challenge_dns_update.present(&at->update, &at->task, err);
}

static kv_status clean(bench *at, kv_error *err)
{
    *err = (kv_error){ 0 };
    return kv_challenge_dns_update.clean(&at->update, &at->task, err);
}

static void assert_stands(const bench *at, const char *expected)
{
    char said[128];

    name_server_text(at->server, RECORD, said);
    assert_string_equal(said, expected);
}

/* SHA-256 of "abc.def", in base64url. */
#define VALUE "67MSe_XHxLTkK1FxD0lGwcHQWzMdI3ndFeOlQx7ZNBY"

static void a_record_is_put_and_taken_away(void **state)
{
    bench *at = *state;
    kv_error err;

    assert_stands(at, "");
    assert_kv_ok(present(at, &err));
    assert_stands(at, "\"" VALUE "\"");
    assert_kv_ok(present(at, &err));
    assert_stands(at, "\"" VALUE "\"");
    assert_kv_ok(clean(at, &err));
    assert_stands(at, "");
    assert_kv_ok(clean(at, &err));
}

/* www.example.test and *.example.test of www are two orders with one record name. */
static void two_values_stand_beside_each_other(void **state)
{
    bench *at = *state;
    kv_error err;
    char said[128];

    assert_kv_ok(present(at, &err));
    at->task.token = KV_SLICE("second");
    at->task.key_authorization = KV_SLICE("second.def");
    at->task.wildcard = true;
    assert_kv_ok(present(at, &err));
    name_server_text(at->server, RECORD, said);
    assert_non_null(strstr(said, "\"" VALUE "\""));
    assert_int_equal(strlen(said), 2 * (43 + 2) + 1);
    assert_kv_ok(clean(at, &err));
    assert_stands(at, "\"" VALUE "\"");
    at->task.token = KV_SLICE("abc");
    at->task.key_authorization = KV_SLICE("abc.def");
    assert_kv_ok(clean(at, &err));
    assert_stands(at, "");
}

static void the_server_is_asked_for_the_zone(void **state)
{
    bench *at = *state;
    kv_error err;

    at->update.zone = "";
    assert_kv_ok(present(at, &err));
    assert_stands(at, "\"" VALUE "\"");
    assert_kv_ok(clean(at, &err));
    assert_stands(at, "");
}

static void assert_refused(bench *at, const char *why)
{
    kv_error err;

    assert_kv_fails(KV_UNAVAILABLE, present(at, &err));
    if (!strstr(err.message, why))
        fail_msg("'%s' says nothing of '%s'", err.message, why);
    assert_null(strstr(err.message, "c2Vj"));
    assert_stands(at, "");
}

static void what_the_server_refuses_is_said(void **state)
{
    bench *at = *state;

    write_key(at, "b3RoZXIgc2VjcmV0IG9mIDMyIGJ5dGVzIGFuZCBtb3Jl", 0600);
    assert_refused(at, "BADSIG");
    write_key(at, NAME_SERVER_SECRET, 0600);
    at->update.key_name = "nobody";
    assert_refused(at, "BADKEY");
    at->update.key_name = NAME_SERVER_KEY;
    at->update.algorithm = "hmac-sha512";
    assert_refused(at, "BADKEY");
    at->update.algorithm = "hmac-sha256";
    at->update.zone = "example.org";
    assert_refused(at, "NOTAUTH");
    at->update.zone = "example.test";
    at->task.name = KV_SLICE("www.example.org");
    assert_refused(at, "NOTZONE");
}

/* Without being asked first, BIND would take the update and do nothing. */
static void an_alias_is_not_ignored(void **state)
{
    bench *at = *state;
    kv_error err;

    at->task.name = KV_SLICE("alias.example.test");
    assert_kv_fails(KV_UNAVAILABLE, present(at, &err));
    assert_non_null(strstr(err.message, "YXRRSET"));
    assert_kv_ok(clean(at, &err));
}

static void a_server_that_is_away_is_said(void **state)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bench *at = *state;

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    (void)snprintf(at->address, sizeof(at->address), "127.0.0.1:%u", ntohs(address.sin_port));
    assert_refused(at, "Communication with 127.0.0.1");

    /* One that takes the connection and says nothing. */
    assert_int_equal(listen(fd, 8), 0);
    at->update.run.seconds = 2;
    assert_refused(at, "the DNS update");
    (void)close(fd);
}

static void a_key_file_is_looked_at_first(void **state)
{
    bench *at = *state;
    kv_error err;

    write_key(at, NAME_SERVER_SECRET, 0640);
    assert_kv_fails(KV_PRECONDITION, present(at, &err));
    write_key(at, "not base64!\nupdate delete example.test", 0600);
    assert_kv_fails(KV_PRECONDITION, present(at, &err));
    assert_null(strstr(err.message, "not base64!"));
    write_key(at, "", 0600);
    assert_kv_fails(KV_PRECONDITION, present(at, &err));
    (void)unlink(at->key_file);
    assert_kv_fails(KV_UNAVAILABLE, present(at, &err));
    assert_stands(at, "");
}

static void what_is_no_name_does_not_reach_the_server(void **state)
{
    static const kv_slice bad[] = { KV_SLICE("www.example.test\nupdate delete www.example.test"),
                                    KV_SLICE("a b.example.test"), KV_SLICE("a;b.example.test"),
                                    KV_SLICE(""), KV_SLICE("*.example.test") };
    bench *at = *state;
    kv_error err;

    for (size_t i = 0; i < KV_COUNT(bad); i++) {
        at->task.name = bad[i];
        assert_kv_fails(KV_BAD_REQUEST, present(at, &err));
    }
}

#define ON_A_BENCH(test) cmocka_unit_test_setup_teardown(test, set_up, take_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_A_BENCH(a_record_is_put_and_taken_away),
        ON_A_BENCH(two_values_stand_beside_each_other),
        ON_A_BENCH(the_server_is_asked_for_the_zone),
        ON_A_BENCH(what_the_server_refuses_is_said),
        ON_A_BENCH(an_alias_is_not_ignored),
        ON_A_BENCH(a_server_that_is_away_is_said),
        ON_A_BENCH(a_key_file_is_looked_at_first),
        ON_A_BENCH(what_is_no_name_does_not_reach_the_server),
    };

    return cmocka_run_group_tests_name("dns_update", tests, start, stop);
}
