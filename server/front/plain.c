/* plain.c - a few threads that accept, read, answer and close. */
#include "server/front/plain.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/sha.h>

#include "server/base/clock.h"
#include "server/base/text.h"
#include "server/front/listening.h"

enum {
    THREADS = 8,
    THREADS_MAX = 64,
    REQUEST_MS = 5000,
    CROWDED_MS = 400, /* instead, while others wait and no thread is free */
    WRITE_MS = 10000,
    BACKLOG = 128,
    LOOK_MS = 250, /* whether it is time to stop */
    FULL_MS = 50,  /* when no descriptor is left */
    ARENA_BYTES = 32 << 20,
    ROOM = KV_PLAIN_HEAD_MAX + KV_PLAIN_BODY_MAX + 4,
    TAG_BYTES = 16
};

struct kv_plain {
    kv_plain_config config;
    int fd;
    uint16_t port;
    atomic_bool stopping;
    atomic_uint busy; /* threads that have a connection */
    unsigned threads; /* started; the others have config.threads */
    pthread_t thread[THREADS_MAX];
};

/* --- a connection --- */

static bool wait_for(int fd, short what, kv_deadline until)
{
    struct pollfd one = { .fd = fd, .events = what };
    int64_t left = kv_deadline_left_ms(until);

    return left > 0 && poll(&one, 1, (int)left) == 1;
}

static bool crowded(kv_plain *plain)
{
    struct pollfd others = { .fd = plain->fd, .events = POLLIN };

    return atomic_load(&plain->busy) >= plain->config.threads && poll(&others, 1, 0) == 1;
}

/* A peer has its time to say what it wants, but much less of it while it keeps others out. */
static bool wait_for_request(kv_plain *plain, int fd, kv_deadline until, kv_deadline patience)
{
    while (!kv_deadline_passed(until) && !(kv_deadline_passed(patience) && crowded(plain))) {
        int64_t left = kv_deadline_left_ms(until);

        if (wait_for(fd, POLLIN, kv_deadline_in_ms(left < LOOK_MS ? left : LOOK_MS)))
            return true;
    }
    return false;
}

