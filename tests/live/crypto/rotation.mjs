// Keys are rotated by hand and given policies: what the next version is, what the old one still
// does, what a policy may not say, and who may do none of it. That time does it too is shown where
// the clock can be set (test_vault_rotations).
import assert from 'node:assert';
import fs from 'node:fs';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { Keyvault, run } from '../support/keyvault.mjs';

const VAULT = 'shop';
const DAY = 86_400;
const KVCTL = path.join(path.dirname(process.env.KEYVAULTD), '../client/kvctl');
const SCHEDULE = { disable_after: 'P30D', destroy_after: 'P120D' };
let server;
let officer;
let user;
let purger;
let reader;

before(async () => {
  server = await Keyvault.start();
  const operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  await operator.call('VaultService/CreateVault', { vault: VAULT });
  officer = await server.officer('officer', ['CRYPTO_OFFICER'], '/vaults/shop');
  user = await server.officer('user', ['CRYPTO_USER'], '/vaults/shop');
  purger = await server.officer('purger', ['PURGE_OFFICER'], '/vaults/shop');
  reader = await server.officer('reader', ['READER'], '/vaults/shop');
  for (const { name, identity } of [officer, purger]) {
    fs.writeFileSync(at(`${name}.pem`), identity.pem);
    fs.writeFileSync(at(`${name}.key`), identity.key, { mode: 0o600 });
  }
});

after(async () => {
  await server?.stop();
});

const at = (name) => path.join(server.folder, name);

const make = async (name, fields = { kty: 'EC' }) => {
  const it = { vault: VAULT, name };
  await officer.call('KeyService/CreateKey', { ...it, ...fields });
  return it;
};
const setPolicy = (it, policy) =>
  officer.call('KeyService/UpdateKeyRotationPolicy', { ...it, policy });
const rotateAfter = (text) => ({ trigger: { time_after_create: text }, action: 'ROTATE' });
const rotateBefore = (text) => ({ trigger: { time_before_expiry: text }, action: 'ROTATE' });
const notify = (text) => ({ trigger: { time_before_expiry: text }, action: 'NOTIFY' });

test('what one version encrypted, it decrypts after the next has come', async () => {
  const it = await make('data', { kty: 'OCT', key_size: 192,
    tags: [{ name: 'team', value: 'red' }] });
  const plaintext = Buffer.from('a report');
  const old = await user.call('KeyService/Encrypt', { ...it, algorithm: 'A192GCM', plaintext });
  const next = await officer.call('KeyService/RotateKey', it);
  assert.notStrictEqual(next.id.version, old.id.version);
  assert.deepStrictEqual([next.key_size, next.tags.length, next.attributes.enabled],
    [192, 1, true]);
  const now = await user.call('KeyService/Encrypt', { ...it, algorithm: 'A192GCM', plaintext });
  assert.strictEqual(now.id.version, next.id.version);
  const { ciphertext, iv, tag } = old;
  const opened = await user.call('KeyService/Decrypt', { ...it, version: old.id.version,
    algorithm: 'A192GCM', ciphertext, iv, tag });
  assert.deepStrictEqual(opened.plaintext, plaintext);
  const before = await user.call('KeyService/GetKey', { ...it, version: old.id.version });
  assert(Number(before.retirement.replaced) >= Number(next.attributes.created) - 1);
  assert(!next.retirement);
});

test('a policy is kept, shown, and gives new versions their life', async () => {
  const it = await make('kept');
  const none = await reader.call('KeyService/GetKeyRotationPolicy', it);
  assert.deepStrictEqual([Number(none.created), none.policy.lifetime_actions.length], [0, 1]);
  assert.strictEqual(none.policy.lifetime_actions[0].trigger.time_before_expiry, 'P30D');
  const set = await setPolicy(it, { lifetime_actions: [rotateBefore('P1M'), notify('P45D')],
    attributes: { expiry_time: 'P1Y' }, retirement: SCHEDULE });
  const shown = await reader.call('KeyService/GetKeyRotationPolicy', it);
  assert.deepStrictEqual(shown, set);
  assert.strictEqual(Number(shown.next_rotation), 0, 'the first version does not expire');
  const { attributes } = await officer.call('KeyService/RotateKey', it);
  const life = Number(attributes.expires) - Number(attributes.created);
  assert(life >= 365 * DAY && life <= 366 * DAY, `${life}`);
  const { next_rotation: next } = await reader.call('KeyService/GetKeyRotationPolicy', it);
  const margin = Number(attributes.expires) - Number(next);
  assert(margin >= 28 * DAY && margin <= 31 * DAY, `${margin}`);
  /* It survives a restart, and all of it is replaced by the next. */
  await server.restart();
  assert.deepStrictEqual((await reader.call('KeyService/GetKeyRotationPolicy', it)).policy,
    set.policy);
  const bare = await setPolicy(it, {});
  assert.deepStrictEqual([bare.policy.attributes, bare.policy.retirement], [null, null]);
});

