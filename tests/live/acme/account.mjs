// The account at an authority: bound to one that is known otherwise, its key on the token and
// changed, its certificates revoked, and what happens when the authority closes it.
import assert from 'node:assert';
import fs from 'node:fs';
import test, { after, before } from 'node:test';
import { freePorts } from '../support/ports.mjs';
import { EAB, Pebble } from './pebble.mjs';
import { Scene, folderOf } from './scene.mjs';

const folder = folderOf('pebble-account');
let pebble;
let scene;

before(async () => {
  const [httpPort] = await freePorts(1);
  pebble = await Pebble.start({ folder, httpPort, eab: true });
  scene = await Scene.start({ ca: pebble.ca, httpPort });
});

after(async () => {
  await scene?.stop();
  await pebble?.stop();
  fs.rmSync(folder, { recursive: true, force: true });
});

const check = (issuer) => scene.issuers.call('IssuerService/CheckIssuer',
  { vault: 'shop', issuer });
const bound = (kid = EAB.kid, key = EAB.key) => ({ account_id: kid, pwd: Buffer.from(key) });

test('without a binding the authority refuses, and says so', async () => {
  await scene.setIssuer('unbound', { directory: pebble.directory });
  const answer = await check('unbound');
  assert.strictEqual(answer.accepted, false);
  assert.match(answer.details, /externalAccountBinding/);
});

test('a binding of somebody unknown is refused', async () => {
  await scene.setIssuer('stranger', { directory: pebble.directory,
    credentials: bound('kid-2') });
  const answer = await check('stranger');
  assert.strictEqual(answer.accepted, false);
});

test('half a binding, and a MAC key that is none, are refused here', async () => {
  const half = await scene.issuers.refused('IssuerService/SetIssuer', { vault: 'shop',
    issuer: 'half', provider: 'ACME', allowed_domains: { rules: ['*'] },
    credentials: { account_id: EAB.kid },
    settings: JSON.stringify({ directory: pebble.directory, terms_agreed: true }) });
  assert.strictEqual(half.field, 'credentials.pwd');
  await scene.setIssuer('short', { directory: pebble.directory,
    credentials: bound(EAB.kid, 'c2hvcnQ') });
  const answer = await scene.issuers.refused('IssuerService/CheckIssuer',
    { vault: 'shop', issuer: 'short' });
  assert.strictEqual(answer.field, 'credentials.pwd');
});

test('a binding makes one account, however often it is asked for', async () => {
  await scene.setIssuer('pebble', { directory: pebble.directory, credentials: bound() });
  assert.strictEqual((await check('pebble')).accepted, true);
  await scene.server.kill();
  await scene.server.restart();
  const again = await check('pebble');
  assert.strictEqual(again.accepted, true);
  assert.match(again.account, /^https:/);
  assert.strictEqual(await pebble.accounts(), 1);
});

test('a binding that is used up is forgotten, and not asked for again', async () => {
  const get = () => scene.issuers.call('IssuerService/GetIssuer', { vault: 'shop', issuer: 'pebble' });
  const it = await get();
  assert.strictEqual(it.has_credential, false);
  assert.strictEqual(it.account_id, EAB.kid);
  assert.strictEqual((await scene.issuers.call('IssuerService/GetIssuer',
    { vault: 'shop', issuer: 'stranger' })).has_credential, true);
  await scene.issuers.call('IssuerService/UpdateIssuer', { vault: 'shop', issuer: 'pebble',
    order_rules: { orders_per_hour: 50 } });
  await scene.setIssuer('pebble', { directory: pebble.directory, credentials: { account_id: EAB.kid } });
  await scene.setIssuer('pebble', { directory: pebble.directory, credentials: bound() });
  assert.strictEqual((await get()).has_credential, false);
  assert.strictEqual((await check('pebble')).accepted, true);
  assert.strictEqual(await pebble.accounts(), 1);
  /* Another authority wants one of its own. */
  const elsewhere = await scene.issuers.refused('IssuerService/UpdateIssuer', { vault: 'shop',
    issuer: 'pebble', settings: JSON.stringify({ directory: 'https://ca.example/dir',
      terms_agreed: true }) });
  assert.strictEqual(elsewhere.field, 'credentials.pwd');
});

