/* test_settings.c - keyvaultd.conf: defaults, every rule, every refusal. */
#include "server/settings_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/kv_cmocka.h"

#define TOKEN(name) \
    "[token." name "]\nmodule = /m.so\nuri = pkcs11:token=" name "\npin_file = pin\n"
#define TOKENS        TOKEN("keys") TOKEN("ca") TOKEN("system")
#define SMALLEST      "[server]\nhome = /srv/kv\n[tls]\nkey = tls/key.pem\n" TOKENS
#define FIVE_NETWORKS "10.1.0.0/16, 10.2.0.0/16, 10.3.0.0/16, 10.4.0.0/16, 10.5.0.0/16, "
#define TEN_NETWORKS  FIVE_NETWORKS FIVE_NETWORKS

static void defaults_fill_what_is_left_out(void **state)
{
    KV_AUTO(kv_settings) settings = { 0 };
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(kv_settings_parse(SMALLEST, &settings, &err));
    assert_string_equal(settings.listen, "127.0.0.1:8443");
    assert_int_equal(settings.audit_segment_bytes, 268435456);
    assert_string_equal(settings.separation, "strict");
    assert_string_equal(settings.tls_min_version, "1.3");
    assert_int_equal(settings.tokens[KV_SETTING_TOKEN_KEYS].workers, 2);
}

static void relative_paths_start_at_home(void **state)
{
    KV_AUTO(kv_settings) settings = { 0 };
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(kv_settings_parse(SMALLEST, &settings, &err));
    assert_string_equal(settings.tls_key, "/srv/kv/tls/key.pem");
    assert_string_equal(settings.audit_folder, "/srv/kv/audit");
    assert_string_equal(settings.store_url, "sqlite:/srv/kv/keyvault.db");
    assert_string_equal(settings.tokens[KV_SETTING_TOKEN_CA].pin_file, "/srv/kv/pin");
    assert_string_equal(settings.client_ca, "");
}

static void listens_on_names_and_addresses(void **state)
{
    static const char *const good[] = { "localhost:8443", "0.0.0.0:0", "[::1]:8443", "[::]:65535" };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(good); i++) {
        KV_AUTO(kv_settings) settings = { 0 };
        kv_error err = { 0 };
        char text[1024];

        (void)snprintf(text, sizeof(text), "[server]\nlisten = %s\nhome = /srv/kv\n%s", good[i],
                       &SMALLEST[strlen("[server]\nhome = /srv/kv\n")]);
        assert_kv_ok(kv_settings_parse(text, &settings, &err));
        assert_string_equal(settings.listen, good[i]);
    }
}

static void uris_and_credentials_are_no_paths(void **state)
{
    KV_AUTO(kv_settings) settings = { 0 };
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(kv_settings_parse("[server]\nhome = /srv/kv\n[tls]\nkey = pkcs11:token=t\n"
                                   "min_version = 1.2\n"
                                   "[token.tls]\npin_file = credential:tls-pin\n" TOKENS,
                                   &settings, &err));
    assert_string_equal(settings.tls_key, "pkcs11:token=t");
    assert_string_equal(settings.tls_min_version, "1.2");
    assert_string_equal(settings.tokens[KV_SETTING_TOKEN_TLS].pin_file, "credential:tls-pin");
}

enum { PAGE_BYTES = 64 * 1024 };

typedef struct bad_file {
    const char *text;
    const char *message; /* part of it */
} bad_file;

