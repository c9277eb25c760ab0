/* keyvault.h - the client library of the key vault server: gRPC over mutual TLS 1.3.
 *
 * Messages are the structs that protobuf-c makes of proto/keyvault/v1 ("keyvault/v1/keys.pb-c.h");
 * what they mean, and which errors a method gives, is said there. Every method of the server can be
 * called by its path; the functions with names of their own spare the struct for the usual ones.
 *
 * Connection: one per handle, made by the first call, shared by all calls, made again when lost;
 * the TLS session is then resumed, and the server asks again at every call who is calling.
 * Fail-over: with several endpoints the one in use is kept until it cannot be reached or answers
 *   UNAVAILABLE; the next in the list takes its place, after the last the first.
 * Repeating: within its deadline, and `attempts` times in all, a call is sent again after
 *   UNAVAILABLE, and after RESOURCE_EXHAUSTED with a retry_ms. One that changes something has an
 *   idempotency key, so that the server does it once however often it comes; when the connection
 *   dies and no attempt is left it ends with UNAVAILABLE; with a key of one's own it may be called
 *   again within a day. Waits are 50 ms, doubled up to 2 s, less a random part, never shorter than
 *   the server's retry_ms; another endpoint is asked without waiting. Streams are not repeated.
 * Role tokens: got, kept and renewed by the handle for whatever a call touches; a call refused for
 *   an expired one is sent once more with a new one.
 * Threads: every function from any thread at once, except close; there is no global state. Child
 *   processes must not use a handle of their parent.
 * Memory: arguments are borrowed for the duration of the function. What comes out is the caller's:
 *   messages go back with keyvault_message_free(), which wipes them.
 * Errors: functions return a google.rpc.Code, 0 for success, and then fill `err`, if not NULL.
 *   Outputs are written on success only. Texts, those of errors too, are the server's and are not
 *   cleaned: whoever shows them on a terminal removes control characters.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <keyvault/v1/certificates.pb-c.h>
#include <keyvault/v1/keys.pb-c.h>
#include <keyvault/v1/secrets.pb-c.h>
#include <protobuf-c/protobuf-c.h>

typedef struct keyvault keyvault;
typedef struct keyvault_stream keyvault_stream;

typedef struct keyvault_error {
    int code;          /* google.rpc.Code: 5 */
    char name[24];     /* "NOT_FOUND" */
    char reason[40];   /* google.rpc.ErrorInfo: "TOKEN_EXPIRED"; "" if none */
    char field[128];   /* google.rpc.BadRequest: "policy.key_props.key_size"; "" if none */
    char message[256]; /* a sentence; from the server unless the server was not reached */
    uint32_t retry_ms; /* wait at least so long before a retry; 0: nothing was said */
} keyvault_error;

typedef struct keyvault_config {
    /* "host", "host:port" or "[2001:db8::1]:8443"; port 8443. Several, at most 8: "a,b:8444" */
    const char *endpoint;
    const char *server_name;      /* what every server's certificate must say; NULL: its host */
    const char *ca_path;          /* PEM; the only roots that are trusted */
    const char *certificate_path; /* PEM, leaf first; NULL: only health can be asked */
    const char *key_path;         /* PEM, not encrypted */
    struct evp_pkey_st *key;      /* EVP_PKEY, wins over key_path; a reference is taken */
    uint32_t timeout_ms;          /* of calls that name none; 0: 30,000 */
    uint32_t attempts;            /* how often a call is sent at most; 0: 4; 1: never again */
    uint32_t role_token_seconds;  /* 60 to 28,800; 0: the server's default, 900 */
    /* As in access.proto's Role, at most 8. None: all that WhoAmI tells where the call goes. */
    const int *roles;
    size_t role_count;
    const char *scope;      /* where the roles are held; NULL: where WhoAmI tells */
    const char *role_token; /* to use for every call, instead of getting any; copied */
} keyvault_config;

/* Reads the files; does not connect. INVALID_ARGUMENT or UNAVAILABLE names the wrong one. */
int keyvault_open(const keyvault_config *config, keyvault **out, keyvault_error *err);
/* What is in flight ends with UNAVAILABLE, then all is freed. Streams must be closed before, and no
 * callback may call this. NULL is fine. */
void keyvault_close(keyvault *handle);

/* --- any method --- */

typedef struct keyvault_options {
    uint32_t timeout_ms; /* 0: the handle's. Includes getting a role token */
    /* Of a change: 1 to 64 visible ASCII characters, for one request only. Repeated within a day
     * it is answered with what the first one made. NULL: a random one. */
    const char *idempotency_key;
} keyvault_options;

