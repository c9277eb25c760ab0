// What a key, a secret or a certificate that is disabled, not yet valid, expired, or not made for it
// still does: a table written from the description of Azure's behaviour, each cell tried.
import assert from 'node:assert';
import crypto from 'node:crypto';
import test, { after, before } from 'node:test';
import { Keyvault } from '../support/keyvault.mjs';

const VAULT = 'shop';
const message = Buffer.from('what is signed');
const now = Math.floor(Date.now() / 1000);
const STATES = {
  plain: {},
  disabled: { enabled: false },
  early: { not_before: now + 86_400 },
  late: { expires: now - 86_400 },
};
/* What is refused, and why; everything else works. Outside its dates a key still decrypts, unwraps
   and verifies, so that nothing is lost; it signs, encrypts and wraps no more. */
const DATED = { disabled: 'DISABLED', early: 'NOT_YET_VALID', late: 'EXPIRED' };
const UNDATED = { disabled: 'DISABLED' };
const TABLE = { Sign: DATED, Encrypt: DATED, WrapKey: DATED, Verify: UNDATED, Decrypt: UNDATED,
  UnwrapKey: UNDATED, GetKey: {}, ListKeyVersions: {}, UpdateKey: {} };
let server;
let officer;
let user;
let manager;
let app;

before(async () => {
  server = await Keyvault.start({ separation: 'off' });
  const operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  await operator.call('VaultService/CreateVault', { vault: VAULT });
  officer = await server.officer('officer', ['CRYPTO_OFFICER', 'SECRETS_OFFICER'], '/');
  user = await server.officer('user', ['CRYPTO_USER', 'SECRETS_USER', 'BACKUP_OPERATOR'], '/');
  manager = await server.officer('manager', ['CERTIFICATE_OFFICER'], '/');
  app = await server.officer('app', ['CERTIFICATE_USER', 'CRYPTO_USER'], '/');
});

after(async () => {
  await server?.stop();
});

/* A request of each method that works while the key is plain. */
async function requests() {
  const key = async (name, fields) => {
    const it = { vault: VAULT, name };
    await officer.call('KeyService/CreateKey', { ...it, ...fields });
    return it;
  };
  const signer = await key('signer', { kty: 'EC' });
  const cipher = await key('cipher', { kty: 'OCT' });
  const wrapper = await key('wrapper', { kty: 'OCT', key_ops: ['WRAP_KEY', 'UNWRAP_KEY'] });
  const sign = { ...signer, algorithm: 'ES256', message };
  const { signature } = await user.call('KeyService/Sign', sign);
  const encrypt = { ...cipher, algorithm: 'A256GCM' };
  const sealed = await user.call('KeyService/Encrypt', { ...encrypt, plaintext: message });
  const wrap = { ...wrapper, algorithm: 'A256KW' };
  const { ciphertext } = await user.call('KeyService/WrapKey',
    { ...wrap, plaintext: Buffer.alloc(32) });
  return { keys: [signer, cipher, wrapper], ask: { Sign: sign, Verify: { ...sign, signature },
    Encrypt: { ...encrypt, plaintext: message },
    Decrypt: { ...encrypt, ciphertext: sealed.ciphertext, iv: sealed.iv, tag: sealed.tag },
    WrapKey: { ...wrap, plaintext: Buffer.alloc(32) }, UnwrapKey: { ...wrap, ciphertext },
    GetKey: signer, ListKeyVersions: signer,
    UpdateKey: { ...signer, tags: { items: [{ name: 'a', value: 'b' }] } } } };
}

async function tryOne(what, caller, method, request, reason) {
  if (!reason) {
    await caller.call(method, request).catch((error) => {
      throw new Error(`${what}: ${error.message}`);
    });
    return;
  }
  const error = await caller.refused(method, request);
  assert.deepStrictEqual([error.code, error.reason], ['FAILED_PRECONDITION', reason], what);
}

test('keys', async () => {
  const { keys, ask } = await requests();
  for (const [state, attributes] of Object.entries(STATES)) {
    for (const it of keys) {
      const { id } = await officer.call('KeyService/UpdateKey', { ...it, attributes: {
        enabled: true, ...attributes } });
      assert(id);
    }
    for (const [method, refusals] of Object.entries(TABLE)) {
      await tryOne(`${method}, ${state}`, method === 'UpdateKey' ? officer : user,
        `KeyService/${method}`, ask[method], refusals[state]);
    }
    for (const it of keys) {
      await officer.call('KeyService/UpdateKey', { ...it, attributes: { enabled: true,
        not_before: 0, expires: 0 } });
    }
  }
});

test('an operation that a key was not given', async () => {
  const it = { vault: VAULT, name: 'narrow' };
  await officer.call('KeyService/CreateKey', { ...it, kty: 'EC', key_ops: ['VERIFY'] });
  await tryOne('sign', user, 'KeyService/Sign', { ...it, algorithm: 'ES256', message },
    'OPERATION_NOT_PERMITTED');
  await officer.call('KeyService/UpdateKey', { ...it, key_ops: ['SIGN'] });
  const { signature } = await user.call('KeyService/Sign', { ...it, algorithm: 'ES256', message });
  await tryOne('verify', user, 'KeyService/Verify', { ...it, algorithm: 'ES256', message,
    signature }, 'OPERATION_NOT_PERMITTED');
});

test('secrets: dates only tell, disabled ones are not given', async () => {
  const it = { vault: VAULT, name: 'word' };
  await officer.call('SecretService/SetSecret', { ...it, value: message });
  for (const [state, attributes] of Object.entries(STATES)) {
    await officer.call('SecretService/UpdateSecret', { ...it, attributes: { enabled: true,
      not_before: 0, expires: 0, ...attributes } });
    await tryOne(`get, ${state}`, user, 'SecretService/GetSecret', it, UNDATED[state]);
    await user.call('SecretService/ListSecretVersions', it);
    await user.call('SecretService/BackupSecret', it);
  }
});

test('a disabled certificate takes its key and its secret along, and can still be read', async () => {
  const it = { vault: VAULT, name: 'web' };
  await manager.call('CertificateService/CreateCertificate', { ...it, policy: {
    key_props: { kty: 'EC', exportable: true }, issuer: { name: 'Self' },
    x509_props: { subject: 'CN=www.example.org' } } });
  const sign = { ...it, algorithm: 'ES256', message };
  await app.call('KeyService/Sign', sign);
  const { id } = await manager.call('CertificateService/GetCertificate', it);
  for (const enabled of [false, true]) {
    await manager.call('CertificateService/UpdateCertificate', { ...it, version: id.version,
      attributes: { enabled } });
    const reason = enabled ? undefined : 'DISABLED';
    await tryOne(`sign, ${enabled}`, app, 'KeyService/Sign', sign, reason);
    await tryOne(`secret, ${enabled}`, app, 'SecretService/GetSecret', it, reason);
    const { attributes, cer } = await manager.call('CertificateService/GetCertificate', it);
    assert.strictEqual(attributes.enabled, enabled);
    assert(new crypto.X509Certificate(cer).subject.includes('www.example.org'));
  }
  const dated = await manager.refused('CertificateService/UpdateCertificate',
    { ...it, version: id.version, attributes: { expires: now + 100 } });
  assert.strictEqual(dated.code, 'INVALID_ARGUMENT');
});
