// A key is wrapped outside for a key-exchange key, by OpenSSL, and comes onto the token without
// having been anywhere in clear; the exchange key is for nothing else. JSON Web Keys from files, and
// ECDSA signatures as DER.
import assert from 'node:assert';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { Keyvault, run } from '../support/keyvault.mjs';

const VAULT = 'shop';
const IMPORT = 'KeyService/ImportKey';
const message = Buffer.from('what is signed');
let server;
let officer;
let user;
let spki;
let made = 0;

before(async () => {
  server = await Keyvault.start();
  const operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  await operator.call('VaultService/CreateVault', { vault: VAULT });
  await operator.call('VaultService/CreateVault', { vault: 'other' });
  officer = await server.officer('officer', ['CRYPTO_OFFICER'], '/');
  user = await server.officer('user', ['CRYPTO_USER'], '/');
  const bundle = await officer.call('KeyService/CreateKey', { vault: VAULT, name: 'exchange',
    kty: 'RSA', key_ops: ['IMPORT'] });
  assert.deepStrictEqual(bundle.key_ops, ['KEY_OPERATION_IMPORT']);
  assert.strictEqual(bundle.attestation.extractable, false);
  spki = bundle.spki;
});

after(async () => {
  await server?.stop();
});

const at = (name) => path.join(server.folder, name);
const fresh = () => ({ vault: VAULT, name: `b${++made}` });
const kwp = (key, plain) => {
  const cipher = crypto.createCipheriv('id-aes256-wrap-pad', key, Buffer.from('a65959a6', 'hex'));
  return Buffer.concat([cipher.update(plain), cipher.final()]);
};
function wrap(key, { oaepHash = 'sha1', to = spki } = {}) {
  const inner = crypto.randomBytes(32);
  const outer = crypto.publicEncrypt({ key: crypto.createPublicKey({ key: to, format: 'der',
    type: 'spki' }), oaepHash }, inner);
  return Buffer.concat([outer, kwp(inner, key.export({ format: 'der', type: 'pkcs8' }))]);
}
const publicOf = (key) => crypto.createPublicKey(key).export({ format: 'der', type: 'spki' });
const wrapped = (key, more = {}) => ({ exchange_key: 'exchange', ciphertext: wrap(key),
  spki: publicOf(key), ...more });
const ec = () => crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;

test('RSA and EC keys come wrapped', async () => {
  const kinds = { RS256: ['rsa', { modulusLength: 3072 }], ES256: ['ec', { namedCurve: 'P-256' }],
    ES384: ['ec', { namedCurve: 'P-384' }], ES512: ['ec', { namedCurve: 'P-521' }] };
  for (const [algorithm, [type, options]] of Object.entries(kinds)) {
    const { privateKey } = crypto.generateKeyPairSync(type, options);
    const it = fresh();
    const bundle = await officer.call(IMPORT, { ...it, key_hsm: wrapped(privateKey) });
    assert.strictEqual(bundle.attestation.origin, 'imported', algorithm);
    assert.strictEqual(bundle.attestation.extractable, false);
    assert.deepStrictEqual(bundle.spki, publicOf(privateKey));
    const { signature } = await user.call('KeyService/Sign', { ...it, algorithm, message });
    assert(crypto.verify(`sha${algorithm.slice(2)}`, message,
      { key: crypto.createPublicKey(privateKey), dsaEncoding: 'ieee-p1363' }, signature));
  }
});

test('the exchange key is for nothing else', async () => {
  const it = { vault: VAULT, name: 'exchange' };
  const secret = crypto.publicEncrypt({ key: crypto.createPublicKey({ key: spki, format: 'der',
    type: 'spki' }), oaepHash: 'sha1' }, Buffer.from('x'.repeat(32)));
  const calls = [['Sign', { algorithm: 'RS256', message }],
    ['Decrypt', { algorithm: 'RSA_OAEP', ciphertext: secret }],
    ['UnwrapKey', { algorithm: 'RSA_OAEP', ciphertext: secret }],
    ['Encrypt', { algorithm: 'RSA_OAEP', plaintext: message }],
    ['WrapKey', { algorithm: 'RSA_OAEP', plaintext: message }]];
  for (const [method, request] of calls) {
    const refusal = await user.refused(`KeyService/${method}`, { ...it, ...request });
    assert.strictEqual(refusal.code, 'FAILED_PRECONDITION', method);
    assert.strictEqual(refusal.reason, 'OPERATION_NOT_PERMITTED', method);
  }
  for (const key_ops of [['IMPORT', 'DECRYPT'], ['IMPORT', 'SIGN'], ['DECRYPT']]) {
    const refusal = await officer.refused('KeyService/UpdateKey', { ...it, key_ops });
    assert.strictEqual(refusal.field, 'key_ops');
  }
  for (const kty of ['EC', 'OCT']) {
    const refusal = await officer.refused('KeyService/CreateKey', { ...fresh(), kty,
      key_ops: ['IMPORT'] });
    assert.strictEqual(refusal.field, 'key_ops');
  }
});

