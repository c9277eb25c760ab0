// The attacks on key management APIs (Clulow; Bortolozzo, Focardi, Steel: "Attacking and fixing
// PKCS#11 security tokens"), one after the other through ours: wrap then decrypt, conflicting
// uses, unwrap with a weaker template, import again as another type, and the ways around that only
// a vault has. Each of them has to fail, and the key it is about has to be what it was.
// What somebody with the PIN can do on the token itself is extraction.mjs.
import assert from 'node:assert';
import crypto from 'node:crypto';
import test, { after, before } from 'node:test';
import { Keyvault } from '../support/keyvault.mjs';

const VAULT = 'shop';
const message = Buffer.from('what is signed');
let server;
let operator;
let officer; /* manages keys */
let user; /* uses them */
let manager; /* of certificates */
let app; /* that has one */
let made = 0;

const fresh = () => ({ vault: VAULT, name: `k${++made}` });
const key = async (fields) => {
  const it = fresh();
  await officer.call('KeyService/CreateKey', { ...it, ...fields });
  return it;
};
const aes = (...key_ops) => key({ kty: 'OCT', key_ops });
const use = (method, request) => user.call(`KeyService/${method}`, request);
const refused = (method, request, who = user) => who.refused(`KeyService/${method}`, request);
async function noUse(method, request) {
  const error = await refused(method, request);
  assert.strictEqual(error.reason, 'OPERATION_NOT_PERMITTED', `${method}: ${error.message}`);
}

before(async () => {
  server = await Keyvault.start();
  operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  await operator.call('VaultService/CreateVault',
    { vault: VAULT, allow_unauthenticated_encryption: true });
  await operator.call('VaultService/CreateVault', { vault: 'other' });
  officer = await server.officer('officer', ['CRYPTO_OFFICER'], '/');
  user = await server.officer('user', ['CRYPTO_USER'], '/');
  manager = await server.officer('manager', ['CERTIFICATE_OFFICER'], '/');
  app = await server.officer('app', ['CERTIFICATE_USER'], '/');
});

after(async () => {
  await server?.stop();
});

test('wrap, then decrypt: no key does both', async () => {
  for (const ops of [['WRAP_KEY', 'DECRYPT'], ['UNWRAP_KEY', 'ENCRYPT'],
    ['ENCRYPT', 'DECRYPT', 'WRAP_KEY', 'UNWRAP_KEY'], ['WRAP_KEY', 'SIGN'],
    ['DECRYPT', 'VERIFY']]) {
    const error = await refused('CreateKey', { ...fresh(), kty: 'OCT', key_ops: ops }, officer);
    assert.strictEqual(error.field, 'key_ops', ops.join());
    const brought = await refused('ImportKey', { ...fresh(), key_ops: ops,
      key: { kty: 'OCT', k: crypto.randomBytes(32) } }, officer);
    assert.strictEqual(brought.field, 'key_ops', ops.join());
  }
  const wrapper = await aes('WRAP_KEY', 'UNWRAP_KEY');
  const { ciphertext } = await use('WrapKey', { ...wrapper, algorithm: 'A256KW',
    plaintext: Buffer.alloc(32, 1) });
  for (const algorithm of ['A256GCM', 'A256CBC', 'A256CBCPAD']) {
    await noUse('Decrypt', { ...wrapper, algorithm, ciphertext, iv: Buffer.alloc(16),
      tag: Buffer.alloc(16) });
  }
});

test('encrypt something, then unwrap it as a key', async () => {
  const cipher = await aes('ENCRYPT', 'DECRYPT');
  const { ciphertext } = await use('Encrypt', { ...cipher, algorithm: 'A256CBC',
    plaintext: Buffer.alloc(32, 7), iv: Buffer.alloc(16) });
  for (const algorithm of ['A256KW', 'AES_KEY_WRAP', 'AES_KEY_WRAP_PAD']) {
    await noUse('UnwrapKey', { ...cipher, algorithm, ciphertext });
  }
});

