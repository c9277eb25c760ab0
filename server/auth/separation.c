/* separation.c - which roles exclude each other, as data. */
#include "server/auth/separation.h"

#include <stdint.h>

#include "server/base/compiler.h"

#define R(role)    (UINT32_C(1) << KV_ROLE_##role)
#define EVERY_ROLE (((UINT32_C(1) << KV_ROLE_COUNT) - 1) & ~R(NONE))

typedef struct kv_separation_row {
    kv_role role;
    uint32_t excludes;
} kv_separation_row;

/* Each pair once; the question is asked in both directions. */
static const kv_separation_row pairs[] = {
    /* Whoever hands out power has none. */
    { KV_ROLE_ACCESS_ADMINISTRATOR, EVERY_ROLE },
    { KV_ROLE_AUDITOR, EVERY_ROLE & ~(R(READER) | R(CERTIFICATE_READER)) },
    /* Who manages a certificate never takes or uses its private key. */
    { KV_ROLE_CERTIFICATE_OFFICER, R(CERTIFICATE_USER) | R(SECRETS_USER) | R(CRYPTO_USER) |
                                       R(CRYPTO_WRAP_USER) | R(CERTIFICATE_IMPORTER) },
    /* Both parties take part in getting a certificate. */
    { KV_ROLE_ISSUER_OFFICER, R(CERTIFICATE_OFFICER) | R(CERTIFICATE_IMPORTER) },
    /* Manage or use. */
    { KV_ROLE_CRYPTO_OFFICER, R(CRYPTO_USER) | R(CRYPTO_WRAP_USER) },
    { KV_ROLE_SECRETS_OFFICER, R(SECRETS_USER) | R(CERTIFICATE_USER) },
    /* Deleting, keeping and destroying are different people. */
    { KV_ROLE_PURGE_OFFICER, R(ISSUER_OFFICER) | R(CERTIFICATE_OFFICER) | R(CRYPTO_OFFICER) |
                                 R(SECRETS_OFFICER) | R(VAULT_OPERATOR) | R(BACKUP_OPERATOR) |
                                 R(RECOVERER) },
    /* Who writes the rules does not waive them. */
    { KV_ROLE_VAULT_OPERATOR, R(APPROVER) },
};

static bool is_role(kv_role role)
{
    return role > KV_ROLE_NONE && role < KV_ROLE_COUNT;
}

static bool listed(kv_role role, kv_role other)
{
    for (size_t i = 0; i < KV_COUNT(pairs); i++) {
        if (pairs[i].role == role && (pairs[i].excludes & (UINT32_C(1) << other)))
            return true;
    }
    return false;
}

bool kv_roles_exclude(kv_role a, kv_role b)
{
    if (!is_role(a) || !is_role(b) || a == b)
        return false;
    return listed(a, b) || listed(b, a);
}

bool kv_role_available(kv_role role, kv_separation mode)
{
    return is_role(role) && (role != KV_ROLE_ADMINISTRATOR || mode == KV_SEPARATION_OFF);
}

unsigned kv_role_excludes(kv_role role, kv_role out[KV_ROLE_COUNT])
{
    unsigned count = 0;

    for (unsigned other = KV_ROLE_NONE + 1; other < KV_ROLE_COUNT; other++) {
        if (kv_roles_exclude(role, (kv_role)other))
            out[count++] = (kv_role)other;
    }
    return count;
}
