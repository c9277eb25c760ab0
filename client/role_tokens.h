/* role_tokens.h - the role tokens of one handle: asked for once, kept, renewed before they end.
 *
 * Which token a call needs follows from what it touches and from the caller's assignments, which
 * WhoAmI tells (role_choice.h). Tokens are kept by (roles, scope). Callers that want the same one
 * wait for one answer; nobody waits longer than the own deadline.
 *
 * Threads: any. Callbacks run on the thread that asks, or on the one that completes what was sent;
 * no lock is held meanwhile.
 */
#pragma once

#include "client/channel.h"
#include "client/keyvault.h"
#include "server/base/clock.h"

typedef struct kv_role_tokens kv_role_tokens;

/* As kv_channel_start. */
typedef kv_status kv_role_tokens_send(void *context, const kv_channel_request *request,
                                      kv_channel_done *done, void *done_context, kv_error *err);

typedef struct kv_role_tokens_config {
    kv_role_tokens_send *send;
    void *context;    /* of send; borrowed */
    const int *roles; /* to use; copied. None: all that are held */
    size_t role_count;
    const char *scope; /* copied; with roles: nobody is asked who we are */
    uint32_t seconds;  /* to ask for; 0: the server's default */
    kv_clock clock;
} kv_role_tokens_config;

/* INVALID_ARGUMENT for too many roles or a scope that is none. */
int kv_role_tokens_new(const kv_role_tokens_config *config, kv_role_tokens **out,
                       keyvault_error *err);
/* Nothing may be on its way any more. */
void kv_role_tokens_free(kv_role_tokens *tokens);

/* `err->code` is 0 and `token` borrowed for the duration, or there is none. */
typedef void kv_role_tokens_done(void *context, kv_slice token, const keyvault_error *err);

/* A token for what touches `target` (lower case). `done` runs once in every case, perhaps before
 * this returns. */
void kv_role_tokens_get(kv_role_tokens *tokens, const char *target, kv_deadline deadline,
                        kv_role_tokens_done *done, void *context);
/* The server refused it as expired or revoked: it is not given out again. */
void kv_role_tokens_drop(kv_role_tokens *tokens, kv_slice token);
/* A call was denied: the assignments may have changed since they were asked for. Asked again for
 * the next call, but not more often than every ten seconds. */
void kv_role_tokens_denied(kv_role_tokens *tokens);
