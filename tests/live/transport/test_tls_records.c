/* test_tls_records.c - who keeps TLS busy and says nothing: new keys, empty records, warnings. */
#include <errno.h>
#include <poll.h>

#include <sys/socket.h>

#include <openssl/err.h>

#include "tests/live/transport/visitor.h"

enum {
    HANDSHAKE = 22,
    ALERT = 21,
    DATA = 23,
    MOST_RECORDS = 20000, /* as many are never let through */
    MOST_UPDATES = 1000,  /* nor these, each of which costs ten times as much */
    BATCH = 32,
    BEGUN_BYTES = 16 * 1024, /* of the frame that a flood begins with */
    HONEST_UPDATES = 300     /* more than go without a call in between */
};

/* A record: what it is called tells what a peer has to pay for it. */
typedef size_t maker(records *raw, unsigned number, uint8_t out[RECORDS_BYTES]);

static size_t update(records *raw, uint8_t requested, uint8_t *out)
{
    const uint8_t message[] = { SSL3_MT_KEY_UPDATE, 0, 0, 1, requested };
    size_t len = records_seal(raw, HANDSHAKE, kv_slice_of(message, sizeof(message)), out);

    records_next_keys(raw);
    return len;
}

static size_t new_keys(records *raw, unsigned number, uint8_t *out)
{
    (void)number;
    return update(raw, SSL_KEY_UPDATE_NOT_REQUESTED, out);
}

static size_t new_keys_for_both(records *raw, unsigned number, uint8_t *out)
{
    (void)number;
    return update(raw, SSL_KEY_UPDATE_REQUESTED, out);
}

/* OpenSSL ends a connection at 32 empty records in a row, and at 5 warnings. */
static size_t empty(records *raw, unsigned number, uint8_t *out)
{
    return records_seal(raw, DATA, kv_slice_of("", number % BATCH == 0), out);
}

static size_t warning(records *raw, unsigned number, uint8_t *out)
{
    static const uint8_t cancelled[] = { SSL3_AL_WARNING, 90 };

    if (number % 4 == 0)
        return records_seal(raw, DATA, kv_slice_of("", 1), out);
    return records_seal(raw, ALERT, kv_slice_of(cancelled, sizeof(cancelled)), out);
}

static size_t hello_again(records *raw, unsigned number, uint8_t *out)
{
    const uint8_t hello[RECORDS_MOST] = { SSL3_MT_CLIENT_HELLO, 0, 0, RECORDS_MOST - 4, 3, 3 };

    (void)number;
    return records_seal(raw, HANDSHAKE, kv_slice_of(hello, sizeof(hello)), out);
}

/* Fills the frame that the preface has begun, then seven empty ones of no known type at a time. */
static size_t useless_frames(records *raw, unsigned number, uint8_t *out)
{
    uint8_t frames[RECORDS_MOST] = { 0 };

    if (number < BEGUN_BYTES / RECORDS_MOST)
        return records_seal(raw, DATA, kv_slice_of(frames, RECORDS_MOST), out);
    for (size_t i = 0; i < 7; i++)
        frames[9 * i + 3] = 0xfb;
    return records_seal(raw, DATA, kv_slice_of(frames, 63), out);
}

static void begin(const scene *it, visitor *v, records *raw, int version)
{
    *v = visitor_of(it, version, NULL);
    visitor_show(v, it->certs.client, it->certs.client_key);
    records_listen(v->context, raw);
    assert_true(visitor_enters(it, v, NULL));
    records_begin(raw, v->ssl);
}

