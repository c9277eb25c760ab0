// One process owns a home and its tokens (promises 4 and 5 rest on it): a second server is refused,
// on the same home, and on the same tokens from another home; and `init` takes no token over.
import assert from 'node:assert';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { Keyvault } from '../support/keyvault.mjs';

const TRY_MS = 60_000;

/* Runs to its end; a server that serves is stopped after a while and has no status. */
function attempt(server, config, ...command) {
  const done = spawnSync(process.env.KEYVAULTD, [...command, '--config', config],
    { env: { ...process.env, ...server.env }, timeout: TRY_MS });
  return { status: done.status, said: `${done.stdout}${done.stderr}` };
}

/* The configuration with another home. */
function configFor(server, home) {
  const config = path.join(server.folder, `${path.basename(home)}.conf`);
  fs.writeFileSync(config,
    fs.readFileSync(server.config, 'utf8').replace(`home = ${server.home}`, `home = ${home}`));
  return config;
}

test('a second server gets neither home nor tokens', async (t) => {
  const server = await Keyvault.start({ settings: { 'audit.segment_bytes': 1 << 20 } });
  try {
    const operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
    await operator.call('VaultService/CreateVault', { vault: 'shop' });

    await t.test('on the same home', () => {
      const { status, said } = attempt(server, server.config, 'run');
      assert.strictEqual(status, 1, said);
      assert.match(said, /another keyvaultd runs on the home/);
    });

    await t.test('init on the same home', () => {
      const { status, said } = attempt(server, server.config, 'init', '--administrator',
        `Thief=${path.join(server.folder, 'administrator.pem')}`);
      assert.strictEqual(status, 1, said);
    });

    await t.test('on the same tokens from a copy of the home', () => {
      const home = path.join(server.folder, 'second');
      /* Nothing may come and go in it meanwhile. */
      server.child.kill('SIGSTOP');
      try {
        fs.cpSync(server.home, home, { recursive: true });
      } finally {
        server.child.kill('SIGCONT');
      }
      const { status, said } = attempt(server, configFor(server, home), 'run');
      assert.strictEqual(status, 1, `it serves beside the first one:\n${said}`);
      assert.match(said, /token/);
    });

    await t.test('init of a new home on tokens in use', () => {
      const home = path.join(server.folder, 'third');
      fs.mkdirSync(home, { mode: 0o700 });
      fs.cpSync(path.join(server.home, 'pins'), path.join(home, 'pins'), { recursive: true });
      const { status, said } = attempt(server, configFor(server, home), 'init', '--administrator',
        `Thief=${path.join(server.folder, 'administrator.pem')}`);
      assert.strictEqual(status, 1, said);
    });

    // The first one did not notice anything.
    const vault = await operator.call('VaultService/GetVault', { vault: 'shop' });
    assert.strictEqual(vault.name, 'shop');
    await server.terminate();

    await t.test('init of a new home on tokens that hold a keyvault', () => {
      const home = path.join(server.folder, 'fourth');
      fs.mkdirSync(home, { mode: 0o700 });
      fs.cpSync(path.join(server.home, 'pins'), path.join(home, 'pins'), { recursive: true });
      const { status, said } = attempt(server, configFor(server, home), 'init', '--administrator',
        `Thief=${path.join(server.folder, 'administrator.pem')}`);
      assert.strictEqual(status, 1, said);
      assert.match(said, /holds a keyvault already/);
    });
  } finally {
    await server.stop();
  }
});
