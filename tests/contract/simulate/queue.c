/* queue.c - what is due next: a heap of all certificates. */
#include "tests/contract/simulate/server_model.h"

int64_t sim_time_of(const sim_certificate *certificate)
{
    if (certificate->state != SIM_IDLE && certificate->next_at < certificate->due_at)
        return certificate->next_at;
    return certificate->due_at;
}

static void put(sim_server *server, unsigned place, sim_certificate *certificate)
{
    server->queue[place] = certificate;
    certificate->place = place;
}

static void rise(sim_server *server, unsigned place)
{
    sim_certificate *it = server->queue[place];

    while (place && sim_time_of(server->queue[(place - 1) / 2]) > sim_time_of(it)) {
        put(server, place, server->queue[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    put(server, place, it);
}

static void sink(sim_server *server, unsigned place)
{
    sim_certificate *it = server->queue[place];

    for (;;) {
        unsigned child = 2 * place + 1;

        if (child >= server->count)
            break;
        if (child + 1 < server->count &&
            sim_time_of(server->queue[child + 1]) < sim_time_of(server->queue[child]))
            child++;
        if (sim_time_of(server->queue[child]) >= sim_time_of(it))
            break;
        put(server, place, server->queue[child]);
        place = child;
    }
    put(server, place, it);
}

void sim_queue_fill(sim_server *server)
{
    for (unsigned i = server->count / 2; i-- > 0;)
        sink(server, i);
}

void sim_queue_moved(sim_server *server, sim_certificate *certificate)
{
    rise(server, certificate->place);
    sink(server, certificate->place);
}
