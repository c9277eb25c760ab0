// Every algorithm of keys, both ways: what the server signs, encrypts and wraps is verified and
// opened by node's OpenSSL, and the other way round. The keys are made by node and imported, so both
// sides have them.
import assert from 'node:assert';
import crypto from 'node:crypto';
import test, { after, before } from 'node:test';
import { Keyvault } from '../support/keyvault.mjs';

/* SoftHSM leaks the name of the curve at each use of an Ed25519 key. */
process.env.ASAN_OPTIONS = [process.env.ASAN_OPTIONS, 'detect_leaks=0'].filter(Boolean).join(':');

const VAULT = 'shop';
const message = Buffer.from('what is signed');
const CURVES = { 'P-256': 'P256', 'P-384': 'P384', 'P-521': 'P521', secp256k1: 'P256K',
  Ed25519: 'ED25519' };
let server;
let operator;
let officer;
let user;
let made = 0;

before(async () => {
  server = await Keyvault.start();
  operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  await operator.call('VaultService/CreateVault', { vault: VAULT });
  officer = await server.officer('officer', ['CRYPTO_OFFICER'], `/vaults/${VAULT}`);
  user = await server.officer('user', ['CRYPTO_USER'], `/vaults/${VAULT}`);
});

after(async () => {
  await server?.stop();
});

const keyOf = (key) => {
  const jwk = key.export({ format: 'jwk' });
  const out = { kty: jwk.kty.toUpperCase() };
  for (const [name, value] of Object.entries(jwk)) {
    if (name === 'crv') out.crv = CURVES[value];
    else if (name !== 'kty') out[name] = Buffer.from(value, 'base64url');
  }
  return out;
};

async function bring(key, ops) {
  const it = { vault: VAULT, name: `k${++made}` };
  const bundle = await officer.call('KeyService/ImportKey', { ...it, key, key_ops: ops });
  assert.strictEqual(bundle.attestation.origin, 'imported');
  assert.strictEqual(bundle.attestation.extractable, false);
  assert(!JSON.stringify(bundle).includes('"d"'));
  return it;
}

const pair = (type, options) => crypto.generateKeyPairSync(type, options);

// --- signatures ---

const pss = (hash, length) => ({ hash, padding: crypto.constants.RSA_PKCS1_PSS_PADDING,
  saltLength: length });
const ieee = (hash) => ({ hash, dsaEncoding: 'ieee-p1363' });
const SIGNERS = {
  RS256: { type: 'rsa', hash: 'sha256' },
  RS384: { type: 'rsa', hash: 'sha384' },
  RS512: { type: 'rsa', hash: 'sha512' },
  PS256: { type: 'rsa', ...pss('sha256', 32) },
  PS384: { type: 'rsa', ...pss('sha384', 48) },
  PS512: { type: 'rsa', ...pss('sha512', 64) },
  ES256: { type: 'ec', curve: 'P-256', ...ieee('sha256') },
  ES384: { type: 'ec', curve: 'P-384', ...ieee('sha384') },
  ES512: { type: 'ec', curve: 'P-521', ...ieee('sha512') },
  ES256K: { type: 'ec', curve: 'secp256k1', ...ieee('sha256') },
  EDDSA: { type: 'ed25519', hash: null },
};

for (const [algorithm, how] of Object.entries(SIGNERS)) {
  test(`${algorithm} both ways`, async () => {
    const { privateKey, publicKey } = pair(how.type,
      { modulusLength: 2048, namedCurve: how.curve });
    const it = await bring(keyOf(privateKey));
    const bundle = await user.call('KeyService/GetKey', it);
    assert.deepStrictEqual(bundle.spki, publicKey.export({ format: 'der', type: 'spki' }));
    const { signature } = await user.call('KeyService/Sign', { ...it, algorithm, message });
    const { hash, type, curve, ...rest } = how;
    assert(crypto.verify(hash, message, { key: publicKey, ...rest }, signature), 'theirs');
    assert(!crypto.verify(hash, Buffer.from('x'), { key: publicKey, ...rest }, signature));
    const theirs = crypto.sign(hash, message, { key: privateKey, ...rest });
    const check = (more) => user.call('KeyService/Verify', { ...it, algorithm, message, ...more });
    assert.strictEqual((await check({ signature: theirs })).valid, true);
    assert.strictEqual((await check({ signature: theirs, message: Buffer.from('x') })).valid,
      false);
    /* r or s of zero, out of range, and lengths that are nobody's. */
    for (const bad of [Buffer.alloc(theirs.length), Buffer.alloc(theirs.length, 0xff),
      theirs.subarray(1), Buffer.concat([theirs, Buffer.alloc(1)])]) {
      assert.strictEqual((await check({ signature: bad })).valid, false);
    }
    if (how.hash) {
      const digest = crypto.createHash(how.hash).update(message).digest();
      const again = await user.call('KeyService/Sign', { ...it, algorithm, digest });
      assert(crypto.verify(hash, message, { key: publicKey, ...rest }, again.signature));
    }
  });
}

