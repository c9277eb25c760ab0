// Thirty certificates are ordered at once of an authority that is too busy for hours: with its own
// words and times, or a proxy's. Nobody asks before the time has come, few do then, no order is
// placed twice, a server that is killed meanwhile knows all that, and another authority's
// certificates come as if nothing were. The test moves the clock.
// Environment: KV_HOST_SHIM, see resources/host.mjs.
import assert from 'node:assert';
import fs from 'node:fs';
import test, { after, before } from 'node:test';
import { nap } from '../support/keyvault.mjs';
import { Hosted } from '../resources/host.mjs';
import { watch } from '../events/watching.mjs';
import { Scene, folderOf } from './scene.mjs';
import { Stub } from './stub.mjs';

const MANY = 30;
const AT_ONCE = 2; // with one issuer, see [orders] per_issuer
const VISIT = 4; // requests up to an order: directory, nonce, account, order
const MINUTE = 60_000;
const WAIT = 10 * MINUTE; // that it asks for; as long again is what then follows spread over
const SOON_MS = 60_000;
const WORDS = 'too many new orders (300) from this account in the last 3h0m0s';
const folder = folderOf('acme-storm');
const names = Array.from({ length: MANY }, (_, i) => `c${i}`);
let stub;
let scene;
let busy;
let well;
let kicks = 0;
let ahead = 0;

before(async () => {
  stub = await Stub.start(folder);
  [busy, well] = [stub.world('busy'), stub.world('well')];
  scene = await Scene.start({ ca: stub.ca, kind: Hosted });
  for (const { name, directory } of [busy, well]) await scene.setIssuer(name, { directory });
});

after(async () => {
  await scene?.stop();
  await stub?.stop();
  fs.rmSync(folder, { recursive: true, force: true });
});

async function soon(what, is) {
  for (const until = Date.now() + SOON_MS; !await is(); await nap(20)) {
    assert(Date.now() < until, scene.server.failed(`not in time: ${what}`));
  }
}

/* What is due is looked at whenever something is ordered, here of the one that is well. */
async function kick() {
  const name = `kick${++kicks}`;
  await scene.create(name, 'well', [`${name}.example.test`]);
  await soon(`${name} is ordered`, () => well.orders.some((it) =>
    it.identifiers[0].value === `${name}.example.test`));
}

async function clock(ms) {
  ahead += ms;
  scene.server.clock(ahead);
  await kick();
}

async function health() {
  const { health: it } = await scene.issuers.call('IssuerService/GetIssuer',
    { vault: 'shop', issuer: 'busy' });
  return it;
}

const paused = async () => (await health()).paused_until * 1000 > Date.now() + ahead;

/* What an authority or a proxy in front of it says to those that it has no time for. */
const says = {
  seconds: (answer) => busy.refuse(answer, 429, 'rateLimited', WORDS, { 'Retry-After': '600' }),
  date: (answer) => busy.refuse(answer, 429, 'rateLimited', WORDS,
    { 'Retry-After': new Date(Date.now() + ahead + WAIT).toUTCString() }),
  nothing: (answer) => busy.refuse(answer, 429, 'rateLimited', WORDS),
  proxy: (answer) => answer.writeHead(429, { 'Content-Type': 'text/html', 'Retry-After': '600' })
    .end('<html><h1>429 Too Many Requests</h1></html>'),
  away: (answer) => answer.writeHead(503, { 'Content-Type': 'text/html', 'Retry-After': '600' })
    .end('<html><h1>503 Service Unavailable</h1></html>'),
  broken: (answer) => answer.writeHead(502, { 'Content-Type': 'text/html' })
    .end('<html><h1>502 Bad Gateway</h1></html>'),
};

/* From now on it says `how` to those who want one of `these`. */
function refusing(how, these) {
  busy.refused = 0;
  busy.before = (what, answer) => {
    if (these && !these.includes(what)) return false;
    busy.refused++;
    says[how](answer);
    return true;
  };
}

/* All who wait may ask: few of them do, and then nobody until the time has come. */
async function refused(how, these) {
  const had = busy.requests;
  refusing(how, these);
  await clock(3 * WAIT);
  await soon('it is asked', () => busy.refused > 0);
  await soon('it is left alone', paused);
  const asked = busy.requests - had;
  assert(asked <= AT_ONCE * VISIT, `${how}: ${asked} requests`);
  return had + asked;
}

