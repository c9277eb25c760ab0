// Backups through the real server: a secret comes back, a key comes back with the token's own
// backup and not without, nobody gets with a backup into a vault what he could not have taken out
// of the other one, and kvctl's files.
import assert from 'node:assert';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { Keyvault, run } from '../support/keyvault.mjs';

const VAULT = 'shop';
const canary = Buffer.from(`canary-${crypto.randomUUID()}`);
const message = Buffer.from('what is signed');
let server;
let officer;
let backups;
let purger;

const OFFICER = ['CRYPTO_OFFICER', 'CRYPTO_USER', 'SECRETS_OFFICER', 'SECRETS_USER',
  'CERTIFICATE_OFFICER', 'CERTIFICATE_USER'];

before(async () => {
  server = await Keyvault.start({ separation: 'off' });
  const operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  for (const vault of [VAULT, 'other']) {
    await operator.call('VaultService/CreateVault', { vault });
  }
  officer = await server.officer('officer', OFFICER, '/');
  backups = await server.officer('backups', ['BACKUP_OPERATOR'], '/');
  purger = await server.officer('purger', ['PURGE_OFFICER'], '/');
});

after(async () => {
  await server?.stop();
});

const backup = async (noun, it) =>
  (await backups.call(`${noun}Service/Backup${noun}`, it)).value;
async function lose(noun, it) {
  await officer.call(`${noun}Service/Delete${noun}`, it);
  await purger.call(`${noun}Service/PurgeDeleted${noun}`, it);
}
const restore = (noun, value, { vault = VAULT, who = backups } = {}) =>
  who.call(`${noun}Service/Restore${noun}`, { vault, value });

test('a secret comes back as it was', async () => {
  const it = { vault: VAULT, name: 'word' };
  await officer.call('SecretService/SetSecret', { ...it, value: canary, content_type: 'text/plain',
    tags: [{ name: 'owner', value: 'sales' }] });
  const second = await officer.call('SecretService/SetSecret', { ...it, value: canary });
  await officer.call('SecretService/UpdateSecret', { ...it, version: second.id.version,
    attributes: { enabled: false } });
  const old = await officer.call('SecretService/ListSecretVersions', it);
  const value = await backup('Secret', it);
  assert(!value.includes(canary) && !value.includes('word') && !value.includes('sales'));
  await lose('Secret', it);
  const back = await restore('Secret', value);
  assert.strictEqual(back.value.length, 0);
  assert.strictEqual(back.id.version, second.id.version);
  assert.strictEqual(back.attributes.enabled, false);
  assert.deepStrictEqual(await officer.call('SecretService/ListSecretVersions', it), old);
  const first = old.items.find((item) => item.id.version !== second.id.version).id;
  assert.deepStrictEqual((await officer.call('SecretService/GetSecret', first)).value, canary);
  assert.strictEqual((await officer.refused('SecretService/GetSecret', it)).reason, 'DISABLED');
});

test('who restores into another vault could have taken the backup there', async () => {
  const it = { vault: VAULT, name: 'inner' };
  await officer.call('SecretService/SetSecret', { ...it, value: canary });
  const value = await backup('Secret', it);
  const stranger = await server.officer('stranger', ['BACKUP_OPERATOR'], '/vaults/other');
  const refusal = await stranger.refused('SecretService/RestoreSecret', { vault: 'other', value });
  assert.deepStrictEqual([refusal.code, refusal.reason],
    ['PERMISSION_DENIED', 'PERMISSION_MISSING']);
  assert.strictEqual((await stranger.refused('SecretService/RestoreSecret',
    { vault: VAULT, value })).code, 'PERMISSION_DENIED');
  await restore('Secret', value, { vault: 'other' });
  assert.deepStrictEqual((await officer.call('SecretService/GetSecret',
    { ...it, vault: 'other' })).value, canary);
});

