// Disks that are full, one after the other: the database's, the tokens', the audit log's. Callers
// are answered on time, reads and signatures go on where they can, and once there is room everything
// works again by itself; nothing that was acknowledged is lost and no half key stays.
import assert from 'node:assert';
import test from 'node:test';
import { recovers, settle, start, timed, watch } from './host.mjs';

const FULL_MS = 1500;
const FAILURES = 80; // more than make a supervisor doubt a token that answers its probe
const READS = ['sign', 'get a secret', 'get a key', 'issue a role token'];

let at;
const refused = (seen, ...names) => names.forEach((name) =>
  assert(seen[name].refused > 0, `${name}: ${JSON.stringify(seen[name])}`));
const answered = (seen, ...names) => names.forEach((name) =>
  assert.strictEqual(seen[name].refused, 0, name));

/* While the disk is full, and afterwards. */
async function full(disk, check, more) {
  const { pid } = at.server;
  at.server.full(disk);
  check(await watch(at, FULL_MS));
  await more?.();
  at.server.full(null);
  await recovers(at);
  assert.strictEqual(at.server.pid, pid);
}

test('full disks', async (t) => {
  at = await start({ 'audit.segment_bytes': 65536 });
  const { pid } = at.server;
  try {
    await t.test('of the database', () => full('store', (seen) => {
      refused(seen, 'create a key', 'set a secret', 'create a certificate');
      answered(seen, ...READS);
    }));
    await t.test('of the tokens', () => full('token', (seen) => {
      refused(seen, 'create a key', 'create a certificate');
      answered(seen, ...READS);
    }, async () => {
      // However often: nobody could log in to a token that is given up, for that takes room.
      for (let i = 0; i < FAILURES; i++) assert(!(await timed(at.calls['create a key'])).ok);
      for (const what of READS) assert((await timed(at.calls[what])).ok, what);
    }));
    await t.test('of the audit log: changes end first, and without a record nothing is answered',
      () => full('audit', (seen) => {
        refused(seen, 'create a key', 'set a secret', 'create a certificate');
        assert(seen.sign.ok > 0, 'signatures ended with the changes');
      }, async () => {
        // What was allocated before is used up.
        const many = () => Promise.all(Array.from({ length: 50 }, () => timed(at.calls.sign)));
        for (let i = 0; (await many()).every((one) => one.ok); i++) assert(i < 200, 'it has room');
        for (const { refused: no } of Object.values(await watch(at, 500))) assert(no > 0);
      }));
    await t.test('afterwards', () => settle(at, pid));
  } finally {
    await at.server.stop();
  }
});
