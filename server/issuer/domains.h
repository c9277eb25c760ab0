/* domains.h - which names an issuer may be used for.
 *
 * A rule is one of
 *   example.com         this host alone
 *   *.example.com       hosts one label below it, and the wildcard itself
 *   .example.com        everything below it at any depth, wildcards too, but not itself
 *   192.0.2.0/24        addresses of a network (IPv4 or IPv6); without a length one address
 *   alice@example.com   one mailbox or user principal name (the local part by case)
 *   @example.com        all of this domain
 *   @.example.com       all of the domains below it, but not of itself
 * A URI is allowed when the host of its authority is. Host names compare without case, as A-labels;
 * IPv4 and IPv6 never stand for each other. What no rule allows is refused, so that no rules refuse
 * every name.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include "server/base/arena.h"
#include "server/base/error.h"
#include "server/x509/policy.h"

/* KV_BAD_REQUEST naming `field` when `rule` has none of the forms above. */
kv_status kv_issuer_domain_rule_check(kv_slice rule, const char *field, kv_error *err) KV_MUST_USE;

/* Whether the rules allow each name of a request: all alternative names, and of the subject
 * (RFC 4514) every e-mail address and every common name that a client might take for a host,
 * address or mailbox (one without spaces, with ".", ":", "*" or "@"). KV_DENIED says which name is
 * the first that is not allowed; KV_BAD_REQUEST when the subject is not a name; KV_BUSY when the
 * arena is full. The rules are checked ones: another never allows anything. */
kv_status kv_issuer_domains_check(kv_arena *arena, const kv_x509_list *rules, kv_slice subject,
                                  const kv_x509_sans *sans, kv_error *err) KV_MUST_USE;
