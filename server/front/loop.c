/* loop.c - one thread, one event base, one mailbox. */
#include "server/front/loop.h"

#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <utlist.h>

#include "server/front/conn.h"
#include "server/front/grpc/door.h"
#include "server/front/grpc/memory.h"
#include "server/front/listener.h"

enum { SECOND_GOAWAY_MS = 50 };

/* A descriptor on its way from the listener's loop. */
typedef struct arrival {
    kv_mail mail;
    int fd;
    char host[64];
    char address[64];
} arrival;

void kv_loop_mark_dirty(kv_loop *loop, kv_conn *conn)
{
    if (conn->dirty || conn->state == KV_CONN_CLOSED)
        return;
    conn->dirty = true;
    DL_APPEND2(loop->dirty, conn, dirty_prev, dirty_next);
}

void kv_loop_flush(kv_loop *loop)
{
    while (loop->dirty) {
        kv_conn *conn = loop->dirty;

        DL_DELETE2(loop->dirty, conn, dirty_prev, dirty_next);
        conn->dirty = false;
        kv_conn_flush(conn);
    }
}

static void on_mail(evutil_socket_t fd, short what, void *context)
{
    kv_loop *loop = context;
    kv_mail *mail = kv_mailbox_take_all(loop->box);

    (void)fd;
    (void)what;
    while (mail) {
        kv_mail *next = mail->next;

        mail->deliver(mail, loop);
        mail = next;
    }
    kv_loop_flush(loop);
}

static void on_tick(evutil_socket_t fd, short what, void *context)
{
    kv_loop *loop = context;
    int64_t now_us = kv_monotonic_us();
    kv_conn *conn, *next;

    (void)fd;
    (void)what;
    loop->crowded = kv_peers_crowded(loop->front->peers);
    DL_FOREACH_SAFE (loop->conns, conn, next)
        kv_conn_tick(conn, now_us);
    if (loop->index == 0)
        kv_lanes_tick(loop->front->lanes);
    kv_loop_flush(loop);
}

static void on_second_goaway(evutil_socket_t fd, short what, void *context)
{
    kv_loop *loop = context;
    kv_conn *conn;

    (void)fd;
    (void)what;
    DL_FOREACH (loop->conns, conn) {
        if (conn->state != KV_CONN_OPEN)
            continue;
        kv_grpc_session_end(conn->session);
        kv_loop_mark_dirty(loop, conn);
    }
    kv_loop_flush(loop);
}

static void deliver_drain(kv_mail *mail, void *owner)
{
    kv_loop *loop = owner;
    struct timeval soon = { .tv_usec = SECOND_GOAWAY_MS * 1000 };
    kv_conn *conn, *next;

    (void)mail;
    loop->draining = true;
    if (loop->index == 0)
        kv_listener_stop(loop->front->listener);
    DL_FOREACH_SAFE (loop->conns, conn, next) {
        if (conn->state == KV_CONN_HANDSHAKE) {
            kv_conn_close(conn);
            continue;
        }
        kv_door_tell_serving(conn);
        kv_grpc_session_announce_end(conn->session);
        kv_loop_mark_dirty(loop, conn);
    }
    (void)event_add(loop->goaway_event, &soon);
}

static void deliver_serving(kv_mail *mail, void *owner)
{
    kv_loop *loop = owner;
    kv_conn *conn;

    free(mail);
    DL_FOREACH (loop->conns, conn)
        if (conn->state == KV_CONN_OPEN)
            kv_door_tell_serving(conn);
}

/* New numbers on their way. */
typedef struct tuning {
    kv_mail mail;
    kv_front_config config;
} tuning;

static void deliver_tuning(kv_mail *mail, void *owner)
{
    tuning *tuned = (tuning *)((char *)mail - offsetof(tuning, mail));
    kv_loop *loop = owner;

    loop->config = tuned->config;
    free(tuned);
}

void kv_loop_tune(kv_loop *loop, const kv_front_config *config)
{
    tuning *tuned = calloc(1, sizeof(*tuned));

    if (!tuned)
        return;
    *tuned = (tuning){ .mail.deliver = deliver_tuning, .config = *config };
    kv_mailbox_post(loop->box, &tuned->mail);
}

static void deliver_cut(kv_mail *mail, void *owner)
{
    kv_loop *loop = owner;
    kv_conn *conn, *next;

    (void)mail;
    loop->draining = true;
    DL_FOREACH_SAFE (loop->conns, conn, next)
        kv_conn_close(conn);
}

