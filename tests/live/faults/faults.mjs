// faults.mjs - every Cryptoki call fails in every way, under load. Nobody waits longer than the
// deadline, no answer is wrong, no key is lost or left over, and the server is never restarted.
//
//   node faults.mjs             one fault for each call, and calls that hang: for each test run
//   node faults.mjs --all FILE  every fault for every call; the table goes to FILE as Markdown
import assert from 'node:assert';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Keyvault, SOFTHSM, nap } from '../support/keyvault.mjs';
import { Load } from './load.mjs';
import { Shim } from './shim.mjs';

const shim = process.env.KV_SHIM;
assert(shim, 'KV_SHIM must name kv_p11_shim.so');
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'keyvault-faults.'));
process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
process.env.KV_SHIM_MODULE = SOFTHSM;
process.env.KV_SHIM_CONTROL = path.join(folder, 'control');

const ROLES = ['CERTIFICATE_OFFICER', 'CERTIFICATE_USER', 'CRYPTO_OFFICER', 'CRYPTO_USER',
  'SECRETS_OFFICER', 'SECRETS_USER'];
const DEADLINE_MS = 2000; // the server's, for calls that name none
const LATE_MS = DEADLINE_MS + 1500; // a busy machine
const HANG_S = 3;
const BACK_MS = 20_000;

const CODES = { CKR_HOST_MEMORY: 0x02, CKR_GENERAL_ERROR: 0x05, CKR_FUNCTION_FAILED: 0x06,
  CKR_DEVICE_ERROR: 0x30, CKR_DEVICE_MEMORY: 0x31, CKR_DEVICE_REMOVED: 0x32,
  CKR_KEY_HANDLE_INVALID: 0x60, CKR_OBJECT_HANDLE_INVALID: 0x82, CKR_OPERATION_ACTIVE: 0x90,
  CKR_SESSION_CLOSED: 0xb0, CKR_SESSION_HANDLE_INVALID: 0xb3, CKR_TOKEN_NOT_PRESENT: 0xe0,
  CKR_USER_NOT_LOGGED_IN: 0x101, CKR_CRYPTOKI_NOT_INITIALIZED: 0x190 };
const codes = Object.keys(CODES);

/* Calls of a start, so of every recovery: they are met when the module is initialised again. */
const RECOVERY = ['C_Finalize', 'C_Initialize', 'C_GetSlotList', 'C_GetTokenInfo', 'C_OpenSession',
  'C_Login', 'C_GetMechanismList', 'C_FindObjects', 'C_GetAttributeValue'];

class Bench {
  async open() {
    this.server = await Keyvault.start({ settings: { 'access.separation_of_duty': 'off',
      'limits.default_deadline_ms': DEADLINE_MS, 'audit.segment_bytes': 4 << 20,
      ...Object.fromEntries(['keys', 'ca', 'system', 'tls'].flatMap((it) =>
        [[`token.${it}.hang_seconds`, HANG_S], [`token.${it}.module`, shim]])) } });
    this.shim = new Shim(process.env.KV_SHIM_CONTROL);
    const operator = await this.server.officer('operator', ['VAULT_OPERATOR'], '/');
    await operator.call('VaultService/CreateVault', { vault: 'shop' });
    this.load = new Load(await this.server.officer('user', ROLES, '/vaults/shop'));
    await this.load.begin();
    this.pid = this.server.pid;
    this.rows = [];
  }

  /** The functions that work of every kind calls, not counting what a start needs. */
  async used() {
    const before = new Map(this.shim.names.map((it) => [it, this.shim.read(it, 'calls')]));
    this.load.run(LATE_MS);
    await nap(1500);
    await this.load.stop();
    return this.shim.names.filter((it) => this.shim.read(it, 'calls') > before.get(it));
  }

  /** One fault of one call while everybody works; adds a row. */
  async cell(name, fault, { code, times = 0, lastMs = 300, provoke }) {
    const { load } = this;
    Object.assign(load, { wrong: [], late: [], refusals: new Map() });
    const { answers } = load;
    load.run(LATE_MS);
    await nap(30);
    this.shim.inject(name, fault, { rv: CODES[code], times, delay: 300 });
    if (provoke) {
      this.shim.inject(provoke, 'refuse', { rv: CODES.CKR_DEVICE_REMOVED, times: 40 });
    }
    await nap(lastMs);
    const hits = this.shim.read(name, 'hits');
    this.shim.lift(name);
    if (provoke) this.shim.lift(provoke);
    await load.stop();
    const began = Date.now();
    const back = await load.recovers(BACK_MS);
    const row = { name, fault, code: code ?? '', times, hits, provoke,
      answered: load.answers - answers,
      refused: [...load.refusals.values()].reduce((a, b) => a + b, 0),
      late: load.late, wrong: load.wrong, back, backMs: Date.now() - began };
    this.rows.push(row);
    assert.strictEqual(this.server.child.exitCode, null, this.server.failed('the server ended'));
    if (!back || row.wrong.length || row.late.length) {
      console.log(`# ${name} ${fault} ${code ?? ''}: ${back ? '' : `not back: ${load.last}; `}` +
        `${[...row.wrong.slice(0, 3), ...row.late.slice(0, 3)].join('; ')}`);
    }
    return row;
  }

