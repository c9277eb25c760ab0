// Certificate authorities on the token: what they issue, refuse and revoke, held against OpenSSL and
// GnuTLS; a root that is kept elsewhere; SIGKILL while they issue.
import assert from 'node:assert';
import { X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { Authority, derOf, pemOf } from '../support/authority.mjs';
import { CallError, Keyvault, run } from '../support/keyvault.mjs';

const VAULT = 'shop';
const CA = 'CertificateAuthorityService/';
const CERTIFICATE = 'CertificateService/';
const URLS = { crl_url: 'http://pki.example.org/below.crl',
  ocsp_url: 'http://pki.example.org/ocsp', issuer_url: 'http://pki.example.org/below.cer' };
let server;
let issuers;
let officer;
let operator;
let offline;
let made = 0;

before(async () => {
  server = await Keyvault.start({ clientCa: true });
  operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  await operator.call('VaultService/CreateVault', { vault: VAULT });
  issuers = await server.officer('issuers', ['ISSUER_OFFICER'], `/vaults/${VAULT}`);
  officer = await server.officer('officer', ['CERTIFICATE_OFFICER'], `/vaults/${VAULT}`);
  offline = new Authority(path.join(server.folder, 'offline'));
});

after(async () => {
  await server?.stop();
});

const named = (name) => ({ vault: VAULT, name });
const at = (name) => path.join(server.folder, name);
const create = (name, more) => issuers.call(`${CA}CreateCertificateAuthority`,
  { ...named(name), type: 'ROOT', subject: `CN=${name}, O=Example`, ...more });
const refusedCreate = (name, more) => issuers.refused(`${CA}CreateCertificateAuthority`,
  { ...named(name), type: 'ROOT', subject: `CN=${name}, O=Example`, ...more });
const pem = (list) => list.map((it) => pemOf(it)).join('');

const order = (issuer, { dns = ['www.example.org'], cty = '', name = `c${++made}`, props = {} } =
{}) => ({ ...named(name), policy: { key_props: { kty: 'EC' }, issuer: { name: issuer, cty },
  x509_props: { subject: 'CN=www.example.org', sans: { dns_names: dns }, ...props } } });

/* The leaf and what is above it. */
async function issue(issuer, more) {
  const request = order(issuer, more);
  const operation = await officer.call(`${CERTIFICATE}CreateCertificate`, request);
  assert.strictEqual(operation.status, 'completed');
  const { certificates } = await officer.call(`${CERTIFICATE}GetCertificateChain`,
    { vault: VAULT, name: request.name, format: 'DER' });
  return { leaf: certificates[0], above: certificates.slice(1),
    serial: new X509Certificate(certificates[0]).serialNumber.toLowerCase() };
}

async function crl(name) {
  const list = await issuers.call(`${CA}GetCertificateRevocationList`, named(name));
  fs.writeFileSync(at(`${name}.crl`), pemOf(list.crl, 'X509 CRL'));
  return list;
}

/* What OpenSSL says of a certificate below these authorities, with their lists. */
function opensslSays(leaf, above, lists) {
  fs.writeFileSync(at('leaf.pem'), pemOf(leaf));
  fs.writeFileSync(at('above.pem'), pem(above.slice(0, -1)));
  fs.writeFileSync(at('root.pem'), pemOf(above.at(-1)));
  try {
    return run('openssl', ['verify', '-x509_strict', '-crl_check_all', '-CAfile', at('root.pem'),
      '-untrusted', at('above.pem'), ...lists.flatMap((it) => ['-CRLfile', at(`${it}.crl`)]),
      at('leaf.pem')]);
  } catch (error) {
    return error.message;
  }
}

test('a root, an authority below it, a certificate: OpenSSL and GnuTLS accept the chain',
  async () => {
    const root = await create('root', { path_length: 1 });
    assert.deepStrictEqual([root.state, root.key_kind, root.subject, root.chain.length],
      ['ACTIVE', 'P-384', 'CN=root,O=Example', 0]);
    const below = await create('below', { type: 'SUBORDINATE', parent: 'ROOT', crv: 'P256',
      path_length: 0, revocation: URLS,
      name_constraints: { permitted: { dns_names: ['example.org'], ip_ranges: ['10.0.0.0/8'] },
        excluded: { dns_names: ['secret.example.org'] } } });
    assert.deepStrictEqual(below.chain, [root.certificate]);
    const text = run('openssl', ['x509', '-inform', 'DER', '-noout', '-text'],
      { input: below.certificate });
    assert.match(text, /Name Constraints: critical[^]*DNS:example.org[^]*IP:10.0.0.0\/255.0.0.0/);
    assert.match(text, /CA:TRUE, pathlen:0/);
    const { leaf, above } = await issue('below');
    assert.deepStrictEqual(above, [below.certificate, root.certificate]);
    await crl('root');
    await crl('below');
    assert.match(opensslSays(leaf, above, ['root', 'below']), /: OK/);
    fs.writeFileSync(at('chain.pem'), pem([leaf, ...above]));
    run('certtool', ['--verify', '--infile', at('chain.pem'), '--load-ca-certificate',
      at('root.pem'), '--load-crl', at('below.crl')]);
    assert.match(run('openssl', ['x509', '-noout', '-text', '-in', at('leaf.pem')]),
      /pki.example.org\/below.crl[^]*CA:FALSE|CA:FALSE[^]*pki.example.org\/below.crl/);
  });

test('authorities of one vault can be made at once', async () => {
  const names = Array.from({ length: 6 }, (_, i) => `together${i}`);
  const made = await Promise.all(names.map((name) => issuers.call(
    `${CA}CreateCertificateAuthority`,
    { ...named(name), type: 'ROOT', subject: `CN=${name}`, crv: 'P256' },
    { metadata: { 'idempotency-key': name } })));
  assert(made.every(({ state }) => state === 'ACTIVE'));
  for (const name of names) {
    await issuers.call(`${CA}UpdateCertificateAuthority`, { ...named(name), enabled: false });
    await issuers.call(`${CA}DeleteCertificateAuthority`, named(name));
  }
});

test('name constraints and path length are kept before anything is signed', async () => {
  for (const dns of [['www.example.com'], ['www.example.org', 'a.secret.example.org']]) {
    const error = await officer.refused(`${CERTIFICATE}CreateCertificate`,
      order('below', { dns, props: { subject: `CN=${dns.at(-1)}` } }));
    assert.strictEqual(error.code, 'FAILED_PRECONDITION');
    assert.match(error.text, /name constraints/);
  }
  const error = await refusedCreate('third', { type: 'SUBORDINATE', parent: 'below' });
  assert.strictEqual(error.code, 'FAILED_PRECONDITION');
  assert.match(error.text, /path length/);
});

test('types of certificates, and usages of an authority', async () => {
  const { leaf } = await issue('below', { cty: 'tls-server', props: { validity_months: 60 } });
  const certificate = new X509Certificate(leaf);
  assert.deepStrictEqual(certificate.keyUsage, ['1.3.6.1.5.5.7.3.1']);
  assert(Date.parse(certificate.validTo) < Date.now() + 367 * 86400e3);
  for (const [cty, props, code] of [['nothing', {}, 'unknownProfile'],
    ['', { ekus: ['1.3.6.1.5.5.7.3.9'] }, 'notAllowed'],
    ['', { key_usage: ['KEY_CERT_SIGN', 'DIGITAL_SIGNATURE'] }, 'notAllowed']]) {
    const operation = await officer.call(`${CERTIFICATE}CreateCertificate`,
      order('below', { cty, props }));
    assert.deepStrictEqual([operation.status, operation.error.code], ['failed', code]);
  }
  const error = await officer.refused(`${CERTIFICATE}CreateCertificate`,
    order('below', { props: { basic_constraints: { ca: true } } }));
  assert.strictEqual(error.field, 'policy.x509_props.basic_constraints.ca');
  assert.strictEqual((await officer.refused(`${CERTIFICATE}CreateCertificate`,
    order('LocalCA'))).field, 'policy.issuer.name');
});

test('a revoked certificate is on the next list, for ever; again is the same', async () => {
  const { leaf, above, serial } = await issue('below');
  const before_ = await crl('below');
  const revoke = (more) => issuers.call(`${CA}RevokeCertificate`,
    { ...named('below'), serial, ...more });
  const first = await revoke({ reason: 'KEY_COMPROMISE',
    invalidity_date: Math.floor(Date.now() / 1000) - 60 });
  assert(first.on_crl && first.crl_number > before_.number);
  const again = await revoke({ reason: 'SUPERSEDED' });
  assert.deepStrictEqual(again, first);
  await crl('below');
  assert.match(opensslSays(leaf, above, ['root', 'below']), /certificate revoked/);
  const other = await issue('below');
  assert.match(opensslSays(other.leaf, above, ['root', 'below']), /: OK/);
  await server.restart();
  assert.strictEqual((await crl('below')).number, first.crl_number);
  for (const [wrong, code] of [['9'.repeat(32), 'NOT_FOUND'], ['zz', 'NOT_FOUND'],
    ['z'.repeat(32), 'INVALID_ARGUMENT'], ['9'.repeat(4000), 'INVALID_ARGUMENT']]) {
    const error = await issuers.refused(`${CA}RevokeCertificate`,
      { ...named('below'), serial: wrong });
    assert.strictEqual(error.code, code, wrong.slice(0, 40));
  }
  const denied = await officer.refused(`${CA}RevokeCertificate`, { ...named('below'), serial });
  assert.strictEqual(denied.code, 'PERMISSION_DENIED');
});

const CA_EXTENSIONS = 'basicConstraints=critical,CA:true,pathlen:0\n' +
  'keyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n' +
  'authorityKeyIdentifier=keyid\n';

test('the root is kept elsewhere: request, every check of what comes back, certificates',
  async () => {
    const { csr, state } = await create('office', { type: 'SUBORDINATE', kty: 'RSA' });
    assert.strictEqual(state, 'PENDING_CERTIFICATE');
    const early = await officer.refused(`${CERTIFICATE}CreateCertificate`, order('office'));
    assert.strictEqual(early.code, 'FAILED_PRECONDITION');
    const sign = (extensions) => offline.sign(csr, { signer: 'root', extensions });
    const bring = (...certificates) => ({ ...named('office'),
      x5c: [Buffer.concat(certificates.map((it) => Buffer.from(it)))] });
    const good = sign(CA_EXTENSIONS);
    const wrong = [[bring(good), /root/], [bring(offline.root), /key|request|certificate/],
      [bring(sign('keyUsage=critical,digitalSignature\nbasicConstraints=critical,CA:false'),
        offline.root), /CA|usage/],
      [bring(sign('basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign\n' +
        'subjectKeyIdentifier=hash'), offline.root), /lists|usage/],
      [bring(Buffer.alloc(1000, 0x39)), /./], [{ ...named('office'), x5c: [] }, /required/]];
    for (const [request, why] of wrong) {
      const error = await issuers.refused(`${CA}ImportCertificateAuthorityCertificate`, request);
      assert.deepStrictEqual([error.code, error.field], ['INVALID_ARGUMENT', 'x5c'], error.message);
      assert.match(error.text, why);
    }
    const done = await issuers.call(`${CA}ImportCertificateAuthorityCertificate`,
      bring(offline.root, good));
    assert.deepStrictEqual([done.state, done.key_kind, done.csr.length], ['ACTIVE', 'RSA-3072', 0]);
    const twice = await issuers.refused(`${CA}ImportCertificateAuthorityCertificate`,
      bring(offline.root, good));
    assert.strictEqual(twice.code, 'FAILED_PRECONDITION');
    const { leaf } = await issue('office');
    fs.writeFileSync(at('leaf.pem'), pemOf(leaf));
    fs.writeFileSync(at('office.pem'), pemOf(derOf(good)));
    await crl('office');
    assert.match(run('openssl', ['verify', '-crl_check', '-CAfile', offline.at('root.pem'),
      '-untrusted', at('office.pem'), '-CRLfile', at('office.crl'), at('leaf.pem')]), /: OK/);
  });

test('what cannot be asked for says why', async () => {
  const wrong = [[{ subject: '' }, 'subject'], [{ subject: 'www' }, 'subject'],
    [{ crv: 'P521' }, 'kty'], [{ kty: 'RSA', key_size: 2048 }, 'kty'],
    [{ validity_months: 361 }, 'validity_months'], [{ path_length: 99 }, 'path_length'],
    [{ parent: 'root' }, 'parent'], [{ type: 'UNSPECIFIED' }, 'type'],
    [{ revocation: { crl_url: 'ftp://x/' } }, 'revocation.crl_url'],
    [{ revocation: { crl_hours: 1e6 } }, 'revocation.crl_hours'],
    [{ max_validity_months: 999 }, 'max_validity_months'],
    [{ name_constraints: { permitted: { ip_ranges: ['10.0.0.1/8'] } } },
      'name_constraints.permitted.ip_ranges[0]'],
    [{ name_constraints: { excluded: { dns_names: ['a.example', '*.b'] } } },
      'name_constraints.excluded.dns_names[1]'],
    [{ type: 'SUBORDINATE', path_length: 1 }, 'path_length']];
  for (const [more, field] of wrong) {
    const error = await refusedCreate(`w${++made}`, more);
    assert.deepStrictEqual([error.code, error.field], ['INVALID_ARGUMENT', field], error.message);
  }
  assert.strictEqual((await refusedCreate('self')).field, 'name');
  assert.strictEqual((await refusedCreate('ROOT')).code, 'ALREADY_EXISTS');
  assert.strictEqual((await refusedCreate('x', { type: 'SUBORDINATE', parent: 'y' })).code,
    'NOT_FOUND');
});

test('disabled it issues nothing, its list goes on; deleted only when nobody needs it', async () => {
  const it = named('below');
  const code = async (method, more) => (await issuers.refused(CA + method, { ...it, ...more })).code;
  assert.strictEqual(await code('DeleteCertificateAuthority'), 'FAILED_PRECONDITION');
  await issuers.call(`${CA}UpdateCertificateAuthority`, { ...it, enabled: false });
  const error = await officer.refused(`${CERTIFICATE}CreateCertificate`, order('below'));
  assert.deepStrictEqual([error.code, error.reason], ['FAILED_PRECONDITION', 'DISABLED']);
  assert.strictEqual(await code('DeleteCertificateAuthority'), 'FAILED_PRECONDITION');
  await crl('below');
  await issuers.call(`${CA}UpdateCertificateAuthority`, { ...it, enabled: true });
  assert.strictEqual((await operator.refused('VaultService/DeleteVault', { vault: VAULT })).code,
    'FAILED_PRECONDITION');
  const gone = await create('gone');
  assert.strictEqual(gone.state, 'ACTIVE');
  await issuers.call(`${CA}UpdateCertificateAuthority`, { ...named('gone'), enabled: false });
  await issuers.call(`${CA}DeleteCertificateAuthority`, named('gone'));
  assert.strictEqual((await issuers.refused(`${CA}GetCertificateAuthority`, named('gone'))).code,
    'NOT_FOUND');
});

test('an authority of this server never vouches for callers', async () => {
  const { certificate } = await issuers.call(`${CA}GetCertificateAuthority`, named('root'));
  const file = server.settings['tls.client_ca'];
  const before_ = fs.readFileSync(file);
  fs.appendFileSync(file, pemOf(certificate));
  await server.terminate();
  await assert.rejects(server.restart(), /client_ca has the certificate authority '\w+'/);
  fs.writeFileSync(file, before_);
  await server.restart();
});

test('SIGKILL while it issues: a certificate for each operation at most, each serial once',
  async () => {
    const names = Array.from({ length: 24 }, (_, i) => `k${i}`);
    const asked = names.map((name) => officer.call(`${CERTIFICATE}CreateCertificate`,
      order('below', { name })).catch((error) => {
      if (!(error instanceof CallError)) throw error;
      return null;
    }));
    await Promise.any(asked);
    await server.kill();
    const answers = await Promise.all(asked);
    await server.restart();
    const serials = new Set();
    for (const [i, name] of names.entries()) {
      let got;
      try {
        got = await officer.call(`${CERTIFICATE}ListCertificateVersions`, named(name));
      } catch (error) {
        assert.strictEqual(error.code, 'NOT_FOUND');
      }
      const count = got?.items.length ?? 0;
      assert(count <= 1, name);
      if (answers[i]?.status === 'completed') assert.strictEqual(count, 1, name);
      if (!count) continue;
      const { cer } = await officer.call(`${CERTIFICATE}GetCertificate`, named(name));
      const { serialNumber } = new X509Certificate(cer);
      assert(!serials.has(serialNumber));
      serials.add(serialNumber);
      /* Every one that is there can be revoked: the authority knows it. */
      await issuers.call(`${CA}RevokeCertificate`, { ...named('below'), serial: serialNumber });
    }
    assert(serials.size > 0);
    const { crl: list } = await crl('below');
    const text = run('openssl', ['crl', '-inform', 'DER', '-noout', '-text'], { input: list });
    for (const serial of serials) assert.match(text, new RegExp(serial, 'i'));
  });
