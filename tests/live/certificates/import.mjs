// Certificates come with their keys, in every shape that OpenSSL writes: the key goes onto the token,
// the certificate is watched but never renewed by surprise, and its own export can be imported again.
import assert from 'node:assert';
import crypto, { X509Certificate, createPrivateKey } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { Authority, derOf } from '../support/authority.mjs';
import { Keyvault, run } from '../support/keyvault.mjs';

const VAULT = 'shop';
const IMPORT = 'CertificateService/ImportCertificate';
let server;
let operator;
let importer;
let officer;
let user;
let signer;
let authority;
let identity;
let made = 0;

before(async () => {
  server = await Keyvault.start();
  operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  await operator.call('VaultService/CreateVault', { vault: VAULT });
  importer = await server.officer('importer', ['CERTIFICATE_IMPORTER'], `/vaults/${VAULT}`);
  officer = await server.officer('officer', ['CERTIFICATE_OFFICER'], `/vaults/${VAULT}`);
  user = await server.officer('user', ['CERTIFICATE_USER'], `/vaults/${VAULT}`);
  signer = await server.officer('signer', ['CRYPTO_USER'], `/vaults/${VAULT}`);
  authority = new Authority(path.join(server.folder, 'authority'));
  identity = authority.identity('www.example.org');
});

after(async () => {
  await server?.stop();
});

const fresh = () => ({ vault: VAULT, name: `i${++made}` });
const pkcs12 = (who, ...more) => {
  fs.writeFileSync(authority.at('leaf.pem'), who.pem);
  fs.writeFileSync(authority.at('chain.pem'), Buffer.concat([authority.root,
    authority.intermediate]));
  return run('openssl', ['pkcs12', '-export', '-inkey', who.file, '-in', authority.at('leaf.pem'),
    '-certfile', authority.at('chain.pem'), ...more], { text: false });
};
const pkey = (file, ...more) => run('openssl', ['pkey', '-in', file, ...more], { text: false });

/** What is the same for every import: shown, on the token, usable, never for the wrong people. */
async function check(it, who, exportable) {
  const bundle = await officer.call('CertificateService/GetCertificate', it);
  assert.deepStrictEqual(bundle.cer, derOf(who.pem));
  assert.strictEqual(bundle.key_known_outside, true);
  assert.strictEqual(bundle.policy.issuer.name, 'Unknown');
  assert.strictEqual(bundle.policy.lifetime_actions[0].action_type,
    'LIFETIME_ACTION_TYPE_EMAIL_CONTACTS');
  const key = await user.call('KeyService/GetKey', it);
  assert.strictEqual(key.attestation.origin, 'imported');
  assert.strictEqual(key.attestation.extractable, false);
  const { value } = await user.call('SecretService/GetSecret', { ...it, format: 'PEM' });
  assert.strictEqual(value.includes('PRIVATE KEY'), exportable);
  if (exportable) assert(new X509Certificate(who.pem).checkPrivateKey(createPrivateKey(value)));
  return bundle;
}

const exportable = { key_props: { exportable: true } };

test('who imports a key that is here already is told so, and not whose it is', async () => {
  const who = authority.identity('twice.example.org');
  const value = pkcs12(who, '-passout', 'pass:');
  const reused = (bundle) => bundle.warnings.filter((it) => it.startsWith('key_reused: '));
  const it = fresh();
  assert.deepStrictEqual(reused(await importer.call(IMPORT, { ...it, value })), []);
  /* Another version of the same certificate is no reuse. */
  assert.deepStrictEqual(reused(await importer.call(IMPORT, { ...it, value })), []);
  await operator.call('VaultService/CreateVault', { vault: 'elsewhere' });
  const stranger = await server.officer('stranger', ['CERTIFICATE_IMPORTER'], '/vaults/elsewhere');
  const [told, ...more] = reused(await stranger.call(IMPORT,
    { vault: 'elsewhere', name: 'mine', value }));
  assert.deepStrictEqual(more, []);
  assert(!told.includes(VAULT) && !told.includes(it.name), told);
  /* Another key is another matter. */
  assert.deepStrictEqual(reused(await importer.call(IMPORT, { ...fresh(),
    value: pkcs12(authority.identity('once.example.org'), '-passout', 'pass:') })), []);
});

