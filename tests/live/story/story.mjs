// The main job from end to end, with a stock gRPC client that knows nothing but the .proto files,
// and every result checked by a tool that is not ours: openssl and pkcs11-tool.
import assert from 'node:assert';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { Keyvault, SOFTHSM, run } from '../support/keyvault.mjs';

const SHOP = '/vaults/shop';
const began = Date.now();
let server;
let operator;
let officer;
let keeper;
let app;
let auditor;
let web;

before(async () => {
  server = await Keyvault.start({ clientCa: true });
});

after(async () => {
  await server?.stop();
});

const file = (name, content) => {
  const at = path.join(server.folder, name);
  if (content !== undefined) fs.writeFileSync(at, content);
  return at;
};

/* openssl takes an ECDSA signature as a DER sequence of two integers, gRPC gives r and s. */
function derOf(signature) {
  const integer = (bytes) => {
    let at = 0;
    while (at < bytes.length - 1 && bytes[at] === 0) at++;
    const cut = bytes.subarray(at);
    const full = cut[0] & 0x80 ? Buffer.concat([Buffer.from([0]), cut]) : cut;
    return Buffer.concat([Buffer.from([2, full.length]), full]);
  };
  const half = signature.length / 2;
  const body = Buffer.concat([integer(signature.subarray(0, half)),
    integer(signature.subarray(half))]);
  return Buffer.concat([Buffer.from(body.length > 127 ? [0x30, 0x81, body.length] :
    [0x30, body.length]), body]);
}

/* What a public key looks like to openssl, from a certificate or a private key. */
const publicOf = (...args) => run('openssl', [...args, '-noout', '-pubkey']);

const policy = (name, key = {}) => ({
  key_props: { kty: 'EC', ...key },
  x509_props: { subject: `CN=${name}.example.org`, validity_months: 3,
    sans: { dns_names: [`${name}.example.org`] } },
  issuer: { name: 'Self' },
});

test('a vault, and people with separate duties', async () => {
  operator = await server.principal('operator', [['VAULT_OPERATOR', '/']]);
  officer = await server.principal('officer', [['CERTIFICATE_OFFICER', SHOP]]);
  keeper = await server.principal('keeper', [['SECRETS_OFFICER', SHOP]]);
  app = await server.service('shop-application', [['CERTIFICATE_USER', SHOP],
    ['CRYPTO_USER', SHOP], ['SECRETS_USER', SHOP]]);
  auditor = await server.principal('auditor', [['AUDITOR', '/']]);

  await operator.token(['VAULT_OPERATOR'], '/');
  const vault = await operator.call('VaultService/CreateVault',
    { vault: 'Shop', tags: [{ name: 'team', value: 'web' }] });
  assert.strictEqual(vault.name, 'Shop');
  assert.strictEqual(vault.retention_days, 90);
  assert.deepStrictEqual(vault.tags, [{ name: 'team', value: 'web' }]);

  await officer.token(['CERTIFICATE_OFFICER'], SHOP);
  await keeper.token(['SECRETS_OFFICER'], SHOP);
  await app.token(['CERTIFICATE_USER', 'CRYPTO_USER', 'SECRETS_USER'], SHOP);
  await auditor.token(['AUDITOR'], '/');

  const me = await app.call('AccessService/WhoAmI');
  assert.strictEqual(me.principal.display_name, 'shop-application');
  assert.strictEqual(me.principal.kind, 'PRINCIPAL_KIND_SERVICE');
  assert.strictEqual(me.token_scope, SHOP);
  assert.strictEqual(me.assignments.length, 3);
});

test('who manages certificates cannot be given their use', async () => {
  const admin = await server.administrator();
  const error = await admin.refused('AccessService/AssignRole',
    { principal_id: officer.id, role: 'CERTIFICATE_USER', scope: `${SHOP}/secrets` });
  assert.strictEqual(error.code, 'PERMISSION_DENIED');
  assert.strictEqual(error.reason, 'SEPARATION_OF_DUTY');
  assert.strictEqual(error.info.domain, 'keyvault');
});

