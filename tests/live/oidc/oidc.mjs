// oidc.mjs - people whom an identity provider vouches for: what makes them known, and what ends it.
import assert from 'node:assert';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { Caller, Keyvault, methods, nap, selfSigned } from '../support/keyvault.mjs';
import { Provider } from './provider.mjs';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'keyvault-oidc-'));
let provider;
let server;
let admin;
let alice; // the principal's id
let credential;

const settings = () => ({
  'outgoing.networks': '127.0.0.0/8',
  'oidc.corp.issuer': provider.issuer,
  'oidc.corp.audience': 'keyvault',
  'oidc.corp.claims': 'sub, email, groups',
  'oidc.corp.ca_file': provider.identity.file,
  'oidc.corp.token_seconds': '600',
});

/** Somebody with a certificate of their own making. */
const stranger = (name = 'stranger', options) => new Caller(server, name,
  selfSigned(name, options));
const person = async (name) => (await admin.call('AccessService/CreatePrincipal',
  { display_name: name, kind: 'USER' })).id;
const federate = (id, claim, value) => admin.call('AccessService/AddCredential',
  { principal_id: id, provider: 'corp', claim, value });
const assign = (id, role, scope) => admin.call('AccessService/AssignRole',
  { principal_id: id, role, scope });
const request = (token, { roles = ['CRYPTO_USER'], scope = '/vaults/shop', ttl = 0 } = {}) =>
  ({ roles, scope, ttl_seconds: ttl, id_token: token });

/** Exchanges an ID token; waits while the server says that it is fetching keys. */
async function login(caller, token, options) {
  for (let tries = 0; ; tries += 1) {
    try {
      const answer = await caller.call('AccessService/IssueRoleToken', request(token, options),
        { bearer: null });
      caller.bearer = answer.token;
      return answer;
    } catch (error) {
      if (error.code !== 'UNAVAILABLE' || tries > 400) throw error;
      await nap(100);
    }
  }
}

async function loginRefused(caller, token, options) {
  const error = await caller.refused('AccessService/IssueRoleToken', request(token, options),
    { bearer: null });
  assert.strictEqual(error.code, 'UNAUTHENTICATED', error.message);
  assert.strictEqual(error.reason, 'ID_TOKEN_INVALID', error.message);
  return error;
}

before(async () => {
  provider = await Provider.start(folder);
  server = await Keyvault.start({ settings: settings() });
  admin = await server.administrator();
  const operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  const keeper = await server.officer('keeper', ['CRYPTO_OFFICER'], '/');
  for (const vault of ['shop', 'other']) {
    await operator.call('VaultService/CreateVault', { vault });
    await keeper.call('KeyService/CreateKey', { vault, name: 'own', kty: 'EC' });
  }
  alice = await person('alice');
  credential = await federate(alice, '', 'alice');
  await assign(alice, 'CRYPTO_USER', '/vaults/shop');
});

after(async () => {
  await server?.stop();
  await provider?.down();
  fs.rmSync(folder, { recursive: true, force: true });
});

const digest = Buffer.alloc(32, 1);
const signs = (caller, vault = 'shop') => caller.call('KeyService/Sign',
  { vault, name: 'own', algorithm: 'ES256', digest });
const signRefused = (caller, vault = 'shop') => caller.refused('KeyService/Sign',
  { vault, name: 'own', algorithm: 'ES256', digest });

test('a credential says provider, claim and value', async () => {
  assert.strictEqual(credential.kind, 'CREDENTIAL_KIND_OIDC');
  assert.deepStrictEqual([credential.provider, credential.claim, credential.value],
    ['corp', 'sub', 'alice']);
  const { credentials } = await admin.call('AccessService/ListCredentials',
    { principal_id: alice });
  assert.deepStrictEqual(credentials, [credential]);
  const twice = await admin.refused('AccessService/AddCredential',
    { principal_id: await person('twin'), provider: 'corp', claim: 'sub', value: 'alice' });
  assert.strictEqual(twice.code, 'ALREADY_EXISTS');
  for (const [field, bad] of Object.entries({ provider: { provider: 'home', value: 'x' },
    claim: { provider: 'corp', claim: 'name', value: 'x' },
    value: { provider: 'corp', value: 'x\n' },
    name_type: { provider: 'corp', value: 'x', name_type: 'URI' },
    ca_sha256: { provider: 'corp', value: 'x', ca_sha256: Buffer.alloc(32) } })) {
    const error = await admin.refused('AccessService/AddCredential',
      { principal_id: alice, ...bad });
    assert.deepStrictEqual([error.code, error.field], ['INVALID_ARGUMENT', field]);
  }
});

