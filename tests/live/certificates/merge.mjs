// A request goes out, OpenSSL's authority signs it, and the certificate comes back: every form it
// may have, every check with a message of its own, and who may not.
import assert from 'node:assert';
import { X509Certificate, createPrivateKey } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { Authority, derOf, pemOf } from '../support/authority.mjs';
import { Keyvault, run } from '../support/keyvault.mjs';

const VAULT = 'shop';
const MERGE = 'CertificateService/MergeCertificate';
let server;
let officer;
let importer;
let user;
let authority;
let made = 0;

before(async () => {
  server = await Keyvault.start();
  const operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  await operator.call('VaultService/CreateVault', { vault: VAULT });
  officer = await server.officer('officer', ['CERTIFICATE_OFFICER'], `/vaults/${VAULT}`);
  importer = await server.officer('importer', ['CERTIFICATE_IMPORTER'], `/vaults/${VAULT}`);
  user = await server.officer('user', ['CERTIFICATE_USER'], `/vaults/${VAULT}`);
  authority = new Authority(path.join(server.folder, 'authority'));
});

after(async () => {
  await server?.stop();
});

async function begin({ exportable = false, reuse = false, name = `m${++made}` } = {}) {
  const operation = await officer.call('CertificateService/CreateCertificate', { vault: VAULT, name,
    policy: { key_props: { kty: 'EC', exportable, reuse_key: reuse }, issuer: { name: 'Unknown' },
      x509_props: { subject: `CN=${name}.example.org`,
        sans: { dns_names: [`${name}.example.org`] } } } });
  assert.strictEqual(operation.status, 'inProgress');
  return { it: { vault: VAULT, name }, csr: operation.csr };
}

const chainOf = (...pems) => pems.map((pem) => derOf(pem));

test('a chain is merged, shown, used and exported', async () => {
  const { it, csr } = await begin({ exportable: true });
  const leaf = authority.sign(csr);
  const bundle = await officer.call(MERGE, { ...it,
    x5c: chainOf(authority.root, leaf, authority.intermediate), tags: [{ name: 'a', value: 'b' }] });
  assert.deepStrictEqual(bundle.cer, derOf(leaf));
  assert.strictEqual(bundle.key_known_outside, false);
  assert.deepStrictEqual(bundle.warnings, []);
  assert.strictEqual(bundle.tags[0].value, 'b');
  const { certificates } = await officer.call('CertificateService/GetCertificateChain',
    { ...it, format: 'DER' });
  assert.deepStrictEqual(certificates, chainOf(leaf, authority.intermediate, authority.root));
  const { value } = await user.call('SecretService/GetSecret', { ...it, format: 'PEM' });
  assert(new X509Certificate(leaf).checkPrivateKey(createPrivateKey(value)));
  const operation = await officer.call('CertificateService/GetCertificateOperation', it);
  assert.strictEqual(operation.status, 'completed');
});

test('an issuer object of that name says what the certificates are held to', async () => {
  const issuers = await server.officer('issuers', ['ISSUER_OFFICER'], `/vaults/${VAULT}`);
  const object = { vault: VAULT, issuer: 'Unknown' };
  const { it, csr } = await begin();
  const x5c = chainOf(authority.sign(csr, { serial: '7' }), authority.intermediate, authority.root);
  await issuers.call('IssuerService/SetIssuer', { ...object, provider: 'Unknown', strict_lint: true,
    allowed_domains: { rules: ['*'] } });
  const error = await officer.refused(MERGE, { ...it, x5c });
  assert.deepStrictEqual([error.code, error.field], ['INVALID_ARGUMENT', 'x5c']);
  assert.match(error.text, /breaks the rule serial: the serial number is positive and has 8 to 20/);
  const { status } = await officer.call('CertificateService/GetCertificateOperation', it);
  assert.strictEqual(status, 'inProgress');
  /* Who orders certificates does not decide what they are held to. */
  assert.strictEqual((await officer.refused('IssuerService/UpdateIssuer',
    { ...object, strict_lint: false })).code, 'PERMISSION_DENIED');
  await issuers.call('IssuerService/UpdateIssuer', { ...object, strict_lint: false });
  const { warnings } = await officer.call(MERGE, { ...it, x5c });
  assert.match(warnings[0], /^serial: /);
  /* Trust is theirs, too: nothing here says where its revocation is told. */
  await issuers.call('IssuerService/UpdateIssuer', { ...object, trust: 'PUBLIC',
    strict_lint: true });
  const second = await begin();
  const extensions = `keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth
subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\nsubjectAltName=DNS:${
    second.it.name}.example.org`;
  assert.match((await officer.refused(MERGE, { ...second.it,
    x5c: chainOf(authority.sign(second.csr, { extensions }), authority.intermediate,
      authority.root) })).text, /breaks the rule revocation_info: /);
  await issuers.call('IssuerService/DeleteIssuer', object);
});