test('a use that a key was not made for is not added later', async () => {
  const wrapper = await aes('WRAP_KEY', 'UNWRAP_KEY');
  for (const key_ops of [['DECRYPT'], ['WRAP_KEY', 'DECRYPT'], ['SIGN'], ['IMPORT']]) {
    assert.strictEqual((await refused('UpdateKey', { ...wrapper, key_ops }, officer)).field,
      'key_ops');
  }
  /* Taken away and given back: only what it was. */
  await officer.call('KeyService/UpdateKey', { ...wrapper, key_ops: ['WRAP_KEY'] });
  await noUse('UnwrapKey', { ...wrapper, algorithm: 'A256KW', ciphertext: Buffer.alloc(40) });
  await officer.call('KeyService/UpdateKey', { ...wrapper, key_ops: ['WRAP_KEY', 'UNWRAP_KEY'] });
  const signer = await key({ kty: 'RSA' });
  for (const key_ops of [['DECRYPT'], ['SIGN', 'DECRYPT'], ['UNWRAP_KEY'], ['IMPORT']]) {
    assert.strictEqual((await refused('UpdateKey', { ...signer, key_ops }, officer)).field,
      'key_ops');
  }
});

test('a key that signs does not decrypt, and the other way round', async () => {
  for (const ops of [['SIGN', 'DECRYPT'], ['VERIFY', 'UNWRAP_KEY'], ['SIGN', 'IMPORT']]) {
    assert.strictEqual((await refused('CreateKey', { ...fresh(), kty: 'RSA', key_ops: ops },
      officer)).field, 'key_ops');
  }
  const signer = await key({ kty: 'RSA' });
  const { spki } = await user.call('KeyService/GetKey', signer);
  const publicKey = crypto.createPublicKey({ key: spki, format: 'der', type: 'spki' });
  const sealed = crypto.publicEncrypt({ key: publicKey, oaepHash: 'sha1' }, message);
  for (const method of ['Decrypt', 'UnwrapKey']) {
    await noUse(method, { ...signer, algorithm: 'RSA_OAEP', ciphertext: sealed });
  }
  const opener = await key({ kty: 'RSA', key_ops: ['DECRYPT', 'UNWRAP_KEY'] });
  for (const algorithm of ['RS256', 'PS256']) {
    await noUse('Sign', { ...opener, algorithm, message });
    await noUse('Sign', { ...opener, algorithm, digest: Buffer.alloc(32) });
  }
});

test('nothing wraps a key of the token: WrapKey takes bytes, not names', async () => {
  const wrapper = await aes('WRAP_KEY', 'UNWRAP_KEY');
  const target = await key({ kty: 'EC' });
  const { attestation } = await user.call('KeyService/GetKey', target);
  /* The id of a key wraps as the sixteen bytes that it is. */
  const { ciphertext } = await use('WrapKey', { ...wrapper, algorithm: 'A256KW',
    plaintext: attestation.key_id });
  const { plaintext } = await use('UnwrapKey', { ...wrapper, algorithm: 'A256KW', ciphertext });
  assert.deepStrictEqual(plaintext, attestation.key_id);
});

test('what UnwrapKey opens goes to the caller, and to no key of the token', async () => {
  const wrapper = await aes('WRAP_KEY', 'UNWRAP_KEY');
  const before = await officer.call('KeyService/ListKeys', { vault: VAULT });
  const { ciphertext } = await use('WrapKey', { ...wrapper, algorithm: 'A256KW',
    plaintext: Buffer.alloc(32, 9) });
  await use('UnwrapKey', { ...wrapper, algorithm: 'A256KW', ciphertext });
  const after = await officer.call('KeyService/ListKeys', { vault: VAULT });
  assert.strictEqual(after.items.length, before.items.length);
});

