// `keyvaultd init` killed at any instant can be run again, and what it makes then serves. What an
// init did not make itself, it never clears away.
// Environment: KV_INIT_ROUNDS (default 20).
import assert from 'node:assert';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { Keyvault } from '../support/keyvault.mjs';

const ROUNDS = Number(process.env.KV_INIT_ROUNDS ?? 20);

/* A server whose first `init` is killed after `ms`; the second one runs to its end unless the first
 * was faster than that. */
class Interrupted extends Keyvault {
  constructor(ms) {
    super();
    this.ms = ms;
  }

  keyvaultd(command, ...args) {
    const started = Date.now();
    const first = this.initOnce(args, this.ms);
    this.took = Date.now() - started;
    this.whole = first.status === 0;
    const second = this.initOnce(args);
    const again = /holds a keyvault already/.test(second.stderr);
    assert(second.status === 0 || again, `after ${this.ms} ms: ${second.stderr}`);
    if (this.whole) assert(again, second.stderr);
  }

  initOnce(args, timeout) {
    return spawnSync(process.env.KEYVAULTD, ['init', '--config', this.config, ...args],
      { env: { ...process.env, ...this.env }, encoding: 'utf8', timeout, killSignal: 'SIGKILL' });
  }
}

async function round(ms) {
  const server = new Interrupted(ms);
  try {
    server.prepare({}, false);
    await server.restart();
    assert(!fs.existsSync(path.join(server.home, 'init.unfinished')));
    /* The administrator is known, nothing stands on a token without a row, and all seals hold. */
    await (await server.administrator()).call('AccessService/WhoAmI');
    await server.reconciled();
    await server.stop();
  } catch (error) {
    server.removeNow();
    error.message += ` (init killed after ${ms} ms)`;
    throw error;
  }
  return server;
}

test('an interrupted init can be run again', async () => {
  const { took } = await round(60_000);
  for (let i = 0; i < ROUNDS; i++) await round(Math.ceil(((i + 0.5) * took) / ROUNDS));
});

test('a database or audit log that init did not make stays', async () => {
  for (const [file, message] of [['keyvault.db', /database is there already/],
    ['audit/other', /audit folder is not empty/]]) {
    const server = new Keyvault();
    const precious = path.join(server.home, file);
    server.keyvaultd = (command, ...args) => {
      fs.mkdirSync(path.dirname(precious), { recursive: true });
      fs.writeFileSync(precious, 'precious');
      for (let i = 0; i < 2; i++) {
        const done = Interrupted.prototype.initOnce.call(server, args);
        assert.equal(done.status, 1);
        assert.match(done.stderr, message);
        assert.equal(fs.readFileSync(precious, 'utf8'), 'precious');
      }
    };
    server.prepare({}, false);
    server.removeNow();
  }
});