test('a key comes back with the backup of the token, and only with it', async () => {
  const it = { vault: VAULT, name: 'signs' };
  await officer.call('KeyService/CreateKey', { ...it, kty: 'RSA' });
  await officer.call('KeyService/CreateKey', { ...it, kty: 'EC' });
  await officer.call('KeyService/CreateKey', { ...it, name: 'mac', kty: 'OCT', key_ops: ['SIGN'] });
  const { spki } = await officer.call('KeyService/GetKey', it);
  const value = await backup('Key', it);
  const mac = await backup('Key', { ...it, name: 'mac' });
  const inUse = await backups.refused('KeyService/RestoreKey', { vault: 'other', value });
  assert.strictEqual(inUse.code, 'ALREADY_EXISTS');
  assert.match(inUse.message, /in use/);

  await server.terminate();
  const kept = path.join(server.folder, 'tokens-kept');
  fs.cpSync(server.tokens, kept, { recursive: true });
  await server.restart();
  await lose('Key', it);
  await lose('Key', { ...it, name: 'mac' });
  for (const one of [value, mac]) {
    const gone = await backups.refused('KeyService/RestoreKey', { vault: VAULT, value: one });
    assert.strictEqual(gone.code, 'FAILED_PRECONDITION');
    assert.match(gone.message, /no longer has the key/);
  }

  /* What the HSM's own backup does: the objects of the keys' token are there again. */
  await server.terminate();
  for (const folder of fs.readdirSync(kept)) {
    const from = path.join(kept, folder);
    if (!fs.readFileSync(path.join(from, 'token.object')).includes('kv-keys')) continue;
    for (const file of fs.readdirSync(from).filter((name) => name !== 'token.object')) {
      fs.copyFileSync(path.join(from, file), path.join(server.tokens, folder, file));
    }
  }
  server.log = '';
  await server.restart();
  await server.logged(/token\.key\.unknown/);
  assert.deepStrictEqual((await restore('Key', value)).spki, spki);
  await restore('Key', mac);
  const { signature } = await officer.call('KeyService/Sign', { ...it, algorithm: 'ES256',
    message });
  assert(crypto.verify('sha256', message, { key: crypto.createPublicKey({ key: spki, format: 'der',
    type: 'spki' }), dsaEncoding: 'ieee-p1363' }, signature));
  await officer.call('KeyService/Sign', { ...it, name: 'mac', algorithm: 'HS256', message });
  assert.strictEqual((await officer.call('KeyService/ListKeyVersions', it)).items.length, 2);
  assert.strictEqual((await backups.refused('KeyService/RestoreKey', { vault: VAULT, value })).code,
    'ALREADY_EXISTS');
  server.log = '';
  await server.restart();
  await server.reconciled();
  assert.doesNotMatch(server.log, /token\.key\.(unknown|missing)/);
});

test('an exportable certificate comes back without the token, as known outside', async () => {
  const it = { vault: VAULT, name: 'web' };
  await officer.call('CertificateService/CreateCertificate', { ...it, policy: {
    key_props: { kty: 'RSA', exportable: true }, issuer: { name: 'Self' },
    secret_props: { content_type: 'application/x-pem-file' },
    x509_props: { subject: 'CN=www.example.org' } } });
  const old = await officer.call('CertificateService/GetCertificate', it);
  const secret = await officer.call('SecretService/GetSecret', it);
  const value = await backup('Certificate', it);
  await lose('Certificate', it);
  const back = await restore('Certificate', value);
  assert.deepStrictEqual(back.cer, old.cer);
  assert.strictEqual(old.key_known_outside, false);
  assert.strictEqual(back.key_known_outside, true);
  assert.deepStrictEqual(back.policy, old.policy);
  assert.deepStrictEqual((await officer.call('SecretService/GetSecret', it)).value, secret.value);
  await officer.call('KeyService/Sign', { ...it, algorithm: 'RS256', message });
  assert.strictEqual((await backups.refused('KeyService/BackupKey', it)).reason, 'MANAGED');
  assert.strictEqual((await backups.refused('SecretService/BackupSecret', it)).reason, 'MANAGED');
});

test('kvctl keeps backups in files', async () => {
  const KVCTL = path.join(path.dirname(process.env.KEYVAULTD), '../client/kvctl');
  const at = (name) => path.join(server.folder, name);
  fs.writeFileSync(at('backups.pem'), backups.identity.pem);
  fs.writeFileSync(at('backups.key'), backups.identity.key, { mode: 0o600 });
  const file = path.join(server.folder, 'word.backup');
  const kvctl = (...args) => run(KVCTL, ['secret', ...args, '--endpoint',
    `127.0.0.1:${server.port}`, '--server-name', 'localhost', '--ca',
    path.join(server.home, 'tls/server.pem'), '--certificate', at('backups.pem'), '--key',
    at('backups.key'), '--vault', VAULT, '--output', 'json']);
  const it = { vault: VAULT, name: 'kept' };
  await officer.call('SecretService/SetSecret', { ...it, value: canary });
  kvctl('backup', '--name', 'kept', '--file', file);
  assert.strictEqual(fs.statSync(file).mode & 0o777, 0o600);
  assert.throws(() => kvctl('backup', '--name', 'kept', '--file', file), /exists already/);
  assert.throws(() => kvctl('restore', '--file', file), /never overwrites/);
  await lose('Secret', it);
  assert.strictEqual(JSON.parse(kvctl('restore', '--file', file)).id.name, 'kept');
  assert.deepStrictEqual((await officer.call('SecretService/GetSecret', it)).value, canary);
  fs.writeFileSync(file, '9'.repeat(1_000_000));
  assert.throws(() => kvctl('restore', '--file', file), /does not open/);
  fs.writeFileSync(file, '9'.repeat(1_000_001));
  assert.throws(() => kvctl('restore', '--file', file), /1000000/);
});
