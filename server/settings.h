/* settings.h - keyvaultd.conf, read once, checked whole.
 *
 * An INI file: sections, `key = value`, comments after `;` or `#` at the start of a line. Unknown
 * sections and keys are errors, and so is a key given twice. Relative paths start at `home`.
 * All text is NUL-terminated and owned by the settings; sizes are bytes, times as the name says.
 * docs/configuration.md is checked against the rows in settings_table.c by a test.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "server/base/error.h"

enum { KV_SETTING_TOKENS = 4 };

/* In the order of kv_duty; the last is the TLS identity's. */
typedef enum kv_setting_token {
    KV_SETTING_TOKEN_KEYS,
    KV_SETTING_TOKEN_CA,
    KV_SETTING_TOKEN_SYSTEM,
    KV_SETTING_TOKEN_TLS
} kv_setting_token;

typedef struct kv_token_settings {
    char *module;    /* path of the PKCS#11 module */
    char *uri;       /* RFC 7512 */
    char *pin_file;  /* readable by the owner only; "credential:NAME": a systemd credential */
    int64_t workers; /* concurrency of its lane */
    int64_t hang_seconds;
    char *isolated;    /* "true" or "false" */
    char *environment; /* names of variables, by blanks */
} kv_token_settings;

enum { KV_SETTING_PROVIDERS = 8, KV_SETTING_PROVIDER_NAME = 33 };

/* [oidc.NAME]: an identity provider; see server/auth/oidc.h. */
typedef struct kv_oidc_settings {
    char name[KV_SETTING_PROVIDER_NAME];
    char *issuer;
    char *audience;
    char *jwks; /* URL, path, or "": by discovery */
    char *algorithms;
    char *claims;
    char *ca_file;
    int64_t leeway_seconds;
    int64_t token_seconds;
} kv_oidc_settings;

typedef struct kv_settings {
    char *file;   /* it was read from; NULL: from text */
    char *home;   /* folder of everything the server writes */
    char *listen; /* "host:port"; "[::1]:8443" for IPv6; port 0 picks a free one */
    int64_t loops;
    int64_t quick_workers; /* of the store lane */
    int64_t slow_workers;
    int64_t locked_memory; /* heap for secrets; a power of two */

    char *tls_certificate; /* PEM file: leaf first, then its chain */
    char *tls_key;         /* PEM file, or a pkcs11: URI of a key on [token.tls] */
    char *tls_min_version; /* "1.2" or "1.3" */
    char *client_ca;       /* PEM file of the CAs whose client certificates are mapped */

    char *store_url;               /* "sqlite:PATH" */
    int64_t store_compare_seconds; /* a start waits for the comparison of every row */

    kv_token_settings tokens[KV_SETTING_TOKENS];

    char *audit_folder;
    int64_t audit_segment_bytes;
    int64_t audit_checkpoint_records;
    int64_t audit_checkpoint_seconds;
    int64_t audit_low_water_bytes;

    char *outgoing_proxy;    /* URL, "" for none */
    char *outgoing_ca_file;  /* PEM file instead of the system's store, "" for that */
    char *outgoing_networks; /* besides public addresses; see server/net/address.h */

    int64_t event_days;
    int64_t event_count;
    int64_t max_watches;
    int64_t max_watches_per_principal;
    int64_t slow_watch_ms;

    int64_t order_workers;    /* threads that renew and ask issuers; at most 16 */
    int64_t order_per_issuer; /* of them with one issuer at once */
    int64_t order_per_vault;  /* with the issuers of one vault */

    char *smtp_host; /* "" for none */
    char *smtp_tls;  /* "starttls", "implicit", "none" */
    char *smtp_ca_file, *smtp_user, *smtp_password_file, *smtp_from, *smtp_from_name;
    int64_t smtp_port;
    char *notification_origin; /* "": the host's name */
    int64_t webhook_threads, notification_tries, retry_percent;
    int64_t mail_interval_seconds, digest_hour;

    char *ct_log_list; /* JSON file of transparency logs, "" for none */

    char *pki_listen;   /* "host:port" of the plain HTTP listener, "" for none */
    char *pki_base_url; /* http:// URL under which clients reach it, "" for none */
    int64_t pki_threads;

    char *acme_http_listen; /* "host:port" of the listener for http-01, "" for none */
    int64_t acme_http_threads;
    char *acme_tls_alpn_listen; /* the same for tls-alpn-01 */
    char *acme_dns_hook;        /* program that puts TXT records, "" for none */
    char *acme_dns_server;      /* "host:port" of the server that takes updates, "" for none */
    char *acme_dns_zone;        /* "": the server is asked */
    char *acme_dns_key_name;    /* of the TSIG key */
    char *acme_dns_key_algorithm;
    char *acme_dns_key_file;
    int64_t acme_dns_seconds; /* of the hook or the update */
    int64_t acme_dns_wait_seconds;

    char *separation; /* [access] separation_of_duty: "strict", "warn" or "off" */

    kv_oidc_settings oidc[KV_SETTING_PROVIDERS]; /* in the order of the file */
    unsigned oidc_count;

    int64_t max_message_bytes;
    int64_t max_request_bytes; /* of unfinished requests, in all */
    int64_t max_connections;
    int64_t max_connections_per_peer;
    int64_t max_streams; /* per connection */
    int64_t max_queue;   /* calls waiting per lane */
    int64_t max_calls;   /* running at once */
    int64_t max_calls_per_principal;
    int64_t max_rate; /* calls a second; 0: no limit */
    int64_t max_rate_per_principal;
    int64_t burst_seconds;
    int64_t failures_per_peer; /* calls a second that cannot be identified */
    int64_t default_deadline_ms;
    int64_t max_deadline_ms;
    int64_t handshake_ms;
    int64_t idle_seconds;
    int64_t drain_seconds;
    int64_t stop_seconds;
    char *log_level; /* "debug", "info", "warning", "error" */
} kv_settings;

/* KV_UNAVAILABLE: the file cannot be read. KV_BAD_REQUEST: the message names line, section, key and
 * rule. A field a file leaves out gets its default; `home` has none. */
kv_status kv_settings_read(const char *path, kv_settings *out, kv_error *err) KV_MUST_USE;
/* The same from text in memory, for tests and fuzzing. `text` is NUL-terminated. */
kv_status kv_settings_parse(const char *text, kv_settings *out, kv_error *err) KV_MUST_USE;
void kv_settings_cleanup(kv_settings *settings);
