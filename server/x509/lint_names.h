/* lint_names.h - the checks of the lint that are about names: true when the rule is broken.
 *
 * Internal to this folder. Threads: any; but for the three at the end pure functions.
 */
#pragma once

#include "server/x509/inspect.h"

/* It is for servers. Of lint.c. */
bool kv_lint_is_server(const kv_x509_facts *facts);

bool kv_lint_subject_and_san_absent(const kv_x509_facts *facts);
bool kv_lint_cn_not_in_san(const kv_x509_facts *facts);
bool kv_lint_san_absent(const kv_x509_facts *facts);
bool kv_lint_san_kind_foreign(const kv_x509_facts *facts);
bool kv_lint_san_syntax(const kv_x509_facts *facts);
bool kv_lint_san_internal(const kv_x509_facts *facts);
bool kv_lint_san_arpa(const kv_x509_facts *facts);
bool kv_lint_san_reserved_ip(const kv_x509_facts *facts);
bool kv_lint_wildcard_suffix(const kv_x509_facts *facts);
bool kv_lint_suffix(const kv_x509_facts *facts);
bool kv_lint_unknown_domain(const kv_x509_facts *facts);
