// transparency.mjs - logs of Certificate Transparency (RFC 6962) of our own, the list that makes
// them known, and certificates that carry what they signed.
import { createHash, createSign, generateKeyPairSync } from 'node:crypto';
import { der } from './keyvault.mjs';
import { derOf, pemOf } from './authority.mjs';

const sha256 = (bytes) => createHash('sha256').update(bytes).digest();
const number = (value, bytes) => {
  const out = Buffer.alloc(8);
  out.writeBigUInt64BE(BigInt(value));
  return out.subarray(8 - bytes);
};

/** A log with a key on P-256. */
export class Log {
  constructor(name, operator, state = 'usable') {
    Object.assign(this, { name, operator, state });
    this.keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.spki = this.keys.publicKey.export({ type: 'spki', format: 'der' });
    this.id = sha256(this.spki);
  }

  /** The timestamp that it gives for a certificate (its to-be-signed part, without timestamps). */
  sign(tbs, issuerSpki, at = Date.now() - 60_000) {
    const body = Buffer.concat([number(at, 8), number(1, 2), sha256(issuerSpki),
      number(tbs.length, 3), tbs, number(0, 2)]);
    const signature = createSign('sha256').update(Buffer.concat([Buffer.from([0, 0]), body]))
      .sign(this.keys.privateKey);
    return Buffer.concat([Buffer.from([0]), this.id, number(at, 8), number(0, 2),
      Buffer.from([4, 3]), number(signature.length, 2), signature]);
  }
}

/** The JSON of a list, version 3. */
export function logList(logs, made = new Date()) {
  const since = { timestamp: '2020-01-01T00:00:00Z' };
  return JSON.stringify({
    version: '100.1', log_list_timestamp: made.toISOString().replace(/\.\d+/, ''),
    operators: [...new Set(logs.map((it) => it.operator))].map((operator) => ({
      name: operator, email: [], tiled_logs: [],
      logs: logs.filter((it) => it.operator === operator).map((it) => ({
        description: it.name, log_id: it.id.toString('base64'), key: it.spki.toString('base64'),
        url: 'https://log.example.org/', mmd: 86400, state: { [it.state]: since } })),
    })),
  });
}

/* The elements in a constructed one. */
function parts(bytes) {
  const all = [];
  const skip = (at) => (bytes[at + 1] < 0x80 ? 2 : 2 + (bytes[at + 1] & 0x7f));
  const length = (at) => (bytes[at + 1] < 0x80 ? bytes[at + 1] :
    bytes.readUIntBE(at + 2, bytes[at + 1] & 0x7f));
  for (let at = skip(0); at < bytes.length;) {
    const end = at + skip(at) + length(at);
    all.push(bytes.subarray(at, end));
    at = end;
  }
  return all;
}

/** The certificate (PEM) with timestamps of these logs, signed again by its issuer: PEM. */
export function withTimestamps(leaf, issuer, issuerKey, logs) {
  const [tbs, algorithm] = parts(derOf(leaf));
  const members = parts(tbs);
  const [spki] = parts(parts(derOf(issuer))[0]).slice(6, 7);
  const scts = logs.map((log) => log.sign(tbs, spki))
    .map((sct) => Buffer.concat([number(sct.length, 2), sct]));
  const list = Buffer.concat(scts);
  const extension = der(0x30, der(0x06, [0x2b, 6, 1, 4, 1, 0xd6, 0x79, 2, 4, 2]),
    der(0x04, der(0x04, number(list.length, 2), list)));
  const extensions = parts(parts(members.at(-1))[0]);
  const whole = der(0x30, ...members.slice(0, -1), der(0xa3, der(0x30, ...extensions, extension)));
  const signature = createSign('sha256').update(whole).sign(issuerKey);
  return Buffer.from(pemOf(der(0x30, whole, algorithm, der(0x03, [0], signature))));
}
