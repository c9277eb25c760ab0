/* derive.h - the policy that describes a certificate which somebody made elsewhere.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include "server/x509/inspect.h"
#include "server/x509/policy.h"

/* What the certificate does not say. */
typedef struct kv_x509_derive {
    bool exportable;
    kv_slice content_type; /* KV_X509_CONTENT_PKCS12 or KV_X509_CONTENT_PEM */
} kv_x509_derive;

/* Subject, names, usages and the kind of key are the certificate's; validity in months, rounded up;
 * issuer Unknown; one lifetime action, EmailContacts at 80 %. Borrows from `facts` and `how`.
 * Nothing is judged: kv_x509_policy_check may refuse the result, for instance a subject with an
 * attribute that this server does not write. */
void kv_x509_policy_derive(const kv_x509_facts *facts, const kv_x509_derive *how,
                           kv_x509_policy *out);

/* The least number of calendar months, 1 to KV_X509_VALIDITY_MONTHS_MAX, that covers a validity. */
uint32_t kv_x509_months_covering(int64_t not_before_ms, int64_t not_after_ms);