test('HMACs both ways', async () => {
  for (const bits of [256, 384, 512]) {
    const k = crypto.randomBytes(bits / 8);
    const it = await bring({ kty: 'OCT', k }, ['SIGN', 'VERIFY']);
    const algorithm = `HS${bits}`;
    const expected = crypto.createHmac(`sha${bits}`, k).update(message).digest();
    const { signature } = await user.call('KeyService/Sign', { ...it, algorithm, message });
    assert.deepStrictEqual(signature, expected);
    const check = async (mac) => (await user.call('KeyService/Verify',
      { ...it, algorithm, message, signature: mac })).valid;
    assert.strictEqual(await check(expected), true);
    assert.strictEqual(await check(expected.subarray(0, 16)), false);
    expected[0] ^= 1;
    assert.strictEqual(await check(expected), false);
  }
});

// --- encryption ---

/** Everything that is wrong has the same answer. */
async function refusedAlike(method, requests) {
  const errors = [];
  for (const request of requests) errors.push(await user.refused(method, request));
  for (const error of errors) {
    assert.strictEqual(error.code, 'INVALID_ARGUMENT');
    assert.strictEqual(error.message, errors[0].message);
    assert.strictEqual(error.field, undefined);
  }
}

const changed = (bytes, at = 0) => {
  const copy = Buffer.from(bytes);
  copy.writeUInt8(copy.readUInt8(at) ^ 1, at);
  return copy;
};

for (const [algorithm, oaepHash] of [['RSA_OAEP', 'sha1'], ['RSA_OAEP_256', 'sha256']]) {
  test(`${algorithm} both ways, to encrypt and to wrap`, async () => {
    const { privateKey, publicKey } = pair('rsa', { modulusLength: 3072 });
    const it = await bring(keyOf(privateKey),
      ['ENCRYPT', 'DECRYPT', 'WRAP_KEY', 'UNWRAP_KEY']);
    const padding = crypto.constants.RSA_PKCS1_OAEP_PADDING;
    for (const [forth, back] of [['Encrypt', 'Decrypt'], ['WrapKey', 'UnwrapKey']]) {
      const plaintext = crypto.randomBytes(48);
      const { ciphertext } = await user.call(`KeyService/${forth}`,
        { ...it, algorithm, plaintext });
      assert.deepStrictEqual(
        crypto.privateDecrypt({ key: privateKey, padding, oaepHash }, ciphertext), plaintext);
      const theirs = crypto.publicEncrypt({ key: publicKey, padding, oaepHash }, plaintext);
      const opened = await user.call(`KeyService/${back}`,
        { ...it, algorithm, ciphertext: theirs });
      assert.deepStrictEqual(opened.plaintext, plaintext);
      await refusedAlike(`KeyService/${back}`, [changed(theirs, 100), theirs.subarray(1),
        Buffer.alloc(384, 0xff), Buffer.alloc(384), Buffer.alloc(0)]
        .map((bad) => ({ ...it, algorithm, ciphertext: bad })));
    }
    const error = await user.refused('KeyService/Sign', { ...it, algorithm: 'RS256', message });
    assert.strictEqual(error.reason, 'OPERATION_NOT_PERMITTED');
  });
}

