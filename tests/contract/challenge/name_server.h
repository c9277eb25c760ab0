/* name_server.h - BIND on loopback with a zone that a key may change, in a temporary folder. */
#pragma once

#include <stdint.h>

#define NAME_SERVER_KEY    "keyvault"
#define NAME_SERVER_SECRET "c2VjcmV0IG9mIHRoZSB0ZXN0IGtleSwgMzIgYnl0ZXM="

typedef struct name_server name_server;

/* Zone example.test, where alias.example.test's record is an alias. Aborts when it cannot be. */
name_server *name_server_start(void);
uint16_t name_server_port(const name_server *server);
const char *name_server_folder(const name_server *server);
/* What it says now: "v1" "v2", in order; "" for nothing. */
void name_server_text(const name_server *server, const char *name, char out[128]);
void name_server_stop(name_server *server);
