/* test_cli_args.c - command lines by the table, and the table itself. */
#include "client/cli/cli.h"

#include <stdlib.h>

#include "client/cli/message.h"
#include "client/methods.h"
#include "tests/support/kv_cmocka.h"

enum { WORDS_MAX = 32, TEXT_BYTES = 512 };

/* Splits at blanks: no argument here has one. */
static kv_status parse(const char *line, kv_cli_args *out, kv_error *err)
{
    static char text[TEXT_BYTES]; /* arguments are borrowed from it */
    char *argv[WORDS_MAX] = { text };
    int argc = 1;

    (void)snprintf(text, sizeof(text), "kvctl %s", line);
    for (char *at = strchr(text, ' '); at && argc < WORDS_MAX; at = strchr(at, ' ')) {
        *at++ = '\0';
        if (*at)
            argv[argc++] = at;
    }
    return kv_cli_parse(argc, argv, out, err);
}

static void finds_verbs_of_one_and_of_two_words(void **state)
{
    kv_cli_args args;
    kv_error err;

    (void)state;
    assert_kv_ok(parse("vault list", &args, &err));
    assert_string_equal(args.verb->path, "/keyvault.v1.VaultService/ListVaults");
    assert_kv_ok(parse("certificate policy show --vault v --name n", &args, &err));
    assert_string_equal(args.verb->verb, "policy show");
    assert_string_equal(kv_cli_value_of(&args, "vault"), "v");
    assert_null(kv_cli_value_of(&args, "version"));
}

static void takes_options_in_every_spelling(void **state)
{
    kv_cli_args args;
    kv_error err;

    (void)state;
    assert_kv_ok(parse("--endpoint h:1 key show -n k -v v -o table --version=3", &args, &err));
    assert_string_equal(kv_cli_value_of(&args, "endpoint"), "h:1");
    assert_string_equal(kv_cli_value_of(&args, "name"), "k");
    assert_string_equal(kv_cli_value_of(&args, "vault"), "v");
    assert_string_equal(kv_cli_value_of(&args, "output"), "table");
    assert_string_equal(kv_cli_value_of(&args, "version"), "3");
}

static void login_is_short_for_token_login(void **state)
{
    kv_cli_args args;
    kv_error err;

    (void)state;
    assert_kv_ok(parse("login --oidc-issuer https://idp.test", &args, &err));
    assert_string_equal(args.verb->noun, "token");
    assert_string_equal(args.verb->verb, "login");
    assert_string_equal(kv_cli_value_of(&args, "oidc-issuer"), "https://idp.test");
    assert_kv_ok(parse("--endpoint h logout", &args, &err));
    assert_string_equal(args.verb->verb, "logout");
    assert_kv_ok(parse("token login", &args, &err));
    assert_string_equal(args.verb->verb, "login");
    assert_kv_fails(KV_BAD_REQUEST, parse("login again", &args, &err));
}

static void knows_an_authority_is_made_by_two_names(void **state)
{
    kv_cli_args init, create;
    kv_error err;

    (void)state;
    assert_kv_ok(parse("ca init --name root --subject CN=R", &init, &err));
    assert_string_equal(init.verb->verb, "init");
    assert_kv_ok(parse("ca create --name root --subject CN=R", &create, &err));
    assert_string_equal(init.verb->path, create.verb->path);
    assert_ptr_equal(init.verb->options, create.verb->options);
    assert_ptr_equal(init.verb->run, create.verb->run);
}

static void takes_a_yes_or_no_with_and_without_a_value(void **state)
{
    kv_cli_args args;
    kv_error err;

    (void)state;
    assert_kv_ok(parse("certificate create --exportable --name n", &args, &err));
    assert_string_equal(kv_cli_value_of(&args, "exportable"), "true");
    assert_string_equal(kv_cli_value_of(&args, "name"), "n");
    assert_kv_ok(parse("certificate create --exportable false", &args, &err));
    assert_string_equal(kv_cli_value_of(&args, "exportable"), "false");
    assert_kv_ok(parse("certificate create --exportable=false", &args, &err));
    assert_string_equal(kv_cli_value_of(&args, "exportable"), "false");
}

