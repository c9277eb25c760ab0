// soak.mjs - a server that is used for long, by everybody at once, while the token's module fails now
// and then: memory, file descriptors and latency stay where they were, no answer is wrong, and at
// the end the audit chain, the keys and what was acknowledged are whole.
//
//   node soak.mjs SECONDS
//
// Environment: KV_SOAK_SECONDS instead; KV_SHIM (p11_shim.c), KV_VERIFY_LOG (verify_main.c).
import assert from 'node:assert';
import { createPublicKey, createVerify } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Shim } from '../faults/shim.mjs';
import { CallError, Keyvault, SOFTHSM, nap, run } from '../support/keyvault.mjs';

const SECONDS = Number(process.argv[2] ?? process.env.KV_SOAK_SECONDS ?? 60);
const WINDOWS = 12;
const CALM_MS = 3000; // at the end of a window there are no faults, and latency is measured
const FAULT_EVERY_MS = 2000;
const CALLERS = 8;
const KEPT = 20; // objects of each kind at once
const VAULT = 'shop';
const ROLES = ['ADMINISTRATOR', 'VAULT_OPERATOR', 'AUDITOR'];
const MESSAGE = Buffer.from('a document');
const HONEST = ['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'RESOURCE_EXHAUSTED'];
const CODES = [0x05, 0x30, 0x31, 0x82, 0xb3, 0x101]; // general, device, memory, handle, session, login
/* What may grow: SoftHSM keeps some 2 KiB of every key that was ever made, the rest is the heap's. */
const KEY_BYTES = 6 << 10;
const HEAP_BYTES = 24 << 20;
const MORE_FILES = 12;
const SLOWER = 3;
const SLOWER_TAIL = 5;

const shim = process.env.KV_SHIM;
assert(shim, 'KV_SHIM must name kv_p11_shim.so');
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'keyvault-soak.'));
process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
Object.assign(process.env, { KV_SHIM_MODULE: SOFTHSM,
  KV_SHIM_CONTROL: path.join(folder, 'control') });

const counts = { answered: 0, refused: 0, faults: 0, keys: 0 };
const live = { key: new Map(), secret: new Map(), certificate: new Map() };
const rubbish = []; // [kind, name]
let latencies = null;
let made = 0;
let on = true;

const any = (map) => [...map.keys()][Math.floor(Math.random() * map.size)];

async function sign(user, map, name) {
  const spki = map.get(name);
  const { signature } = await user.call('KeyService/Sign',
    { vault: VAULT, name, algorithm: 'ES256', message: MESSAGE });
  const key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
  assert(createVerify('sha256').update(MESSAGE).verify({ key, dsaEncoding: 'ieee-p1363' },
    signature), `a signature of ${name} is wrong`);
}

const makers = {
  key: async (user, name) => (await user.call('KeyService/CreateKey',
    { vault: VAULT, name, kty: 'EC' })).spki,
  secret: async (user, name) => {
    await user.call('SecretService/SetSecret', { vault: VAULT, name, value: Buffer.from(name) });
    return name;
  },
  certificate: async (user, name) => {
    await user.call('CertificateService/CreateCertificate', { vault: VAULT, name, policy: {
      key_props: { kty: 'EC' }, issuer: { name: 'Self' },
      x509_props: { subject: `CN=${name}`, validity_months: 1 } } });
    return (await user.call('KeyService/GetKey', { vault: VAULT, name })).spki;
  },
};
const nouns = { key: 'Key', secret: 'Secret', certificate: 'Certificate' };

/* Deleted and purged; what of it was done before is no news. */
async function remove(user, kind, name) {
  const fine = (error) => {
    if (!['NOT_FOUND', 'FAILED_PRECONDITION'].includes(error.code)) throw error;
  };
  const it = { vault: VAULT, name };
  await user.call(`${nouns[kind]}Service/Delete${nouns[kind]}`, it).catch(fine);
  await user.call(`${nouns[kind]}Service/PurgeDeleted${nouns[kind]}`, it).catch(fine);
}

