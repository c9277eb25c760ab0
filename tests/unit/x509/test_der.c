/* test_der.c - bytes that are DER, and bytes that say the same in another way. */
#include "server/x509/der.h"

#include "server/base/text.h"
#include "server/x509/inspect.h"
#include "tests/support/kv_cmocka.h"
#include "tests/unit/x509/pki.h"

enum { BYTES_MAX = 64 };

/* shape: table */
static const struct {
    const char *hex;
    bool good;
} samples[] = {
    { "3000", true },
    { "", false },
    { "30", false },
    { "300000", false }, /* something behind it */
    { "3001", false },
    { "308000", false }, /* indefinite, and without an end */
    { "30800000", false },
    { "308100", false }, /* lengths that could be shorter */
    { "3081050403010203", false },
    { "30820003040101", false },
    { "30850000000000", false }, /* and one that is too long for anything */
    { "0000", false },
    { "0101ff", true },
    { "010100", true },
    { "010101", false },
    { "0100", false },
    { "01020000", false },
    { "020100", true },
    { "0200", false },
    { "02020080", true },
    { "0202007f", false },
    { "0202ff7f", true },
    { "0202ff80", false },
    { "0a02007f", false },
    { "030100", true },
    { "030101", false },
    { "0300", false },
    { "03020780", true },
    { "03020740", false }, /* unused bits are zero */
    { "03020880", false },
    { "2304030200ff", false }, /* strings in pieces */
    { "24030401ff", false },
    { "0401ff", true },
    { "0500", true },
    { "050100", false },
    { "0603551d13", true },
    { "0600", false },
    { "0603558001", false }, /* a leading zero */
    { "0602558f", false },   /* no end */
    { "06028055", false },
    { "1000", false }, /* a sequence is constructed */
    { "0c02c3a4", true },
    { "0c01c3", false },
    { "0c02c080", false }, /* longer than needed */
    { "0c03eda080", false },
    { "0c03efbfbf", true },
    { "0c04f0908080", true },
    { "0c04f4908080", false },
    { "0c0180", false },
    { "13022b2f", true },
    { "13012a", false }, /* an asterisk */
    { "130140", false },
    { "160140", true },
    { "160180", false },
    { "120430312039", true },
    { "120141", false }, /* digits and spaces */
    { "1a02207e", true },
    { "1a0109", false },
    { "1a017f", false },
    { "1e0400410042", true },
    { "1e03004100", false }, /* two bytes for each */
    { "1e02d800", false },   /* half a character of UTF-16 */
    { "1c0400000041", true },
    { "1c03000041", false },
    { "1c0400110000", false }, /* past the last */
    { "1c040000dfff", false },
    { "170d3236313132313132303030305a", true },
    { "170b323631313231313230305a", false }, /* without seconds */
    { "17113236313132313132303030302b30303030", false },
    { "180f32303236313132313132303030305a", true },
    { "181132303236313132313132303030302e355a", false },
    { "3106020101020102", true },
    { "3106020102020101", false },
    { "3006020102020101", true },
    { "3104a0008100", true }, /* of several kinds: by their tags */
    { "31048100a000", false },
    { "310480000500", false },
    { "310405008000", true },
    { "310702010102020080", true },
    { "310702020080020101", false },
    { "1f1f00", true }, /* tags of more than 30 */
    { "bf1f00", true },
    { "9f1e00", false },
    { "9f801f00", false },
    { "9fff", false },
    { "a003020100", true },
    { "a00402020001", false }, /* inside of others, too */
    { "30053003010101", false },
};

static void values_have_one_form(void **state)
{
    (void)state;
    for (size_t i = 0; i < KV_COUNT(samples); i++) {
        uint8_t bytes[BYTES_MAX];
        size_t len = strlen(samples[i].hex) / 2;

        assert_true(kv_unhex(kv_slice_text(samples[i].hex), bytes, len));
        if (kv_x509_is_der(kv_slice_of(bytes, len)) != samples[i].good)
            fail_msg("%s: not %d", samples[i].hex, samples[i].good);
    }
}

static void depth_has_an_end(void **state)
{
    uint8_t bytes[64];
    size_t len = 0;

    (void)state;
    for (size_t deep = 1; deep <= 32; deep++) {
        memmove(bytes + 2, bytes, len);
        bytes[0] = 0x30;
        bytes[1] = (uint8_t)len;
        len += 2;
        assert_int_equal(kv_x509_is_der(kv_slice_of(bytes, len)), deep < 32);
    }
}

