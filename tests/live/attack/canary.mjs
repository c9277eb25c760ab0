// Promise 7, secrets are wiped: a value that is set, read, refused and wrongly used through the API
// is afterwards in no file the server writes, in no error it answers, and not in its memory.
// Environment: KV_SANITIZED=1 leaves the memory out, for sanitizers keep what is freed; not so for the
// server of a release (KV_BUILD).
import assert from 'node:assert';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { Keyvault, nap } from '../support/keyvault.mjs';

const ROLES = ['CERTIFICATE_OFFICER', 'CERTIFICATE_USER', 'SECRETS_OFFICER', 'SECRETS_USER'];
const SANITIZED = !process.env.KV_BUILD && process.env.KV_SANITIZED === '1';
const LOOKS = 20; // until a busy machine has wiped
const BETWEEN_MS = 1500; // a connection gives its buffers back when it has been idle for one second
const PIECE = 8 << 20;
const LARGEST = 2 ** 30; // no mapping of ours is larger

const canary = (name) => Buffer.from(`${name}-${crypto.randomBytes(32).toString('hex')}`);

/* As it would stand in a text: itself, hexadecimal, base64 at each of three offsets. */
function spellings(bytes) {
  const all = [bytes, Buffer.from(bytes.toString('hex')),
    Buffer.from(bytes.toString('hex').toUpperCase())];
  for (let skip = 0; skip < 3; skip++) {
    const text = bytes.subarray(skip).toString('base64').replace(/=+$/, '').slice(0, -1);
    all.push(Buffer.from(text), Buffer.from(text.replaceAll('+', '-').replaceAll('/', '_')));
  }
  return all;
}

function* filesUnder(folder) {
  for (const entry of fs.readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) yield path.join(entry.parentPath ?? entry.path, entry.name);
  }
}

/* The writable mappings of a process; `locked` is memory that is neither swapped nor dumped. */
function mappings(pid) {
  const found = [];
  for (const line of fs.readFileSync(`/proc/${pid}/smaps`, 'utf8').split('\n')) {
    const head = /^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)$/.exec(line);
    if (head) {
      found.push({ start: parseInt(head[1], 16), end: parseInt(head[2], 16), mode: head[3],
        name: head[4] });
    } else if (line.startsWith('VmFlags:')) {
      found[found.length - 1].locked = / lo\b/.test(line) && / dd\b/.test(line);
    }
  }
  return found.filter(({ mode, start, end }) => mode.startsWith('rw') && end - start <= LARGEST);
}

/* Where in the memory of a process the bytes stand: [{ locked, text }]. */
function inMemory(pid, wanted) {
  const found = [];
  const fd = fs.openSync(`/proc/${pid}/mem`, 'r');
  const buffer = Buffer.alloc(PIECE);
  for (const { start, end, name, locked } of mappings(pid)) {
    for (let at = start; at < end; at += PIECE - wanted.length) {
      let size;
      try {
        size = fs.readSync(fd, buffer, 0, Math.min(PIECE, end - at), at);
      } catch {
        break; // guard pages
      }
      const piece = buffer.subarray(0, size);
      for (let hit = piece.indexOf(wanted); hit >= 0; hit = piece.indexOf(wanted, hit + 1)) {
        const around = piece.subarray(Math.max(0, hit - 48), hit).toString('latin1')
          .replace(/[^ -~]/g, '.');
        found.push({ locked,
          text: `${(at + hit).toString(16)} in ${name || 'a mapping'} after '${around}'` });
      }
    }
  }
  fs.closeSync(fd);
  return found;
}

