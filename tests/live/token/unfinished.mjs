// What a kill leaves of a token's files is set right by the next start.
//
// Promise 4, no key is orphaned: a key whose copy to the token a kill interrupted is whole on disk,
// but not marked as a token object, so searches for token objects do not find it. The next start
// does, and destroys it; the finished keys stay.
import assert from 'node:assert';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { Keyvault } from '../support/keyvault.mjs';

// As SoftHSM writes CKA_TOKEN: type 1, kind 1 (boolean), one byte.
const ON_TOKEN = Buffer.from('00000000000000010000000000000001ff', 'hex');

const objects = (folder) => fs.readdirSync(folder).filter((name) =>
  name.endsWith('.object') && name !== 'token.object');

test('a key that was being copied when the server was killed is destroyed', async () => {
  const server = await Keyvault.start();
  try {
    const operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
    await operator.call('VaultService/CreateVault', { vault: 'shop' });
    const officer = await server.officer('officer', ['CRYPTO_OFFICER'], '/vaults/shop');
    const user = await server.officer('user', ['CRYPTO_USER'], '/vaults/shop');
    await officer.call('KeyService/CreateKey', { vault: 'shop', name: 'k', kty: 'EC' });
    await server.terminate();

    const folder = fs.readdirSync(server.tokens).map((name) => path.join(server.tokens, name))
      .find((one) => fs.readFileSync(path.join(one, 'token.object')).includes('kv-keys'));
    const before = objects(folder);
    const made = before.filter((name) => {
      const bytes = fs.readFileSync(path.join(folder, name));
      const at = bytes.indexOf(ON_TOKEN);
      if (at < 0) return false;
      bytes[at + ON_TOKEN.length - 1] = 0;
      const copy = path.join(folder, name.replace(/^.{8}/, '5aa5c33c'));
      fs.writeFileSync(copy, bytes);
      fs.writeFileSync(copy.replace(/object$/, 'lock'), '');
      return true;
    });
    assert(made.length >= 1, 'the key is not there'); // beside it the object that probes use

    server.log = '';
    await server.restart();
    const [event] = await server.told('token.unfinished_destroyed');
    assert.strictEqual(event.objects, made.length, server.log);
    await server.reconciled();
    assert.deepStrictEqual(objects(folder).filter((name) => name.startsWith('5aa5c33c')), []);
    await user.call('KeyService/Sign',
      { vault: 'shop', name: 'k', algorithm: 'ES256', message: Buffer.from('a document') });
  } finally {
    await server.stop();
  }
});

// SoftHSM rewrites token.object at every login: a kill there leaves it empty, and the token lost.
test('tokens whose kill came during a login are put back, that of the TLS key with them', async () => {
  const server = await Keyvault.start();
  try {
    await server.terminate();
    const tokens = fs.readdirSync(server.tokens)
      .map((name) => path.join(server.tokens, name, 'token.object'));
    assert.strictEqual(tokens.length, 4);
    tokens.forEach((file) => fs.truncateSync(file));
    server.log = '';
    await server.restart();
    const restored = (await server.told('token.restored', 4)).map(({ token }) => token);
    assert.deepStrictEqual(restored.sort(), ['ca', 'keys', 'system', 'tls'], server.log);
    tokens.forEach((file) => assert(fs.statSync(file).size > 0, file));
  } finally {
    await server.stop();
  }
});