static const bad_file bad_files[] = {
    { "", "home" },
    { "[tls]\nmin_version = 1.1\n", "must be one of 1.2|1.3" },
    { "[server]\nhome = relative\n", "absolute" },
    { "[server]\nhome = /a\nhome = /b\n", "line 3: [server] home is given twice" },
    { "[server]\nhome = /a\nhoem = /b\n", "line 3: there is no setting 'hoem' in [server]" },
    { "[sever]\nhome = /a\n", "there is no setting 'home' in [sever]" },
    { "[server]\nhome = /a\nloops = 0\n", "line 3: [server] loops must be a number from 1 to 64" },
    { "[server]\nhome = /a\nloops = 99999999999999999999\n", "must be a number" },
    { "[server]\nhome = /a\nloops = 1x\n", "must be a number" },
    { "[server]\nhome = /a\nloops =\n", "must be a number" },
    { "[server]\nhome = /a\nlog_level = loud\n", "must be one of debug|info|warning|error" },
    { "[server]\nhome = /a\nlog_level = inf\n", "must be one of" },
    { SMALLEST "[oidc.a]\naudience = b\n", "needs issuer and audience" },
    { "[oidc.a]\nissuer = a\nissuer = b\n", "line 3: [oidc.a] issuer is given twice" },
    { "[oidc.a]\nissuers = a\n", "there is no setting 'issuers' in [oidc.a]" },
    { "[oidc.a]\nleeway_seconds = 301\n", "must be a number from 0 to 300" },
    { "[oidc.A]\nissuer = a\n", "NAME of [oidc.NAME]" },
    { "[oidc.]\nissuer = a\n", "NAME of [oidc.NAME]" },
    { "[access]\nseparation_of_duty = maybe\n", "must be one of strict|warn|off" },
    { "[access]\nseparation_of_duty = war\n", "must be one of strict|warn|off" },
    { "[server]\nhome = /a\nlocked_memory = 100000\n", "power of two" },
    { "[server]\nhome = /a\nlisten = nowhere\n", "host:port" },
    { "[server]\nhome = /a\nlisten = :8443\n", "host:port" },
    { "[server]\nhome = /a\nlisten = here:\n", "host:port" },
    { "[server]\nhome = /a\nlisten = here:8x\n", "host:port" },
    { "[server]\nhome = /a\nlisten = here:65536\n", "host:port" },
    { "[server]\nhome = /a\nlisten = here:99999999999999999999\n", "host:port" },
    { "[server]\nhome = /a\nlisten = ::1:8443\n", "host:port" },
    { "[server]\nhome = /a\nlisten = [::1]8443\n", "host:port" },
    { "[server]\nhome = /a\n[tls]\nkey = k\n[token.keys]\nisolated = true\n" TOKENS,
      "all isolated, or none" },
    { "[server]\nhome = /a\n[tls]\nkey = k\n[token.ca]\nisolated = yes\n" TOKENS,
      "isolated must be one of" },
    { "[server]\nhome = /a\n[tls]\nkey = k\n", "module, uri and pin_file" },
    { "[server]\nhome = /a\n" TOKENS, "[tls] key" },
    { SMALLEST "[acme]\nhttp_listen = 80\n", "[acme] http_listen must be host:port" },
    { SMALLEST "[acme]\ntls_alpn_listen = ::1:443\n", "[acme] tls_alpn_listen must be host:port" },
    { SMALLEST "[acme]\ndns_hook = hook\ndns_server = ns\n", "not both" },
    { SMALLEST "[acme]\ndns_server = ns\n", "needs dns_key_name and dns_key_file" },
    { SMALLEST "[acme]\ndns_zone = a b\n", "must be names of DNS" },
    { SMALLEST "[acme]\ndns_key_name = a\"b\n", "must be names of DNS" },
    { SMALLEST "[acme]\ndns_server = ns 53\ndns_key_name = a\ndns_key_file = b\n", "dns_server" },
    { SMALLEST "[acme]\ndns_key_algorithm = hmac-md5\n", "must be one of hmac-sha256" },
    { SMALLEST "[outgoing]\nnetworks = " TEN_NETWORKS TEN_NETWORKS "\n",
      "is longer than 198 bytes" },
    { "[server\nhome = /a\n", "line 1" },
    { "just words\n", "line 1" },
};

static void each_mistake_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < KV_COUNT(bad_files); i++) {
        KV_AUTO(kv_settings) settings = { 0 };
        kv_error err = { 0 };

        assert_kv_fails(KV_BAD_REQUEST, kv_settings_parse(bad_files[i].text, &settings, &err));
        if (!strstr(err.message, bad_files[i].message))
            fail_msg("'%s' gives '%s', which does not say '%s'", bad_files[i].text, err.message,
                     bad_files[i].message);
    }
}

static void separation_can_be_turned_off(void **state)
{
    KV_AUTO(kv_settings) settings = { 0 };
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(
        kv_settings_parse("[access]\nseparation_of_duty = off\n" SMALLEST, &settings, &err));
    assert_string_equal(settings.separation, "off");
}

static void identity_providers_have_a_section_each(void **state)
{
    KV_AUTO(kv_settings) settings = { 0 };
    kv_error err = { 0 };
    char value[64];

    (void)state;
    assert_kv_ok(kv_settings_parse(SMALLEST "[oidc.corp]\nissuer = https://idp.test\n"
                                            "audience = kv\njwks = keys.json\n"
                                            "[oidc.home]\nissuer = https://b.test\n"
                                            "audience = kv\njwks = https://b.test/keys\n"
                                            "[oidc.corp]\nleeway_seconds = 5\n",
                                   &settings, &err));
    assert_int_equal(settings.oidc_count, 2);
    assert_string_equal(settings.oidc[0].name, "corp");
    assert_string_equal(settings.oidc[0].jwks, "/srv/kv/keys.json");
    assert_string_equal(settings.oidc[0].claims, "sub");
    assert_int_equal(settings.oidc[0].leeway_seconds, 5);
    assert_string_equal(settings.oidc[1].jwks, "https://b.test/keys");
    assert_int_equal(settings.oidc[1].leeway_seconds, 60);
    kv_settings_provider_value(&settings.oidc[0], 0, value, sizeof(value));
    assert_string_equal(value, "https://idp.test");
}

