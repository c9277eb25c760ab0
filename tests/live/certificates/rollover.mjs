// Authorities get new certificates and new keys: who trusts the old root, the new one, or both, has
// a path to everything that either issued; lists and OCSP go on for both; what was issued is listed.
import assert from 'node:assert';
import { X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { Authority, pemOf } from '../support/authority.mjs';
import { Keyvault, nap, run } from '../support/keyvault.mjs';

const VAULT = 'shop';
const CA = 'CertificateAuthorityService/';
const BASE = 'http://pki.example.org/x';
let server;
let url;
let issuers;
let officer;
let made = 0;
const kept = {}; /* what the root and the authority below it were, and certificates of theirs */

before(async () => {
  server = await Keyvault.start({ settings: { 'pki.listen': '127.0.0.1:0',
    'pki.base_url': `${BASE}/` } });
  url = `http://127.0.0.1:${server.pkiPort}`;
  const operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  await operator.call('VaultService/CreateVault', { vault: VAULT });
  issuers = await server.officer('issuers', ['ISSUER_OFFICER'], '/');
  officer = await server.officer('officer', ['CERTIFICATE_OFFICER'], '/');
});

after(async () => {
  await server?.stop();
});

const named = (name) => ({ vault: VAULT, name });
const at = (name) => path.join(server.folder, name);
const call = (method, name, more) => issuers.call(CA + method, { ...named(name), ...more });
const pem = (list) => list.map((it) => pemOf(it)).join('');
const write = (name, text) => { fs.writeFileSync(at(name), text); return at(name); };
const text = (der) => run('openssl', ['x509', '-inform', 'DER', '-noout', '-text'], { input: der });

/* Leaf, and what goes out with it. */
async function issue(issuer) {
  const name = `c${++made}`;
  const operation = await officer.call('CertificateService/CreateCertificate', { ...named(name),
    policy: { key_props: { kty: 'EC' }, issuer: { name: issuer },
      x509_props: { subject: `CN=${name}.example.org`, sans: { dns_names: [`${name}.example.org`] },
        validity_months: 3 } } });
  assert.strictEqual(operation.status, 'completed', operation.error?.message);
  const { certificates } = await officer.call('CertificateService/GetCertificateChain',
    { ...named(name), format: 'DER' });
  return { leaf: certificates[0], above: certificates.slice(1),
    serial: new X509Certificate(certificates[0]).serialNumber.toLowerCase() };
}

/* Do OpenSSL and GnuTLS take the chain as it goes out, when they trust these roots? */
function takes(issued, roots) {
  const trust = write('trust.pem', pem(roots));
  const chain = write('chain.pem', pem([issued.leaf, ...issued.above]));
  const leaf = write('leaf.pem', pemOf(issued.leaf));
  run('openssl', ['verify', '-x509_strict', '-CAfile', trust, '-untrusted', chain, leaf]);
  run('certtool', ['--verify', '--infile', chain, '--load-ca-certificate', trust]);
}

const fetched = async (name) => Buffer.from(await (await fetch(`${url}/${name}`)).arrayBuffer());
const listed = (der) => run('openssl', ['crl', '-inform', 'DER', '-noout', '-text'], { input: der });

test('without URLs of its own a new authority writes those of the server', async () => {
  const root = await call('CreateCertificateAuthority', 'root',
    { type: 'ROOT', subject: 'CN=Root, O=Example', path_length: 2,
      name_constraints: { permitted: { dns_names: ['example.org'] } } });
  assert.deepStrictEqual([root.revocation.crl_url, root.revocation.ocsp_url,
    root.revocation.issuer_url, root.key_number],
  [`${BASE}/crl/shop/root.crl`, `${BASE}/ocsp/shop/root`, `${BASE}/ca/shop/root.cer`, 1]);
  const below = await call('CreateCertificateAuthority', 'tls',
    { type: 'SUBORDINATE', parent: 'root', subject: 'CN=TLS', path_length: 0 });
  const own = await call('CreateCertificateAuthority', 'own',
    { type: 'ROOT', subject: 'CN=Own', revocation: { crl_url: 'http://lists.example.org/own.crl' } });
  assert.strictEqual(own.revocation.ocsp_url, '');
  Object.assign(kept, { root, below, leaf: await issue('tls'), direct: await issue('root') });
  assert.match(text(kept.leaf.leaf), /CRL Distribution[^]*x\/crl\/shop\/tls.crl/);
  takes(kept.leaf, [root.certificate]);
});

test('a new certificate with the same key: nothing that was issued notices', async () => {
  const renewed = await call('RenewCertificateAuthority', 'tls', { validity_months: 60 });
  const was = new X509Certificate(kept.below.certificate);
  const is = new X509Certificate(renewed.certificate);
  assert.notStrictEqual(is.serialNumber, was.serialNumber);
  assert.strictEqual(is.subject, was.subject);
  assert(is.publicKey.equals(was.publicKey));
  assert.deepStrictEqual([renewed.key_number, renewed.revocation],
    [1, kept.below.revocation]);
  for (const what of [/CA:TRUE, pathlen:0/, /Subject Key Identifier: *\n *(\S+)/]) {
    assert.strictEqual(text(renewed.certificate).match(what)[0],
      text(kept.below.certificate).match(what)[0]);
  }
  takes(kept.leaf, [kept.root.certificate]);
  takes(await issue('tls'), [kept.root.certificate]);
  kept.below = renewed;
});

test('a root with a new key: old and new sign each other, and every client has a path', async () => {
  const renewed = await call('RenewCertificateAuthority', 'root', { new_key: true });
  const [cross, old] = renewed.chain;
  assert.deepStrictEqual([renewed.key_number, renewed.chain.length, renewed.revocation.crl_url,
    renewed.revocation.ocsp_url], [2, 2, `${BASE}/crl/shop/root.2.crl`, `${BASE}/ocsp/shop/root`]);
  assert.deepStrictEqual(old, kept.root.certificate);
  assert.match(text(renewed.certificate), /CA:TRUE, pathlen:2[^]*DNS:example.org/);
  /* New with old: the new key, signed with the old one, which is named by its identifier. */
  const certificate = new X509Certificate(cross);
  assert(certificate.verify(new X509Certificate(old).publicKey));
  assert(certificate.publicKey.equals(new X509Certificate(renewed.certificate).publicKey));
  assert.match(text(cross), /CA:TRUE, pathlen:2[^]*DNS:example.org/);
  const identifier = (der, kind) => text(der)
    .match(new RegExp(`${kind} Key Identifier: *\\n *(\\S+)`))[1].replace('keyid:', '');
  assert.strictEqual(identifier(cross, 'Authority'), identifier(old, 'Subject'));
  assert.strictEqual(identifier(cross, 'Subject'), identifier(renewed.certificate, 'Subject'));
  kept.renewed = renewed;
  const both = [[old], [renewed.certificate], [old, renewed.certificate]];
  const leaf = await issue('tls'); /* signed by the old key's authority below */
  const direct = await issue('root'); /* by the new key */
  assert(new X509Certificate(direct.leaf).verify(certificate.publicKey));
  const { chain } = await call('GetCertificateAuthority', 'tls');
  assert.strictEqual(chain.length, 2);
  const again = await call('RenewCertificateAuthority', 'tls', { new_key: true });
  const after_ = await issue('tls'); /* by a new key of the authority below, under the new root */
  for (const roots of both) for (const it of [leaf, direct, after_]) takes(it, roots);
  takes(kept.leaf, [old]); /* as it went out before */
  assert(new X509Certificate(again.certificate).verify(certificate.publicKey));
});

test('lists and OCSP of both keys go on, each signed by its own, and say the same', async () => {
  const direct = await issue('root');
  for (const serial of [kept.direct.serial, direct.serial]) {
    assert((await call('RevokeCertificate', 'root', { serial, reason: 'SUPERSEDED' })).on_crl);
  }
  const lists = [await fetched('crl/shop/root.crl'), await fetched('crl/shop/root.2.crl')];
  for (const list of lists) {
    for (const it of [kept.direct, direct]) {
      assert.match(listed(list), new RegExp(it.serial, 'i'));
    }
  }
  assert.deepStrictEqual(lists[1], (await call('GetCertificateRevocationList', 'root')).crl);
  assert.deepStrictEqual(lists[0],
    (await call('GetCertificateRevocationList', 'root', { key_number: 1 })).crl);
  const numbers = lists.map((it) => Number(listed(it).match(/CRL Number: *\n *(\d+)/)[1]));
  assert.notStrictEqual(numbers[0], numbers[1]);
  assert.deepStrictEqual(await fetched('ca/shop/root.cer'), kept.root.certificate);
  assert.deepStrictEqual(await fetched('ca/shop/root.2.cer'), kept.renewed.certificate);
  assert.strictEqual((await fetch(`${url}/crl/shop/root.3.crl`)).status, 404);
  assert.strictEqual((await fetch(`${url}/crl/shop/root.x.crl`)).status, 404);
  const good = await issue('root');
  const roots = { 1: write('old.pem', pemOf(kept.root.certificate)),
    2: write('new.pem', pemOf(kept.renewed.certificate)) };
  for (const [it, key, says] of [[kept.direct, 1, /revoked/], [direct, 2, /revoked/],
    [good, 2, /good/]]) {
    const file = write('leaf.pem', pemOf(it.leaf));
    const got = run('openssl', ['ocsp', '-issuer', roots[key], '-cert', file, '-CAfile', roots[key],
      '-url', `${url}/ocsp/shop/root`]);
    assert.match(got, says);
    /* A list of the key that signed it is found by a verifier that has both. */
    const verify = ['verify', '-crl_check', '-CAfile', roots[key],
      ...lists.flatMap((list, i) => ['-CRLfile', write(`l${i}.pem`, pemOf(list, 'X509 CRL'))]),
      file];
    if (it === good) assert.match(run('openssl', verify), /OK/);
    else assert.throws(() => run('openssl', verify), /certificate revoked/);
  }
});

test('what was issued is listed by the end of validity, and found by serial number', async () => {
  const all = [];
  let token = Buffer.alloc(0);
  do {
    const page = await call('ListIssuedCertificates', 'root', { page_size: 2, page_token: token });
    assert(page.items.length <= 2);
    all.push(...page.items);
    token = page.next_page_token;
  } while (token.length);
  const whole = await call('ListIssuedCertificates', 'root');
  assert.deepStrictEqual(all, whole.items);
  assert.strictEqual(new Set(all.map((it) => it.serial)).size, all.length);
  assert.deepStrictEqual([...new Set(all.map((it) => it.key_number))], [2, 1]);
  for (const key of [1, 2]) {
    const ends = all.filter((it) => it.key_number === key).map((it) => it.not_after);
    assert.deepStrictEqual(ends, [...ends].sort((a, b) => a - b));
  }
  const revoked = await call('ListIssuedCertificates', 'root', { state: 'REVOKED' });
  assert.strictEqual(revoked.items.length, 2);
  const end = kept.direct.leaf && Date.parse(new X509Certificate(kept.direct.leaf).validTo) / 1000;
  const [one] = (await call('ListIssuedCertificates', 'root',
    { ends_from: end, ends_before: end + 1 })).items.filter((it) => it.key_number === 1);
  assert.deepStrictEqual([one.serial, one.state, one.reason], [kept.direct.serial,
    'ISSUED_CERTIFICATE_STATE_REVOKED', 'REVOCATION_REASON_SUPERSEDED']);
  const found = await call('GetIssuedCertificate', 'root',
    { serial: kept.direct.serial.toUpperCase() });
  assert.deepStrictEqual([found.certificate, found.key_number], [kept.direct.leaf, 1]);
  const refused = async (method, more) => (await issuers.refused(CA + method,
    { ...named('root'), ...more })).field;
  for (const bad of [Buffer.from('9'), Buffer.alloc(28), Buffer.alloc(28, 9)]) {
    assert.strictEqual(await refused('ListIssuedCertificates', { page_token: bad }), 'page_token');
  }
  assert.strictEqual(await refused('ListIssuedCertificates', { ends_from: 9, ends_before: 9 }),
    'ends_before');
  assert.strictEqual((await issuers.refused(`${CA}GetIssuedCertificate`,
    { ...named('tls'), serial: kept.direct.serial })).code, 'NOT_FOUND');
});

test('who may not, and what cannot be', async () => {
  const denied = await officer.refused(`${CA}RenewCertificateAuthority`, named('root'));
  assert.strictEqual(denied.code, 'PERMISSION_DENIED');
  const refused = (name, more) => issuers.refused(`${CA}RenewCertificateAuthority`,
    { ...named(name), ...more });
  const lists = { crl_url: 'http://lists.example.org/own.crl' };
  for (const [name, more, field] of [['own', { new_key: true }, 'revocation'],
    ['own', { new_key: true, revocation: lists }, 'revocation.crl_url'],
    ['root', { crv: 'P256' }, 'kty'], ['root', { new_key: true, crv: 'P521' }, 'kty'],
    ['root', { parent: 'own' }, 'parent'], ['tls', { parent: 'tls' }, 'parent'],
    ['root', { validity_months: 361 }, 'validity_months']]) {
    assert.strictEqual((await refused(name, more)).field, field, JSON.stringify(more));
  }
  /* A former key is no authority to be named. */
  assert.strictEqual((await refused('root.1')).field, 'name');
  const settings = JSON.stringify({ authority: 'root.1' });
  assert.strictEqual((await issuers.refused('IssuerService/SetIssuer', { vault: VAULT,
    issuer: 'former', provider: 'LocalCA', settings, allowed_domains: { rules: ['*'] } })).field,
  'settings');
  assert.match((await officer.refused('CertificateService/CreateCertificate', { ...named('x'),
    policy: { key_props: { kty: 'EC' }, issuer: { name: 'root.1' },
      x509_props: { subject: 'CN=x' } } })).field, /issuer.name/);
  assert.strictEqual((await issuers.refused(`${CA}GetCertificateAuthority`, named('root.1'))).field,
    'name');
  const items = [];
  let token = Buffer.alloc(0);
  do {
    const page = await issuers.call(`${CA}ListCertificateAuthorities`,
      { vault: VAULT, page_size: 1, page_token: token });
    items.push(...page.items.map((it) => it.name));
    token = page.next_page_token;
  } while (token.length);
  assert.deepStrictEqual(items, ['own', 'root', 'tls']);
  await call('UpdateCertificateAuthority', 'own', { enabled: false });
  assert.strictEqual((await refused('own')).reason, 'DISABLED');
  await call('UpdateCertificateAuthority', 'own', { enabled: true });
  const moved = await call('RenewCertificateAuthority', 'own', { new_key: true, kty: 'RSA',
    revocation: { crl_url: 'http://lists.example.org/own2.crl' } });
  assert.deepStrictEqual([moved.key_kind, moved.chain.length], ['RSA-3072', 2]);
  takes(await issue('own'), [moved.chain[1]]);
});

test('an authority below a root that is elsewhere: both ways, and the old one works meanwhile',
  async () => {
    const offline = new Authority(path.join(server.folder, 'offline'));
    const extensions = 'basicConstraints=critical,CA:true\n' +
      'keyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n' +
      'authorityKeyIdentifier=keyid\n';
    const sign = (csr) => [Buffer.concat([offline.sign(csr, { signer: 'root', extensions }),
      Buffer.from(offline.root)])];
    const bring = (csr) => call('ImportCertificateAuthorityCertificate', 'office',
      { x5c: sign(csr) });
    const { csr } = await call('CreateCertificateAuthority', 'office',
      { type: 'SUBORDINATE', subject: 'CN=Office' });
    await bring(csr);
    const first = await issue('office');
    await call('CreateCertificateAuthority', 'team',
      { type: 'SUBORDINATE', parent: 'office', subject: 'CN=Team' });
    const same = await call('RenewCertificateAuthority', 'office');
    assert(same.csr.length > 0);
    const brought = await bring(same.csr);
    assert.strictEqual(brought.key_number, 1);
    /* Those below go through the new certificate of the key that signed them. */
    const { chain } = await call('GetCertificateAuthority', 'team');
    assert.deepStrictEqual(chain.map((it) => Buffer.from(it).toString('hex')),
      [brought.certificate, ...brought.chain].map((it) => Buffer.from(it).toString('hex')));
    const asked = await call('RenewCertificateAuthority', 'office', { new_key: true });
    await issue('office');
    const second = await call('RenewCertificateAuthority', 'office', { new_key: true });
    assert.notDeepStrictEqual(asked.csr, second.csr);
    assert.deepStrictEqual((await call('GetCertificateAuthority', 'office')).csr, second.csr);
    /* The one that was given up is nobody's any more. */
    assert.strictEqual((await issuers.refused(`${CA}ImportCertificateAuthorityCertificate`,
      { ...named('office'), x5c: sign(asked.csr) })).field, 'x5c');
    const done = await bring(second.csr);
    assert.deepStrictEqual([done.key_number, done.csr.length, done.revocation.crl_url],
      [2, 0, `${BASE}/crl/shop/office.2.crl`]);
    const got = await issue('office');
    assert(new X509Certificate(got.leaf).verify(new X509Certificate(done.certificate).publicKey));
    assert((await call('RevokeCertificate', 'office', { serial: first.serial })).on_crl);
    const { former_keys: former } = await call('GetCertificateAuthority', 'office');
    assert.deepStrictEqual(former.map((it) => [it.key_number, it.destroyed]), [[1, false]]);
  });

test('all of it is there after SIGKILL; a former key goes when nothing of it is valid', async () => {
  /* Nothing was issued by the first key of this one, apart from what the keys made of each other. */
  const sub = await call('CreateCertificateAuthority', 'brief',
    { type: 'SUBORDINATE', parent: 'root', subject: 'CN=Brief' });
  await call('RenewCertificateAuthority', 'brief', { new_key: true });
  await server.kill();
  await server.restart();
  url = `http://127.0.0.1:${server.pkiPort}`;
  await server.reconciled();
  takes(await issue('root'), [kept.root.certificate]);
  takes(await issue('tls'), [kept.renewed.certificate]);
  const brief = () => call('GetCertificateAuthority', 'brief');
  while (!(await brief()).former_keys[0].destroyed) await nap(200);
  const { former_keys: former } = await brief();
  assert.deepStrictEqual(former[0].certificate, sub.certificate);
  assert.strictEqual((await fetch(`${url}/crl/shop/brief.crl`)).status, 404);
  assert.strictEqual((await issuers.refused(`${CA}GetCertificateRevocationList`,
    { ...named('brief'), key_number: 1 })).code, 'FAILED_PRECONDITION');
  /* The old root's key signed much that is valid. */
  const root = await call('GetCertificateAuthority', 'root');
  assert.strictEqual(root.former_keys[0].destroyed, false);
  assert((await fetch(`${url}/crl/shop/root.crl`)).ok);
});

test('an authority near its end: what it issues is cut, and that is told', async () => {
  const doctor = await server.officer('doctor', ['READER'], '/');
  const told = async () => (await doctor.call('ServerService/CheckServer', {})).checks
    .filter((it) => it.name === 'certificate authority' && /'late'/.test(it.what));
  await call('CreateCertificateAuthority', 'late',
    { type: 'ROOT', subject: 'CN=Late', validity_months: 2 });
  const [check] = await told();
  assert.deepStrictEqual([check.result, check.next],
    ['CHECK_RESULT_WARNING', 'kvctl ca renew']);
  const { warnings } = await officer.call('CertificateService/CreateCertificate',
    { ...named('cut'), policy: { key_props: { kty: 'EC' }, issuer: { name: 'late' },
      x509_props: { subject: 'CN=cut', validity_months: 6 } } });
  assert.match(warnings.join(), /validity_cut/);
  await call('RenewCertificateAuthority', 'late');
  assert.deepStrictEqual(await told(), []);
});

test('it is deleted with all its keys', async () => {
  const gone = await call('CreateCertificateAuthority', 'gone', { type: 'ROOT', subject: 'CN=Gone' });
  assert.strictEqual(gone.state, 'ACTIVE');
  await call('RenewCertificateAuthority', 'gone', { new_key: true });
  await call('RenewCertificateAuthority', 'gone', { new_key: true });
  await call('UpdateCertificateAuthority', 'gone', { enabled: false });
  await call('DeleteCertificateAuthority', 'gone');
  for (const name of ['gone', 'gone.2', 'gone.3']) {
    assert.strictEqual((await fetch(`${url}/crl/shop/${name}.crl`)).status, 404);
  }
  await server.restart();
  await server.reconciled();
});
