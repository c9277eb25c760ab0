/* program.h - runs a program of the operator's and waits for its end.
 *
 * No shell, an environment of PATH and LANG alone, no open files but the three, a process group of
 * its own that is killed as a whole: when its time is up, when the server stops, and when the
 * program has ended and left others behind.
 *
 * Threads: any that may block.
 */
#pragma once

#include <stdatomic.h>

#include "server/base/arena.h"
#include "server/base/clock.h"
#include "server/base/error.h"

enum { KV_PROGRAM_SAID = 128, KV_PROGRAM_INPUT = 4096 };

typedef struct kv_program {
    const char *const *argv; /* NULL-terminated; the first is an absolute path */
    kv_slice input;          /* of its standard input, at most KV_PROGRAM_INPUT bytes */
    kv_deadline deadline;
    const atomic_bool *stopping; /* borrowed; NULL: nobody stops it */
} kv_program;

typedef struct kv_program_end {
    int status; /* of its exit; a signal that ended it counts from 128 */
    /* The end of what it printed, in one line of printable ASCII; NUL-terminated. */
    char said[KV_PROGRAM_SAID];
} kv_program_end;

/* May this server run it? It must be an executable file that belongs to root or to the server's
 * user and that nobody else may write, in folders of which the same is true (or that are sticky).
 * `*out` is the path without symbolic links, in the arena. KV_PRECONDITION, saying why not. */
kv_status kv_program_check(const char *path, kv_arena *arena, const char **out,
                           kv_error *err) KV_MUST_USE;

/* KV_OK whatever its status is. KV_TIMEOUT: it was killed; KV_CANCELLED: so it was, as the server
 * stops; KV_PRECONDITION: it cannot be started; KV_UNAVAILABLE: no process or descriptor is left.
 * `out` is filled in every case. */
kv_status kv_program_run(const kv_program *program, kv_program_end *out, kv_error *err) KV_MUST_USE;
