// Proofs of control over names, as Debian's Pebble looks at them: by HTTP, by a TLS handshake, and
// by DNS, where a hook and signed updates of a zone of BIND put the records. Nothing is left behind.
import assert from 'node:assert';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import test, { after, before } from 'node:test';
import tls from 'node:tls';
import { nap, run } from '../support/keyvault.mjs';
import { freePorts } from '../support/ports.mjs';
import { Pebble } from './pebble.mjs';
import { Scene, folderOf } from './scene.mjs';

const SECRET = Buffer.from('the secret of a test, 32 bytes..').toString('base64');
const folder = folderOf('proofs');
const at = (name) => path.join(folder, name);
let pebble;
let scene;
let zone;
let httpPort;
let tlsPort;
let officers = 0;

/* BIND on loopback: the zone example.test, which the key may change. */
class Zone {
  async start(port) {
    this.port = port;
    fs.writeFileSync(at('named.conf'), `options { directory "${folder}";
      listen-on port ${port} { 127.0.0.1; }; listen-on-v6 { none; }; recursion no; pid-file none;
      session-keyfile none; dnssec-validation no; };
      controls { }; key "keyvault" { algorithm hmac-sha256; secret "${SECRET}"; };
      zone "example.test" { type primary; file "zone";
        update-policy { grant keyvault zonesub TXT; }; };`);
    fs.writeFileSync(at('zone'), '$TTL 60\n@ SOA ns root 1 60 60 60 60\n@ NS ns\nns A 127.0.0.1\n' +
      '* A 127.0.0.1\n');
    fs.writeFileSync(at('dns.key'), `${SECRET}\n`, { mode: 0o600 });
    this.log = '';
    this.child = spawn('/usr/sbin/named', ['-4', '-g', '-n', '1', '-c', at('named.conf')],
      { stdio: ['ignore', 'ignore', 'pipe'] });
    this.child.stderr.on('data', (text) => { this.log += text; });
    process.on('exit', () => this.child.kill('SIGKILL'));
    for (let tries = 0; !this.log.includes('running\n'); tries++) {
      assert(tries < 1200, `named did not come up\n${this.log}`);
      await nap(50);
    }
  }

  /** The TXT values at a name. */
  text(name) {
    return run('dig', ['+short', '-p', String(this.port), '@127.0.0.1', name, 'TXT']).trim();
  }

  async stop() {
    const gone = new Promise((resolve) => { this.child.on('close', resolve); });
    this.child.kill('SIGKILL');
    await gone;
  }
}

/* Puts records into the DNS server that Pebble asks, and writes down what it was told. */
function writeHook(more = '') {
  fs.writeFileSync(at('hook'), `#!/bin/sh
echo "$@" >> ${at('told')}
${more}
post() {
  python3 -c 'import sys, urllib.request as u; u.urlopen(sys.argv[1], sys.argv[2].encode())' "$@"
}
case $1 in
present) post ${pebble.dns}/set-txt "{\\"host\\":\\"$2\\",\\"value\\":\\"$3\\"}" ;;
clean) post ${pebble.dns}/clear-txt "{\\"host\\":\\"$2\\"}" ;;
esac
`);
  fs.chmodSync(at('hook'), 0o700);
}

const told = () => fs.readFileSync(at('told'), 'utf8').trim().split('\n');

const rows = (type = '%') => JSON.parse(run('sqlite3', ['-json', '-cmd', '.timeout 20000',
  path.join(scene.server.home, 'keyvault.db'),
  `SELECT type, asked, says FROM proofs WHERE type LIKE '${type}'`]) || '[]');

/* All at once, since each takes its time. */
async function order() {
  const address = (issuer) => ({ key_props: { kty: 'EC' }, issuer: { name: issuer },
    x509_props: { sans: { ip_addresses: ['127.0.0.1'] } } });
  await scene.create('page', 'http-01', ['page.example.test', 'two.example.test']);
  await scene.create('shake', 'tls-alpn-01', ['shake.example.test']);
  await scene.create('hook', 'dns-01', ['hook.example.test', '*.wild.example.test']);
  for (const [name, issuer] of [['page', 'http-01'], ['shake', 'tls-alpn-01']]) {
    await scene.certificates.call('CertificateService/CreateCertificate',
      { vault: 'shop', name: `${name}-address`, policy: address(issuer) });
  }
}

