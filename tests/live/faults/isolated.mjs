// isolated.mjs - a module in a process of its own: it hangs, it dies, it is killed and replaced, and
// the server serves on without a restart.
//
//   node isolated.mjs          a call that hangs and a crash: for each test run
//   node isolated.mjs --all    more of both
import assert from 'node:assert';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { Keyvault, SOFTHSM, nap, run } from '../support/keyvault.mjs';
import { Load } from './load.mjs';
import { Shim } from './shim.mjs';

const shimPath = process.env.KV_SHIM;
assert(shimPath, 'KV_SHIM must name kv_p11_shim.so');
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'keyvault-isolated.'));
process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
process.env.KV_SHIM_MODULE = SOFTHSM;
process.env.KV_SHIM_CONTROL = path.join(folder, 'control');

const ROLES = ['CERTIFICATE_OFFICER', 'CERTIFICATE_USER', 'CRYPTO_OFFICER', 'CRYPTO_USER',
  'SECRETS_OFFICER', 'SECRETS_USER'];
const DUTIES = ['keys', 'ca', 'system', 'tls'];
const DEADLINE_MS = 2000;
const LATE_MS = DEADLINE_MS + 5000; // a busy machine
const HANG_S = 8; // whoever waits for the module is late
const BACK_MS = 60_000;
const SIGNALS = { SIGSEGV: 11, SIGABRT: 6 };

const isolated = (module, more = {}) => Object.fromEntries(DUTIES.flatMap((it) => [
  [`token.${it}.module`, module], [`token.${it}.isolated`, 'true'],
  ...Object.entries(more).map(([key, value]) => [`token.${it}.${key}`, value])]));

/* Of the server; the process's own memory and files are closed to others. */
function hosts(parent) {
  return fs.readdirSync('/proc').filter((it) => /^\d+$/.test(it)).filter((pid) => {
    try {
      const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
      const [state, ppid] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return Number(ppid) === parent && state !== 'Z' &&
        fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('\0host-module\0');
    } catch {
      return false; // it has just ended
    }
  }).map(Number);
}

