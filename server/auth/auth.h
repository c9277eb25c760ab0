/* auth.h - who is asking, and may they: the two gates every call passes.
 *
 * Principals, credentials, assignments and revocations are held in memory, read from the store with
 * their seals checked. A change of them is in force before the kv_records_apply() that made it
 * returns: the first call after a removal is refused. Neither gate runs SQL, and nothing but short
 * locks is taken; a certificate or role token seen before costs a look-up by its hash.
 *
 * A principal whose rows stop verifying is refused (KV_INTERNAL, KV_REASON_INTEGRITY) until they do
 * again; others are not affected.
 *
 * Threads:  open and close: one. The rest: any worker.
 * Lifetime: opened after the records and closed before them; nothing is watched after close, so no
 *           change may be applied any more.
 */
#pragma once

#include "server/auth/caller.h"
#include "server/auth/permission.h"
#include "server/auth/role_token.h"
#include "server/auth/scope.h"
#include "server/auth/separation.h"
#include "server/base/arena.h"
#include "server/base/log.h"
#include "server/store/records.h"

typedef struct kv_auth kv_auth;
typedef struct kv_client_cas kv_client_cas;
struct kv_oidc;

typedef struct kv_auth_config {
    kv_records *records;           /* borrowed */
    kv_role_token_signer signer;   /* its context is borrowed, its kid copied */
    const kv_role_token_key *keys; /* that verify; copied; the signer's own among them */
    unsigned key_count;            /* 1 to 8 */
    const kv_slice *client_cas;    /* DER of each CA that itself issues certificates to be mapped */
    unsigned client_ca_count;      /* 0 to 16, copied; with none only pinned ones are known */
    kv_slice issuer;               /* iss and aud of role tokens, unique to this server; copied */
    struct kv_oidc *oidc;          /* borrowed; NULL: no identity providers */
    kv_separation separation;
    kv_log *log; /* borrowed; NULL: silent */
} kv_auth_config;

/* Reads and verifies all grants, and watches the records from then on. KV_INTERNAL with
 * KV_REASON_INTEGRITY when a row was edited; KV_PRECONDITION for a key or CA that cannot be used;
 * errors of the store. */
kv_status kv_auth_open(const kv_auth_config *config, kv_auth **out, kv_error *err) KV_MUST_USE;
void kv_auth_close(kv_auth *auth);

/* Who is this? `thumbprint` (SHA-256 of the DER) and `certificate` (DER) come from a TLS connection
 * that proved the certificate's key; an empty certificate means none came. `credential` is the role
 * token or its short form, without "Bearer ", or empty. Texts of `*out` live in the arena.
 *
 * Unlike other outputs `*out` is filled as far as the caller is known even on failure, so that a
 * refusal can be recorded with the principal's name; `out->tokened` is true only on success.
 *
 * With identity providers, out->proved is true when nothing is wrong but that the certificate
 * belongs to nobody; such a caller may go on to prove itself by an ID token. A role token that was
 * got so makes its bearer known.
 *
 * KV_UNAUTHENTICATED with KV_REASON_CERTIFICATE_UNKNOWN (none, unknown, or ambiguous),
 * KV_REASON_CERTIFICATE_EXPIRED (also: not yet valid), KV_REASON_TOKEN_INVALID,
 * KV_REASON_TOKEN_EXPIRED, KV_REASON_TOKEN_REVOKED; KV_DENIED with KV_REASON_DISABLED (the
 * principal); KV_INTERNAL with KV_REASON_INTEGRITY. */
kv_status kv_auth_identify(kv_auth *auth, const uint8_t thumbprint[32], kv_slice certificate,
                           kv_slice credential, int64_t now_ms, kv_arena *arena, kv_caller *out,
                           kv_error *err) KV_MUST_USE;

/* May this caller do that, there, now? Checks again what may have changed since identify, so it
 * also guards the messages of a stream and the commit of a change.
 *
 * resource->managed must be true only for a key or secret known to belong to the certificate of its
 * name; who has not loaded the object uses kv_auth_admit(). A permission of a row only lets through
 * with either one it stands for: the operation asks again for the one that the object needs.
 *
 * KV_DENIED with KV_REASON_PERMISSION_MISSING naming permission and scope; KV_UNAUTHENTICATED when
 * a role token is needed and none came (KV_REASON_TOKEN_INVALID), or it ended meanwhile. */
kv_status kv_auth_permit(kv_auth *auth, const kv_caller *caller, kv_permission permission,
                         const kv_resource *resource, int64_t now_ms, kv_error *err) KV_MUST_USE;

/* kv_auth_permit() for dispatch, which knows the object's name only; resource->managed is ignored.
 * When nothing but a grant on a certificate could allow it, the object's row is read to see whether
 * the key or secret belongs to that certificate; this is the one case with SQL. Beside the errors
 * of kv_auth_permit() those of kv_records_get(), but never KV_NOT_FOUND: who may not, learns
 * nothing. */
kv_status kv_auth_admit(kv_auth *auth, const kv_caller *caller, kv_permission permission,
                        const kv_resource *resource, int64_t now_ms, kv_arena *arena,
                        kv_error *err) KV_MUST_USE;

/* How many registered (pinned) certificates have expired, and how many will by `soon_ms`. */
typedef struct kv_credentials_ending {
    unsigned ended;
    unsigned soon;
} kv_credentials_ending;
void kv_auth_credentials_ending(kv_auth *auth, int64_t now_ms, int64_t soon_ms,
                                kv_credentials_ending *out);

/* Does this server take certificates of the key of this CA certificate (DER) for callers? */
bool kv_auth_is_client_ca(kv_auth *auth, kv_slice der);

/* Other client CAs from now on: who was known by one that is missing is known no more, at the next
 * call of a connection and at the next message of a stream. Any thread. */
void kv_auth_set_client_cas(kv_auth *auth, KV_TAKES kv_client_cas *cas);

/* Comma-separated names of the caller's roles, for the audit record. */
kv_status kv_caller_roles_text(const kv_caller *caller, kv_arena *arena, kv_slice *out,
                               kv_error *err) KV_MUST_USE;
