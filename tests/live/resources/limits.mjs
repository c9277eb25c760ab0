// A machine that runs out: of file descriptors, because connections take them all; of memory, under
// large requests; of the database's lock, which somebody else holds. Callers get an honest answer on
// time, the process goes on, and nothing needs a restart.
// Environment: KV_SANITIZED=1, the server has AddressSanitizer; KV_BUILD, it is of a release.
import assert from 'node:assert';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { nap, run } from '../support/keyvault.mjs';
import { VAULT, recovers, settle, start, timed, watch } from './host.mjs';

const SANITIZED = !process.env.KV_BUILD && process.env.KV_SANITIZED === '1';
const FILES = 256;
const CROWD = 400;
const CROWDED_MS = 1500;
const LOCKED_MS = 2500;
const LARGE = 3 << 20;
const LARGE_ONES = 200;
let at;
let pid;

const limit = (who, what, value) => run('prlimit', [`--pid=${who}`, `--${what}=${value}`]);

before(async () => {
  limit(process.pid, 'nofile', `${FILES}:`); // the server inherits it
  at = await start();
  limit(process.pid, 'nofile', '4096:');
  pid = at.server.pid;
});

after(async () => {
  await at?.server.stop();
});

test('connections take every file descriptor but those that the server needs', async () => {
  const crowd = Array.from({ length: CROWD }, () => {
    const socket = net.connect(at.server.port, '127.0.0.1');
    socket.on('error', () => {});
    return socket;
  });
  const open = () => fs.readdirSync(`/proc/${pid}/fd`).length;
  for (let i = 0; i < 1000 && open() <= FILES / 2; i++) await nap(20);
  assert(open() > FILES / 2, 'it is not crowded');
  const seen = await watch(at, CROWDED_MS);
  for (const [what, { refused }] of Object.entries(seen)) assert.strictEqual(refused, 0, what);
  for (const socket of crowd) socket.destroy();
  await recovers(at);
  const other = at.user.again();
  other.bearer = at.user.bearer;
  await other.call('KeyService/ListKeys', { vault: VAULT });
  other.close();
});

/* The sqlite3 shell with a transaction open; ends when its input does. */
async function locker(database) {
  const shell = spawn('sqlite3', [database], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => { shell.on('close', resolve); });
  shell.stdin.write(".timeout 60000\nBEGIN EXCLUSIVE;\nSELECT 'mine';\n");
  await new Promise((resolve) => { shell.stdout.once('data', resolve); });
  return async () => {
    shell.stdin.end('ROLLBACK;\n');
    await ended;
  };
}

test('somebody else holds the lock of the database', async () => {
  const release = await locker(path.join(at.server.home, 'keyvault.db'));
  const seen = await watch(at, LOCKED_MS, { codes: ['UNAVAILABLE', 'DEADLINE_EXCEEDED',
    'RESOURCE_EXHAUSTED'], lateMs: 18_000 });
  await release();
  assert.strictEqual(seen.sign.refused + seen['get a secret'].refused, 0, JSON.stringify(seen));
  assert(seen['create a key'].refused > 0, 'nothing was locked');
  await recovers(at);
});

/* The sanitizer ends the process where a module's `new` throws, and its address space knows no
 * bounds: this is for the programs of a release. */
if (!SANITIZED) test('memory ends under large requests', async () => {
  const value = Buffer.alloc(LARGE, 'x');
  const used = Number(/VmSize:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`))[1]) * 1024;
  limit(pid, 'as', `${used + (16 << 20)}:`);
  const codes = new Map();
  const large = () => timed(() => at.user.call('KeyService/Sign',
    { vault: VAULT, name: at.made.keys[0], algorithm: 'ES256', message: value }));
  for (const { ok, code } of await Promise.all(Array.from({ length: LARGE_ONES }, large))) {
    codes.set(ok ? 'OK' : code, (codes.get(ok ? 'OK' : code) ?? 0) + 1);
  }
  console.log('#', JSON.stringify([...codes]));
  for (const code of codes.keys()) {
    assert(['OK', 'INVALID_ARGUMENT', 'RESOURCE_EXHAUSTED', 'UNAVAILABLE'].includes(code),
      at.server.failed(code));
  }
  assert(codes.has('RESOURCE_EXHAUSTED') || codes.has('UNAVAILABLE'), 'there was enough memory');
  limit(pid, 'as', 'unlimited:');
  assert.strictEqual(at.server.child.exitCode, null, at.server.failed('it died'));
  assert.strictEqual(at.server.child.signalCode, null, at.server.failed('it died'));
  await recovers(at);
});

test('afterwards', () => settle(at, pid));
