// cases.mjs - edge cases of signatures and ciphertexts, made from a good one: what a verifier or a
// decrypter must not take. Each is { name, ...request fields, valid } or, for ciphertexts,
// { name, ...fields } of which all have to be refused alike.
import crypto from 'node:crypto';

/* Small and repeatable; cases must not differ between two runs with one seed. */
export function dice(seed) {
  let state = BigInt(seed) | 1n;
  return (sides) => {
    state ^= (state << 13n) & 0xffffffffffffffffn;
    state ^= state >> 7n;
    state ^= (state << 17n) & 0xffffffffffffffffn;
    return Number(state % BigInt(sides));
  };
}

const toNumber = (bytes) => BigInt(`0x${bytes.toString('hex') || '0'}`);
const toBytes = (number, length) =>
  Buffer.from(number.toString(16).padStart(length * 2, '0').slice(-length * 2), 'hex');
export const flip = (bytes, bit) => {
  const copy = Buffer.from(bytes);
  copy[bit >> 3] ^= 1 << (bit & 7);
  return copy;
};
export const flips = (bytes, roll, count, field = 'signature') =>
  Array.from({ length: count }, () => roll(bytes.length * 8)).map((bit) =>
    ({ name: `bit ${bit} flipped`, [field]: flip(bytes, bit), valid: false }));

// --- ECDSA ---

export const ORDERS = {
  'P-256': 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  'P-384': BigInt('0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf' +
    '581a0db248b0a77aecec196accc52973'),
  'P-521': BigInt('0x01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa' +
    '51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409'),
  secp256k1: 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n,
};

export function rawCases(curve, good, roll) {
  const n = ORDERS[curve];
  const half = good.length / 2;
  const r = toNumber(good.subarray(0, half));
  const s = toNumber(good.subarray(half));
  const pair = (name, a, b, valid = false) =>
    ({ name, signature: Buffer.concat([toBytes(a, half), toBytes(b, half)]), valid });
  const top = (1n << BigInt(half * 8)) - 1n;
  return [
    pair('as it is', r, s, true),
    pair('the other s: as good by the standard', r, n - s, true),
    pair('r of zero', 0n, s), pair('s of zero', r, 0n), pair('both zero', 0n, 0n),
    pair('r of one', 1n, s), pair('both one', 1n, 1n), pair('r of n', n, s), pair('s of n', r, n),
    pair('both n', n, n), pair('r of n - 1', n - 1n, s), pair('both n - 1', n - 1n, n - 1n),
    pair('r of n + 1', n + 1n, 1n), pair('s of all ones', r, top), pair('all ones', top, top),
    pair('swapped', s, r), pair('other r', n - r, s),
    ...(r + n <= top ? [pair('r + n', r + n, s)] : []),
    ...(s + n <= top ? [pair('s + n', r, s + n)] : []),
    { name: 'empty', signature: Buffer.alloc(0), valid: false },
    { name: 'one byte short', signature: good.subarray(1), valid: false },
    { name: 'one byte short at the end', signature: good.subarray(0, -1), valid: false },
    { name: 'half', signature: good.subarray(0, half), valid: false },
    { name: 'zeros in front', signature: Buffer.concat([Buffer.alloc(2), good]), valid: false },
    { name: 'r and s each with a zero in front', valid: false, signature: Buffer.concat(
      [Buffer.alloc(1), good.subarray(0, half), Buffer.alloc(1), good.subarray(half)]) },
    { name: 'twice', signature: Buffer.concat([good, good]), valid: false },
    ...flips(good, roll, 24),
  ];
}

const tlv = (tag, body) => Buffer.concat([Buffer.from(body.length < 128 ? [tag, body.length]
  : [tag, 0x81, body.length]), body]);
const minimal = (number) => {
  const hex = number.toString(16);
  const bytes = Buffer.from(hex.padStart(hex.length + (hex.length & 1), '0'), 'hex');
  return bytes[0] & 0x80 ? Buffer.concat([Buffer.alloc(1), bytes]) : bytes;
};

