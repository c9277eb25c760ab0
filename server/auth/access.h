/* access.h - changing who is who and who may what, and handing out role tokens.
 *
 * Every function but kv_access_forget_vault() asks kv_auth_permit() itself, right before it
 * commits, and reads what it decides on with its seals checked. Changes of one principal are
 * serialised by its sealed row: every change of its grants or credentials writes that row again,
 * and on KV_CONFLICT the decision is made anew, at most five times.
 *
 * Epochs: disabling a principal and kv_access_revoke_all() end its role tokens. Removing an
 * assignment or a credential does not need to: both are looked up at every use.
 *
 * Ids are 16 bytes. Results live in work->arena. Errors beside the listed ones: KV_DENIED with
 * KV_REASON_PERMISSION_MISSING, KV_CONFLICT after five attempts, errors of the store and the token.
 *
 * Threads: any worker.
 */
#pragma once

#include "server/auth/access_types.h"
#include "server/auth/access_work.h"
#include "server/auth/auth.h"

/* --- principals --- */

/* KV_EXISTS: the name, without case, is taken. */
kv_status kv_access_create_principal(const kv_access_work *work, const kv_principal_new *in,
                                     kv_principal *out, kv_error *err) KV_MUST_USE;
/* KV_NOT_FOUND. */
kv_status kv_access_get_principal(const kv_access_work *work, kv_slice id, kv_principal *out,
                                  kv_error *err) KV_MUST_USE;
/* In the order of their names. */
kv_status kv_access_list_principals(const kv_access_work *work, const kv_access_page *page,
                                    kv_principal_list *out, kv_error *err) KV_MUST_USE;
/* KV_NOT_FOUND; KV_EXISTS; KV_PRECONDITION: disabling the last access administrator. */
kv_status kv_access_update_principal(const kv_access_work *work, const kv_principal_update *in,
                                     kv_principal *out, kv_error *err) KV_MUST_USE;
/* With its credentials and assignments. KV_NOT_FOUND; KV_PRECONDITION: the last access
 * administrator, or too many credentials and assignments for one transaction: remove some first. */
kv_status kv_access_delete_principal(const kv_access_work *work, kv_slice id,
                                     kv_error *err) KV_MUST_USE;

/* --- credentials --- */

/* A name in certificates of a client CA. KV_NOT_FOUND; KV_EXISTS: belongs to a principal already;
 * KV_BAD_REQUEST: value, name type, or a CA that is not configured. */
kv_status kv_access_add_mapping(const kv_access_work *work, const kv_mapping_new *in,
                                kv_credential *out, kv_error *err) KV_MUST_USE;
/* A value of a claim in tokens of an identity provider; not for management principals.
 * KV_NOT_FOUND; KV_EXISTS; KV_PRECONDITION: the kind; KV_BAD_REQUEST: provider, claim or value. */
kv_status kv_access_add_federation(const kv_access_work *work, const kv_federation_new *in,
                                   kv_credential *out, kv_error *err) KV_MUST_USE;
/* One certificate, pinned by its SHA-256. With a vault: a management certificate, for principals of
 * kind KV_PRINCIPAL_MANAGEMENT, whose first one decides their vault. Without: server-wide, for the
 * other kinds. KV_NOT_FOUND; KV_EXISTS; KV_PRECONDITION: expired (KV_REASON_CERTIFICATE_EXPIRED),
 * the principal belongs to another vault or kind, or KV_REASON_LIMIT_REACHED: 100 management
 * certificates in the vault, or 100 by this administrator (another one can go on). */
kv_status kv_access_add_certificate(const kv_access_work *work, const kv_certificate_new *in,
                                    kv_credential *out, kv_error *err) KV_MUST_USE;
/* Of one principal, or (principal_id empty) the management certificates of one vault.
 * KV_NOT_FOUND. */
kv_status kv_access_list_credentials(const kv_access_work *work, kv_slice principal_id,
                                     kv_slice vault, const kv_access_page *page,
                                     kv_credential_list *out, kv_error *err) KV_MUST_USE;