/* One that was on its way may still have arrived. */
function alone(since) {
  assert(busy.requests - since < AT_ONCE, `${busy.requests - since} requests meanwhile`);
}

test('who is told to wait waits, and everybody else with it', async () => {
  refusing('seconds', ['newOrder']);
  await Promise.all(names.map((name) => scene.create(name, 'busy', [`${name}.example.test`])));
  await soon('it is left alone', paused);
  const since = busy.requests;
  assert(since <= AT_ONCE * VISIT, `${since} requests`);
  await clock(WAIT / 2);
  alone(since);
  await scene.completed(`kick${kicks}`);
  alone(since);
  assert.deepStrictEqual(busy.orders, []);
});

test('whoever looks at an order reads what the authority said', async () => {
  assert.strictEqual((await health()).reason, WORDS);
  for (const name of names) {
    const it = await scene.pending(name);
    assert.strictEqual(it.status, 'inProgress');
    assert((it.error?.message ?? it.status_details).includes(WORDS), JSON.stringify(it));
  }
});

test('a server that was killed asks no earlier either', async () => {
  const since = await refused('date', ['newOrder']);
  await scene.server.kill();
  await scene.server.restart();
  await clock(WAIT / 2);
  await scene.completed(`kick${kicks}`);
  alone(since);
});

test('no time, or a proxy\'s words: that is waited for too', async () => {
  await refused('nothing', ['newOrder']);
  for (const how of ['proxy', 'away']) {
    const since = await refused(how);
    await clock(WAIT / 2);
    alone(since);
  }
  assert.strictEqual((await health()).healthy, true);
});

const FAULTS = 5; // in a row, then it is unhealthy

test('faults among the refusals are one illness', async () => {
  const had = busy.requests;
  refusing('broken');
  await clock(3 * WAIT);
  await soon('it is unhealthy', async () => !(await health()).healthy);
  assert(busy.requests - had < FAULTS + AT_ONCE, `${busy.requests - had} requests`);
  for (const how of ['seconds', 'broken', 'away']) {
    const before = busy.requests;
    refusing(how);
    await clock(3 * WAIT);
    await soon('it is tried', () => busy.refused > 0);
    if (how !== 'broken') await soon('it is left alone', paused);
    assert(busy.requests - before < AT_ONCE + 1, `${busy.requests - before} requests`);
    assert.strictEqual((await health()).healthy, false);
  }
});

test('busy again when some orders are placed, and killed then: each is made once', async () => {
  busy.refused = 0;
  busy.before = (what, answer) => {
    if (busy.orders.length < MANY / 4) return false;
    busy.refused++;
    says.seconds(answer);
    return true;
  };
  await clock(3 * WAIT);
  await soon('it is well', async () => (await health()).healthy);
  /* Those who waited are woken, spread over a quarter of an hour. */
  await clock(2 * WAIT);
  await soon('it is busy again', () => busy.refused > 0);
  await soon('it is left alone', paused);
  await scene.server.kill();
  busy.before = null;
  await scene.server.restart();
  await clock(3 * WAIT);
  for (const name of names) await scene.completed(name);
  for (const name of names) {
    assert.strictEqual((await scene.versions(name)).length, 1, name);
    const made = busy.orders.filter((it) => it.status === 'valid' &&
      it.identifiers[0].value === `${name}.example.test`);
    assert.strictEqual(made.length, 1, name);
  }
  /* An order that was placed when the server was killed may be forgotten. */
  assert(busy.orders.length < MANY + AT_ONCE, `${busy.orders.length} orders`);
});

test('nobody was held up, and it was told once', async () => {
  for (let i = 1; i <= kicks; i++) await scene.completed(`kick${i}`);
  const stream = watch(scene.certificates, { after: 0, heartbeat_seconds: 1,
    types: ['KeyVault.IssuerUnhealthy', 'KeyVault.IssuerHealthy'] });
  await stream.next((it) => it.type === 'KeyVault.IssuerHealthy');
  await stream.heartbeat(stream.messages.length);
  stream.cancel();
  assert.deepStrictEqual(stream.events.map((it) => it.type),
    ['KeyVault.IssuerUnhealthy', 'KeyVault.IssuerHealthy']);
  await scene.server.terminate();
  const told = scene.server.log.match(/"issuer\.(unhealthy|healthy)"/g);
  assert.deepStrictEqual(told, ['"issuer.unhealthy"', '"issuer.healthy"']);
});

test('every request was signed, fresh and for its URL', () => {
  assert.deepStrictEqual(stub.troubles, []);
});
