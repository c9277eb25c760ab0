/* names.h - the syntax of the names a certificate can carry beside its subject.
 *
 * Each function gives NULL for a good name, otherwise what the rule is, as the end of a sentence
 * that begins with the field: "must ...".
 *
 * Threads: any; pure functions.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "server/base/slice.h"

/* Host names of letters, digits and hyphens (A-labels), at most 253 bytes; a wildcard only as the
 * whole first label, with at least two labels after it; not an IPv4 address. */
const char *kv_x509_dns_name_problem(kv_slice name);
/* RFC 5321 dot-string and a host name. */
const char *kv_x509_email_problem(kv_slice name);
/* user@suffix in UTF-8, without spaces. */
const char *kv_x509_upn_problem(kv_slice name);
/* Absolute, RFC 3986; where there is an authority it has a host. */
const char *kv_x509_uri_problem(kv_slice name);
const char *kv_x509_ip_problem(kv_slice name);
/* At least two arcs, decimal, no leading zeros. */
const char *kv_x509_oid_problem(kv_slice text);

/* IPv4 in 4 or IPv6 in 16 bytes; 0 when it is neither. */
size_t kv_x509_ip_bytes(kv_slice text, uint8_t out[16]);