/* Unknown from the next call on. KV_NOT_FOUND; KV_PRECONDITION: the last access administrator's
 * last credential. */
kv_status kv_access_remove_credential(const kv_access_work *work, kv_slice id,
                                      kv_error *err) KV_MUST_USE;

/* --- assignments --- */

/* KV_NOT_FOUND; KV_EXISTS; KV_DENIED with KV_REASON_SEPARATION_OF_DUTY: it excludes a role held in
 * an overlapping scope (the message names it), the caller would grant to themself, or
 * `administrator` while duties are separated; KV_PRECONDITION: a management principal outside its
 * vault, KV_REASON_LIMIT_REACHED. */
kv_status kv_access_assign_role(const kv_access_work *work, const kv_assignment_new *in,
                                kv_assignment *out, kv_error *err) KV_MUST_USE;
/* From memory, in the order of (principal, id): of one principal or of all, and of `scope` and what
 * lies under it or of everywhere. Ended ones are listed too. */
kv_status kv_access_list_assignments(const kv_access_work *work, kv_slice principal_id,
                                     kv_slice scope, const kv_access_page *page,
                                     kv_assignment_list *out, kv_error *err) KV_MUST_USE;
/* The first call after the return is refused. KV_NOT_FOUND; KV_PRECONDITION: it is the last access
 * administrator's. */
kv_status kv_access_remove_assignment(const kv_access_work *work, kv_slice id,
                                      kv_error *err) KV_MUST_USE;

/* --- a vault that goes --- */

/* One step of removing the role assignments and management certificates of a vault (name in lower
 * case) and of what lies under it: one change of one principal. Call it while `*more`, which is
 * false once nothing was left. Asks for no permission, since who may purge the vault may this:
 * never for a vault that is not being purged. Nobody loses their last administrator by it. */
kv_status kv_access_forget_vault(const kv_access_work *work, kv_slice vault, bool *more,
                                 kv_error *err) KV_MUST_USE;

/* --- role tokens --- */

/* Whom an identity provider's token stands for: fills `*newcomer`, whose certificate is proved and
 * belongs to nobody. The credential is noted in *by ("oidc=corp sub=..."). KV_UNAUTHENTICATED with
 * KV_REASON_ID_TOKEN_INVALID; KV_DENIED with KV_REASON_DISABLED; KV_UNAVAILABLE: the provider's
 * keys are being fetched; KV_BAD_REQUEST: the certificate belongs to a principal. */
kv_status kv_access_exchange(const kv_access_work *work, kv_slice id_token, kv_caller *newcomer,
                             kv_slice *by, kv_error *err) KV_MUST_USE;
/* For the caller itself; needs only a known certificate. KV_DENIED: no live assignment of a named
 * role covers the scope, or KV_REASON_SEPARATION_OF_DUTY. */
kv_status kv_access_issue_token(const kv_access_work *work, const kv_token_request *in,
                                kv_token_issued *out, kv_error *err) KV_MUST_USE;
/* Kept for the longest life a role token has, whatever its end. Twice is fine. Needs tokens/revoke
 * at "/". */
kv_status kv_access_revoke_token(const kv_access_work *work, kv_slice jti,
                                 kv_error *err) KV_MUST_USE;
/* Ends all role tokens of a principal. KV_NOT_FOUND. Needs tokens/revoke at "/". */
kv_status kv_access_revoke_all(const kv_access_work *work, kv_slice principal_id, kv_principal *out,
                               kv_error *err) KV_MUST_USE;

/* --- first start --- */

/* Makes the first access administrator: a user known by this certificate (DER), with
 * `access-administrator` at "/". May be called before kv_auth_open(). KV_PRECONDITION when there is
 * a principal already, or the certificate has expired. */
kv_status kv_auth_bootstrap(kv_records *records, kv_commit commit, kv_slice certificate,
                            kv_slice name, int64_t now_ms, kv_arena *arena, kv_principal *out,
                            kv_error *err) KV_MUST_USE;