for (const bits of [128, 192, 256]) {
  test(`A${bits}GCM both ways`, async () => {
    const k = crypto.randomBytes(bits / 8);
    const it = await bring({ kty: 'OCT', k });
    const ask = { ...it, algorithm: `A${bits}GCM` };
    const aad = Buffer.from('with it');
    for (const length of [0, 1, 16, 1000, 16384]) {
      const plaintext = crypto.randomBytes(length);
      const sealed = await user.call('KeyService/Encrypt', { ...ask, plaintext, aad });
      assert.strictEqual(sealed.iv.length, 12);
      assert.strictEqual(sealed.tag.length, 16);
      const open = crypto.createDecipheriv(`aes-${bits}-gcm`, k, sealed.iv);
      open.setAAD(aad);
      open.setAuthTag(sealed.tag);
      assert.deepStrictEqual(Buffer.concat([open.update(sealed.ciphertext), open.final()]),
        plaintext);
    }
    const iv = crypto.randomBytes(12);
    const close = crypto.createCipheriv(`aes-${bits}-gcm`, k, iv);
    close.setAAD(aad);
    const ciphertext = Buffer.concat([close.update(message), close.final()]);
    const good = { ...ask, ciphertext, iv, tag: close.getAuthTag(), aad };
    assert.deepStrictEqual((await user.call('KeyService/Decrypt', good)).plaintext, message);
    await refusedAlike('KeyService/Decrypt', [{ tag: changed(good.tag) },
      { tag: good.tag.subarray(0, 12) }, { tag: Buffer.alloc(0) }, { iv: changed(iv) },
      { iv: iv.subarray(1) }, { aad: Buffer.alloc(0) }, { ciphertext: changed(ciphertext) },
      { ciphertext: ciphertext.subarray(1) }].map((bad) => ({ ...good, ...bad })));
    const chosen = await user.refused('KeyService/Encrypt', { ...ask, plaintext: message, iv });
    assert.strictEqual(chosen.field, 'iv');
  });

  test(`A${bits}KW both ways`, async () => {
    const k = crypto.randomBytes(bits / 8);
    const it = await bring({ kty: 'OCT', k }, ['WRAP_KEY', 'UNWRAP_KEY']);
    const iv = Buffer.from('a6a6a6a6a6a6a6a6', 'hex');
    const cipher = `id-aes${bits}-wrap`;
    for (const algorithm of [`A${bits}KW`, 'AES_KEY_WRAP']) {
      const plaintext = crypto.randomBytes(32);
      const { ciphertext } = await user.call('KeyService/WrapKey',
        { ...it, algorithm, plaintext });
      const close = crypto.createCipheriv(cipher, k, iv);
      assert.deepStrictEqual(ciphertext, Buffer.concat([close.update(plaintext), close.final()]));
      const opened = await user.call('KeyService/UnwrapKey', { ...it, algorithm, ciphertext });
      assert.deepStrictEqual(opened.plaintext, plaintext);
      await refusedAlike('KeyService/UnwrapKey', [changed(ciphertext), ciphertext.subarray(8),
        ciphertext.subarray(1), Buffer.alloc(0), Buffer.alloc(8)]
        .map((bad) => ({ ...it, algorithm, ciphertext: bad })));
      for (const length of [0, 8, 15, 17]) {
        const error = await user.refused('KeyService/WrapKey',
          { ...it, algorithm, plaintext: Buffer.alloc(length) });
        assert.strictEqual(error.field, 'plaintext', `${length} bytes`);
      }
    }
    const padded = { ...it, algorithm: 'AES_KEY_WRAP_PAD' };
    const plaintext = crypto.randomBytes(40);
    const { ciphertext } = await user.call('KeyService/WrapKey', { ...padded, plaintext });
    const open = crypto.createDecipheriv(`${cipher}-pad`, k, Buffer.from('a65959a6', 'hex'));
    assert.deepStrictEqual(Buffer.concat([open.update(ciphertext), open.final()]), plaintext);
  });
}

test('CBC is off, until the vault turns it on', async () => {
  for (const bits of [128, 192, 256]) {
    const k = crypto.randomBytes(bits / 8);
    const iv = crypto.randomBytes(16);
    const it = await bring({ kty: 'OCT', k });
    for (const [algorithm, pad, length] of [[`A${bits}CBC`, false, 64],
      [`A${bits}CBCPAD`, true, 61]]) {
      const plaintext = crypto.randomBytes(length);
      const ask = { ...it, algorithm, plaintext, iv };
      await operator.call('VaultService/UpdateVault',
        { vault: VAULT, allow_unauthenticated_encryption: false });
      assert.strictEqual((await user.refused('KeyService/Encrypt', ask)).field, 'algorithm');
      const vault = await operator.call('VaultService/UpdateVault',
        { vault: VAULT, allow_unauthenticated_encryption: true });
      assert.strictEqual(vault.allow_unauthenticated_encryption, true);
      const sealed = await user.call('KeyService/Encrypt', ask);
      const close = crypto.createCipheriv(`aes-${bits}-cbc`, k, iv).setAutoPadding(pad);
      const theirs = Buffer.concat([close.update(plaintext), close.final()]);
      assert.deepStrictEqual(sealed.ciphertext, theirs);
      assert.deepStrictEqual(sealed.iv, iv);
      const opened = await user.call('KeyService/Decrypt',
        { ...it, algorithm, ciphertext: theirs, iv });
      assert.deepStrictEqual(opened.plaintext, plaintext);
      await refusedAlike('KeyService/Decrypt', [{ ciphertext: theirs.subarray(1) },
        { iv: iv.subarray(1) }, { ciphertext: Buffer.alloc(0) }]
        .map((bad) => ({ ...it, algorithm, ciphertext: theirs, iv, ...bad })));
    }
  }
});

test('PKCS#8 is imported too, and random bytes differ', async () => {
  const { privateKey } = pair('ec', { namedCurve: 'P-256' });
  const it = { vault: VAULT, name: 'pkcs8' };
  const pkcs8 = privateKey.export({ format: 'der', type: 'pkcs8' });
  const bundle = await officer.call('KeyService/ImportKey', { ...it, pkcs8 });
  assert.strictEqual(bundle.key.crv, 'CURVE_P256');
  const error = await officer.refused('KeyService/ImportKey',
    { ...it, pkcs8: privateKey.export({ format: 'der', type: 'sec1' }) });
  assert.strictEqual(error.field, 'pkcs8');
  const seen = new Set();
  for (let i = 0; i < 20; i++) {
    const { value } = await user.call('KeyService/GetRandomBytes', { vault: VAULT, count: 32 });
    seen.add(value.toString('hex'));
  }
  assert.strictEqual(seen.size, 20);
});
