// Revocation lists, OCSP and certificates of authorities over plain HTTP: what OpenSSL and GnuTLS
// make of them, caching, and what strangers may send.
import assert from 'node:assert';
import { X509Certificate, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { pemOf } from '../support/authority.mjs';
import { Keyvault, run } from '../support/keyvault.mjs';

const VAULT = 'shop';
const CA = 'CertificateAuthorityService/';
let server;
let issuers;
let officer;
let url;
let root;
let made = 0;

const at = (name) => path.join(server.folder, name);
const named = (name) => ({ vault: VAULT, name });

async function authority(name) {
  const made_ = await issuers.call(`${CA}CreateCertificateAuthority`, { ...named(name),
    type: 'ROOT', subject: `CN=${name}`, revocation: { ocsp_url: `http://pki.example.org/${name}`,
      crl_url: `http://pki.example.org/${name}.crl` } });
  fs.writeFileSync(at(`${name}.pem`), pemOf(made_.certificate));
  return made_.certificate;
}

/* A certificate in a file, and its serial number. */
async function issue(issuer) {
  const name = `c${++made}`;
  await officer.call('CertificateService/CreateCertificate', { ...named(name),
    policy: { key_props: { kty: 'EC' }, issuer: { name: issuer },
      x509_props: { subject: `CN=${name}` } } });
  const { cer } = await officer.call('CertificateService/GetCertificate', named(name));
  fs.writeFileSync(at(`${name}.pem`), pemOf(cer));
  return { file: at(`${name}.pem`), serial: new X509Certificate(cer).serialNumber };
}

before(async () => {
  server = await Keyvault.start({ settings: { 'pki.listen': '127.0.0.1:0', 'pki.threads': 4 } });
  url = `http://127.0.0.1:${server.pkiPort}`;
  const operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  await operator.call('VaultService/CreateVault', { vault: VAULT });
  issuers = await server.officer('issuers', ['ISSUER_OFFICER'], '/');
  officer = await server.officer('officer', ['CERTIFICATE_OFFICER'], '/');
  root = await authority('root');
  await authority('other');
});

after(async () => {
  await server?.stop();
});

const ask = (file, ...more) => run('openssl', ['ocsp', '-issuer', at('root.pem'), '-cert', file,
  '-CAfile', at('root.pem'), '-url', `${url}/ocsp/shop/root`, ...more]);

test('OCSP says good, revoked with its reason, unknown: OpenSSL and GnuTLS believe it', async () => {
  const one = await issue('root');
  const two = await issue('root');
  assert.match(ask(one.file), /: good/);
  assert.match(run('openssl', ['ocsp', '-issuer', at('root.pem'), '-sha256', '-cert', one.file,
    '-CAfile', at('root.pem'), '-url', `${url}/ocsp/shop/root`, '-no_nonce']), /: good/);
  await issuers.call(`${CA}RevokeCertificate`, { ...named('root'), serial: one.serial,
    reason: 'SUPERSEDED' });
  assert.match(ask(one.file), /: revoked[^]*Reason: superseded/);
  assert.match(ask(two.file), /: good/);
  assert.match(run('openssl', ['ocsp', '-issuer', at('root.pem'), '-serial', '0x41'.padEnd(36, '1'),
    '-CAfile', at('root.pem'), '-url', `${url}/ocsp/shop/root`]), /: unknown/);
  const both = run('openssl', ['ocsp', '-issuer', at('root.pem'), '-cert', one.file, '-cert',
    two.file, '-CAfile', at('root.pem'), '-url', `${url}/ocsp/shop/root`]);
  assert.match(both, /: revoked[^]*: good/);
  const gnutls = run('ocsptool', [`--ask=${url}/ocsp/shop/root`, '--load-issuer', at('root.pem'),
    '--load-cert', two.file, '--load-trust', at('root.pem')]);
  assert.match(gnutls, /Certificate Status: good/);
});

test('an authority does not answer for another one', async () => {
  const other = await issue('other');
  assert.throws(() => run('openssl', ['ocsp', '-issuer', at('other.pem'), '-cert', other.file,
    '-CAfile', at('other.pem'), '-url', `${url}/ocsp/shop/root`, '-no_nonce']), /./);
  run('openssl', ['ocsp', '-issuer', at('other.pem'), '-cert', other.file, '-no_nonce', '-reqout',
    at('other.req')]);
  const answer = await fetch(`${url}/ocsp/shop/root`,
    { method: 'POST', body: fs.readFileSync(at('other.req')) });
  assert.deepStrictEqual([...new Uint8Array(await answer.arrayBuffer())], [0x30, 3, 0x0a, 1, 6]);
});

test('GET of an OCSP answer may be cached; a nonce may not; the certificate is a responder',
  async () => {
    const one = await issue('root');
    const request = (...more) => {
      run('openssl', ['ocsp', '-issuer', at('root.pem'), '-cert', one.file, '-reqout', at('one.req'),
        ...more]);
      return encodeURIComponent(fs.readFileSync(at('one.req')).toString('base64'));
    };
    const got = await fetch(`${url}/ocsp/shop/root/${request('-no_nonce')}`);
    assert.strictEqual(got.headers.get('content-type'), 'application/ocsp-response');
    assert.match(got.headers.get('cache-control'), /max-age=\d+, public/);
    fs.writeFileSync(at('one.resp'), Buffer.from(await got.arrayBuffer()));
    const text = run('openssl', ['ocsp', '-respin', at('one.resp'), '-text', '-noverify']);
    assert.match(text, /OCSP Signing/);
    assert.match(text, /OCSP No Check/);
    const nonce = await fetch(`${url}/ocsp/shop/root/${request('-nonce')}`);
    assert.strictEqual(nonce.headers.get('cache-control'), 'no-store');
  });

test('lists and certificates, with a tag', async () => {
  const got = await fetch(`${url}/crl/shop/root.crl`);
  assert.strictEqual(got.headers.get('content-type'), 'application/pkix-crl');
  const list = Buffer.from(await got.arrayBuffer());
  assert.deepStrictEqual(list,
    (await issuers.call(`${CA}GetCertificateRevocationList`, named('root'))).crl);
  const again = await fetch(`${url}/crl/shop/root.crl`,
    { headers: { 'if-none-match': got.headers.get('etag') } });
  assert.strictEqual(again.status, 304);
  const one = await issue('root');
  await issuers.call(`${CA}RevokeCertificate`, { ...named('root'), serial: one.serial });
  const newer = await fetch(`${url}/crl/shop/root.crl`,
    { headers: { 'if-none-match': got.headers.get('etag') } });
  assert.strictEqual(newer.status, 200);
  assert.match(run('openssl', ['crl', '-inform', 'DER', '-noout', '-text'],
    { input: Buffer.from(await newer.arrayBuffer()) }), new RegExp(one.serial));
  const certificate = await fetch(`${url}/ca/SHOP/Root.cer`);
  assert.deepStrictEqual(Buffer.from(await certificate.arrayBuffer()), root);
});

/* What comes back for bytes as they are. */
const send = (bytes) => new Promise((resolve, reject) => {
  const socket = net.connect(server.pkiPort, '127.0.0.1');
  let got = '';
  socket.on('data', (it) => { got += it.toString('latin1'); });
  socket.on('close', () => resolve(got));
  socket.on('error', (error) => (got ? resolve(got) : reject(error)));
  socket.write(bytes);
});

test('strangers may send what they like', async () => {
  for (const target of ['/', '/crl/', '/crl/shop', '/crl/shop/none.crl', '/crl/none/root.crl',
    '/crl/shop/root.cer', '/crl/../shop/root.crl', '/ocsp/shop', `/crl/${'9'.repeat(7000)}/x.crl`]) {
    assert.match(await send(`GET ${target} HTTP/1.1\r\n\r\n`), /^HTTP\/1.1 404/, target);
  }
  assert.match(await send('DELETE / HTTP/1.1\r\n\r\n'), /^HTTP\/1.1 405/);
  assert.match(await send('POST /crl/shop/root.crl HTTP/1.1\r\nContent-Length: 0\r\n\r\n'),
    /^HTTP\/1.1 405/);
  assert.match(await send('9'.repeat(20000)), /^HTTP\/1.1 413/);
  assert.match(await send('nonsense\r\n\r\n'), /^HTTP\/1.1 400/);
  assert.match(await send('POST /ocsp/shop/root HTTP/1.1\r\nContent-Length: 99999\r\n\r\n'),
    /^HTTP\/1.1 413/);
  for (const body of ['', '9', '9'.repeat(5000), randomBytes(200)]) {
    const answer = await fetch(`${url}/ocsp/shop/root`, { method: 'POST', body });
    assert.deepStrictEqual([...new Uint8Array(await answer.arrayBuffer())],
      [0x30, 3, 0x0a, 1, 1]);
  }
  for (const text of ['%', '%4', '====', 'A', '%00%00%00%00']) {
    assert.match(await send(`GET /ocsp/shop/root/${text} HTTP/1.1\r\n\r\n`), /^HTTP\/1.1 200/, text);
  }
});

test('slow peers are gone after five seconds, and the next is served', async () => {
  const slow = Array.from({ length: 4 }, () => send('GET /crl/shop/root.crl HTTP/1.1\r\n'));
  const began = Date.now();
  const got = await fetch(`${url}/crl/shop/root.crl`);
  assert.strictEqual(got.status, 200);
  assert(Date.now() - began < 30_000);
  assert.deepStrictEqual(await Promise.all(slow), ['', '', '', '']);
});

test('it is all there after a restart; the responder goes with its authority', async () => {
  await server.restart();
  url = `http://127.0.0.1:${server.pkiPort}`;
  const one = await issue('root');
  assert.match(ask(one.file), /: good/);
  const gone = await authority('gone');
  assert(gone.length);
  await issuers.call(`${CA}UpdateCertificateAuthority`, { ...named('gone'), enabled: false });
  await issuers.call(`${CA}DeleteCertificateAuthority`, named('gone'));
  assert.match(await send('GET /crl/shop/gone.crl HTTP/1.1\r\n\r\n'), /^HTTP\/1.1 404/);
  await server.restart();
  await server.reconciled();
});

test('an authority whose key is gone: what was issued can be revoked, the rest says why', async () => {
  const one = await issue('other');
  await server.terminate();
  run('pkcs11-tool', ['--module', server.settings['token.ca.module'], '--token-label', 'kv-ca',
    '--login', '--pin', server.pin('ca'), '--delete-object', '--type', 'privkey', '--label',
    'other'], { env: { ...process.env, ...server.env } });
  await server.restart();
  url = `http://127.0.0.1:${server.pkiPort}`;
  const refused = await officer.refused('CertificateService/CreateCertificate',
    { ...named('never'), policy: { key_props: { kty: 'EC' }, issuer: { name: 'other' },
      x509_props: { subject: 'CN=never' } } });
  assert.strictEqual(refused.code, 'FAILED_PRECONDITION');
  assert.match(refused.text, /not on its token/);
  const before_ = Buffer.from(await (await fetch(`${url}/crl/shop/other.crl`)).arrayBuffer());
  const revoked = await issuers.call(`${CA}RevokeCertificate`,
    { ...named('other'), serial: one.serial, reason: 'KEY_COMPROMISE' });
  assert.strictEqual(revoked.on_crl, false);
  const after_ = Buffer.from(await (await fetch(`${url}/crl/shop/other.crl`)).arrayBuffer());
  assert.deepStrictEqual(after_, before_);
  /* The responder has a key of its own. */
  assert.match(run('openssl', ['ocsp', '-issuer', at('other.pem'), '-cert', one.file, '-CAfile',
    at('other.pem'), '-url', `${url}/ocsp/shop/other`]), /: revoked[^]*Reason: keyCompromise/);
  const two = await issue('root');
  assert.match(ask(two.file), /: good/);
});

test('NSS takes the certificates too', async () => {
  const one = await issue('root');
  fs.mkdirSync(at('nss'));
  run('certutil', ['-N', '-d', `sql:${at('nss')}`, '--empty-password']);
  run('certutil', ['-A', '-d', `sql:${at('nss')}`, '-n', 'root', '-t', 'CT,,', '-a', '-i',
    at('root.pem')]);
  const verify = (file) => run('vfychain',
    ['-d', `sql:${at('nss')}`, '-pp', '-u', '1', '-a', file]);
  verify(one.file);
  assert.throws(() => verify(at('other.pem')), /status 1/);
});
