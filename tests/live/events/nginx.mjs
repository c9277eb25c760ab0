// nginx serves a certificate whose files `kvctl certificate watch` keeps up to date: a renewal is
// picked up by the reload hook, also one that was made while the server or kvctl was away; a key
// that does not belong to the certificate, or a check that fails, never goes live, and whoever reads
// meanwhile sees a key with its certificate (KV_FLIPS=1000 for long). That nothing is
// served past its end is in acme/ends.mjs.
import assert from 'node:assert';
import { spawn, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import test, { after, before } from 'node:test';
import tls from 'node:tls';
import { Worker } from 'node:worker_threads';
import { Keyvault, nap, run } from '../support/keyvault.mjs';
import { freePorts } from '../support/ports.mjs';

const PATIENCE_MS = 60_000;
const NGINX = ['/usr/sbin/nginx', '/usr/local/sbin/nginx'].find((it) => fs.existsSync(it));
let server;
let officer;
let port;
let program;
let env;
const children = [];
const at = (...parts) => path.join(server.folder, ...parts);

const renew = () => officer.call('CertificateService/CreateCertificate',
  { vault: 'shop', name: 'web' });
const newest = async () => {
  const { id, cer } = await officer.call('CertificateService/GetCertificate',
    { vault: 'shop', name: 'web' });
  return { version: id.version, serial: new X509Certificate(cer).serialNumber };
};

/** What a client is shown; null while nobody listens. */
const served = (at = port) => new Promise((resolve) => {
  const socket = tls.connect({ host: '127.0.0.1', port: at, servername: 'web.example.org',
    rejectUnauthorized: false }, () => {
    resolve(socket.getPeerX509Certificate());
    socket.end();
  });
  socket.on('error', () => resolve(null));
});

async function until(what, question) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const answer = await question();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`waited in vain: ${what}\n${logOf()}`);
    await nap(20);
  }
}
const logs = [];
const logOf = () => logs.join('');

function kvctlWatch(...args) {
  const child = spawn(program, ['certificate', 'watch', '--vault', 'shop', '--name', 'web',
    '--folder', at('web'), '--with-key', ...args], { env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (text) => logs.push(text.toString()));
  }
  const ended = new Promise((resolve) => { child.on('close', (code) => resolve(code)); });
  children.push(child);
  return { child, ended };
}

const nginx = (...args) => spawnSync(NGINX, ['-p', at('nginx'), '-c', at('nginx.conf'), ...args],
  { encoding: 'utf8' });
const hook = () => ['--check', `openssl x509 -in "$KVCTL_CERTIFICATE_FOLDER/fullchain.pem" ` +
  '-noout -checkend 60', '--reload',
  `${NGINX} -p '${at('nginx')}' -c '${at('nginx.conf')}' -s reload`];

before(async () => {
  assert(NGINX, 'nginx is not installed: scripts/install_packages.sh test');
  /* The server's is known to kvctl while it is away. */
  const [own, ours] = await freePorts(2);
  port = ours;
  server = await Keyvault.start({ settings: { 'server.listen': `127.0.0.1:${own}` } });
  const operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  await operator.call('VaultService/CreateVault', { vault: 'shop' });
  officer = await server.officer('officer', ['CERTIFICATE_OFFICER'], '/vaults/shop');
  const app = await server.principal('app',
    [['CERTIFICATE_USER', '/vaults/shop/certificates/web']]);
  fs.writeFileSync(at('app.pem'), app.identity.pem);
  fs.writeFileSync(at('app.key'), app.identity.key, { mode: 0o600 });
  program = path.join(path.dirname(process.env.KEYVAULTD), '../client/kvctl');
  env = { KVCTL_ENDPOINT: `localhost:${server.port}`,
    KVCTL_CA: path.join(server.home, 'tls/server.pem'),
    KVCTL_CERTIFICATE: at('app.pem'), KVCTL_KEY: at('app.key') };
  await officer.call('CertificateService/CreateCertificate', { vault: 'shop', name: 'web', policy: {
    key_props: { kty: 'EC', exportable: true }, issuer: { name: 'Self' },
    secret_props: { content_type: 'application/x-pem-file' },
    x509_props: { subject: 'CN=web.example.org', validity_months: 1,
      sans: { dns_names: ['web.example.org'] } } } });
  fs.mkdirSync(at('nginx'));
  fs.writeFileSync(at('nginx.conf'), `daemon off;
pid ${at('nginx.pid')};
error_log ${at('nginx.log')} notice;
events {}
http {
  access_log off;
  client_body_temp_path ${at('nginx')}; proxy_temp_path ${at('nginx')};
  fastcgi_temp_path ${at('nginx')}; uwsgi_temp_path ${at('nginx')};
  scgi_temp_path ${at('nginx')};
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${at('web/current/fullchain.pem')};
    ssl_certificate_key ${at('web/current/privkey.pem')};
    location / { return 204; }
  }
}
`);
});