test('the private key of a waiting certificate survives a restart, and only encrypted', async () => {
  const { it, csr } = await begin({ exportable: true });
  await server.kill();
  await server.restart();
  const leaf = authority.sign(csr);
  await officer.call(MERGE, { ...it, x5c: chainOf(leaf, authority.intermediate) });
  const { value } = await user.call('SecretService/GetSecret', { ...it, format: 'PEM' });
  assert(new X509Certificate(leaf).checkPrivateKey(createPrivateKey(value)));
});

test('whatever a CA sends is read', async () => {
  const p7 = (leaf, form) => {
    const files = [leaf, authority.intermediate, authority.root].flatMap((pem, i) => {
      fs.writeFileSync(authority.at(`p${i}.pem`), pem);
      return ['-certfile', authority.at(`p${i}.pem`)];
    });
    return run('openssl', ['crl2pkcs7', '-nocrl', ...files, '-outform', form], { text: false });
  };
  const shapes = {
    'one PEM file': (leaf) => [Buffer.concat([authority.intermediate, leaf])],
    'CR LF': (leaf) => [Buffer.from(leaf.toString().replace(/\n/g, '\r\n'))],
    'PKCS #7, DER': (leaf) => [p7(leaf, 'DER')],
    'PKCS #7, PEM': (leaf) => [p7(leaf, 'PEM')],
    'PKCS #7 under a wrong label': (leaf) => [Buffer.from(pemOf(p7(leaf, 'DER')))],
    base64: (leaf) => [Buffer.from(derOf(leaf).toString('base64'))],
    'base64 twice': (leaf) => [Buffer.from(
      Buffer.from(derOf(leaf).toString('base64')).toString('base64'))],
  };
  for (const [shape, of] of Object.entries(shapes)) {
    const { it, csr } = await begin();
    const leaf = authority.sign(csr);
    const bundle = await officer.call(MERGE, { ...it, x5c: of(leaf) });
    assert.deepStrictEqual(bundle.cer, derOf(leaf), shape);
  }
});

test('an incomplete chain is a warning, or refused; the version before completes the next', async () => {
  const { it, csr } = await begin({ reuse: true });
  const leaf = authority.sign(csr);
  const refusal = await officer.refused(MERGE, { ...it, x5c: chainOf(leaf),
    require_complete_chain: true });
  assert.strictEqual(refusal.code, 'INVALID_ARGUMENT');
  const warned = await officer.call(MERGE, { ...it, x5c: chainOf(leaf, authority.intermediate) });
  assert.strictEqual(warned.warnings.length, 1);
  const next = await begin({ name: it.name, reuse: true });
  assert.deepStrictEqual(next.it, it);
  const second = authority.sign(next.csr);
  await officer.call(MERGE, { ...it, x5c: chainOf(second) });
  const { certificates } = await officer.call('CertificateService/GetCertificateChain',
    { ...it, format: 'DER' });
  assert.deepStrictEqual(certificates, chainOf(second, authority.intermediate));
  /* reuse_key: the same key under both. */
  assert.deepStrictEqual(new X509Certificate(second).publicKey.export({ format: 'jwk' }),
    new X509Certificate(leaf).publicKey.export({ format: 'jwk' }));
});

test('the order of the certificates is kept on request', async () => {
  const { it, csr } = await begin({ exportable: true });
  const leaf = authority.sign(csr);
  const bundle = await officer.call(MERGE, { ...it, preserve_cert_order: true,
    x5c: chainOf(authority.root, authority.intermediate, leaf) });
  assert.strictEqual(bundle.preserve_cert_order, true);
  const { value } = await user.call('SecretService/GetSecret', { ...it, format: 'PEM' });
  const blocks = value.toString().match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g);
  assert.deepStrictEqual(blocks.map(derOf), chainOf(authority.root, authority.intermediate, leaf));
});

test('every check has a message of its own', async () => {
  const { it, csr } = await begin();
  const other = await begin();
  const leaf = authority.sign(csr);
  const ca = 'basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign\n' +
    `subjectAltName=DNS:${it.name}.example.org`;
  const [bad] = chainOf(leaf);
  const broken = Buffer.from(bad);
  broken[broken.length - 1] ^= 1;
  const messages = new Set();
  const cases = {
    'too large': [Buffer.alloc(300 * 1024, '9')],
    'not a certificate': [Buffer.from('nines'.repeat(20))],
    'another key': chainOf(authority.sign(other.csr)),
    'two for the key': chainOf(leaf, authority.sign(csr)),
    'a CA': chainOf(authority.sign(csr, { extensions: ca })),
    'a broken signature': [broken, ...chainOf(authority.intermediate)],
    expired: chainOf(authority.sign(csr, { days: -1 })),
    'a name is missing': chainOf(authority.sign(csr, { extensions:
      'basicConstraints=critical,CA:false\nsubjectAltName=DNS:other.example.org' })),
  };
  for (const [what, x5c] of Object.entries(cases)) {
    const refusal = await officer.refused(MERGE, { ...it, x5c });
    assert.strictEqual(refusal.code, 'INVALID_ARGUMENT', what);
    assert.match(refusal.field ?? '', /^x5c/, `${what}: ${refusal.message}`);
    assert(!messages.has(refusal.message), `${what}: ${refusal.message}`);
    messages.add(refusal.message);
  }
  for (const [x5c, what] of [[[], 'none'], [Array(21).fill(bad), 'too many']]) {
    const refusal = await officer.refused(MERGE, { ...it, x5c });
    assert.strictEqual(refusal.field, 'x5c', what);
  }
  const dated = await officer.refused(MERGE, { ...it, x5c: [bad], attributes: { expires: 1 } });
  assert.strictEqual(dated.field, 'attributes');
  /* After all of that the operation still waits, and takes the right one. */
  await officer.call(MERGE, { ...it, x5c: [bad] });
});

