/* door.h - makes calls of requests and requests' answers of calls. Private to front/.
 *
 * A stub stands for a stream on its loop: stream, row, deadline. While a worker has the call, the
 * loop touches only its `race` and `flow`; whoever wins the race decides the answer. A stub lives
 * until its stream is gone and its call is home.
 *
 * Threads: the connection's loop.
 */
#pragma once

#include <event2/event_struct.h>

#include "server/base/hash.h"
#include "server/core/throttle.h"
#include "server/front/conn.h"

enum { KV_REQUEST_ID_BYTES = 16 };

struct kv_stub {
    uint64_t serial;
    UT_hash_handle hh;
    kv_stub *prev, *next;   /* of the connection */
    kv_loop *loop;          /* borrowed */
    kv_conn *conn;          /* NULL when it is closed */
    kv_grpc_stream *stream; /* NULL when it is gone */
    const kv_route *route;  /* NULL for health */
    kv_call *call;          /* with a worker or the audit thread; else NULL */
    kv_throttle_turn turn;  /* of that call */
    uint8_t request_id[KV_REQUEST_ID_BYTES];
    kv_deadline deadline;
    struct event timer;
    bool timed;    /* `timer` is set */
    bool answered; /* the stream's end has been submitted */
    bool watches;  /* a health watcher */
    bool known;    /* and its service exists */
    int told;      /* the last health status it was told */
};

/* Takes what the session has to tell. */
void kv_door_events(kv_conn *conn);
/* The connection is closing: its streams are gone. */
void kv_door_abandon(kv_conn *conn);
/* The health status may have changed: tells the watchers. */
void kv_door_tell_serving(kv_conn *conn);

/* Ends the stub's stream with an error, or well when `err` is NULL. */
void kv_door_finish(kv_stub *stub, const kv_error *err);