export function derCases(curve, raw, roll) {
  const n = ORDERS[curve];
  const half = raw.length / 2;
  const r = toNumber(raw.subarray(0, half));
  const s = toNumber(raw.subarray(half));
  const int = (body) => tlv(2, body);
  const sequence = (...parts) => tlv(0x30, Buffer.concat(parts));
  const numbers = (a, b) => sequence(int(minimal(a)), int(minimal(b)));
  const good = numbers(r, s);
  const zero = Buffer.alloc(1);
  const body = Buffer.concat([int(minimal(r)), int(minimal(s))]);
  const bad = (name, signature) => ({ name, signature, valid: false });
  return [
    { name: 'as it is', signature: good, valid: true },
    { name: 'the other s', signature: numbers(r, n - s), valid: true },
    bad('r of zero', numbers(0n, s)), bad('s of zero', numbers(r, 0n)), bad('r of n', numbers(n, s)),
    bad('r + n', numbers(r + n, s)), bad('s + n', numbers(r, s + n)),
    bad('a huge r', numbers(1n << 800n, s)),
    bad('r with a zero too many', sequence(int(Buffer.concat([zero, minimal(r)])), int(minimal(s)))),
    bad('s with a zero too many', sequence(int(minimal(r)), int(Buffer.concat([zero, minimal(s)])))),
    bad('a negative r', sequence(int(Buffer.from([0xff])), int(minimal(s)))),
    bad('an r without bytes', sequence(int(Buffer.alloc(0)), int(minimal(s)))),
    bad('an octet string for r', sequence(tlv(4, minimal(r)), int(minimal(s)))),
    bad('a set', tlv(0x31, body)), bad('no sequence', body),
    bad('a third number', sequence(int(minimal(r)), int(minimal(s)), int(minimal(1n)))),
    bad('one number', sequence(int(minimal(r)))), bad('an empty sequence', sequence()),
    bad('a byte behind it', Buffer.concat([good, zero])),
    bad('a byte inside it', sequence(int(minimal(r)), int(minimal(s)), zero)),
    bad('an indefinite length', Buffer.concat([Buffer.from([0x30, 0x80]), body, Buffer.alloc(2)])),
    bad('a long length', Buffer.concat([Buffer.from([0x30, 0x82, 0, body.length]), body])),
    bad('a length too long', Buffer.concat([Buffer.from([0x30, body.length + 1]), body])),
    bad('a length too short', Buffer.concat([Buffer.from([0x30, body.length - 1]), body])),
    bad('a length of all ones', Buffer.concat([Buffer.from([0x30, 0x84, 255, 255, 255, 255]),
      body])),
    bad('raw, not DER', raw),
    ...Array.from({ length: good.length }, (_, at) => bad(`cut at ${at}`, good.subarray(0, at))),
    ...flips(good, roll, 16),
  ];
}

export function edCases(good, roll) {
  const order = (1n << 252n) + 27742317777372353535851937790883648493n;
  const little = (bytes) => toNumber(Buffer.from(bytes).reverse());
  const s = little(good.subarray(32));
  const withS = (name, number) => ({ name, valid: false,
    signature: Buffer.concat([good.subarray(0, 32), toBytes(number, 32).reverse()]) });
  return [
    { name: 'as it is', signature: good, valid: true },
    withS('S + L', s + order), withS('S of zero', 0n), withS('S of L', order),
    withS('S + 8 L', s + 8n * order), withS('S of all ones', (1n << 256n) - 1n),
    { name: 'R of zero', valid: false,
      signature: Buffer.concat([Buffer.alloc(32), good.subarray(32)]) },
    { name: 'all zero', signature: Buffer.alloc(64), valid: false },
    { name: 'short', signature: good.subarray(0, 63), valid: false },
    { name: 'long', signature: Buffer.concat([good, Buffer.alloc(1)]), valid: false },
    ...flips(good, roll, 40),
  ];
}

// --- RSA ---

/** The private operation on any encoded message. */
export const rawRsa = (key, encoded) => crypto.privateEncrypt(
  { key, padding: crypto.constants.RSA_NO_PADDING }, encoded);
const PREFIX = { sha256: '3031300d060960864801650304020105000420',
  sha384: '3041300d060960864801650304020205000430',
  sha512: '3051300d060960864801650304020305000440' };
const xor = (a, b) => Buffer.from(a.map((byte, i) => byte ^ b[i]));
const mgf = (hash, seed, length) => {
  const out = [];
  for (let i = 0, have = 0; have < length; i++) {
    const counter = Buffer.alloc(4);
    counter.writeUInt32BE(i);
    out.push(crypto.createHash(hash).update(seed).update(counter).digest());
    have += out[i].length;
  }
  return Buffer.concat(out).subarray(0, length);
};

