// Certificates as credentials: limits of management certificates, where they count, when they end.
import assert from 'node:assert';
import test, { after, before } from 'node:test';
import { Caller, Keyvault, selfSigned } from '../support/keyvault.mjs';

const LIMIT = 100;
let server;
let admin;
let second;
let operator;

before(async () => {
  server = await Keyvault.start({ clientCa: true });
  admin = await server.administrator();
  second = await server.officer('second', ['ACCESS_ADMINISTRATOR'], '/');
  operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  for (const vault of ['shop', 'other', 'third']) {
    await operator.call('VaultService/CreateVault', { vault });
  }
  const keeper = await server.officer('keeper', ['CRYPTO_OFFICER'], '/');
  for (const vault of ['shop', 'other']) {
    await keeper.call('KeyService/CreateKey', { vault, name: 'own', kty: 'EC' });
  }
});

after(async () => {
  await server?.stop();
});

const manager = async (name) => (await admin.call('AccessService/CreatePrincipal',
  { display_name: name, kind: 'MANAGEMENT' })).id;
const register = (by, id, vault, identity = selfSigned('management')) =>
  by.call('AccessService/AddManagementCertificate',
    { principal_id: id, vault, certificate: identity.der });
const refuse = (by, id, vault, identity = selfSigned('management')) =>
  by.refused('AccessService/AddManagementCertificate',
    { principal_id: id, vault, certificate: identity.der });

test('a management certificate counts in its vault only', async () => {
  const id = await manager('manager');
  const identity = selfSigned('manager');
  await register(admin, id, 'shop', identity);
  const caller = new Caller(server, 'manager', identity);
  caller.id = id;
  assert.strictEqual((await caller.call('AccessService/WhoAmI')).principal.home_vault, 'shop');
  for (const scope of ['/', '/vaults/other', '/vaults/other/keys', '/vaults/shop-2']) {
    const error = await admin.refused('AccessService/AssignRole',
      { principal_id: id, role: 'CRYPTO_USER', scope });
    assert(['FAILED_PRECONDITION', 'PERMISSION_DENIED'].includes(error.code), error.message);
  }
  await server.grant(caller, [['CRYPTO_USER', '/vaults/shop']]);
  await caller.token(['CRYPTO_USER'], '/vaults/shop');
  await caller.call('KeyService/GetKey', { vault: 'shop', name: 'own' });
  const other = await caller.refused('KeyService/GetKey', { vault: 'other', name: 'own' });
  assert.strictEqual(other.code, 'PERMISSION_DENIED');
  for (const scope of ['/', '/vaults/other']) {
    const error = await caller.refused('AccessService/IssueRoleToken',
      { roles: ['CRYPTO_USER'], scope }, { bearer: null });
    assert.strictEqual(error.code, 'PERMISSION_DENIED');
  }
  const moved = await refuse(admin, id, 'other');
  assert.strictEqual(moved.code, 'FAILED_PRECONDITION');
});

test('kinds do not mix', async () => {
  const person = (await admin.call('AccessService/CreatePrincipal',
    { display_name: 'person', kind: 'USER' })).id;
  assert.strictEqual((await refuse(admin, person, 'shop')).code, 'FAILED_PRECONDITION');
  assert.strictEqual((await refuse(admin, await manager('m-0'), '')).code, 'FAILED_PRECONDITION');
  assert.strictEqual((await refuse(admin, '0'.repeat(32), 'shop')).code, 'NOT_FOUND');
});

test('the same certificate twice, an expired one, none at all', async () => {
  const id = await manager('m-1');
  const identity = selfSigned('once');
  await register(admin, id, 'third', identity);
  const twice = await refuse(admin, await manager('m-2'), 'third', identity);
  assert.strictEqual(twice.code, 'ALREADY_EXISTS');
  const expired = await refuse(admin, id, 'third',
    selfSigned('expired', { from: Date.now() - 86400e3, to: Date.now() - 1000 }));
  assert.deepStrictEqual([expired.code, expired.reason],
    ['FAILED_PRECONDITION', 'CERTIFICATE_EXPIRED']);
  for (const der of [Buffer.alloc(0), Buffer.from('x'), identity.der.subarray(0, -1),
    Buffer.concat([identity.der, Buffer.from([0])]), Buffer.alloc(17 * 1024, 0x30)]) {
    const error = await refuse(admin, id, 'third', { der });
    assert.deepStrictEqual([error.code, error.field], ['INVALID_ARGUMENT', 'certificate']);
  }
});