after(async () => {
  /* Its workers would outlive a kill. */
  if (fs.existsSync(at('nginx.pid'))) nginx('-s', 'stop');
  for (const child of children.filter((it) => it.spawnfile === program)) if (child.exitCode === null) child.kill('SIGKILL');
  await server?.stop();
});

test('the first version is there at once, for its owner alone', async () => {
  const once = run(program, ['certificate', 'watch', '--vault', 'shop', '--name', 'web', '--folder',
    at('web'), '--with-key', '--once'], { env });
  assert.strictEqual(once, '');
  const { version, serial } = await newest();
  assert.strictEqual(fs.readlinkSync(at('web/current')), version);
  const leaf = new X509Certificate(fs.readFileSync(at('web/current/fullchain.pem')));
  assert.strictEqual(leaf.serialNumber, serial);
  assert.strictEqual(fs.statSync(at('web', version)).mode & 0o777, 0o700);
  assert.strictEqual(fs.statSync(at('web/current/privkey.pem')).mode & 0o777, 0o600);
});

test('nginx picks up what is renewed', async () => {
  const child = spawn(NGINX, ['-p', at('nginx'), '-c', at('nginx.conf')],
    { stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  child.stderr.on('data', (text) => logs.push(text.toString()));
  const first = await newest();
  await until('nginx serves', async () => (await served())?.serialNumber === first.serial);
  kvctlWatch(...hook());
  for (let i = 0; i < 3; i++) {
    const began = Date.now();
    await renew();
    const { version, serial } = await newest();
    await until('nginx serves the new version',
      async () => (await served())?.serialNumber === serial);
    console.log(`# served ${Date.now() - began} ms after the renewal was asked for`);
    assert.strictEqual(fs.readlinkSync(at('web/current')), version);
  }
  /* The one before is kept, older ones are gone. */
  await until('there are two', () =>
    fs.readdirSync(at('web')).filter((it) => it.length === 32).length === 2);
});

/* Reads as a program does that opens the folder once, for as long as it is told to: how many pairs
 * it saw, and what did not belong together. */
const READER = `
  const { createPrivateKey, X509Certificate } = require('node:crypto');
  const fs = require('node:fs');
  const { parentPort, workerData: current } = require('node:worker_threads');
  const seen = { pairs: 0, versions: new Set(), torn: [] };
  let going = true;
  parentPort.on('message', () => { going = false; });
  const look = () => {
    try {
      const folder = fs.realpathSync(current);
      const chain = fs.readFileSync(folder + '/fullchain.pem');
      const key = fs.readFileSync(folder + '/privkey.pem');
      seen.pairs++;
      if (!seen.versions.has(folder)) parentPort.postMessage({ folder });
      seen.versions.add(folder);
      if (!new X509Certificate(chain).checkPrivateKey(createPrivateKey(key))) seen.torn.push(folder);
    } catch (error) {
      /* Two newer ones have come since the folder was found. */
      if (error.code !== 'ENOENT') seen.torn.push(String(error));
    }
    if (going) setTimeout(look, 1);
    else parentPort.postMessage({ ...seen, versions: seen.versions.size });
  };
  look();`;

test('who reads while versions come sees a key and its certificate, always', async () => {
  const reader = new Worker(READER, { eval: true, workerData: at('web/current') });
  const read = new Set();
  const seen = new Promise((resolve) => {
    reader.on('message', (it) => (it.folder ? read.add(path.basename(it.folder)) : resolve(it)));
  });
  await until('it reads', () => read.size > 0);
  const flips = Number(process.env.KV_FLIPS ?? 8);
  for (let i = 0; i < flips; i++) {
    await renew();
    const { version } = await newest();
    await until('it is there', () => fs.readlinkSync(at('web/current')) === version);
    await until('it is read', () => read.has(version));
  }
  reader.postMessage('enough');
  const { pairs, versions, torn } = await seen;
  await reader.terminate();
  console.log(`# ${pairs} pairs of ${versions} versions`);
  assert.deepStrictEqual(torn, []);
  assert.strictEqual(versions, flips + 1);
});

test('a server that was away is waited for, and what happened meanwhile is not missed',
  async () => {
    await server.kill();
    await nap(1000);
    await server.restart();
    await renew();
    const { serial } = await newest();
    await until('nginx serves the version after the crash',
      async () => (await served())?.serialNumber === serial);
    await until('kvctl says so', () => /trying again/.test(logOf()));
  });

test('a kvctl that was away catches up when it begins', async () => {
  const old = children.find((it) => it.spawnfile === program);
  old.kill('SIGKILL');
  await renew();
  const { serial } = await newest();
  assert.notStrictEqual((await served()).serialNumber, serial);
  kvctlWatch(...hook());
  await until('nginx serves the version made while nobody looked',
    async () => (await served())?.serialNumber === serial);
});

test('a version that the check refuses never goes live',
  async () => {
    for (const child of children.filter((it) => it.spawnfile === program)) child.kill('SIGKILL');
    const before = await newest();
    const { child } = kvctlWatch('--check', 'false', '--reload', `touch '${at('reloaded')}'`);
    await renew();
    await until('the check was made', () => /the check failed/.test(logOf()));
    assert.strictEqual(fs.readlinkSync(at('web/current')), before.version);
    assert(!fs.existsSync(at('reloaded')));
    child.kill('SIGKILL');
    /* A worker that the reload before has retired may still answer for a moment. */
    await until('nginx serves the one before',
      async () => (await served())?.serialNumber === before.serial);
    assert.strictEqual(nginx('-t').status, 0);
  });

/* Does it once, to its end. */
async function once(...args) {
  const { child, ended } = kvctlWatch('--once', ...args);
  let said = '';
  child.stderr.on('data', (text) => { said += text; });
  return { code: await ended, said };
}
const probe = (where = `127.0.0.1:${port}`) => ['--probe', where, '--probe-name',
  'web.example.org', '--probe-seconds'];

test('a probe sees that the reload was one', async () => {
  for (const child of children.filter((it) => it.spawnfile === program)) child.kill('SIGKILL');
  const { child } = kvctlWatch(...hook(), ...probe(), '30');
  await renew();
  const { version, serial } = await newest();
  await until('the probe was content',
    () => logOf().includes(`127.0.0.1:${port} serves version ${version}`));
  /* Workers of before may still take a connection. */
  await until('nginx serves nothing else', async () => (await served())?.serialNumber === serial);
  child.kill('SIGKILL');
});

test('a hook that does not reload is caught, and made up for by the next run', async () => {
  await renew();
  const { version, serial } = await newest();
  const touch = (name) => ['--reload', `touch '${at(name)}'`];
  const caught = await once(...touch('first'), ...probe(), '1');
  assert.strictEqual(caught.code, 1, caught.said);
  assert(caught.said.includes(`127.0.0.1:${port} does not serve version ${version}: `), caught.said);
  assert(!caught.said.includes(serial), caught.said);
  assert.match(caught.said, /: it serves the certificate with serial number [0-9A-F]+$/m);
  assert(fs.existsSync(at('first')));
  /* The files are there; without a probe nobody would look again. */
  assert.strictEqual(fs.readlinkSync(at('web/current')), version);
  const again = await once(...touch('second'), ...probe(), '1');
  assert.strictEqual(again.code, 1, again.said);
  assert(fs.existsSync(at('second')));
  const good = await once(...hook(), ...probe(), '30');
  assert.strictEqual(good.code, 0, good.said);
  await until('nginx serves nothing else', async () => (await served())?.serialNumber === serial);
  const idle = await once(...probe(), '30');
  assert.strictEqual(idle.code, 0, idle.said);
});

test('who is not there, does not answer or speaks no TLS serves nothing', async () => {
  const mute = net.createServer((socket) => { socket.on('error', () => {}); });
  const rude = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.end('no\n');
  });
  const listening = (one) => new Promise((resolve) => {
    one.listen(0, '127.0.0.1', () => resolve(one.address().port)).unref();
  });
  const [nobodys] = await freePorts(1);
  const ports = [nobodys, await listening(mute), await listening(rude)];
  const ends = await Promise.all(ports.map((one) => once(...probe(`127.0.0.1:${one}`), '1')));
  const causes = [/Connection refused/, /Connection timed out/, /./];
  ends.forEach(({ code, said }, i) => {
    assert.strictEqual(code, 1, said);
    assert.match(said, /does not serve version [0-9a-f]{32}: no TLS connection: /);
    assert.match(said.split('no TLS connection: ')[1], causes[i]);
  });
  const unknown = await once(...probe('nobody.invalid:443'), '1');
  assert.strictEqual(unknown.code, 1, unknown.said);
  assert(!/connect|timeout|system lib/.test(unknown.said.split('connection: ')[1]), unknown.said);
});