export function pkcs1Cases(key, size, hash, message, good, roll) {
  const digest = crypto.createHash(hash).update(message).digest();
  const info = Buffer.concat([Buffer.from(PREFIX[hash], 'hex'), digest]);
  const n = toNumber(Buffer.from(key.export({ format: 'jwk' }).n, 'base64url'));
  const encode = (head, tail, behind = Buffer.alloc(0), fill = 0xff) => Buffer.concat([head,
    Buffer.alloc(size - head.length - tail.length - behind.length - 1, fill), Buffer.alloc(1),
    tail, behind]);
  const start = Buffer.from([0, 1]);
  const signed = (name, encoded) => ({ name, signature: rawRsa(key, encoded), valid: false });
  const noNull = Buffer.concat([Buffer.from(PREFIX[hash], 'hex')]);
  noNull[1] -= 2;
  noNull[3] -= 2;
  const other = hash === 'sha256' ? 'sha384' : 'sha256';
  return [
    { name: 'as it is', signature: good, valid: true },
    { name: 'made by hand', signature: rawRsa(key, encode(start, info)), valid: true },
    signed('parameters missing', encode(start, Buffer.concat([noNull.subarray(0, -4),
      noNull.subarray(-2), digest]))),
    signed('block type 2', encode(Buffer.from([0, 2]), info)),
    signed('block type 0', encode(Buffer.from([0, 0]), info, Buffer.alloc(0), 0)),
    signed('padding of zeros', encode(start, info, Buffer.alloc(0), 0)),
    signed('short padding, garbage behind', Buffer.concat([start, Buffer.alloc(8, 0xff),
      Buffer.alloc(1), info, Buffer.alloc(size - 11 - info.length, 0x41)])),
    signed('garbage behind the digest', encode(start, info, Buffer.alloc(16, 0x41))),
    signed('a byte behind', encode(start, info, Buffer.alloc(1))),
    signed('the digest alone', encode(start, digest)),
    signed('the name of another hash', encode(start,
      Buffer.concat([Buffer.from(PREFIX[other], 'hex'), digest]))),
    signed('a padding byte that is not ff', (() => {
      const encoded = encode(start, info);
      encoded[10] = 0xfe;
      return encoded;
    })()),
    signed('no zero behind the padding', Buffer.concat([start,
      Buffer.alloc(size - 2 - info.length, 0xff), info])),
    { name: 'n added', signature: toBytes(toNumber(good) + n, size + 1), valid: false },
    { name: 'zero', signature: Buffer.alloc(size), valid: false },
    { name: 'one', signature: toBytes(1n, size), valid: false },
    { name: 'n - 1', signature: toBytes(n - 1n, size), valid: false },
    { name: 'n', signature: toBytes(n, size), valid: false },
    { name: 'all ones', signature: Buffer.alloc(size, 0xff), valid: false },
    { name: 'short', signature: good.subarray(1), valid: false },
    { name: 'long', signature: Buffer.concat([Buffer.alloc(1), good]), valid: false },
    { name: 'empty', signature: Buffer.alloc(0), valid: false },
    ...flips(good, roll, 16),
  ];
}

export function pssCases(key, size, hash, message, good, roll) {
  const digest = crypto.createHash(hash).update(message).digest();
  const width = digest.length;
  const encode = ({ salt = crypto.randomBytes(width), mask = hash, trailer = 0xbc, one = 1,
    ones = 0, prefix = Buffer.alloc(8) } = {}) => {
    const h = crypto.createHash(hash).update(Buffer.concat([prefix, digest, salt])).digest();
    const db = Buffer.concat([Buffer.alloc(size - salt.length - width - 2), Buffer.from([one]),
      salt]);
    const masked = xor(db, mgf(mask, h, db.length));
    masked[0] = (masked[0] & 0x7f) | ones;
    return Buffer.concat([masked, h, Buffer.from([trailer])]);
  };
  const signed = (name, how, valid = false) =>
    ({ name, signature: rawRsa(key, encode(how)), valid });
  const other = hash === 'sha256' ? 'sha512' : 'sha256';
  return [
    { name: 'as it is', signature: good, valid: true },
    signed('made by hand', {}, true),
    signed('no salt', { salt: Buffer.alloc(0) }),
    signed('a salt of 20 bytes', { salt: crypto.randomBytes(20) }),
    signed('a salt too long', { salt: crypto.randomBytes(width + 1) }),
    signed('another mask', { mask: other }), signed('mask of SHA-1', { mask: 'sha1' }),
    signed('another trailer', { trailer: 0xcc }), signed('no one before the salt', { one: 0 }),
    signed('two before the salt', { one: 2 }),
    signed('another prefix', { prefix: Buffer.alloc(8, 1) }),
    { name: 'zero', signature: Buffer.alloc(size), valid: false },
    { name: 'all ones', signature: Buffer.alloc(size, 0xff), valid: false },
    { name: 'short', signature: good.subarray(1), valid: false },
    { name: 'long', signature: Buffer.concat([good, Buffer.alloc(1)]), valid: false },
    ...flips(good, roll, 16),
  ];
}

