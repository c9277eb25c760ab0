/* server.h - a server with the methods of keyvault.test.v1.EchoService and gates that only count.
 *
 * Threads: one owner; the counters are atomic.
 */
#pragma once

#include <stdatomic.h>

#include "server/front/front.h"
#include "tests/live/transport/certs.h"

typedef struct kv_test_server {
    kv_services services;
    kv_lanes *lanes;
    kv_tls *tls;
    kv_front *front;
    atomic_uint posted;  /* calls whose record was made */
    atomic_uint late;    /* of those: the loop had answered */
    atomic_uint refused; /* before identification, or busy */
    atomic_uint left;    /* answered by the loop */
    atomic_uint asked;   /* GetKey and DeleteKey, and how many of them fail, first of all: */
    unsigned failing;
    char last_key[65];      /* idempotency key of the last of these, "" if it had none */
    unsigned repeated_keys; /* how often the one before had the same */
    kv_error failure;
    atomic_uint slept; /* Sleep calls that have begun */
    atomic_bool held;  /* Sleep does not end while it is set; a stop unsets it */
    bool strangers;    /* need no certificate */
    bool tls12;        /* read at the start, as the next */
    kv_log *log;       /* borrowed; may be NULL */
} kv_test_server;

/* Ends the program when it cannot start. `tls12` and `log` are left as they were, all else is
 * set. */
void kv_test_server_start(kv_test_server *server, const kv_front_config *config,
                          const kv_lanes_config *lanes, const kv_test_certs *certs);
/* Drains, stops. True when the drain was complete. */
bool kv_test_server_stop(kv_test_server *server);
/* Two loops, small lanes. */
kv_front_config kv_test_front_config(void);
kv_lanes_config kv_test_lanes_config(void);