static void deliver_stop(kv_mail *mail, void *owner)
{
    kv_loop *loop = owner;

    deliver_cut(mail, owner);
    (void)event_base_loopbreak(loop->base);
}

static void *run(void *argument)
{
    kv_loop *loop = argument;
    sigset_t all;

    /* Signals are for the main thread. */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, NULL);
    (void)event_base_dispatch(loop->base);
    return NULL;
}

static struct event_base *make_base(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base = NULL;

    if (config && !event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK))
        base = event_base_new_with_config(config);
    if (config)
        event_config_free(config);
    return base;
}

static bool make_events(kv_loop *loop)
{
    const struct timeval tick = { .tv_usec = KV_TICK_MS * 1000 };

    loop->mail_event =
        event_new(loop->base, kv_mailbox_fd(loop->box), EV_READ | EV_PERSIST, on_mail, loop);
    loop->tick_event = event_new(loop->base, -1, EV_PERSIST, on_tick, loop);
    loop->goaway_event = evtimer_new(loop->base, on_second_goaway, loop);
    return loop->mail_event && loop->tick_event && loop->goaway_event &&
           !event_add(loop->mail_event, NULL) && !event_add(loop->tick_event, &tick);
}

kv_status kv_loop_open(kv_loop *loop, kv_front *front, unsigned index, kv_error *err)
{
    loop->front = front;
    loop->index = index;
    loop->config = front->config;
    loop->drain_order.deliver = deliver_drain;
    loop->cut_order.deliver = deliver_cut;
    loop->stop_order.deliver = deliver_stop;
    KV_TRY(kv_mailbox_new(&loop->box, err));
    loop->base = make_base();
    loop->scratch = kv_wiping_malloc(KV_LOOP_SCRATCH_BYTES);
    if (!loop->base || !loop->scratch || !make_events(loop))
        return kv_fail(err, KV_UNAVAILABLE, "an event loop could not be made");
    return KV_OK;
}

kv_status kv_loop_start(kv_loop *loop, kv_error *err)
{
    if (pthread_create(&loop->thread, NULL, run, loop))
        return kv_fail(err, KV_UNAVAILABLE, "a loop thread could not be started");
    loop->started = true;
    return KV_OK;
}

void kv_loop_stop(kv_loop *loop)
{
    kv_mail *mail;

    if (!loop->started)
        return;
    kv_mailbox_post(loop->box, &loop->stop_order);
    (void)pthread_join(loop->thread, NULL);
    loop->started = false;
    /* What arrived behind the order: sockets are closed, calls are freed. */
    mail = kv_mailbox_take_all(loop->box);
    while (mail) {
        kv_mail *next = mail->next;

        mail->deliver(mail, loop);
        mail = next;
    }
}

void kv_loop_close(kv_loop *loop)
{
    if (loop->mail_event)
        event_free(loop->mail_event);
    if (loop->tick_event)
        event_free(loop->tick_event);
    if (loop->goaway_event)
        event_free(loop->goaway_event);
    if (loop->base)
        event_base_free(loop->base);
    kv_mailbox_free(loop->box);
    kv_wiping_free(loop->scratch);
}

void kv_loop_drain(kv_loop *loop)
{
    kv_mailbox_post(loop->box, &loop->drain_order);
}

void kv_loop_cut(kv_loop *loop)
{
    kv_mailbox_post(loop->box, &loop->cut_order);
}

void kv_loop_tell_serving(kv_loop *loop)
{
    kv_mail *mail = calloc(1, sizeof(*mail));

    if (!mail)
        return;
    mail->deliver = deliver_serving;
    kv_mailbox_post(loop->box, mail);
}

static void deliver_arrival(kv_mail *mail, void *owner)
{
    arrival *socket = (arrival *)((char *)mail - offsetof(arrival, mail));

    kv_conn_open(owner, socket->fd, socket->host, socket->address);
    free(socket);
}

void kv_loop_give_socket(kv_loop *loop, int fd, const char *host, const char *address)
{
    arrival *socket = calloc(1, sizeof(*socket));

    if (!socket) {
        kv_peers_leave(loop->front->peers, host);
        (void)close(fd);
        return;
    }
    socket->mail.deliver = deliver_arrival;
    socket->fd = fd;
    (void)snprintf(socket->host, sizeof(socket->host), "%s", host);
    (void)snprintf(socket->address, sizeof(socket->address), "%s", address);
    kv_mailbox_post(loop->box, &socket->mail);
}
