/* test_shared_library.c - libkeyvault.so exports what its header says, and nothing else. */
#define _GNU_SOURCE /* dlinfo() */
#include "client/keyvault.h"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

static int failed(const char *what)
{
    (void)fprintf(stderr, "%s\n", what);
    return 1;
}

/* A look-up of a name that nobody waits for any more may be on its way in a thread: the code must
 * not go from under it when the library is closed. */
static bool stays(void *library)
{
    const struct link_map *map = NULL;
    const ElfW(Dyn) * it;

    if (dlinfo(library, RTLD_DI_LINKMAP, &map))
        return false;
    for (it = map->l_ld; it->d_tag != DT_NULL && it->d_tag != DT_FLAGS_1; it++)
        ;
    return it->d_tag == DT_FLAGS_1 && (it->d_un.d_val & DF_1_NODELETE);
}

int main(int argc, char **argv)
{
    Keyvault__V1__KeyBundle *key = NULL;
    keyvault_config config = { .endpoint = "localhost:1:2", .ca_path = "/nowhere" };
    keyvault *handle = NULL;
    keyvault_error err = { 0 };
    void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;

    if (!library)
        return failed("the library cannot be opened");
    if (!dlsym(library, "keyvault_call") || !dlsym(library, "keyvault_sign"))
        return failed("a function of the header is not exported");
    if (dlsym(library, "kv_channel_new") || dlsym(library, "kv_fail"))
        return failed("an internal function is exported");
    if (!stays(library))
        return failed("the library would be gone when it is closed");
    config.endpoint = "localhost:1";
    if (keyvault_open(&config, &handle, &err) != 14 || strcmp(err.name, "UNAVAILABLE") != 0 ||
        !strstr(err.message, "/nowhere"))
        return failed("a missing CA file is not named");
    keyvault_close(handle);
    keyvault_message_free(key);
    return 0;
}
