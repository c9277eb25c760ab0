// Thousands of signatures and ciphertexts that are almost right: a verification says no, a
// decryption or unwrapping has one answer for all of them, and the good one among them is taken.
// Environment: KV_SEED, to repeat a run (default: the day's number).
import assert from 'node:assert';
import crypto from 'node:crypto';
import test, { after, before } from 'node:test';
import { Keyvault } from '../support/keyvault.mjs';
import * as make from './cases.mjs';

process.env.ASAN_OPTIONS = [process.env.ASAN_OPTIONS, 'detect_leaks=0'].filter(Boolean).join(':');

const VAULT = 'shop';
const AT_ONCE = 64;
const message = Buffer.from('what is signed');
const seed = Number(process.env.KV_SEED ?? Math.floor(Date.now() / 86_400_000));
const roll = make.dice(seed);
const CURVES = { 'P-256': 'P256', 'P-384': 'P384', 'P-521': 'P521', secp256k1: 'P256K' };
let server;
let officer;
let user;
let made = 0;
let count = 0;

before(async () => {
  server = await Keyvault.start();
  const operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  await operator.call('VaultService/CreateVault',
    { vault: VAULT, allow_unauthenticated_encryption: true });
  officer = await server.officer('officer', ['CRYPTO_OFFICER'], `/vaults/${VAULT}`);
  user = await server.officer('user', ['CRYPTO_USER'], `/vaults/${VAULT}`);
});

after(async () => {
  console.log(`# ${count} cases, KV_SEED=${seed}`);
  await server?.stop();
});

async function bring(key, key_ops) {
  const it = { vault: VAULT, name: `k${++made}` };
  if (Buffer.isBuffer(key)) {
    await officer.call('KeyService/ImportKey', { ...it, key: { kty: 'OCT', k: key }, key_ops });
  } else {
    await officer.call('KeyService/ImportKey', { ...it, key_ops,
      pkcs8: key.export({ format: 'der', type: 'pkcs8' }) });
  }
  return it;
}

async function each(cases, work) {
  for (let at = 0; at < cases.length; at += AT_ONCE) {
    await Promise.all(cases.slice(at, at + AT_ONCE).map(work));
  }
  count += cases.length;
}

const verifies = (request, cases) => each(cases, async ({ name, valid, ...fields }) => {
  if (!fields.signature.length) { /* that is no question */
    const error = await user.refused('KeyService/Verify', { ...request, message, ...fields });
    assert.strictEqual(error.field, 'signature');
    return;
  }
  const answer = await user.call('KeyService/Verify', { ...request, message, ...fields });
  assert.strictEqual(answer.valid, valid, `${request.algorithm}: ${name}`);
});

/* Not only the code: the words, and no field, so that nothing tells what was wrong. */
async function refusesAlike(method, request, cases) {
  const said = new Set();
  await each(cases, async ({ name, ...fields }) => {
    const error = await user.refused(`KeyService/${method}`, { ...request, ...fields });
    assert.strictEqual(error.code, 'INVALID_ARGUMENT', `${request.algorithm}: ${name}`);
    said.add(`${error.message} ${error.field ?? ''} ${error.reason ?? ''}`);
  });
  assert.strictEqual(said.size, 1, `${method} ${request.algorithm}: ${[...said].join(' | ')}`);
}

for (const [curve, algorithm, hash] of [['P-256', 'ES256', 'sha256'], ['P-384', 'ES384', 'sha384'],
  ['P-521', 'ES512', 'sha512'], ['secp256k1', 'ES256K', 'sha256']]) {
  test(`${algorithm}, raw and DER`, async () => {
    const { privateKey } = crypto.generateKeyPairSync('ec', { namedCurve: curve });
    const it = { ...await bring(privateKey), algorithm };
    assert(CURVES[curve]);
    for (let i = 0; i < 3; i++) {
      const raw = crypto.sign(hash, message, { key: privateKey, dsaEncoding: 'ieee-p1363' });
      await verifies(it, make.rawCases(curve, raw, roll));
      await verifies({ ...it, der: true }, make.derCases(curve, raw, roll));
    }
    for (const length of [0, 1, 20, 31, 33, 47, 49, 63, 65, 1000]) {
      const width = { sha256: 32, sha384: 48, sha512: 64 }[hash];
      if (length === width) continue;
      const error = await user.refused('KeyService/Sign',
        { ...it, digest: Buffer.alloc(length, 1) });
      assert.strictEqual(error.code, 'INVALID_ARGUMENT', `a digest of ${length} bytes`);
    }
  });
}

test('EdDSA', async () => {
  const { privateKey } = crypto.generateKeyPairSync('ed25519');
  const it = { ...await bring(privateKey), algorithm: 'EDDSA' };
  for (let i = 0; i < 3; i++) {
    const text = Buffer.concat([message, Buffer.from([i])]);
    await verifies({ ...it }, make.edCases(crypto.sign(null, message, privateKey), roll));
    assert.strictEqual((await user.call('KeyService/Verify', { ...it, message: text,
      signature: crypto.sign(null, message, privateKey) })).valid, false);
  }
});

