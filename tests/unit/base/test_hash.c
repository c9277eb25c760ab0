/* test_hash.c - a table that finds no memory is as it was, and says what it left out. */
#include <stdbool.h>
#include <stdlib.h>

static bool out_of_memory;

#define uthash_malloc(size) (out_of_memory ? NULL : malloc(size))
#include "server/base/hash.h"
#include "tests/support/kv_cmocka.h"

enum { MANY = 1000 };

typedef struct item {
    unsigned number;
    UT_hash_handle hh;
} item;

static item *find(item *table, unsigned number)
{
    item *found;

    HASH_FIND(hh, table, &number, sizeof(number), found);
    return found;
}

static void the_first_element_may_find_no_memory(void **state)
{
    item *table = NULL, one = { .number = 1 };

    (void)state;
    out_of_memory = true;
    HASH_ADD(hh, table, number, sizeof(one.number), &one);
    assert_false(KV_HASH_HAS(&one));
    assert_null(find(table, 1));
    out_of_memory = false;
    HASH_ADD(hh, table, number, sizeof(one.number), &one);
    assert_true(KV_HASH_HAS(&one));
    assert_ptr_equal(find(table, 1), &one);
    HASH_DEL(table, &one);
}

/* The table has to grow now and then. */
static void one_that_needs_more_room_is_left_out_alone(void **state)
{
    static item items[MANY];
    item *table = NULL;
    unsigned left_out = 0;

    (void)state;
    for (unsigned i = 0; i < MANY; i++) {
        items[i].number = i;
        out_of_memory = i > 0;
        HASH_ADD(hh, table, number, sizeof(items[i].number), &items[i]);
        left_out += !KV_HASH_HAS(&items[i]);
    }
    out_of_memory = false;
    assert_in_range(left_out, 1, MANY - 1);
    assert_int_equal(HASH_COUNT(table), MANY - left_out);
    for (unsigned i = 0; i < MANY; i++)
        assert_ptr_equal(find(table, i), KV_HASH_HAS(&items[i]) ? &items[i] : NULL);
    HASH_CLEAR(hh, table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_element_may_find_no_memory),
        cmocka_unit_test(one_that_needs_more_room_is_left_out_alone),
    };

    return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
