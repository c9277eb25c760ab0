// The verbs of kvctl that encrypt, wrap, import and sign: files in, files out, and what is secret
// never on the command line.
import assert from 'node:assert';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { Keyvault, run } from '../support/keyvault.mjs';

/* SoftHSM leaks the name of the curve at each use of an Ed25519 key. */
process.env.ASAN_OPTIONS = [process.env.ASAN_OPTIONS, 'detect_leaks=0'].filter(Boolean).join(':');

const KVCTL = path.join(path.dirname(process.env.KEYVAULTD), '../client/kvctl');
let server;
let officer;
let user;

before(async () => {
  server = await Keyvault.start();
  const operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  await operator.call('VaultService/CreateVault', { vault: 'shop' });
  officer = await server.officer('officer', ['CRYPTO_OFFICER'], '/vaults/shop');
  user = await server.officer('user', ['CRYPTO_USER'], '/vaults/shop');
  for (const { name, identity } of [officer, user]) {
    fs.writeFileSync(at(`${name}.pem`), identity.pem);
    fs.writeFileSync(at(`${name}.key`), identity.key, { mode: 0o600 });
  }
});

after(async () => {
  await server?.stop();
});

const at = (name) => path.join(server.folder, name);

const kvctl = (caller, verb, args = [], input = undefined) => run(KVCTL,
  ['key', verb, '--endpoint', `127.0.0.1:${server.port}`, '--server-name', 'localhost',
    '--ca', path.join(server.home, 'tls/server.pem'), '--certificate', at(`${caller.name}.pem`),
    '--key', at(`${caller.name}.key`), '--vault', 'shop', ...args], { input });

test('a file is encrypted and comes back', () => {
  kvctl(officer, 'create', ['--name', 'data', '--key-type', 'OCT', '--operation', 'encrypt',
    '--operation', 'decrypt']);
  fs.writeFileSync(at('report'), 'a report');
  const sealed = kvctl(user, 'encrypt', ['--name', 'data', '--algorithm', 'A256GCM', '--file',
    at('report'), '--aad', 'aabb']);
  assert(!sealed.includes('a report'));
  kvctl(user, 'decrypt', ['--name', 'data', '--file', at('opened')], sealed);
  assert.strictEqual(fs.readFileSync(at('opened'), 'utf8'), 'a report');
  assert.strictEqual(fs.statSync(at('opened')).mode & 0o777, 0o600);
  assert.throws(() => kvctl(user, 'decrypt', ['--name', 'data', '--file', at('opened')], sealed));
});

test('a key is imported, wraps and unwraps', () => {
  const kek = crypto.randomBytes(32);
  kvctl(officer, 'import', ['--name', 'kek', '--symmetric', '--operation', 'wrap-key',
    '--operation', 'unwrap-key'], kek);
  fs.writeFileSync(at('data.key'), crypto.randomBytes(32));
  const wrapped = kvctl(user, 'wrap', ['--name', 'kek', '--algorithm', 'A256KW', '--file',
    at('data.key')]);
  const close = crypto.createCipheriv('id-aes256-wrap', kek, Buffer.alloc(8, 0xa6));
  assert.strictEqual(JSON.parse(wrapped).ciphertext,
    Buffer.concat([close.update(fs.readFileSync(at('data.key'))), close.final()])
      .toString('base64'));
  fs.writeFileSync(at('wrapped'), wrapped);
  kvctl(user, 'unwrap', ['--name', 'kek', '--sealed-file', at('wrapped'), '--file',
    at('unwrapped')]);
  assert.deepStrictEqual(fs.readFileSync(at('unwrapped')), fs.readFileSync(at('data.key')));
});

test('a PEM is imported and signs the message itself', () => {
  const { privateKey, publicKey } = crypto.generateKeyPairSync('ed25519');
  kvctl(officer, 'import', ['--name', 'ed'],
    privateKey.export({ format: 'pem', type: 'pkcs8' }));
  fs.writeFileSync(at('message'), 'a message');
  kvctl(user, 'sign', ['--name', 'ed', '--algorithm', 'EdDSA', '--message-file', at('message'),
    '--signature-file', at('signature')]);
  assert(crypto.verify(null, Buffer.from('a message'), publicKey,
    fs.readFileSync(at('signature'))));
  kvctl(user, 'verify', ['--name', 'ed', '--algorithm', 'EdDSA', '--message-file', at('message'),
    '--signature-file', at('signature')]);
  assert.throws(() => kvctl(officer, 'import', ['--name', 'locked'],
    privateKey.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc',
      passphrase: 'secret' })), /passphrase/);
});

test('random bytes', () => {
  const { value } = JSON.parse(kvctl(user, 'random', ['--count', '32']));
  assert.strictEqual(Buffer.from(value, 'base64').length, 32);
});
