// Role tokens that are stolen, forged, changed, expired or whose reason is gone. The server's own
// signing key, used from a copy of its token, makes forgeries that differ in one claim alone.
import assert from 'node:assert';
import { createHash, createHmac, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { Keyvault, SOFTHSM, nap, run, selfSigned } from '../support/keyvault.mjs';

const SHOP = '/vaults/shop';
const OWN = { vault: 'shop', name: 'own' };
let server;
let admin;
let operator;
let keeper;
let user;
let count = 0;

const part = (value) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const open = (token) => token.split('.').slice(0, 2)
  .map((it) => JSON.parse(Buffer.from(it, 'base64url')));

before(async () => {
  server = await Keyvault.start();
  admin = await server.administrator();
  operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  for (const name of ['shop', 'other']) {
    await operator.call('VaultService/CreateVault', { vault: name });
  }
  keeper = await server.officer('keeper', ['CRYPTO_OFFICER'], '/');
  for (const vault of ['shop', 'other']) {
    await keeper.call('KeyService/CreateKey', { vault, name: 'own', kty: 'EC' });
  }
  user = await server.officer('user', ['CRYPTO_USER'], SHOP);
});

after(async () => {
  await server?.stop();
});

/* The token still works for whom it was made, so it is the change alone that was refused. */
async function refusedWith(bearer, { reason = 'TOKEN_INVALID', who = user } = {}) {
  const error = await who.refused('KeyService/GetKey', OWN, { bearer });
  assert.strictEqual(error.code, 'UNAUTHENTICATED', error.message);
  assert.strictEqual(error.reason, reason, error.message);
  assert(!error.text.includes(bearer.slice(0, 40)));
  await user.call('KeyService/GetKey', OWN);
}

const newUser = async (roles = ['CRYPTO_USER'], scope = SHOP) =>
  server.officer(`user-${++count}`, roles, scope, { identity: selfSigned('user') });

test('a token on a connection with another certificate', async () => {
  await refusedWith(user.bearer, { who: keeper });
  const twin = await newUser();
  await refusedWith(user.bearer, { who: twin });
  await refusedWith(twin.bearer);
});

test('a second certificate of the same principal needs a token of its own', async () => {
  const other = user.again();
  other.identity = selfSigned('user too');
  await admin.call('AccessService/AddManagementCertificate',
    { principal_id: user.id, certificate: other.identity.der });
  await refusedWith(user.bearer, { who: other });
  await other.token(['CRYPTO_USER'], SHOP);
  await other.call('KeyService/GetKey', OWN);
  await user.token(['CRYPTO_USER'], SHOP);
});

test('alg none, other algorithms, other headers', async () => {
  const [header, payload, signature] = user.bearer.split('.');
  const [head] = open(user.bearer);
  assert.strictEqual(head.alg, 'ES256');
  assert.match(head.kid, /^[0-9a-f]{32}$/);
  for (const alg of ['none', 'None', 'NONE', '', 'HS256', 'RS256', 'ES384', 'es256']) {
    for (const end of ['', signature]) {
      await refusedWith(`${part({ ...head, alg })}.${payload}.${end}`);
    }
  }
  const keyed = `${part({ ...head, alg: 'HS256' })}.${payload}`;
  const hmac = createHmac('sha256', head.kid).update(keyed).digest('base64url');
  await refusedWith(`${keyed}.${hmac}`);
  await refusedWith(`${header}.${payload}.`);
  await refusedWith(`${header}.${payload}`);
  const mine = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = mine.publicKey.export({ format: 'jwk' });
  for (const extra of [{}, { jwk }, { jku: 'https://localhost/keys' },
    { x5u: 'https://localhost/keys' }, { crit: ['exp'] }]) {
    const start = `${part({ ...head, ...extra })}.${payload}`;
    const own = sign('sha256', Buffer.from(start),
      { key: mine.privateKey, dsaEncoding: 'ieee-p1363' });
    await refusedWith(`${start}.${own.toString('base64url')}`);
  }
});

test('a wrong kid', async () => {
  const [, payload, signature] = user.bearer.split('.');
  const [head] = open(user.bearer);
  const wrong = [randomBytes(16).toString('hex'), head.kid.toUpperCase(), '', '../keys', 7, null,
    `${head.kid}0`, head.kid.slice(1)];
  for (const kid of wrong) {
    if (kid === head.kid) continue;
    await refusedWith(`${part({ ...head, kid })}.${payload}.${signature}`);
  }
  const { kid, ...none } = head;
  await refusedWith(`${part(none)}.${payload}.${signature}`);
});

test('changed bytes', async () => {
  const [header, payload, signature] = user.bearer.split('.');
  const [, claims] = open(user.bearer);
  for (const change of [{ exp: claims.exp + 3600 }, { scope: '/' }, { sub: keeper.id },
    { roles: ['crypto-officer'] }, { roles: [...claims.roles, 'administrator'] },
    { epoch: claims.epoch + 1 }, { jti: randomBytes(16).toString('hex') },
    { cnf: { 'x5t#S256': createHash('sha256').update(keeper.der).digest('base64url') } }]) {
    assert.notDeepStrictEqual({ ...claims, ...change }, claims);
    await refusedWith(`${header}.${part({ ...claims, ...change })}.${signature}`);
  }
  const bytes = Buffer.from(signature, 'base64url');
  for (let i = 0; i < bytes.length; i += 7) {
    const changed = Buffer.from(bytes);
    changed[i] ^= 0x10;
    await refusedWith(`${header}.${payload}.${changed.toString('base64url')}`);
  }
  await refusedWith(`${header}.${payload}.${Buffer.alloc(64).toString('base64url')}`);
});

test('no token at all, in many forms', async () => {
  for (const text of ['x', '.', '..', '...', 'a.b.c', `${user.bearer}.x`, `${user.bearer}=`,
    ` ${user.bearer}`, user.bearer.replace('.', ' '), user.bearer.slice(0, -1),
    'A'.repeat(6000), `${part('{"alg":"ES256"')}.${part('{}')}.AA`, `${part('[]')}.e30.AA`,
    `${part('"\\u0000"')}.${part('1e999')}.AA`, `${part('{'.repeat(900))}.e30.AA`]) {
    await refusedWith(text);
  }
  const schemes = ['Basic dXNlcjpwdw==', 'Bearer', 'bearer', `Token ${user.bearer}`, user.bearer];
  for (const authorization of schemes) {
    const error = await user.refused('KeyService/GetKey', OWN,
      { bearer: null, metadata: { authorization } });
    assert.strictEqual(error.code, 'UNAUTHENTICATED', `${authorization}: ${error.message}`);
  }
  await user.call('KeyService/GetKey', OWN);
});

test('signed by the true key, but not what the server would have made', async () => {
  const copy = path.join(server.folder, 'copy');
  fs.cpSync(server.tokens, copy, { recursive: true });
  const conf = path.join(server.folder, 'copy.conf');
  fs.writeFileSync(conf, `directories.tokendir = ${copy}\nobjectstore.backend = file\n`);
  const inFile = path.join(server.folder, 'to-sign');
  const outFile = path.join(server.folder, 'signed');
  const tool = (...args) => run('pkcs11-tool', ['--module', SOFTHSM, '--token-label', 'kv-system',
    '--login', '--pin', server.pin('system'), ...args], { env: { SOFTHSM2_CONF: conf } });
  const [id] = tool('--list-objects', '--type', 'privkey').split(/(?=Private Key Object)/)
    .filter((it) => it.includes('keyvault role tokens'))
    .map((it) => /ID: +([0-9a-f]+)/.exec(it)[1]);
  const forge = (header, claims) => {
    const start = `${part(header)}.${part(claims)}`;
    fs.writeFileSync(inFile, createHash('sha256').update(start).digest());
    tool('--sign', '--mechanism', 'ECDSA', '--id', id, '--input-file', inFile, '--output-file',
      outFile);
    return `${start}.${fs.readFileSync(outFile).toString('base64url')}`;
  };
  const [header, claims] = open(user.bearer);
  const now = Math.floor(Date.now() / 1000);

  /* The same claims under a new signature are good: the forgeries below are as good as can be. */
  await user.call('KeyService/GetKey', OWN, { bearer: forge(header, claims) });

  const past = { iat: now - 3600, nbf: now - 3600, exp: now - 120 };
  await refusedWith(forge(header, { ...claims, ...past }), { reason: 'TOKEN_EXPIRED' });
  const bad = {
    'not yet': { nbf: now + 3600, iat: now + 3600, exp: now + 7200 },
    'longer than any': { exp: now + 10 * 86400 },
    'another issuer': { iss: 'somebody' },
    'another audience': { aud: 'somebody' },
    'another certificate': { cnf: { 'x5t#S256': createHash('sha256').update(keeper.der)
      .digest('base64url') } },
    'no certificate': { cnf: {} },
    'another principal': { sub: keeper.id },
    'nobody': { sub: '0'.repeat(32) },
    'an older epoch': { epoch: claims.epoch - 1 },
    'a newer epoch': { epoch: claims.epoch + 1 },
    'a role that does not exist': { roles: ['emperor'] },
    'no roles': { roles: [] },
    'roles that are no list': { roles: 'crypto-user' },
    'a claim too many': { admin: true },
    'a time that is none': { exp: `${claims.exp}` },
    'a time before time': { exp: -1 },
  };
  for (const [why, change] of Object.entries(bad)) {
    const error = await user.refused('KeyService/GetKey', OWN,
      { bearer: forge(header, { ...claims, ...change }) });
    assert.strictEqual(error.code, 'UNAUTHENTICATED', `${why}: ${error.message}`);
  }
  for (const name of Object.keys(claims)) {
    const { [name]: left, ...others } = claims;
    const error = await user.refused('KeyService/GetKey', OWN, { bearer: forge(header, others) });
    assert.strictEqual(error.code, 'UNAUTHENTICATED', `without ${name}: ${error.message}`);
  }
  const twice = JSON.stringify(claims).replace('{', `{"scope":"/",`);
  await refusedWith(forge(header, twice));
  for (const change of [{ jwk: {} }, { crit: ['b64'] }, { typ: 'x' }, { b64: false }]) {
    await refusedWith(forge({ ...header, ...change }, claims));
  }
  /* Roles and scopes beyond the assignments do not come true by being signed. */
  const wide = await user.refused('KeyService/DeleteKey', OWN,
    { bearer: forge(header, { ...claims, roles: ['crypto-officer'], scope: '/' }) });
  assert(['PERMISSION_DENIED', 'UNAUTHENTICATED'].includes(wide.code), wide.message);
  const far = await user.refused('KeyService/GetKey', { vault: 'other', name: 'own' },
    { bearer: forge(header, { ...claims, scope: '/' }) });
  assert(['PERMISSION_DENIED', 'UNAUTHENTICATED'].includes(far.code), far.message);
});

test('another vault\'s token', async () => {
  const both = await server.principal('both', [['CRYPTO_USER', SHOP],
    ['CRYPTO_USER', '/vaults/other']]);
  await both.token(['CRYPTO_USER'], '/vaults/other');
  await both.call('KeyService/GetKey', { vault: 'other', name: 'own' });
  const error = await both.refused('KeyService/GetKey', OWN);
  assert.deepStrictEqual([error.code, error.reason], ['PERMISSION_DENIED', 'PERMISSION_MISSING']);
  const wide = await both.refused('AccessService/IssueRoleToken',
    { roles: ['CRYPTO_USER'], scope: '/' }, { bearer: null });
  assert.strictEqual(wide.code, 'PERMISSION_DENIED');
  await both.token(['CRYPTO_USER'], `${SHOP}/keys/own`);
  await both.call('KeyService/GetKey', OWN);
  await keeper.call('KeyService/CreateKey', { vault: 'shop', name: 'own-2', kty: 'EC' });
  const other = await both.refused('KeyService/GetKey', { vault: 'shop', name: 'own-2' });
  assert.strictEqual(other.code, 'PERMISSION_DENIED');
});

test('the first call after an assignment was removed is refused', async () => {
  for (let round = 0; round < 10; round++) {
    const someone = await newUser();
    await someone.call('KeyService/GetKey', OWN);
    await admin.call('AccessService/RemoveAssignment',
      { assignment_id: someone.assignments[0].id });
    const error = await someone.refused('KeyService/GetKey', OWN);
    assert(['PERMISSION_DENIED', 'UNAUTHENTICATED'].includes(error.code), error.message);
    const again = await someone.refused('AccessService/IssueRoleToken',
      { roles: ['CRYPTO_USER'], scope: SHOP }, { bearer: null });
    assert.strictEqual(again.code, 'PERMISSION_DENIED');
    someone.close();
  }
});

test('under load no call that begins after the removal returned is answered', async () => {
  const someone = await newUser();
  let removed = Infinity;
  let answered = 0;
  let late = 0;
  let denied = 0;
  let stop = false;
  const worker = async () => {
    while (!stop) {
      const began = performance.now();
      try {
        await someone.call('KeyService/Sign', { ...OWN, algorithm: 'ES256',
          message: Buffer.from('x') });
        answered++;
        if (began > removed) late++;
      } catch (error) {
        assert(['PERMISSION_DENIED', 'UNAUTHENTICATED'].includes(error.code), error.message);
        denied++;
      }
    }
  };
  const workers = [1, 2, 3, 4].map(worker);
  const until = Date.now() + 60_000;
  while (answered < 20 && Date.now() < until) await nap(10);
  await admin.call('AccessService/RemoveAssignment', { assignment_id: someone.assignments[0].id });
  removed = performance.now();
  while (denied < 20 && Date.now() < until) await nap(10);
  stop = true;
  await Promise.all(workers);
  assert.strictEqual(late, 0);
  assert(denied > 0);
});

test('a revoked token, and all tokens of a principal', async () => {
  const someone = await newUser();
  const first = someone.bearer;
  const [, { jti, exp }] = open(first);
  await someone.token(['CRYPTO_USER'], SHOP);
  const second = someone.bearer;
  await admin.call('AccessService/RevokeRoleToken', { jti, expires: exp });
  const error = await someone.refused('KeyService/GetKey', OWN, { bearer: first });
  assert.deepStrictEqual([error.code, error.reason], ['UNAUTHENTICATED', 'TOKEN_REVOKED']);
  await someone.call('KeyService/GetKey', OWN, { bearer: second });
  await admin.call('AccessService/RevokePrincipalTokens', { principal_id: someone.id });
  const all = await someone.refused('KeyService/GetKey', OWN, { bearer: second });
  assert.strictEqual(all.code, 'UNAUTHENTICATED', all.message);
  await someone.token(['CRYPTO_USER'], SHOP);
  await someone.call('KeyService/GetKey', OWN);
  await server.restart();
  const after = await someone.refused('KeyService/GetKey', OWN, { bearer: first });
  assert.strictEqual(after.code, 'UNAUTHENTICATED');
  await someone.call('KeyService/GetKey', OWN);
});

test('a disabled principal, a removed certificate, a deleted principal', async () => {
  const someone = await newUser();
  await admin.call('AccessService/UpdatePrincipal', { principal_id: someone.id, enabled: false });
  for (const method of ['KeyService/GetKey', 'AccessService/WhoAmI']) {
    const error = await someone.refused(method, method.includes('Who') ? {} : OWN);
    assert(['PERMISSION_DENIED', 'UNAUTHENTICATED'].includes(error.code), error.message);
  }
  await admin.call('AccessService/UpdatePrincipal', { principal_id: someone.id, enabled: true });
  await someone.token(['CRYPTO_USER'], SHOP);
  await someone.call('KeyService/GetKey', OWN);

  await admin.call('AccessService/RemoveCredential', { credential_id: someone.credential.id });
  const unknown = await someone.refused('KeyService/GetKey', OWN);
  assert.deepStrictEqual([unknown.code, unknown.reason],
    ['UNAUTHENTICATED', 'CERTIFICATE_UNKNOWN']);

  const other = await newUser();
  await admin.call('AccessService/DeletePrincipal', { principal_id: other.id });
  const deleted = await other.refused('KeyService/GetKey', OWN);
  assert.strictEqual(deleted.code, 'UNAUTHENTICATED', deleted.message);
  const gone = await admin.refused('AccessService/GetPrincipal', { principal_id: other.id });
  assert.strictEqual(gone.code, 'NOT_FOUND');
});

test('roles that exclude each other, and rights of one\'s own making', async () => {
  const someone = await newUser();
  const pair = await admin.refused('AccessService/AssignRole',
    { principal_id: someone.id, role: 'CRYPTO_OFFICER', scope: `${SHOP}/keys/own` });
  assert.deepStrictEqual([pair.code, pair.reason], ['PERMISSION_DENIED', 'SEPARATION_OF_DUTY']);
  await server.grant(someone, [['CRYPTO_OFFICER', '/vaults/other']]);
  const me = (await admin.call('AccessService/WhoAmI')).principal.id;
  for (const role of ['CRYPTO_USER', 'ACCESS_ADMINISTRATOR', 'READER']) {
    const own = await admin.refused('AccessService/AssignRole',
      { principal_id: me, role, scope: '/' });
    assert.strictEqual(own.code, 'PERMISSION_DENIED', own.message);
  }
  const last = await admin.call('AccessService/ListAssignments', { principal_id: me });
  const error = await admin.refused('AccessService/RemoveAssignment',
    { assignment_id: last.assignments[0].id });
  assert.strictEqual(error.code, 'FAILED_PRECONDITION', error.message);
  const self = await admin.refused('AccessService/DeletePrincipal', { principal_id: me });
  assert.strictEqual(self.code, 'FAILED_PRECONDITION', self.message);
});