static kv_plain_parsed read_request(kv_plain *plain, int fd, uint8_t *room, kv_plain_request *out)
{
    kv_deadline until = kv_deadline_in_ms(plain->config.request_ms);
    kv_deadline patience = kv_deadline_in_ms(CROWDED_MS);
    kv_plain_parsed parsed = KV_PLAIN_MORE;
    size_t len = 0;

    while (parsed == KV_PLAIN_MORE && len < ROOM) {
        ssize_t got;

        if (!wait_for_request(plain, fd, until, patience))
            return KV_PLAIN_MORE;
        got = recv(fd, room + len, ROOM - len, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
            return KV_PLAIN_MORE;
        len += got > 0 ? (size_t)got : 0;
        parsed = kv_plain_parse(kv_slice_of(room, len), out);
    }
    return parsed == KV_PLAIN_MORE ? KV_PLAIN_LARGE : parsed;
}

static void write_all(int fd, kv_slice bytes, kv_deadline until)
{
    while (bytes.len && wait_for(fd, POLLOUT, until)) {
        ssize_t sent = send(fd, bytes.data, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return;
        if (sent > 0)
            bytes = kv_slice_of(bytes.data + sent, bytes.len - (size_t)sent);
    }
}

static const char *reason_of(unsigned status)
{
    static const struct {
        unsigned status;
        const char *reason;
    } reasons[] = {
        { 200, "OK" },
        { 304, "Not Modified" },
        { 400, "Bad Request" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 411, "Length Required" },
        { 413, "Content Too Large" },
        { 503, "Service Unavailable" },
    };

    for (size_t i = 0; i < KV_COUNT(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Internal Server Error";
}

static void tag_of(kv_slice body, char out[2 * TAG_BYTES + 3])
{
    uint8_t hash[SHA256_DIGEST_LENGTH];

    SHA256(body.data, body.len, hash);
    out[0] = '"';
    kv_hex(kv_slice_of(hash, TAG_BYTES), out + 1);
    memcpy(out + 1 + (size_t)2 * TAG_BYTES, "\"", 2);
}

/* "Last-Modified: Sat, 21 Nov 2026 10:00:00 GMT"; nothing for 0. */
static void add_date(char *head, size_t room, const char *name, int64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    size_t len = strlen(head);
    char text[40];
    struct tm parts;

    if (ms && gmtime_r(&seconds, &parts) &&
        strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &parts))
        (void)snprintf(head + len, room - len, "%s: %s\r\n", name, text);
}

/* What caches may do with it (RFC 5019, section 6.2). */
static void add_age(const kv_plain_answer *answer, const char *tag, char *kept, size_t room)
{
    (void)snprintf(kept, room,
                   "Cache-Control: max-age=%lld, public, no-transform, must-revalidate\r\n"
                   "ETag: %s\r\n",
                   (long long)answer->max_age_s, tag);
    add_date(kept, room, "Date", kv_clock_now_ms(NULL));
    add_date(kept, room, "Last-Modified", answer->made_ms);
    add_date(kept, room, "Expires", answer->until_ms);
}

static void send_answer(int fd, const kv_plain_request *request, const kv_plain_answer *answer)
{
    kv_deadline until = kv_deadline_in_ms(WRITE_MS);
    char tag[2 * TAG_BYTES + 3] = "";
    unsigned status = answer->status;
    kv_slice body = answer->body;
    char kept[384] = "Cache-Control: no-store\r\n";
    char head[768];
    int len;

    if (status == 200 && answer->max_age_s > 0) {
        tag_of(body, tag);
        add_age(answer, tag, kept, sizeof(kept));
        if (kv_slice_equal(request->if_none_match, kv_slice_text(tag)))
            status = 304;
    }
    if (status != 200)
        body = KV_SLICE_NONE;
    len = snprintf(head, sizeof(head),
                   "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s"
                   "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
                   status, reason_of(status), answer->type ? answer->type : "text/plain", body.len,
                   kept);
    write_all(fd, kv_slice_of(head, (size_t)len), until);
    write_all(fd, body, until);
}

static const kv_plain_route *find_route(const kv_plain *plain, const kv_plain_request *request)
{
    for (size_t i = 0; i < plain->config.route_count; i++)
        if (kv_slice_starts_with(request->path, kv_slice_text(plain->config.routes[i].prefix)))
            return &plain->config.routes[i];
    return NULL;
}

static void answer_request(const kv_plain *plain, int fd, kv_plain_request *request)
{
    const kv_plain_route *route = find_route(plain, request);
    KV_AUTO(kv_arena) arena = KV_ARENA(ARENA_BYTES);
    kv_plain_answer answer = { .status = 404 };

    if (route && !(route->methods & request->method)) {
        answer.status = KV_PLAIN_METHOD;
    } else if (route) {
        size_t prefix = strlen(route->prefix);

        request->rest = kv_slice_of(request->path.data + prefix, request->path.len - prefix);
        answer = (kv_plain_answer){ 0 };
        route->handler(route->context, request, &arena, &answer);
    }
    send_answer(fd, request, &answer);
}

/* What a peer still sends would reset the connection before it has read the answer. */
static void close_gently(int fd)
{
    kv_deadline until = kv_deadline_in_ms(LOOK_MS);
    uint8_t ignored[1024];

    (void)shutdown(fd, SHUT_WR);
    for (int i = 0; i < 64 && wait_for(fd, POLLIN, until); i++)
        if (recv(fd, ignored, sizeof(ignored), MSG_DONTWAIT) <= 0)
            break;
    (void)close(fd);
}

static void serve_one(kv_plain *plain, int fd, uint8_t *room)
{
    kv_plain_request request = { 0 };
    kv_plain_parsed parsed = read_request(plain, fd, room, &request);

    if (parsed == KV_PLAIN_WHOLE)
        answer_request(plain, fd, &request);
    else if (parsed != KV_PLAIN_MORE)
        send_answer(fd, &request, &(kv_plain_answer){ .status = parsed });
    close_gently(fd);
}

/* The next connection; -1 when another thread has it, or there is no descriptor for it: then it
 * stays where it is, and would wake us again at once. */
static int take_in(const kv_plain *plain)
{
    static const struct timespec full = { .tv_nsec = FULL_MS * 1000000L };
    int fd = accept4(plain->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
        (void)nanosleep(&full, NULL);
    return fd;
}

static void *run(void *context)
{
    kv_plain *plain = context;
    uint8_t *room = malloc(ROOM);

    while (room && !atomic_load(&plain->stopping)) {
        int fd;

        if (!wait_for(plain->fd, POLLIN, kv_deadline_in_ms(LOOK_MS)))
            continue;
        fd = take_in(plain);
        if (fd < 0)
            continue;
        atomic_fetch_add(&plain->busy, 1);
        serve_one(plain, fd, room);
        atomic_fetch_sub(&plain->busy, 1);
    }
    free(room);
    return NULL;
}

/* --- the whole --- */

kv_status kv_plain_start(const kv_plain_config *config, kv_plain **out, kv_error *err)
{
    kv_plain *plain = calloc(1, sizeof(*plain));
    kv_status status;

    if (!plain)
        return kv_fail(err, KV_BUSY, "out of memory");
    plain->config = *config;
    plain->fd = -1;
    if (!plain->config.threads)
        plain->config.threads = THREADS;
    if (plain->config.threads > THREADS_MAX)
        plain->config.threads = THREADS_MAX;
    if (!plain->config.request_ms)
        plain->config.request_ms = REQUEST_MS;
    status = kv_listen_on(config->listen, BACKLOG, &plain->fd, &plain->port, err);
    while (status == KV_OK && plain->threads < plain->config.threads) {
        if (pthread_create(&plain->thread[plain->threads], NULL, run, plain) != 0)
            status = kv_fail(err, KV_UNAVAILABLE, "a thread cannot be started");
        else
            plain->threads++;
    }
    if (status != KV_OK) {
        kv_plain_stop(plain);
        return status;
    }
    *out = plain;
    return KV_OK;
}

uint16_t kv_plain_port(const kv_plain *plain)
{
    return plain->port;
}

void kv_plain_stop(kv_plain *plain)
{
    if (!plain)
        return;
    atomic_store(&plain->stopping, true);
    for (unsigned i = 0; i < plain->threads; i++)
        (void)pthread_join(plain->thread[i], NULL);
    if (plain->fd >= 0)
        (void)close(plain->fd);
    free(plain);
}