/** Ciphertexts that are no OAEP of this hash; all to be refused alike. */
export function oaepCases(publicKey, size, hash, roll) {
  const width = crypto.createHash(hash).digest().length;
  const n = toNumber(Buffer.from(publicKey.export({ format: 'jwk' }).n, 'base64url'));
  const raw = (encoded) => crypto.publicEncrypt(
    { key: publicKey, padding: crypto.constants.RSA_NO_PADDING }, encoded);
  const encode = ({ first = 0, label = Buffer.alloc(0), message = Buffer.from('hello'), one = 1,
    padding = 0, mask = hash } = {}) => {
    const seed = crypto.randomBytes(width);
    const db = Buffer.concat([crypto.createHash(hash).update(label).digest(),
      Buffer.alloc(size - 2 * width - 2 - message.length, padding), Buffer.from([one]), message]);
    const masked = xor(db, mgf(mask, seed, db.length));
    return Buffer.concat([Buffer.from([first]), xor(seed, mgf(mask, masked, width)), masked]);
  };
  const good = raw(encode());
  const bad = (name, how) => ({ name, ciphertext: raw(encode(how)) });
  return { good, cases: [
    bad('first byte not zero', { first: 1 }), bad('another label', { label: Buffer.from('x') }),
    bad('no one before the message', { one: 0 }), bad('two before the message', { one: 2 }),
    bad('padding not zero', { padding: 3 }),
    bad('another mask', { mask: hash === 'sha1' ? 'sha256' : 'sha1' }),
    bad('nothing but zeros behind the label', { one: 0, message: Buffer.alloc(5) }),
    { name: 'PKCS #1 v1.5', ciphertext: crypto.publicEncrypt(
      { key: publicKey, padding: crypto.constants.RSA_PKCS1_PADDING }, Buffer.from('hello')) },
    { name: 'zero', ciphertext: Buffer.alloc(size) },
    { name: 'one', ciphertext: toBytes(1n, size) },
    { name: 'n - 1', ciphertext: toBytes(n - 1n, size) },
    { name: 'n', ciphertext: toBytes(n, size) },
    { name: 'all ones', ciphertext: Buffer.alloc(size, 0xff) },
    { name: 'short', ciphertext: good.subarray(1) },
    { name: 'long', ciphertext: Buffer.concat([Buffer.alloc(1), good]) },
    { name: 'empty', ciphertext: Buffer.alloc(0) },
    ...flips(good, roll, 24, 'ciphertext').map(({ valid, ...it }) => it),
  ] };
}

// --- AES ---

/** RFC 3394's W with any first block, so that it can be a wrong one. */
export function wrapWith(key, first, plaintext) {
  const blocks = [];
  let a = toNumber(first);
  for (let i = 0; i < plaintext.length; i += 8) blocks.push(plaintext.subarray(i, i + 8));
  const aes = (block) => {
    const cipher = crypto.createCipheriv(`aes-${key.length * 8}-ecb`, key, null)
      .setAutoPadding(false);
    return cipher.update(block);
  };
  if (blocks.length === 1) return aes(Buffer.concat([first, blocks[0]]));
  for (let t = 1n, j = 0; j < 6; j++) {
    for (let i = 0; i < blocks.length; i++, t++) {
      const b = aes(Buffer.concat([toBytes(a, 8), blocks[i]]));
      a = toNumber(b.subarray(0, 8)) ^ t;
      blocks[i] = b.subarray(8);
    }
  }
  return Buffer.concat([toBytes(a, 8), ...blocks]);
}

export function kwCases(key, roll) {
  const plaintext = crypto.randomBytes(32);
  const iv = Buffer.alloc(8, 0xa6);
  const good = wrapWith(key, iv, plaintext);
  const bad = (name, ciphertext) => ({ name, ciphertext });
  return { good, plaintext, cases: [
    bad('another first block', wrapWith(key, Buffer.alloc(8, 0xa7), plaintext)),
    bad('first block of zeros', wrapWith(key, Buffer.alloc(8), plaintext)),
    bad('that of KWP', wrapWith(key, Buffer.from('a65959a600000020', 'hex'), plaintext)),
    bad('one byte of it wrong', wrapWith(key, flip(iv, 63), plaintext)),
    bad('of one block', wrapWith(key, iv, plaintext.subarray(0, 8))),
    bad('short', good.subarray(8)), bad('cut', good.subarray(0, -8)),
    bad('not of whole blocks', good.subarray(1)), bad('too long', Buffer.concat([good, good])),
    bad('empty', Buffer.alloc(0)), bad('one block', good.subarray(0, 8)),
    bad('zeros', Buffer.alloc(40)), bad('swapped', Buffer.concat([good.subarray(8, 16),
      good.subarray(0, 8), good.subarray(16)])),
    ...flips(good, roll, 40, 'ciphertext').map(({ valid, ...it }) => it),
  ] };
}

