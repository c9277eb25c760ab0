/* merging.c - a merge that succeeds, for tests to spoil. */
#include "tests/unit/x509/merging.h"

#include "tests/support/kv_cmocka.h"

merging *merging_new(const char *sans)
{
    merging *m = test_calloc(1, sizeof(*m));

    pki_make(&m->p);
    m->policy = soft_policy(KV_KEY_P256);
    m->policy.issuer.name = KV_SLICE("Unknown");
    m->spec = pki_leaf_spec(&m->p);
    if (sans) {
        m->spec.sans = sans;
        m->p.leaf = pki_certificate(&m->spec, &m->p.arena);
    }
    m->in = (kv_x509_merge_in){ .given = { m->given, 3 },
                                .field = "x5c",
                                .spki = m->p.key.spki,
                                .csr = pki_request(&m->p.key, m->spec.sans, &m->p.arena),
                                .policy = &m->policy,
                                .now_ms = SOFT_NOW_MS };
    m->given[0] = m->p.leaf;
    m->given[1] = m->p.ca;
    m->given[2] = m->p.root;
    return m;
}

int merging_tear_down(void **state)
{
    merging *m = *state;

    pki_cleanup(&m->p);
    test_free(m);
    return 0;
}
