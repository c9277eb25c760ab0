/* role_choice.c - a scope covers what begins with it; a certificate covers its key and secret. */
#include "client/role_choice.h"

#include <stdio.h>
#include <string.h>

#include <keyvault/v1/access.pb-c.h>

static bool covers(const char *scope, const char *target)
{
    size_t len = strlen(scope);

    if (!strcmp(scope, "/"))
        return true;
    return !strncmp(scope, target, len) && (!target[len] || target[len] == '/');
}

static bool is_wanted(int role, const int *wanted, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (wanted[i] == role)
            return true;
    return count == 0;
}

static void add(kv_role_choice *choice, const kv_held_role *held)
{
    if (strlen(held->scope) > strlen(choice->scope))
        (void)snprintf(choice->scope, sizeof(choice->scope), "%s", held->scope);
    for (size_t i = 0; i < choice->count; i++)
        if (choice->roles[i] == held->role)
            return;
    if (choice->count < KV_ROLES_MAX)
        choice->roles[choice->count++] = held->role;
}

static kv_role_choice choose(const kv_held_role *held, size_t held_count, const int *wanted,
                             size_t wanted_count, const char *target)
{
    kv_role_choice choice = { .count = 0 };

    for (size_t i = 0; i < held_count; i++)
        if (is_wanted(held[i].role, wanted, wanted_count) && covers(held[i].scope, target))
            add(&choice, &held[i]);
    return choice;
}

/* "/vaults/v/secrets/c" as "/vaults/v/certificates/c": a grant there reaches the managed secret and
 * key of the certificate too. False when the target is neither key nor secret. */
static bool as_certificate(const char *target, char out[KV_SCOPE_BYTES])
{
    static const char *const collections[] = { "/keys/", "/secrets/" };

    for (size_t i = 0; i < sizeof(collections) / sizeof(collections[0]); i++) {
        const char *vault_end = strncmp(target, "/vaults/", 8) ? NULL : strchr(target + 8, '/');
        int len;

        if (!vault_end || strncmp(vault_end, collections[i], strlen(collections[i])) != 0)
            continue;
        len = snprintf(out, KV_SCOPE_BYTES, "%.*s/certificates/%s", (int)(vault_end - target),
                       target, vault_end + strlen(collections[i]));
        return len < KV_SCOPE_BYTES;
    }
    return false;
}

bool kv_role_choose(const kv_held_role *held, size_t held_count, const int *wanted,
                    size_t wanted_count, const char *target, kv_role_choice *out)
{
    char certificate[KV_SCOPE_BYTES];
    kv_role_choice direct = choose(held, held_count, wanted, wanted_count, target);
    kv_role_choice managed = { .count = 0 };

    if (as_certificate(target, certificate))
        managed = choose(held, held_count, wanted, wanted_count, certificate);
    *out = managed.count > direct.count ? managed : direct;
    return out->count > 0;
}

bool kv_role_choice_equal(const kv_role_choice *a, const kv_role_choice *b)
{
    return a->count == b->count && !strcmp(a->scope, b->scope) &&
           !memcmp(a->roles, b->roles, a->count * sizeof(a->roles[0]));
}

size_t kv_role_choice_pack(const kv_role_choice *choice, uint32_t seconds,
                           uint8_t out[KV_ROLE_REQUEST_BYTES])
{
    Keyvault__V1__IssueRoleTokenRequest request = KEYVAULT__V1__ISSUE_ROLE_TOKEN_REQUEST__INIT;
    Keyvault__V1__Role roles[KV_ROLES_MAX];

    for (size_t i = 0; i < choice->count; i++)
        roles[i] = (Keyvault__V1__Role)choice->roles[i];
    request.roles = roles;
    request.n_roles = choice->count;
    request.scope = (char *)(uintptr_t)choice->scope;
    request.ttl_seconds = seconds;
    return keyvault__v1__issue_role_token_request__pack(&request, out);
}
