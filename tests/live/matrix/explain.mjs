// kvctl role explain and role who-can, and a server whose separation of duty only warns: the answer,
// the log and the audit record say so.
import assert from 'node:assert';
import fs from 'node:fs';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
import test, { after, before } from 'node:test';
import { Keyvault } from '../support/keyvault.mjs';

const KVCTL = path.join(path.dirname(process.env.KEYVAULTD), '../client/kvctl');
const KEY = '/vaults/shop/keys/k';
let server;
let user;

before(async () => {
  server = await Keyvault.start({ separation: 'warn' });
  const operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  await operator.call('VaultService/CreateVault', { vault: 'shop' });
  user = await server.officer('user', ['CRYPTO_USER'], '/vaults/shop');
});

after(async () => {
  await server?.stop();
});

function kvctl(caller, ...args) {
  const at = (name) => path.join(server.folder, `${caller.name}.${name}`);
  fs.writeFileSync(at('pem'), caller.identity.pem);
  fs.writeFileSync(at('key'), caller.identity.key, { mode: 0o600 });
  const said = spawnSync(KVCTL, [...args, '--endpoint', `127.0.0.1:${server.port}`, '--server-name',
    'localhost', '--ca', path.join(server.home, 'tls/server.pem'), '--certificate', at('pem'),
    '--key', at('key')], { encoding: 'utf8' });
  return { code: said.status, text: said.stdout, told: said.stderr };
}

test('explain says yes and no, with the reason', async () => {
  const admin = await server.administrator();
  const ask = (...args) => kvctl(admin, 'role', 'explain', '--output', 'table', ...args);
  const yes = ask('--principal', 'user', '--permission', 'keys/sign', '--scope', KEY);
  assert.strictEqual(yes.code, 0, yes.told);
  assert.match(yes.text, /^yes: user, keys\/sign on \/vaults\/shop\/keys\/k\n {2}crypto-user on \/va/);
  const no = ask('--principal', 'user', '--permission', 'keys/delete', '--scope', KEY);
  assert.strictEqual(no.code, 8, no.told);
  assert.match(no.text, /^no: user.*\n {2}roles that may: crypto-officer\n/);
  const elsewhere = ask('--principal', 'user', '--permission', 'keys/sign', '--scope', '/');
  assert.match(elsewhere.text, /counts elsewhere only/);
  const own = kvctl(user, 'role', 'explain', '--permission', 'keys/sign', '--scope', KEY);
  assert.strictEqual(own.code, 0, own.told);
  assert.strictEqual(JSON.parse(own.text).allowed, true);
  const others = kvctl(user, 'role', 'explain', '--principal', admin.id, '--permission',
    'keys/sign', '--scope', KEY);
  assert.notStrictEqual(others.code, 0);
  assert.strictEqual(ask('--permission', 'keys/sing', '--scope', KEY).code, 2);
});

test('who is not told of a certificate does not learn from it whether it is there', async () => {
  const officer = await server.officer('certificates', ['CERTIFICATE_OFFICER'], '/vaults/shop');
  await officer.call('CertificateService/CreateCertificate', { vault: 'shop', name: 'hidden',
    policy: { key_props: { kty: 'EC' }, issuer: { name: 'Self' },
      x509_props: { subject: 'CN=hidden', validity_months: 1 } } });
  const ask = async (caller, name, more) => (await caller.call('AccessService/ExplainAccess',
    { permission: 'keys/sign', scope: `/vaults/shop/keys/${name}`, ...more })).managed;
  const other = await server.officer('other', ['READER'], '/vaults/elsewhere');
  const none = await server.principal('none');
  const holder = await server.officer('holder', ['CERTIFICATE_USER'],
    '/vaults/shop/certificates/hidden');
  const reader = await server.officer('reader', ['READER'], '/vaults/shop');
  for (const caller of [other, none]) {
    assert.strictEqual(await ask(caller, 'hidden'), false, caller.name);
    assert.strictEqual(await ask(caller, 'absent'), false, caller.name);
  }
  /* Who may administer the vault, or its issuers, may not know for that what is in it. */
  const keeper = await server.officer('keeper', ['VAULT_OPERATOR'], '/');
  const issuers = await server.officer('issuers', ['ISSUER_OFFICER'], '/vaults/shop');
  for (const [caller, permission] of [[keeper, 'vaults/read'], [issuers, 'certificatecas/read']])
    assert.strictEqual(await ask(caller, 'hidden', { permission }), false, permission);
  for (const caller of [holder, reader]) {
    assert.strictEqual(await ask(caller, 'hidden'), true, caller.name);
    assert.strictEqual(await ask(caller, 'absent'), false, caller.name);
  }
  const admin = await server.administrator();
  assert.strictEqual(await ask(admin, 'hidden', { principal_id: other.id }), true);
});