test('a certificate whose key never leaves the token', async () => {
  const operation = await officer.call('CertificateService/CreateCertificate',
    { vault: 'shop', name: 'web', policy: policy('web') });
  assert.strictEqual(operation.status, 'completed');
  assert.strictEqual(operation.target.name, 'web');
  const request = run('openssl', ['req', '-inform', 'DER', '-noout', '-verify', '-subject'],
    { input: operation.csr });
  assert.match(request, /web\.example\.org/);

  web = await app.call('CertificateService/GetCertificate', { vault: 'shop', name: 'web' });
  const text = run('openssl', ['x509', '-inform', 'DER', '-noout', '-subject', '-ext',
    'subjectAltName', '-checkend', '0'], { input: web.cer });
  assert.match(text, /CN = web\.example\.org/);
  assert.match(text, /DNS:web\.example\.org/);

  const key = await app.call('KeyService/GetKey', { vault: 'shop', name: 'web' });
  assert.strictEqual(key.managed, true);
  assert.strictEqual(key.exportable, false);
  const { local, sensitive, extractable } = key.attestation;
  assert.deepStrictEqual({ local, sensitive, extractable },
    { local: true, sensitive: true, extractable: false });
  assert.strictEqual(key.attestation.always_sensitive, true);
  assert.strictEqual(key.attestation.never_extractable, true);
  assert.strictEqual(key.attestation.origin, 'generated');
  assert.strictEqual(key.id.version, web.kid.version);
});

test('a document signed there verifies with the certificate', async () => {
  const document = Buffer.from('Order 4711: twelve chairs, one table.\n');
  const { signature } = await app.call('KeyService/Sign',
    { vault: 'shop', name: 'web', algorithm: 'ES256', message: document });
  file('web.der', web.cer);
  file('web.pub', publicOf('x509', '-inform', 'DER', '-in', file('web.der')));
  const verify = (of) => run('openssl', ['dgst', '-sha256', '-verify', file('web.pub'),
    '-signature', file('document.sig', derOf(signature))], { input: of });
  assert.match(verify(document), /Verified OK/);
  assert.throws(() => verify(Buffer.from('Order 4711: thirteen chairs.\n')));

  const digest = createHash('sha256').update(document).digest();
  const ask = { vault: 'shop', name: 'web', algorithm: 'ES256', signature };
  assert.strictEqual((await app.call('KeyService/Verify', { ...ask, digest })).valid, true);
  digest[0] ^= 1;
  assert.strictEqual((await app.call('KeyService/Verify', { ...ask, digest })).valid, false);
});

test('its secret holds certificates and no key', async () => {
  const secret = await app.call('SecretService/GetSecret',
    { vault: 'shop', name: 'web', format: 'PEM' });
  assert.strictEqual(secret.managed, true);
  assert.match(secret.value.toString(), /BEGIN CERTIFICATE/);
  assert.doesNotMatch(secret.value.toString(), /PRIVATE KEY/);
});

