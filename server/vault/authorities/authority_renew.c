/* authority_renew.c - an authority gets a new certificate, with its key or with a new one.
 *
 * The server itself changes the rows of an authority: lists are published, chains follow. Who meets
 * that begins again with the row as it is then and the key that is born already.
 *
 * With a new key the row of the old one moves away: its lists and its responder go on under its
 * uid. Of a root both keys sign each other (RFC 4210, section 4.4), so that who trusts only one of
 * them has a path to what either issued.
 */
#include "server/base/text.h"
#include "server/vault/authorities/authority_keys.h"
#include "server/vault/keys/key_rules.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operations.h"
#include "server/x509/inspect.h"
#include "server/x509/request.h"

enum { RACES = 5 };

/* What all attempts have in common. */
typedef struct effort {
    bool begun;
    kv_authority_row seen; /* by the first one */
    bool outrun;           /* by another renewal: whoever asked has to look at that */
    bool born;
    kv_birth birth;
    kv_token_object_row token_object;
    kv_authority_row key;   /* its columns */
    kv_slice operations[2]; /* what the serial numbers are reserved for */
} effort;

typedef struct renewal {
    const kv_authority_renew_in *in;
    effort *all;
    kv_vault_row vault_row;
    kv_authority_row row; /* as it is */
    kv_x509_facts facts;  /* of its certificate */
    kv_authority_row next;
    kv_x509_policy policy; /* of the next certificate */
    bool signed_here;
    bool here; /* signed, by itself or its parent */
    kv_authority_row parent;
    kv_token_object_row token_object;
    kv_issued_row issued; /* by the parent */
    bool cross;
    kv_issued_row new_with_old;
    kv_issued_row old_with_new;
    kv_slice old_with_new_der;
    kv_crl_row list;
    kv_crl_row old_list;
    kv_authority_row former;
} renewal;

/* --- what is asked for --- */

static void policy_of(kv_key_kind kind, uint32_t months, kv_x509_policy *out)
{
    const kv_key_kind_row *info = kv_key_kind_of(kind);

    *out = (kv_x509_policy){ .issuer.name = KV_SLICE(KV_X509_ISSUER_SELF) };
    out->key_props.kty = info->family == KV_FAMILY_RSA ? KV_SLICE("RSA") : KV_SLICE("EC");
    if (info->family == KV_FAMILY_RSA)
        out->key_props.key_size = (uint32_t)info->bits;
    else
        out->key_props.crv = kind == KV_KEY_P256 ? KV_SLICE("P-256") : KV_SLICE("P-384");
    out->x509_props.ca = true;
    out->x509_props.ca_given = true;
    out->x509_props.validity_months_given = true;
    out->x509_props.validity_months = months;
    kv_x509_policy_defaults(out);
}

static bool fits(kv_key_kind kind)
{
    return kind == KV_KEY_P256 || kind == KV_KEY_P384 || kind == KV_KEY_RSA_3072 ||
           kind == KV_KEY_RSA_4096;
}

static kv_status take_key(renewal *at, kv_error *err)
{
    const kv_authority_renew_in *in = at->in;
    uint32_t months = in->validity_months ? in->validity_months : KV_AUTHORITY_MONTHS_DEFAULT;
    bool rsa = kv_slice_equal(in->kty, KV_SLICE("RSA"));
    kv_key_kind kind;

    if (months > KV_AUTHORITY_MONTHS_MAX)
        return kv_fail_field(err, "validity_months", "must be at most %d", KV_AUTHORITY_MONTHS_MAX);
    if (!in->new_key && (in->kty.len || in->key_size || in->crv.len))
        return kv_fail_field(err, "kty", "is for a new key");
    KV_TRY(kv_kind_of_name(at->row.key_kind, &kind, err));
    policy_of(kind, months, &at->policy);
    if (in->kty.len || in->key_size || in->crv.len) {
        at->policy.key_props = (kv_x509_key_props){
            .kty = in->kty.len ? in->kty : at->policy.key_props.kty,
            .key_size = rsa && !in->key_size ? 3072 : in->key_size,
            .crv = !rsa && !in->crv.len ? KV_SLICE("P-384") : in->crv,
        };
        kv_x509_policy_defaults(&at->policy);
    }
    if (!fits(kv_x509_policy_key_kind(&at->policy)))
        return kv_fail_field(err, "kty",
                             "must be EC with P-256 or P-384, or RSA with 3072 or 4096 bits");
    at->policy.x509_props.subject = at->facts.subject;
    return KV_OK;
}

