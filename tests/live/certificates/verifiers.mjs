// What five verifiers that are not ours say of what our authorities make: OpenSSL, GnuTLS, NSS, Go
// and Java. Each type of certificate, lists and OCSP are taken; what is revoked, outside the name
// constraints or longer than the path is refused, also when the authority's own key signed it.
import assert from 'node:assert';
import { createHash, X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { derOf, pemOf } from '../support/authority.mjs';
import { Keyvault, der, run } from '../support/keyvault.mjs';

const HERE = path.join(path.dirname(fileURLToPath(import.meta.url)), 'verifiers');
const VAULT = 'shop';
const CA = 'CertificateAuthorityService/';
const TYPES = ['tls-server', 'tls-client', 'tls-peer', 'code-signing', 'email'];
let server;
let ocsp;
let issuers;
let officer;
let root;
let below;
let made = 0;
const programs = {};

const at = (name) => path.join(server.folder, name);
const write = (name, text) => { fs.writeFileSync(at(name), text); return at(name); };
const named = (name) => ({ vault: VAULT, name });
const pem = (list) => list.map((it) => pemOf(it)).join('');

/* Debian's Go has its library built; another one takes a minute to do that first. */
function build() {
  const go = fs.existsSync('/usr/bin/go') ? '/usr/bin/go' : 'go';
  run(go, ['build', '-o', at('verify'), path.join(HERE, 'verify.go')],
    { env: { GOFLAGS: '-mod=mod', GOPROXY: 'off', GOCACHE: at('cache'), GOTOOLCHAIN: 'local' } });
  run('javac', ['-d', server.folder, path.join(HERE, 'Verify.java')]);
  programs.go = [at('verify')];
  programs.java = ['java', '-Xshare:auto', '-XX:TieredStopAtLevel=1', '-cp', server.folder,
    'Verify'];
}

before(async () => {
  server = await Keyvault.start({ settings: { 'pki.listen': '127.0.0.1:0' } });
  ocsp = `http://127.0.0.1:${server.pkiPort}/ocsp/${VAULT}/tls`;
  const operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  await operator.call('VaultService/CreateVault', { vault: VAULT });
  issuers = await server.officer('issuers', ['ISSUER_OFFICER'], '/');
  officer = await server.officer('officer', ['CERTIFICATE_OFFICER'], '/');
  build();
  root = await issuers.call(`${CA}CreateCertificateAuthority`, { ...named('root'), type: 'ROOT',
    subject: 'CN=Root', kty: 'RSA', path_length: 1 });
  below = await issuers.call(`${CA}CreateCertificateAuthority`, { ...named('tls'),
    type: 'SUBORDINATE', parent: 'root', subject: 'CN=TLS', crv: 'P256', path_length: 0,
    revocation: { crl_url: 'http://pki.example.org/tls.crl', ocsp_url: ocsp },
    name_constraints: { permitted: { dns_names: ['example.org'] },
      excluded: { dns_names: ['secret.example.org'] } } });
  write('root.pem', pemOf(root.certificate));
  run('mkdir', ['-p', at('nss')]);
  run('certutil', ['-N', '-d', `sql:${at('nss')}`, '--empty-password']);
  run('certutil', ['-A', '-d', `sql:${at('nss')}`, '-n', 'root', '-t', 'CT,C,C', '-a', '-i',
    at('root.pem')]);
});

after(async () => {
  await server?.stop();
});

async function issue(cty, kty = 'EC') {
  const name = `c${++made}`;
  const operation = await officer.call('CertificateService/CreateCertificate', { ...named(name),
    policy: { key_props: { kty, key_size: kty === 'RSA' ? 2048 : 0 }, issuer: { name: 'tls', cty },
      x509_props: { subject: 'CN=www.example.org', sans: { dns_names: ['www.example.org'] } } } });
  assert.strictEqual(operation.status, 'completed', operation.error?.message);
  const { cer } = await officer.call('CertificateService/GetCertificate', named(name));
  return cer;
}

async function lists() {
  return Promise.all(['root', 'tls'].map(async (name) => {
    const { crl } = await issuers.call(`${CA}GetCertificateRevocationList`, named(name));
    write(`${name}.crl.pem`, pemOf(crl, 'X509 CRL'));
    return write(`${name}.crl`, crl);
  }));
}

/* --- verdicts: true, or why not --- */

const tried = (program, args) => {
  try {
    run(program, args);
    return true;
  } catch (error) {
    return error.message;
  }
};

const judges = {
  openssl: (chain) => tried('openssl', ['verify', '-x509_strict', '-crl_check_all', '-CAfile',
    at('root.pem'), '-untrusted', chain, '-CRLfile', at('root.crl.pem'), '-CRLfile',
    at('tls.crl.pem'), chain]),
  gnutls: (chain) => {
    write('lists.pem', ['root', 'tls'].map((it) => fs.readFileSync(at(`${it}.crl.pem`))).join(''));
    return tried('certtool', ['--verify', '--infile', chain, '--load-ca-certificate',
      at('root.pem'), '--load-crl', at('lists.pem')]);
  },
  nss: (chain, usage) => tried('vfychain', ['-d', `sql:${at('nss')}`, '-pp', '-u', usage, '-a',
    ...fs.readFileSync(chain, 'utf8').match(/-----BEGIN[^]*?END.*-----\n/g)
      .map((text, i) => write(`nss${i}.pem`, text))]),
};

/* Go and Java take all cases at once: [name, chain file, lists, OCSP, host]. */
function judged(program, cases) {
  const input = cases.map(([name, chain, crls, url, host]) =>
    [name, chain, at('root.pem'), crls?.join() ?? '-', url ?? '-', host ?? '-'].join('\t'));
  const said = run(programs[program][0], programs[program].slice(1),
    { input: `${input.join('\n')}\n` });
  return new Map(said.trim().split('\n').map((line) => {
    const [name, verdict, why] = line.split('\t');
    return [name, verdict === 'ok' ? true : why];
  }));
}

const chainOf = (name, ...ders) => write(`${name}.pem`, pem(ders));

/* --- what the authority would not sign: by its key, with the PIN --- */

const tool = (...args) => run('pkcs11-tool', ['--module', server.settings['token.ca.module'],
  '--token-label', 'kv-ca', '--login', '--pin', server.pin('ca'), ...args],
{ env: { ...process.env, ...server.env } });

function forge(name, extensions, csrKey) {
  const key = (it) => run('openssl', ['genpkey', '-algorithm', 'EC', '-pkeyopt',
    'ec_paramgen_curve:P-256', '-out', at(it)]);
  const own = run('openssl', ['x509', '-inform', 'DER', '-noout', '-ext', 'subjectKeyIdentifier'],
    { input: below.certificate }).match(/([0-9A-F]{2}:){19}[0-9A-F]{2}/)[0];
  key('stand-in.key');
  run('openssl', ['req', '-x509', '-key', at('stand-in.key'), '-subj', '/CN=TLS', '-days', '9',
    '-utf8', '-addext', `subjectKeyIdentifier=${own.replaceAll(':', '')}`, '-out',
    at('stand-in.pem')]);
  key(csrKey);
  run('openssl', ['req', '-new', '-key', at(csrKey), '-subj', `/CN=${name}`, '-out', at('f.csr')]);
  run('openssl', ['x509', '-req', '-in', at('f.csr'), '-CA', at('stand-in.pem'), '-CAkey',
    at('stand-in.key'), '-sha256', '-days', '5', '-set_serial', '0x4142434445464748', '-extfile',
    write('f.ext', `${extensions}\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n`),
    '-out', at('f.pem')]);
  const whole = derOf(fs.readFileSync(at('f.pem')));
  const head = 4; /* of the outer sequence, and of the one inside: both longer than 255 bytes */
  const body = whole.subarray(head, head + 4 + whole.readUInt16BE(head + 2));
  write('f.digest', createHash('sha256').update(body).digest());
  /* It signs with the first key that it meets, unless the key is named by its id. */
  const id = /label: +tls\n +ID: +([0-9a-f]+)/.exec(tool('-O', '--type', 'privkey'))[1];
  tool('--sign', '--mechanism', 'ECDSA', '--id', id, '--signature-format', 'openssl',
    '--input-file', at('f.digest'), '--output-file', at('f.sig'));
  const ecdsaSha256 = der(0x30, der(0x06, [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]));
  const forged = der(0x30, body, ecdsaSha256, der(0x03, [0], fs.readFileSync(at('f.sig'))));
  assert(new X509Certificate(forged).verify(new X509Certificate(below.certificate).publicKey));
  return forged;
}

test('each type of certificate, EC and RSA: all five take it', async () => {
  const files = await lists();
  const usage = { 'tls-server': '1', 'tls-client': '0', 'tls-peer': '1', 'email': '4' };
  const cases = [];
  for (const [i, type] of TYPES.entries()) {
    const leaf = await issue(type, i % 2 ? 'RSA' : 'EC');
    const file = chainOf(type, leaf, below.certificate, root.certificate);
    assert.strictEqual(judges.openssl(file), true, type);
    assert.strictEqual(judges.gnutls(file), true, type);
    if (usage[type]) assert.strictEqual(judges.nss(file, usage[type]), true, type);
    cases.push([`${type} lists`, file, files, null, 'www.example.org'],
      [`${type} OCSP`, file, null, ocsp, 'www.example.org']);
  }
  for (const [name, says] of judged('java', cases)) assert.strictEqual(says, true, name);
  const crls = cases.filter((it) => it[2]);
  for (const [name, says] of judged('go', crls)) assert.strictEqual(says, true, name);
});

test('what is revoked: by list and by OCSP', async () => {
  const leaf = await issue('tls-server');
  const { serialNumber: serial } = new X509Certificate(leaf);
  await issuers.call(`${CA}RevokeCertificate`, { ...named('tls'), serial, reason: 'SUPERSEDED' });
  const files = await lists();
  const file = chainOf('revoked', leaf, below.certificate, root.certificate);
  assert.match(judges.openssl(file), /revoked/);
  assert.match(judges.gnutls(file), /status 1/);
  assert.match(judged('go', [['lists', file, files]]).get('lists'), /revoked/);
  const java = judged('java', [['lists', file, files], ['ocsp', file, null, ocsp],
    ['neither', file]]);
  assert.match(java.get('lists'), /revoked.*SUPERSEDED/i);
  assert.match(java.get('ocsp'), /revoked.*SUPERSEDED/i);
  assert.strictEqual(java.get('neither'), true);
});

test('what breaks a name constraint or the path length, all five refuse', async () => {
  const leafUsage = 'basicConstraints=critical,CA:false\nkeyUsage=critical,digitalSignature\n' +
    'extendedKeyUsage=serverAuth\n';
  await lists();
  const bad = {};
  const fine = forge('a.example.org', `${leafUsage}subjectAltName=DNS:a.example.org`, 'x.key');
  for (const dns of ['www.example.com', 'a.secret.example.org']) {
    bad[dns] = [forge(dns, `${leafUsage}subjectAltName=DNS:${dns}`, 'x.key')];
  }
  const ca = forge('Forged CA', 'basicConstraints=critical,CA:true\n' +
    'keyUsage=critical,keyCertSign,cRLSign', 'ca.key');
  write('forged.pem', pemOf(ca));
  run('openssl', ['req', '-new', '-key', at('x.key'), '-subj', '/CN=b.example.org', '-out',
    at('b.csr')]);
  run('openssl', ['x509', '-req', '-in', at('b.csr'), '-CA', at('forged.pem'), '-CAkey',
    at('ca.key'), '-days', '3', '-set_serial', '0x41424344', '-extfile', write('b.ext',
      `${leafUsage}subjectAltName=DNS:b.example.org\nauthorityKeyIdentifier=keyid\n`),
    '-out', at('b.pem')]);
  bad['path length'] = [derOf(fs.readFileSync(at('b.pem'))), ca];
  /* They refuse it for that, and not for how it was made. */
  const plain = (file) => tried('openssl', ['verify', '-x509_strict', '-CAfile', at('root.pem'),
    '-untrusted', file, file]);
  const tell = (file) => tried('certtool', ['--verify', '--infile', file, '--load-ca-certificate',
    at('root.pem')]);
  const cases = [['fine', chainOf('fine', fine, below.certificate, root.certificate)]];
  for (const [name, ders] of Object.entries(bad)) {
    cases.push([name, chainOf(name.replace(' ', '-'), ...ders, below.certificate,
      root.certificate)]);
  }
  const java = judged('java', cases);
  const go = judged('go', cases);
  for (const [name, file] of cases) {
    const verdicts = { openssl: plain(file), gnutls: tell(file), nss: judges.nss(file, '1'),
      go: go.get(name), java: java.get(name) };
    for (const [who, says] of Object.entries(verdicts)) {
      if (name === 'fine') assert.strictEqual(says, true, `${who}: ${says}`);
      else assert.notStrictEqual(says, true, `${who} takes ${name}`);
    }
  }
});