test('PFX files of every kind', async () => {
  const legacy = ['-legacy', '-provider', 'legacy', '-provider', 'default'];
  const shapes = {
    modern: [['-passout', 'pass:secret'], 'secret'],
    'no password': [['-passout', 'pass:'], undefined],
    'triple DES': [['-certpbe', 'PBE-SHA1-3DES', '-keypbe', 'PBE-SHA1-3DES', '-macalg', 'sha1',
      '-passout', 'pass:old'], 'old'],
    RC2: [[...legacy, '-certpbe', 'PBE-SHA1-RC2-40', '-passout', 'pass:older'], 'older'],
    'a password in Unicode': [['-passout', 'pass:Grüße'], 'Grüße'],
  };
  for (const [shape, [options, password]] of Object.entries(shapes)) {
    const it = fresh();
    const value = pkcs12(identity, ...options);
    await importer.call(IMPORT, { ...it, value,
      ...(password && { password: Buffer.from(password) }), policy: exportable });
    const bundle = await check(it, identity, true);
    assert.strictEqual(bundle.content_type, 'application/x-pkcs12', shape);
  }
});

test('PEM files of every kind', async () => {
  const ec = (file) => run('openssl', ['ec', '-in', file, '-param_out'], { text: false });
  const sec1 = run('openssl', ['ec', '-in', identity.file], { text: false });
  const sealed = pkey(identity.file, '-aes256', '-passout', 'pass:secret');
  const crlf = (bytes) => Buffer.from(bytes.toString().replace(/\n/g, '\r\n'));
  const shapes = {
    'key first': [[identity.key, identity.pem]],
    'key last, chain between': [[identity.pem, authority.intermediate, identity.key]],
    'SEC1 with its parameters': [[ec(identity.file), sec1, identity.pem]],
    'encrypted PKCS #8': [[identity.pem, sealed], 'secret'],
    'CR LF and words': [['Bag Attributes: none\n', crlf(identity.pem), crlf(identity.key)]],
  };
  for (const [shape, [parts, password]] of Object.entries(shapes)) {
    const it = fresh();
    const value = Buffer.concat(parts.map((part) => Buffer.from(part)));
    await importer.call(IMPORT, { ...it, value,
      ...(password && { password: Buffer.from(password) }) });
    const bundle = await check(it, identity, false);
    assert.strictEqual(bundle.content_type, 'application/x-pem-file', shape);
    const again = await importer.call(IMPORT, { ...fresh(),
      value: Buffer.from(value.toString('base64')),
      ...(password && { password: Buffer.from(password) }) });
    assert.deepStrictEqual(again.cer, derOf(identity.pem), `${shape}, in base64`);
  }
});

test('keys of every kind sign afterwards', async () => {
  const kinds = { RS256: ['RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
    ES384: ['EC', '-pkeyopt', 'ec_paramgen_curve:P-384'] };
  for (const [algorithm, kind] of Object.entries(kinds)) {
    const it = fresh();
    const who = authority.identity(`${algorithm.toLowerCase()}.example.org`, { algorithm: kind });
    await importer.call(IMPORT, { ...it, value: Buffer.concat([who.key, who.pem]),
      policy: exportable });
    await check(it, who, true);
    const message = Buffer.from('signed');
    const { signature } = await signer.call('KeyService/Sign', { ...it, algorithm, message });
    const key = new X509Certificate(who.pem).publicKey;
    const hash = `sha${algorithm.slice(2)}`;
    assert(crypto.verify(hash, message, { key, dsaEncoding: 'ieee-p1363' }, signature), algorithm);
  }
});

test('our own export is imported again', async () => {
  const it = fresh();
  await importer.call(IMPORT, { ...it, policy: exportable,
    value: Buffer.concat([identity.key, identity.pem, authority.intermediate]) });
  const password = Buffer.from('on the way');
  const forms = { pfx: { format: 'PFX', pfx_password: password },
    old: { format: 'PFX', pfx_password: password, pfx_for_old_clients: true },
    pem: { format: 'PEM' } };
  for (const [form, how] of Object.entries(forms)) {
    const { value } = await user.call('SecretService/GetSecret', { ...it, ...how });
    const copy = fresh();
    await importer.call(IMPORT, { ...copy, value, policy: exportable,
      ...(how.pfx_password && { password }) });
    await check(copy, identity, true);
    const { certificates } = await officer.call('CertificateService/GetCertificateChain',
      { ...copy, format: 'DER' });
    assert.deepStrictEqual(certificates, [derOf(identity.pem), derOf(authority.intermediate)], form);
  }
  /* The old form is what it says; and only for a PFX. */
  const { value } = await user.call('SecretService/GetSecret', { ...it, ...forms.old });
  fs.writeFileSync(authority.at('old.pfx'), value);
  const info = run('bash', ['-c', 'openssl pkcs12 -info -noout -passin "pass:on the way" -in "$0" 2>&1',
    authority.at('old.pfx')]);
  assert.match(info, /pbeWithSHA1And3-KeyTripleDES-CBC/);
  const refusal = await user.refused('SecretService/GetSecret',
    { ...it, format: 'PEM', pfx_for_old_clients: true });
  assert.strictEqual(refusal.field, 'pfx_for_old_clients');
});

test('leaf first, or as it was given', async () => {
  const parts = [authority.root, authority.intermediate, identity.pem];
  const value = Buffer.concat([...parts, identity.key]);
  const ders = parts.map(derOf);
  for (const [preserve, order] of [[false, [...ders].reverse()], [true, ders]]) {
    const it = fresh();
    const bundle = await importer.call(IMPORT, { ...it, value, preserve_cert_order: preserve,
      policy: exportable });
    assert.strictEqual(bundle.preserve_cert_order, preserve);
    const { value: pem } = await user.call('SecretService/GetSecret', { ...it, format: 'PEM' });
    assert.deepStrictEqual(pem.toString()
      .match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g).map(derOf), order);
    const chain = await officer.call('CertificateService/GetCertificateChain',
      { ...it, format: 'DER' });
    assert.deepStrictEqual(chain.certificates, [...ders].reverse());
  }
});