/* The lists of the old key stay where they are, so those of the new one have to be elsewhere. */
static kv_status take_urls(kv_vault *vault, kv_work *work, renewal *at, kv_error *err)
{
    kv_revocation_config now, later;

    if (at->in->new_key && at->in->revocation.crl_url.len &&
        kv_slice_equal(at->in->revocation.crl_url, at->row.crl_url))
        return kv_fail_field(err, "revocation.crl_url",
                             "must be another one: the list of the key before stays there");
    if (at->in->revocation.given || !at->in->new_key)
        return kv_authority_settings(&at->in->revocation, 0, &at->next, err);
    KV_TRY(kv_authority_urls(vault, work, &at->vault_row, &at->row, at->row.number, &now, err));
    KV_TRY(
        kv_authority_urls(vault, work, &at->vault_row, &at->row, at->row.number + 1, &later, err));
    if ((at->row.crl_url.len && !kv_slice_equal(at->row.crl_url, now.crl_url)) ||
        (at->row.issuer_url.len && !kv_slice_equal(at->row.issuer_url, now.issuer_url)))
        return kv_fail_field(err, "revocation",
                             "is required: the list and the certificate of the key before stay at "
                             "their URLs");
    if (at->row.crl_url.len)
        at->next.crl_url = later.crl_url;
    if (at->row.issuer_url.len)
        at->next.issuer_url = later.issuer_url;
    return KV_OK;
}

static kv_status take_parent(kv_vault *vault, kv_work *work, renewal *at, kv_error *err)
{
    kv_slice parent = at->in->parent;

    if (at->row.kind == KV_AUTHORITY_ROOT)
        return parent.len ? kv_fail_field(err, "parent", "is for a subordinate authority") : KV_OK;
    if (parent.len) {
        KV_TRY(kv_check_name(parent, "parent", err));
        KV_TRY(kv_authority_look_up(vault, work, at->row.vault_uid, parent, &at->parent,
                                    &at->signed_here, err));
        if (!at->signed_here)
            return kv_fail(err, KV_NOT_FOUND,
                           "there is no certificate authority '%.*s' in this vault",
                           KV_SLICE_ARG(parent));
        if (kv_slice_equal(at->parent.uid, at->row.uid))
            return kv_fail_field(err, "parent", "must be another authority");
    } else {
        KV_TRY(kv_authority_above(vault, work, &at->row, &at->parent, &at->signed_here, err));
    }
    return at->signed_here ? kv_authority_may_issue(&at->parent, err) : KV_OK;
}

static kv_status prepare(kv_vault *vault, kv_work *work, renewal *at, kv_error *err)
{
    KV_TRY(kv_authority_find(vault, work, &at->in->target, &at->vault_row, &at->row, err));
    KV_TRY(kv_authority_settle_chains(vault, work, &at->row, err));
    if (!at->row.certificate.len)
        return kv_fail(err, KV_PRECONDITION, "the authority has no certificate to be renewed");
    KV_TRY(kv_authority_may_issue(&at->row, err));
    KV_TRY(kv_x509_inspect(work->arena, at->row.certificate, &at->facts, err));
    at->next = at->row;
    at->next.csr = KV_SLICE_NONE;
    at->next.updated = work->now_ms;
    KV_TRY(take_key(at, err));
    KV_TRY(take_urls(vault, work, at, err));
    if (at->in->new_key) {
        at->next.number = at->row.number + 1;
        at->next.cross = KV_SLICE_NONE;
    }
    return take_parent(vault, work, at, err);
}

/* --- the key --- */

static kv_status bear(kv_vault *vault, kv_work *work, renewal *at, kv_error *err)
{
    effort *all = at->all;

    all->key = at->next;
    KV_TRY(kv_new_uid(work, &all->key.uid, err));
    KV_TRY(kv_authority_bear(vault, work, kv_x509_policy_key_kind(&at->policy), &all->key,
                             &all->birth, &all->token_object, err));
    all->born = true;
    return KV_OK;
}

