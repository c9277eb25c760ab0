/* client_call.c - a unary call: a role token, the request, the answer, perhaps once again. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "client/client_private.h"
#include "server/base/secret_buf.h"
#include "server/base/text.h"
#include "server/front/grpc/memory.h"

enum { FIRST_PAUSE_MS = 50, LONGEST_PAUSE_MS = 2000, KEY_BYTES = 65, KEY_RANDOM = 16 };

/* One call on its way. Belongs to nobody but the callback that comes next. */
typedef struct call {
    keyvault *handle;
    char *path;
    kv_method method;
    char target[KV_SCOPE_BYTES];
    kv_slice packed;
    kv_deadline deadline;
    kv_secret_buf token;
    char key[KEY_BYTES];    /* idempotency key of a call that changes something; else empty */
    uint32_t repeats;       /* not counted: the one for a new role token */
    bool renewed;           /* that one was made */
    bool whole;             /* the server did not know the digest of the role token */
    kv_deadline not_before; /* of the next try */
    keyvault_done *done;
    void *context;
} call;

static void call_free(call *it)
{
    kv_wiping_free((void *)(uintptr_t)it->packed.data);
    kv_secret_buf_cleanup(&it->token);
    free(it->path);
    free(it);
}

static void finish(call *it, ProtobufCMessage *response, const keyvault_error *err)
{
    keyvault_done *done = it->done;
    void *context = it->context;

    call_free(it);
    done(context, response, err);
}

static void finish_well(call *it, kv_slice message)
{
    keyvault_error err = { 0 };
    ProtobufCMessage *response = NULL;

    (void)kv_client_unpack(it->method.output, message, &response, &err);
    finish(it, response, &err);
}

static void begin(call *it);

/* --- again --- */

static bool is_safe(const call *it, bool unsent, const keyvault_error *err)
{
    bool harmless = it->method.repeatable || it->key[0];

    if (err->code == KV_CODE_UNAVAILABLE)
        return unsent || harmless;
    /* The one that was sent before may still be at work. */
    if (err->code == KV_CODE_ABORTED)
        return it->key[0] && it->repeats;
    return err->code == KV_CODE_RESOURCE_EXHAUSTED && err->retry_ms && harmless;
}

/* How long to wait before the next try. A call that was surely not sent is tried again at once the
 * first time, and another server need not wait for the one that failed. */
static int64_t pause_of(const call *it, bool unsent, const keyvault_error *err)
{
    int64_t most = FIRST_PAUSE_MS;

    if (err->code == KV_CODE_UNAVAILABLE &&
        (it->repeats + 1 < it->handle->endpoints || (unsent && !it->repeats)))
        return 0;
    for (uint32_t i = 0; i < it->repeats && most < LONGEST_PAUSE_MS; i++)
        most *= 2;
    most = most / 2 + kv_monotonic_us() % (most / 2 + 1); /* so that many clients do not agree */
    return most > (int64_t)err->retry_ms ? most : (int64_t)err->retry_ms;
}

/* Whether it is worth, and safe, to send the call again. Then *not_before is set. */
static bool may_repeat(call *it, const kv_channel_result *result, const keyvault_error *err)
{
    bool unsent = result->unsent;
    int64_t pause;

    if (atomic_load(&it->handle->closing) || kv_deadline_passed(it->deadline))
        return false;
    if (result->digest && !it->whole &&
        !strcmp(err->reason, kv_reason_name(KV_REASON_TOKEN_INVALID))) {
        it->whole = true;
        return true;
    }
    if (kv_client_token_refused(err) && !it->renewed) {
        it->renewed = true;
        kv_client_drop_token(it->handle, kv_secret_buf_slice(&it->token));
        return true;
    }
    if (it->repeats + 1 >= it->handle->attempts || !is_safe(it, unsent, err))
        return false;
    pause = pause_of(it, unsent, err);
    if (pause >= kv_deadline_left_ms(it->deadline))
        return false;
    it->repeats++;
    it->not_before = kv_deadline_in_ms(pause);
    return true;
}

static void answered(void *context, const kv_channel_result *result, const kv_error *err)
{
    call *it = context;
    keyvault_error failed;

    if (result->status == KV_OK) {
        finish_well(it, result->message);
        return;
    }
    (void)kv_failure_from_server(&failed, result->code, err->message, result->details);
    if (may_repeat(it, result, &failed)) {
        begin(it);
        return;
    }
    if (failed.code == KV_CODE_PERMISSION_DENIED)
        kv_role_tokens_denied(it->handle->tokens);
    finish(it, NULL, &failed);
}

