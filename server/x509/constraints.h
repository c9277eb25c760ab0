/* constraints.h - name constraints (RFC 5280, section 4.2.1.10): which names an authority, and all
 * below it, may certify.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include "server/base/arena.h"
#include "server/base/error.h"
#include "server/base/slice.h"
#include "server/x509/policy.h"

enum { KV_X509_SUBTREES_MAX = 100 };

typedef struct kv_x509_subtrees {
    kv_x509_list dns_names;       /* "example.org": it and all below */
    kv_x509_list ip_ranges;       /* CIDR: "10.0.0.0/8", "2001:db8::/32" */
    kv_x509_list emails;          /* an address, a host, or ".example.org": all hosts below */
    kv_x509_list directory_names; /* distinguished names as text, see dn.h */
} kv_x509_subtrees;

/* Kinds without a permitted subtree are permitted; an excluded one wins. */
typedef struct kv_x509_constraints {
    kv_x509_subtrees permitted;
    kv_x509_subtrees excluded;
} kv_x509_constraints;

bool kv_x509_constraints_empty(const kv_x509_constraints *constraints);
/* KV_BAD_REQUEST naming the element: "name_constraints.permitted.dns_names[1]". */
kv_status kv_x509_constraints_check(kv_arena *arena, const kv_x509_constraints *constraints,
                                    kv_error *err) KV_MUST_USE;

/* Do the constraints of `authorities` (DER) allow every name in the certificate `der`, signed or
 * not? KV_PRECONDITION says which authority does not. */
kv_status kv_x509_constraints_allow(const kv_x509_list *authorities, kv_slice der,
                                    kv_error *err) KV_MUST_USE;
