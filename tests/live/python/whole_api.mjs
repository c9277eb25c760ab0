// Starts a server, makes the people, and lets whole_api.py call every method. Debian's Python is
// taken by its path: it is the one that has Debian's packages.
import assert from 'node:assert';
import { spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Authority } from '../support/authority.mjs';
import { Keyvault, run, selfSigned } from '../support/keyvault.mjs';
import { MailServer, smtpSettings } from '../support/mail.mjs';

const PROTO = fileURLToPath(new URL('../../../proto', import.meta.url));
const SERVICES = ['vaults', 'keys', 'secrets', 'certificates', 'authorities', 'issuers',
  'contacts', 'webhooks', 'events', 'renewals', 'access', 'audit'];
const ROLES = ['ADMINISTRATOR', 'VAULT_OPERATOR', 'PURGE_OFFICER', 'AUDITOR'];
let server;
let everybody;
let admin;
let authority;
let mail;

before(async () => {
  mail = await new MailServer(selfSigned('mail')).ready;
  server = await Keyvault.start({ separation: 'off', clientCa: true,
    settings: smtpSettings(mail.port, '', { 'smtp.tls': 'none' }) });
  admin = await server.administrator();
  everybody = await server.officer('everybody', ROLES, '/');
  authority = new Authority(path.join(server.folder, 'authority'));
  run('protoc', ['-I', PROTO, '--include_imports', '-o', path.join(server.folder, 'api.protoset'),
    ...SERVICES.map((name) => `keyvault/v1/${name}.proto`)]);
});

after(async () => {
  await server?.stop();
  await mail?.stop();
});

/** What Python needs made elsewhere: it asks for one a line, and gets one a line. */
const MAKE = {
  certificate: () => selfSigned('python').der,
  identity: () => {
    const { key, pem } = selfSigned('brought');
    return Buffer.concat([key, pem]);
  },
  serial: (cer) => Buffer.from(new X509Certificate(Buffer.from(cer, 'base64')).serialNumber),
  authority: (csr) => Buffer.concat([authority.sign(Buffer.from(csr, 'base64'), { signer: 'root',
    extensions: 'basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign\n' +
      'subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n' }), authority.root]),
  sign: (csr) => authority.sign(Buffer.from(csr, 'base64')),
};

test('Python calls every method', { timeout: 100e3 }, async () => {
  const caller = ({ identity, bearer }, name) => {
    for (const [suffix, bytes] of [['pem', identity.pem], ['key', identity.key]]) {
      fs.writeFileSync(path.join(server.folder, `${name}.${suffix}`), bytes, { mode: 0o600 });
    }
    return { pem: path.join(server.folder, `${name}.pem`),
      key: path.join(server.folder, `${name}.key`), bearer };
  };
  const child = spawn('/usr/bin/python3',
    [fileURLToPath(new URL('whole_api.py', import.meta.url))],
    { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.write(`${JSON.stringify({ port: server.port,
    ca: path.join(server.home, 'tls/server.pem'), set: path.join(server.folder, 'api.protoset'),
    callers: { everybody: caller(everybody, 'everybody'), admin: caller(admin, 'admin') } })}\n`);
  let rest = '';
  child.stdout.on('data', (bytes) => {
    const lines = (rest + bytes).split('\n');
    rest = lines.pop();
    for (const line of lines) {
      const [what, argument] = line.split(' ');
      if (MAKE[what]) child.stdin.write(`${MAKE[what](argument).toString('base64')}\n`);
      else console.log(line);
    }
  });
  const status = await new Promise((resolve) => { child.on('close', resolve); });
  assert.strictEqual(status, 0, 'whole_api.py');
});
