// The harness itself: start, call, error details, kill, restart, stop.
import assert from 'node:assert';
import fs from 'node:fs';
import test from 'node:test';
import { Keyvault, methods } from './keyvault.mjs';

test('a server starts, serves, is killed, comes back and leaves nothing', async () => {
  const server = await Keyvault.start({ clientCa: true });
  const { folder } = server;
  try {
    assert.strictEqual(await server.stranger().health(), 'SERVING');
    const operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
    await operator.call('VaultService/CreateVault', { vault: 'Shop' });
    await server.kill();
    await server.restart();
    const vault = await operator.call('VaultService/GetVault', { vault: 'shop' });
    assert.strictEqual(vault.name, 'Shop');

    const wrong = await operator.refused('VaultService/CreateVault', { vault: '-' });
    assert.strictEqual(wrong.code, 'INVALID_ARGUMENT');
    assert.strictEqual(wrong.field, 'vault');
    const denied = await operator.refused('KeyService/CreateKey',
      { vault: 'shop', name: 'k', kty: 'EC' });
    assert.deepStrictEqual([denied.code, denied.reason],
      ['PERMISSION_DENIED', 'PERMISSION_MISSING']);

    const app = await server.service('app', [['READER', '/']]);
    await app.token(['READER'], '/');
    assert.strictEqual((await app.call('VaultService/ListVaults')).vaults.length, 1);
    assert(methods.size >= 66);
  } finally {
    await server.stop();
  }
  assert(!fs.existsSync(folder));
});
