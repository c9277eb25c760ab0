// Promise 1, non-exportable means the token says no: whoever has the token's folder and the user
// PIN, and goes straight to the PKCS#11 module, gets no private or secret key out of it.
// Environment: KV_EXTRACT, the thief (extract.c).
import assert from 'node:assert';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { Keyvault, SOFTHSM } from '../support/keyvault.mjs';

const ROLES = ['CERTIFICATE_OFFICER', 'CERTIFICATE_USER', 'CRYPTO_OFFICER', 'CRYPTO_USER',
  'SECRETS_OFFICER', 'SECRETS_USER'];

const policy = (name, kty, exportable) => ({
  key_props: { kty, exportable },
  x509_props: { subject: `CN=${name}.example.org`, sans: { dns_names: [`${name}.example.org`] },
    validity_months: 1 },
  issuer: { name: 'Self' },
});

/* The thief's report on a copy of the tokens: { status, keys: Map(id -> flags), text }. */
function steal(server, duty) {
  const copy = fs.mkdtempSync(path.join(server.folder, 'stolen-'));
  fs.cpSync(server.tokens, path.join(copy, 'tokens'), { recursive: true });
  fs.writeFileSync(path.join(copy, 'softhsm2.conf'),
    `directories.tokendir = ${copy}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n`);
  const done = spawnSync(process.env.KV_EXTRACT,
    [SOFTHSM, `kv-${duty}`, path.join(server.home, 'pins', duty)],
    { env: { ...process.env, SOFTHSM2_CONF: path.join(copy, 'softhsm2.conf') } });
  const text = `${done.stdout}${done.stderr}`;
  const keys = new Map();
  for (const line of text.split('\n').filter((one) => one.startsWith('key '))) {
    const flags = Object.fromEntries(line.slice(4).split(' ').map((one) => one.split('=')));
    keys.set(flags.id, flags);
  }
  return { status: done.status, keys, text };
}

test('no key leaves the token, whatever a thief with the PIN tries', async () => {
  const server = await Keyvault.start({
    settings: { 'access.separation_of_duty': 'off' } });
  try {
    const operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
    await operator.call('VaultService/CreateVault', { vault: 'shop' });
    const user = await server.officer('user', ROLES, '/vaults/shop');
    const born = {};
    for (const [name, kty, crv] of [['ec', 'EC', 'P256'], ['ec521', 'EC', 'P521'],
      ['rsa', 'RSA', 0]]) {
      const key = await user.call('KeyService/CreateKey', { vault: 'shop', name, kty, crv });
      born[name] = key.attestation;
    }
    for (const [name, kty, exportable] of [['fixed', 'EC', false], ['fixed-rsa', 'RSA', false],
      ['loose', 'EC', true], ['loose-rsa', 'RSA', true]]) {
      await user.call('CertificateService/CreateCertificate',
        { vault: 'shop', name, policy: policy(name, kty, exportable) });
      // The private bytes of an exportable one were wrapped out once: by now that door is shut.
      const secret = await user.call('SecretService/GetSecret', { vault: 'shop', name });
      const key = await user.call('KeyService/GetKey', { vault: 'shop', name });
      assert.strictEqual(key.exportable, exportable);
      assert(secret.value.length > 0);
      born[name] = key.attestation;
    }
    await user.call('SecretService/SetSecret', { vault: 'shop', name: 's', value: Buffer.from('x') });

    const keys = steal(server, 'keys');
    assert.strictEqual(keys.status, 0, keys.text);
    assert.strictEqual(keys.keys.size, 7, keys.text);
    for (const [name, attestation] of Object.entries(born)) {
      const flags = keys.keys.get(attestation.key_id.toString('hex'));
      const exportable = name.startsWith('loose');
      assert(flags, `${name} is not on the token\n${keys.text}`);
      const { sensitive, extractable, local, private: hidden, wrap } = flags;
      assert.deepStrictEqual({ sensitive, extractable, local, hidden, wrap },
        { sensitive: '1', extractable: '0', local: '1', hidden: '1', wrap: '0' }, name);
      assert.strictEqual(flags.never_extractable, exportable ? '0' : '1', name);
      assert.strictEqual(flags.always_sensitive, '1', name);
      // What the server says of the key is what the token says.
      assert.strictEqual(attestation.never_extractable, !exportable, name);
      assert.strictEqual(attestation.local, true, name);
      assert.strictEqual(attestation.sensitive, true, name);
    }
    for (const [duty, least] of [['ca', 0], ['system', 4], ['tls', 1]]) {
      const other = steal(server, duty);
      assert.strictEqual(other.status, 0, other.text);
      assert(other.keys.size >= least, other.text);
      for (const flags of other.keys.values()) {
        assert.strictEqual(flags.never_extractable, '1', other.text);
      }
    }
  } finally {
    await server.stop();
  }
});
