/* handshake.h - one step of a TLS handshake as a job of the handshake lane.
 *
 * The loop hands the SSL object over with the bytes in its BIO and takes it back by mail; a token
 * that signs slowly never stops a loop, and a slow client never holds a thread.
 */
#pragma once

#include "server/front/conn.h"

/* Gives the connection's SSL object to a worker; kv_conn_handshake_done() is called on the loop.
 * The lane's error when it has no room: the SSL object stays here. */
kv_status kv_handshake_step(kv_conn *conn, kv_error *err) KV_MUST_USE;