const BAD = [
  ['no policy at all', undefined, 'policy'],
  ['20,000 actions', { lifetime_actions: Array(20_000).fill(notify('P7D')) },
    'policy.lifetime_actions'],
  ['an action without a trigger', { lifetime_actions: [{ action: 'ROTATE' }] },
    'policy.lifetime_actions.trigger'],
  ['an action of no kind', { lifetime_actions: [{ trigger: { time_after_create: 'P90D' } }] },
    'policy.lifetime_actions.action'],
  ['two triggers', { lifetime_actions: [{ action: 'ROTATE',
    trigger: { time_after_create: 'P90D', time_before_expiry: 'P30D' } }] },
  'policy.lifetime_actions.trigger'],
  ['two rotations', { lifetime_actions: [rotateAfter('P90D'), rotateAfter('P80D')] },
    'policy.lifetime_actions'],
  ['two notifications', { lifetime_actions: [notify('P30D'), notify('P7D')] },
    'policy.lifetime_actions'],
  ['a notification after creation', { lifetime_actions: [{ action: 'NOTIFY',
    trigger: { time_after_create: 'P90D' } }] },
  'policy.lifetime_actions.trigger.time_after_create'],
  ['no duration', { lifetime_actions: [rotateAfter('ninety days')] },
    'policy.lifetime_actions.trigger.time_after_create'],
  ['a duration of 10,000 characters', { lifetime_actions: [rotateAfter('P9'.padEnd(1e4, '9'))] },
    'policy.lifetime_actions[0].trigger.time_after_create'],
  ['each six days', { lifetime_actions: [rotateAfter('P6D')] },
    'policy.lifetime_actions.trigger.time_after_create'],
  ['before an end that there is not', { lifetime_actions: [rotateBefore('P30D')] },
    'policy.attributes.expiry_time'],
  ['a life of 27 days', { attributes: { expiry_time: 'P27D' } }, 'policy.attributes.expiry_time'],
  ['a rotation after the end', { lifetime_actions: [rotateAfter('P1Y')],
    attributes: { expiry_time: 'P1Y' } }, 'policy.lifetime_actions.trigger.time_after_create'],
  ['disabled after six days', { retirement: { disable_after: 'P6D' } },
    'policy.retirement.disable_after'],
  ['destroyed without being disabled', { retirement: { destroy_after: 'P1Y' } },
    'policy.retirement.disable_after'],
  ['destroyed before the retention is over', { retirement: { disable_after: 'P30D',
    destroy_after: 'P119D' } }, 'policy.retirement.destroy_after'],
];

test('what a policy may not say', async () => {
  const it = await make('strict');
  for (const [what, policy, field] of BAD) {
    const error = await officer.refused('KeyService/UpdateKeyRotationPolicy', { ...it, policy });
    assert.deepStrictEqual([error.code, error.field], ['INVALID_ARGUMENT', field], what);
  }
  assert.strictEqual(
    Number((await reader.call('KeyService/GetKeyRotationPolicy', it)).created), 0);
});

test('who sets the schedule does not permit it, and who uses the key does neither', async () => {
  const it = await make('two-people');
  await setPolicy(it, { retirement: SCHEDULE });
  for (const [who, method, fields] of [
    [officer, 'PermitKeyDestruction', SCHEDULE], [user, 'PermitKeyDestruction', SCHEDULE],
    [user, 'RotateKey', {}], [user, 'UpdateKeyRotationPolicy', { policy: {} }],
    [purger, 'UpdateKeyRotationPolicy', { policy: {} }], [purger, 'RotateKey', {}],
    [user, 'GetKeyRotationPolicy', {}],
  ]) {
    const error = await who.refused(`KeyService/${method}`, { ...it, ...fields });
    assert.strictEqual(error.code, 'PERMISSION_DENIED', `${who.name} ${method}`);
  }
  const permitted = await purger.call('KeyService/PermitKeyDestruction', { ...it, ...SCHEDULE });
  assert.strictEqual(permitted.destruction_permitted_by, purger.id);
  assert(Number(permitted.destruction_permitted) > 0);
  const other = await purger.refused('KeyService/PermitKeyDestruction',
    { ...it, disable_after: 'P30D', destroy_after: 'P2Y' });
  assert.strictEqual(other.code, 'FAILED_PRECONDITION');
  /* The same in other words is the same; another schedule is not. */
  await setPolicy(it, { lifetime_actions: [rotateAfter('P90D')], retirement: SCHEDULE });
  const still = await reader.call('KeyService/GetKeyRotationPolicy', it);
  assert(Number(still.destruction_permitted) > 0);
  const changed = await setPolicy(it, { retirement: { ...SCHEDULE, destroy_after: 'P121D' } });
  assert.deepStrictEqual([Number(changed.destruction_permitted), changed.destruction_permitted_by],
    [0, '']);
});

