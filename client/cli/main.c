/* main.c - kvctl. */
#include <stdlib.h>

#include "client/cli/cli.h"
#include "client/client_private.h"

/* JSON may hold secrets: what jansson frees is wiped. */
static void *take_memory(size_t size)
{
    ProtobufCAllocator wiping = kv_client_allocator();

    return wiping.alloc(wiping.allocator_data, size);
}

static void give_back(void *memory)
{
    ProtobufCAllocator wiping = kv_client_allocator();

    wiping.free(wiping.allocator_data, memory);
}

static const char *environment(const char *name)
{
    return getenv(name);
}

int main(int argc, char **argv)
{
    json_set_alloc_funcs(take_memory, give_back);
    return (int)kv_cli_main(argc, argv, environment, stdin, stdout, stderr);
}