/* One for all attempts: none of them changes of what kind it has to be. */
static kv_status take_new_key(kv_vault *vault, kv_work *work, renewal *at, kv_error *err)
{
    const kv_authority_row *key = &at->all->key;

    if (!at->all->born)
        KV_TRY(bear(vault, work, at, err));
    at->next.uid = key->uid;
    at->next.key_id = key->key_id;
    at->next.key_kind = key->key_kind;
    at->next.spki = key->spki;
    at->next.attested = key->attested;
    at->next.token = key->token;
    at->token_object = at->all->token_object;
    return KV_OK;
}

/* --- certificates --- */

static kv_x509_authority urls_of(const kv_authority_row *row)
{
    return (kv_x509_authority){ .crl_url = row->crl_url,
                                .ocsp_url = row->ocsp_url,
                                .issuer_url = row->issuer_url };
}

static kv_status certify(kv_vault *vault, kv_work *work, renewal *at, kv_error *err)
{
    const kv_authority_row *by = at->signed_here ? &at->parent : &at->next;
    kv_x509_authority authority = urls_of(by);
    kv_x509_build build = { .policy = &at->policy,
                            .spki = at->next.spki,
                            .like = at->row.certificate,
                            .now_ms = work->now_ms,
                            .scope = KV_X509_LINT_PRIVATE };
    kv_authority_key key;
    kv_x509_built built;
    kv_x509_list chain = { 0 };
    kv_x509_list served = { 0 };

    KV_TRY(kv_authority_signer(vault, by, &key, &build.signer, err));
    if (at->signed_here) {
        KV_TRY(kv_authority_chain(work, by, &chain, err));
        KV_TRY(kv_authority_served(work, by, &served, err));
        KV_TRY(kv_serial_reserve(vault, work, by, at->all->operations[0], &at->issued, err));
        build.issuer = by->certificate;
        build.serial = at->issued.serial;
        build.above = (kv_x509_list){ .items = chain.items + 1, .count = chain.count - 1 };
        build.authority = &authority;
    }
    KV_TRY(kv_x509_certificate_build(work->arena, &build, &built, err));
    at->next.certificate = built.der;
    if (at->signed_here)
        KV_TRY(kv_serial_used(work, built.der, at->next.uid, KV_SLICE_NONE, &at->issued, err));
    return kv_chain_join(work, &served, 0, &at->next.chain, err);
}

/* One key signs the other. `like`: what it has of its own already. */
static kv_status cross(kv_vault *vault, kv_work *work, const kv_authority_row *subject,
                       const kv_authority_row *by, int64_t until_ms, kv_issued_row *issued,
                       kv_slice *out, kv_error *err)
{
    kv_x509_authority authority = urls_of(by);
    kv_x509_policy policy;
    kv_x509_build build = { .policy = &policy,
                            .spki = subject->spki,
                            .like = subject->certificate,
                            .issuer = by->certificate,
                            .authority = &authority,
                            .serial = issued->serial,
                            .rollover = true,
                            .until_ms = until_ms,
                            .now_ms = work->now_ms,
                            .scope = KV_X509_LINT_PRIVATE };
    kv_x509_facts facts;
    kv_authority_key key;
    kv_x509_built built;
    kv_key_kind kind;

    KV_TRY(kv_kind_of_name(subject->key_kind, &kind, err));
    KV_TRY(kv_x509_inspect(work->arena, subject->certificate, &facts, err));
    policy_of(kind, KV_AUTHORITY_MONTHS_MAX, &policy);
    policy.x509_props.subject = facts.subject;
    KV_TRY(kv_authority_signer(vault, by, &key, &build.signer, err));
    KV_TRY(kv_x509_certificate_build(work->arena, &build, &built, err));
    *out = built.der;
    return kv_serial_used(work, built.der, subject->uid, KV_SLICE_NONE, issued, err);
}

