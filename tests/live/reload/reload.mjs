// reload.mjs - SIGHUP takes a new configuration over while calls go on; a broken one changes nothing;
// a client whose CA was taken away is out, with a session that is resumed too.
import assert from 'node:assert';
import fs from 'node:fs';
import path from 'node:path';
import test, { after, before } from 'node:test';
import tls from 'node:tls';
import http2 from 'node:http2';
import { Keyvault, encode, methods, nap, run, selfSigned } from '../support/keyvault.mjs';

const RELOADS = Number(process.env.KV_RELOADS ?? 25);
const BUSY_MS = 60_000 + RELOADS * 1000;
let server;
let app; // known by the client CA
let user; // by a certificate of their own
const digest = Buffer.alloc(32, 7);
const sign = (caller, options) => caller.call('KeyService/Sign',
  { vault: 'shop', name: 'k', algorithm: 'ES256', digest }, options);

/* Makes a self-signed identity for the server where [tls] has it. */
function putIdentity() {
  const at = (name) => path.join(server.home, 'tls', name);
  fs.mkdirSync(path.join(server.home, 'tls'), { recursive: true, mode: 0o700 });
  run('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
    '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-days', '90',
    '-keyout', at('new.key'), '-out', at('new.pem')]);
  fs.renameSync(at('new.key'), at('server.key'));
  fs.renameSync(at('new.pem'), at('server.pem'));
}

before(async () => {
  server = new Keyvault();
  const init = server.keyvaultd;
  server.keyvaultd = (...args) => {
    putIdentity();
    return init.apply(server, args);
  };
  server.prepare({ 'tls.key': 'tls/server.key' }, true);
  server.keyvaultd = init;
  await server.restart();
  const operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  await operator.call('VaultService/CreateVault', { vault: 'shop' });
  const officer = await server.officer('officer', ['CRYPTO_OFFICER'], '/vaults/shop');
  await officer.call('KeyService/CreateKey', { vault: 'shop', name: 'k', kty: 'EC', crv: 'P256' });
  user = await server.officer('user', ['CRYPTO_USER'], '/vaults/shop');
  app = await server.service('app', [['CRYPTO_USER', '/vaults/shop']]);
  await app.token(['CRYPTO_USER'], '/vaults/shop', 3600);
});
after(() => server?.stop());

test('no call fails while everything that can change does', async () => {
  let going = true;
  let done = 0;
  const failed = [];
  const connections = [];
  const keep = async (caller) => {
    while (going) {
      await sign(caller).then(() => { done++; }, (error) => failed.push(error.message));
    }
  };
  /* One makes a new connection each time, with the identity that is there then. */
  const renew = async () => {
    while (going) {
      const fresh = app.again();
      fresh.bearer = app.bearer;
      connections.push(fresh);
      await sign(fresh).then(() => { done++; }, (error) => {
        /* It read the certificate just before it was replaced: the client's doing. */
        if (!/self.signed|certificate|unable to verify/i.test(error.text)) {
          failed.push(error.message);
        }
      });
      fresh.close();
      server.callers.delete(fresh);
    }
  };
  const work = [keep(user), keep(user), keep(app), keep(app), renew()];
  const until = Date.now() + BUSY_MS;
  for (let i = 0; i < RELOADS || connections.length <= 3; i++) {
    const before = done;
    assert(Date.now() < until, `${done} calls, ${connections.length} connections`);
    if (i % 5 === 0) putIdentity();
    server.configure({ 'limits.calls_per_principal': 100 + i, 'limits.streams': 64 + i,
      'limits.idle_seconds': 100 + i, 'limits.rate': i % 2 ? 100000 : 0,
      'server.log_level': i % 2 ? 'info' : 'debug' });
    await server.reload();
    while (done === before && Date.now() < until) await nap(1);
  }
  going = false;
  await Promise.all(work);
  assert.deepEqual(failed, []);
  assert(done > RELOADS, `${done} calls`);
  assert(connections.length > 3, `${connections.length} connections`);
});

test('what was changed is in force, what cannot change is named', async () => {
  server.configure({ 'limits.calls_per_principal': 1, 'limits.queue': 77,
    'server.quick_workers': 3 });
  assert.match(JSON.stringify(await server.reload()), /\[limits\] calls_per_principal/);
  await server.logged(
    /"server\.restart_needed","settings":"\[server\] quick_workers, \[limits\] queue"/);
  let ends = [];
  for (let i = 0; i < 50 && !ends.some((it) => it.reason?.reason === 'LIMIT_REACHED'); i++) {
    ends = await Promise.allSettled(Array.from({ length: 20 }, () => sign(user)));
  }
  assert(ends.some((it) => it.reason?.reason === 'LIMIT_REACHED'));
  server.configure({ 'limits.calls_per_principal': 500, 'limits.queue': 4096,
    'server.quick_workers': 2 });
  await server.reload();
  await Promise.all(Array.from({ length: 20 }, () => sign(user)));
});