for (const bits of [2048, 3072]) {
  test(`RSA signatures of ${bits} bits`, async () => {
    const { privateKey } = crypto.generateKeyPairSync('rsa', { modulusLength: bits });
    const it = await bring(privateKey);
    for (const width of [256, 384, 512]) {
      const hash = `sha${width}`;
      await verifies({ ...it, algorithm: `RS${width}` }, make.pkcs1Cases(privateKey, bits / 8, hash,
        message, crypto.sign(hash, message, privateKey), roll));
      await verifies({ ...it, algorithm: `PS${width}` }, make.pssCases(privateKey, bits / 8, hash,
        message, crypto.sign(hash, message, { key: privateKey, saltLength: width / 8,
          padding: crypto.constants.RSA_PKCS1_PSS_PADDING }), roll));
    }
  });

  test(`RSA-OAEP of ${bits} bits`, async () => {
    const { privateKey, publicKey } = crypto.generateKeyPairSync('rsa', { modulusLength: bits });
    const it = await bring(privateKey, ['DECRYPT', 'UNWRAP_KEY', 'ENCRYPT', 'WRAP_KEY']);
    for (const [algorithm, hash] of [['RSA_OAEP', 'sha1'], ['RSA_OAEP_256', 'sha256']]) {
      const { good, cases } = make.oaepCases(publicKey, bits / 8, hash, roll);
      for (const method of ['Decrypt', 'UnwrapKey']) {
        const { plaintext } = await user.call(`KeyService/${method}`,
          { ...it, algorithm, ciphertext: good });
        assert.strictEqual(plaintext.toString(), 'hello');
        await refusesAlike(method, { ...it, algorithm }, cases);
      }
      const most = bits / 8 - 2 * (hash === 'sha1' ? 20 : 32) - 2;
      for (const length of [0, 1, most]) {
        const plaintext = crypto.randomBytes(length);
        const { ciphertext } = await user.call('KeyService/Encrypt',
          { ...it, algorithm, plaintext });
        assert.deepStrictEqual((await user.call('KeyService/Decrypt',
          { ...it, algorithm, ciphertext })).plaintext, plaintext, `${length} bytes`);
      }
      assert.strictEqual((await user.refused('KeyService/Encrypt', { ...it, algorithm,
        plaintext: Buffer.alloc(most + 1) })).field, 'plaintext');
    }
  });
}

for (const bits of [128, 192, 256]) {
  test(`AES of ${bits} bits`, async () => {
    const k = crypto.randomBytes(bits / 8);
    const cipher = await bring(k);
    const wrapper = await bring(k, ['WRAP_KEY', 'UNWRAP_KEY']);
    const iv = crypto.randomBytes(12);
    const aad = Buffer.from('with it');
    const close = crypto.createCipheriv(`aes-${bits}-gcm`, k, iv);
    close.setAAD(aad);
    const ciphertext = Buffer.concat([close.update(message), close.final()]);
    const good = { iv, aad, ciphertext, tag: close.getAuthTag() };
    const gcm = { ...cipher, algorithm: `A${bits}GCM`, ...good };
    assert.deepStrictEqual((await user.call('KeyService/Decrypt', gcm)).plaintext, message);
    await refusesAlike('Decrypt', gcm, make.gcmCases(good, roll));

    for (const [algorithm, wrapped] of [[`A${bits}KW`, make.kwCases(k, roll)],
      ['AES_KEY_WRAP_PAD', make.kwpCases(k, roll)]]) {
      const request = { ...wrapper, algorithm };
      const opened = await user.call('KeyService/UnwrapKey',
        { ...request, ciphertext: wrapped.good });
      assert.deepStrictEqual(opened.plaintext, wrapped.plaintext);
      await refusesAlike('UnwrapKey', request, wrapped.cases);
    }
    const whole = crypto.randomBytes(16);
    await refusesAlike('Decrypt', { ...cipher, algorithm: `A${bits}CBCPAD`, iv: whole },
      make.cbcPadCases(k, whole, roll));
  });
}

test('HMAC', async () => {
  for (const bits of [256, 384, 512]) {
    const k = crypto.randomBytes(bits / 8);
    const it = { ...await bring(k, ['SIGN', 'VERIFY']), algorithm: `HS${bits}` };
    const mac = crypto.createHmac(`sha${bits}`, k).update(message).digest();
    await verifies(it, [{ name: 'as it is', signature: mac, valid: true },
      ...Array.from({ length: mac.length }, (_, at) =>
        ({ name: `cut at ${at}`, signature: mac.subarray(0, at), valid: false })),
      { name: 'long', signature: Buffer.concat([mac, Buffer.alloc(1)]), valid: false },
      ...make.flips(mac, roll, 40)]);
  }
});