test('the application takes its PFX; the officer who made it is refused', async () => {
  await officer.call('CertificateService/CreateCertificate',
    { vault: 'shop', name: 'edge', policy: policy('edge', { exportable: true }) });
  const secret = await app.call('SecretService/GetSecret',
    { vault: 'shop', name: 'edge', pfx_password: Buffer.from('open sesame') });
  assert.strictEqual(secret.content_type, 'application/x-pkcs12');
  file('edge.pfx', secret.value);
  const open = (...args) => run('openssl', ['pkcs12', '-in', file('edge.pfx'), '-passin',
    'pass:open sesame', ...args]);
  file('edge.key', open('-nocerts', '-nodes'));
  file('edge.pem', open('-clcerts', '-nokeys'));
  const own = run('openssl', ['pkey', '-in', file('edge.key'), '-pubout']);
  assert.strictEqual(own, publicOf('x509', '-in', file('edge.pem')));
  assert.throws(() => run('openssl', ['pkcs12', '-in', file('edge.pfx'), '-passin',
    'pass:open barley', '-nokeys']));

  const edge = await app.call('CertificateService/GetCertificate', { vault: 'shop', name: 'edge' });
  assert.strictEqual(own, publicOf('x509', '-inform', 'DER', '-in', file('edge.der', edge.cer)));
  const key = await app.call('KeyService/GetKey', { vault: 'shop', name: 'edge' });
  assert.strictEqual(key.exportable, true);
  assert.strictEqual(key.attestation.never_extractable, false);

  const error = await officer.refused('SecretService/GetSecret', { vault: 'shop', name: 'edge' });
  assert.deepStrictEqual([error.code, error.reason], ['PERMISSION_DENIED', 'PERMISSION_MISSING']);
  const sign = await officer.refused('KeyService/Sign',
    { vault: 'shop', name: 'edge', algorithm: 'ES256', message: Buffer.from('x') });
  assert.strictEqual(sign.code, 'PERMISSION_DENIED');
});

test('a secret is set by one and read by the other', async () => {
  const made = await keeper.call('SecretService/SetSecret', { vault: 'shop', name: 'db-password',
    value: Buffer.from('correct horse'), content_type: 'text/plain' });
  assert.strictEqual(made.value.length, 0);
  const read = await app.call('SecretService/GetSecret', { vault: 'shop', name: 'DB-password' });
  assert.strictEqual(read.value.toString(), 'correct horse');
  assert.strictEqual(read.id.name, 'db-password');
  assert.strictEqual(read.id.version, made.id.version);
  const error = await keeper.refused('SecretService/GetSecret',
    { vault: 'shop', name: 'db-password' });
  assert.strictEqual(error.code, 'PERMISSION_DENIED');
});

test('a certificate is found by its thumbprints', async () => {
  const hash = (name) => createHash(name).update(web.cer).digest();
  assert.deepStrictEqual(web.x5t, hash('sha1'));
  assert.deepStrictEqual(web.x5t_s256, hash('sha256'));
  for (const by of [{ x5t: web.x5t }, { x5t_s256: web.x5t_s256 }]) {
    const found = await officer.call('CertificateService/GetCertificate', { vault: 'shop', ...by });
    assert.deepStrictEqual(found.id, web.id);
    assert.deepStrictEqual(found.cer, web.cer);
  }
  const error = await officer.refused('CertificateService/GetCertificate',
    { vault: 'shop', x5t: Buffer.alloc(20) });
  assert.strictEqual(error.code, 'NOT_FOUND');
});

test('the chain as DER, PEM and PKCS#7', async () => {
  const chain = (format) => app.call('CertificateService/GetCertificateChain',
    { vault: 'shop', name: 'web', format });
  const der = await chain('DER');
  assert.deepStrictEqual(der.certificates[0], web.cer);
  const pem = await chain('PEM');
  assert.match(run('openssl', ['x509', '-noout', '-subject'], { input: pem.encoded }),
    /web\.example\.org/);
  const p7 = await chain('PKCS7');
  const printed = run('openssl', ['pkcs7', '-inform', 'DER', '-print_certs'],
    { input: p7.encoded });
  const again = run('openssl', ['x509', '-outform', 'DER'], { input: printed, text: false });
  assert.deepStrictEqual(again, web.cer);
});