test('a repeat succeeds, another certificate does not', async () => {
  const { it, csr } = await begin();
  const leaf = authority.sign(csr);
  const first = await officer.call(MERGE, { ...it, x5c: chainOf(leaf) });
  const again = await officer.call(MERGE, { ...it, x5c: chainOf(leaf) });
  assert.deepStrictEqual(again.id, first.id);
  const { items } = await officer.call('CertificateService/ListCertificateVersions', it);
  assert.strictEqual(items.length, 1);
  const refusal = await officer.refused(MERGE, { ...it, x5c: chainOf(authority.sign(csr)) });
  assert.strictEqual(refusal.code, 'FAILED_PRECONDITION');
});

test('a serial number of an issuer is used once', async () => {
  const one = await begin();
  const two = await begin();
  await officer.call(MERGE, { ...one.it,
    x5c: chainOf(authority.sign(one.csr, { serial: '0x4711' })) });
  const refusal = await officer.refused(MERGE, { ...two.it,
    x5c: chainOf(authority.sign(two.csr, { serial: '0x4711' })) });
  assert.strictEqual(refusal.code, 'ALREADY_EXISTS');
  /* Another issuer may. */
  await officer.call(MERGE, { ...two.it, x5c: chainOf(
    authority.sign(two.csr, { serial: '0x4711', signer: 'root' })) });
});

test('what waits for nobody is not merged', async () => {
  const { it, csr } = await begin();
  const leaf = authority.sign(csr);
  await officer.call('CertificateService/CancelCertificateOperation', it);
  const cancelled = await officer.refused(MERGE, { ...it, x5c: chainOf(leaf) });
  assert.strictEqual(cancelled.code, 'FAILED_PRECONDITION');
  const self = { vault: VAULT, name: `self${++made}` };
  await officer.call('CertificateService/CreateCertificate', { ...self,
    policy: { key_props: { kty: 'EC' }, x509_props: { subject: 'CN=self' },
      issuer: { name: 'Self' } } });
  const named = await officer.refused(MERGE, { ...self, x5c: chainOf(leaf) });
  assert.strictEqual(named.code, 'FAILED_PRECONDITION');
  const nobody = await officer.refused(MERGE, { vault: VAULT, name: 'nobody', x5c: chainOf(leaf) });
  assert.strictEqual(nobody.code, 'NOT_FOUND');
  for (const caller of [importer, user]) {
    const denied = await caller.refused(MERGE, { ...it, x5c: chainOf(leaf) });
    assert.strictEqual(denied.code, 'PERMISSION_DENIED');
  }
});

test('two merges at once make one version', async () => {
  const { it, csr } = await begin({ exportable: true });
  const leaves = [authority.sign(csr), authority.sign(csr)];
  const done = await Promise.allSettled(leaves.map((leaf) =>
    officer.call(MERGE, { ...it, x5c: chainOf(leaf) })));
  assert.strictEqual(done.filter((one) => one.status === 'fulfilled').length, 1);
  const { items } = await officer.call('CertificateService/ListCertificateVersions', it);
  assert.strictEqual(items.length, 1);
  const { value } = await user.call('SecretService/GetSecret', { ...it, format: 'PEM' });
  const { cer } = await officer.call('CertificateService/GetCertificate', it);
  assert(new X509Certificate(cer).checkPrivateKey(createPrivateKey(value)));
});

test('kvctl merges files', async () => {
  const { it, csr } = await begin();
  const leaf = authority.sign(csr);
  const KVCTL = path.join(path.dirname(process.env.KEYVAULTD), '../client/kvctl');
  const at = (name) => path.join(server.folder, name);
  fs.writeFileSync(at('officer.pem'), officer.identity.pem);
  fs.writeFileSync(at('officer.key'), officer.identity.key, { mode: 0o600 });
  fs.writeFileSync(at('leaf.pem'), leaf);
  fs.writeFileSync(at('issuers.pem'), authority.intermediate);
  const shown = JSON.parse(run(KVCTL, ['certificate', 'pending', 'merge', '--endpoint',
    `127.0.0.1:${server.port}`, '--server-name', 'localhost', '--ca',
    path.join(server.home, 'tls/server.pem'), '--certificate', at('officer.pem'), '--key',
    at('officer.key'), '--vault', VAULT, '--name', it.name, '--file', at('leaf.pem'), '--file',
    at('issuers.pem')]));
  assert.strictEqual(shown.subject, `CN=${it.name}.example.org`);
});
