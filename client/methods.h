/* methods.h - every method of the server, found by its path, and what a request touches.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include <stdbool.h>

#include <protobuf-c/protobuf-c.h>

typedef struct kv_method {
    const ProtobufCMessageDescriptor *input;
    const ProtobufCMessageDescriptor *output;
    bool streams;           /* the server answers with any number of messages */
    bool repeatable;        /* changes nothing: doing it twice does no harm */
    bool open;              /* needs no role token */
    const char *open_about; /* needs none while this field is empty; NULL: there is no such field */
    bool whole_server;      /* its permission is wanted at "/", whatever it names */
    const char *collection; /* "keys"; NULL: none */
    bool asked_collection;  /* the request has a field that says which one */
} kv_method;

/* "/keyvault.v1.KeyService/GetKey". False if there is none. */
bool kv_method_find(const char *path, kv_method *out);

/* The service that a path names; NULL if there is none. */
const ProtobufCServiceDescriptor *kv_service_find(const char *path);

/* What the request touches, as a scope in lower case: "/", "/vaults/v", "/vaults/v/keys",
 * "/vaults/v/keys/k". False for a name too long to be one. */
enum { KV_SCOPE_BYTES = 320 };
bool kv_method_scope(const kv_method *method, const ProtobufCMessage *request,
                     char out[KV_SCOPE_BYTES]);

/* Can the call be made without a role token? */
bool kv_method_open(const kv_method *method, const ProtobufCMessage *request);

/* A text field of a message by its name in the .proto; "" when it is absent. */
const char *kv_message_text(const ProtobufCMessage *message, const char *field);
