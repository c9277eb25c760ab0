/* net_world.h - a client, a peer on loopback that means no good, and a CA that both know. */
#pragma once

#include "server/net/http.h"
#include "tests/contract/auth/test_certificates.h"
#include "tests/support/http_peer.h"
#include "tests/support/kv_cmocka.h"

enum { BODY_MOST = 64 * 1024, ARENA_BYTES = 1 << 20, SOON_MS = 300, LONG_MS = 20000 };

typedef struct world {
    made_certificate *ca;
    made_certificate *leaf; /* for localhost and the loopback addresses */
    char ca_file[64];
    http_peer *peer;
    kv_http *http;
    kv_arena arena;
    kv_error err;
    char url[128];
} world;

int set_up(void **state);
int take_down(void **state);
#define IN_A_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, take_down)

/* What the peer says, by path. */
bool serve(void *context, http_peer_link *link, const char *path, kv_slice request);
kv_http *client(world *at, const char *networks, const char *proxy);
/* Lives in the world until the next. */
const char *url_on(world *at, const http_peer *peer, const char *host, const char *path);
kv_http_request get(world *at, const char *path);
kv_status send_it(world *at, kv_http_request request, kv_http_answer *out);
bool holds(const kv_http_answer *answer, const char *part);

/* Both use the local variables `at` and `answer`. */
#define assert_sent(request) assert_kv_ok_with(send_it(at, (request), &answer), &at->err)
#define assert_not_sent(why, request)                                                     \
    do {                                                                                  \
        kv_status got_ = send_it(at, (request), &answer);                                 \
        if (got_ != (why))                                                                \
            fail_msg("%d instead of %d: %s (%s)", (int)got_, (int)(why), at->err.message, \
                     at->err.detail);                                                     \
        assert_int_equal(at->err.status, (why));                                          \
    } while (0)
