/* authority_line.c - three authorities, one below the other. */
#include "tests/contract/vault/authority_line.h"

#include <stdio.h>

kv_target line_target(const char *name)
{
    return act_target(KV_COLLECTION_CERTIFICATES, name);
}

kv_status line_create(house *h, const char *name, const char *parent, kv_error *why)
{
    char subject[64];
    kv_authority_create_in in = { .target = line_target(name),
                                  .kind = parent ? KV_AUTHORITY_SUBORDINATE : KV_AUTHORITY_ROOT,
                                  .kty = KV_SLICE("EC"),
                                  .crv = KV_SLICE("P-256"),
                                  .parent = kv_slice_text(parent) };
    kv_authority_bundle out;
    kv_error err;
    kv_status status;

    (void)snprintf(subject, sizeof(subject), "CN=%s", name);
    in.subject = kv_slice_text(subject);
    status = HOUSE_DO(h, kv_authority_create, &in, &out);
    *why = err;
    return status;
}

house *line_start(void)
{
    static const char *const line[] = { NULL, "root", "tls", "team" };
    house *h = house_new_pki();
    kv_error err = { 0 };

    assert_kv_ok(act_make_vault(h, &err));
    for (size_t i = 1; i < KV_COUNT(line); i++)
        assert_kv_ok(line_create(h, line[i], line[i - 1], &err));
    return h;
}

kv_authority_bundle line_look(house *h, const char *name)
{
    kv_authority_get_in in = { .target = line_target(name) };
    kv_authority_bundle out;
    kv_error err;

    assert_kv_ok(HOUSE_DO(h, kv_authority_get, &in, &out));
    return out;
}

kv_status line_renew(house *h, const char *name, bool new_key, kv_error *why)
{
    kv_authority_renew_in in = { .target = line_target(name), .new_key = new_key };
    kv_authority_bundle out;
    kv_error err;
    kv_status status = HOUSE_DO(h, kv_authority_renew, &in, &out);

    *why = err;
    return status;
}

/* "team" is below the certificate that "tls" has now and below all above that, which ends with the
 * root's: as it is now, or through what a new key made of the old one. */
bool line_chains_are_right(house *h)
{
    kv_authority_bundle root = line_look(h, "root");
    kv_authority_bundle tls = line_look(h, "tls");
    kv_authority_bundle team = line_look(h, "team");
    bool right = team.chain.count == tls.chain.count + 1 &&
                 kv_slice_equal(team.chain.items[0], tls.certificate) &&
                 kv_slice_equal(tls.chain.items[tls.chain.count - 1], root.certificate);

    for (size_t i = 0; right && i < tls.chain.count; i++)
        right = kv_slice_equal(team.chain.items[i + 1], tls.chain.items[i]);
    return right;
}

unsigned line_owed(house *h)
{
    return house_count(h, "SELECT count(*) FROM authorities WHERE length(chains_from) > 0");
}

void line_owe(house *h)
{
    kv_error err = { 0 };

    for (unsigned n = 1; !line_owed(h); n++) {
        assert_true(n < LINE_CHANGES_MAX);
        atomic_fetch_add(&h->now_ms, 60000);
        house_die_after(h, n, HOUSE_KEYS_STAY);
        (void)!line_renew(h, "root", false, &err);
        assert_true(atomic_load(&h->dead));
        assert_kv_ok(house_restart(h, &err));
    }
}

kv_status line_set_enabled(house *h, const char *name, bool enabled, kv_error *why)
{
    kv_authority_update_in in = { .target = line_target(name),
                                  .has_enabled = true,
                                  .enabled = enabled };
    kv_authority_bundle out;
    kv_error err;
    kv_status status = HOUSE_DO(h, kv_authority_update, &in, &out);

    *why = err;
    return status;
}