test('who-can lists everybody who may', async () => {
  const admin = await server.administrator();
  const { text } = kvctl(admin, 'role', 'who-can', '--permission', 'keys/sign', '--scope', KEY,
    '--output', 'tsv');
  assert.match(text, /user\tcrypto-user\t\/vaults\/shop/);
  const { principals } = await admin.call('AccessService/WhoCan',
    { permission: 'keys/sign', scope: KEY });
  assert.deepStrictEqual(principals.map((one) => one.principal.id), [user.id]);
});

test('with an idempotency key a change is made once, and answered again', async () => {
  const keys = await server.officer('keys', ['CRYPTO_OFFICER'], '/vaults/shop');
  const create = (name, key) => kvctl(keys, 'key', 'create', '--vault', 'shop', '--name', name,
    '--key-type', 'EC', '--idempotency-key', key);
  const first = create('once', 'deploy-42');
  assert.strictEqual(first.code, 0, first.told);
  await server.kill();
  await server.restart();
  assert.strictEqual(create('once', 'deploy-42').text, first.text);
  const other = create('other', 'deploy-42');
  assert.strictEqual(other.code, 2);
  assert.match(other.told, /idempotency-key/);
  assert.strictEqual(create('once', 'x'.repeat(65)).code, 2);
  assert.notStrictEqual(create('once', 'deploy-43').text, first.text);
});

test('a pair that excludes each other is let pass, and told', async () => {
  const admin = await server.administrator();
  const assigned = await admin.call('AccessService/AssignRole',
    { principal_id: user.id, role: 'CRYPTO_OFFICER', scope: '/vaults/shop' });
  assert.match(assigned.warnings.join(), /crypto-officer excludes crypto-user/);
  const token = await user.call('AccessService/IssueRoleToken',
    { roles: ['CRYPTO_USER', 'CRYPTO_OFFICER'], scope: '/vaults/shop' }, { bearer: null });
  assert.strictEqual(token.warnings.length, 2);
  await server.logged(/access\.duties_not_separated/);
  user.bearer = token.token;
  await user.call('KeyService/CreateKey', { vault: 'shop', name: 'k', kty: 'EC' });
  await user.call('KeyService/Sign', { vault: 'shop', name: 'k', algorithm: 'ES256',
    message: Buffer.from('m') });
  const told = kvctl(admin, 'role', 'explain', '--principal', 'user', '--permission', 'keys/sign',
    '--scope', KEY, '--output', 'table');
  assert.match(told.text, /allows it, with a warning because of crypto-officer/);
  const auditor = await server.officer('auditor', ['AUDITOR'], '/');
  const records = await auditor.call('AuditService/SearchAudit',
    { from_ms: Date.now() - 600e3, to_ms: Date.now() + 60e3 });
  for (const operation of ['RoleAssign', 'RoleTokenIssue']) {
    assert(records.some((record) => record.operation === operation &&
      record.note.includes('separation_of_duty=warned')), operation);
  }

  /* Strict again, the assignment made meanwhile gives no token. */
  server.configure({ 'access.separation_of_duty': 'strict' });
  await server.restart();
  assert.strictEqual((await user.refused('AccessService/IssueRoleToken',
    { roles: ['CRYPTO_USER'], scope: '/vaults/shop' }, { bearer: null })).reason,
  'SEPARATION_OF_DUTY');
  const no = kvctl(admin, 'role', 'explain', '--principal', 'user', '--permission', 'keys/sign',
    '--scope', KEY, '--output', 'table');
  assert.strictEqual(no.code, 8);
  assert.match(no.text, /gives no role token, because of crypto-officer on \/vaults\/shop/);
});