test('a new version replaces the old one, which stays', async () => {
  const operation = await officer.call('CertificateService/CreateCertificate',
    { vault: 'shop', name: 'web' });
  assert.strictEqual(operation.status, 'completed');
  const now = await app.call('CertificateService/GetCertificate', { vault: 'shop', name: 'web' });
  assert.notStrictEqual(now.id.version, web.id.version);
  const old = await app.call('CertificateService/GetCertificate',
    { vault: 'shop', name: 'web', version: web.id.version });
  assert.deepStrictEqual(old.cer, web.cer);
  const list = await app.call('CertificateService/ListCertificateVersions',
    { vault: 'shop', name: 'web' });
  assert.strictEqual(list.items.length, 2);
  const byThumbprint = await app.call('CertificateService/GetCertificate',
    { vault: 'shop', x5t: web.x5t });
  assert.strictEqual(byThumbprint.id.version, web.id.version);
});

test('a list in pages', async () => {
  const names = [];
  let token = Buffer.alloc(0);
  do {
    const page = await app.call('CertificateService/ListCertificates',
      { vault: 'shop', page_size: 1, page_token: token });
    names.push(...page.items.map((item) => item.id.name));
    token = page.next_page_token;
  } while (token.length);
  assert.deepStrictEqual(names.sort(), ['edge', 'web']);
});

test('error details', async () => {
  const field = await officer.refused('CertificateService/CreateCertificate', { vault: 'shop',
    name: 'bad', policy: policy('bad', { kty: 'RSA', key_size: 1024 }) });
  assert.strictEqual(field.code, 'INVALID_ARGUMENT');
  assert.strictEqual(field.field, 'policy.key_props.key_size');
  assert(field.violations[0].description.length > 10);
  assert.strictEqual(field.status.code, 3);
  assert.strictEqual(field.status.message, field.text);
  const none = await app.refused('KeyService/GetKey', { vault: 'shop', name: 'nothing' });
  assert.strictEqual(none.code, 'NOT_FOUND');
  const managed = await keeper.refused('SecretService/SetSecret',
    { vault: 'shop', name: 'web', value: Buffer.from('x') });
  assert.deepStrictEqual([managed.code, managed.reason], ['FAILED_PRECONDITION', 'MANAGED']);
});

test('a deadline, and a cancellation, end the call and nothing else', async () => {
  const key = { vault: 'shop', name: 'web', algorithm: 'ES256', message: Buffer.alloc(600_000, 7) };
  const late = await app.refused('KeyService/Sign', key, { deadline: 0 });
  assert.strictEqual(late.code, 'DEADLINE_EXCEEDED');
  /* By the server's clock too: the client itself waits without end. */
  const told = await app.refused('KeyService/Sign', key,
    { metadata: { 'grpc-timeout': '1n' }, deadline: null });
  assert.strictEqual(told.code, 'DEADLINE_EXCEEDED');

  const cancelled = await app.refused('KeyService/Sign', key,
    { onCall: (call) => setImmediate(() => call.cancel()) });
  assert.strictEqual(cancelled.code, 'CANCELLED');
  const from = await auditor.call('AuditService/GetAuditStatus');
  assert(from.head_sequence > 0);
  const stream = await auditor.refused('AuditService/SearchAudit',
    { from_ms: began - 1000, to_ms: Date.now() + 1000 },
    { onMessage: (record, call) => call.cancel() });
  assert.strictEqual(stream.code, 'CANCELLED');
  const { signature } = await app.call('KeyService/Sign', key);
  assert.strictEqual(signature.length, 64);
});

test('deleted, refused, recovered', async () => {
  const deleted = await officer.call('CertificateService/DeleteCertificate',
    { vault: 'shop', name: 'edge' });
  assert(deleted.deletion.scheduled_purge_date > deleted.deletion.deleted_date);
  const gone = await app.refused('SecretService/GetSecret', { vault: 'shop', name: 'edge' });
  assert.strictEqual(gone.code, 'NOT_FOUND');
  const taken = await officer.refused('CertificateService/CreateCertificate',
    { vault: 'shop', name: 'edge', policy: policy('edge') });
  assert.deepStrictEqual([taken.code, taken.reason], ['ALREADY_EXISTS', 'SOFT_DELETED']);
  await officer.call('CertificateService/RecoverDeletedCertificate',
    { vault: 'shop', name: 'edge' });
  const back = await app.call('SecretService/GetSecret', { vault: 'shop', name: 'edge' });
  assert(back.value.length > 100);
});