  /** What was promised is there, and nothing else is on the token. */
  async settle() {
    assert.strictEqual(this.server.pid, this.pid, 'the server was restarted');
    await this.load.check();
    this.server.log = '';
    await this.server.restart();
    const [told] = this.server.log.split('\n').filter((it) => it.includes('server.reconciled'));
    const { missing_objects: missing, unknown_objects: unknown } = JSON.parse(told);
    assert.deepStrictEqual({ missing, unknown }, { missing: 0, unknown: 0 });
    await this.load.user.token(ROLES, '/vaults/shop');
    await this.load.check();
  }

  close() {
    this.shim.close();
    return this.server.stop();
  }
}

/* One fault for each call, each code about as often, and three calls that hang. */
async function few(bench, used) {
  for (const [i, name] of used.entries()) {
    await bench.cell(name, 'refuse', { code: codes[i % codes.length] });
  }
  for (const name of ['C_CopyObject', 'C_GenerateKeyPair', 'C_DestroyObject']) {
    await bench.cell(name, 'lose', { code: 'CKR_DEVICE_ERROR', times: 1 });
  }
  for (const name of ['C_Login', 'C_Initialize']) {
    await bench.cell(name, 'refuse', { code: 'CKR_DEVICE_ERROR', times: 2, lastMs: 1500,
      provoke: 'C_FindObjectsInit' });
  }
  for (const name of ['C_Sign', 'C_GenerateKeyPair']) {
    await bench.cell(name, 'hang', { lastMs: HANG_S * 1000 + 2000 });
  }
}

async function all(bench, used) {
  for (const name of used) {
    for (const code of codes) {
      await bench.cell(name, 'refuse', { code, times: 1 });
      await bench.cell(name, 'refuse', { code });
    }
    await bench.cell(name, 'lose', { code: 'CKR_DEVICE_ERROR', times: 1 });
    await bench.cell(name, 'lose', { code: 'CKR_SESSION_HANDLE_INVALID', times: 3 });
    await bench.cell(name, 'delay', { lastMs: 1000 });
    await bench.cell(name, 'hang', { lastMs: HANG_S * 1000 + 2000 });
  }
  for (const name of RECOVERY) {
    for (const code of ['CKR_DEVICE_ERROR', 'CKR_GENERAL_ERROR', 'CKR_HOST_MEMORY']) {
      await bench.cell(name, 'refuse', { code, times: 2, lastMs: 1500,
        provoke: 'C_FindObjectsInit' });
      await bench.cell(name, 'lose', { code, times: 1, lastMs: 1500,
        provoke: 'C_FindObjectsInit' });
    }
  }
}

const kindOf = (row) => (row.provoke ? `${row.fault} while the module is initialised again` :
  row.fault === 'refuse' ? (row.times ? 'refuse once' : 'refuse for 0.3 s') : row.fault);

function table(rows) {
  const groups = new Map();
  for (const row of rows) {
    const key = `${row.name}|${kindOf(row)}`;
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  const sum = (list, of) => list.reduce((total, it) => total + of(it), 0);
  const lines = ['| call | fault | cells | calls hit | answered | refused | late | wrong | longest way back, s |',
    '|---|---|---|---|---|---|---|---|---|'];
  for (const [key, list] of groups) {
    const [name, kind] = key.split('|');
    lines.push(`| \`${name}\` | ${kind} | ${list.length} | ${sum(list, (it) => it.hits)} | ` +
      `${sum(list, (it) => it.answered)} | ${sum(list, (it) => it.refused)} | ` +
      `${sum(list, (it) => it.late.length)} | ${sum(list, (it) => it.wrong.length)} | ` +
      `${(Math.max(...list.map((it) => it.backMs)) / 1000).toFixed(1)} |`);
  }
  return `${lines.join('\n')}\n`;
}

const bench = new Bench();
await bench.open();
try {
  const used = await bench.used();
  assert(used.length >= 14, `only ${used.join(', ')} are called`);
  const every = process.argv[2] === '--all';
  await (every ? all(bench, used) : few(bench, used));
  const { rows } = bench;
  const bad = rows.filter((it) => !it.back || it.late.length || it.wrong.length);
  console.log(`# ${rows.length} faults, ${rows.filter((it) => it.hits).length} of them met;`,
    `${rows.reduce((sum, it) => sum + it.answered, 0)} answers,`,
    `${rows.reduce((sum, it) => sum + it.refused, 0)} refusals`);
  if (every) fs.writeFileSync(process.argv[3], table(rows));
  assert.deepStrictEqual(bad.map((it) => `${it.name} ${it.fault} ${it.code}`), []);
  await bench.settle();
} finally {
  await bench.close();
}