static void too_many_identity_providers_are_refused(void **state)
{
    KV_AUTO(kv_settings) settings = { 0 };
    kv_error err = { 0 };
    char text[4096] = SMALLEST;

    (void)state;
    for (int i = 0; i <= KV_SETTING_PROVIDERS; i++)
        (void)snprintf(text + strlen(text), sizeof(text) - strlen(text),
                       "[oidc.p%d]\nissuer = https://a\naudience = b\n", i);
    assert_kv_fails(KV_BAD_REQUEST, kv_settings_parse(text, &settings, &err));
    assert_non_null(strstr(err.message, "more than 8"));
}

static void a_missing_file_is_named(void **state)
{
    KV_AUTO(kv_settings) settings = { 0 };
    kv_error err = { 0 };

    (void)state;
    assert_kv_fails(KV_UNAVAILABLE, kv_settings_read("/nowhere/k.conf", &settings, &err));
    assert_non_null(strstr(err.message, "/nowhere/k.conf"));
}

static void what_is_behind_a_nul_byte_is_not_left_out(void **state)
{
    static const char text[] = SMALLEST "\0\n[access]\nseparation_of_duty = maybe\n";
    char path[] = "/tmp/kv-settings-XXXXXX";
    int fd = mkstemp(path);
    kv_settings settings;
    kv_error err = { 0 };

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
    assert_int_equal(close(fd), 0);
    assert_kv_fails(KV_BAD_REQUEST, kv_settings_read(path, &settings, &err));
    assert_non_null(strstr(err.message, "NUL byte"));
    assert_int_equal(unlink(path), 0);
}

static void every_setting_can_be_printed_and_read_again(void **state)
{
    KV_AUTO(kv_settings) settings = { 0 };
    KV_AUTO(kv_settings) again = { 0 };
    const kv_setting_help *row;
    char text[16384];
    size_t len = 0;
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(kv_settings_parse(SMALLEST, &settings, &err));
    for (unsigned i = 0; (row = kv_settings_help(i)); i++) {
        char value[512];

        assert_true(strlen(row->meaning) > 5);
        kv_settings_value(&settings, i, value, sizeof(value));
        len += (size_t)snprintf(text + len, sizeof(text) - len, "[%s]\n%s = %s\n", row->section,
                                row->key, value);
    }
    assert_kv_ok(kv_settings_parse(text, &again, &err));
    assert_string_equal(again.store_url, settings.store_url);
    assert_int_equal(again.max_deadline_ms, settings.max_deadline_ms);
}

/* docs/configuration.md has the row of every setting as the table in settings.c says it. */
static void every_setting_is_documented(void **state)
{
    char *page = calloc(1, PAGE_BYTES);
    FILE *file = fopen(KV_SOURCE_DIR "/docs/configuration.md", "r");
    const kv_setting_help *row;
    char line[512];

    (void)state;
    assert_non_null(file);
    assert_non_null(page);
    assert_in_range(fread(page, 1, PAGE_BYTES - 1, file), 1, PAGE_BYTES - 2);
    (void)fclose(file);
    for (unsigned i = 0; (row = kv_settings_help(i)); i++) {
        const char *quote = row->value[0] ? "`" : "";

        (void)snprintf(line, sizeof(line), "| `[%s]` | `%s` | %s%s%s | %s |\n", row->section,
                       row->key, quote, row->value, quote, row->meaning);
        if (!strstr(page, line))
            fail_msg("docs/configuration.md lacks: %s", line);
    }
    for (unsigned i = 0; (row = kv_settings_provider_help(i)); i++) {
        (void)snprintf(line, sizeof(line), "| `[oidc.NAME]` | `%s` |", row->key);
        assert_non_null(strstr(page, line));
        assert_non_null(strstr(page, row->meaning));
    }
    free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_fill_what_is_left_out),
        cmocka_unit_test(relative_paths_start_at_home),
        cmocka_unit_test(listens_on_names_and_addresses),
        cmocka_unit_test(uris_and_credentials_are_no_paths),
        cmocka_unit_test(each_mistake_is_named),
        cmocka_unit_test(separation_can_be_turned_off),
        cmocka_unit_test(identity_providers_have_a_section_each),
        cmocka_unit_test(too_many_identity_providers_are_refused),
        cmocka_unit_test(a_missing_file_is_named),
        cmocka_unit_test(what_is_behind_a_nul_byte_is_not_left_out),
        cmocka_unit_test(every_setting_can_be_printed_and_read_again),
        cmocka_unit_test(every_setting_is_documented),
    };

    return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