/* False when the server has hung up. */
static bool say(visitor *v, const uint8_t *data, size_t len, bool reads)
{
    while (len) {
        struct pollfd ready = { .fd = v->fd, .events = POLLOUT };
        uint8_t answers[4096];
        ssize_t n = 1;

        assert_int_equal(poll(&ready, 1, LONG_MS), 1);
        while (reads && (n = recv(v->fd, answers, sizeof(answers), MSG_DONTWAIT)) > 0)
            ;
        if (n == 0 || (n < 0 && errno != EAGAIN))
            return false;
        n = send(v->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN)
            return false;
        data += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* Reads what is still to come; true when it ends. */
static bool hears_the_end(visitor *v)
{
    struct pollfd ready = { .fd = v->fd, .events = POLLIN };
    uint8_t answers[4096];
    ssize_t n = 1;

    while (n > 0 && poll(&ready, 1, LONG_MS) == 1)
        n = recv(v->fd, answers, sizeof(answers), 0);
    return n <= 0;
}

static uint64_t ended_by(const scene *it, kv_grpc_flood kind)
{
    kv_front_stats stats;

    kv_front_stats_get(it->server.front, &stats);
    return stats.floods[kind];
}

/* So many are more than the server takes, whether or not its answers are read. Others are served.
 */
static void flood_of(scene *it, kv_grpc_flood kind, int version, maker *make, unsigned most,
                     bool reads)
{
    /* Begun: SETTINGS, and 16 KiB of a frame of no known type, whose bytes come now and then. */
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                                  "\0\0\0\4\0\0\0\0\0"
                                  "\0\x40\0\xfb\0\0\0\0";
    uint8_t batch[BATCH * RECORDS_BYTES];
    kv_grpc_flood other =
        kind == KV_GRPC_FLOOD_FRAMES ? KV_GRPC_FLOOD_RECORDS : KV_GRPC_FLOOD_FRAMES;
    uint64_t before = ended_by(it, kind), others = ended_by(it, other);
    bool goes_on = true;
    records raw;
    visitor v;
    kv_error err;

    begin(it, &v, &raw, version);
    goes_on = say(&v, batch, records_seal(&raw, DATA, kv_slice_of(preface, sizeof(preface)), batch),
                  reads);
    for (unsigned sent = 0; goes_on && sent < most;) {
        size_t len = 0;

        for (unsigned i = 0; i < BATCH; i++)
            len += make(&raw, sent++, batch + len);
        goes_on = say(&v, batch, len, reads);
    }
    assert_true(!goes_on || hears_the_end(&v));
    visitor_leave(&v);
    assert_int_equal(ended_by(it, kind), before + 1);
    assert_int_equal(ended_by(it, other), others);
    assert_kv_ok(scene_echo(it, &err));
}

static void flood(scene *it, int version, maker *make, unsigned most, bool reads)
{
    flood_of(it, KV_GRPC_FLOOD_RECORDS, version, make, most, reads);
}

static void keys_are_not_changed_for_ever(void **state)
{
    flood(*state, TLS1_3_VERSION, new_keys, MOST_UPDATES, true);
    flood(*state, TLS1_3_VERSION, new_keys_for_both, MOST_UPDATES, true);
}

static void nor_for_who_reads_no_answers(void **state)
{
    flood(*state, TLS1_3_VERSION, new_keys_for_both, MOST_UPDATES, false);
}

static void records_without_data_are_not_read_for_ever(void **state)
{
    flood(*state, TLS1_3_VERSION, empty, MOST_RECORDS, true);
    flood(*state, TLS1_3_VERSION, warning, MOST_RECORDS, true);
}

static void nor_over_12(void **state)
{
    flood(*state, TLS1_2_VERSION, empty, MOST_RECORDS, true);
    flood(*state, TLS1_2_VERSION, warning, MOST_RECORDS, true);
    flood(*state, TLS1_2_VERSION, hello_again, MOST_RECORDS, true);
}

static void who_calls_may_change_keys_before_each_call(void **state)
{
    scene *it = *state;
    visitor v = visitor_of(it, TLS1_3_VERSION, NULL);

    visitor_show(&v, it->certs.client, it->certs.client_key);
    assert_true(visitor_enters(it, &v, NULL));
    for (unsigned i = 0; i < HONEST_UPDATES; i++) {
        assert_int_equal(
            SSL_key_update(v.ssl, i % 2 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED),
            1);
        assert_int_equal(visitor_echo(it, &v), 0);
    }
    visitor_leave(&v);
}

/* A record that has come by half is not one without data: 300 bytes a call would cost too much. */
static void records_in_pieces_cost_nothing(void **state)
{
    static const int versions[] = { TLS1_3_VERSION, TLS1_2_VERSION };
    scene *it = *state;

    for (size_t i = 0; i < KV_COUNT(versions); i++) {
        records raw;
        visitor v;

        begin(it, &v, &raw, versions[i]);
        v.raw = &raw;
        for (unsigned calls = 0; calls < 20; calls++)
            assert_int_equal(visitor_echo(it, &v), 0);
        visitor_leave(&v);
    }
}

/* The preface, an empty SETTINGS and a PING in records of a few bytes, new keys before each. */
static size_t keys_between_data(records *raw, uint8_t *out)
{
    static const char said[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                               "\0\0\0\4\0\0\0\0\0"
                               "\0\0\x8\6\0\0\0\0\0eightpin";
    size_t len = 0;

    for (size_t at = 0; at < sizeof(said) - 1; at += 5) {
        size_t left = sizeof(said) - 1 - at;

        len += new_keys(raw, 0, out + len);
        len += records_seal(raw, DATA, kv_slice_of(said + at, left < 5 ? left : 5), out + len);
    }
    return len + new_keys(raw, 0, out + len);
}

/* Nothing more comes that would wake the server; the answer to the PING says that it has all. */
static bool is_answered(visitor *v)
{
    struct pollfd ready = { .fd = v->fd, .events = POLLIN };
    char heard[4096] = "";
    size_t len = 0;

    while (!memmem(heard, len, "eightpin", 8)) {
        int n = SSL_pending(v->ssl) || poll(&ready, 1, LONG_MS) == 1
                    ? SSL_read(v->ssl, heard + len, (int)(sizeof(heard) - len))
                    : -1;

        if (n <= 0)
            return false;
        len += (size_t)n;
    }
    return true;
}

static void what_comes_at_once_is_read_at_once(void **state)
{
    scene *it = *state;

    for (size_t cut = 0; cut < 40; cut++) {
        uint8_t sealed[40 * RECORDS_BYTES];
        records raw;
        visitor v;
        size_t len;

        begin(it, &v, &raw, TLS1_3_VERSION);
        len = keys_between_data(&raw, sealed);
        assert_true(len > cut && len < sizeof(sealed));
        assert_true(say(&v, sealed, len - cut, false));
        if (cut)
            (void)poll(NULL, 0, 5);
        assert_true(say(&v, sealed + len - cut, cut, false));
        assert_true(is_answered(&v));
        visitor_leave(&v);
    }
}

/* A line a second at most, with both numbers. The server has stopped: all is written. */
static void the_log_tells_what_there_was_too_much_of(void **state)
{
    kv_front_config config = kv_test_front_config();
    kv_lanes_config lanes = kv_test_lanes_config();
    FILE *log = tmpfile();
    char line[1024] = "";
    scene *it = *state;

    assert_non_null(log);
    assert_true(kv_test_server_stop(&it->server));
    it->server.log = kv_log_new(fileno(log), KV_LOG_INFO);
    kv_test_server_start(&it->server, &config, &lanes, &it->certs);
    kv_channel_free(it->channel);
    it->channel = scene_open_channel(it, it->certs.client, it->certs.client_key, NULL);
    flood(it, TLS1_3_VERSION, new_keys, MOST_UPDATES, true);
    flood_of(it, KV_GRPC_FLOOD_FRAMES, TLS1_3_VERSION, useless_frames, MOST_RECORDS, true);
    kv_channel_free(it->channel);
    it->channel = NULL;
    assert_true(kv_test_server_stop(&it->server));
    it->server.front = NULL;
    rewind(log);
    assert_non_null(fgets(line, sizeof(line), log));
    assert_non_null(strstr(line, "\"event\":\"connection.flooded\""));
    assert_non_null(strstr(line, "\"with\":\"records\""));
    assert_non_null(strstr(line, "\"address\":\"127.0.0.1:"));
    assert_non_null(strstr(line, "\"frames\":0,\"records\":1"));
    kv_log_free(it->server.log);
    (void)fclose(log);
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_set_up, scene_tear_down)
#define OLD(name)   cmocka_unit_test_setup_teardown(name, scene_set_up_12, scene_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(keys_are_not_changed_for_ever),
        SCENE(nor_for_who_reads_no_answers),
        SCENE(records_without_data_are_not_read_for_ever),
        OLD(nor_over_12),
        SCENE(the_log_tells_what_there_was_too_much_of),
        SCENE(what_comes_at_once_is_read_at_once),
        SCENE(who_calls_may_change_keys_before_each_call),
        OLD(records_in_pieces_cost_nothing),
    };

    kv_front_wipe_memory();
    return cmocka_run_group_tests_name("tls_records", tests, NULL, NULL);
}
