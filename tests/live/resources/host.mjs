// host.mjs - a server on a machine that is short of something: the other end of
// tests/support/host_shim.c, and callers who watch what they are answered meanwhile.
// Environment: KV_HOST_SHIM, the library.
import assert from 'node:assert';
import fs from 'node:fs';
import path from 'node:path';
import { CallError, Keyvault, nap } from '../support/keyvault.mjs';

export const VAULT = 'shop';
const ROLES = ['CERTIFICATE_OFFICER', 'CERTIFICATE_USER', 'CRYPTO_OFFICER', 'CRYPTO_USER',
  'SECRETS_OFFICER', 'SECRETS_USER', 'ISSUER_OFFICER'];
const BACK_MS = 60_000;
const CONTROL_BYTES = 16;

/* A server whose disks and clock are ours. */
export class Hosted extends Keyvault {
  constructor() {
    super();
    assert(process.env.KV_HOST_SHIM, 'KV_HOST_SHIM must name kv_host_shim.so');
    this.control = path.join(this.folder, 'control');
    fs.writeFileSync(this.control, Buffer.alloc(CONTROL_BYTES));
    this.fd = fs.openSync(this.control, 'r+');
    const asan = [process.env.ASAN_OPTIONS, 'verify_asan_link_order=0'].filter(Boolean).join(':');
    Object.assign(this.env, { LD_PRELOAD: process.env.KV_HOST_SHIM, KV_HOST_CONTROL: this.control,
      KV_HOST_PATHS: Object.values(this.disks).join(':'), ASAN_OPTIONS: asan });
  }

  /** Beginnings of paths. */
  get disks() {
    return { store: path.join(this.home, 'keyvault.db'), token: this.tokens,
      audit: path.join(this.home, 'audit') };
  }

  /** One of disks; null: all have room. */
  full(disk) {
    const word = Buffer.alloc(4);
    word.writeUInt32LE(disk === null ? 0 : 1 << Object.keys(this.disks).indexOf(disk));
    fs.writeSync(this.fd, word, 0, 4, 8);
  }

  /** Milliseconds before each read by the thread that compares rows; null: it is held. */
  slow(ms) {
    const word = Buffer.alloc(4);
    word.writeUInt32LE(ms ?? 0xffffffff);
    fs.writeSync(this.fd, word, 0, 4, 12);
  }

  clock(ms) {
    const word = Buffer.alloc(8);
    word.writeBigInt64LE(BigInt(ms));
    fs.writeSync(this.fd, word, 0, 8, 0);
  }
}

/** { server, user, doing }: a vault with a key, a secret and a certificate. */
export async function start(settings = {}) {
  const server = new Hosted();
  try {
    server.prepare({ 'access.separation_of_duty': 'off', 'audit.segment_bytes': 1 << 20,
      'audit.checkpoint_seconds': 1, ...settings }, false);
    await server.restart();
  } catch (error) {
    server.removeNow();
    throw error;
  }
  const operator = await server.officer('operator', ['VAULT_OPERATOR', 'AUDITOR'], '/');
  await operator.call('VaultService/CreateVault', { vault: VAULT });
  const user = await server.officer('user', ROLES, `/vaults/${VAULT}`);
  const doing = work(user);
  for (const one of Object.values(doing.calls)) await one();
  return { server, operator, user, ...doing };
}

const policy = (name) => ({ key_props: { kty: 'EC' }, issuer: { name: 'Self' },
  x509_props: { subject: `CN=${name}`, validity_months: 1 } });

/* What callers do, and what of it was acknowledged. */
function work(user) {
  const made = { keys: [], secrets: [], certificates: [] };
  let number = 0;
  const into = async (list, method, request) => {
    const name = `n${++number}`;
    await user.call(method, { vault: VAULT, name, ...request(name) });
    list.push(name);
  };
  const sign = (name) => user.call('KeyService/Sign',
    { vault: VAULT, name, algorithm: 'ES256', message: Buffer.from('a document') });
  const word = async (name) => {
    const { value } = await user.call('SecretService/GetSecret', { vault: VAULT, name });
    assert.strictEqual(value.toString(), name);
  };
  const calls = {
    'create a key': () => into(made.keys, 'KeyService/CreateKey', () => ({ kty: 'EC' })),
    'set a secret': () => into(made.secrets, 'SecretService/SetSecret',
      (name) => ({ value: Buffer.from(name) })),
    'create a certificate': () => into(made.certificates, 'CertificateService/CreateCertificate',
      (name) => ({ policy: policy(name) })),
    'sign': () => sign(made.keys[0]),
    'get a secret': () => word(made.secrets[0]),
    'get a key': () => user.call('KeyService/GetKey', { vault: VAULT, name: made.keys[0] }),
    'issue a role token': () => user.call('AccessService/IssueRoleToken',
      { roles: ['CRYPTO_USER'], scope: `/vaults/${VAULT}` }, { bearer: null }),
  };
  /** What was acknowledged is there and works. */
  const check = async () => {
    for (const name of [...made.keys, ...made.certificates]) await sign(name);
    for (const name of made.secrets) await word(name);
  };
  return { calls, check, made };
}

/** { ok, code, text, ms } of a call; anything but an honest refusal fails. */
export async function timed(one) {
  const began = performance.now();
  const outcome = await one().then(() => ({ ok: true }), (error) => {
    if (!(error instanceof CallError)) throw error;
    return { ok: false, code: error.code, text: error.message };
  });
  return { ...outcome, ms: performance.now() - began };
}

/**
 * All calls, again and again for so long: { what: { ok, refused } }, and fails for an answer that is
 * late or refused with another code.
 */
export async function watch(at, ms, { codes = ['UNAVAILABLE'], lateMs = 15_000 } = {}) {
  const seen = {};
  for (const until = Date.now() + ms; Date.now() < until;) {
    for (const [what, one] of Object.entries(at.calls)) {
      const { ok, code, text, ms: took } = await timed(one);
      seen[what] ??= { ok: 0, refused: 0 };
      seen[what][ok ? 'ok' : 'refused']++;
      assert(ok || codes.includes(code), at.server.failed(`${what}: ${text}`));
      assert(took < lateMs, at.server.failed(`${what} took ${Math.round(took)} ms`));
    }
  }
  return seen;
}

/** Until every call succeeds. */
export async function recovers(at) {
  const until = Date.now() + BACK_MS;
  for (const [what, one] of Object.entries(at.calls)) {
    for (let last; !(last = await timed(one)).ok; await nap(50)) {
      if (Date.now() > until) throw at.server.failed(`${what} still fails: ${last.text}`);
    }
  }
}

/** The process is the one that was started; the next start finds nothing amiss. */
export async function settle(at, pid) {
  const { server } = at;
  assert.strictEqual(server.pid, pid, 'it was restarted');
  assert.strictEqual(server.child.exitCode, null);
  await at.check();
  server.log = '';
  await server.restart();
  await server.reconciled();
  await at.check();
}
