/* simulate.c - years of renewals in minutes: prints what came of it, and fails if a certificate was
 * not followed in time, if more was ordered than needed, or if a herd came.
 *
 *     simulate [CERTIFICATES [YEARS [HISTOGRAM.svg]]]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/contract/simulate/server_model.h"

enum { WIDTH = 1200, HEIGHT = 300, MARGIN = 40, HOURS_PER_DAY = 24 };

static unsigned number_of(const char *text, unsigned least)
{
    unsigned long number = strtoul(text, NULL, 10);

    return number < least || number > 10000000 ? least : (unsigned)number;
}

/* The most in one hour of each day. */
static unsigned peak_of_day(const sim_result *result, unsigned day)
{
    unsigned peak = 0;

    for (unsigned i = day * HOURS_PER_DAY; i < (day + 1) * HOURS_PER_DAY && i < result->hours; i++)
        if (result->per_hour[i] > peak)
            peak = result->per_hour[i];
    return peak;
}

static unsigned highest(const sim_result *result, unsigned from_hour)
{
    unsigned most = 1;

    for (unsigned i = from_hour; i < result->hours; i++)
        if (result->per_hour[i] > most)
            most = result->per_hour[i];
    return most;
}

static void draw_days(FILE *file, const sim_result *result, unsigned most)
{
    unsigned days = result->hours / HOURS_PER_DAY;
    double wide = (double)(WIDTH - 2 * MARGIN) / days;

    for (unsigned day = 0; day < days; day++) {
        double high = (double)peak_of_day(result, day) * (HEIGHT - 2 * MARGIN) / most;

        (void)fprintf(file, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"/>\n",
                      MARGIN + day * wide, HEIGHT - MARGIN - high, wide, high);
    }
}

static bool draw(const sim_server *server, const char *path)
{
    const sim_result *result = &server->result;
    unsigned most = highest(result, 0);
    FILE *file = fopen(path, "w");

    if (!file)
        return false;
    (void)fprintf(file,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
                  "font-family=\"sans-serif\" font-size=\"12\">\n"
                  "<rect width=\"%d\" height=\"%d\" fill=\"white\"/>\n"
                  "<text x=\"%d\" y=\"20\">%u certificates, %u days: the busiest hour of each day "
                  "(certificates that came; top: %u)</text>\n<g fill=\"steelblue\">\n",
                  WIDTH, HEIGHT, WIDTH, HEIGHT, MARGIN, server->count,
                  result->hours / HOURS_PER_DAY, most);
    draw_days(file, result, most);
    (void)fprintf(file,
                  "</g>\n<path d=\"M%d %d H%d\" stroke=\"black\"/>\n"
                  "<text x=\"%d\" y=\"%d\">day 0</text>\n"
                  "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">day %u</text>\n</svg>\n",
                  MARGIN, HEIGHT - MARGIN, WIDTH - MARGIN, MARGIN, HEIGHT - MARGIN / 2,
                  WIDTH - MARGIN, HEIGHT - MARGIN / 2, result->hours / HOURS_PER_DAY);
    return fclose(file) == 0;
}

static void print_issuers(const sim_server *server)
{
    (void)printf("\nissuer  life  allowed  most orders  outages  closest to the end\n"
                 "        days  an hour  in an hour            hours left\n");
    for (unsigned i = 0; i < SIM_ISSUERS; i++)
        (void)printf("%6u  %4" PRId64 "  %7" PRId64 "  %11u  %7u  %10.1f\n", i,
                     server->world->issuers[i].life_ms / SIM_DAY, server->orders[i].most,
                     server->result.issuer_peak[i], server->world->issuers[i].outage_count,
                     (double)server->result.closest_ms[i] / (double)SIM_HOUR);
}

static void print(const sim_server *server)
{
    const sim_result *r = &server->result;

    (void)printf("certificates            %u, for %u days\n", server->count,
                 r->hours / HOURS_PER_DAY);
    (void)printf("renewed                 %" PRIu64 "\n", r->renewed);
    (void)printf("missed                  %" PRIu64 "\n", r->missed);
    (void)printf("orders                  %" PRIu64 " (of them for failed ones %" PRIu64 ")\n",
                 r->orders, r->retries);
    (void)printf("questions, hints        %" PRIu64 ", %" PRIu64 "\n", r->questions, r->hints);
    (void)printf("put off                 %" PRIu64 "\n", r->put_off);
    (void)printf("issuers unwell, well    %" PRIu64 ", %" PRIu64 "; pauses they asked for %" PRIu64
                 "\n",
                 r->unwell, r->well, r->pauses);
    (void)printf("answers lost, crashes   %" PRIu64 ", %" PRIu64 "; clock set %" PRIu64 " times\n",
                 r->lost, r->crashes, r->clock_steps);
    (void)printf("busiest hour, mean hour %u, %.1f\n", highest(r, 0),
                 (double)r->renewed / (double)r->hours);
    print_issuers(server);
}

/* What is on its way at the end has been ordered and has not come. */
static uint64_t under_way(const sim_server *server)
{
    uint64_t count = 0;

    for (unsigned i = 0; i < server->count; i++)
        count += server->certificates[i].ordered > 0;
    return count;
}

/* A full bucket and what flows into it in an hour are twice what is allowed in one; a clock that is
 * set may fill it once more. */
enum { HERD = 3 };

static bool check(const sim_server *server)
{
    const sim_result *r = &server->result;
    bool good = true;

    if (r->missed) {
        (void)printf("FAILED: %" PRIu64 " certificates ended before they were followed\n",
                     r->missed);
        good = false;
    }
    if (r->orders > r->renewed + r->retries + under_way(server)) {
        (void)printf("FAILED: more was ordered than was needed\n");
        good = false;
    }
    for (unsigned i = 0; i < SIM_ISSUERS; i++)
        if (server->orders[i].most && r->issuer_peak[i] > HERD * server->orders[i].most) {
            (void)printf("FAILED: a herd came to issuer %u\n", i);
            good = false;
        }
    return good;
}

int main(int argc, char **argv)
{
    unsigned certificates = number_of(argc > 1 ? argv[1] : "", 2000);
    unsigned years = number_of(argc > 2 ? argv[2] : "", 1);
    sim_world *world = calloc(1, sizeof(*world));
    sim_server server = { 0 };
    bool good = false;

    if (world) {
        sim_world_make(world, years, certificates);
        good = sim_server_make(&server, world, certificates);
    }
    if (good) {
        sim_server_run(&server);
        print(&server);
        good = check(&server);
    }
    if (good && argc > 3 && !draw(&server, argv[3])) {
        (void)printf("FAILED: %s cannot be written\n", argv[3]);
        good = false;
    }
    sim_server_free(&server);
    free(world);
    return good ? 0 : 1;
}
