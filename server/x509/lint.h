/* lint.h - rules that a certificate must keep, as rows of one table.
 *
 * Every row has a name, the scope it is for, a severity, the dates between which it is in force
 * (by the certificate's not-before) and a check. Lint runs on the to-be-signed certificate before
 * anything is signed, and later on what other issuers return. What the certificate does not say of
 * itself is in `beside` of its facts; rules about that are kept where it is not known.
 *
 * Threads: any; but for the list of public suffixes pure functions.
 */
#pragma once

#include "server/base/slice.h"
#include "server/x509/inspect.h"

/* Who is to trust the issuer. A row may be for both. */
typedef enum kv_x509_lint_scope {
    KV_X509_LINT_PRIVATE = 1 << 0,
    KV_X509_LINT_PUBLIC = 1 << 1,
    KV_X509_LINT_ANY = KV_X509_LINT_PRIVATE | KV_X509_LINT_PUBLIC
} kv_x509_lint_scope;

typedef enum kv_x509_lint_severity {
    KV_X509_LINT_WARNING,
    KV_X509_LINT_ERROR
} kv_x509_lint_severity;

typedef struct kv_x509_lint_row {
    const char *id;
    kv_x509_lint_scope scope;
    kv_x509_lint_severity severity;
    int64_t from_ms;  /* first not-before it is in force for; 0: always */
    int64_t until_ms; /* first not-before it is no longer in force for; 0: never ends */
    bool (*broken)(const kv_x509_facts *facts);
    const char *message; /* what the rule demands */
} kv_x509_lint_row;

extern const kv_x509_lint_row kv_x509_lint_rows[];
extern const size_t kv_x509_lint_rows_count;

enum { KV_X509_FINDINGS_MAX = 64 };

typedef struct kv_x509_findings {
    const kv_x509_lint_row *items[KV_X509_FINDINGS_MAX]; /* in the order of the table */
    size_t count;
    size_t errors; /* how many of them are errors */
} kv_x509_findings;

/* Runs every row of `scope` (one of PRIVATE and PUBLIC). */
void kv_x509_lint(const kv_x509_facts *facts, kv_x509_lint_scope scope, kv_x509_findings *out);