test('what the policy may say, and what not', async () => {
  const value = Buffer.concat([identity.key, identity.pem]);
  const it = fresh();
  const bundle = await importer.call(IMPORT, { ...it, value, policy: {
    issuer: { name: 'Self' }, secret_props: { content_type: 'application/x-pkcs12' },
    lifetime_actions: [{ action_type: 'AUTO_RENEW', trigger: { lifetime_percentage: 70 } }] } });
  assert.strictEqual(bundle.policy.issuer.name, 'Self');
  assert.strictEqual(bundle.content_type, 'application/x-pkcs12');
  assert.strictEqual(bundle.policy.x509_props.sans.dns_names[0], 'www.example.org');
  const cases = [
    [{ key_props: { kty: 'RSA' } }, 'policy.key_props'],
    [{ lifetime_actions: [{ action_type: 'AUTO_RENEW', trigger: { lifetime_percentage: 70 } }] },
      'policy.lifetime_actions'],
    [{ issuer: { name: 'nobody' } }, 'policy.issuer.name'],
    [{ secret_props: { content_type: 'text/plain' } }, 'policy.secret_props'],
  ];
  for (const [policy, field] of cases) {
    const refusal = await importer.refused(IMPORT, { ...fresh(), value, policy });
    assert.strictEqual(refusal.code, 'INVALID_ARGUMENT');
    assert(refusal.field?.startsWith(field), `${refusal.field}: ${refusal.message}`);
  }
});

test('bad files are refused, and leave nothing behind', async () => {
  const other = authority.identity('other.example.org');
  const good = pkcs12(identity, '-passout', 'pass:secret');
  const secret = Buffer.from('secret');
  const bomb = pkcs12(identity, '-passout', 'pass:secret', '-iter', '6000000', '-nomaciter');
  const edwards = authority.identity('edwards.example.org', { algorithm: ['ED25519'] });
  const expired = authority.identity('past.example.org', { days: -1 });
  const cases = {
    empty: { value: Buffer.alloc(0) },
    nines: { value: Buffer.alloc((1 << 20) - 4096, '9') },
    'cut short': { value: good.subarray(0, good.length - 9), password: secret },
    'a key and no certificate': { value: identity.key },
    'a certificate and no key': { value: identity.pem },
    'two keys': { value: Buffer.concat([identity.key, other.key, identity.pem]) },
    "another's key": { value: Buffer.concat([other.key, identity.pem]) },
    'a bomb': { value: bomb, password: secret },
    expired: { value: Buffer.concat([expired.key, expired.pem]) },
    'a key of a kind that is in no certificate of ours': {
      value: Buffer.concat([edwards.key, edwards.pem]) },
    'a CA': { value: Buffer.concat([fs.readFileSync(authority.at('intermediate.key')),
      authority.intermediate]) },
    'an incomplete chain that has to be complete': { require_complete_chain: true,
      value: Buffer.concat([identity.key, identity.pem]) },
  };
  for (const [what, request] of Object.entries(cases)) {
    const it = fresh();
    const refusal = await importer.refused(IMPORT, { ...it, ...request });
    assert.strictEqual(refusal.code, 'INVALID_ARGUMENT', what);
    assert.strictEqual(refusal.field, 'value', `${what}: ${refusal.message}`);
    const gone = await officer.refused('CertificateService/GetCertificate', it);
    assert.strictEqual(gone.code, 'NOT_FOUND', what);
  }
  const huge = await importer.refused(IMPORT, { ...fresh(), value: Buffer.alloc(1 << 20, '9') });
  assert.match(huge.message, /at most 1048576 bytes/);
  for (const password of [undefined, Buffer.from('wrong'), Buffer.alloc(300, 'a')]) {
    const refusal = await importer.refused(IMPORT, { ...fresh(), value: good,
      ...(password && { password }) });
    assert.strictEqual(refusal.field, 'password');
    assert(!refusal.message.includes('wrong'));
  }
});