test('nothing else opens a wrapped key', async () => {
  const key = ec();
  await officer.call('KeyService/CreateKey', { vault: VAULT, name: 'decrypts', kty: 'RSA',
    key_ops: ['DECRYPT', 'UNWRAP_KEY'] });
  await officer.call('KeyService/CreateKey', { vault: 'other', name: 'elsewhere', kty: 'RSA',
    key_ops: ['IMPORT'] });
  const decrypts = await officer.call('KeyService/GetKey', { vault: VAULT, name: 'decrypts' });
  const wrong = await officer.refused(IMPORT, { ...fresh(), key_hsm: wrapped(key,
    { exchange_key: 'decrypts', ciphertext: wrap(key, { to: decrypts.spki }) }) });
  assert.strictEqual(wrong.reason, 'OPERATION_NOT_PERMITTED');
  const elsewhere = await officer.refused(IMPORT, { ...fresh(), key_hsm: wrapped(key,
    { exchange_key: 'elsewhere' }) });
  assert.strictEqual(elsewhere.code, 'NOT_FOUND');
  await officer.call('KeyService/UpdateKey', { vault: VAULT, name: 'exchange',
    attributes: { enabled: false } });
  const disabled = await officer.refused(IMPORT, { ...fresh(), key_hsm: wrapped(key) });
  assert.strictEqual(disabled.reason, 'DISABLED');
  await officer.call('KeyService/UpdateKey', { vault: VAULT, name: 'exchange',
    attributes: { enabled: true } });
  const denied = await user.refused(IMPORT, { ...fresh(), key_hsm: wrapped(key) });
  assert.strictEqual(denied.code, 'PERMISSION_DENIED');
});

test('whatever is wrong inside has one answer', async () => {
  const key = ec();
  const good = wrap(key);
  const flip = (place) => {
    const copy = Buffer.from(good);
    copy[place] ^= 1;
    return copy;
  };
  const cases = [flip(0), flip(255), flip(256), flip(good.length - 1), good.subarray(0, 255),
    good.subarray(0, good.length - 8), Buffer.concat([good, Buffer.alloc(8)]),
    Buffer.alloc(good.length), Buffer.from('9'.repeat(8192)), wrap(key, { oaepHash: 'sha256' })];
  const messages = new Set();
  for (const ciphertext of cases) {
    const it = fresh();
    const refusal = await officer.refused(IMPORT, { ...it, key_hsm: wrapped(key, { ciphertext }) });
    assert.strictEqual(refusal.code, 'INVALID_ARGUMENT');
    assert.strictEqual(refusal.field, 'key_hsm');
    messages.add(refusal.message);
    const none = await officer.refused('KeyService/GetKey', it);
    assert.strictEqual(none.code, 'NOT_FOUND');
  }
  assert.strictEqual(messages.size, 1);
  /* What is wrong outside is named. */
  const outside = [[{ ciphertext: Buffer.alloc(0) }, 'key_hsm.ciphertext'],
    [{ spki: Buffer.alloc(0) }, 'key_hsm.spki'], [{ spki: Buffer.from('nines') }, 'key_hsm.spki'],
    [{ exchange_key: '' }, 'key_hsm.exchange_key'],
    [{ ciphertext: Buffer.alloc(100000, '9') }, 'key_hsm'], [{ spki: publicOf(ec()) }, 'key']];
  for (const [more, field] of outside) {
    const refusal = await officer.refused(IMPORT, { ...fresh(), key_hsm: wrapped(key, more) });
    assert.strictEqual(refusal.field, field, refusal.message);
  }
});

