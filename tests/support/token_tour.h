/* token_tour.h - everything the token layer is asked for, against a token that lies.
 *
 * A token with keys of every class is made once on the fake. Each tour opens it through the liar,
 * with no threads about, and takes steps: each is a use of the interface of pkcs11/ as the server
 * makes it, with right arguments. Afterwards the token is as it was before.
 *
 * A step gives the status of what it did, and ends the process (abort) when something is true that
 * must not be, whatever the token says: a result longer than its room, a success without a result,
 * more questions to the token than anything should need.
 *
 * Threads: one.
 */
#pragma once

#include "server/base/error.h"
#include "tests/support/lying_token.h"

/* Makes the token. Once for the process. */
void kv_tour_prepare(void);

/* The keys etc. are opened with these lies from the first call on. When that fails, which `err`
 * tells, the other functions do nothing until the next one. */
kv_status kv_tour_begin(const kv_lie *lies, size_t count, kv_error *err) KV_MUST_USE;
/* Other lies from here on; calls count from one again. */
void kv_tour_lie(const kv_lie *lies, size_t count);

/* Name of step `index`, NULL past the end. */
const char *kv_tour_name(size_t index);
kv_status kv_tour_step(size_t index, kv_error *err) KV_MUST_USE;
/* By its name. */
kv_status kv_tour_do(const char *name, kv_error *err) KV_MUST_USE;

/* Closes the tokens, still lying, and forgets what was made since the beginning. */
void kv_tour_end(void);
