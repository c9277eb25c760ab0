// Many rows: the server serves while they are still compared with the audit log, and gives out none
// that is not. Somebody puts a row of yesterday back, with its good seal: nothing is told from it,
// everything else goes on, and when the comparison comes to it the server ends.
import assert from 'node:assert';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { nap } from '../support/keyvault.mjs';
import { sql } from '../tamper/copies.mjs';
import { VAULT, settle, start, watch } from './host.mjs';

const READ_MS = 200; // it takes seconds from there to the end
const QUIET_MS = 700;
const END_MS = 60_000;

/* The comparison is held as soon as the doors are open. */
async function restartHeld(server) {
  const port = path.join(server.home, 'port');
  if (server.child.exitCode === null) await server.terminate();
  server.log = '';
  fs.rmSync(port, { force: true });
  server.slow(READ_MS);
  const held = (async () => {
    while (!fs.existsSync(port)) await nap(2);
    server.slow(null);
  })();
  await server.restart();
  await held;
}

async function soon(server, what, is) {
  for (const until = Date.now() + END_MS; !is(); await nap(20)) {
    if (Date.now() > until) throw server.failed(`not in time: ${what}`);
  }
}

const verified = (server) => soon(server, 'every row is compared',
  () => server.log.includes('"integrity.verified"'));

test('rows that are compared behind the doors', async (t) => {
  const at = await start({ 'store.compare_seconds': 0 });
  const { server, user } = at;
  const secret = { vault: VAULT, name: at.made.secrets[0] };
  try {
    await t.test('everything works meanwhile', async () => {
      await restartHeld(server);
      const seen = await watch(at, QUIET_MS);
      for (const [what, { refused }] of Object.entries(seen)) assert.strictEqual(refused, 0, what);
      await at.check();
      assert(!server.log.includes('"integrity.'), server.log);
      server.slow(0);
      await verified(server);
      await settle(at, server.pid);
    });

    await t.test('a start can wait for it', async () => {
      server.configure({ 'store.compare_seconds': 60 });
      server.slow(2);
      server.log = '';
      await server.restart();
      server.slow(null); // in vain
      await verified(server);
      await at.check();
      server.slow(0);
    });

    await t.test('a secret that was disabled stays so', async () => {
      const older = path.join(server.folder, 'older.db');
      await server.terminate();
      fs.copyFileSync(path.join(server.home, 'keyvault.db'), older);
      server.configure({ 'store.compare_seconds': 0 });
      await server.restart();
      const { id } = await user.call('SecretService/GetSecret', secret);
      await user.call('SecretService/UpdateSecret',
        { ...secret, version: id.version, attributes: { enabled: false } });
      await user.refused('SecretService/GetSecret', secret);
      await server.terminate();
      sql(server, `ATTACH '${older}' AS older; DELETE FROM secret_versions;` +
        'INSERT INTO secret_versions SELECT * FROM older.secret_versions');

      await restartHeld(server);
      for (const method of ['GetSecret', 'ListSecretVersions']) {
        const refusal = await user.refused(`SecretService/${method}`, secret);
        assert.deepStrictEqual([refusal.code, refusal.reason], ['INTERNAL', 'INTEGRITY']);
      }
      await server.logged(/"store.integrity".*secret_versions/);
      for (const [what, one] of Object.entries(at.calls)) if (!/secret/.test(what)) await one();

      server.slow(0);
      const { code } = await server.ended;
      assert.strictEqual(code, 1, server.log);
      assert.match(server.log, /"integrity.alarm".*secret_versions/);
      assert.match(server.log, /stored data failed its integrity check/);
    });

    await t.test('and nobody is served who waits for the comparison', async () => {
      server.configure({ 'store.compare_seconds': 60 });
      server.log = '';
      await assert.rejects(server.restart());
      assert(!server.log.includes('"server.listening"'), server.log);
      assert.match(server.log, /the set of rows is not the one of version/);
    });
  } finally {
    server.removeNow();
  }
});
