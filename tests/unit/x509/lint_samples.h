/* lint_samples.h - what keeps every rule of the lint, and what breaks one at a time. */
#pragma once

#include "server/x509/lint.h"

#define DAY_MS  INT64_C(86400000)
#define DAYS(n) ((n)*DAY_MS)
#define NOW     DAYS(20777) /* 2026-11-20 */

#define PRIVATE KV_X509_LINT_PRIVATE
#define PUBLIC  KV_X509_LINT_PUBLIC
#define WARNING KV_X509_LINT_WARNING
#define ERROR   KV_X509_LINT_ERROR

typedef struct lint_sample {
    void (*spoil)(kv_x509_facts *facts); /* breaks the rule */
    void (*keep)(kv_x509_facts *facts);  /* keeps it, just */
    const char *id;
    kv_x509_lint_scope scope;
    kv_x509_lint_severity severity;
} lint_sample;

extern const lint_sample lint_samples[];
extern const size_t lint_sample_count;

/* Keeps every rule of both scopes. */
kv_x509_facts lint_good(void);

void lint_make_rsa(kv_x509_facts *f);
void lint_internal_host(kv_x509_facts *f);
void lint_server_and_client(kv_x509_facts *f);
void lint_root_of_ten_years(kv_x509_facts *f);
/* `days` from then on, and a little more or less. */
void lint_live(kv_x509_facts *f, int64_t from, int64_t days, int64_t more_ms);