test('the audit log is searched and exported', async () => {
  const search = (filter) => auditor.call('AuditService/SearchAudit',
    { from_ms: began - 1000, to_ms: Date.now() + 1000, ...filter });
  const refusals = await search({ operation: 'SecretGet', succeeded: false,
    principal_id: officer.id });
  assert.strictEqual(refusals.length, 1);
  assert.strictEqual(refusals[0].name, 'edge');
  assert.strictEqual(refusals[0].status, 7);
  assert.strictEqual(refusals[0].reason, 'PERMISSION_MISSING');
  assert.strictEqual(refusals[0].principal_id.toString('hex'), officer.id);
  const signed = await search({ operation: 'KeySign', succeeded: true, name: 'web' });
  assert(signed.length >= 2);
  assert(signed.every((record) => record.key_id.length === 16));
  const all = await search({ vault: 'shop' });
  for (let i = 1; i < all.length; i++) assert(all[i].sequence > all[i - 1].sequence);
  assert(!JSON.stringify(all).includes('correct horse'));

  const chunks = await auditor.call('AuditService/ExportAudit');
  const segments = new Map();
  for (const { segment, offset, data } of chunks) {
    assert.strictEqual(offset, segments.get(segment)?.length ?? 0);
    segments.set(segment, Buffer.concat([segments.get(segment) ?? Buffer.alloc(0), data]));
  }
  assert(segments.size >= 1);
  const whole = Buffer.concat([...segments.values()]);
  for (const word of ['CertificateCreate', 'SecretGet', 'db-password', 'AuditSearch']) {
    assert(whole.includes(word), word);
  }
  assert(!whole.includes('correct horse') && !whole.includes('open sesame'));

  const denied = await app.refused('AuditService/SearchAudit', { from_ms: 0, to_ms: 1 });
  assert(['PERMISSION_DENIED', 'INVALID_ARGUMENT'].includes(denied.code));
});

test('pkcs11-tool sees, on a copy of the token, a key that cannot leave it', async () => {
  const key = await app.call('KeyService/GetKey', { vault: 'shop', name: 'web' });
  const exportable = await app.call('KeyService/GetKey', { vault: 'shop', name: 'edge' });
  const copy = file('token-copy');
  fs.cpSync(server.tokens, copy, { recursive: true });
  const env = { SOFTHSM2_CONF: file('copy.conf',
    `directories.tokendir = ${copy}\nobjectstore.backend = file\n`) };
  const tool = (...args) => run('pkcs11-tool', ['--module', SOFTHSM, '--token-label', 'kv-keys',
    '--login', '--pin', server.pin('keys'), ...args], { env });
  const list = tool('--list-objects', '--type', 'privkey');
  const of = (id) => list.split(/(?=Private Key Object)/)
    .find((text) => text.includes(`ID:         ${id.toString('hex')}`));
  const access = (id) => /Access: +(.*)/.exec(of(id))?.[1].split(', ').map((it) => it.trim());
  assert.deepStrictEqual(access(key.attestation.key_id).sort(),
    ['always sensitive', 'local', 'never extractable', 'sensitive']);
  assert(!access(exportable.attestation.key_id).includes('never extractable'));
});

test('SIGTERM ends it properly; everything is there after a restart', async () => {
  await server.restart();
  const { signature } = await app.call('KeyService/Sign',
    { vault: 'shop', name: 'web', algorithm: 'ES256', message: Buffer.from('again') });
  assert.strictEqual(signature.length, 64);
  const read = await app.call('SecretService/GetSecret', { vault: 'shop', name: 'db-password' });
  assert.strictEqual(read.value.toString(), 'correct horse');
});