test('an ID token becomes a role token of the certificate it came with', async () => {
  for (const [alg, header] of [['RS256', {}], ['ES256', {}], ['EdDSA', {}],
    ['ES256', { typ: 'at+jwt' }]]) {
    const caller = stranger();
    const answer = await login(caller, provider.token({ sub: 'alice' }, { alg, header }));
    assert.strictEqual(answer.scope, '/vaults/shop');
    await signs(caller);
    assert.strictEqual((await signRefused(caller, 'other')).code, 'PERMISSION_DENIED');
    const who = await caller.call('AccessService/WhoAmI');
    assert.strictEqual(who.principal.display_name, 'alice');
    /* Whoever takes the role token away cannot use it: it is the certificate's. */
    const thief = stranger('thief');
    thief.bearer = caller.bearer;
    const stolen = await signRefused(thief);
    assert.strictEqual(stolen.code, 'UNAUTHENTICATED');
    assert.strictEqual(stolen.reason, 'TOKEN_INVALID');
  }
});

test('a certificate of nobody reaches nothing but the exchange', async () => {
  const caller = stranger();
  for (const [method] of methods) {
    if (method === 'AccessService/IssueRoleToken') continue;
    const error = await caller.refused(method, {});
    assert.strictEqual(error.code, 'UNAUTHENTICATED', method);
    assert.strictEqual(error.reason, 'CERTIFICATE_UNKNOWN', method);
  }
  const bare = await caller.refused('AccessService/IssueRoleToken', request(''));
  assert.deepStrictEqual([bare.code, bare.reason], ['UNAUTHENTICATED', 'CERTIFICATE_UNKNOWN']);
  const good = provider.token({ sub: 'alice' });
  const none = new Caller(server, 'nobody', null);
  assert.strictEqual((await none.refused('AccessService/IssueRoleToken', request(good))).reason,
    'CERTIFICATE_UNKNOWN');
  const old = stranger('old', { from: Date.now() - 7200e3, to: Date.now() - 3600e3 });
  assert.strictEqual((await old.refused('AccessService/IssueRoleToken', request(good))).code,
    'UNAUTHENTICATED');
  const known = await admin.refused('AccessService/IssueRoleToken', request(good));
  assert.deepStrictEqual([known.code, known.field], ['INVALID_ARGUMENT', 'id_token']);
});

test('a token that is not exactly right is refused', async () => {
  const caller = stranger();
  const now = Math.floor(Date.now() / 1000);
  const sub = 'alice';
  const foreign = new Provider();
  foreign.rotate();
  const wrong = {
    'another issuer': provider.token({ sub, iss: 'https://localhost' }),
    'another audience': provider.token({ sub, aud: 'webmail' }),
    'no audience': provider.token({ sub, aud: undefined }),
    'several audiences, no azp': provider.token({ sub, aud: ['keyvault', 'webmail'] }),
    'several audiences, azp of another': provider.token({ sub, aud: ['keyvault', 'webmail'],
      azp: 'webmail' }),
    expired: provider.token({ sub, exp: now - 61 }),
    'no end': provider.token({ sub, exp: undefined }),
    'end as text': provider.token({ sub, exp: `${now + 300}` }),
    'no beginning': provider.token({ sub, iat: undefined }),
    'issued tomorrow': provider.token({ sub, iat: now + 86400 }),
    'not yet valid': provider.token({ sub, nbf: now + 600 }),
    'no subject': provider.token({ sub: undefined }),
    'an unknown subject': provider.token({ sub: 'mallory' }),
    'subject of another case': provider.token({ sub: 'Alice' }),
    'a logout token': provider.token({ sub, events: { a: {} } }),
    'a logout token by type': provider.token({ sub }, { header: { typ: 'logout+jwt' } }),
    'bound to another certificate': provider.token({ sub, cnf: { 'x5t#S256': 'AAAA' } }),
    'bound to a key': provider.token({ sub, cnf: { jkt: 'AAAA' } }),
    'no signature': provider.token({ sub }, { header: { alg: 'none' } }),
    'a shared secret': provider.token({ sub }, { header: { alg: 'HS256' } }),
    'an algorithm that is not trusted': provider.token({ sub }, { header: { alg: 'RS512' } }),
    'an algorithm of another family': provider.token({ sub },
      { header: { alg: 'ES256' } }),
    'no key id': provider.token({ sub }, { header: { kid: undefined } }),
    'a key of its own': provider.token({ sub }, { header: { jwk: { kty: 'oct', k: 'AA' } } }),
    'a place for keys': provider.token({ sub }, { header: { jku: `${provider.issuer}/keys` } }),
    'a critical extension': provider.token({ sub }, { header: { crit: ['exp'] } }),
    'duplicate claims': provider.token(null, { raw: `{"iss":"${provider.issuer}","sub":"mallory",` +
      `"sub":"alice","aud":"keyvault","iat":${now},"exp":${now + 300}}` }),
    'another key': provider.token({ sub },
      { key: { ...foreign.keys.RS256, kid: provider.keys.RS256.kid } }),
    'empty parts': '..',
    'no JWT': 'abc',
    'four parts': `${provider.token({ sub })}.x`,
    'cut off': provider.token({ sub }).slice(0, -3),
  };
  for (const [what, token] of Object.entries(wrong)) {
    const error = await caller.refused('AccessService/IssueRoleToken', request(token));
    assert.deepStrictEqual([what, error.code, error.reason],
      [what, 'UNAUTHENTICATED', 'ID_TOKEN_INVALID'], error.message);
  }
  const huge = await caller.refused('AccessService/IssueRoleToken',
    request(provider.token({ sub, padding: 'x'.repeat(20_000) })));
  assert.strictEqual(huge.code, 'INVALID_ARGUMENT');
  /* And what looks odd but is right. */
  await login(caller, provider.token({ sub, groups: Array(200).fill('g'.repeat(40)) }));
  await login(caller, provider.token({ sub, aud: ['keyvault', 'webmail'], azp: 'keyvault' }));
  const later = Math.floor(Date.now() / 1000);
  await login(caller, provider.token({ sub, exp: later - 30 }));
  await login(caller, provider.token({ sub, exp: later + 300.5, nbf: later - 1 }));
});