test('a secret leaves no trace', async (t) => {
  const server = await Keyvault.start({ settings: { 'access.separation_of_duty': 'off',
    'audit.segment_bytes': 1 << 20, 'server.log_level': 'debug' } });
  try {
    const operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
    await operator.call('VaultService/CreateVault', { vault: 'shop' });
    const user = await server.officer('user', ROLES, '/vaults/shop');
    const stranger = await server.officer('stranger', ['READER'], '/vaults/shop');
    const secrets = { value: canary('value'), refused: canary('refused'), large: canary('large'),
      password: canary('password') };
    const said = [];
    const refused = async (caller, method, request, options) => {
      await caller.refused(method, request, options);
      said.push(...caller.answers);
    };

    await user.call('SecretService/SetSecret', { vault: 'shop', name: 's', value: secrets.value });
    for (let i = 0; i < 20; i++) {
      const got = await user.call('SecretService/GetSecret', { vault: 'shop', name: 's' });
      assert(got.value.equals(secrets.value));
    }
    // Errors must not quote what they refuse.
    await refused(stranger, 'SecretService/SetSecret',
      { vault: 'shop', name: 's', value: secrets.refused });
    await refused(user, 'SecretService/SetSecret',
      { vault: 'shop', name: '-- no --', value: secrets.refused });
    await refused(user, 'SecretService/SetSecret', { vault: 'shop', name: 's',
      value: Buffer.concat([Buffer.alloc(30_000, 'x'), secrets.large]) });
    await refused(user, 'SecretService/GetSecret',
      { vault: 'shop', name: 's', pfx_password: secrets.password });
    await user.call('CertificateService/CreateCertificate', { vault: 'shop', name: 'web', policy: {
      key_props: { kty: 'EC', exportable: true }, issuer: { name: 'Self' },
      x509_props: { subject: 'CN=www.example.org', validity_months: 1 } } });
    const pfx = await user.call('SecretService/GetSecret',
      { vault: 'shop', name: 'web', format: 'SECRET_FORMAT_PFX', pfx_password: secrets.password });
    const pem = await user.call('SecretService/GetSecret',
      { vault: 'shop', name: 'web', format: 'SECRET_FORMAT_PEM' });
    const [, base64] = /PRIVATE KEY-----\n([^-]+)-/.exec(pem.value.toString());
    const pkcs8 = crypto.createPrivateKey(pem.value).export({ format: 'jwk' });
    secrets.key = Buffer.from(pkcs8.d, 'base64url');
    secrets.pem = Buffer.from(base64.split('\n')[0]);
    assert(pfx.value.length > 0);
    secrets.bearer = Buffer.from(user.bearer.split('.')[2]);
    for (const duty of ['keys', 'ca', 'system', 'tls']) {
      secrets[`pin of ${duty}`] = Buffer.from(server.pin(duty));
    }
    for (const caller of server.callers) caller.close();

    await t.test('in no error', () => {
      assert(said.length >= 8 && said.some((one) => one.length > 20));
      const all = Buffer.concat(said);
      for (const [name, bytes] of Object.entries(secrets)) {
        assert(spellings(bytes).every((one) => !all.includes(one)), name);
      }
    });

    await t.test('in no log', () => {
      assert(server.log.length > 0);
      for (const [name, bytes] of Object.entries(secrets)) {
        assert(spellings(bytes).every((one) => !server.log.includes(one.toString())), name);
      }
    });

    await t.test('in no file: database, its WAL, audit log, token', () => {
      let seen = 0;
      for (const file of filesUnder(server.folder)) {
        if (/\/(pins|custody)\//.test(file) || /certificate-\d/.test(file)) continue;
        const bytes = fs.readFileSync(file);
        seen += /keyvault\.db(-wal)?$|\.kva$|\.object$/.test(file);
        for (const [name, wanted] of Object.entries(secrets)) {
          assert(spellings(wanted).every((one) => !bytes.includes(one)), `${name} in ${file}`);
        }
      }
      assert(seen >= 8, 'the files looked at are not the ones that matter');
    });

    await t.test('no core is written', () => {
      const limits = fs.readFileSync(`/proc/${server.pid}/limits`, 'utf8');
      assert.match(limits, /Max core file size +0 +0/);
    });

    await t.test('in no memory of the server, once the calls are over', {
      skip: SANITIZED ? 'sanitizers keep what is freed' : false }, async () => {
      // What is there is found: the name of the vault's user is no secret.
      assert(inMemory(server.pid, Buffer.from('administrator')).length +
        inMemory(server.pid, Buffer.from('keyvault.db')).length > 0);
      let left;
      for (let look = 0; look < LOOKS && left?.length !== 0; look++) {
        await nap(BETWEEN_MS);
        left = [];
        for (const [name, bytes] of Object.entries(secrets)) {
          // The PINs stay, to log in again when a token comes back: in locked memory.
          const found = inMemory(server.pid, bytes)
            .filter(({ locked }) => !(locked && name.startsWith('pin')));
          left.push(...found.map(({ text }) => `${name}: ${text}`));
        }
      }
      assert.deepStrictEqual(left, []);
    });
  } finally {
    await server.stop();
  }
});
