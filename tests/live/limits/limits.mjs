// limits.mjs - who asks for too much is told when to come back, is in nobody's way, and fills no
// log; the client library waits as it is told.
import assert from 'node:assert';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { Caller, Keyvault, nap, run, selfSigned } from '../support/keyvault.mjs';

const KVCTL = path.join(path.dirname(process.env.KEYVAULTD), '../client/kvctl');
const RATE = 20;
const FAILURES = 10; // a second; ten seconds' worth at once
const PLACES = 8;

let server;
let alice; // asks for too much
let bob;
const digest = createHash('sha256').update('x').digest();
const sign = (caller) => caller.call('KeyService/Sign',
  { vault: 'shop', name: 'k', algorithm: 'ES256', digest });
const retryMs = (error) => Number(error.retry.seconds) * 1000 + Number(error.retry.nanos) / 1e6;

/* How many calls at once ended how: { OK: 3, UNAUTHENTICATED: 2 }; `check` sees each error. */
async function burst(count, call, check = () => {}) {
  const ends = {};
  await Promise.all(Array.from({ length: count }, (_, i) => call(i).then(() => 'OK', (error) => {
    check(error);
    return error.code;
  }).then((end) => { ends[end] = (ends[end] ?? 0) + 1; })));
  return ends;
}

/* As a limit says it: a code, a reason, a time. */
function isLimit(error) {
  assert.equal(error.code, 'RESOURCE_EXHAUSTED', error.message);
  assert.equal(error.reason, 'LIMIT_REACHED');
  assert(retryMs(error) > 0 && retryMs(error) <= 5000, `retry in ${retryMs(error)} ms`);
}

before(async () => {
  server = await Keyvault.start({ settings: { 'limits.rate_per_principal': RATE,
    'limits.burst_seconds': 1, 'limits.failures_per_peer': FAILURES,
    'limits.calls_per_principal': PLACES } });
  const operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  await operator.call('VaultService/CreateVault', { vault: 'shop' });
  const officer = await server.officer('officer', ['CRYPTO_OFFICER'], '/vaults/shop');
  await officer.call('KeyService/CreateKey', { vault: 'shop', name: 'k', kty: 'EC', crv: 'P256' });
  await nap(500); // the administrator's own calls count, too
  alice = await server.officer('alice', ['CRYPTO_USER'], '/vaults/shop');
  bob = await server.officer('bob', ['CRYPTO_USER'], '/vaults/shop');
});
after(() => server?.stop());

test('a principal has its rate, others have theirs', async () => {
  const hints = [];
  for (let i = 0; i < 40 && hints.length < 3; i++) { // as many at once as there are places
    await burst(PLACES, () => sign(alice), (error) => {
      isLimit(error);
      hints.push(retryMs(error));
    });
  }
  assert(hints.length > 0, 'nothing was refused');
  assert(new Set(hints).size > hints.length / 2, `all at once: ${hints}`);
  assert.deepEqual(await burst(5, () => sign(bob)), { OK: 5 });
  /* A second certificate of hers, a second connection: the same account. */
  await nap(Math.max(...hints) + 50);
  await sign(alice);
});

test('a principal has so many places', async () => {
  await nap(600);
  let seen;
  const ends = await burst(RATE, () => sign(alice), (error) => { isLimit(error); seen = error; });
  assert(ends.RESOURCE_EXHAUSTED > 0, JSON.stringify(ends));
  assert.match(seen.text, /are running/);
  assert(ends.OK >= PLACES, JSON.stringify(ends));
});

test('who cannot be identified has to wait, and nobody else', async () => {
  const names = Array.from({ length: 5 }, (_, i) => new Caller(server, `stranger ${i}`,
    selfSigned(`stranger ${i}`)));
  const nobody = server.stranger();
  const strangers = [...names, nobody];
  let last;
  let all = 0;
  for (let i = 0; i < 40; i++) {
    const ends = await burst(strangers.length, (which) => sign(strangers[which]), (error) => {
      if (error.code === 'UNAUTHENTICATED') return;
      isLimit(error);
      last = error;
    });
    all += ends.UNAUTHENTICATED ?? 0;
    if (i % 8 === 0) await sign(bob); // from the same address
  }
  assert.match(last.text, /cannot be identified/);
  assert(all >= 10 * FAILURES, `${all}`);
  assert(all < 30 * FAILURES, `${all}`);
  /* Somebody new, whom the server would know, comes a little later. */
  const carol = await server.principal('carol').catch((error) => error);
  assert(carol instanceof Caller, carol.message);
  for (let tries = 0; ; tries++) {
    try {
      await carol.call('AccessService/WhoAmI');
      break;
    } catch (error) {
      isLimit(error);
      assert(tries < 10);
      await nap(retryMs(error));
    }
  }
});

test('the audit log counts, and does not repeat', async () => {
  const auditor = await server.officer('auditor', ['AUDITOR'], '/');
  await nap(1500);
  const records = (await auditor.call('AuditService/SearchAudit',
    { from_ms: Date.now() - 600e3, to_ms: Date.now() + 60e3 })).flatMap((it) => it.records ?? it);
  const refused = records.filter((it) => it.reason === 'LIMIT_REACHED');
  const count = refused.reduce((sum, it) => sum + it.count, 0);
  assert(refused.length > 0, JSON.stringify(records.at(-1)));
  assert(count > 10, `${count}`);
  assert(refused.length <= 60, `${refused.length} records`);
  // Whoever is known is named, strangers are not.
  const { id } = (await alice.call('AccessService/WhoAmI')).principal;
  assert(refused.some((it) => it.principal_id.toString('hex') === id), 'not told whose they were');
  assert(refused.some((it) => !it.principal_id.length), 'a stranger has a name');
});

test('the client library comes back when it is told', async () => {
  const at = (name) => path.join(server.folder, name);
  fs.writeFileSync(at('alice.pem'), alice.identity.pem);
  fs.writeFileSync(at('alice.key'), alice.identity.key, { mode: 0o600 });
  fs.writeFileSync(at('digest'), digest);
  server.configure({ 'limits.rate_per_principal': 2 });
  server.child.kill('SIGHUP');
  while (!server.log.includes('server.reloaded')) await nap(20);
  /* Each asks who it is, for a role token, and for the key: six calls at two a second, two
   * of them saved up. */
  const began = Date.now();
  for (let i = 0; i < 2; i++) {
    run(KVCTL, ['key', 'show', '--endpoint', `127.0.0.1:${server.port}`, '--server-name',
      'localhost', '--ca', path.join(server.home, 'tls/server.pem'), '--certificate',
      at('alice.pem'), '--key', at('alice.key'), '--vault', 'shop', '--name', 'k']);
  }
  assert(Date.now() - began > 500, `${Date.now() - began} ms`);
});
