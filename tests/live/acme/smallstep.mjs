// A second authority that speaks ACME, of other people than Pebble's: the CA of smallstep, which
// Debian has inside its Caddy. It knows the standard's ports only, so all this has a network of its
// own. Each kind of proof, a renewal, a revocation, and what it does not do.
import assert from 'node:assert';
import { X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { alone } from './alone.mjs';
import { Programs, serverIdentity } from './programs.mjs';
import { Scene, folderOf } from './scene.mjs';

if (!alone(import.meta.url)) process.exit();

const DNS_PORT = 53;
const DNS_TOLD = 8055;
const HTTP_PORT = 80;
const TLS_PORT = 443;
const LISTEN = 9443;
const folder = folderOf('smallstep');
const at = (name) => path.join(folder, name);
let authority;
let scene;

class Smallstep extends Programs {
  static async start() {
    const it = new Smallstep();
    const { ca, certificate, key } = serverIdentity(folder);
    it.ca = ca;
    it.directory = `https://127.0.0.1:${LISTEN}/acme/step/directory`;
    fs.writeFileSync(at('caddy.json'), JSON.stringify({ admin: { disabled: true },
      storage: { module: 'file_system', root: at('storage') },
      apps: { pki: { certificate_authorities: { step: { install_trust: false } } },
        tls: { certificates: { load_files: [{ certificate, key }] } },
        http: { servers: { acme: { listen: [`127.0.0.1:${LISTEN}`],
          automatic_https: { disable: true }, tls_connection_policies: [{}],
          routes: [{ handle: [{ handler: 'acme_server', ca: 'step',
            host: `127.0.0.1:${LISTEN}` }] }] } } } } }));
    it.nameServer(DNS_PORT, DNS_TOLD);
    await it.begin();
    return it;
  }

  begin() {
    this.caddy = this.spawn('caddy', ['run', '--config', at('caddy.json')],
      { HOME: folder, XDG_CONFIG_HOME: at('config'), XDG_DATA_HOME: at('data') });
    return this.up();
  }

  /** It is killed and comes back: what it knows is in its files. */
  async again() {
    this.caddy.kill('SIGKILL');
    await this.caddy.gone;
    await this.begin();
  }

  root() {
    return fs.readFileSync(at('storage/pki/authorities/step/root.crt'));
  }
}

/* Puts records into the DNS server. */
function writeHook() {
  fs.writeFileSync(at('hook'), `#!/bin/sh
post() {
  python3 -c 'import sys, urllib.request as u; u.urlopen(sys.argv[1], sys.argv[2].encode())' "$@"
}
case $1 in
present) post ${authority.dns}/set-txt "{\\"host\\":\\"$2\\",\\"value\\":\\"$3\\"}" ;;
clean) post ${authority.dns}/clear-txt "{\\"host\\":\\"$2\\"}" ;;
esac
`, { mode: 0o700 });
}

before(async () => {
  authority = await Smallstep.start();
  writeHook();
  scene = await Scene.start({ ca: authority.ca, httpPort: HTTP_PORT, settings: {
    'acme.tls_alpn_listen': `127.0.0.1:${TLS_PORT}`, 'acme.dns_hook': at('hook'),
    'acme.dns_seconds': 600, 'acme.dns_wait_seconds': 0 } });
  for (const type of ['http-01', 'tls-alpn-01', 'dns-01']) {
    await scene.setIssuer(type, { directory: authority.directory, challenges: [type] });
  }
});

after(async () => {
  await scene?.stop();
  await authority?.stop();
  if (process.env.KV_VERBOSE) console.log(authority.log);
  fs.rmSync(folder, { recursive: true, force: true });
});

const check = (issuer) => scene.issuers.call('IssuerService/CheckIssuer',
  { vault: 'shop', issuer });

test('the issuer is checked, and has an account', async () => {
  const answer = await check('http-01');
  assert.strictEqual(answer.accepted, true, answer.details);
  assert.match(answer.account, /^https:\/\/127\.0\.0\.1:9443\/acme\/step\/account\//);
});

test('certificates come by each kind of proof', async () => {
  await scene.create('page', 'http-01', ['www.example.test', 'api.example.test']);
  await scene.create('shake', 'tls-alpn-01', ['shake.example.test']);
  await scene.create('record', 'dns-01', ['record.example.test', '*.record.example.test']);
  for (const [name, known] of [['page', 'api'], ['shake', 'shake'], ['record', '\\*\\.record']]) {
    await scene.completed(name);
    const leaf = await scene.verify(name, authority.root());
    assert.match(leaf.subjectAltName, new RegExp(`DNS:${known}\\.`));
  }
});

test('a renewal makes another version, with another key', async () => {
  const before = new X509Certificate((await scene.get('page')).cer);
  await scene.certificates.call('CertificateService/CreateCertificate',
    { vault: 'shop', name: 'page' });
  await scene.completed('page');
  const now = await scene.verify('page', authority.root());
  assert.notStrictEqual(now.serialNumber, before.serialNumber);
  assert.notDeepStrictEqual(now.publicKey.export({ type: 'spki', format: 'der' }),
    before.publicKey.export({ type: 'spki', format: 'der' }));
  assert.strictEqual((await scene.versions('page')).length, 2);
});

test('a certificate is revoked, and that it was is no failure', async () => {
  const it = { vault: 'shop', issuer: 'tls-alpn-01', name: 'shake', reason: 'SUPERSEDED' };
  await scene.issuers.call('IssuerService/RevokeIssuedCertificate', it);
  await scene.issuers.call('IssuerService/RevokeIssuedCertificate', it);
});

/* It ends no order for that, but waits to be asked to look again. */
test('a name that leads elsewhere is told in the words of the authority, and may come right', async () => {
  await authority.dnsSet('add-a', { host: 'elsewhere.example.test', addresses: ['127.0.0.2'] });
  await scene.create('elsewhere', 'http-01', ['elsewhere.example.test']);
  const told = await scene.until('elsewhere', (it) => it.names?.[0]?.details, 'refused');
  assert.strictEqual(told.status, 'inProgress');
  assert.strictEqual(told.names[0].status, 'checking');
  assert.match(told.names[0].details, /could not connect/);
  await authority.dnsSet('add-a', { host: 'elsewhere.example.test', addresses: ['127.0.0.1'] });
  await scene.completed('elsewhere');
});

test('an order outlives both: the authority and the server come back in the middle of it', async () => {
  await authority.dnsSet('add-a', { host: 'twice.example.test', addresses: ['127.0.0.2'] });
  await scene.create('twice', 'http-01', ['twice.example.test']);
  await scene.until('twice', (it) => it.names?.[0]?.details, 'refused');
  const { request_id: before } = await scene.pending('twice');
  await scene.server.kill();
  await authority.again();
  await authority.dnsSet('add-a', { host: 'twice.example.test', addresses: ['127.0.0.1'] });
  await scene.server.restart();
  const { request_id: after } = await scene.completed('twice');
  assert.strictEqual(after, before);
  await scene.verify('twice', authority.root());
  assert.strictEqual((await scene.versions('twice')).length, 1);
});

/* This one has no such thing and says so in these words: the account goes on with the key it has. */
test('an authority that changes no keys of accounts leaves all as it was', async () => {
  const told = await scene.issuers.refused('IssuerService/RollAccountKey',
    { vault: 'shop', issuer: 'dns-01' });
  assert.strictEqual(told.code, 'FAILED_PRECONDITION');
  assert.match(told.text, /not implemented/);
  assert.strictEqual((await check('dns-01')).accepted, true);
});
