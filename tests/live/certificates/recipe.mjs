// The commands of docs/certificate-authority.md, run as they stand there: with kvctl, and with
// OpenSSL for the root that is kept offline.
import assert from 'node:assert';
import { X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Keyvault, run } from '../support/keyvault.mjs';

const PAGE = fs.readFileSync(fileURLToPath(
  new URL('../../../docs/certificate-authority.md', import.meta.url)), 'utf8');
let server;
let env;
const at = (name) => path.join(server.folder, name);

/* All commands of a chapter. */
function commandsOf(chapter) {
  const found = PAGE.split(/^## /m).find((it) => it.startsWith(`${chapter}\n`));
  assert(found, chapter);
  return [...found.matchAll(/^```sh\n([^]*?)^```/gm)].map((it) => it[1]).join('\n');
}

const follow = (commands) => run('sh', ['-euc', `cd '${server.folder}'\n${commands}`], { env });
const kvctl = (line) => JSON.parse(follow(`kvctl ${line} --vault pki`));

before(async () => {
  server = await Keyvault.start({ separation: 'off' });
  const officer = await server.officer('officer',
    ['ISSUER_OFFICER', 'CERTIFICATE_OFFICER', 'VAULT_OPERATOR'], '/');
  await officer.call('VaultService/CreateVault', { vault: 'pki' });
  await officer.call('VaultService/CreateVault', { vault: 'shop' });
  fs.writeFileSync(at('officer.pem'), officer.identity.pem);
  fs.writeFileSync(at('officer.key'), officer.identity.key, { mode: 0o600 });
  const program = path.join(path.dirname(process.env.KEYVAULTD), '../client');
  env = { PATH: `${program}:${process.env.PATH}`, KVCTL_ENDPOINT: `localhost:${server.port}`,
    KVCTL_CA: path.join(server.home, 'tls/server.pem'), KVCTL_CERTIFICATE: at('officer.pem'),
    KVCTL_KEY: at('officer.key') };
});

after(async () => {
  await server?.stop();
});

test('a root, an authority below it, a certificate', () => {
  follow(commandsOf('A root and an authority below it'));
  const chain = fs.readFileSync(at('tls-chain.pem'), 'utf8').match(/-----BEGIN[^]*?END.*-----/g);
  assert.strictEqual(chain.length, 2);
  assert(new X509Certificate(chain[0]).checkIssued(new X509Certificate(chain[1])));
  assert.deepStrictEqual(kvctl('ca list').map((it) => [it.name, it.state]),
    [['root', 'ACTIVE'], ['tls', 'ACTIVE']]);
  follow('kvctl certificate download --vault pki --name web --file web.pem');
  const web = new X509Certificate(fs.readFileSync(at('web.pem')));
  assert.deepStrictEqual(web.keyUsage, ['1.3.6.1.5.5.7.3.1']);
  assert.match(web.infoAccess ?? '', /^$/);
});

test('one authority for several vaults', () => {
  follow(commandsOf('One authority for several vaults'));
  follow('kvctl certificate download --vault shop --name web --file shop.pem');
  assert.match(new X509Certificate(fs.readFileSync(at('shop.pem'))).issuer, /CN=Example TLS/);
});

test('a root that is kept offline', () => {
  /* A password would have to be typed. */
  follow(commandsOf('A root that is kept offline').replace(' -aes256', ''));
  assert.strictEqual(kvctl('ca show --name office').state, 'ACTIVE');
  follow('kvctl certificate create --vault pki --name desk --issuer office --key-type EC ' +
    '--subject CN=desk.example.org --dns-name desk.example.org && ' +
    'kvctl certificate download --vault pki --name desk --file desk.pem');
  assert.match(follow('openssl verify -CAfile root.pem -untrusted desk.pem desk.pem'), /: OK/);
  assert.throws(() => follow('kvctl certificate create --vault pki --name out --issuer office ' +
    '--subject CN=www.example.com --dns-name www.example.com'), /name constraints/);
  assert.throws(() => follow('kvctl ca csr --vault pki --name office --file again.csr'),
    /does not wait/);
});

test('a new certificate, and a new key; what was issued', () => {
  follow(commandsOf('A new certificate, and a new key'));
  const pem = fs.readFileSync(at('new-root.pem'), 'utf8').match(/-----BEGIN[^]*?END.*-----/g);
  assert.strictEqual(pem.length, 3);
  assert.strictEqual(kvctl('ca show --name root').keyNumber, 2);
  const { serialNumber } = new X509Certificate(fs.readFileSync(at('web.pem')));
  assert.match(follow(commandsOf('What was issued').replace('4f00…', serialNumber)),
    new RegExp(serialNumber, 'i'));
});

test('revocation', () => {
  const { serialNumber } = new X509Certificate(fs.readFileSync(at('web.pem')));
  follow(commandsOf('Revocation').replace('4f00…', serialNumber));
  assert.match(follow('openssl crl -inform DER -in tls.crl -noout -text'),
    new RegExp(`${serialNumber}[^]*Key Compromise`));
  assert.throws(() => follow('kvctl ca delete --vault pki --name tls'), /disable it first/);
  assert.strictEqual(kvctl('ca update --name tls --enabled false').state, 'DISABLED');
});
