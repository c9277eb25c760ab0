// faults.mjs - every Cryptoki call fails in every way, under load. Nobody waits longer than the
// deadline, no answer is wrong, no key is lost or left over, and the server is never restarted.
//
//   node faults.mjs             one fault for each call, and calls that hang: for each test run
//   node faults.mjs --all FILE  every class of fault for every call; the table goes to FILE as
//                               Markdown, rows that are there already are not done again
//     --isolated                the module in a process of its own: calls that never return, crashes
//     --every-code              all codes instead of one for each class
//     --recovery                only faults while the module is initialised again; --calls: all others
import assert from 'node:assert';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
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
const LATE_MS = DEADLINE_MS + 6000; // a busy machine
const HANG_S = 3;
const HUNG_MS = LATE_MS + 1000; // whoever waits for the module then is late
const BACK_MS = 60_000;

const CODES = { CKR_HOST_MEMORY: 0x02, CKR_GENERAL_ERROR: 0x05, CKR_FUNCTION_FAILED: 0x06,
  CKR_DEVICE_ERROR: 0x30, CKR_DEVICE_MEMORY: 0x31, CKR_DEVICE_REMOVED: 0x32,
  CKR_KEY_HANDLE_INVALID: 0x60, CKR_OBJECT_HANDLE_INVALID: 0x82, CKR_OPERATION_ACTIVE: 0x90,
  CKR_SESSION_CLOSED: 0xb0, CKR_SESSION_HANDLE_INVALID: 0xb3, CKR_TOKEN_NOT_PRESENT: 0xe0,
  CKR_USER_NOT_LOGGED_IN: 0x101, CKR_CRYPTOKI_NOT_INITIALIZED: 0x190 };
const codes = Object.keys(CODES);
/* One for each class of pkcs11/rv.c that may be the token's fault. */
const CLASSES = ['CKR_DEVICE_ERROR', 'CKR_GENERAL_ERROR', 'CKR_SESSION_HANDLE_INVALID',
  'CKR_OBJECT_HANDLE_INVALID', 'CKR_USER_NOT_LOGGED_IN'];

const flag = (name) => process.argv.includes(`--${name}`);
const table = flag('all') && process.argv[process.argv.indexOf('--all') + 1];
const isolated = flag('isolated');

/* Calls of a start, so of every recovery: they are met when the module is initialised again. The
 * first two are of nothing else; the others are counted from C_Initialize on, when nobody but the
 * recovery is inside. */
const RECOVERY = ['C_Finalize', 'C_Initialize', 'C_GetSlotList', 'C_GetTokenInfo',
  'C_GetMechanismList', 'C_OpenSession', 'C_Login', 'C_FindObjectsInit', 'C_FindObjects',
  'C_FindObjectsFinal', 'C_GetAttributeValue', 'C_CreateObject'];
const FIRST = 2;

/* After an error a session is given up for a new one. */
const SESSIONS = ['C_CloseSession', 'C_OpenSession'];

/* What makes rare calls happen. The first is of the supervisor's probe: its failing has the module
 * initialised again. */
const RENEWAL = { call: 'C_Encrypt', rv: CODES.CKR_DEVICE_REMOVED, times: 4, again: true,
  when: 'while the module is initialised again' };
const SPOILT = { call: 'C_Sign', rv: CODES.CKR_GENERAL_ERROR, times: 12,
  when: 'while sessions are opened anew' };

/* Only `keyvaultd init` makes tokens, and what it leaves half-made it finds again: live_init. */
const OF_INIT = ['C_InitToken', 'C_InitPIN', 'C_Logout'];

