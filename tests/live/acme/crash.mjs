// The server is killed while orders are in every state: each makes exactly one certificate.
import assert from 'node:assert';
import fs from 'node:fs';
import test, { after, before } from 'node:test';
import { nap } from '../support/keyvault.mjs';
import { freePorts } from '../support/ports.mjs';
import { Pebble } from './pebble.mjs';
import { Scene, folderOf } from './scene.mjs';

/* An order takes about three seconds: one just asked for, one placed, one being proved, one being
 * finalized. */
const APART_MS = 700;
const ORDERS = 4;
const ORDERS_MOST = 12; // on a machine that is slow or quick
const KILLS = 2;
const folder = folderOf('pebble-crash');
let pebble;
let scene;

before(async () => {
  const [httpPort] = await freePorts(1);
  pebble = await Pebble.start({ folder, httpPort, env: { PEBBLE_WFE_NONCEREJECT: '10' } });
  scene = await Scene.start({ ca: pebble.ca, httpPort });
  await scene.setIssuer('pebble', { directory: pebble.directory, challenges: ['http-01'] });
});

after(async () => {
  await scene?.stop();
  await pebble?.stop();
  fs.rmSync(folder, { recursive: true, force: true });
});

test('killed in every state of an order', async () => {
  const names = [];
  for (let kill = 0; kill < KILLS; kill++) {
    const mine = [];
    let states = new Set();
    while (mine.length < ORDERS || states.size < 2) {
      assert(mine.length < ORDERS_MOST, [...states].join(', '));
      const name = `c-${kill}-${mine.length}`;
      mine.push(name);
      await scene.create(name, 'pebble', [`${name}.example.test`]);
      await nap(APART_MS - kill * 200);
      const now = await Promise.all(mine.map((it) => scene.pending(it)));
      states = new Set(now.map((it) => `${it.status} ${it.status_details}`));
    }
    names.push(...mine);
    await scene.server.kill();
    await scene.server.restart();
  }
  for (const name of names) await scene.completed(name);
  for (const name of names) {
    assert.strictEqual((await scene.versions(name)).length, 1, name);
    await scene.verify(name, await pebble.root());
  }
  assert.strictEqual(await pebble.made(names.length), names.length, 'more certificates than were ordered');
  assert.strictEqual(await pebble.accounts(), 1);
});