test('an import is what its bytes are, whatever it is called', async () => {
  const k = crypto.randomBytes(32);
  /* The same bytes as a cipher and as a wrapper are two keys, both from outside: nothing of the
     token becomes weaker by it. As a weaker kind they do not come at all. */
  const rsa = crypto.generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey;
  const ec = crypto.generateKeyPairSync('ec', { namedCurve: 'P-224' }).privateKey;
  for (const weak of [rsa, ec]) {
    assert.strictEqual((await refused('ImportKey', { ...fresh(),
      pkcs8: weak.export({ format: 'der', type: 'pkcs8' }) }, officer)).code, 'INVALID_ARGUMENT');
  }
  for (const length of [0, 1, 8, 15, 17, 33, 128]) {
    assert.strictEqual((await refused('ImportKey', { ...fresh(),
      key: { kty: 'OCT', k: k.subarray(0, length).length === length ? k.subarray(0, length)
        : Buffer.alloc(length, 1) } }, officer)).code, 'INVALID_ARGUMENT', `${length} bytes`);
  }
  const mixed = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
    .export({ format: 'jwk' });
  const other = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
    .export({ format: 'jwk' });
  const b = (text) => Buffer.from(text, 'base64url');
  assert.strictEqual((await refused('ImportKey', { ...fresh(), key: { kty: 'EC', crv: 'P256',
    x: b(mixed.x), y: b(mixed.y), d: b(other.d) } }, officer)).code, 'INVALID_ARGUMENT');
});

test('a key is not read back by importing over it', async () => {
  const it = await key({ kty: 'EC' });
  const first = await user.call('KeyService/GetKey', it);
  await officer.call('KeyService/ImportKey', { ...it, pkcs8: crypto.generateKeyPairSync('ec',
    { namedCurve: 'P-256' }).privateKey.export({ format: 'der', type: 'pkcs8' }) });
  const again = await user.call('KeyService/GetKey', { ...it, version: first.id.version });
  assert.deepStrictEqual(again.spki, first.spki);
  assert.deepStrictEqual(again.attestation, first.attestation);
});

test('deleted, recovered: still for one use', async () => {
  const wrapper = await aes('WRAP_KEY', 'UNWRAP_KEY');
  await officer.call('KeyService/DeleteKey', wrapper);
  const gone = await refused('UnwrapKey', { ...wrapper, algorithm: 'A256KW',
    ciphertext: Buffer.alloc(40) });
  assert.strictEqual(gone.code, 'NOT_FOUND');
  /* Not even the name serves for something else meanwhile. */
  assert.strictEqual((await refused('CreateKey', { ...wrapper, kty: 'OCT', key_ops: ['DECRYPT'] },
    officer)).code, 'ALREADY_EXISTS');
  await officer.call('KeyService/RecoverDeletedKey', wrapper);
  await noUse('Decrypt', { ...wrapper, algorithm: 'A256GCM', ciphertext: Buffer.alloc(16),
    iv: Buffer.alloc(12), tag: Buffer.alloc(16) });
});

test('what another vault encrypted does not open here', async () => {
  const k = crypto.randomBytes(32);
  const here = fresh();
  const there = { vault: 'other', name: 'k' };
  for (const it of [here, there]) {
    await officer.call('KeyService/CreateKey', { ...it, kty: 'OCT' });
  }
  assert(k);
  const sealed = await use('Encrypt', { ...there, algorithm: 'A256GCM', plaintext: message });
  const error = await refused('Decrypt', { ...here, algorithm: 'A256GCM', iv: sealed.iv,
    tag: sealed.tag, ciphertext: sealed.ciphertext });
  assert.strictEqual(error.code, 'INVALID_ARGUMENT');
});

