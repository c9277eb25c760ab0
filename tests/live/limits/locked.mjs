// locked.mjs - calls that wait with their secrets on the locked heap do not take it from others.
import assert from 'node:assert';
import test, { after, before } from 'node:test';
import { Keyvault } from '../support/keyvault.mjs';

const KEYS = 6; // that keep both workers busy meanwhile
const WAITING = 110; // on each connection
const CONNECTIONS = 4;
const LONG_BEARER = 12000; // of 16 KiB that all headers may have
const LOCKED = 1 << 20; // of which calls that wait would take more
let server;
let mallory; // may do nothing with secrets
let app;

before(async () => {
  server = await Keyvault.start({ settings: { 'server.locked_memory': LOCKED } });
  const operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  await operator.call('VaultService/CreateVault', { vault: 'shop' });
  await operator.call('VaultService/CreateVault', { vault: 'elsewhere' });
  const officer = await server.officer('officer', ['SECRETS_OFFICER'], '/vaults/shop');
  await officer.call('SecretService/SetSecret', { vault: 'shop', name: 's',
    value: Buffer.from('x') });
  app = await server.officer('app', ['SECRETS_USER'], '/vaults/shop');
  mallory = await server.officer('mallory', ['CRYPTO_OFFICER'], '/vaults/elsewhere');
});
after(() => server?.stop());

// What waits is a call with a small message; with each comes what is said to be a bearer token.
async function floods(what, bearer, end) {
  const again = (i) => Object.assign(mallory.again(), { name: `m${what}${i}` });
  const connections = Array.from({ length: CONNECTIONS }, (_, i) => again(i));
  const ends = {};
  const count = (code) => { ends[code] = (ends[code] ?? 0) + 1; };
  let made = 0;
  const keys = Promise.all(Array.from({ length: KEYS }, (_, i) => mallory.call(
    'KeyService/CreateKey', { vault: 'elsewhere', name: `${what}${i}`, kty: 'RSA', key_size: 4096 },
    { deadline: 200_000 }).then(() => { made++; })));
  const waiting = Promise.all(connections.flatMap((caller) => Array.from({ length: WAITING }, () =>
    caller.call('SecretService/SetSecret', { vault: 'shop', name: 's', value: Buffer.from('y') },
      { bearer, deadline: 200_000 }).then(() => count('OK'), (error) => count(error.code)))));
  let got = 0;
  for (; made < KEYS; got++) {
    const { value } = await app.call('SecretService/GetSecret', { vault: 'shop', name: 's' });
    assert.strictEqual(value.toString(), 'x');
    await app.call('AccessService/IssueRoleToken', { roles: ['SECRETS_USER'],
      scope: '/vaults/shop' }, { bearer: null });
  }
  await Promise.all([keys, waiting]);
  assert(got > 1, 'the keys were made at once');
  assert(ends.RESOURCE_EXHAUSTED > 0 && ends[end] > 0, JSON.stringify(ends));
  assert.strictEqual(ends.OK, undefined);
}

test('somebody who may do nothing with secrets keeps nobody from them', async () => {
  await floods('small', mallory.bearer, 'PERMISSION_DENIED');
});

test('nor with calls whose headers are as long as they may be', async () => {
  await floods('long', 'x'.repeat(LONG_BEARER), 'UNAUTHENTICATED');
});