test('the recipe of the documentation, with openssl and kvctl', async () => {
  const KVCTL = path.join(path.dirname(process.env.KEYVAULTD), '../client/kvctl');
  fs.writeFileSync(at('officer.pem'), officer.identity.pem);
  fs.writeFileSync(at('officer.key'), officer.identity.key, { mode: 0o600 });
  const kvctl = (...args) => run(KVCTL, ['key', ...args, '--endpoint', `127.0.0.1:${server.port}`,
    '--server-name', 'localhost', '--ca', path.join(server.home, 'tls/server.pem'),
    '--certificate', at('officer.pem'), '--key', at('officer.key'), '--vault', VAULT]);
  kvctl('create', '--name', 'kek', '--key-type', 'RSA', '--key-size', '3072', '--operation',
    'import');
  kvctl('download', '--name', 'kek', '--file', at('kek.pem'));
  run('bash', ['-ec', `cd "$0"
    openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 |
      openssl pkcs8 -topk8 -nocrypt -outform DER -out target.der
    openssl pkey -inform DER -in target.der -pubout -out target.pub
    openssl rand 32 > inner
    openssl pkeyutl -encrypt -pubin -inkey kek.pem -in inner -out outer \
      -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha1
    openssl enc -id-aes256-wrap-pad -K "$(od -An -v -tx1 inner | tr -d ' \\n')" -iv A65959A6 \
      -in target.der -out wrapped
    cat outer wrapped > target.bin`, server.folder]);
  kvctl('import', '--name', 'brought', '--byok-file', at('target.bin'), '--exchange-key', 'kek',
    '--public-key-file', at('target.pub'));
  fs.writeFileSync(at('target.byok'), JSON.stringify({ schema_version: '1.0.0',
    header: { kid: 'https://shop.example.org/keys/kek', alg: 'dir', enc: 'CKM_RSA_AES_KEY_WRAP' },
    ciphertext: fs.readFileSync(at('target.bin')).toString('base64url'), generator: 'test' }));
  kvctl('import', '--name', 'again', '--byok-file', at('target.byok'), '--public-key-file',
    at('target.pub'));
  for (const name of ['brought', 'again']) {
    const { signature } = await user.call('KeyService/Sign',
      { vault: VAULT, name, algorithm: 'PS256', message });
    assert(crypto.verify('sha256', message, { key: fs.readFileSync(at('target.pub')),
      padding: crypto.constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }, signature));
  }
  assert.throws(() => kvctl('import', '--name', 'x', '--byok-file', at('target.bin')),
    /public-key-file/);

  /* JSON Web Keys. */
  const pair = crypto.generateKeyPairSync('ec', { namedCurve: 'P-384' });
  fs.writeFileSync(at('key.jwk'), JSON.stringify(pair.privateKey.export({ format: 'jwk' })));
  kvctl('import', '--name', 'jwk', '--file', at('key.jwk'));
  const { spki: theirs } = await user.call('KeyService/GetKey', { vault: VAULT, name: 'jwk' });
  assert.deepStrictEqual(theirs, pair.publicKey.export({ format: 'der', type: 'spki' }));
  const oct = crypto.randomBytes(32);
  fs.writeFileSync(at('oct.jwk'), JSON.stringify({ kty: 'oct', k: oct.toString('base64url') }));
  kvctl('import', '--name', 'mac', '--file', at('oct.jwk'), '--operation', 'sign');
  const { signature } = await user.call('KeyService/Sign',
    { vault: VAULT, name: 'mac', algorithm: 'HS256', message });
  assert.deepStrictEqual(signature, crypto.createHmac('sha256', oct).update(message).digest());
});

test('ECDSA signatures as DER, strictly', async () => {
  const key = ec();
  const it = fresh();
  await officer.call(IMPORT, { ...it, pkcs8: key.export({ format: 'der', type: 'pkcs8' }) });
  const publicKey = crypto.createPublicKey(key);
  const verify = async (signature) => (await user.call('KeyService/Verify',
    { ...it, algorithm: 'ES256', message, signature, der: true })).valid;
  for (let round = 0; round < 8; round++) {
    const { signature } = await user.call('KeyService/Sign',
      { ...it, algorithm: 'ES256', message, der: true });
    assert(crypto.verify('sha256', message, publicKey, signature));
    assert.strictEqual(await verify(signature), true);
  }
  const theirs = crypto.sign('sha256', message, key);
  assert.strictEqual(await verify(theirs), true);
  const integer = (...bytes) => [2, bytes.length, ...bytes];
  const sequence = (...parts) => Buffer.from([0x30, parts.flat().length, ...parts.flat()]);
  for (const bad of [Buffer.concat([theirs, Buffer.alloc(1)]), theirs.subarray(0, -1),
    sequence(integer(0), integer(0)), sequence(integer(0xff), integer(1)),
    sequence(integer(1), integer(1)), Buffer.alloc(64, 9), Buffer.alloc(1024, 9)]) {
    assert.strictEqual(await verify(bad), false);
  }
  await officer.call('KeyService/CreateKey', { vault: VAULT, name: 'rsa', kty: 'RSA' });
  const refusal = await user.refused('KeyService/Sign',
    { vault: VAULT, name: 'rsa', algorithm: 'RS256', message, der: true });
  assert.strictEqual(refusal.field, 'der');
});
