// stop.mjs - a server that is told to end does, although a call inside the module of a token, in its
// own process, never comes back: one of a worker, one of a reload. Nothing is lost by that.
import assert from 'node:assert';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { Keyvault, SOFTHSM, nap, run } from '../support/keyvault.mjs';
import { Shim } from './shim.mjs';

const shimPath = process.env.KV_SHIM;
assert(shimPath, 'KV_SHIM must name kv_p11_shim.so');
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'keyvault-stop.'));
process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
// A process that is ended has threads that nobody has joined.
process.env.TSAN_OPTIONS = `${process.env.TSAN_OPTIONS ?? ''}:report_thread_leaks=0`;
process.env.KV_SHIM_MODULE = SOFTHSM;
process.env.KV_SHIM_CONTROL = path.join(folder, 'control');

const PATIENCE_MS = 60_000;
const digest = Buffer.alloc(32, 7);
let server;
let shim;
let users = 0;

async function somebody() {
  users += 1;
  return server.officer(`user-${users}`, ['CRYPTO_USER'], '/vaults/shop');
}

async function sign(user) {
  return user.call('KeyService/Sign', { vault: 'shop', name: 'k', algorithm: 'ES256', digest });
}

async function until(what, holds) {
  for (const end = Date.now() + PATIENCE_MS; !holds(); await nap(20)) {
    assert(Date.now() < end, server.failed(what));
  }
}

/* SIGTERM while somebody is inside; what the process says and how it ends. */
async function endsByForce() {
  await until('nobody is inside', () => shim.read('C_Sign', 'inside') > 0);
  server.child.kill('SIGTERM');
  await until('it goes on', () => server.child.exitCode !== null || server.child.signalCode);
  const { code, signal } = await server.ended;
  assert.deepStrictEqual({ code, signal }, { code: 1, signal: null }, server.log);
  const [said] = await server.told('server.stop_forced');
  assert.strictEqual(said.after_seconds, 3);
}

/* The next one finds everything in order. */
async function comesBack() {
  shim.lift('C_Sign');
  await server.restart();
  await sign(await somebody());
  await server.reconciled();
}

before(async () => {
  server = await Keyvault.start({ settings: { 'limits.drain_seconds': 1, 'limits.stop_seconds': 2,
    ...Object.fromEntries(['keys', 'ca', 'system', 'tls'].flatMap((it) =>
      [[`token.${it}.hang_seconds`, 3600], [`token.${it}.module`, shimPath]])) } });
  await server.scanned();
  shim = new Shim(process.env.KV_SHIM_CONTROL);
  const operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  await operator.call('VaultService/CreateVault', { vault: 'shop' });
  const officer = await server.officer('officer', ['CRYPTO_OFFICER'], '/vaults/shop');
  await officer.call('KeyService/CreateKey', { vault: 'shop', name: 'k', kty: 'EC', crv: 'P256' });
});
after(() => server?.stop());

test('a worker is inside a module that does not come back', async () => {
  const user = await somebody();
  shim.inject('C_Sign', 'hang');
  const answer = sign(user).catch((error) => error);
  await endsByForce();
  assert(await answer instanceof Error, 'it was signed');
  await comesBack();
});

test('a reload is', async () => {
  const certificate = path.join(server.home, 'tls', 'server.pem');
  const before = fs.readFileSync(certificate);
  shim.inject('C_Sign', 'hang');
  run('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
    '-subj', '/CN=localhost', '-days', '9', '-keyout', path.join(folder, 'new.key'),
    '-out', certificate]);
  server.child.kill('SIGHUP');
  await server.logged(/"server\.reload"/);
  await endsByForce();
  await server.told('server.stopping'); // calls had been waited for
  fs.writeFileSync(certificate, before);
  await comesBack();
});

test('an end with nobody inside is a good one', async () => {
  await server.terminate();
  assert.doesNotMatch(server.log.slice(server.startsAt), /server\.stop_forced/);
  await server.restart();
});