test('an address counts when it is verified; groups when one alone fits', async () => {
  const bob = await person('bob');
  const team = await person('team');
  const other = await person('other team');
  await federate(bob, 'email', 'bob@example.test');
  await federate(team, 'groups', 'blue');
  await federate(other, 'groups', 'red');
  for (const id of [bob, team, other]) await assign(id, 'CRYPTO_USER', '/vaults/shop');
  const email = 'bob@example.test';
  const name = async (payload) => {
    const caller = stranger();
    await login(caller, provider.token(payload));
    return (await caller.call('AccessService/WhoAmI')).principal.display_name;
  };
  await loginRefused(stranger(), provider.token({ sub: 'b', email }));
  await loginRefused(stranger(), provider.token({ sub: 'b', email, email_verified: 'true' }));
  assert.strictEqual(await name({ sub: 'b', email, email_verified: true }), 'bob');
  assert.strictEqual(await name({ sub: 'c', groups: ['green', 'blue', 'blue'] }), 'team');
  assert.strictEqual(await name({ sub: 'c', groups: 'red' }), 'other team');
  await loginRefused(stranger(), provider.token({ sub: 'c', groups: ['red', 'blue'] }));
  /* The claim that the configuration names first decides. */
  assert.strictEqual(await name({ sub: 'alice', email, email_verified: true,
    groups: ['red', 'blue'] }), 'alice');
  await loginRefused(stranger(), provider.token({ sub: 'c',
    groups: Array.from({ length: 300 }, (_, i) => `g${i}`) }));
});

test('rules of roles hold, and the provider bounds the life', async () => {
  const caller = stranger();
  const token = provider.token({ sub: 'alice' });
  for (const options of [{ scope: '/' }, { scope: '/vaults/other' }, { roles: ['CRYPTO_OFFICER'] },
    { roles: ['ACCESS_ADMINISTRATOR'], scope: '/' }]) {
    const error = await caller.refused('AccessService/IssueRoleToken', request(token, options));
    assert.strictEqual(error.code, 'PERMISSION_DENIED');
  }
  const answer = await login(caller, token, { ttl: 28800 });
  const left = answer.expires - Date.now() / 1000;
  assert(left > 500 && left <= 600, `${left}`);
  const excluded = await admin.refused('AccessService/AssignRole',
    { principal_id: alice, role: 'CRYPTO_OFFICER', scope: '/vaults/shop' });
  assert.strictEqual(excluded.reason, 'SEPARATION_OF_DUTY');
});

test('a role token is not good for the next one', async () => {
  const caller = stranger();
  const token = provider.token({ sub: 'alice' });
  await login(caller, token);
  const again = await caller.refused('AccessService/IssueRoleToken', request(''));
  assert.deepStrictEqual([again.code, again.reason], ['UNAUTHENTICATED', 'CERTIFICATE_UNKNOWN']);
  /* With an ID token it is, whether the old one comes along or not. */
  const answer = await caller.call('AccessService/IssueRoleToken', request(token));
  caller.bearer = answer.token;
  await signs(caller);
});