/* The first try ends the server. What it had sent by then is still heard (the event, if the version
 * was found before it came), so a second try may follow; none may while the server is away. */
test('a reload that failed is tried again when the server is heard of, not at once', async () => {
  for (const child of children.filter((it) => it.spawnfile === program)) child.kill('SIGKILL');
  assert.strictEqual((await once()).code, 0);
  const tries = () => (fs.existsSync(at('tries'))
    ? fs.readFileSync(at('tries'), 'utf8').split('\n').length - 1 : 0);
  const told = logs.length;
  const missed = () => logs.slice(told).join('').split('; trying again\n').length - 1;
  const { child } = kvctlWatch('--reload', `echo >>'${at('tries')}'; ` +
    `[ -e '${at('healed')}' ] || { kill -9 ${server.pid}; exit 1; }`);
  await renew().catch(() => {});
  await until('the server was missed', () => missed() > 0);
  const before = tries();
  assert(before === 1 || before === 2, logs.slice(told).join(''));
  const then = missed();
  await until('the server was looked for twice more', () => missed() > then + 1);
  assert.strictEqual(tries(), before, logs.slice(told).join(''));
  fs.writeFileSync(at('healed'), '');
  await server.kill();
  await server.restart();
  await until('the reload was tried again', () => tries() === before + 1);
  child.kill('SIGKILL');
});

