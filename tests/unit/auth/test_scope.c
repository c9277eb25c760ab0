/* test_scope.c - which texts are scopes, what they cover, and which overlap. */
#include "server/auth/scope.h"
#include "tests/support/kv_cmocka.h"

#define NAME_127                                                                \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" /* 64 */ \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"  /* 63 */

static void reads_scopes_and_nothing_else(void **state)
{
    static const struct {
        const char *text;
        bool good;
    } rows[] = {
        { "/", true },
        { "/vaults/v", true },
        { "/Vaults/V", true },
        { "/vaults/v/certificates", true },
        { "/vaults/v/keys", true },
        { "/vaults/v/secrets", true },
        { "/vaults/v/KEYS/Web-1", true },
        { "/vaults/" NAME_127 "/keys/" NAME_127, true },
        { "", false },
        { "//", false },
        { "vaults/v", false },
        { "/vaults", false },
        { "/vaults/", false },
        { "/vaults/v/", false },
        { "/vaults//keys", false },
        { "/vault/v", false },
        { "/vaults/v/keys/", false },
        { "/vaults/v/keys/k/", false },
        { "/vaults/v/keys/k/1", false },
        { "/vaults/v/certs", false },
        { "/vaults/v//k", false },
        { "/vaults/v_w", false },
        { "/vaults/v w", false },
        { "/vaults/..", false },
        { "/vaults/*", false },
        { "/vaults/v/keys/%2e", false },
        { "/vaults/\xc3\xa4", false },
        { "/vaults/" NAME_127 "a", false },
        { "/vaults/v/keys/" NAME_127 "a", false },
    };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(rows); i++) {
        KV_AUTO(kv_arena) arena = KV_ARENA(8192);
        kv_error err = { 0 };
        kv_slice out;
        kv_status status = kv_scope_parse(&arena, kv_slice_text(rows[i].text), "scope", &out, &err);

        if (status != (rows[i].good ? KV_OK : KV_BAD_REQUEST))
            fail_msg("'%s' is %s", rows[i].text, kv_status_spelling(status)->name);
        if (!rows[i].good)
            assert_string_equal(err.field, "scope");
    }
}

static void normalises_to_lower_case(void **state)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(8192);
    kv_error err = { 0 };
    kv_slice out;
    kv_scope scope;

    (void)state;
    assert_kv_ok(kv_scope_parse(&arena, KV_SLICE("/VAULTS/Prod/Keys/TLS-1"), "scope", &out, &err));
    assert_slice_equal(KV_SLICE("/vaults/prod/keys/tls-1"), out);
    assert_true(kv_scope_read(out, &scope));
    assert_slice_equal(KV_SLICE("prod"), scope.vault);
    assert_int_equal(scope.collection, KV_COLLECTION_KEYS);
    assert_slice_equal(KV_SLICE("tls-1"), scope.name);
    /* What is stored is normalised already; another spelling there is none of ours. */
    assert_false(kv_scope_read(KV_SLICE("/vaults/Prod"), &scope));
}

static void refuses_text_with_a_nul(void **state)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(8192);
    kv_error err = { 0 };
    kv_slice out;

    (void)state;
    assert_kv_fails(KV_BAD_REQUEST,
                    kv_scope_parse(&arena, KV_SLICE("/vaults/v\0w"), "scope", &out, &err));
}

static kv_resource resource(const char *vault, kv_collection collection, const char *name,
                            bool managed)
{
    return (kv_resource){ .vault = kv_slice_text(vault),
                          .collection = collection,
                          .name = kv_slice_text(name),
                          .managed = managed };
}

enum {
    NO = KV_COLLECTION_NONE,
    CE = KV_COLLECTION_CERTIFICATES,
    KE = KV_COLLECTION_KEYS,
    SE = KV_COLLECTION_SECRETS
};