test('whatever makes alice unknown ends her role tokens at once', async () => {
  const token = provider.token({ sub: 'alice' });
  const enter = async () => {
    const caller = stranger();
    await login(caller, token);
    await signs(caller);
    return caller;
  };
  let caller = await enter();
  await admin.call('AccessService/RevokePrincipalTokens', { principal_id: alice });
  assert.strictEqual((await signRefused(caller)).reason, 'TOKEN_REVOKED');

  caller = await enter();
  await admin.call('AccessService/UpdatePrincipal', { principal_id: alice, enabled: false });
  assert.strictEqual((await signRefused(caller)).reason, 'DISABLED');
  assert.strictEqual((await caller.refused('AccessService/IssueRoleToken', request(token),
    { bearer: null })).reason, 'DISABLED');
  await admin.call('AccessService/UpdatePrincipal', { principal_id: alice, enabled: true });

  caller = await enter();
  await admin.call('AccessService/RemoveCredential', { credential_id: credential.id });
  assert.strictEqual((await signRefused(caller)).code, 'UNAUTHENTICATED');
  await loginRefused(caller, token);
  credential = await federate(alice, 'sub', 'alice');
  /* The same claim, but another credential: what the old one gave stays ended. */
  assert.strictEqual((await signRefused(caller)).code, 'UNAUTHENTICATED');

  caller = await enter();
  const { id } = await person('carol').then((it) => ({ id: it }));
  await admin.call('AccessService/AddManagementCertificate',
    { principal_id: id, certificate: caller.identity.der });
  assert.strictEqual((await signRefused(caller)).reason, 'TOKEN_INVALID');
});

test('the record says provider and claim, never the token', async () => {
  const auditor = await server.officer('auditor', ['AUDITOR'], '/');
  const records = await auditor.call('AuditService/SearchAudit',
    { from_ms: Date.now() - 3600e3, to_ms: Date.now() + 60e3, operation: 'RoleTokenIssue' });
  const text = JSON.stringify(records);
  assert.match(text, /oidc=corp sub=alice/);
  assert.match(text, /oidc=corp groups=blue/);
  assert(!text.includes('eyJ'), 'a token is in the audit log');
  assert(!server.log.includes('eyJ'), 'a token is in the log');
});

test('new keys are fetched when one is missing, old ones kept while the provider is away',
  async () => {
    const caller = stranger();
    await server.restart(); // which fetches
    await login(caller, provider.token({ sub: 'alice' }));
    await provider.down();
    await login(caller, provider.token({ sub: 'alice' }, { alg: 'ES256' }));
    await provider.up();
    const before_ = provider.fetches;
    provider.rotate();
    /* Within a minute of the last fetch nobody can make the server ask again. */
    await loginRefused(caller, provider.token({ sub: 'alice' }));
    assert.strictEqual(provider.fetches, before_);
    await server.restart();
    await login(caller, provider.token({ sub: 'alice' }));
    await signs(caller);
    assert.strictEqual(provider.fetches, before_ + 1);
    /* At the start the provider may be away: certificates work, tokens have to wait. */
    await provider.down();
    await server.restart();
    await server.administrator();
    const late = await caller.refused('AccessService/IssueRoleToken',
      request(provider.token({ sub: 'alice' })), { bearer: null });
    assert.strictEqual(late.code, 'UNAVAILABLE');
    await provider.up();
    await login(caller, provider.token({ sub: 'alice' }));
  });

test('a provider with another issuer knows nobody of before; without one nobody gets in',
  async () => {
    const token = provider.token({ sub: 'alice' });
    server.configure({ 'oidc.corp.issuer': 'https://localhost:1',
      'oidc.corp.jwks': `${provider.issuer}/keys` });
    await server.restart();
    const caller = stranger();
    await loginRefused(caller, token);
    const moved = async () => login(caller, provider.token({ sub: 'alice',
      iss: 'https://localhost:1' }));
    await assert.rejects(moved, (error) => error.reason === 'ID_TOKEN_INVALID');
    for (const name of Object.keys(settings())) {
      if (name.startsWith('oidc.')) delete server.settings[name];
    }
    delete server.settings['oidc.corp.jwks'];
    server.configure({});
    await server.restart();
    const error = await caller.refused('AccessService/IssueRoleToken', request(token),
      { bearer: null });
    assert.deepStrictEqual([error.code, error.reason],
      ['UNAUTHENTICATED', 'CERTIFICATE_UNKNOWN']);
  });
