// identity.mjs - a new TLS certificate whose key the token is asked to sign with, and does not: the
// reload gives up, the next ones and the end of the server do not wait for it.
import assert from 'node:assert';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { Keyvault, SOFTHSM, nap, run } from '../support/keyvault.mjs';
import { Shim } from './shim.mjs';

const shimPath = process.env.KV_SHIM;
assert(shimPath, 'KV_SHIM must name kv_p11_shim.so');
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'keyvault-identity.'));
process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
process.env.KV_SHIM_MODULE = SOFTHSM;
process.env.KV_SHIM_CONTROL = path.join(folder, 'control');

const PATIENCE_MS = 60_000;
let server;
let shim;
let user;
let certificate;
let usual;

const sign = () => user.call('KeyService/Sign',
  { vault: 'shop', name: 'k', algorithm: 'ES256', digest: Buffer.alloc(32, 7) });

/* The certificate becomes one of a key that is not on the token. */
function putAnother() {
  run('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
    '-subj', '/CN=localhost', '-days', '9', '-keyout', path.join(folder, 'new.key'),
    '-out', certificate]);
}

async function until(what, holds) {
  for (const end = Date.now() + PATIENCE_MS; !holds(); await nap(20)) {
    assert(Date.now() < end, server.failed(what));
  }
}

before(async () => {
  server = await Keyvault.start({ settings: { 'token.tls.hang_seconds': 2,
    'audit.checkpoint_seconds': 86400, // a checkpoint would take the place of the new key
    ...Object.fromEntries(['keys', 'ca', 'system', 'tls'].map((it) =>
      [`token.${it}.module`, shimPath])) } });
  await server.scanned();
  shim = new Shim(process.env.KV_SHIM_CONTROL);
  const operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  await operator.call('VaultService/CreateVault', { vault: 'shop' });
  const officer = await server.officer('officer', ['CRYPTO_OFFICER'], '/vaults/shop');
  await officer.call('KeyService/CreateKey', { vault: 'shop', name: 'k', kty: 'EC', crv: 'P256' });
  user = await server.officer('user', ['CRYPTO_USER'], '/vaults/shop');
  await sign();
  certificate = path.join(server.home, 'tls', 'server.pem');
  usual = fs.readFileSync(certificate);
});
after(() => server?.stop());

test('a reload gives up, and the next ones do not wait', async () => {
  shim.inject('C_Sign', 'hang', { times: 1 });
  putAnother();
  const gaveUp = await server.reload('server.reload_failed');
  assert.match(gaveUp.why, /does not sign for the new certificate/);
  assert.strictEqual(shim.read('C_Sign', 'inside'), 1);
  await sign(); // who is connected notices nothing

  const another = await server.reload('server.reload_failed');
  assert.match(another.why, /has not come back since an earlier reload/);
  fs.writeFileSync(certificate, usual);
  await server.reload(); // of the same key: the token is not asked
  assert.strictEqual(shim.read('C_Sign', 'inside'), 1);
});

test('when the token is back it is asked again', async () => {
  shim.lift('C_Sign');
  await until('it does not come back', () => shim.read('C_Sign', 'inside') === 0);
  putAnother();
  for (const end = Date.now() + PATIENCE_MS; ; await nap(100)) {
    const { why } = await server.reload('server.reload_failed');
    if (/do not belong together/.test(why)) break;
    assert(Date.now() < end, why); // it is out of use for a moment yet
  }
  fs.writeFileSync(certificate, usual);
  await server.reload();
  await (await server.officer('late', ['CRYPTO_USER'], '/vaults/shop'))
    .call('KeyService/GetKey', { vault: 'shop', name: 'k' });
});

test('the end waits for the token, not for the time of a reload', async () => {
  shim.inject('C_Sign', 'hang', { times: 1 });
  putAnother();
  server.child.kill('SIGHUP');
  await until('nobody is inside', () => shim.read('C_Sign', 'inside') > 0);
  server.child.kill('SIGTERM');
  await server.told('server.stopping');
  shim.lift('C_Sign');
  const { code, signal } = await server.ended;
  assert.deepStrictEqual({ code, signal }, { code: 0, signal: null }, server.log);
  assert.doesNotMatch(server.log.slice(server.startsAt), /server\.stop_forced/);
});
