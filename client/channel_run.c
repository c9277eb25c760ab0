/* channel_run.c - the channel's thread: orders in, calls to connections, ends to their callers. */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <utlist.h>

#include "client/channel_link.h"

enum {
    CODE_CANCELLED = 1,
    CODE_DEADLINE = 4,
    CODE_UNAVAILABLE = 14,
    FIRST_POLLED = 8,
    MOST_WAIT_US = 60000000
};

static int64_t us_of(kv_deadline deadline)
{
    return (int64_t)deadline.at.tv_sec * 1000000 + deadline.at.tv_nsec / 1000;
}

static void note_due(kv_channel *channel, kv_deadline deadline)
{
    if (us_of(deadline) < channel->due_us)
        channel->due_us = us_of(deadline);
}

/* --- ends --- */

static void go_to(kv_channel *channel, size_t endpoint)
{
    channel->at = endpoint % channel->endpoint_count;
    pthread_mutex_lock(&channel->mutex);
    channel->counts.endpoint = (int)channel->at;
    pthread_mutex_unlock(&channel->mutex);
}

/* Away from a server that answers but does not serve: what is in flight there stays. */
static void avoid(kv_channel *channel, const kv_link *link)
{
    if (channel->endpoint_count < 2 || link->endpoint != &channel->endpoints[channel->at])
        return;
    if (channel->current)
        channel->current->leaving = true;
    channel->current = NULL;
    go_to(channel, channel->at + 1);
}

static void take_events(kv_link *link)
{
    kv_grpc_client_event event;

    while (kv_grpc_client_next(link->session, &event)) {
        kv_channel_op *op = event.user;

        if (event.kind == KV_GRPC_CLIENT_END) {
            DL_DELETE(link->ops, op);
            kv_shown_judged(&link->shown, op, event.code);
            if (event.code == CODE_UNAVAILABLE)
                avoid(link->channel, link);
            kv_op_end(op, &event);
        } else if (!kv_op_message(op, event.message)) {
            kv_grpc_client_cancel(op->call, CODE_CANCELLED);
        }
    }
}

static void drop_link(kv_channel *channel, kv_link *link, const char *why)
{
    kv_grpc_client_fail(link->session, why);
    take_events(link);
    DL_DELETE(channel->links, link);
    if (channel->current == link)
        channel->current = NULL;
    kv_link_free(link);
}

static void fail_waiting(kv_channel *channel, const char *why)
{
    while (channel->waiting) {
        kv_channel_op *op = channel->waiting;

        DL_DELETE(channel->waiting, op);
        kv_op_fail(op, CODE_UNAVAILABLE, true, why);
    }
}

/* A connection that never came up takes the calls that waited for it along, unless there is another
 * server to try. */
static void unreachable(kv_channel *channel, const char *why)
{
    go_to(channel, channel->at + 1);
    if (++channel->tried < channel->endpoint_count)
        return;
    channel->tried = 0;
    fail_waiting(channel, why);
}

static void lose_link(kv_channel *channel, kv_link *link, const kv_error *err)
{
    bool young = link == channel->current && link->state != KV_LINK_OPEN;

    drop_link(channel, link, err->message);
    if (young)
        unreachable(channel, err->message);
}

/* --- calls --- */

static void start_op(kv_channel *channel, kv_channel_op *op)
{
    kv_link *link = channel->current;
    kv_grpc_client_request request = {
        .path = op->path,
        .authority = link->endpoint->authority,
        .credential = kv_shown_credential(&link->shown, op),
        .idempotency_key = op->idempotency_key ? kv_slice_text(op->idempotency_key) : KV_SLICE_NONE,
        .timeout_ms = kv_deadline_left_ms(op->deadline),
        .message = kv_buffer_slice(&op->message),
        .held = op->stream != NULL,
        .user = op,
    };
    kv_error err;

    DL_DELETE(channel->waiting, op);
    if (kv_grpc_client_start(link->session, &request, &op->call, &err) != KV_OK) {
        kv_op_fail(op, CODE_UNAVAILABLE, true, err.message);
        return;
    }
    kv_buffer_cleanup(&op->credential);
    kv_buffer_cleanup(&op->message);
    op->link = link;
    DL_APPEND(link->ops, op);
}

