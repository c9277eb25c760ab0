// two.mjs - two modules at once, each in a process of its own: one dies, hangs or takes another
// process along, and the other goes on undisturbed; nothing is left of either.
import assert from 'node:assert';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Keyvault, SOFTHSM, nap } from '../support/keyvault.mjs';
import { Shim } from './shim.mjs';

const shimPath = process.env.KV_SHIM;
assert(shimPath, 'KV_SHIM must name kv_p11_shim.so');
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'keyvault-two.'));
process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
process.env.KV_SHIM_MODULE = SOFTHSM;
process.env.KV_SHIM_CONTROL = path.join(folder, 'control');

const BACK_MS = 60_000;
const SIGKILL = 9;
const HANG_S = 5; // no call of a module that is well takes so long
const of = (duty, module) => ({ [`token.${duty}.module`]: module, [`token.${duty}.isolated`]: 'true',
  [`token.${duty}.hang_seconds`]: HANG_S,
  [`token.${duty}.environment`]: 'SOFTHSM2_CONF KV_SHIM_MODULE KV_SHIM_CONTROL' });

/* All that `parent` has started: { pid, state, args, group }. */
function children(parent) {
  return fs.readdirSync('/proc').filter((it) => /^\d+$/.test(it)).flatMap((pid) => {
    try {
      const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
      const [state, ppid, group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (Number(ppid) !== parent) return [];
      const args = fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0');
      return [{ pid: Number(pid), state, args, group: Number(group) }];
    } catch {
      return []; // it has just ended
    }
  });
}

/* The processes of a group, whoever their parent is. */
function group(id) {
  return fs.readdirSync('/proc').filter((it) => /^\d+$/.test(it)).filter((pid) => {
    try {
      const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
      const [state, , pgrp] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return Number(pgrp) === id && state !== 'Z';
    } catch {
      return false;
    }
  });
}

async function until(what, holds) {
  let why = '';
  for (const end = Date.now() + BACK_MS; Date.now() < end; await nap(20)) {
    try {
      const it = await holds();
      if (it) return it;
    } catch (error) {
      if (!(error instanceof assert.AssertionError) && error.code !== 'ENOENT') throw error;
      why = error.message; // not yet
    }
  }
  throw server.failed(`not in time: ${what} ${why}`);
}

const server = await Keyvault.start({ separation: 'off', settings: { ...of('keys', shimPath),
  ...of('ca', SOFTHSM), ...of('system', SOFTHSM), ...of('tls', SOFTHSM) } });

/* The process of a module; undefined while there is none. */
const host = (module) => children(server.pid).find((it) => it.state !== 'Z' &&
  it.args[1] === 'host-module' && it.args[2] === module)?.pid;

/* The sockets that a process has open besides its standard error; null: only root may look. */
function sockets(pid) {
  try {
    return fs.readdirSync(`/proc/${pid}/fd`).filter((fd) => fd !== '2').map((fd) => fs.readlinkSync(`/proc/${pid}/fd/${fd}`))
      .filter((it) => it.startsWith('socket:'));
  } catch (error) {
    if (error.code === 'EACCES') return null;
    throw error;
  }
}

/* One process for each module, none that waits to be buried, and no socket that is of both. */
function inOrder() {
  const all = children(server.pid);
  assert.deepStrictEqual(all.map((it) => it.args[2]).sort(), [SOFTHSM, shimPath].sort());
  assert(all.every((it) => it.state !== 'Z'), 'a process is not buried');
  const [one, other] = all.map((it) => sockets(it.pid));
  assert(!one || !one.some((it) => other.includes(it)), 'the processes share a socket');
  assert.strictEqual(fs.readdirSync(path.join(server.home, 'isolated')).length, 2);
  return fs.readdirSync(`/proc/${server.pid}/fd`).length;
}

try {
  const shim = new Shim(process.env.KV_SHIM_CONTROL);
  const operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  await operator.call('VaultService/CreateVault', { vault: 'shop' });
  const user = await server.officer('user',
    ['CRYPTO_OFFICER', 'CRYPTO_USER', 'SECRETS_OFFICER', 'SECRETS_USER'], '/vaults/shop');
  const value = Buffer.from('a value');
  await user.call('KeyService/CreateKey', { vault: 'shop', name: 'k', kty: 'EC' });
  await user.call('SecretService/SetSecret', { vault: 'shop', name: 's', value });
  /* The one needs the token of the keys alone, the other the system's. */
  const sign = () => user.call('KeyService/Sign', { vault: 'shop', name: 'k', algorithm: 'ES256',
    message: Buffer.from('a document') });
  const read = async () => {
    assert((await user.call('SecretService/GetSecret', { vault: 'shop', name: 's' })).value
      .equals(value));
  };
  const works = (work) => work().then(() => true, (error) => {
    if (error.code !== 'UNAVAILABLE' && error.code !== 'DEADLINE_EXCEEDED') throw error;
    return false;
  });
  const descriptors = inOrder();

  /* While `hurt` is done to one module and until it is back, the other answers everything. */
  async function disturb(module, work, hurt, undisturbed) {
    const before = host(module);
    const other = host(module === SOFTHSM ? shimPath : SOFTHSM);
    let answered = 0;
    let back = false;
    const watch = (async () => {
      for (; !back; answered++) await undisturbed();
    })();
    await hurt(before);
    await until('another process', () => host(module) && host(module) !== before);
    await until('it works again', () => works(work));
    back = true;
    await watch;
    assert(answered > 0, 'nobody asked the other');
    assert.strictEqual(host(module === SOFTHSM ? shimPath : SOFTHSM), other,
      'the other was replaced too');
    await until('the module leaves no process behind', () => group(before).length === 0);
    await until('its descriptors are closed', () => inOrder() <= descriptors);
  }

  // --- it dies ---
  await disturb(shimPath, sign, (pid) => process.kill(pid, 'SIGKILL'), read);
  await disturb(SOFTHSM, read, (pid) => process.kill(pid, 'SIGSEGV'), sign);

  // --- it hangs: all of it ---
  await disturb(SOFTHSM, read, (pid) => {
    process.kill(pid, 'SIGSTOP');
    return works(read);
  }, sign);

  // --- a process that it has started lives on, with all that it had open ---
  await disturb(shimPath, sign, () => {
    shim.inject('C_Sign', 'leave', { rv: SIGKILL, times: 1 });
    return works(sign);
  }, read);

  // --- the same, where killing the module's group does not reach it ---
  await disturb(shimPath, sign, () => {
    shim.inject('C_Sign', 'escape', { rv: SIGKILL, times: 1 });
    return works(sign);
  }, read);
  shim.lift('C_Sign');

  // --- the log tells of the token that was hurt alone ---
  const told = (await server.told('module.ended', 5)).map((it) => it.module);
  assert.deepStrictEqual(told, [shimPath, SOFTHSM, SOFTHSM, shimPath, shimPath]);

  // --- a new configuration leaves both alone ---
  const both = [host(shimPath), host(SOFTHSM)];
  await server.reload();
  await sign();
  await read();
  assert.deepStrictEqual([host(shimPath), host(SOFTHSM)], both);
  inOrder();

  // --- and both end with the server ---
  await server.terminate();
  await until('no process is left', () => both.flatMap(group).length === 0);
  assert.deepStrictEqual(fs.readdirSync(path.join(server.home, 'isolated')), []);
  shim.close();
} finally {
  server.removeNow();
}
