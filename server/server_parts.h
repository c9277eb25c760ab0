/* server_parts.h - the parts of a server, for the files that run it. Inner to composition. */
#pragma once

#include "server/acme/memory.h"
#include "server/auth/auth.h"
#include "server/auth/oidc.h"
#include "server/challenge/dns.h"
#include "server/challenge/http01.h"
#include "server/challenge/tls_alpn.h"
#include "server/core/lanes.h"
#include "server/core/services.h"
#include "server/core/throttle.h"
#include "server/core/watch.h"
#include "server/front/alpn.h"
#include "server/front/front.h"
#include "server/front/plain.h"
#include "server/net/http.h"
#include "server/net/mail.h"
#include "server/notify/postman.h"
#include "server/pending_mac.h"
#include "server/server.h"
#include "server/store/verified.h"
#include "server/system_keys.h"
#include "server/tls_identity.h"
#include "server/vault/vault.h"
#include "server/x509/known_logs.h"

enum { KV_PLAIN_ROUTES = 4, KV_ORIGIN_BYTES = 256 };

typedef struct kv_keeper kv_keeper;
typedef struct kv_reloaded kv_reloaded;
typedef struct kv_ordering kv_ordering;
typedef struct kv_notifying kv_notifying;

enum { KV_SOLVERS = 4 };

/* How this server proves control over names. */
typedef struct kv_challenges {
    kv_challenge_board board;
    kv_http01 http01;
    kv_tls_alpn tls_alpn;
    kv_dns_hook dns_hook;
    kv_dns_update dns_update;
    kv_challenge_solver solvers[KV_SOLVERS];
    size_t solver_count;
    kv_plain_route http_route;
    kv_plain *http;
    kv_alpn *alpn;
} kv_challenges;

/* In the order they are made. */
struct kv_server {
    const kv_settings *_Atomic settings; /* borrowed, or of `reloaded` */
    kv_reloaded *reloaded;               /* the newest first */
    kv_log *log;                         /* borrowed */
    int home_lock;
    kv_http *http;
    char origin[KV_ORIGIN_BYTES]; /* what this server is called outside */
    kv_mailer *mailer;            /* NULL: no mail is sent */
    kv_postman postman;
    kv_acme_memory *acme;
    kv_known_logs *known_logs;
    kv_tokens *tokens;
    kv_identity identity;
    kv_server_identity tls;
    kv_store *store;
    kv_verified *verified; /* NULL: there could be no thread */
    kv_records *records;
    kv_pending_key pending_key;
    kv_system_key audit_key;
    kv_audit *audit;
    kv_system_key token_key;
    kv_oidc *oidc;
    kv_auth *auth;
    kv_challenges challenges;
    kv_vault *vault;
    kv_services services;
    kv_throttle *throttle;
    kv_watch *watch;
    kv_lanes *lanes;
    kv_front *front;
    kv_plain_route plain_routes[KV_PLAIN_ROUTES];
    kv_plain *plain;
    kv_keeper *keeper;
    kv_ordering *ordering;
    kv_notifying *notifying;
    kv_error gave_up; /* why it stops by itself; the keeper's until that has stopped */
};

/* For who started it with port 0: in a file of the home, and in the log. (server.c) */
void kv_server_tell_port(kv_server *server, const char *file, const char *address, uint16_t number);