const alive = (pid) => {
  try {
    return !/^\d+ \(.*\) Z/.test(fs.readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
};

async function until(what, holds) {
  const end = Date.now() + BACK_MS;
  while (Date.now() < end) {
    if (await holds()) return;
    await nap(50);
  }
  throw server.failed(`not in time: ${what}`);
}

const server = await Keyvault.start({ settings: { 'access.separation_of_duty': 'off',
  'limits.default_deadline_ms': DEADLINE_MS, ...isolated(shimPath, { hang_seconds: HANG_S,
    environment: 'SOFTHSM2_CONF KV_SHIM_MODULE KV_SHIM_CONTROL' }) } });
try {
  const shim = new Shim(process.env.KV_SHIM_CONTROL);
  const operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  await operator.call('VaultService/CreateVault', { vault: 'shop' });
  const load = new Load(await server.officer('user', ROLES, '/vaults/shop'));
  await load.begin();
  const { pid } = server;

  // --- one process for the module, and only the server may use it ---
  const [first, ...others] = hosts(pid);
  assert(first && !others.length, 'one process for one module');
  try {
    const names = fs.readFileSync(`/proc/${first}/environ`, 'latin1').split('\0').filter(Boolean)
      .map((it) => it.slice(0, it.indexOf('='))).sort();
    assert.deepStrictEqual(names, ['KV_SHIM_CONTROL', 'KV_SHIM_MODULE', 'SOFTHSM2_CONF']);
    for (const fd of fs.readdirSync(`/proc/${first}/fd`)) {
      const to = fs.readlinkSync(`/proc/${first}/fd/${fd}`);
      assert(/^(\/dev\/null|socket:|pipe:)/.test(to) || to.startsWith(server.tokens) ||
        to.startsWith(folder), `the module's process has ${to} open`);
    }
  } catch (error) {
    if (error.code !== 'EACCES') throw error; // only root may look
  }
  const home = path.join(server.home, 'isolated');
  assert.strictEqual(fs.statSync(home).mode & 0o777, 0o700);
  const [name] = fs.readdirSync(home);
  const heard = await new Promise((resolve, reject) => {
    const socket = net.connect(path.join(home, name));
    let bytes = 0;
    socket.on('data', (data) => { bytes += data.length; });
    socket.on('error', (error) => (error.code === 'EPIPE' || error.code === 'ECONNRESET' ?
      resolve(bytes) : reject(error)));
    socket.on('close', () => resolve(bytes));
    socket.write(Buffer.from([0]));
  });
  assert.strictEqual(heard, 0, 'a stranger was answered');

  // --- what the remoting itself does not carry works all the same ---
  const { user } = load;
  for (const [key, request, algorithm] of [['ed', { kty: 'OKP', crv: 'ED25519' }, 'EDDSA'],
    ['rsa', { kty: 'RSA', key_size: 2048 }, 'PS256']]) {
    await user.call('KeyService/CreateKey', { vault: 'shop', name: key, ...request },
      { deadline: 30_000 });
    const { signature } = await user.call('KeyService/Sign', { vault: 'shop', name: key, algorithm,
      message: Buffer.from('a document') }, { deadline: 15_000 });
    assert(signature.length > 0);
  }

  // --- it hangs, it crashes, under load ---
  const faults = [['C_Sign', 'hang', 0], ['C_Sign', 'die', SIGNALS.SIGSEGV],
    ...(process.argv[2] === '--all' ? [['C_Encrypt', 'hang', 0], ['C_CopyObject', 'hang', 0],
      ['C_Sign', 'die', SIGNALS.SIGABRT], ['C_GenerateKeyPair', 'die', 0],
      ['C_CopyObject', 'die', 0], ['C_DestroyObject', 'die', 0]] : [])];
  for (const [call, fault, number] of faults) {
    const [before] = hosts(pid);
    Object.assign(load, { wrong: [], late: [], refusals: new Map() });
    load.run(LATE_MS);
    await nap(100);
    shim.inject(call, fault, { rv: number, times: 1 });
    await until(`${call} ${fault}: another process`, () => {
      const now = hosts(pid);
      return now.length === 1 && now[0] !== before;
    });
    assert.strictEqual(shim.read(call, 'hits'), 1);
    await load.stop();
    assert(await load.recovers(BACK_MS), `${call} ${fault}: not back: ${load.last}`);
    assert.deepStrictEqual([load.wrong, load.late], [[], []], `${call} ${fault}`);
  }

  // --- it hangs while it is brought back, and is killed again ---
  shim.inject('C_Initialize', 'hang', { times: 1 });
  const [before] = hosts(pid);
  process.kill(before, 'SIGKILL');
  await until('C_Initialize hangs', () => shim.read('C_Initialize', 'hits') === 1);
  assert(await load.recovers(BACK_MS), `not back after C_Initialize hung: ${load.last}`);

  // --- new handshakes use the TLS key of the process that is there now ---
  const again = user.again();
  again.bearer = user.bearer;
  await until('a handshake', () => again.call('KeyService/GetKey', { vault: 'shop', name: 'rsa' })
    .then(() => true, () => false));
  again.close();

  // --- nothing was lost, and nobody restarted anything ---
  assert.strictEqual(server.child.exitCode, null);
  assert.strictEqual(server.pid, pid);
  await load.check();
  const ended = await server.told('module.ended', faults.length + 2);
  assert.strictEqual(ended.length, faults.length + 2, server.failed('more ends were told').message);

  // --- it does not survive the server, not even inside a call ---
  shim.inject('C_Sign', 'hang', { times: 1 });
  load.sign('key-1').catch(() => {});
  await until('C_Sign hangs', () => shim.read('C_Sign', 'hits') === 1);
  const [last] = hosts(pid);
  await server.kill();
  await until('the process of the module ends with the server', () => !alive(last));
  shim.lift('C_Sign');
  await server.restart();
  await user.token(ROLES, '/vaults/shop');
  await load.check();
  const [host] = hosts(server.pid);
  await server.terminate();
  await until('no process is left after the server', () => !alive(host));
  assert.deepStrictEqual(fs.readdirSync(home), []);

  // --- what cannot be is said at the start ---
  const refused = (settings, text) => {
    const all = server.settings;
    server.configure(settings);
    assert.throws(() => run(process.env.KEYVAULTD, ['run', '--config', server.config],
      { env: server.env }), text);
    server.settings = all;
  };
  refused({ 'token.ca.isolated': 'false' }, /all isolated, or none/);
  refused(isolated('/nowhere/module.so'), /cannot be loaded[^]*nowhere/);
  fs.chmodSync(home, 0o755);
  refused({}, /is not private/);
  shim.close();
} finally {
  server.removeNow();
}
