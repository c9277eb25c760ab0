/* signals.h - SIGTERM, SIGINT and SIGHUP, taken by a thread of their own: they count whatever the
 * main thread is in, and a process that was told to end does, also with a call inside a PKCS#11
 * module that never comes back.
 *
 * Threads: any, but start and free: the main thread.
 */
#pragma once

#include "server/base/error.h"
#include "server/base/log.h"

typedef struct kv_signals kv_signals;

typedef enum kv_signal { KV_SIGNAL_STOP, KV_SIGNAL_RELOAD } kv_signal;

/* Blocks the signals, and SIGPIPE, in this thread and in those that it makes: before any other
 * thread. `log` is borrowed. KV_UNAVAILABLE when the thread cannot be started, KV_BUSY (memory). */
kv_status kv_signals_start(kv_log *log, kv_signals **out, kv_error *err) KV_MUST_USE;

/* How long the process may take to end from the first SIGTERM or SIGINT, or kv_signals_end(), on;
 * after that the log says `server.stop_forced`, and it is ended with status 1: what was
 * acknowledged is on the disk then, as after SIGKILL. 60 until it is set. */
void kv_signals_set_grace(kv_signals *signals, unsigned seconds);

/* Waits for the next: KV_SIGNAL_RELOAD once for all SIGHUP since the last one, KV_SIGNAL_STOP
 * always after it was given once. */
kv_signal kv_signals_wait(kv_signals *signals);

/* Has SIGTERM or SIGINT come? */
bool kv_signals_stopping(kv_signals *signals);

/* The process is about to end, as if SIGTERM had come. */
void kv_signals_end(kv_signals *signals);

/* There is nothing left that could hang. NULL is fine. */
void kv_signals_free(kv_signals *signals);