/** The functions of PKCS #11 that pkcs11/ calls. */
function calledByServer() {
  const source = fileURLToPath(new URL('../../../pkcs11', import.meta.url));
  const names = fs.readdirSync(source).filter((name) => /^[^.]*\.c$/.test(name) &&
    !name.startsWith('isolated')).flatMap((name) => [...fs.readFileSync(path.join(source, name),
    'utf8').matchAll(/->(C_[A-Z]\w+)\(/g)].map((it) => it[1]));
  assert(names.length > 20, `${source} calls nothing`);
  return [...new Set(names)].filter((name) => !OF_INIT.includes(name));
}

class Bench {
  async open() {
    this.server = await Keyvault.start({ settings: { 'access.separation_of_duty': 'off',
      'limits.default_deadline_ms': DEADLINE_MS, 'audit.segment_bytes': 4 << 20,
      ...Object.fromEntries(['keys', 'ca', 'system', 'tls'].flatMap((it) =>
        [[`token.${it}.hang_seconds`, HANG_S], [`token.${it}.module`, shim],
          [`token.${it}.isolated`, `${isolated}`], [`token.${it}.environment`,
            'SOFTHSM2_CONF KV_SHIM_MODULE KV_SHIM_CONTROL']])) } });
    await this.server.scanned();
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
    for (const until = Date.now() + BACK_MS; !this.load.tried(2); await nap(50)) {
      assert(Date.now() < until, `not all kinds of calls are answered: ${this.load.last}`);
    }
    await this.load.stop();
    const names = this.shim.names.filter((it) => this.shim.read(it, 'calls') > before.get(it));
    const others = calledByServer().filter((it) => ![...names, ...RECOVERY, ...SESSIONS]
      .includes(it));
    assert.deepStrictEqual(others, [], 'the server calls these, and nobody makes them fail');
    return names;
  }

  /** One fault of one call while everybody works; adds a row. */
  async cell(name, fault, { code, rv = CODES[code], times = 0, lastMs = 300, provoke }) {
    const { load } = this;
    Object.assign(load, { wrong: [], late: [], refusals: new Map() });
    const { answers } = load;
    this.server.log = '';
    load.run(LATE_MS);
    await nap(30);
    this.shim.inject(name, fault, { rv, times, delay: 300,
      again: Boolean(provoke?.again) && RECOVERY.indexOf(name) >= FIRST });
    if (provoke) this.shim.inject(provoke.call, 'refuse', { rv: provoke.rv, times: provoke.times });
    await nap(lastMs);
    const hits = this.shim.read(name, 'hits');
    /* Of a call that never returns, only another process can know nothing. */
    if (fault !== 'hang' || !isolated) this.shim.lift(name);
    if (provoke) this.shim.lift(provoke.call);
    await load.stop();
    const began = Date.now();
    const back = await load.recovers(BACK_MS);
    const row = { name, fault, code: code ?? '', times, hits, provoke,
      answered: load.answers - answers,
      refused: [...load.refusals.values()].reduce((a, b) => a + b, 0),
      late: load.late, wrong: load.wrong, back, backMs: Date.now() - began };
    this.rows.push(row);
    assert.strictEqual(this.server.child.exitCode, null, this.server.failed('the server ended'));
    if (fault === 'hang' && !provoke && hits) await this.told(name);
    if (!back || row.wrong.length || row.late.length) {
      console.log(`# ${name} ${fault} ${code ?? ''}: ${back ? '' : `not back: ${load.last}; `}` +
        `${[...row.wrong.slice(0, 3), ...row.late.slice(0, 3)].join('; ')}`);
    }
    return row;
  }

  /** Somebody has said that the call does not come back. */
  async told(name) {
    const until = Date.now() + BACK_MS;
    while (!/"(token\.down|module\.ended)"/.test(this.server.log)) {
      assert(Date.now() < until, `${name} hung, and nobody said so`);
      await nap(100);
    }
  }

  /** What was promised is there, and nothing else is on the token. */
  async settle() {
    assert.strictEqual(this.server.pid, this.pid, 'the server was restarted');
    await this.load.check();
    this.server.log = '';
    await this.server.restart();
    await this.server.reconciled();
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
      provoke: RENEWAL });
  }
  for (const name of SESSIONS) {
    const met = await bench.cell(name, 'refuse', { code: 'CKR_DEVICE_ERROR', times: 2, lastMs: 500,
      provoke: SPOILT });
    assert(met.hits, `${name} was not called`);
  }
  for (const name of ['C_Sign', 'C_GenerateKeyPair']) {
    await bench.cell(name, 'hang', { lastMs: HUNG_MS });
  }
}

async function inProcess(bench, name) {
  for (const code of flag('every-code') ? codes : CLASSES) {
    await bench.cell(name, 'refuse', { code, times: 1 });
    await bench.cell(name, 'refuse', { code });
  }
  await bench.cell(name, 'lose', { code: 'CKR_DEVICE_ERROR', times: 1 });
  await bench.cell(name, 'lose', { code: 'CKR_SESSION_HANDLE_INVALID', times: 3 });
  await bench.cell(name, 'delay', { lastMs: 1000 });
  await bench.cell(name, 'hang', { times: 1, lastMs: HUNG_MS });
}

/* Never taken back: nothing but another process helps. */
async function ofItsOwn(bench, name) {
  await bench.cell(name, 'refuse', { code: 'CKR_DEVICE_ERROR' });
  await bench.cell(name, 'hang', { times: 1, lastMs: HANG_S * 1000 + 1000 });
  for (const rv of [11, 6]) await bench.cell(name, 'die', { rv, times: 1, lastMs: 1000 });
}

