/* isolated_lines.h - an isolated module as one list of functions, over several connections at once.
 *
 * A connection of p11-kit's carries one call at a time. So there are KV_LINES of them to one
 * process; each call takes a free line and waits while none is. Sessions and objects belong to the
 * process and are known on every line. A list of functions has no context, so there are
 * KV_LINES_SETS sets of functions: as many modules can be isolated at once.
 *
 * Threads:  the functions of a set any; the rest one at a time.
 * Lifetime: sets are static; nobody is inside at kv_lines_close().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <p11-kit/pkcs11.h>

#include "server/base/error.h"

enum { KV_LINES = 8, KV_LINES_SETS = 4 };

typedef struct kv_lines kv_lines;

/* Takes a free set and makes its lines with `get`, p11-kit's C_GetFunctionList, called KV_LINES
 * times; no connection is made before C_Initialize. KV_UNSUPPORTED when all sets are taken. */
kv_status kv_lines_open(CK_C_GetFunctionList get, kv_lines **out, kv_error *err) KV_MUST_USE;
void kv_lines_close(kv_lines *lines);

/* The functions of pkcs11/isolated_dialect.h, C_Initialize and C_Finalize; all others are NULL. */
CK_FUNCTION_LIST *kv_lines_functions(kv_lines *lines);

/* Has a call been away for longer than `ms`? */
bool kv_lines_overdue(const kv_lines *lines, int64_t ms);