static void send_call(call *it)
{
    const kv_channel_request request = {
        .path = it->path,
        .credential = kv_secret_buf_slice(&it->token),
        .digest = !it->whole,
        .idempotency_key = it->key[0] ? it->key : NULL,
        .message = it->packed,
        .deadline = it->deadline,
        .not_before = it->not_before,
    };
    keyvault_error failed;
    kv_error err = { 0 };

    if (kv_client_send(it->handle, &request, answered, it, &err) == KV_OK)
        return;
    (void)kv_failure_of(&failed, &err);
    finish(it, NULL, &failed);
}

static void token_ready(void *context, kv_slice token, const keyvault_error *err)
{
    call *it = context;
    keyvault_error failed = *err;
    kv_error copying;

    kv_secret_buf_cleanup(&it->token);
    if (!failed.code && kv_secret_buf_copy(token, &it->token, &copying) != KV_OK)
        (void)kv_failure_of(&failed, &copying);
    if (!failed.code)
        send_call(it);
    else if (failed.code == KV_CODE_UNAVAILABLE &&
             may_repeat(it, &(kv_channel_result){ .unsent = true }, &failed))
        begin(it); /* the call itself was not sent */
    else
        finish(it, NULL, &failed);
}

static void begin(call *it)
{
    if (!kv_client_wants_token(it->handle, &it->method, it->path))
        send_call(it);
    else
        kv_client_get_token(it->handle, it->target, it->deadline, token_ready, it);
}

/* The caller's own, or one that nobody else has. */
static int choose_key(call *it, const keyvault_options *options, keyvault_error *err)
{
    const char *given = options ? options->idempotency_key : NULL;
    uint8_t random[KEY_RANDOM];

    if (it->method.repeatable)
        return 0;
    if (given && (!*given || strlen(given) >= sizeof(it->key)))
        return kv_failure(err, KV_CODE_INVALID_ARGUMENT,
                          "an idempotency key has 1 to 64 characters");
    if (given) {
        memcpy(it->key, given, strlen(given) + 1);
        return 0;
    }
    if (!kv_random_id(random, sizeof(random)))
        return kv_failure(err, KV_CODE_UNAVAILABLE, "no random bytes");
    kv_hex(kv_slice_of(random, sizeof(random)), it->key);
    return 0;
}

static int fill(call *it, const ProtobufCMessage *request, keyvault_error *err)
{
    it->method.open = kv_method_open(&it->method, request);
    if (!kv_method_scope(&it->method, request, it->target))
        return kv_failure(err, KV_CODE_INVALID_ARGUMENT, "the name is too long");
    if (!it->path)
        return kv_failure(err, KV_CODE_UNAVAILABLE, "out of memory");
    return kv_client_pack(request, &it->packed, err);
}

int keyvault_submit(keyvault *handle, const char *path, const ProtobufCMessage *request,
                    keyvault_done *done, void *context, const keyvault_options *options,
                    keyvault_error *err)
{
    kv_method method;
    int code = kv_client_method(path, request, false, &method, err);
    call *it;

    if (code)
        return code;
    it = calloc(1, sizeof(*it));
    if (!it)
        return kv_failure(err, KV_CODE_UNAVAILABLE, "out of memory");
    *it = (call){ .handle = handle,
                  .path = strdup(path),
                  .method = method,
                  .deadline = kv_client_deadline(handle, options),
                  .done = done,
                  .context = context };
    code = choose_key(it, options, err);
    if (!code)
        code = fill(it, request, err);
    if (code) {
        call_free(it);
        return code;
    }
    begin(it);
    return 0;
}

/* --- blocking --- */

typedef struct waiter {
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t ended;
    bool over;
    ProtobufCMessage *response;
    keyvault_error err;
} waiter;

static void end_wait(void *context, ProtobufCMessage *response, const keyvault_error *err)
{
    waiter *me = context;

    pthread_mutex_lock(&me->mutex);
    me->response = response;
    me->err = *err;
    me->over = true;
    pthread_cond_signal(&me->ended);
    pthread_mutex_unlock(&me->mutex);
}

int keyvault_call(keyvault *handle, const char *path, const ProtobufCMessage *request,
                  ProtobufCMessage **response, const keyvault_options *options, keyvault_error *err)
{
    waiter me = { .mutex = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER };
    int code = keyvault_submit(handle, path, request, end_wait, &me, options, err);

    if (code)
        return code;
    /* The deadline is the handle's business: it ends every call. */
    pthread_mutex_lock(&me.mutex);
    while (!me.over)
        pthread_cond_wait(&me.ended, &me.mutex);
    pthread_mutex_unlock(&me.mutex);
    if (me.err.code) {
        if (err)
            *err = me.err;
        return me.err.code;
    }
    *response = me.response;
    return 0;
}