/* A new one, and as many as are kept: the oldest goes, and what a fault left in between. */
async function turn(user, kind) {
  const name = `${kind}-${++made}`;
  const doing = async (victim, work) => {
    try {
      return await work();
    } catch (error) {
      rubbish.push(victim);
      throw error;
    }
  };
  live[kind].set(name, await doing([kind, name], () => makers[kind](user, name)));
  counts.keys += kind !== 'secret';
  const victims = rubbish.splice(0, 2);
  if (live[kind].size > KEPT) {
    const [old] = live[kind].keys();
    live[kind].delete(old);
    victims.push([kind, old]);
  }
  await Promise.all(victims.map((one) => doing(one, () => remove(user, ...one))));
}

async function read(user) {
  const name = any(live.secret);
  const { value } = await user.call('SecretService/GetSecret', { vault: VAULT, name })
    .catch((error) => (error.code === 'NOT_FOUND' && !live.secret.has(name) ? {} :
      Promise.reject(error)));
  if (value) assert.strictEqual(value.toString(), name);
}

const use = (user, kind) => {
  const name = any(live[kind]);
  return sign(user, new Map(live[kind]), name).catch((error) =>
    (error.code === 'NOT_FOUND' && !live[kind].has(name) ? null : Promise.reject(error)));
};

const works = [
  [12, 'sign', (user) => use(user, 'key')],
  [4, 'sign as certificate', (user) => use(user, 'certificate')],
  [6, 'read', read],
  [1, 'new key', (user) => turn(user, 'key')],
  [1, 'new secret', (user) => turn(user, 'secret')],
  [1, 'new certificate', (user) => turn(user, 'certificate')],
  [1, 'role token', (user) => user.call('AccessService/IssueRoleToken',
    { roles: ['AUDITOR'], scope: '/' }, { bearer: null })],
].flatMap(([weight, ...work]) => Array.from({ length: weight }, () => work));

async function load(user) {
  while (on) {
    const [what, work] = works[Math.floor(Math.random() * works.length)];
    const began = performance.now();
    try {
      await work(user);
      counts.answered++;
      if (what === 'sign') latencies?.push(performance.now() - began);
    } catch (error) {
      // A certificate that was refused half-way has no key to be told of.
      const honest = error instanceof CallError && (HONEST.includes(error.code) ||
        (what === 'new certificate' && error.code === 'NOT_FOUND'));
      if (!honest) throw error;
      counts.refused++;
    }
    await nap(1);
  }
}

/* One call of the module fails, is slow, or hangs for a moment. */
async function fault(control) {
  const names = control.called();
  const name = names[Math.floor(Math.random() * names.length)];
  const kind = ['refuse', 'refuse', 'refuse', 'lose', 'delay'][Math.floor(Math.random() * 5)];
  control.inject(name, kind, { rv: CODES[Math.floor(Math.random() * CODES.length)], delay: 50,
    times: kind === 'lose' ? 1 : 0 });
  await nap(200);
  control.lift(name);
  counts.faults++;
}

const rss = (pid) =>
  Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024;
const files = (pid) => fs.readdirSync(`/proc/${pid}/fd`).length;
const quantile = (list, part) => [...list].sort((a, b) => a - b)[Math.floor(list.length * part)];

async function window(server, control, ms) {
  const until = Date.now() + ms - CALM_MS;
  while (Date.now() < until) {
    await fault(control);
    await nap(Math.max(0, Math.min(FAULT_EVERY_MS, until - Date.now())));
  }
  await nap(CALM_MS / 3); // what is to be initialised again is
  latencies = [];
  await nap(CALM_MS * 2 / 3);
  const times = latencies;
  latencies = null;
  assert(times.length > 10, server.failed(`only ${times.length} signatures in the calm`));
  return { rss: rss(server.pid), files: files(server.pid), p50: quantile(times, 0.5),
    p99: quantile(times, 0.99), ...counts };
}