export function kwpCases(key, roll) {
  const plaintext = crypto.randomBytes(32);
  const first = (length, start = 'a65959a6') =>
    Buffer.concat([Buffer.from(start, 'hex'), toBytes(BigInt(length), 4)]);
  const good = wrapWith(key, first(32), plaintext);
  const bad = (name, ciphertext) => ({ name, ciphertext });
  return { good, plaintext, cases: [
    bad('a length too long', wrapWith(key, first(33), plaintext)),
    bad('a length of all ones', wrapWith(key, first(0xffffffff), plaintext)),
    bad('a length of zero', wrapWith(key, first(0), plaintext)),
    bad('a length too short', wrapWith(key, first(24), plaintext)),
    bad('padding that is not zero', wrapWith(key, first(30), plaintext)),
    bad('another start', wrapWith(key, first(32, 'a65959a7'), plaintext)),
    bad('that of KW', wrapWith(key, Buffer.alloc(8, 0xa6), plaintext)),
    bad('short', good.subarray(8)), bad('not of whole blocks', good.subarray(1)),
    bad('empty', Buffer.alloc(0)), bad('one block', good.subarray(0, 8)),
    ...flips(good, roll, 40, 'ciphertext').map(({ valid, ...it }) => it),
  ] };
}

export function gcmCases(good, roll) {
  const cut = (field, length) => ({ name: `${field} of ${length} bytes`,
    [field]: good[field].subarray(0, length) });
  const bits = (field, count) => flips(good[field], roll, count, field)
    .map(({ valid, ...it }) => ({ ...it, name: `${field}: ${it.name}` }));
  return [
    ...[0, 1, 4, 8, 12, 13, 14, 15].map((length) => cut('tag', length)),
    { name: 'tag with a byte more', tag: Buffer.concat([good.tag, Buffer.alloc(1)]) },
    { name: 'tag of zeros', tag: Buffer.alloc(16) },
    ...[0, 1, 8, 11].map((length) => cut('iv', length)),
    { name: 'iv with a byte more', iv: Buffer.concat([good.iv, Buffer.alloc(1)]) },
    { name: 'no aad', aad: Buffer.alloc(0) },
    { name: 'aad with a byte more', aad: Buffer.concat([good.aad, Buffer.alloc(1)]) },
    { name: 'ciphertext with a byte more',
      ciphertext: Buffer.concat([good.ciphertext, Buffer.alloc(1)]) },
    cut('ciphertext', good.ciphertext.length - 1), cut('ciphertext', 0),
    ...bits('tag', 24), ...bits('iv', 12), ...bits('aad', 12), ...bits('ciphertext', 24),
  ];
}

/** Ends of a plaintext that PKCS #7 does not know. */
export function cbcPadCases(key, iv, roll) {
  const close = (plaintext) => {
    const cipher = crypto.createCipheriv(`aes-${key.length * 8}-cbc`, key, iv)
      .setAutoPadding(false);
    return cipher.update(plaintext);
  };
  const block = (end) => Buffer.concat([Buffer.alloc(32 - end.length, 0x41), Buffer.from(end)]);
  const bad = (name, end) => ({ name, ciphertext: close(block(end)) });
  return [
    bad('padding of zero', [0]), bad('padding of 17', Array(17).fill(17)),
    bad('padding of 32', Array(32).fill(32)), bad('padding of 255', [255]),
    bad('two that differ', [1, 2]), bad('the first of three differs', [4, 3, 3]),
    bad('a whole block but for one', [15, ...Array(15).fill(16)]),
    ...Array.from({ length: 16 }, (_, i) => bad(`a stray ${i + 18}`, [i + 18])),
    { name: 'not of whole blocks', ciphertext: Buffer.alloc(33) },
    { name: 'empty', ciphertext: Buffer.alloc(0) },
    ...Array.from({ length: 8 }, () => bad('random', [0x41, 17 + roll(238)])),
  ];
}
