/* suffix.h - names that registries own, by the Public Suffix List of this system.
 *
 * Of the list's two sections only that of the registries of ICANN counts: the other one is of
 * companies that let their customers have names, and may have certificates for all of them
 * (baseline requirements, section 3.2.2.6). The list is read anew for each question, so an update
 * of its package needs no restart; without the package libpsl's own copy is asked.
 *
 * Internal to this folder. Threads: any.
 */
#pragma once

#include "server/x509/policy.h"

/* Some name is `*.` and then a suffix: "*.co.uk". So is what is below a domain that does not exist
 * at all, "*.intranet". */
bool kv_x509_any_wildcard_suffix(const kv_x509_list *names);

/* Some name of several labels is a suffix itself: "co.uk". */
bool kv_x509_any_suffix(const kv_x509_list *names);

/* Some name of several labels ends with a top-level domain that the list does not have. */
bool kv_x509_any_unknown_domain(const kv_x509_list *names);
