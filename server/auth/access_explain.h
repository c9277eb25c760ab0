/* access_explain.h - who may what, and why (not): asked of the code that decides.
 *
 * The question is a permission in a scope: could the principal, with a role token for the right
 * role and scope, do that there now? Answers come from memory, as decisions do.
 *
 * Threads: any worker.
 */
#pragma once

#include "server/auth/access_types.h"
#include "server/auth/access_work.h"
#include "server/base/error.h"

/* The numbers of the two enumerations are those of the .proto. */

/* What keeps a principal from everything. */
typedef enum kv_access_bar {
    KV_BAR_NONE = 0,
    KV_BAR_DISABLED = 1,
    KV_BAR_BROKEN,       /* its grants do not verify */
    KV_BAR_NO_CREDENTIAL /* it has none, or only expired ones: nobody can be it */
} kv_access_bar;

/* What one of its assignments says: kv_grant_says (ALLOWS 1, ENDED 2, ELSEWHERE 3, UNAVAILABLE 4,
 * EXCLUDED 5). Assignments whose role does not have the permission are not among the reasons. */
typedef struct kv_access_reason {
    unsigned says;
    kv_assignment assignment;
    kv_role excluded_by; /* with EXCLUDED, and with ALLOWS where the server only warns */
    kv_slice excluded_on;
} kv_access_reason;

typedef struct kv_access_question {
    kv_slice permission; /* "keys/sign" */
    kv_slice scope;      /* any case: "/vaults/v/keys/k" */
} kv_access_question;

typedef struct kv_access_answer {
    kv_principal principal;
    bool allowed;
    kv_access_bar bar;
    kv_access_reason *reasons;
    unsigned reason_count;
    bool managed;                 /* the key or secret belongs to a certificate */
    kv_slice scope;               /* normalised */
    kv_role roles[KV_ROLE_COUNT]; /* that have the permission */
    unsigned role_count;
} kv_access_answer;

/* `principal_id` empty: the caller. KV_BAD_REQUEST about permission or scope; KV_NOT_FOUND;
 * KV_DENIED: about somebody else it needs access/read at "/". */
kv_status kv_access_explain(const kv_access_work *work, kv_slice principal_id,
                            const kv_access_question *question, kv_access_answer *out,
                            kv_error *err) KV_MUST_USE;

typedef struct kv_access_answers {
    kv_access_answer *items;
    unsigned count;
    kv_slice next; /* empty: the last page */
} kv_access_answers;

/* Who may: in the order of their ids, with the assignments that allow it. Who could but for a bar
 * is not among them. */
kv_status kv_access_who_can(const kv_access_work *work, const kv_access_question *question,
                            const kv_access_page *page, kv_access_answers *out,
                            kv_error *err) KV_MUST_USE;