/* A serial number of an authority that is not stored yet: its row comes with it. */
static kv_status first_serial(kv_work *work, const kv_authority_row *by, kv_issued_row *out,
                              kv_error *err)
{
    uint8_t *serial = kv_arena_alloc(work->arena, KV_X509_SERIAL_BYTES);

    if (!serial)
        return kv_arena_full(err);
    if (!kv_random_id(serial, KV_X509_SERIAL_BYTES))
        return kv_fail(err, KV_INTERNAL, "no random bytes");
    serial[0] = (serial[0] & 0x3f) | 0x40;
    *out = (kv_issued_row){ .authority_uid = by->uid,
                            .serial = kv_slice_of(serial, KV_X509_SERIAL_BYTES),
                            .created = work->now_ms };
    return kv_new_version(work, &out->operation, err);
}

static kv_status cross_sign(kv_vault *vault, kv_work *work, renewal *at, kv_error *err)
{
    kv_slice parts[2];

    at->cross = at->in->new_key && at->row.kind == KV_AUTHORITY_ROOT &&
                at->facts.not_after_ms > work->now_ms;
    if (!at->cross)
        return KV_OK;
    KV_TRY(
        kv_serial_reserve(vault, work, &at->row, at->all->operations[1], &at->new_with_old, err));
    KV_TRY(cross(vault, work, &at->next, &at->row, 0, &at->new_with_old, &parts[0], err));
    KV_TRY(first_serial(work, &at->next, &at->old_with_new, err));
    KV_TRY(cross(vault, work, &at->row, &at->next, at->facts.not_after_ms, &at->old_with_new,
                 &at->old_with_new_der, err));
    parts[1] = at->row.certificate;
    return kv_chain_join(work, &(kv_x509_list){ .items = parts, .count = 2 }, 0, &at->next.cross,
                         err);
}

/* --- stored --- */

static kv_crl_row list_of(const kv_authority_row *row)
{
    return (kv_crl_row){ .authority_uid = row->uid,
                         .vault_uid = row->vault_uid,
                         .authority = row->name,
                         .owed = row->certificate.len > 0 };
}

/* Their chains go through the new certificate, or through the one that the new key made of the old:
 * what they had before stays good as long as it lasts. */
static kv_status owe_chains(kv_work *work, renewal *at, kv_error *err)
{
    const kv_slice before[] = { at->row.certificate, at->row.chain };
    const kv_slice after[] = { at->cross ? at->old_with_new_der : at->next.certificate,
                               at->cross ? at->next.certificate : at->next.chain };

    if (at->in->new_key && !at->cross)
        return KV_OK;
    return kv_authority_owe_chains(work, &at->next, before, after, err);
}

static kv_status store(kv_vault *vault, kv_work *work, renewal *at, kv_error *err)
{
    kv_change change = { 0 };

    KV_TRY(owe_chains(work, at, err));
    if (at->signed_here)
        KV_TRY(kv_change_update(&change, &kv_table_issued, &at->issued, err));
    if (!at->in->new_key) {
        KV_TRY(kv_change_update(&change, &kv_table_authorities, &at->next, err));
        return kv_lost_race(kv_commit_change(vault, work, &change, err), err);
    }
    KV_TRY(kv_authority_succeed(vault, work, &at->row, &at->next, &at->former, &at->old_list,
                                &change, err));
    at->list = list_of(&at->next);
    at->list.number = at->old_list.number;
    KV_TRY(kv_change_insert(&change, &kv_table_crls, &at->list, err));
    KV_TRY(kv_change_update(&change, &kv_table_token_objects, &at->token_object, err));
    if (at->cross) {
        KV_TRY(kv_change_update(&change, &kv_table_issued, &at->new_with_old, err));
        KV_TRY(kv_change_insert(&change, &kv_table_issued, &at->old_with_new, err));
    }
    return kv_lost_race(kv_commit_change(vault, work, &change, err), err);
}

/* --- a request for another authority --- */

static kv_status drop_waiting(kv_vault *vault, kv_work *work, const kv_authority_row *current,
                              kv_error *err)
{
    kv_authority_row waiting;
    bool waits = false;

    KV_TRY(kv_authority_waiting(vault, work, current, &waiting, &waits, err));
    return waits ? kv_authority_remove(vault, work, &waiting, true, err) : KV_OK;
}