static void made_ones_are_der(void **state)
{
    static const kv_key_kind kinds[] = { KV_KEY_P256, KV_KEY_P521, KV_KEY_RSA_2048 };
    KV_AUTO(kv_arena) arena = KV_ARENA(1 << 20);
    pki p;

    (void)state;
    pki_make(&p);
    assert_true(kv_x509_certificate_is_der(p.root));
    assert_true(kv_x509_certificate_is_der(p.ca));
    assert_true(kv_x509_certificate_is_der(p.leaf));
    assert_false(kv_x509_certificate_is_der(KV_SLICE("no certificate")));
    assert_false(kv_x509_certificate_is_der(kv_slice_of(p.leaf.data, p.leaf.len - 1)));
    pki_cleanup(&p);
    for (size_t i = 0; i < KV_COUNT(kinds); i++) {
        kv_x509_policy policy = soft_policy(kinds[i]);
        kv_x509_built built;
        soft_key key;

        soft_key_make(&key, kinds[i], &arena);
        built = soft_certificate(&key, &policy, SOFT_NOW_MS, &arena);
        assert_true(kv_x509_certificate_is_der(built.der));
        assert_false(built.facts.details.not_der);
        soft_key_cleanup(&key);
    }
}

typedef struct edit {
    const char *find;
    const char *put; /* of the same length */
    bool readable;   /* OpenSSL reads it, and gives back just these bytes */
} edit;

static const edit edits[] = {
    { "0603551d0f0101ff", "0603551d0f010101", true }, /* TRUE has one form */
    { "0603551d0f0101ff", "0603551d0f010100", true }, /* not critical, in so many words */
    { "040530030101ff", "04053003010100", true },     /* no authority, in so many words */
    { "040403020780", "040403020680", true },         /* a usage with a zero behind it */
    { "a003020102", "a003020100", false },            /* version 1 is not said */
    { "300c310a3008", "300c310a3007", false },        /* lengths that do not fit */
    { "0c0141", "0c01c3", false },                    /* a subject that is not UTF-8 */
    { "04133011820f", "04133012820f", false },        /* of an extension */
};

static uint8_t *place_of(uint8_t *der, size_t len, const char *hex)
{
    uint8_t bytes[BYTES_MAX];
    uint8_t *found;

    assert_true(kv_unhex(kv_slice_text(hex), bytes, strlen(hex) / 2));
    found = memmem(der, len, bytes, strlen(hex) / 2);
    if (!found)
        fail_msg("%s is not there", hex);
    return found;
}

static void one_other_byte_is_found(void **state)
{
    pki p;
    pki_spec spec;
    kv_slice der;

    (void)state;
    pki_make(&p);
    spec = pki_leaf_spec(&p);
    spec.subject = "A";
    spec.constraints = "critical,CA:TRUE";
    der = pki_certificate(&spec, &p.arena);
    assert_true(kv_x509_certificate_is_der(der));
    for (size_t i = 0; i < KV_COUNT(edits); i++) {
        uint8_t bytes[2048];
        kv_slice changed = kv_slice_of(bytes, der.len);
        kv_x509_facts facts;
        kv_error err = { 0 };

        assert_true(der.len <= sizeof(bytes));
        memcpy(bytes, der.data, der.len);
        assert_true(kv_unhex(kv_slice_text(edits[i].put), place_of(bytes, der.len, edits[i].find),
                             strlen(edits[i].put) / 2));
        if (kv_x509_certificate_is_der(changed))
            fail_msg("%s passes", edits[i].put);
        if (!edits[i].readable)
            continue;
        assert_kv_ok(kv_x509_inspect(&p.arena, changed, &facts, &err));
        assert_true(facts.details.not_der);
    }
    pki_cleanup(&p);
}

/* Around what is signed, so the signature holds, too. */
static void a_length_that_could_be_shorter_is_found(void **state)
{
    pki p;
    uint8_t bytes[2048];
    kv_slice longer;
    kv_x509_facts facts;
    kv_error err = { 0 };

    (void)state;
    pki_make(&p);
    assert_memory_equal(p.leaf.data, "\x30\x82", 2);
    memcpy(bytes, "\x30\x83\x00", 3);
    memcpy(bytes + 3, p.leaf.data + 2, p.leaf.len - 2);
    longer = kv_slice_of(bytes, p.leaf.len + 1);
    assert_kv_ok(kv_x509_inspect(&p.arena, longer, &facts, &err));
    assert_true(facts.details.not_der);
    assert_kv_ok(kv_x509_inspect(&p.arena, p.leaf, &facts, &err));
    assert_false(facts.details.not_der);
    pki_cleanup(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_have_one_form),
        cmocka_unit_test(depth_has_an_end),
        cmocka_unit_test(made_ones_are_der),
        cmocka_unit_test(one_other_byte_is_found),
        cmocka_unit_test(a_length_that_could_be_shorter_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