static void covers_what_lies_under_it(void **state)
{
    static const struct {
        const char *scope;
        const char *vault;
        int collection;
        const char *name;
        bool managed;
        bool covers;
    } rows[] = {
        { "/", "", NO, "", false, true },
        { "/", "v", KE, "k", false, true },
        { "/vaults/v", "", NO, "", false, false },
        { "/vaults/v", "v", NO, "", false, true },
        { "/vaults/v", "V", SE, "s", false, true },
        { "/vaults/v", "w", NO, "", false, false },
        { "/vaults/v", "vv", NO, "", false, false },
        { "/vaults/vv", "v", NO, "", false, false },
        { "/vaults/v/keys", "v", NO, "", false, false },
        { "/vaults/v/keys", "v", KE, "", false, true },
        { "/vaults/v/keys", "v", KE, "k", false, true },
        { "/vaults/v/keys", "v", SE, "k", true, false },
        { "/vaults/v/keys", "v", CE, "k", false, false },
        { "/vaults/v/keys/k", "v", KE, "", false, false },
        { "/vaults/v/keys/k", "v", KE, "K", false, true },
        { "/vaults/v/keys/k", "v", KE, "kk", false, false },
        { "/vaults/v/keys/k", "w", KE, "k", false, false },
        { "/vaults/v/keys/k", "v", SE, "k", true, false },
        { "/vaults/v/secrets/k", "v", KE, "k", true, false },
        { "/vaults/v/secrets/k", "v", CE, "k", true, false },
        /* A certificate brings its own key and secret along. */
        { "/vaults/v/certificates/c", "v", CE, "c", false, true },
        { "/vaults/v/certificates/c", "v", KE, "c", true, true },
        { "/vaults/v/certificates/c", "v", SE, "C", true, true },
        { "/vaults/v/certificates/c", "v", KE, "c", false, false },
        { "/vaults/v/certificates/c", "v", SE, "c", false, false },
        { "/vaults/v/certificates/c", "v", SE, "d", true, false },
        { "/vaults/v/certificates/c", "v", SE, "", true, false },
        { "/vaults/v/certificates/c", "v", NO, "", true, false },
        { "/vaults/v/certificates/c", "w", SE, "c", true, false },
        { "/vaults/v/certificates", "v", SE, "c", true, true },
        { "/vaults/v/certificates", "v", SE, "c", false, false },
        { "/vaults/v/certificates", "v", SE, "", true, false },
    };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(rows); i++) {
        kv_resource wanted = resource(rows[i].vault, (kv_collection)rows[i].collection,
                                      rows[i].name, rows[i].managed);
        kv_scope scope;

        assert_true(kv_scope_read(kv_slice_text(rows[i].scope), &scope));
        if (kv_scope_covers(&scope, &wanted) != rows[i].covers)
            fail_msg("row %zu: %s %s /%s/%d/%s", i, rows[i].scope,
                     rows[i].covers ? "does not cover" : "covers", rows[i].vault,
                     rows[i].collection, rows[i].name);
    }
}

/* For separation the collection is ignored. */
static void overlaps_by_vault_and_name(void **state)
{
    static const struct {
        const char *a;
        const char *b;
        bool overlap;
    } rows[] = {
        { "/", "/", true },
        { "/", "/vaults/v", true },
        { "/", "/vaults/v/keys/k", true },
        { "/vaults/v", "/vaults/v", true },
        { "/vaults/v", "/vaults/w", false },
        { "/vaults/v", "/vaults/v/keys", true },
        { "/vaults/v", "/vaults/v/secrets/s", true },
        { "/vaults/v/certificates", "/vaults/v/secrets", true },
        { "/vaults/v/certificates", "/vaults/w/certificates", false },
        { "/vaults/v/certificates", "/vaults/v/secrets/s", true },
        { "/vaults/v/certificates/a", "/vaults/v/secrets/a", true },
        { "/vaults/v/certificates/a", "/vaults/v/certificates/a", true },
        { "/vaults/v/certificates/a", "/vaults/v/certificates/b", false },
        { "/vaults/v/certificates/a", "/vaults/v/keys/b", false },
        { "/vaults/v/certificates/a", "/vaults/w/certificates/a", false },
    };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(rows); i++) {
        kv_scope a, b;

        assert_true(kv_scope_read(kv_slice_text(rows[i].a), &a));
        assert_true(kv_scope_read(kv_slice_text(rows[i].b), &b));
        if (kv_scopes_overlap(&a, &b) != rows[i].overlap ||
            kv_scopes_overlap(&b, &a) != rows[i].overlap)
            fail_msg("%s and %s", rows[i].a, rows[i].b);
    }
}

static void a_message_shows_no_control_characters(void **state)
{
    kv_resource bad = resource("v\n", KV_COLLECTION_KEYS, "k\x1b[2J", false);
    kv_resource good = resource("V", KV_COLLECTION_KEYS, "K", false);
    kv_resource server = { 0 };
    char text[64];

    (void)state;
    kv_resource_text(&bad, text, sizeof(text));
    assert_string_equal(text, "/vaults/?/keys/?");
    kv_resource_text(&good, text, sizeof(text));
    assert_string_equal(text, "/vaults/V/keys/K");
    kv_resource_text(&server, text, sizeof(text));
    assert_string_equal(text, "/");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_scopes_and_nothing_else),
        cmocka_unit_test(normalises_to_lower_case),
        cmocka_unit_test(refuses_text_with_a_nul),
        cmocka_unit_test(covers_what_lies_under_it),
        cmocka_unit_test(overlaps_by_vault_and_name),
        cmocka_unit_test(a_message_shows_no_control_characters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