before(async () => {
  const [http, tlsOne, dns] = await freePorts(3);
  [httpPort, tlsPort] = [http, tlsOne];
  pebble = await Pebble.start({ folder, httpPort, tlsPort });
  writeHook();
  scene = await Scene.start({ ca: pebble.ca, httpPort, settings: {
    'acme.tls_alpn_listen': `127.0.0.1:${tlsPort}`, 'acme.dns_hook': at('hook'),
    'acme.dns_seconds': 600, 'acme.dns_wait_seconds': 0 } });
  for (const type of ['http-01', 'tls-alpn-01', 'dns-01']) {
    await scene.setIssuer(type, { directory: pebble.directory, challenges: [type] });
  }
  await order();
  zone = new Zone();
  await zone.start(dns);
});

after(async () => {
  await scene?.stop();
  await pebble?.stop();
  await zone?.stop();
  fs.rmSync(folder, { recursive: true, force: true });
});

test('http-01: Pebble reads the page', async () => {
  await scene.completed('page');
  await scene.verify('page', await pebble.root());
});

test('tls-alpn-01: Pebble makes the handshake', async () => {
  await scene.completed('shake');
  await scene.verify('shake', await pebble.root());
});

test('an address is proved by a page, and by a handshake for its reverse name', async () => {
  for (const name of ['page-address', 'shake-address']) {
    await scene.completed(name);
    assert.match((await scene.verify(name, await pebble.root())).subjectAltName,
      /IP Address:127\.0\.0\.1/);
  }
});

test('dns-01: the hook puts records of a name and takes them away', async () => {
  await scene.completed('hook');
  await scene.verify('hook', await pebble.root());
  for (const name of ['hook', 'wild']) {
    const lines = told().filter((it) => it.includes(` _acme-challenge.${name}.example.test. `));
    assert.match(lines[0], /^present \S+ [\w-]{43}$/);
    assert.strictEqual(lines.at(-1), lines[0].replace('present', 'clean'));
  }
});

test('of what is proved nothing stands any more', async () => {
  for (let tries = 0; rows().length && tries < 600; tries++) await nap(50);
  assert.deepStrictEqual(rows(), []);
});

test('a wildcard is not proved by a page; who reads the order is told why', async () => {
  await scene.create('star', 'http-01', ['*.star.example.test']);
  const { names } = await scene.until('star', (it) => it.names?.[0]?.details, 'explained');
  assert.match(names[0].details, /dns-01/);
});

/* What the doctor says of one thing. */
async function examined(name) {
  const operator = await scene.server.officer(`doctor${++officers}`, ['VAULT_OPERATOR'], '/');
  const { checks } = await operator.call('ServerService/CheckServer');
  return checks.filter((it) => it.name === name).map((it) => `${it.result} ${it.what}`).join();
}

test('what a hook says when it fails is in the order', async () => {
  writeHook('echo "no such zone" >&2; exit 3');
  await scene.create('failing', 'dns-01', ['failing.example.test']);
  const { names } = await scene.until('failing', (it) => it.names?.[0]?.details, 'explained');
  assert.match(names[0].details, /the DNS hook ended with status 3: 'no such zone'/);
  fs.chmodSync(at('hook'), 0o777);
  await scene.create('writable', 'dns-01', ['writable.example.test']);
  const second = await scene.until('writable', (it) => it.names?.[0]?.details, 'explained');
  assert.match(second.names[0].details, /own or may write/);
  assert.match(await examined('challenges'), /ERROR .*own or may write/);
  writeHook();
});

const get = async (url) => {
  const answer = await fetch(url, { redirect: 'manual' });
  return [answer.status, await answer.text()];
};