typedef struct wrong {
    const char *line;
    const char *says;
} wrong;

static void says_what_was_perhaps_meant(void **state)
{
    static const wrong wrongs[] = {
        { "certifcate list", "certificate" },
        { "banana list", "kvctl --help" },
        { "key sgn", "key sign" },
        { "key frobnicate", "kvctl key --help" },
        { "key sign --algoritm ES256", "--algorithm" },
        { "key sign --endpiont h", "--endpoint" },
        { "key sign --zzzzzzz 1", "kvctl key sign --help" },
        { "secret set --value hunter2", "standard input" },
        { "secret download --password x", "--password-file" },
        { "key show --name", "needs a value" },
        { "key show --name a --name b", "twice" },
        { "key show name", "not expected here" },
        { "audit verify --live=yes", "takes no value" },
        { "certificate create --tag a=b --tag c=d --dns-name x --dns-name y --nmae", "--name" },
    };
    kv_cli_args args;

    (void)state;
    for (size_t i = 0; i < KV_COUNT(wrongs); i++) {
        kv_error err = { 0 };

        assert_kv_fails(KV_BAD_REQUEST, parse(wrongs[i].line, &args, &err));
        if (!strstr(err.message, wrongs[i].says))
            fail_msg("'%s' gives '%s', without '%s'", wrongs[i].line, err.message, wrongs[i].says);
    }
}

static void never_repeats_a_secret_from_the_command_line(void **state)
{
    kv_cli_args args;
    kv_error err = { 0 };

    (void)state;
    assert_kv_fails(KV_BAD_REQUEST, parse("secret set --value=hunter2", &args, &err));
    assert_null(strstr(err.message, "hunter2"));
}

static void wants_what_is_required(void **state)
{
    const kv_cli_config nothing = { 0 };
    const kv_cli_config with_vault = { .vault = "v" };
    kv_cli_args args;
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(parse("key show --name k", &args, &err));
    assert_kv_fails(KV_BAD_REQUEST, kv_cli_check(&args, &nothing, &err));
    assert_non_null(strstr(err.message, "--vault"));
    assert_kv_ok(kv_cli_check(&args, &with_vault, &err));
    assert_kv_ok(parse("key show", &args, &err));
    assert_kv_fails(KV_BAD_REQUEST, kv_cli_check(&args, &with_vault, &err));
    assert_non_null(strstr(err.message, "--name"));
}

static void asks_for_help_in_every_way(void **state)
{
    static const char *const lines[] = { "--help",
                                         "-h",
                                         "help",
                                         "key --help",
                                         "help key",
                                         "key sign -h",
                                         "key sign --name k --help",
                                         "certificate policy --help" };
    kv_cli_args args;
    kv_error err;

    (void)state;
    for (size_t i = 0; i < KV_COUNT(lines); i++) {
        assert_kv_ok(parse(lines[i], &args, &err));
        assert_true(args.help);
    }
    assert_kv_ok(parse("key sign -h", &args, &err));
    assert_string_equal(args.verb->verb, "sign");
}

/* --- the table --- */

static void has_help_for_every_verb(void **state)
{
    size_t count = kv_cli_verb_count();

    (void)state;
    for (size_t i = 0; i < count; i++) {
        kv_cli_args args = { .verb = kv_cli_verb_at(i),
                             .noun = kv_cli_verb_at(i)->noun,
                             .help = true };
        char *text = NULL;
        size_t len;
        FILE *out = open_memstream(&text, &len);

        kv_cli_help(&args, out);
        (void)fclose(out);
        assert_non_null(strstr(text, kv_cli_verb_at(i)->summary));
        for (const kv_cli_option *row = kv_cli_verb_at(i)->options; row->name; row++)
            assert_non_null(strstr(text, row->help));
        free(text);
    }
}