test('a broken configuration changes nothing and says why', async () => {
  const before = server.settings;
  const config = fs.readFileSync(server.config, 'utf8');
  const pem = fs.readFileSync(path.join(server.home, 'tls/server.pem'));
  const caFile = path.join(server.folder, 'client-ca.pem');
  const ca = fs.readFileSync(caFile);
  const broken = async (why) => {
    assert.match(JSON.stringify(await server.reload('server.reload_failed')), why);
    /* Not even the half of it: this limit would refuse all but one. */
    await Promise.all(Array.from({ length: 10 }, () => sign(user)));
    await sign(app);
  };
  server.configure({ 'limits.calls_per_principal': 1, 'limits.rate': 'fast' });
  await broken(/\[limits\] rate must be a number/);
  fs.writeFileSync(server.config, `${config}\n[limitz]\nx = 1\n`);
  await broken(/there is no setting 'x' in \[limitz\]/);
  fs.rmSync(server.config);
  await broken(/cannot be opened/);
  server.settings = before;
  server.configure({ 'limits.calls_per_principal': 1 });
  fs.writeFileSync(path.join(server.home, 'tls/server.pem'), 'broken');
  await broken(/TLS certificate|cannot be read|belong together/);
  fs.writeFileSync(path.join(server.home, 'tls/server.pem'), user.identity.pem);
  await broken(/belong together/);
  /* A file that somebody is still writing, or a line that went with the copying. */
  const half = user.identity.pem.slice(0, user.identity.pem.length / 2);
  fs.writeFileSync(path.join(server.home, 'tls/server.pem'), `${pem}${half}`);
  await broken(/TLS certificate.*cannot be read/);
  fs.writeFileSync(path.join(server.home, 'tls/server.pem'), pem);
  fs.writeFileSync(caFile, `${ca}${half}`);
  await broken(/one that cannot be read/);
  fs.writeFileSync(caFile, 'broken');
  await broken(/has no certificate/);
  fs.writeFileSync(caFile, selfSigned('leaf').pem);
  await broken(/not the certificate of a CA/);
  fs.writeFileSync(caFile, ca);
  server.configure({ 'limits.calls_per_principal': 500 });
  await server.reload();
});

/* A call over a connection of our own, which a TLS session of before may begin. */
function signOver(session) {
  return new Promise((resolve, reject) => {
    let ticket = session;
    const socket = tls.connect({ port: server.port, host: '127.0.0.1', servername: 'localhost',
      ca: fs.readFileSync(path.join(server.home, 'tls/server.pem')), key: app.identity.key,
      cert: app.identity.pem, ALPNProtocols: ['h2'], session });
    socket.on('session', (it) => { ticket = it; });
    socket.on('error', reject);
    const client = http2.connect('https://localhost', { createConnection: () => socket });
    client.on('error', reject);
    const stream = client.request({ ':method': 'POST', ':path': methods.get('KeyService/Sign').path,
      'content-type': 'application/grpc', te: 'trailers', authorization: `Bearer ${app.bearer}` });
    const answer = { };
    stream.on('response', (headers) => Object.assign(answer, headers));
    stream.on('trailers', (headers) => Object.assign(answer, headers));
    stream.resume();
    stream.on('end', () => {
      resolve({ code: Number(answer['grpc-status']), reused: socket.isSessionReused(), ticket });
      client.close();
    });
    const body = encode('KeyService/Sign',
      { vault: 'shop', name: 'k', algorithm: 'ES256', digest });
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(body.length, 1);
    stream.end(Buffer.concat([prefix, body]));
  });
}

test('a client whose CA was removed is out, however it comes', async () => {
  const caFile = path.join(server.folder, 'client-ca.pem');
  const ca = fs.readFileSync(caFile);
  const other = server.certificate('other CA', { ca: true });
  const first = await signOver();
  const second = await signOver(first.ticket);
  assert.deepEqual([first.code, second.code, second.reused], [0, 0, true]);

  fs.writeFileSync(caFile, Buffer.concat([ca, other.pem]));
  await server.reload();
  await sign(app);

  fs.writeFileSync(caFile, other.pem);
  const went = sign(app) // before or after, but answered
    .catch((error) => assert.equal(error.code, 'UNAUTHENTICATED'));
  await server.reload();
  await went;
  const error = await app.refused('KeyService/Sign',
    { vault: 'shop', name: 'k', algorithm: 'ES256', digest });
  assert.equal(error.code, 'UNAUTHENTICATED', error.message);
  assert.equal(error.reason, 'CERTIFICATE_UNKNOWN');
  const third = await signOver(second.ticket);
  assert.equal(third.code, 16);
  await sign(user);

  fs.writeFileSync(caFile, ca);
  await server.reload();
  await sign(app);
  assert.equal((await signOver(third.ticket)).code, 0);
});