test('strangers learn nothing from the listeners', async () => {
  const url = `http://127.0.0.1:${httpPort}`;
  for (const target of ['/', '/.well-known/acme-challenge/', '/.well-known/acme-challenge/unknown',
    '/.well-known/acme-challenge/a.b', `/.well-known/acme-challenge/${'a'.repeat(5000)}`,
    '/crl/shop/root.crl', '/.well-known/acme-challenge/%2e%2e/x']) {
    assert.deepStrictEqual(await get(`${url}${target}`), [404, ''], target);
  }
  for (const [protocols, name, alert] of [[['acme-tls/1'], 'page.example.test', 'unrecognized'],
    [['h2'], 'shake.example.test', 'no application'],
    [['h2', 'acme-tls/1'], 'shake.example.test', 'no application'],
    [undefined, 'shake.example.test', 'no application']]) {
    const error = await new Promise((resolve) => {
      const socket = tls.connect({ port: tlsPort, host: '127.0.0.1', servername: name,
        ALPNProtocols: protocols, rejectUnauthorized: false }, () => resolve(new Error('served')));
      socket.on('error', resolve);
    });
    assert.match(error.message, new RegExp(alert), name);
  }
});

test('a hook that hangs is ended with the server', async () => {
  writeHook(`echo $$ > ${at('pid')}; sleep 1000`);
  await scene.create('hanging', 'dns-01', ['hanging.example.test']);
  for (let tries = 0; !fs.existsSync(at('pid')) || !fs.statSync(at('pid')).size; tries++) {
    assert(tries < 3000, 'the hook was not run');
    await nap(20);
  }
  await scene.server.terminate();
  assert.throws(() => process.kill(Number(fs.readFileSync(at('pid'), 'utf8')), 0), /ESRCH/);
  writeHook();
});

test('a server that was killed while an authority looks answers again', async () => {
  let looked;
  const looking = new Promise((resolve) => { looked = resolve; });
  const [elsewhere] = await freePorts(1);
  /* Stands where the authority looks, and does not let it see anything. */
  const curtain = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', (head) => looked(String(head).split(' ')[1]));
  });
  /* The listener for revocation lists will do. */
  scene.server.configure({ 'acme.http_listen': '', 'pki.listen': `127.0.0.1:${elsewhere}` });
  await scene.server.restart();
  await new Promise((resolve) => { curtain.listen(httpPort, '127.0.0.1', resolve); });
  await scene.create('killed', 'http-01', ['killed.example.test']);
  const target = await looking;
  /* Nobody tells the order how it ends. */
  for (const child of pebble.children) child.kill('SIGSTOP');
  await scene.server.kill();
  /* Those of before prove by records. */
  const [row, ...more] = rows('http-01');
  assert.deepStrictEqual(more, []);
  await scene.server.restart();
  const [status, body] = await get(`http://127.0.0.1:${elsewhere}${target}`);
  assert.strictEqual(status, 200);
  assert.strictEqual(body, row.says);
  assert.strictEqual(body.split('.')[0], target.split('/').at(-1));
  for (const child of pebble.children) child.kill('SIGCONT');
  curtain.close();
  await scene.server.terminate();
});

test('dns-01: signed updates of a zone', async () => {
  /* An authority that asks BIND; what was ordered before is not its business. */
  scene.server.configure({ 'acme.dns_hook': '', 'acme.dns_server': `127.0.0.1:${zone.port}`,
    'acme.dns_key_name': 'keyvault', 'acme.dns_key_file': at('dns.key') });
  await pebble.stop();
  pebble = new Pebble();
  await pebble.begin({ folder, dnsPort: zone.port });
  scene.server.configure({ 'outgoing.ca_file': pebble.ca });
  await scene.server.restart();
  await scene.setIssuer('bind', { directory: pebble.directory, challenges: ['dns-01'] });
  await scene.create('zone', 'bind', ['both.example.test', '*.both.example.test']);
  await scene.completed('zone');
  await scene.verify('zone', await pebble.root());
  assert.match(zone.log, /_acme-challenge.both.example.test/);
  assert.strictEqual(zone.text('_acme-challenge.both.example.test'), '');
  assert.match(await examined('challenges'), /OK .*nsupdate/);
});