/* Options that name a field must name one that there is. */
static void names_only_fields_that_exist(void **state)
{
    size_t count = kv_cli_verb_count();

    (void)state;
    for (size_t i = 0; i < count; i++) {
        kv_method method;
        kv_error err = { 0 };

        if (!kv_cli_verb_at(i)->path)
            continue;
        assert_true(kv_method_find(kv_cli_verb_at(i)->path, &method));
        for (const kv_cli_option *row = kv_cli_verb_at(i)->options; row->name; row++) {
            ProtobufCMessage *message = kv_message_new(method.input);

            if (row->field && row->kind != KV_OPTION_JSON)
                (void)!kv_message_set(message, row->field, "a=b", &err);
            if (strstr(err.message, "no such field") || strstr(err.message, "of its own"))
                fail_msg("%s %s --%s: %s: %s", kv_cli_verb_at(i)->noun, kv_cli_verb_at(i)->verb,
                         row->name, err.field, err.message);
            keyvault_message_free(message);
        }
    }
}

static void has_no_verb_and_no_option_twice(void **state)
{
    size_t count = kv_cli_verb_count();

    (void)state;
    for (size_t i = 0; i < count; i++) {
        assert_non_null(kv_cli_verb_at(i)->run);
        for (size_t j = 0; j < i; j++)
            assert_false(!strcmp(kv_cli_verb_at(i)->noun, kv_cli_verb_at(j)->noun) &&
                         !strcmp(kv_cli_verb_at(i)->verb, kv_cli_verb_at(j)->verb));
        for (const kv_cli_option *a = kv_cli_verb_at(i)->options; a->name; a++)
            for (const kv_cli_option *b = a + 1; b->name; b++)
                assert_string_not_equal(a->name, b->name);
    }
}

static bool has_path(const char *path)
{
    /* Verbs that choose between methods, or need one on the way. */
    static const char *const others[] = {
        "/keyvault.v1.AccessService/AddCredential",
        "/keyvault.v1.AccessService/AddManagementCertificate",
        "/keyvault.v1.AccessService/RevokeRoleToken",
        "/keyvault.v1.AccessService/RevokePrincipalTokens",
    };
    size_t count = kv_cli_verb_count();

    for (size_t i = 0; i < count; i++)
        if (kv_cli_verb_at(i)->path && !strcmp(kv_cli_verb_at(i)->path, path))
            return true;
    for (size_t i = 0; i < KV_COUNT(others); i++)
        if (!strcmp(others[i], path))
            return true;
    return false;
}

static void has_a_verb_for_every_method(void **state)
{
    static const char *const probes[] = { "/keyvault.v1.VaultService/GetVault",
                                          "/keyvault.v1.KeyService/GetKey",
                                          "/keyvault.v1.SecretService/GetSecret",
                                          "/keyvault.v1.CertificateService/GetCertificate",
                                          "/keyvault.v1.AccessService/WhoAmI",
                                          "/keyvault.v1.AuditService/SearchAudit",
                                          "/keyvault.v1.ServerService/GetServerStatus" };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(probes); i++) {
        const ProtobufCServiceDescriptor *service = kv_service_find(probes[i]);

        assert_non_null(service);
        for (unsigned m = 0; m < service->n_methods; m++) {
            char path[128];

            (void)snprintf(path, sizeof(path), "/%s/%s", service->name, service->methods[m].name);
            if (!has_path(path))
                fail_msg("no verb calls %s", path);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_verbs_of_one_and_of_two_words),
        cmocka_unit_test(takes_options_in_every_spelling),
        cmocka_unit_test(login_is_short_for_token_login),
        cmocka_unit_test(knows_an_authority_is_made_by_two_names),
        cmocka_unit_test(takes_a_yes_or_no_with_and_without_a_value),
        cmocka_unit_test(says_what_was_perhaps_meant),
        cmocka_unit_test(never_repeats_a_secret_from_the_command_line),
        cmocka_unit_test(wants_what_is_required),
        cmocka_unit_test(asks_for_help_in_every_way),
        cmocka_unit_test(has_help_for_every_verb),
        cmocka_unit_test(names_only_fields_that_exist),
        cmocka_unit_test(has_no_verb_and_no_option_twice),
        cmocka_unit_test(has_a_verb_for_every_method),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