test('the keys of a certificate are for signing, and its secret for its holder', async () => {
  const policy = (exportable, kty = 'RSA') => ({ key_props: { kty, exportable },
    x509_props: { subject: 'CN=www.example.org' }, issuer: { name: 'Self' } });
  const fixed = { vault: VAULT, name: 'fixed' };
  await manager.call('CertificateService/CreateCertificate', { ...fixed, policy: policy(false) });
  for (const method of ['Decrypt', 'UnwrapKey']) {
    await noUse(method, { ...fixed, algorithm: 'RSA_OAEP', ciphertext: Buffer.alloc(256, 1) });
  }
  /* No private key in the secret of one that is not exportable, in any form. */
  for (const format of ['PEM', 'PFX']) {
    const asked = await app.call('SecretService/GetSecret', { ...fixed, format })
      .catch((error) => error);
    if (asked instanceof Error) continue;
    assert(!asked.value.includes('PRIVATE KEY'), format);
  }
  /* Making it exportable afterwards changes the next version, not this one. */
  await manager.call('CertificateService/UpdateCertificatePolicy',
    { ...fixed, policy: { key_props: { exportable: true } } });
  const still = await app.call('SecretService/GetSecret', { ...fixed, format: 'PEM' });
  assert(!still.value.includes('PRIVATE KEY'));
  /* Nor does a renewal with the same key. */
  await manager.call('CertificateService/UpdateCertificatePolicy',
    { ...fixed, policy: { key_props: { reuse_key: true } } });
  const before = await user.call('KeyService/GetKey', fixed);
  await manager.call('CertificateService/CreateCertificate', fixed);
  const after = await user.call('KeyService/GetKey', fixed);
  assert.notDeepStrictEqual(after.spki, before.spki, 'a kept key became exportable');
  const old = await app.call('SecretService/GetSecret',
    { ...fixed, version: before.id.version, format: 'PEM' });
  assert(!old.value.includes('PRIVATE KEY'));
  /* The key of the certificate cannot be taken on its own. */
  for (const [service, noun] of [['KeyService', 'Key'], ['SecretService', 'Secret']]) {
    const who = noun === 'Key' ? officer : app;
    const error = await who.refused(`${service}/Delete${noun}`, fixed);
    assert(['MANAGED', 'PERMISSION_MISSING'].includes(error.reason), error.message);
  }
});

test('no operation takes more of an algorithm than the key has', async () => {
  const p256 = await key({ kty: 'EC', crv: 'P256' });
  for (const algorithm of ['ES384', 'ES512', 'ES256K', 'RS256', 'PS256', 'HS256', 'EDDSA']) {
    assert.strictEqual((await refused('Sign', { ...p256, algorithm, message })).code,
      'INVALID_ARGUMENT', algorithm);
  }
  const cipher = await key({ kty: 'OCT', key_size: 128, key_ops: ['ENCRYPT', 'DECRYPT'] });
  for (const algorithm of ['A256GCM', 'A192GCM', 'A256CBC', 'RSA_OAEP']) {
    assert.strictEqual((await refused('Encrypt', { ...cipher, algorithm, plaintext: message,
    })).code, 'INVALID_ARGUMENT', algorithm);
  }
});

test('the names of secrets are not found out by asking for them', async () => {
  const keeper = await server.officer('keeper', ['SECRETS_OFFICER'], '/');
  const secret = (name) => ({ vault: VAULT, name });
  for (const name of ['plain', 'was']) {
    await keeper.call('SecretService/SetSecret', { ...secret(name), value: Buffer.from('x') });
  }
  await keeper.call('SecretService/DeleteSecret', secret('was'));
  for (const name of ['plain', 'was', 'never']) {
    const error = await app.refused('SecretService/GetSecret', secret(name));
    assert.deepStrictEqual([error.code, error.reason, error.text], ['PERMISSION_DENIED',
      'PERMISSION_MISSING', `secrets/getSecret is needed on /vaults/${VAULT}/secrets/${name}`]);
  }
  // Of certificates they may know: this one has none yet.
  await manager.call('CertificateService/CreateCertificate', { ...secret('asked'), policy: {
    key_props: { kty: 'EC' }, x509_props: { subject: 'CN=www.example.org' },
    issuer: { name: 'Unknown' } } });
  assert.strictEqual((await app.refused('SecretService/GetSecret', secret('asked'))).code,
    'NOT_FOUND');
});