async function recovering(bench, name) {
  const lastMs = 1500;
  for (const code of ['CKR_DEVICE_ERROR', 'CKR_GENERAL_ERROR', 'CKR_HOST_MEMORY']) {
    await bench.cell(name, 'refuse', { code, times: 2, lastMs, provoke: RENEWAL });
    await bench.cell(name, 'lose', { code, times: 1, lastMs, provoke: RENEWAL });
  }
  await bench.cell(name, 'hang', { times: 1, lastMs: HANG_S * 1000 + 1000, provoke: RENEWAL });
  if (isolated) await bench.cell(name, 'die', { rv: 11, times: 1, lastMs, provoke: RENEWAL });
}

async function renewing(bench, name) {
  const lastMs = 1000;
  for (const code of ['CKR_SESSION_HANDLE_INVALID', 'CKR_GENERAL_ERROR']) {
    await bench.cell(name, 'refuse', { code, times: 2, lastMs, provoke: SPOILT });
    await bench.cell(name, 'lose', { code, times: 1, lastMs, provoke: SPOILT });
  }
  await bench.cell(name, 'delay', { times: 2, lastMs, provoke: SPOILT });
  await bench.cell(name, 'hang', { times: 1, lastMs: HANG_S * 1000 + 2000, provoke: SPOILT });
  if (isolated) await bench.cell(name, 'die', { rv: 11, times: 1, lastMs, provoke: SPOILT });
}

const kindOf = (row) => (row.provoke ? `${row.fault} ${row.provoke.when}` :
  row.fault === 'refuse' ? (row.times ? 'refuse once' : 'refuse for 0.3 s') : row.fault);

const HEAD = '| call | fault | faults | calls hit | answered | refused | hung callers | ' +
  'wrong answers | longest way back, s |\n|---|---|---|---|---|---|---|---|---|\n';

function lines(rows) {
  const groups = new Map();
  for (const row of rows) {
    const key = `${row.name}|${kindOf(row)}`;
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  const sum = (list, of) => list.reduce((total, it) => total + of(it), 0);
  return [...groups].map(([key, list]) => {
    const [name, kind] = key.split('|');
    return `| \`${name}\` | ${kind} | ${list.length} | ${sum(list, (it) => it.hits)} | ` +
      `${sum(list, (it) => it.answered)} | ${sum(list, (it) => it.refused)} | ` +
      `${sum(list, (it) => it.late.length)} | ${sum(list, (it) => it.wrong.length)} | ` +
      `${(Math.max(...list.map((it) => it.backMs)) / 1000).toFixed(1)} |\n`;
  }).join('');
}

const badOf = (rows) => rows.filter((it) => !it.back || it.late.length || it.wrong.length)
  .map((it) => `${it.name} ${it.fault} ${it.code}`);

/* A server of its own for each call: what is left at the end is what its faults left. */
async function one(name, work) {
  const bench = new Bench();
  await bench.open();
  try {
    await work(bench, name);
    assert.deepStrictEqual(badOf(bench.rows), []);
    await bench.settle();
    fs.appendFileSync(table, lines(bench.rows));
    console.log(`# ${name}: ${bench.rows.length} faults`);
  } finally {
    await bench.close();
  }
}

async function all() {
  const bench = new Bench();
  await bench.open();
  const used = await bench.used().finally(() => bench.close());
  if (!fs.existsSync(table)) fs.writeFileSync(table, HEAD);
  const done = fs.readFileSync(table, 'utf8');
  const failed = [];
  for (const [names, work, word] of [[used, isolated ? ofItsOwn : inProcess, 'for 0.3 s'],
    [SESSIONS, renewing, SPOILT.when], [RECOVERY, recovering, RENEWAL.when]]) {
    if (flag(work === recovering ? 'calls' : 'recovery')) continue;
    for (const name of names) {
      if (done.includes(`\`${name}\` | refuse ${word} |`)) continue;
      await one(name, work).catch((error) => {
        failed.push(name);
        console.log(`# ${name}: ${error.message}`);
      });
    }
  }
  assert.deepStrictEqual(failed, []);
}

async function someOfEach() {
  const bench = new Bench();
  await bench.open();
  try {
    const used = await bench.used();
    assert(used.length >= 12, `only ${used.join(', ')} are called`);
    await few(bench, used);
    const { rows } = bench;
    console.log(`# ${rows.length} faults, ${rows.filter((it) => it.hits).length} of them met;`,
      `${rows.reduce((sum, it) => sum + it.answered, 0)} answers,`,
      `${rows.reduce((sum, it) => sum + it.refused, 0)} refusals`);
    assert.deepStrictEqual(badOf(rows), []);
    await bench.settle();
  } finally {
    await bench.close();
  }
}

await (table ? all() : someOfEach());