/* Waits for the answer: keyvault_call(kv, "/keyvault.v1.KeyService/GetKey", &request.base,
 * (ProtobufCMessage **)&bundle, NULL, &err). INVALID_ARGUMENT without asking the server for a path
 * that does not exist or streams, and for a request of another type; PERMISSION_DENIED with
 * PERMISSION_MISSING without asking when no role of the caller covers what the call touches;
 * UNAVAILABLE, DEADLINE_EXCEEDED. `options` may be NULL. */
int keyvault_call(keyvault *handle, const char *path, const ProtobufCMessage *request,
                  ProtobufCMessage **response, const keyvault_options *options,
                  keyvault_error *err);

/* Runs once, on a thread of the handle: it must not wait, and so call none of the functions here
 * that do; it may submit. `response` is the callee's from then on, NULL on failure. */
typedef void keyvault_done(void *context, ProtobufCMessage *response, const keyvault_error *err);

/* Does not wait; as many calls as one likes are in flight on the one connection. `done` runs in
 * every case unless this returns an error, perhaps before it returns. */
int keyvault_submit(keyvault *handle, const char *path, const ProtobufCMessage *request,
                    keyvault_done *done, void *context, const keyvault_options *options,
                    keyvault_error *err);

/* Server-streaming methods: open, next until *response is NULL or an error, close at any time. */
int keyvault_stream_open(keyvault *handle, const char *path, const ProtobufCMessage *request,
                         const keyvault_options *options, keyvault_stream **out,
                         keyvault_error *err);
int keyvault_stream_next(keyvault_stream *stream, ProtobufCMessage **response, keyvault_error *err);
void keyvault_stream_close(keyvault_stream *stream);

void keyvault_message_free(void *message); /* wipes it first; NULL is fine */
/* "NOT_FOUND"; else "UNKNOWN". */
const char *keyvault_code_name(int code);

/* --- the usual ones; `version` may be NULL: the current one --- */

/* Bytes on the heap that keyvault_bytes_wipe() zeroes before it frees them. A NUL byte, not
 * counted, follows. */
typedef struct keyvault_bytes {
    uint8_t *data;
    size_t len;
} keyvault_bytes;
void keyvault_bytes_wipe(keyvault_bytes *bytes);

int keyvault_key_create(keyvault *handle, const char *vault, const char *name,
                        Keyvault__V1__KeyType kty, uint32_t key_size, Keyvault__V1__Curve curve,
                        Keyvault__V1__KeyBundle **out, keyvault_error *err);
int keyvault_key_get(keyvault *handle, const char *vault, const char *name, const char *version,
                     Keyvault__V1__KeyBundle **out, keyvault_error *err);
/* The digest is as long as the algorithm's hash. RSA: as long as the modulus. ECDSA: r and s. */
int keyvault_sign(keyvault *handle, const char *vault, const char *name, const char *version,
                  Keyvault__V1__SignatureAlgorithm algorithm, const void *digest, size_t digest_len,
                  keyvault_bytes *signature, keyvault_error *err);
int keyvault_verify(keyvault *handle, const char *vault, const char *name, const char *version,
                    Keyvault__V1__SignatureAlgorithm algorithm, const void *digest,
                    size_t digest_len, const void *signature, size_t signature_len, bool *valid,
                    keyvault_error *err);
/* The operation's status is "inProgress" or "completed". */
int keyvault_certificate_create(keyvault *handle, const char *vault, const char *name,
                                Keyvault__V1__CertificatePolicy *policy,
                                Keyvault__V1__CertificateOperation **out, keyvault_error *err);
int keyvault_certificate_get(keyvault *handle, const char *vault, const char *name,
                             const char *version, Keyvault__V1__CertificateBundle **out,
                             keyvault_error *err);
/* The leaf and its issuers. */
int keyvault_certificate_chain(keyvault *handle, const char *vault, const char *name,
                               const char *version, Keyvault__V1__ChainFormat format,
                               Keyvault__V1__CertificateChain **out, keyvault_error *err);
int keyvault_secret_set(keyvault *handle, const char *vault, const char *name, const void *value,
                        size_t len, Keyvault__V1__SecretBundle **out, keyvault_error *err);
int keyvault_secret_get(keyvault *handle, const char *vault, const char *name, const char *version,
                        keyvault_bytes *value, keyvault_error *err);