static void start_waiting(kv_channel *channel)
{
    kv_error err;

    if (channel->current && channel->current->state == KV_LINK_OPEN) {
        channel->tried = 0;
        if (kv_grpc_client_leaving(channel->current->session)) {
            channel->current->leaving = true;
            channel->current = NULL;
        }
    }
    while (channel->waiting && !channel->current) {
        channel->current = kv_link_new(channel, &err);
        if (!channel->current) {
            unreachable(channel, err.message);
            continue;
        }
        DL_APPEND(channel->links, channel->current);
        note_due(channel, channel->current->move_by);
    }
    while (channel->waiting && channel->current->state == KV_LINK_OPEN &&
           kv_grpc_client_has_room(channel->current->session))
        start_op(channel, channel->waiting);
}

/* What the readers of streams have done since. */
static void look_at_streams(kv_channel_op *ops)
{
    kv_channel_op *op, *next;

    DL_FOREACH_SAFE (ops, op, next) {
        bool closed;
        size_t taken;

        if (!op->stream)
            continue;
        pthread_mutex_lock(&op->channel->mutex);
        closed = op->stream->closed;
        taken = op->stream->taken;
        op->stream->taken = 0;
        pthread_mutex_unlock(&op->channel->mutex);
        if (taken && op->call)
            kv_grpc_client_taken(op->call, taken);
        if (closed && op->call)
            kv_grpc_client_cancel(op->call, CODE_CANCELLED);
    }
}

/* A stream that its reader closed before it was started. */
static void drop_closed_waiting(kv_channel *channel)
{
    kv_channel_op *op, *next;

    DL_FOREACH_SAFE (channel->waiting, op, next) {
        bool closed = false;

        if (op->stream) {
            pthread_mutex_lock(&channel->mutex);
            closed = op->stream->closed;
            pthread_mutex_unlock(&channel->mutex);
        }
        if (closed) {
            DL_DELETE(channel->waiting, op);
            kv_op_fail(op, CODE_CANCELLED, true, "the caller cancelled");
        }
    }
}

static void sort_orders(kv_channel *channel, kv_channel_op *orders)
{
    kv_channel_op *op, *next;

    DL_FOREACH_SAFE (orders, op, next) {
        DL_DELETE(orders, op);
        note_due(channel, op->deadline);
        if (kv_deadline_passed(op->not_before)) {
            DL_APPEND(channel->waiting, op);
            continue;
        }
        note_due(channel, op->not_before);
        DL_APPEND(channel->later, op);
    }
}

/* True when the channel is to end. */
static bool take_orders(kv_channel *channel)
{
    kv_channel_op *orders;
    kv_link *link;
    bool look, stopping;

    pthread_mutex_lock(&channel->mutex);
    orders = channel->orders;
    channel->orders = NULL;
    look = channel->look;
    channel->look = false;
    stopping = channel->stopping;
    pthread_mutex_unlock(&channel->mutex);

    sort_orders(channel, orders);
    if (look) {
        drop_closed_waiting(channel);
        DL_FOREACH (channel->links, link)
            look_at_streams(link->ops);
    }
    return stopping;
}

/* --- time --- */

/* What was put off until now waits like the others. */
static void wake_later(kv_channel *channel, int64_t now_us)
{
    kv_channel_op *op, *next;

    DL_FOREACH_SAFE (channel->later, op, next) {
        if (us_of(op->not_before) > now_us && us_of(op->deadline) > now_us) {
            note_due(channel, op->not_before);
            note_due(channel, op->deadline);
            continue;
        }
        DL_DELETE(channel->later, op);
        DL_APPEND(channel->waiting, op);
    }
}

/* Ends what is late and finds out when to look again. */
static void expire(kv_channel *channel, int64_t now_us)
{
    kv_channel_op *op, *next;
    kv_link *link;

    channel->due_us = now_us + MOST_WAIT_US;
    wake_later(channel, now_us);
    DL_FOREACH_SAFE (channel->waiting, op, next) {
        if (us_of(op->deadline) > now_us) {
            note_due(channel, op->deadline);
            continue;
        }
        DL_DELETE(channel->waiting, op);
        kv_op_fail(op, CODE_DEADLINE, true, "the deadline has passed");
    }
    DL_FOREACH (channel->links, link) {
        DL_FOREACH_SAFE (link->ops, op, next) {
            if (us_of(op->deadline) <= now_us)
                kv_grpc_client_cancel(op->call, CODE_DEADLINE);
            else
                note_due(channel, op->deadline);
        }
        if (link->state != KV_LINK_OPEN)
            note_due(channel, link->state == KV_LINK_CONNECTING ? link->move_by : link->connect_by);
    }
}

/* With many calls in flight this does not look at each of them at every turn, only when the first
 * may be due. */
static void expire_due(kv_channel *channel)
{
    int64_t now_us = kv_monotonic_us();

    if (now_us >= channel->due_us)
        expire(channel, now_us);
}

