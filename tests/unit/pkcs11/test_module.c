/* test_module.c - the gate: nobody is inside when a module is finalised. */
#include "pkcs11/module.h"

#include <stdatomic.h>
#include <unistd.h>

#include "tests/support/fake_token.h"
#include "tests/support/kv_cmocka.h"

static int open_module(void **state)
{
    kv_error err = { 0 };
    kv_module *module = NULL;

    assert_kv_ok(kv_module_new(NULL, kv_fake_new((const char *[]){ "t", NULL }), &module, &err));
    assert_kv_ok(kv_module_start(module, &err));
    *state = module;
    return 0;
}

static int close_module(void **state)
{
    kv_module_free(*state);
    assert_int_equal(kv_fake_seen().initialised, kv_fake_seen().finalised);
    kv_fake_free();
    return 0;
}

static void visitors_come_and_go(void **state)
{
    kv_module *module = *state;
    kv_error err = { 0 };

    assert_int_equal(module->generation, 1);
    assert_kv_ok(kv_module_enter(module, &err));
    kv_module_leave(module);
    assert_kv_ok(kv_module_clear(module, 10, &err));
    assert_kv_fails(KV_UNAVAILABLE, kv_module_enter(module, &err));
    assert_int_equal(err.reason, KV_REASON_TOKEN_UNAVAILABLE);
    kv_module_stop(module);
    kv_module_readmit(module);
    assert_kv_fails(KV_UNAVAILABLE, kv_module_enter(module, &err));
    assert_kv_ok(kv_module_start(module, &err));
    assert_int_equal(module->generation, 2);
    assert_kv_ok(kv_module_enter(module, &err));
    kv_module_leave(module);
}

static struct visitor {
    atomic_bool inside, may_leave;
} visitor;

static void *stay_inside(void *context)
{
    kv_error err = { 0 };

    if (kv_module_enter(context, &err) != KV_OK)
        return context;
    atomic_store(&visitor.inside, true);
    while (!atomic_load(&visitor.may_leave))
        (void)usleep(1000);
    kv_module_leave(context);
    return NULL;
}

static void clearing_waits_but_not_for_ever(void **state)
{
    kv_module *module = *state;
    pthread_t thread;
    void *refused = NULL;
    kv_error err = { 0 };

    assert_int_equal(pthread_create(&thread, NULL, stay_inside, module), 0);
    while (!atomic_load(&visitor.inside))
        (void)usleep(1000);
    assert_kv_fails(KV_TIMEOUT, kv_module_clear(module, 10, &err));
    /* A clearing that failed keeps nobody out. */
    assert_kv_ok(kv_module_enter(module, &err));
    kv_module_leave(module);
    atomic_store(&visitor.may_leave, true);
    assert_kv_ok(kv_module_clear(module, 60000, &err));
    kv_module_readmit(module);
    assert_int_equal(pthread_join(thread, &refused), 0);
    assert_null(refused);
}

static void what_is_not_a_module_is_refused(void **state)
{
    kv_module *module = NULL;
    kv_error err = { 0 };

    (void)state;
    assert_kv_fails(KV_BAD_REQUEST, kv_module_new(NULL, NULL, &module, &err));
    assert_kv_fails(KV_BAD_REQUEST, kv_module_new("/nonexistent.so", NULL, &module, &err));
    assert_kv_fails(KV_BAD_REQUEST, kv_module_new("libcrypto.so.3", NULL, &module, &err));
    assert_string_equal(err.field, "module");
}

static void a_module_that_somebody_else_initialised_is_used_as_it_is(void **state)
{
    kv_module *module = *state;
    kv_error err = { 0 };

    assert_kv_ok(kv_module_start(module, &err));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_module, close_module)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(visitors_come_and_go),
        TEST(clearing_waits_but_not_for_ever),
        TEST(what_is_not_a_module_is_refused),
        TEST(a_module_that_somebody_else_initialised_is_used_as_it_is),
    };

    return cmocka_run_group_tests_name("module", tests, NULL, NULL);
}
