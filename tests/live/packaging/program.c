/* program.c - somebody else's program: finds the library by pkg-config, and a dead server by it. */
#include <keyvault.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    Keyvault__V1__GetKeyRequest request = KEYVAULT__V1__GET_KEY_REQUEST__INIT;
    keyvault_config config = { .endpoint = "127.0.0.1:1,[::1]:1", .attempts = 2 };
    ProtobufCMessage *response = NULL;
    keyvault *handle = NULL;
    keyvault_error err;

    config.ca_path = argc > 1 ? argv[1] : NULL;
    if (keyvault_open(&config, &handle, &err) != 0) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    if (keyvault_call(handle, "/keyvault.v1.KeyService/GetKey", &request.base, &response, NULL,
                      &err) != 14 ||
        strcmp(keyvault_code_name(err.code), "UNAVAILABLE") != 0)
        return 2;
    keyvault_close(handle);
    puts("linked and run");
    return 0;
}
