// Starts with something wrong end with status 1 and say what; a TLS key in a file serves, is read
// again at SIGHUP, and its certificate's end is announced.
import assert from 'node:assert';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import tls from 'node:tls';
import { Keyvault, nap, run } from '../support/keyvault.mjs';

/* Runs the server, which must refuse to. */
function refusal(server, message) {
  const done = spawnSync(process.env.KEYVAULTD, ['run', '--config', server.config],
    { env: { ...process.env, ...server.env }, encoding: 'utf8', timeout: 60_000 });
  assert.equal(done.status, 1, done.stderr);
  assert.match(done.stderr, message);
}

/* With other content in a file of the home for as long as `during` takes. */
function withFile(server, name, content, during) {
  const file = path.join(server.home, name);
  const before = fs.readFileSync(file);
  fs.writeFileSync(file, content);
  during();
  fs.writeFileSync(file, before);
}

test('says what is wrong, and tries a PIN once', async () => {
  const server = await Keyvault.start();
  refusal(server, /another keyvaultd runs on the home/);
  await server.terminate();
  for (const duty of ['keys', 'system', 'tls']) {
    withFile(server, `pins/${duty}`, 'not-the-pin', () => {
      refusal(server, /the PIN of (the TLS token|token 'kv-\w+') was refused/);
    });
    withFile(server, `pins/${duty}`, '', () => refusal(server, /PIN file .* is empty/));
  }
  withFile(server, 'tls/server.pem', 'nothing', () => refusal(server, /TLS certificate .* cannot/));
  withFile(server, 'tls/server.pem', server.admin.identity.pem,
    () => refusal(server, /certificate and key do not belong together/));
  withFile(server, 'keyvault.db', '', () => refusal(server, /keyvaultd: /));
  server.configure({ 'tls.client_ca': 'none.pem' });
  refusal(server, /certificates .* cannot be read/);
  server.configure({ 'tls.client_ca': path.join(server.folder, 'administrator.pem') });
  await server.restart();
  await server.stop();
});

test('what is wrong speaks to no terminal', () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'keyvault-live-'));
  const config = path.join(folder, 'keyvaultd.conf');
  fs.writeFileSync(config, '[limits]\nno\x1b[2J\u009b1A\u202e = 1\n');
  const done = spawnSync(process.env.KEYVAULTD, ['check-config', '--config', config],
    { encoding: 'utf8' });
  fs.rmSync(folder, { recursive: true });
  assert.equal(done.status, 3, done.stderr);
  assert.match(done.stderr, /no setting 'no \[2J 1A ' in \[limits\]\n$/);
});

const served = (server) => new Promise((resolve, reject) => {
  const socket = tls.connect(server.port, '127.0.0.1', { rejectUnauthorized: false,
    ALPNProtocols: ['h2'] }, () => {
    resolve(socket.getPeerX509Certificate().fingerprint256);
    socket.destroy();
  });
  socket.on('error', reject);
});

test('serves with a TLS key in a file, and warns before its end', async () => {
  const server = new Keyvault();
  const put = (days) => {
    fs.mkdirSync(path.join(server.home, 'tls'), { recursive: true, mode: 0o700 });
    run('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
      '-nodes', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost',
      '-days', `${days}`,
      '-keyout', path.join(server.home, 'tls/server.key'),
      '-out', path.join(server.home, 'tls/server.pem')]);
  };
  const real = server.keyvaultd;
  server.keyvaultd = (...args) => {
    put(400);
    return real.apply(server, args);
  };
  server.prepare({ 'tls.key': 'tls/server.key' }, false);
  server.keyvaultd = real;
  await server.restart();
  const first = await served(server);
  await nap(1500);
  assert.doesNotMatch(server.log, /tls.certificate/);
  put(10);
  server.child.kill('SIGHUP');
  for (let i = 0; i < 1000 && (await served(server)) === first; i++) await nap(50);
  assert.notEqual(await served(server), first);
  await server.logged(/"tls.certificate_expires","days_left":9/);
  fs.writeFileSync(path.join(server.home, 'tls/server.pem'), 'broken');
  server.child.kill('SIGHUP');
  await server.logged(/server.reload_failed/);
  await served(server);
  await server.stop();
});