static kv_status ask(kv_vault *vault, kv_work *work, renewal *at, kv_error *err)
{
    kv_change change = { 0 };
    kv_authority_key key;
    kv_x509_signer signer;

    KV_TRY(kv_authority_signer(vault, &at->next, &key, &signer, err));
    KV_TRY(kv_x509_request_build(work->arena, &at->policy, at->next.spki, &signer, &at->next.csr,
                                 err));
    if (!at->in->new_key) {
        KV_TRY(kv_change_update(&change, &kv_table_authorities, &at->next, err));
        return kv_lost_race(kv_commit_change(vault, work, &change, err), err);
    }
    at->next.head = (kv_row_head){ 0 };
    at->next.certificate = KV_SLICE_NONE;
    at->next.chain = KV_SLICE_NONE;
    KV_TRY(kv_authority_numbered(work, at->row.name, at->next.number, &at->next.name, err));
    at->list = list_of(&at->next);
    KV_TRY(kv_change_insert(&change, &kv_table_authorities, &at->next, err));
    KV_TRY(kv_change_insert(&change, &kv_table_crls, &at->list, err));
    KV_TRY(kv_change_update(&change, &kv_table_token_objects, &at->token_object, err));
    return kv_lost_race(kv_commit_change(vault, work, &change, err), err);
}

/* --- the whole --- */

static kv_status complete(kv_vault *vault, kv_work *work, renewal *at, kv_error *err)
{
    if (!at->here)
        return ask(vault, work, at, err);
    KV_TRY(certify(vault, work, at, err));
    KV_TRY(cross_sign(vault, work, at, err));
    return store(vault, work, at, err);
}

/* A renewal that came in between has done what this one was asked for, perhaps with another key. */
static kv_status refuse_outrun(kv_vault *vault, kv_work *work, renewal *at, kv_error *err)
{
    const kv_authority_row *seen = &at->all->seen;
    kv_authority_row waiting;
    bool waits = false;

    KV_TRY(kv_authority_waiting(vault, work, &at->row, &waiting, &waits, err));
    at->all->outrun = waits || !kv_slice_equal(at->row.certificate, seen->certificate) ||
                      !kv_slice_equal(at->row.csr, seen->csr);
    return at->all->outrun ? kv_lost_race(KV_CONFLICT, err) : KV_OK;
}

static kv_status begin(kv_vault *vault, kv_work *work, renewal *at, kv_error *err)
{
    effort *all = at->all;

    if (all->begun)
        return refuse_outrun(vault, work, at, err);
    KV_TRY(drop_waiting(vault, work, &at->row, err));
    for (size_t i = 0; i < KV_COUNT(all->operations); i++)
        KV_TRY(kv_new_version(work, &all->operations[i], err));
    all->seen = at->row;
    all->begun = true;
    return KV_OK;
}

static kv_status attempt(kv_vault *vault, kv_work *work, renewal *at, kv_error *err)
{
    KV_TRY(prepare(vault, work, at, err));
    at->here = at->signed_here || at->row.kind == KV_AUTHORITY_ROOT;
    KV_TRY(begin(vault, work, at, err));
    if (at->in->new_key)
        KV_TRY(take_new_key(vault, work, at, err));
    else
        KV_TRY(kv_authority_can_sign(vault, &at->row, err));
    return complete(vault, work, at, err);
}

kv_status kv_authority_renew(kv_vault *vault, kv_work *work, const kv_authority_renew_in *in,
                             kv_authority_bundle *out, kv_error *err)
{
    kv_status status = KV_CONFLICT;
    effort all = { 0 };
    renewal at = { 0 };

    for (int race = 0; status == KV_CONFLICT && !all.outrun && race < RACES; race++) {
        *err = (kv_error){ 0 };
        at = (renewal){ .in = in, .all = &all };
        status = attempt(vault, work, &at, err);
    }
    if (status != KV_OK) {
        if (all.born)
            kv_birth_undo(vault, work, &all.birth);
        return status;
    }
    if (at.here) {
        kv_authority_try_chains(vault, work, &at.next);
        kv_crl_try(vault, work, &at.next);
        if (in->new_key)
            kv_crl_try(vault, work, &at.former);
    }
    if (!at.here && in->new_key)
        at.row.csr = at.next.csr;
    return kv_authority_bundle_of(work, &at.vault_row, at.here || !in->new_key ? &at.next : &at.row,
                                  out, err);
}
