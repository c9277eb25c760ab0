/* compare.c - subject, names and usages of a certificate against its request. */
#include "server/x509/compare.h"

#include <stdarg.h>
#include <stdio.h>

#include "server/base/text.h"

enum { SENTENCE_MAX = 160 };

static const char any_usage[] = "2.5.29.37.0";

typedef struct comparison {
    const kv_x509_merge_in *in;
    const kv_x509_facts *wanted;
    const kv_x509_facts *leaf;
    kv_x509_warnings *warnings;
    kv_error *err;
} comparison;

/* An error when the caller wants to be strict about it, else a warning. */
static kv_status KV_PRINTF(3, 4)
    object(const comparison *c, kv_x509_strict about, const char *format, ...)
{
    char text[SENTENCE_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (c->in->strict & about)
        return kv_fail_field(c->err, c->in->field, "%s", text);
    return kv_x509_warn(c->warnings, c->err, "%s", text);
}

static bool contains(const kv_x509_list *list, kv_slice name)
{
    for (size_t i = 0; i < list->count; i++)
        if (kv_text_equal_nocase(list->items[i], name))
            return true;
    return false;
}

static kv_status compare_subject(const comparison *c)
{
    if (kv_slice_equal(c->wanted->subject, c->leaf->subject))
        return KV_OK;
    return object(c, KV_X509_STRICT_SUBJECT,
                  "the subject is '%.*s', which was not requested like that",
                  (int)(c->leaf->subject.len < 80 ? c->leaf->subject.len : 80),
                  (const char *)c->leaf->subject.data);
}

/* A name that is missing is always an error: the certificate would not do its work. */
static kv_status compare_names(const comparison *c, const char *noun, const kv_x509_list *wanted,
                               const kv_x509_list *got)
{
    for (size_t i = 0; i < wanted->count; i++)
        if (!contains(got, wanted->items[i]))
            return kv_fail_field(c->err, c->in->field,
                                 "the %s '%.*s' was requested, and is missing", noun,
                                 (int)(wanted->items[i].len < 100 ? wanted->items[i].len : 100),
                                 (const char *)wanted->items[i].data);
    for (size_t i = 0; i < got->count; i++)
        if (!contains(wanted, got->items[i]))
            KV_TRY(object(c, KV_X509_STRICT_NAMES, "the %s '%.*s' was not requested", noun,
                          (int)(got->items[i].len < 80 ? got->items[i].len : 80),
                          (const char *)got->items[i].data));
    return KV_OK;
}

static kv_status compare_all_names(const comparison *c)
{
    const kv_x509_sans *wanted = &c->wanted->sans, *got = &c->leaf->sans;

    KV_TRY(compare_names(c, "DNS name", &wanted->dns_names, &got->dns_names));
    KV_TRY(compare_names(c, "e-mail address", &wanted->emails, &got->emails));
    KV_TRY(compare_names(c, "IP address", &wanted->ip_addresses, &got->ip_addresses));
    KV_TRY(compare_names(c, "URI", &wanted->uris, &got->uris));
    KV_TRY(compare_names(c, "user principal name", &wanted->upns, &got->upns));
    if (c->leaf->other_sans > c->wanted->other_sans)
        return object(c, KV_X509_STRICT_NAMES, "it has %u names of other kinds",
                      c->leaf->other_sans - c->wanted->other_sans);
    return KV_OK;
}

/* Without the extension everything is allowed. */
static kv_status compare_key_usage(const comparison *c)
{
    uint32_t wanted = c->in->policy->x509_props.key_usage;
    uint32_t missing = wanted & ~c->leaf->key_usage;

    if (!c->leaf->has_key_usage || !missing)
        return KV_OK;
    if (missing == wanted)
        return kv_fail_field(c->err, c->in->field, "it has none of the key usages of the policy");
    for (unsigned i = 0; i < KV_X509_KEY_USAGE_COUNT; i++)
        if (missing & UINT32_C(1) << i)
            KV_TRY(object(c, KV_X509_STRICT_USAGE, "the key usage %s of the policy is missing",
                          kv_x509_key_usage_name(i)));
    return KV_OK;
}

static kv_status compare_ekus(const comparison *c)
{
    const kv_x509_list *wanted = &c->in->policy->x509_props.ekus, *got = &c->leaf->ekus;
    size_t present = 0;

    if (!got->count || contains(got, kv_slice_text(any_usage)))
        return KV_OK;
    for (size_t i = 0; i < wanted->count; i++)
        present += contains(got, wanted->items[i]);
    if (wanted->count && !present)
        return kv_fail_field(c->err, c->in->field,
                             "it has none of the extended key usages of the policy");
    for (size_t i = 0; i < wanted->count; i++)
        if (!contains(got, wanted->items[i]))
            KV_TRY(object(c, KV_X509_STRICT_USAGE,
                          "the extended key usage %.*s of the policy is missing",
                          KV_SLICE_ARG(wanted->items[i])));
    return KV_OK;
}

kv_status kv_x509_compare(const kv_x509_merge_in *in, const kv_x509_facts *wanted,
                          const kv_x509_facts *leaf, kv_x509_warnings *warnings, kv_error *err)
{
    comparison c = { .in = in, .wanted = wanted, .leaf = leaf, .warnings = warnings, .err = err };

    KV_TRY(compare_subject(&c));
    KV_TRY(compare_all_names(&c));
    KV_TRY(compare_key_usage(&c));
    return compare_ekus(&c);
}