/* The first window is for caches to fill; the last third is compared with the one before. */
function judge(rows) {
  const third = Math.floor(rows.length / 3);
  const [early, late] = [rows.slice(third, 2 * third), rows.slice(-third)];
  const least = (list, of) => Math.min(...list.map(of));
  const grown = least(late, (it) => it.rss) - least(early, (it) => it.rss);
  const keys = late[0].keys - early[0].keys;
  assert(grown <= keys * KEY_BYTES + HEAP_BYTES, `memory grew by ${grown} bytes for ${keys} keys`);
  assert(least(late, (it) => it.files) <= least(early, (it) => it.files) + MORE_FILES, 'files');
  assert(least(late, (it) => it.p50) <= SLOWER * least(early, (it) => it.p50), 'it became slower');
  assert(least(late, (it) => it.p99) <= SLOWER_TAIL * least(early, (it) => it.p99),
    'its slowest calls became slower');
  return { grown, keys };
}

async function settle(server, user, pid) {
  assert.strictEqual(server.pid, pid, 'it was restarted');
  assert.strictEqual(server.child.exitCode, null);
  const { checks } = await user.call('ServerService/CheckServer', {});
  assert.deepStrictEqual(checks.filter((one) => ['token', 'database', 'audit log', 'keys']
    .includes(one.name) && one.result !== 'CHECK_RESULT_OK'), []);
  const { kid, public_key: spki } = await user.call('AuditService/GetAuditStatus');
  await server.terminate();
  assert.match(run(process.env.KV_VERIFY_LOG, [path.join(server.home, 'audit'), kid,
    spki.toString('hex')]), /^broken=sound /);
  server.log = '';
  await server.restart();
  await server.reconciled();
  for (const kind of ['key', 'certificate']) {
    for (const name of live[kind].keys()) await sign(user, live[kind], name);
  }
  for (const name of live.secret.keys()) {
    const { value } = await user.call('SecretService/GetSecret', { vault: VAULT, name });
    assert.strictEqual(value.toString(), name);
  }
}

const server = await Keyvault.start({ separation: 'off', settings: {
  'audit.segment_bytes': 8 << 20, 'audit.checkpoint_seconds': 5,
  'limits.default_deadline_ms': 5000, ...Object.fromEntries(['keys', 'ca', 'system', 'tls']
    .map((it) => [`token.${it}.module`, shim])) } });
try {
  const { pid } = server;
  const user = await server.officer('user', ROLES, '/');
  await user.call('VaultService/CreateVault', { vault: VAULT });
  for (const kind of Object.keys(live)) for (let i = 0; i < KEPT; i++) await turn(user, kind);
  const control = new Shim(process.env.KV_SHIM_CONTROL);
  const callers = Array.from({ length: CALLERS }, () =>
    Object.assign(user.again(), { bearer: user.bearer }));
  const loads = Promise.all(callers.map(load));
  loads.catch(() => {});
  const rows = [];
  console.log('#  memory MiB  files  sign p50 ms  p99 ms  answered  refused  faults  keys made');
  for (let i = 0; i < WINDOWS; i++) {
    const row = await Promise.race([window(server, control, (SECONDS * 1000) / WINDOWS), loads]);
    rows.push(row);
    console.log('#', (row.rss / (1 << 20)).toFixed(1).padStart(11), `${row.files}`.padStart(6),
      row.p50.toFixed(1).padStart(12), row.p99.toFixed(1).padStart(7),
      `${row.answered}`.padStart(9), `${row.refused}`.padStart(8), `${row.faults}`.padStart(7),
      `${row.keys}`.padStart(10));
  }
  on = false;
  await loads;
  control.close();
  const { grown, keys } = judge(rows);
  await settle(server, user, pid);
  console.log(`# ${SECONDS} s: memory grew by ${Math.round(grown / 1024)} KiB while ${keys} keys`,
    'came and went; chain, keys and everything acknowledged are whole');
} finally {
  await server.stop();
}
