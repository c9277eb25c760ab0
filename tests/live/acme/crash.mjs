// The server is killed while orders are in every state: each makes exactly one certificate.
import assert from 'node:assert';
import fs from 'node:fs';
import test, { after, before } from 'node:test';
import { nap } from '../support/keyvault.mjs';
import { Pebble } from './pebble.mjs';
import { freePorts } from './programs.mjs';
import { Scene, folderOf } from './scene.mjs';

/* An order takes about three seconds: one just asked for, one placed, one being proved, one being
 * finalized. */
const APART_MS = 700;
const ORDERS = 4;
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
    const states = new Set();
    for (let i = 0; i < ORDERS; i++) {
      const name = `c-${kill}-${i}`;
      names.push(name);
      await scene.create(name, 'pebble', [`${name}.example.test`]);
      await nap(APART_MS - kill * 200);
    }
    for (const name of names.slice(-ORDERS)) {
      const it = await scene.pending(name);
      states.add(`${it.status} ${it.status_details}`);
    }
    await scene.server.kill();
    await scene.server.restart();
    assert(states.size >= 2, [...states].join(', '));
  }
  for (const name of names) await scene.completed(name);
  for (const name of names) {
    assert.strictEqual((await scene.versions(name)).length, 1, name);
    await scene.verify(name, await pebble.root());
  }
  assert.strictEqual(pebble.issued, names.length, 'more certificates than were ordered');
  assert.strictEqual(pebble.log.match(/There are now \d+ accounts/g).length, 1);
});