test('a certificate is revoked by who runs the issuer, twice as once', async () => {
  await scene.create('web', 'pebble', ['www.example.test']);
  await scene.completed('web');
  const bundle = await scene.get('web');
  assert.strictEqual(await pebble.stateOf(bundle.cer), 'Valid');
  const it = { vault: 'shop', issuer: 'pebble', name: 'web', reason: 'SUPERSEDED' };
  const denied = await scene.certificates.refused('IssuerService/RevokeIssuedCertificate', it);
  assert.strictEqual(denied.code, 'PERMISSION_DENIED');
  await scene.issuers.call('IssuerService/RevokeIssuedCertificate', it);
  assert.strictEqual(await pebble.stateOf(bundle.cer), 'Revoked');
  await scene.issuers.call('IssuerService/RevokeIssuedCertificate', it);
});

test('the account gets another key and goes on with it', async () => {
  const before = await scene.issuers.call('IssuerService/RollAccountKey',
    { vault: 'shop', issuer: 'pebble' });
  const after = JSON.parse(scene.kvctl(scene.issuers, 'issuer', 'roll-account-key',
    ['--name', 'pebble']));
  assert.strictEqual(after.url, before.url);
  assert.notStrictEqual(after.publicKey, before.public_key.toString('base64'));
  assert.strictEqual((await check('pebble')).accepted, true);
  await scene.create('after', 'pebble', ['after.example.test']);
  await scene.completed('after');
  const denied = await scene.certificates.refused('IssuerService/RollAccountKey',
    { vault: 'shop', issuer: 'pebble' });
  assert.strictEqual(denied.code, 'PERMISSION_DENIED');
});

const remove = (issuer) => scene.issuers.call('IssuerService/DeleteIssuer',
  { vault: 'shop', issuer, deactivate_account: true });

test('the account is closed with the issuer, if its officer says so', async () => {
  await scene.setIssuer('going', { directory: pebble.directory, credentials: bound() });
  assert.strictEqual((await check('going')).accepted, true);
  const denied = await scene.certificates.refused('IssuerService/DeleteIssuer',
    { vault: 'shop', issuer: 'going', deactivate_account: true });
  assert.strictEqual(denied.code, 'PERMISSION_DENIED');
  scene.kvctl(scene.issuers, 'issuer', 'delete', ['--name', 'going', '--deactivate-account']);
  assert.strictEqual((await scene.issuers.refused('IssuerService/GetIssuer',
    { vault: 'shop', issuer: 'going' })).code, 'NOT_FOUND');
  /* That name again is another account. */
  await scene.setIssuer('going', { directory: pebble.directory, credentials: bound() });
  assert.strictEqual((await check('going')).accepted, true);
  await remove('going');
  /* One that never had an account has none to be closed. */
  await remove('unbound');
  await scene.issuers.call('IssuerService/SetIssuer', { vault: 'shop', issuer: 'Unknown',
    provider: 'Unknown', allowed_domains: { rules: ['*'] } });
  const without = await scene.issuers.refused('IssuerService/DeleteIssuer',
    { vault: 'shop', issuer: 'Unknown', deactivate_account: true });
  assert.strictEqual(without.code, 'UNIMPLEMENTED');
});

test('an authority that has forgotten the account stops nothing for good', async () => {
  await pebble.stop();
  await pebble.begin({ folder, httpPort: pebble.httpPort, eab: true, listen: pebble.listen });
  const answer = await check('pebble');
  assert.strictEqual(answer.accepted, false);
  assert.match(answer.details, /account/i);
  await scene.create('later', 'pebble', ['later.example.test']);
  const told = await scene.until('later', (it) => it.error, 'told');
  assert.strictEqual(told.status, 'inProgress');
  assert.match(told.error.message, /account/i);
});

test('what the authority does not know is closed; what it cannot be asked stays', async () => {
  await remove('pebble');
  await scene.setIssuer('down', { directory: pebble.directory, credentials: bound() });
  assert.strictEqual((await check('down')).accepted, true);
  await pebble.stop();
  const refused = await scene.issuers.refused('IssuerService/DeleteIssuer',
    { vault: 'shop', issuer: 'down', deactivate_account: true });
  assert.strictEqual(refused.code, 'UNAVAILABLE');
  await scene.issuers.call('IssuerService/GetIssuer', { vault: 'shop', issuer: 'down' });
  await scene.issuers.call('IssuerService/DeleteIssuer', { vault: 'shop', issuer: 'down' });
});
