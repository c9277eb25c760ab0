// Promise 4 and "never hang, never need a restart": the folder of the tokens goes away and comes
// back while the server serves. Meanwhile calls answer quickly and reads go on; afterwards it signs
// again by itself, and no key is lost.
import assert from 'node:assert';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { CallError, Keyvault, nap } from '../support/keyvault.mjs';

const ROLES = ['CERTIFICATE_OFFICER', 'CERTIFICATE_USER', 'CRYPTO_OFFICER', 'CRYPTO_USER',
  'SECRETS_OFFICER', 'SECRETS_USER'];
const QUICK_MS = 10_000;
const BACK_MS = 60_000;
const AWAY_MS = 4000;
const KEYS = 5;

const sign = (caller, name) => caller.call('KeyService/Sign',
  { vault: 'shop', name, algorithm: 'ES256', message: Buffer.from('a document') });

/* { ok, code, ms } of a call. */
async function timed(work) {
  const began = performance.now();
  const outcome = await work().then(() => ({ ok: true }), (error) => {
    if (!(error instanceof CallError)) throw error;
    return { code: error.code, text: error.message };
  });
  return { ...outcome, ms: performance.now() - began };
}

/* Until it works; fails when it does not in time. */
async function soon(what, work, server) {
  const until = Date.now() + BACK_MS;
  for (let last; ; await nap(100)) {
    last = await timed(work);
    if (last.ok) return;
    if (Date.now() > until) throw server.failed(`${what} still fails: ${last.text}`);
  }
}

const work = (user) => {
  let made = 0;
  return {
    'create a key': () => user.call('KeyService/CreateKey',
      { vault: 'shop', name: `new-${++made}`, kty: 'EC' }),
    'set a secret': () => user.call('SecretService/SetSecret',
      { vault: 'shop', name: 's', value: Buffer.from('value') }),
    'sign': () => sign(user, 'k0'),
    'get a secret': () => user.call('SecretService/GetSecret', { vault: 'shop', name: 's' }),
    'issue a role token': () => user.call('AccessService/IssueRoleToken',
      { roles: ['CRYPTO_USER'], scope: '/vaults/shop' }, { bearer: null }),
  };
};

async function fill(server) {
  const operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  await operator.call('VaultService/CreateVault', { vault: 'shop' });
  const user = await server.officer('user', ROLES, '/vaults/shop');
  for (let i = 0; i < KEYS; i++) {
    await user.call('KeyService/CreateKey', { vault: 'shop', name: `k${i}`, kty: 'EC' });
  }
  await user.call('CertificateService/CreateCertificate', { vault: 'shop', name: 'web', policy: {
    key_props: { kty: 'EC' }, issuer: { name: 'Self' },
    x509_props: { subject: 'CN=www.example.org', validity_months: 1 } } });
  return user;
}

for (const [what, pattern] of [['all tokens', null], ['the token of the keys alone', 'kv-keys']]) {
  test(`${what} away and back`, async () => {
    const server = await Keyvault.start({ settings: { 'access.separation_of_duty': 'off',
      'audit.segment_bytes': 1 << 20, 'audit.checkpoint_seconds': 1 } });
    try {
      const user = await fill(server);
      const doing = work(user);
      for (const one of Object.values(doing)) await one();
      const { pid } = server;
      const moves = pattern ? folderOf(server, pattern) : [server.tokens];
      const slow = [];
      const failed = new Set();
      const wrong = [];

      for (const one of moves) fs.renameSync(one, `${one}.away`);
      for (const until = Date.now() + AWAY_MS; Date.now() < until;) {
        for (const [name, one] of Object.entries(doing)) {
          const { ok, code, ms, text } = await timed(one);
          if (ms > QUICK_MS) slow.push(`${name}: ${Math.round(ms)} ms`);
          if (!ok && code !== 'UNAVAILABLE') wrong.push(`${name}: ${text}`);
          if (!ok) failed.add(name);
        }
        for (const [method, request] of [['KeyService/GetKey', { name: 'k0' }],
          ['KeyService/ListKeys', {}], ['CertificateService/GetCertificate', { name: 'web' }]]) {
          const { ok, ms, text } = await timed(() =>
            user.call(method, { vault: 'shop', ...request }));
          assert(ok, server.failed(`a read needs the token: ${text}`));
          if (ms > QUICK_MS) slow.push(`${method}: ${Math.round(ms)} ms`);
        }
      }
      for (const one of moves) fs.renameSync(`${one}.away`, one);

      const began = Date.now();
      for (const [name, one] of Object.entries(doing)) await soon(name, one, server);
      for (let i = 0; i < KEYS; i++) await soon(`k${i}`, () => sign(user, `k${i}`), server);
      await soon('web', () => sign(user, 'web'), server);
      console.log(`# refused meanwhile: ${[...failed].join(', ')}; all back after`,
        `${Date.now() - began} ms`);
      assert.deepStrictEqual(slow, []);
      assert.deepStrictEqual([...new Set(wrong)], []);
      assert(failed.has('create a key'), 'the token was not away');
      assert.strictEqual(server.pid, pid);
      assert.strictEqual(server.child.exitCode, null);

      // And nothing is missing for the next one either.
      server.log = '';
      await server.restart();
      await server.reconciled();
      for (let i = 0; i < KEYS; i++) await sign(user, `k${i}`);
    } finally {
      await server.stop();
    }
  });
}

/* The folders of tokens whose label is this: SoftHSM names them by a UUID. */
function folderOf(server, label) {
  return fs.readdirSync(server.tokens).map((name) => path.join(server.tokens, name))
    .filter((folder) => fs.existsSync(path.join(folder, 'token.object')) &&
      fs.readFileSync(path.join(folder, 'token.object')).includes(label));
}
