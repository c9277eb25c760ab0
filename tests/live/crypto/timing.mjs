// Does the time of a refusal tell what was wrong? Two kinds of wrong data take turns in random
// order through the whole server, as dudect does it (Reparaz, Balasch, Verbauwhede 2017); Welch's t
// is printed for all measurements and for the quicker half and nine tenths of them, where a real
// difference shows best. Under about 4.5 the two cannot be told apart by so many measurements.
// A report, no test: scripts/timing.sh runs it on a release build.
// Environment: KV_TIMING_CALLS, of each kind (default 2000).
import crypto from 'node:crypto';
import { Keyvault } from '../support/keyvault.mjs';
import * as make from './cases.mjs';

const CALLS = Number(process.env.KV_TIMING_CALLS ?? 2000);
const WARM = 200;
const VAULT = 'shop';
const roll = make.dice(Date.now());
const message = Buffer.from('what is signed');

const server = await Keyvault.start();
const operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
await operator.call('VaultService/CreateVault',
  { vault: VAULT, allow_unauthenticated_encryption: true });
const officer = await server.officer('officer', ['CRYPTO_OFFICER'], `/vaults/${VAULT}`);
const user = await server.officer('user', ['CRYPTO_USER'], `/vaults/${VAULT}`);

async function bring(name, key, key_ops) {
  const it = { vault: VAULT, name };
  await officer.call('KeyService/ImportKey', { ...it, key_ops, ...(Buffer.isBuffer(key)
    ? { key: { kty: 'OCT', k: key } } : { pkcs8: key.export({ format: 'der', type: 'pkcs8' }) }) });
  return it;
}

const named = (cases, name) => cases.find((one) => one.name === name);

async function questions() {
  const { privateKey, publicKey } = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 });
  const rsa = await bring('rsa', privateKey, ['DECRYPT', 'UNWRAP_KEY']);
  const k = crypto.randomBytes(32);
  const cipher = await bring('cipher', k, ['ENCRYPT', 'DECRYPT']);
  const wrapper = await bring('wrapper', k, ['WRAP_KEY', 'UNWRAP_KEY']);
  const mac = await bring('mac', k, ['SIGN', 'VERIFY']);
  const out = [];
  for (const [algorithm, hash] of [['RSA_OAEP', 'sha1'], ['RSA_OAEP_256', 'sha256']]) {
    const { cases } = make.oaepCases(publicKey, 256, hash, roll);
    for (const [a, b] of [['first byte not zero', 'another label'],
      ['another label', 'no one before the message'], ['another label', 'padding not zero']]) {
      out.push({ what: `${algorithm}: ${a} / ${b}`, method: 'Decrypt',
        request: { ...rsa, algorithm }, pair: [named(cases, a), named(cases, b)] });
    }
  }
  const iv = crypto.randomBytes(16);
  const padding = make.cbcPadCases(k, iv, roll);
  for (const [a, b] of [['padding of zero', 'the first of three differs'],
    ['padding of 17', 'a whole block but for one']]) {
    out.push({ what: `A256CBCPAD: ${a} / ${b}`, method: 'Decrypt',
      request: { ...cipher, algorithm: 'A256CBCPAD', iv }, pair: [named(padding, a),
        named(padding, b)] });
  }
  const nonce = crypto.randomBytes(12);
  const close = crypto.createCipheriv('aes-256-gcm', k, nonce);
  const ciphertext = Buffer.concat([close.update(message), close.final()]);
  const tag = close.getAuthTag();
  out.push({ what: 'A256GCM: first bit / last bit of the tag', method: 'Decrypt',
    request: { ...cipher, algorithm: 'A256GCM', iv: nonce, ciphertext },
    pair: [{ tag: make.flip(tag, 0) }, { tag: make.flip(tag, 127) }] });
  const kwp = make.kwpCases(k, roll).cases;
  for (const [a, b] of [['another start', 'padding that is not zero'],
    ['another start', 'a length too long']]) {
    out.push({ what: `KWP: ${a} / ${b}`, method: 'UnwrapKey',
      request: { ...wrapper, algorithm: 'AES_KEY_WRAP_PAD' },
      pair: [named(kwp, a), named(kwp, b)] });
  }
  const good = crypto.createHmac('sha256', k).update(message).digest();
  out.push({ what: 'HS256: first bit / last bit', method: 'Verify',
    request: { ...mac, algorithm: 'HS256', message },
    pair: [{ signature: make.flip(good, 0) }, { signature: make.flip(good, 255) }] });
  return out;
}

function welch(a, b) {
  const sums = [a, b].map((times) => {
    const mean = times.reduce((sum, x) => sum + x, 0) / times.length;
    const squares = times.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (times.length - 1);
    return { mean, of: squares / times.length };
  });
  return (sums[0].mean - sums[1].mean) / Math.sqrt(sums[0].of + sums[1].of);
}

async function measure({ method, request, pair }) {
  const times = [[], []];
  for (let i = -WARM; times[0].length < CALLS || times[1].length < CALLS; i++) {
    const kind = crypto.randomInt(2);
    const { name, valid, ...fields } = pair[kind];
    const before = process.hrtime.bigint();
    await user.call(`KeyService/${method}`, { ...request, ...fields }).catch(() => null);
    const took = Number(process.hrtime.bigint() - before) / 1000;
    if (i >= 0) times[kind].push(took);
  }
  const all = [...times[0], ...times[1]].sort((x, y) => x - y);
  const under = (share) => {
    const most = all[Math.floor(all.length * share) - 1];
    return times.map((list) => list.filter((x) => x <= most));
  };
  const ts = [0.5, 0.9, 1].map((share) => welch(...under(share)));
  return { ts, median: all[all.length >> 1] };
}

console.log(`| two kinds of wrong data | t, quicker half | t, 90 % | t, all | verdict |`);
console.log('|---|---|---|---|---|');
for (const question of await questions()) {
  const { ts } = await measure(question);
  const most = Math.max(...ts.map(Math.abs));
  console.log(`| ${question.what} | ${ts.map((t) => t.toFixed(1)).join(' | ')} |`,
    `${most < 4.5 ? 'not told apart' : 'TOLD APART'} |`);
}
console.log(`\n${CALLS} calls of each kind.`);
await server.stop();
process.exit(0);