/* Somebody who has called once, with a certificate that lives so long; longer, if that was too short
 * for this machine. */
async function shortLived(ms) {
  const to = Date.now() + ms;
  try {
    const it = await server.officer(`short ${ms}`, ['READER'], '/',
      { identity: selfSigned('short', { to }) });
    await it.call('VaultService/GetVault', { vault: 'shop' });
    return [it, to];
  } catch (error) {
    if (Date.now() < to - 1000 || ms > 60_000) throw error;
    return shortLived(4 * ms);
  }
}

test('a certificate that expires is refused at once, on an open connection too', async () => {
  const [short, to] = await shortLived(6000);
  const until = to + 30_000;
  let error = null;
  while (!error && Date.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, 250));
    await short.call('VaultService/GetVault', { vault: 'shop' }).catch((it) => { error = it; });
  }
  assert.strictEqual(error?.code, 'UNAUTHENTICATED', error?.message);
  assert(['CERTIFICATE_EXPIRED', 'TOKEN_EXPIRED'].includes(error.reason), error.reason);
  const token = await short.refused('AccessService/IssueRoleToken',
    { roles: ['READER'], scope: '/' }, { bearer: null });
  assert.deepStrictEqual([token.code, token.reason], ['UNAUTHENTICATED', 'CERTIFICATE_EXPIRED']);
});

test('the 101st is refused; a co-administrator goes on; one removed makes room', async () => {
  const already = (await admin.call('AccessService/ListCredentials', { vault: 'third',
    page_size: 500 })).credentials.length + (await admin.call('AccessService/ListCredentials',
    { vault: 'shop', page_size: 500 })).credentials.length;
  const id = await manager('many');
  const made = [];
  for (let i = already; i < LIMIT; i++) made.push(await register(admin, id, 'other'));
  const mine = await refuse(admin, id, 'other');
  assert.deepStrictEqual([mine.code, mine.reason], ['FAILED_PRECONDITION', 'LIMIT_REACHED']);
  assert.match(mine.text, /100/);
  assert.match(mine.text, /administrator/);

  for (let i = made.length; i < LIMIT; i++) await register(second, id, 'other');
  const full = await refuse(second, id, 'other');
  assert.deepStrictEqual([full.code, full.reason], ['FAILED_PRECONDITION', 'LIMIT_REACHED']);
  assert.match(full.text, /vault/);
  const listed = await admin.call('AccessService/ListCredentials',
    { vault: 'other', page_size: 500 });
  assert.strictEqual(listed.credentials.length, LIMIT);

  await admin.call('AccessService/RemoveCredential', { credential_id: made[0].id });
  await register(second, id, 'other');
  const again = await refuse(second, id, 'other');
  assert.strictEqual(again.reason, 'LIMIT_REACHED');
});

test('a service is mapped by one exact name of the client CA', async () => {
  const app = await server.service('app', [['READER', '/']], 'spiffe://example.org/app');
  await app.token(['READER'], '/');
  for (const san of ['URI:spiffe://example.org/app/', 'URI:spiffe://example.org/ap',
    'URI:spiffe://example.org/App', 'DNS:example.org']) {
    const other = new Caller(server, san, server.certificate('app', { san }));
    const error = await other.refused('AccessService/WhoAmI');
    assert.deepStrictEqual([error.code, error.reason],
      ['UNAUTHENTICATED', 'CERTIFICATE_UNKNOWN'], `${san}: ${error.message}`);
  }
  const twin = new Caller(server, 'twin',
    server.certificate('another subject', { san: 'URI:spiffe://example.org/app' }));
  const me = await twin.call('AccessService/WhoAmI');
  assert.strictEqual(me.principal.id, app.id);
  const two = await server.service('two', [], 'spiffe://example.org/two');
  const both = new Caller(server, 'both', server.certificate('both',
    { san: 'URI:spiffe://example.org/app,URI:spiffe://example.org/two' }));
  const ambiguous = await both.refused('AccessService/WhoAmI');
  assert.strictEqual(ambiguous.code, 'UNAUTHENTICATED', ambiguous.message);
  const taken = await admin.refused('AccessService/AddCredential',
    { principal_id: two.id, name_type: 'URI', value: 'spiffe://example.org/app' });
  assert.strictEqual(taken.code, 'ALREADY_EXISTS');
});
