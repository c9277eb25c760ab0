/* test_reload.c - what a reload takes over is what the documentation says. */
#include "server/reload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/settings_rows.h"
#include "tests/support/kv_cmocka.h"

enum { DOC_BYTES = 64 * 1024 };

static char *paragraph(void)
{
    FILE *file = fopen(KV_SOURCE_DIR "/docs/configuration.md", "r");
    char *text = calloc(1, DOC_BYTES), *begin, *end;

    assert_non_null(file);
    assert_true(fread(text, 1, DOC_BYTES - 1, file) > 0);
    (void)fclose(file);
    begin = strstr(text, "`SIGHUP` takes over");
    assert_non_null(begin);
    end = strstr(begin, "\n\n");
    assert_non_null(end);
    *end = '\0';
    memmove(text, begin, strlen(begin) + 1);
    return text;
}

static void the_documentation_names_what_is_taken_over(void **state)
{
    char *text = paragraph();
    const kv_setting_help *row;
    char name[96];

    (void)state;
    for (unsigned i = 0; (row = kv_settings_help(i)); i++) {
        (void)snprintf(name, sizeof(name), "`[%s] %s`", row->section, row->key);
        if (kv_reload_takes(row->section, row->key) != (strstr(text, name) != NULL))
            fail_msg("docs/configuration.md: %s", name);
    }
    free(text);
}

static void rows_are_compared_and_kept(void **state)
{
    static const char text[] = "[server]\nhome = /h\n[tls]\nkey = k\n%s"
                               "[token.keys]\nmodule = /m\nuri = pkcs11:token=a\npin_file = p\n"
                               "[token.ca]\nmodule = /m\nuri = pkcs11:token=b\npin_file = p\n"
                               "[token.system]\nmodule = /m\nuri = pkcs11:token=c\npin_file = p\n"
                               "[oidc.corp]\nissuer = https://a.example\naudience = %s\n";
    char one[1024], other[1024];
    kv_settings a, b;
    unsigned differ = 0;
    kv_error err = { 0 };

    (void)state;
    (void)snprintf(one, sizeof(one), text, "", "x");
    (void)snprintf(other, sizeof(other), text, "client_ca = ca.pem\n[limits]\nqueue = 5\n", "y");
    assert_kv_ok(kv_settings_parse(one, &a, &err));
    assert_kv_ok(kv_settings_parse(other, &b, &err));
    for (unsigned i = 0; kv_settings_help(i); i++) {
        if (kv_settings_same(&a, &b, i))
            continue;
        differ++;
        assert_kv_ok(kv_settings_keep(&b, &a, i, &err));
        assert_true(kv_settings_same(&a, &b, i));
    }
    assert_int_equal(differ, 2);
    assert_string_equal(b.client_ca, a.client_ca);
    assert_ptr_not_equal(b.client_ca, a.client_ca);
    assert_false(kv_settings_same_providers(&a, &b));
    assert_true(kv_settings_same_providers(&a, &a));
    kv_settings_cleanup(&a);
    kv_settings_cleanup(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_documentation_names_what_is_taken_over),
        cmocka_unit_test(rows_are_compared_and_kept),
    };

    return cmocka_run_group_tests_name("reload", tests, NULL, NULL);
}