test('names that are taken, and people who may not', async () => {
  const value = Buffer.concat([identity.key, identity.pem]);
  const it = fresh();
  const first = await importer.call(IMPORT, { ...it, value });
  const second = await importer.call(IMPORT, { ...it, value });
  assert.notStrictEqual(second.id.version, first.id.version);
  const { items } = await officer.call('CertificateService/ListCertificateVersions', it);
  assert.strictEqual(items.length, 2);
  await officer.call('CertificateService/DeleteCertificate', it);
  const deleted = await importer.refused(IMPORT, { ...it, value });
  assert.strictEqual(deleted.code, 'ALREADY_EXISTS');

  const waiting = fresh();
  await officer.call('CertificateService/CreateCertificate', { ...waiting, policy: {
    key_props: { kty: 'EC' }, x509_props: { subject: 'CN=w' }, issuer: { name: 'Unknown' } } });
  const busy = await importer.refused(IMPORT, { ...waiting, value });
  assert.strictEqual(busy.code, 'FAILED_PRECONDITION');
  await officer.call('CertificateService/CancelCertificateOperation', waiting);
  await importer.call(IMPORT, { ...waiting, value });

  for (const caller of [officer, user, signer, operator]) {
    const denied = await caller.refused(IMPORT, { ...fresh(), value });
    assert.strictEqual(denied.code, 'PERMISSION_DENIED', caller.name);
  }
});

test('a kill leaves all of it or nothing', async () => {
  const value = Buffer.concat([identity.key, identity.pem]);
  const acknowledged = [];
  const names = Array.from({ length: 12 }, fresh);
  const calls = names.map((it) => importer.call(IMPORT, { ...it, value, policy: exportable })
    .then(() => acknowledged.push(it), () => {}));
  await Promise.race(calls);
  await server.kill();
  await Promise.all(calls);
  await server.restart();
  for (const it of acknowledged) await check(it, identity, true);
  for (const it of names) {
    if (acknowledged.includes(it)) continue;
    try {
      await officer.call('CertificateService/GetCertificate', it);
    } catch (error) {
      assert.strictEqual(error.code, 'NOT_FOUND');
      continue;
    }
    await check(it, identity, true);
  }
});

test('kvctl imports with a password from a file', () => {
  const KVCTL = path.join(path.dirname(process.env.KEYVAULTD), '../client/kvctl');
  const at = (name) => path.join(server.folder, name);
  fs.writeFileSync(at('importer.pem'), importer.identity.pem);
  fs.writeFileSync(at('importer.key'), importer.identity.key, { mode: 0o600 });
  fs.writeFileSync(at('www.pfx'), pkcs12(identity, '-passout', 'pass:secret'));
  fs.writeFileSync(at('password'), 'secret\n', { mode: 0o600 });
  const kvctl = (...args) => run(KVCTL, ['certificate', 'import', '--endpoint',
    `127.0.0.1:${server.port}`, '--server-name', 'localhost', '--ca',
    path.join(server.home, 'tls/server.pem'), '--certificate', at('importer.pem'), '--key',
    at('importer.key'), '--vault', VAULT, ...args]);
  const shown = JSON.parse(kvctl('--name', 'cli', '--file', at('www.pfx'), '--password-file',
    at('password'), '--tag', 'owner=shop'));
  assert.strictEqual(shown.subject, 'CN=www.example.org');
  assert.throws(() => kvctl('--name', 'cli2', '--file', at('www.pfx')), /password/);
  assert.throws(() => kvctl('--name', 'cli2', '--file', at('www.pfx'), '--password', 'secret'),
    /--password-file/);
});
