/* test_vault_pages.c - lists, page by page: everything once, nothing twice, nothing foreign. */
#include <stdio.h>

#include "tests/contract/vault/acts.h"

enum { NAMES = 23, DELETED_EACH = 3 };

static house *h;

static int open_group(void **state)
{
    char name[16];
    kv_error err = { 0 };

    (void)state;
    h = house_new(false);
    assert_kv_ok(act_make_vault(h, &err));
    for (int i = 0; i < NAMES; i++) {
        (void)snprintf(name, sizeof(name), "Name-%02d", i);
        assert_kv_ok(act_set_secret(h, name, KV_SLICE("v"), NULL, &err));
        if (i % DELETED_EACH == 0)
            assert_kv_ok(act_delete(h, KV_COLLECTION_SECRETS, name, &err));
    }
    for (int i = 0; i < NAMES; i++)
        assert_kv_ok(act_set_secret(h, "versions", KV_SLICE("v"), NULL, &err));
    return 0;
}

static int close_group(void **state)
{
    (void)state;
    house_free(h);
    return 0;
}

typedef kv_status list(house *of, const kv_list_in *in, kv_object_list *out, kv_error *err);

static kv_status live(house *of, const kv_list_in *in, kv_object_list *out, kv_error *to)
{
    kv_error err = { 0 };
    kv_status status = HOUSE_DO(of, kv_secret_list, in, out);

    *to = err;
    return status;
}

static kv_status deleted(house *of, const kv_list_in *in, kv_object_list *out, kv_error *to)
{
    kv_error err = { 0 };
    kv_status status = HOUSE_DO(of, kv_secret_list_deleted, in, out);

    *to = err;
    return status;
}

static kv_status versions(house *of, const kv_list_in *in, kv_object_list *out, kv_error *to)
{
    kv_error err = { 0 };
    kv_status status = HOUSE_DO(of, kv_secret_list_versions, in, out);

    *to = err;
    return status;
}

/* Walks all pages; the names (or versions) grow from one to the next. */
static unsigned walk(list *of, const char *name, uint32_t size)
{
    char last[128] = "", token[256];
    kv_list_in in = { .target = act_target(KV_COLLECTION_SECRETS, name), .page = { .size = size } };
    kv_object_list page;
    unsigned seen = 0;
    kv_error err = { 0 };

    do {
        assert_kv_ok(of(h, &in, &page, &err));
        assert_true(page.count <= (size ? size : 100u));
        for (size_t i = 0; i < page.count; i++) {
            const kv_object_id *id = &page.items[i].id;
            kv_slice is = name ? id->version : id->name;

            assert_true(kv_slice_compare(kv_slice_text(last), is) < 0);
            (void)snprintf(last, sizeof(last), "%.*s", KV_SLICE_ARG(is));
            seen++;
        }
        assert_true(page.next_page_token.len < sizeof(token));
        if (page.next_page_token.len)
            memcpy(token, page.next_page_token.data, page.next_page_token.len);
        in.page.token = kv_slice_of(token, page.next_page_token.len);
    } while (in.page.token.len);
    return seen;
}

static void pages_of_every_size_hold_the_same(void **state)
{
    static const uint32_t sizes[] = { 0, 1, 2, 3, 7, NAMES, 1000 };
    const unsigned gone = (NAMES + DELETED_EACH - 1) / DELETED_EACH;

    (void)state;
    for (size_t i = 0; i < KV_COUNT(sizes); i++) {
        assert_int_equal(walk(live, NULL, sizes[i]), NAMES - gone + 1);
        assert_int_equal(walk(deleted, NULL, sizes[i]), gone);
        assert_int_equal(walk(versions, "versions", sizes[i]), NAMES);
    }
}

static void what_is_no_page_is_refused(void **state)
{
    kv_list_in in = { .target = act_target(KV_COLLECTION_SECRETS, NULL), .page = { .size = 1001 } };
    kv_object_list page;
    kv_error err = { 0 };

    (void)state;
    assert_kv_fails(KV_BAD_REQUEST, live(h, &in, &page, &err));
    assert_string_equal(err.field, "page_size");
    in.page = (kv_page){ .token = KV_SLICE("not/a/name") };
    assert_kv_fails(KV_BAD_REQUEST, live(h, &in, &page, &err));
    assert_string_equal(err.field, "page_token");
    in.target.name = KV_SLICE("versions");
    in.page = (kv_page){ .token = KV_SLICE("name-01") };
    assert_kv_fails(KV_BAD_REQUEST, versions(h, &in, &page, &err));
    assert_string_equal(err.field, "page_token");
    in.target.name = KV_SLICE("nothing");
    in.page = (kv_page){ 0 };
    assert_kv_fails(KV_NOT_FOUND, versions(h, &in, &page, &err));
}

/* What goes or comes between two pages does not make the others come twice or not at all. */
static void a_list_that_changes_goes_on(void **state)
{
    kv_list_in in = { .target = act_target(KV_COLLECTION_SECRETS, NULL), .page = { .size = 4 } };
    char token[256];
    kv_object_list page;
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(live(h, &in, &page, &err));
    memcpy(token, page.next_page_token.data, page.next_page_token.len);
    in.page.token = kv_slice_of(token, page.next_page_token.len);
    /* The very name the token stands for. */
    (void)snprintf(token + in.page.token.len, sizeof(token) - in.page.token.len, "%s", "");
    assert_kv_ok(act_delete(h, KV_COLLECTION_SECRETS, token, &err));
    assert_kv_ok(act_purge(h, KV_COLLECTION_SECRETS, token, &err));
    assert_kv_ok(live(h, &in, &page, &err));
    assert_true(page.count == 4);
    assert_true(kv_slice_compare(in.page.token, page.items[0].id.name) != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_of_every_size_hold_the_same),
        cmocka_unit_test(what_is_no_page_is_refused),
        cmocka_unit_test(a_list_that_changes_goes_on),
    };

    return cmocka_run_group_tests(tests, open_group, close_group);
}
