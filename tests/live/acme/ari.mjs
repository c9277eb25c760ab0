// Renewal information (RFC 9773) through the real server, whose clock the test moves: the window is
// fetched and kept to, asked for again when the authority says, and when it moves into the past the
// certificate is renewed, once, within what may be ordered.
// Environment: KV_HOST_SHIM, see resources/host.mjs.
import assert from 'node:assert';
import { X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import test, { after, before } from 'node:test';
import { nap } from '../support/keyvault.mjs';
import { Hosted } from '../resources/host.mjs';
import { Scene, folderOf } from './scene.mjs';
import { Stub } from './stub.mjs';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const SOON_MS = 60_000;
const WHY = 'https://ca.example/incident/7';
const folder = folderOf('acme-ari');
const began = Date.now();
let stub;
let scene;
let kicks = 0;
let ahead = 0;

const text = (ms) => new Date(ms).toISOString().replace(/\.\d+/, '');
const minute = (ms) => new Date(ms).toISOString().replace(/:\d\d\.\d+/, '');
const between = (from, until) => ({ start: text(from), end: text(until) });
const past = () => between(began - 2 * DAY, began - DAY);

before(async () => {
  stub = await Stub.start(folder);
  scene = await Scene.start({ ca: stub.ca, kind: Hosted });
  await scene.setIssuer('kick', { directory: stub.world('kick').directory });
});

after(async () => {
  await scene?.stop();
  await stub?.stop();
  fs.rmSync(folder, { recursive: true, force: true });
});

/* An authority that suggests `window`, and a certificate of it for thirty days. */
async function order(name, window, { retryAfter, rules } = {}) {
  const world = stub.world(name);
  Object.assign(world, { renewalInfo: true, window, days: 30, retryAfter });
  await scene.setIssuer(name, { directory: world.directory, rules });
  await scene.create(name, name, [`${name}.example.test`]);
  await scene.completed(name);
  await clock(ahead);
  await soon(`${name} is asked about`, () => world.count('renewal') === 1);
  return world;
}

async function soon(what, is) {
  for (const until = Date.now() + SOON_MS; !await is(); await nap(50)) {
    assert(Date.now() < until, `not in time: ${what}`);
  }
}

/* What is due is looked at once a minute, and whenever something is ordered. */
async function clock(ms) {
  ahead = ms;
  scene.server.clock(ms);
  await scene.create(`kick${++kicks}`, 'kick', [`kick${kicks}.example.test`]);
}

async function item(name) {
  const { items } = await scene.certificates.call('RenewalService/ListInventory',
    { vault: 'shop', page_size: 100 });
  return items.find((it) => it.id.name === name);
}

/* RFC 9773, 4.1. */
function idOf({ cer }) {
  const { serialNumber } = new X509Certificate(cer);
  const at = cer.indexOf(Buffer.from('551d23', 'hex'));
  const keyId = cer.subarray(cer.indexOf(0x80, at) + 2, cer.indexOf(0x80, at) + 22);
  const serial = Buffer.from(serialNumber.padStart(serialNumber.length + serialNumber.length % 2,
    '0'), 'hex');
  const encoded = serial[0] & 0x80 ? Buffer.concat([Buffer.from([0]), serial]) : serial;
  return `${keyId.toString('base64url')}.${encoded.toString('base64url')}`;
}

test('a certificate is planned for the window that its authority suggests', async () => {
  const [from, until] = [began + 10 * DAY, began + 11 * DAY];
  const world = await order('window', between(from, until), { retryAfter: 2 * HOUR / 1000 });
  assert.strictEqual(world.asked.find((it) => it.what === 'renewal').id,
    idOf(await scene.get('window')));
  await soon('it is planned', async () => (await item('window')).suggested_from > 0);
  const it = await item('window');
  assert.strictEqual(it.suggested_from, Math.floor(from / 1000));
  assert.strictEqual(it.suggested_until, Math.floor(until / 1000));
  assert.strictEqual(it.explanation_url, '');
  assert(it.next_renewal * 1000 >= from - 1000 && it.next_renewal * 1000 <= until,
    text(it.next_renewal * 1000));
  /* Nobody may say when it is renewed but who may order. */
  assert.strictEqual(world.count('newOrder'), 1);
});

test('it is asked again when it says, and not before', async () => {
  const often = await order('often', between(began + 10 * DAY, began + 11 * DAY),
    { retryAfter: 60 });
  await clock(90 * MINUTE);
  await soon('who wants to be asked every minute is', () => often.count('renewal') > 1);
  assert.strictEqual(stub.world('window').count('renewal'), 1);
});

test('a window in the past is told with its reason, and waits for what may be ordered', async () => {
  const world = await order('full', between(began + 10 * DAY, began + 11 * DAY),
    { retryAfter: 60, rules: { certificates_per_week: 1 } });
  world.window = { ...past(), explanationURL: WHY };
  await clock(3 * HOUR);
  await soon('it waits', async () => (await item('full')).waiting === 'RENEWAL_WAIT_NAMES');
  assert.strictEqual((await item('full')).explanation_url, WHY);
  await scene.server.logged(new RegExp(`certificate\\.renewal\\.suggested.*${WHY}`));
  assert.strictEqual(world.orders.length, 1);
  assert.strictEqual((await scene.versions('full')).length, 1);
});

test('a window that moves into the past renews now, in the name of its predecessor', async () => {
  const world = stub.world('window');
  const first = idOf(await scene.get('window'));
  world.window = past();
  /* Its successor is to be left alone. */
  world.on('newOrder', () => {
    world.window = between(began + 20 * DAY, began + 21 * DAY);
    return false;
  });
  await clock(5.5 * HOUR);
  await soon('there is another version', async () => (await scene.versions('window')).length === 2);
  await scene.completed('window');
  const orders = world.asked.filter((it) => it.what === 'newOrder').map((it) => it.payload);
  assert.deepStrictEqual(orders.map((it) => it.replaces), [undefined, first]);
  const second = idOf(await scene.get('window'));
  assert.notStrictEqual(second, first);
  await soon('the new one is asked about', () =>
    world.asked.some((it) => it.what === 'renewal' && it.id === second));
  await soon('it is planned', async () => (await item('window')).suggested_from ===
    Math.floor((began + 20 * DAY) / 1000));
});

test('one that was replaced already is ordered again without its name', async () => {
  const world = stub.world('often');
  world.window = past();
  world.on('newOrder', ({ payload }, answer) => {
    world.window = between(began + 20 * DAY, began + 21 * DAY);
    if (!payload.replaces) return false;
    world.refuse(answer, 409, 'alreadyReplaced', 'it has a successor');
    return true;
  });
  await clock(6 * HOUR);
  await soon('there is another version', async () => (await scene.versions('often')).length === 2);
  const orders = world.asked.filter((it) => it.what === 'newOrder').map((it) => it.payload);
  assert.deepStrictEqual(orders.map((it) => Boolean(it.replaces)), [false, true, false]);
  assert.strictEqual(world.orders.length, 2);
});

test('what waits for the end of a blackout begins when that is taken away', async () => {
  const world = await order('dark', between(began + 10 * DAY, began + 11 * DAY),
    { retryAfter: 60 });
  const blackouts = { windows: [`${minute(began - DAY)} - ${minute(began + 20 * DAY)}`] };
  await scene.operator.call('VaultService/UpdateVault', { vault: 'shop', blackouts });
  world.window = past();
  await clock(7.2 * HOUR);
  await soon('it waits', async () => (await item('dark')).waiting === 'RENEWAL_WAIT_BLACKOUT');
  assert.strictEqual(world.count('newOrder'), 1);
  world.window = between(began + 10 * DAY, began + 11 * DAY);
  await scene.operator.call('VaultService/UpdateVault',
    { vault: 'shop', blackouts: { windows: ['none'] } });
  await clock(7.6 * HOUR);
  await soon('there is another version', async () => (await scene.versions('dark')).length === 2);
  assert.strictEqual(world.count('newOrder'), 2);
});

test('every request was signed, fresh and for its URL', () => {
  assert.deepStrictEqual(stub.troubles, []);
});