test('of two certificates the one of the same kind of key is looked at', async () => {
  const rsa = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=other', '-days', '1',
    '-keyout', at('rsa.key'), '-out', at('rsa.pem')];
  run('openssl', rsa);
  const read = (name) => fs.readFileSync(at(name));
  const both = tls.createServer({ key: [read('rsa.key'), read('web/current/privkey.pem')],
    cert: [read('rsa.pem'), read('web/current/fullchain.pem')],
    /* RSA is what it would rather use. */
    sigalgs: 'rsa_pss_rsae_sha256:ECDSA+SHA256', honorCipherOrder: true }, (socket) => {
    socket.on('error', () => {});
  });
  both.on('tlsClientError', () => {});
  await new Promise((resolve) => { both.listen(0, '127.0.0.1', resolve).unref(); });
  assert.strictEqual((await served(both.address().port)).subject, 'CN=other');
  const { code, said } = await once(...probe(`127.0.0.1:${both.address().port}`), '30');
  assert.strictEqual(code, 0, said);
});

test('options of the probe are checked', async () => {
  await Promise.all([['--probe', 'nowhere'], ['--probe', ':443'], ['--probe', 'host:'],
    ['--probe', ''], ['--probe', '9'.repeat(300)], ['--probe', 'host:1', '--probe-seconds', '0'],
    ['--probe', 'host:1', '--probe-seconds', '301'], ['--probe', 'host:1', '--probe-seconds', 'x'],
    ['--probe', 'host:1', '--probe-name', '9'.repeat(300)], ['--probe-name', 'a'],
    ['--probe-seconds', '1']].map(async (args) => {
    const { code, said } = await once(...args);
    assert.strictEqual(code, 2, `${args}: ${said}`);
    assert.match(said, args[2] === '--probe-name' ? /--probe-name has at most 255/ : /--probe/);
  }));
});

test('who may not, gets no key', async () => {
  const reader = await server.principal('reader',
    [['CERTIFICATE_READER', '/vaults/shop/certificates/web']]);
  fs.writeFileSync(at('reader.pem'), reader.identity.pem);
  fs.writeFileSync(at('reader.key'), reader.identity.key, { mode: 0o600 });
  const asked = spawnSync(program, ['certificate', 'watch', '--vault', 'shop', '--name', 'web',
    '--folder', at('other'), '--with-key', '--once'], { encoding: 'utf8', env: { ...process.env,
    ...env, KVCTL_CERTIFICATE: at('reader.pem'), KVCTL_KEY: at('reader.key') } });
  assert.strictEqual(asked.status, 4, asked.stderr);
  assert(!fs.existsSync(at('other/current')));
  const without = spawnSync(program, ['certificate', 'watch', '--vault', 'shop', '--name', 'web',
    '--folder', at('other'), '--once'], { encoding: 'utf8', env: { ...process.env,
    ...env, KVCTL_CERTIFICATE: at('reader.pem'), KVCTL_KEY: at('reader.key') } });
  assert.strictEqual(without.status, 0, without.stderr);
  assert(fs.existsSync(at('other/current/fullchain.pem')));
});

test('kvctl event list and watch', async () => {
  const listed = JSON.parse(run(program, ['event', 'list', '--vault', 'shop', '--collection',
    'certificates', '--name', 'web', '--since', '1h'], { env }));
  assert(listed.length >= 6);
  const lines = run(program, ['event', 'watch', '--vault', 'shop', '--collection', 'certificates',
    '--name', 'web', '--after', '0', '--count', '2'], { env }).trim().split('\n');
  assert.strictEqual(lines.length, 2);
  assert.strictEqual(JSON.parse(lines[0]).sequence, listed[0].sequence);
  const bad = spawnSync(program, ['event', 'watch', '--count', '0'], { encoding: 'utf8',
    env: { ...process.env, ...env } });
  assert.strictEqual(bad.status, 2);
});
