/* transport_server.c - the test server as a program: for clients and attackers that are not ours.
 *
 * Prints one line, "port folder", where the folder holds ca.pem, client.pem and client.key. Ends
 * when its standard input ends, and prints what it counted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/live/transport/server.h"

static unsigned number_of(const char *name)
{
    const char *text = getenv(name);

    return text ? (unsigned)strtoul(text, NULL, 10) : 0;
}

int main(void)
{
    kv_front_config config = kv_test_front_config();
    kv_lanes_config lanes = kv_test_lanes_config();
    kv_test_certs certs;
    kv_test_server server = { 0 };
    kv_front_stats stats;
    char ignored[64];
    bool drained;

    kv_front_wipe_memory();
    config.loops = 1;
    config.handshake_ms = number_of("KV_TEST_HANDSHAKE_MS");
    config.idle_ms = number_of("KV_TEST_IDLE_MS");
    config.stall_ms = number_of("KV_TEST_STALL_MS");
    config.deadline_ms = number_of("KV_TEST_DEADLINE_MS");
    config.deadline_most = number_of("KV_TEST_DEADLINE_MOST");
    config.per_address = number_of("KV_TEST_PER_ADDRESS");
    config.connections = number_of("KV_TEST_CONNECTIONS");
    config.request_bytes = number_of("KV_TEST_REQUEST_BYTES");
    config.grpc.reply_bytes = number_of("KV_TEST_REPLY_BYTES");
    kv_test_certs_make(&certs);
    kv_test_server_start(&server, &config, &lanes, &certs);
    (void)printf("%u %s\n", kv_front_port(server.front), certs.folder);
    (void)fflush(stdout);

    while (read(STDIN_FILENO, ignored, sizeof(ignored)) > 0)
        ;
    kv_front_stats_get(server.front, &stats);
    drained = kv_test_server_stop(&server);
    kv_test_certs_remove(&certs);
    (void)printf("drained %d calls %llu late %llu posted %u refused %u\n", drained,
                 (unsigned long long)stats.calls, (unsigned long long)stats.late,
                 atomic_load(&server.posted), atomic_load(&server.refused));
    return drained ? EXIT_SUCCESS : EXIT_FAILURE;
}
