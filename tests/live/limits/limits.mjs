// limits.mjs - who asks for too much is told when to come back, is in nobody's way, and fills no
// log; the client library waits as it is told.
import assert from 'node:assert';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { Caller, Keyvault, nap, run, selfSigned } from '../support/keyvault.mjs';

const KVCTL = path.join(path.dirname(process.env.KEYVAULTD), '../client/kvctl');
const RATE = 5; // less than the slowest machine does
const SAVED_S = 4; // so many seconds' worth at once
const FAILURES = 10; // a second; ten seconds' worth at once
const PLACES = 8;
const PATIENCE_MS = 45_000;

let server;
let alice; // asks for too much
let bob;
let began;
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
  began = Date.now();
  server = await Keyvault.start({ settings: { 'limits.rate_per_principal': RATE,
    'limits.burst_seconds': SAVED_S, 'limits.failures_per_peer': FAILURES,
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
  const seen = [];
  for (let i = 0; i < 20 && !seen.some((text) => /are running/.test(text)); i++) {
    await nap((PLACES / RATE) * 1000 + 200);
    const ends = await burst(RATE * SAVED_S, () => sign(alice), (error) => {
      isLimit(error);
      seen.push(error.text);
    });
    assert(ends.OK >= PLACES, JSON.stringify(ends));
  }
  assert.match(seen.join('\n'), /are running/);
});

test('who cannot be identified has to wait, and nobody else', async () => {
  const names = Array.from({ length: 5 }, (_, i) => new Caller(server, `stranger ${i}`,
    selfSigned(`stranger ${i}`)));
  const nobody = server.stranger();
  const strangers = [...names, nobody];
  let last;
  let all = 0;
  let refused = 0;
  const since = Date.now();
  for (let i = 0; refused < 140 && Date.now() < since + PATIENCE_MS; i++) {
    const ends = await burst(strangers.length, (which) => sign(strangers[which]), (error) => {
      if (error.code === 'UNAUTHENTICATED') return;
      isLimit(error);
      last = error;
      refused++;
    });
    all += ends.UNAUTHENTICATED ?? 0;
    if (i % 8 === 0) await sign(bob); // from the same address
  }
  assert.match(last.text, /cannot be identified/);
  assert(all >= 10 * FAILURES, `${all}`);
  const seconds = (Date.now() - since) / 1000;
  assert(all <= FAILURES * (10 + seconds + 1), `${all} in ${seconds} s`);
  /* Somebody new, whom the server would know, comes a little later. */
  const carol = await server.principal('carol').catch((error) => error);
  assert(carol instanceof Caller, carol.message);
  for (let tries = 0; ; tries++) {
    try {
      await carol.call('AccessService/WhoAmI');
      break;
    } catch (error) {
      isLimit(error);
      assert(tries < 100);
      await nap(retryMs(error));
    }
  }
});

test('the audit log counts, and does not repeat', async () => {
  const auditor = await server.officer('auditor', ['AUDITOR'], '/');
  const { id } = (await alice.call('AccessService/WhoAmI')).principal;
  const hers = (it) => it.principal_id.toString('hex') === id;
  const nobodys = (it) => !it.principal_id.length;
  let refused = [];
  /* They are counted for a second, and then written. */
  for (const until = Date.now() + PATIENCE_MS; Date.now() < until &&
    !(refused.some(hers) && refused.some(nobodys)); await nap(200)) {
    const records = await auditor.call('AuditService/SearchAudit',
      { from_ms: began, to_ms: Date.now() + 60e3 });
    refused = records.filter((it) => it.reason === 'LIMIT_REACHED');
  }
  const seconds = (Date.now() - began) / 1000;
  const count = refused.reduce((sum, it) => sum + it.count, 0);
  assert(count > 10, `${count}`);
  // One for her, one for the strangers and one for carol in a second, whatever they do.
  assert(refused.length <= 3 * (seconds + 1), `${refused.length} records in ${seconds} s`);
  // Whoever is known is named, strangers are not.
  assert(refused.some(hers), 'not told whose they were');
  assert(refused.some(nobodys), 'a stranger has a name');
});

test('the client library comes back when it is told', async () => {
  const at = (name) => path.join(server.folder, name);
  fs.writeFileSync(at('alice.pem'), alice.identity.pem);
  fs.writeFileSync(at('alice.key'), alice.identity.key, { mode: 0o600 });
  fs.writeFileSync(at('digest'), digest);
  server.configure({ 'limits.rate_per_principal': 2, 'limits.burst_seconds': 1 });
  await server.reload();
  /* Each asks who it is, for a role token, and for the key: six calls at two a second, two
   * of them saved up. */
  const asked = Date.now();
  for (let i = 0; i < 2; i++) {
    run(KVCTL, ['key', 'show', '--endpoint', `127.0.0.1:${server.port}`, '--server-name',
      'localhost', '--ca', path.join(server.home, 'tls/server.pem'), '--certificate',
      at('alice.pem'), '--key', at('alice.key'), '--vault', 'shop', '--name', 'k']);
  }
  assert(Date.now() - asked > 500, `${Date.now() - asked} ms`);
});
