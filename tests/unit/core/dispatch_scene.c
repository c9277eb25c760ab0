/* dispatch_scene.c - gates that permit what they are told to, and four rows. */
#include "tests/unit/core/dispatch_scene.h"

#include "tests/support/kv_cmocka.h"

typedef struct in {
    kv_target target;
    kv_slice word;
} in;

typedef struct out {
    kv_slice word;
} out;

static scene the_scene; /* the steps of a row get no context */

static kv_status step(char letter, kv_error *err)
{
    size_t len = strlen(the_scene.steps);

    assert_true(len + 1 < sizeof(the_scene.steps));
    the_scene.steps[len] = letter;
    if (the_scene.fail_at == letter)
        return kv_fail(err, KV_DENIED, "refused at %c", letter);
    return KV_OK;
}

static kv_status identify(void *context, kv_call *call)
{
    (void)context;
    assert_slice_equal(KV_SLICE("bearer"), call->credential);
    KV_TRY(step('i', &call->error));
    call->caller.known = true;
    call->caller.principal_id[0] = 7;
    return KV_OK;
}

static kv_status permit(void *context, kv_call *call)
{
    (void)context;
    assert_non_null(kv_call_target(call));
    assert_int_equal(call->credential.len, 0); /* wiped */
    return step('p', &call->error);
}

static void audit_post(void *context, kv_call *calls)
{
    scene *it = context;
    kv_error ignored;

    it->posted = calls;
    for (; calls; calls = calls->next)
        (void)step('A', &ignored);
}

static void audit_refused(void *context, const kv_refused *refused)
{
    kv_error ignored;

    (void)context;
    assert_int_not_equal(refused->error->status, KV_OK);
    (void)step('R', &ignored);
}

static kv_status audit_begin(void *context, kv_call *call)
{
    (void)context;
    return step('B', &call->error);
}

static kv_status decode(kv_slice body, kv_arena *arena, void *to, kv_error *err)
{
    /* A small message has a small budget, however much the call may use later. */
    assert_null(kv_arena_alloc(arena, 1024 * 1024));
    ((in *)to)->word = body;
    return step('d', err);
}

static kv_status encode(const void *from, kv_arena *arena, kv_slice *body, kv_error *err)
{
    KV_TRY(step('e', err));
    return kv_arena_copy(arena, ((const out *)from)->word, body, err);
}

static kv_status run(kv_call *call)
{
    assert_int_equal(call->worker, 3);
    assert_ptr_equal(call->work.caller, &call->caller);
    assert_non_null(kv_arena_alloc(&call->arena, 1024 * 1024)); /* the budget is lifted */
    if (the_scene.leave_in_run)
        assert_true(kv_call_win(call, KV_RACE_LEFT));
    ((out *)call->out)->word = ((in *)call->in)->word;
    return step('r', &call->error);
}

static kv_status run_stream(kv_call *call)
{
    for (unsigned i = 0; i < the_scene.messages; i++) {
        out message = { .word = ((in *)call->in)->word };

        KV_TRY(kv_call_send(call, &message));
    }
    return step('r', &call->error);
}

#define ROW(name_, needs_, run_)                                                     \
    {                                                                                \
        .name = name_, .needs = needs_, .lane = KV_LANE_KEYS, .in_size = sizeof(in), \
        .out_size = sizeof(out), .run = run_, .at = {                                \
            [KV_DOOR_GRPC] = { "/t/" name_, decode, encode }                         \
        }                                                                            \
    }

const kv_route usual = ROW("Usual", KV_MAY_KEYS_READ, run);
const kv_route anyone = ROW("Anyone", KV_MAY_BE_ANYONE, run);
const kv_route forgotten = ROW("Forgotten", KV_MAY_NOTHING, run);
const kv_route stream_row = {
    .name = "Stream",
    .needs = KV_MAY_KEYS_READ,
    .lane = KV_LANE_KEYS,
    .streams = true,
    .in_size = sizeof(in),
    .out_size = sizeof(out),
    .run = run_stream,
    .at = { [KV_DOOR_GRPC] = { "/t/Stream", decode, encode } },
};

int scene_make(void **state)
{
    kv_error err;

    the_scene = (scene){ 0 };
    the_scene.services.gates = (kv_gates){ .identify = identify,
                                           .permit = permit,
                                           .audit_post = audit_post,
                                           .audit_refused = audit_refused,
                                           .audit_begin = audit_begin,
                                           .context = &the_scene };
    assert_kv_ok(kv_mailbox_new(&the_scene.box, &err));
    *state = &the_scene;
    return 0;
}

int scene_drop(void **state)
{
    scene *it = *state;

    kv_mailbox_free(it->box);
    return 0;
}

static void drop_message(kv_mail *mail, void *owner)
{
    (void)owner;
    kv_message_free((kv_message *)((char *)mail - offsetof(kv_message, mail)));
}

kv_call *make_call(scene *it, const kv_route *route, int64_t ms)
{
    const uint8_t id[16] = { 42 };
    kv_peer peer = { .has_certificate = true, .address = "192.0.2.1:99" };
    kv_call_start start = { .services = &it->services,
                            .route = route,
                            .ticket = { .home = it->box, .serial = 5 },
                            .peer = &peer,
                            .request_id = id,
                            .credential = KV_SLICE("bearer"),
                            .body = KV_SLICE("word"),
                            .deadline = kv_deadline_in_ms(ms),
                            .memory_bytes = 4 * 1024 * 1024 };
    kv_call *call;
    kv_error err;

    assert_kv_ok(kv_call_make(&start, &call, &err));
    call->deliver_message = drop_message;
    if (route->streams)
        call->flow = kv_flow_new(100, 1000000);
    return call;
}

void serve(kv_call *call)
{
    kv_worker worker = { .index = 3 };

    kv_dispatch(&call->task, &worker);
    kv_dispatch_flush(&worker);
    assert_null(worker.done);
}
