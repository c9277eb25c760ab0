// kvctl server doctor: all is well on a new server; then somebody with the PIN changes the token, a
// PIN file is opened to others, and each of it is found and named, at the start and on demand.
import assert from 'node:assert';
import fs from 'node:fs';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
import test, { after, before } from 'node:test';
import { Keyvault, run } from '../support/keyvault.mjs';

const KVCTL = path.join(path.dirname(process.env.KEYVAULTD), '../client/kvctl');
let server;
let operator;
let officer;

before(async () => {
  server = await Keyvault.start({ clientCa: true, separation: 'off' });
  operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  officer = await server.officer('officer', ['CRYPTO_OFFICER', 'CRYPTO_USER'], '/');
  await operator.call('VaultService/CreateVault', { vault: 'shop' });
});

after(async () => {
  await server?.stop();
});

const make = async (name) => {
  await officer.call('KeyService/CreateKey', { vault: 'shop', name, kty: 'EC' });
  const { attestation } = await officer.call('KeyService/GetKey', { vault: 'shop', name });
  return attestation.key_id.toString('hex');
};

function doctor(...args) {
  const at = (name) => path.join(server.folder, `operator.${name}`);
  fs.writeFileSync(at('pem'), operator.identity.pem);
  fs.writeFileSync(at('key'), operator.identity.key, { mode: 0o600 });
  const said = spawnSync(KVCTL, ['server', 'doctor', '--endpoint', `127.0.0.1:${server.port}`,
    '--server-name', 'localhost', '--ca', path.join(server.home, 'tls/server.pem'),
    '--certificate', at('pem'), '--key', at('key'), ...args], { encoding: 'utf8' });
  return { code: said.status, text: said.stdout, told: said.stderr };
}

/* As anybody with the PIN and a tool could, while the server is down. */
const tool = (...args) => run('pkcs11-tool', ['--module', server.settings['token.keys.module'],
  '--token-label', 'kv-keys', '--login', '--pin', server.pin('keys'), ...args],
{ env: { ...process.env, ...server.env } });

test('a healthy server', async () => {
  for (let i = 0; i < 3; i++) await make(`fine-${i}`);
  const { code, text, told } = doctor('--output', 'json');
  assert.strictEqual(code, 0, told + text);
  const checks = JSON.parse(text);
  for (const name of ['token', 'database', 'audit log', 'credentials', 'TLS certificate',
    'client CA', 'space', 'files', 'limits', 'keys', 'clock']) {
    assert(checks.some((one) => one.name === name), `no check of ${name}`);
  }
  const bad = checks.filter((one) => one.result === 'CHECK_RESULT_ERROR');
  assert.deepStrictEqual(bad, []);
  const keys = checks.find((one) => one.name === 'keys');
  assert.strictEqual(keys.result, 'CHECK_RESULT_OK', keys.what);
  const { store, tokens } = await operator.call('ServerService/GetServerStatus', {});
  assert(store.schema_version >= 1);
  assert(tokens.some((one) => one.duty === 'keys'));
});

test('what was done to the token is found', async () => {
  const lost = await make('lost');
  const renamed = await make('renamed');
  const pin = path.join(server.home, server.settings['token.keys.pin_file']);
  await server.terminate();
  tool('--delete-object', '--type', 'privkey', '--id', lost);
  tool('--keygen', '--key-type', 'AES:32', '--id', '0123456789abcdef0123456789abcdef', '--label',
    'stray', '--extractable');
  tool('--keygen', '--key-type', 'AES:32', '--id', renamed, '--label', 'double');
  server.log = '';
  await server.restart();
  const told = await server.scanned();
  assert.deepStrictEqual([told.missing_objects, told.unknown_objects], [1, 1], server.log);
  await server.logged(/token\.key\.differs/);

  fs.chmodSync(pin, 0o644);
  const { code, text } = doctor('--output', 'table');
  fs.chmodSync(pin, 0o600);
  assert.strictEqual(code, 8, text);
  assert.match(text, new RegExp(`ERROR    key on a token: ${lost} .*not on the token\n +-> bring`));
  assert.match(text, /ERROR {4}key on a token: 0123456789abcdef0123456789abcdef of 'stray'.*CKA_/);
  assert.match(text, /warning {2}key on a token: 0123456789abcdef0123456789abcdef.*no row knows it/);
  assert.match(text, new RegExp(`key on a token: ${renamed}.*two keys have its id`));
  assert.match(text, /ERROR {4}files: PIN file: others may use/);
  /* It is reported, not touched. */
  assert.match(tool('--list-objects', '--type', 'secrkey'), /stray/);
});

test('a stop does not wait for a scan', async () => {
  for (let i = 0; i < 60; i++) await make(`many-${i}`);
  const asked = operator.call('ServerService/CheckServer', {}).catch((error) => error);
  await server.terminate(); // in time
  await asked;
  await server.restart();
});