test('keys of certificates are renewed with them', async () => {
  const manager = await server.officer('manager', ['CERTIFICATE_OFFICER'], '/vaults/shop');
  const it = { vault: VAULT, name: 'web' };
  await manager.call('CertificateService/CreateCertificate', { ...it, policy: {
    key_props: { kty: 'EC' }, x509_props: { subject: 'CN=web' }, issuer: { name: 'Self' } } });
  for (const [who, method, fields] of [[officer, 'RotateKey', {}],
    [officer, 'GetKeyRotationPolicy', {}], [officer, 'UpdateKeyRotationPolicy', { policy: {} }],
    [purger, 'PermitKeyDestruction', SCHEDULE]]) {
    const error = await who.refused(`KeyService/${method}`, { ...it, ...fields });
    assert.deepStrictEqual([error.code, error.reason], ['FAILED_PRECONDITION', 'MANAGED'], method);
  }
});

test('repeated with one idempotency key, one version', async () => {
  const it = await make('once');
  const metadata = { 'idempotency-key': 'rotation' };
  const first = await officer.call('KeyService/RotateKey', it, { metadata });
  const again = await officer.call('KeyService/RotateKey', it, { metadata });
  assert.strictEqual(again.id.version, first.id.version);
  const { items } = await reader.call('KeyService/ListKeyVersions', it);
  assert.strictEqual(items.length, 2);
  const policy = { ...it, policy: { retirement: SCHEDULE } };
  const other = { metadata: { 'idempotency-key': 'policy' } };
  assert.deepStrictEqual(await officer.call('KeyService/UpdateKeyRotationPolicy', policy, other),
    await officer.call('KeyService/UpdateKeyRotationPolicy', policy, other));
});

test('kvctl', async () => {
  await make('shell');
  const kvctl = (who, verb, ...args) => JSON.parse(run(KVCTL, ['key', ...verb.split(' '),
    '--endpoint', `127.0.0.1:${server.port}`, '--server-name', 'localhost',
    '--ca', path.join(server.home, 'tls/server.pem'), '--certificate', at(`${who.name}.pem`),
    '--key', at(`${who.name}.key`), '--vault', VAULT, '--name', 'shell', '-o', 'json', ...args]));

  const set = kvctl(officer, 'rotation-policy update', '--rotate-before-expiry', 'P30D',
    '--notify-before-expiry', 'P40D', '--expiry-time', 'P2Y', '--disable-after', 'P30D',
    '--destroy-after', 'P1Y');
  assert.deepStrictEqual(set.policy.lifetimeActions.map(({ action, trigger }) =>
    [action.replace(/^.*TYPE_/, ''), trigger.timeBeforeExpiry]),
  [['ROTATE', 'P30D'], ['NOTIFY', 'P40D']]);
  assert.deepStrictEqual(kvctl(officer, 'rotation-policy show'), set);
  assert(kvctl(officer, 'rotate').attributes.expires > 0);
  assert.throws(() => kvctl(purger, 'rotation-policy permit-destruction', '--disable-after',
    'P30D', '--destroy-after', 'P2Y'), /another schedule/);
  const permitted = kvctl(purger, 'rotation-policy permit-destruction', '--disable-after', 'P30D',
    '--destroy-after', 'P1Y');
  assert(permitted.destructionPermitted > 0);
  assert.strictEqual(kvctl(purger, 'rotation-policy forbid-destruction').destructionPermitted, 0);
  /* What was shown can be given back. */
  const again = kvctl(officer, 'rotation-policy update', '--policy', JSON.stringify(set.policy));
  assert.deepStrictEqual(again.policy, set.policy);
  assert.throws(() => kvctl(officer, 'rotation-policy update', '--policy', '{}', '--rotate-after',
    'P90D'), /give --policy, or/);
  assert.throws(() => kvctl(officer, 'rotation-policy update'), /policy/);
  assert.strictEqual(
    kvctl(officer, 'rotation-policy update', '--policy', '{}').policy.retirement, undefined);
});