/* Milliseconds until something may be late. */
static int wait_of(const kv_channel *channel)
{
    int64_t now_us = kv_monotonic_us();

    return channel->due_us > now_us ? (int)((channel->due_us - now_us) / 1000 + 1) : 0;
}

/* --- the loop --- */

static void serve_link(kv_channel *channel, kv_link *link, short events)
{
    kv_error err;
    kv_status status = KV_OK;

    if (events ||
        (link->state == KV_LINK_CONNECTING && link->address && kv_deadline_passed(link->move_by)))
        status = kv_link_step(link, events, &err);
    if (status == KV_OK && link->state == KV_LINK_CONNECTING)
        note_due(channel, link->move_by);
    if (status == KV_OK && link->state != KV_LINK_OPEN && kv_deadline_passed(link->connect_by))
        status = kv_link_late(link, &err);
    take_events(link);
    if (status != KV_OK)
        lose_link(channel, link, &err);
}

static void flush_links(kv_channel *channel)
{
    kv_link *link, *next;
    kv_error err;

    DL_FOREACH_SAFE (channel->links, link, next) {
        if (kv_link_flush(link, &err) != KV_OK)
            lose_link(channel, link, &err);
        else if (link->leaving && !kv_grpc_client_open_calls(link->session))
            drop_link(channel, link, "");
        else
            take_events(link);
    }
}

/* Whoever orders from now on writes to the eventfd. False when there are orders already. */
static bool fall_asleep(kv_channel *channel)
{
    bool idle;

    pthread_mutex_lock(&channel->mutex);
    idle = !channel->orders;
    channel->asleep = idle;
    pthread_mutex_unlock(&channel->mutex);
    return idle;
}

static void wake_up(kv_channel *channel)
{
    pthread_mutex_lock(&channel->mutex);
    channel->asleep = false;
    pthread_mutex_unlock(&channel->mutex);
}

/* What is polled, the eventfd first. Connections that take no new calls have one that runs each, so
 * there are no more of them than the program has calls. */
typedef struct watched {
    struct pollfd *fds;
    kv_link **links;
    size_t room;
} watched;

/* False when out of memory. */
static bool make_room(watched *all, size_t needed)
{
    size_t room = all->room ? 2 * all->room : FIRST_POLLED;
    struct pollfd *fds;
    kv_link **links;

    if (needed <= all->room)
        return true;
    fds = reallocarray(all->fds, room, sizeof(*fds));
    all->fds = fds ? fds : all->fds;
    links = reallocarray(all->links, room, sizeof(kv_link *));
    all->links = links ? links : all->links;
    if (!fds || !links)
        return false;
    all->room = room;
    return true;
}

/* All, or what there is room for. */
static nfds_t list_links(const kv_channel *channel, watched *all)
{
    nfds_t count = 0;
    kv_link *link;

    if (!make_room(all, 1))
        return 0;
    all->fds[count++] = (struct pollfd){ .fd = channel->wake, .events = POLLIN };
    DL_FOREACH (channel->links, link) {
        if (!make_room(all, count + 1))
            break;
        all->fds[count] = (struct pollfd){ .fd = link->fd, .events = kv_link_poll_events(link) };
        all->links[count++] = link;
    }
    return count;
}

static void wait_and_serve(kv_channel *channel, watched *all, int wait_ms)
{
    nfds_t count = list_links(channel, all);
    uint64_t ignored;

    /* Without memory for anything: a moment later perhaps. */
    (void)poll(all->fds, count, fall_asleep(channel) ? (count ? wait_ms : 1) : 0);
    wake_up(channel);
    if (count && all->fds[0].revents && read(channel->wake, &ignored, sizeof(ignored)) < 0)
        ignored = 0; /* somebody else's wake-up: look all the same */
    for (nfds_t i = 1; i < count; i++)
        serve_link(channel, all->links[i], all->fds[i].revents);
}

void *kv_channel_run(void *argument)
{
    kv_channel *channel = argument;
    watched polled = { 0 };
    sigset_t all;

    /* Signals are the program's; SIGPIPE above all must not reach it because of us. */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, NULL);

    while (!take_orders(channel)) {
        expire_due(channel);
        start_waiting(channel);
        flush_links(channel);
        start_waiting(channel);
        flush_links(channel);
        wait_and_serve(channel, &polled, wait_of(channel));
    }
    DL_CONCAT(channel->waiting, channel->later);
    channel->later = NULL;
    fail_waiting(channel, "the channel is closed");
    while (channel->links)
        drop_link(channel, channel->links, "the channel is closed");
    free(polled.fds);
    free(polled.links);
    return NULL;
}
