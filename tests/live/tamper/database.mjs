// Promise 5, the database is not trusted: whoever edits it gets a refusal and an alarm, not a role.
// Every column of every sealed table is edited with the sqlite3 shell; rows are added, deleted and
// put back; an older database is put back. Each case is a copy of one stopped server.
// Environment: KV_TAMPER_LANES (default 2), how many copies run at once.
import assert from 'node:assert';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { Keyvault, message, nap } from '../support/keyvault.mjs';
import { Copy, each, edit, sql } from './copies.mjs';

const ROLES = ['CERTIFICATE_OFFICER', 'CERTIFICATE_USER', 'CRYPTO_OFFICER', 'CRYPTO_USER',
  'SECRETS_OFFICER', 'SECRETS_USER'];
// Who may what, and under which rules: wrong here, nobody is served.
const DECIDING = ['instance', 'signers', 'principals', 'credentials', 'slots', 'revocations',
  'vaults', 'authorities', 'issuers', 'enrolments'];
// What no seal of its own covers: the columns of a seal that assignments never get, because the
// principal's digest is over them; and the notes of full segments, which decide nothing (each is
// signed, and a missing one is written again). Proofs for authorities stand there for seconds
// while one looks; test_vault_proofs edits them. What is left of the budget of a set of names is
// noted when an authority elsewhere has issued, and there is none here: test_vault_health edits it.
const UNSEALED = { assignments: ['generation', 'seal', 'seal_key'], segments: null, proofs: null,
  name_budgets: null };

const policy = (issuer, exportable = false) => ({
  key_props: { kty: 'EC', exportable },
  x509_props: { subject: 'CN=www.example.org', sans: { dns_names: ['www.example.org'] },
    validity_months: 1 },
  issuer: { name: issuer },
});

/* A row in every sealed table, and the database as it was before a grant was taken away. */
async function fill(server) {
  const operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  await operator.call('VaultService/CreateVault', { vault: 'shop' });
  await operator.call('WebhookService/SetWebhook',
    { vault: 'shop', webhook: 'hook', url: 'https://localhost:1/' });
  await operator.call('ContactService/SetContacts',
    { vault: 'shop', contacts: [{ email: 'team@example.org' }] });
  const user = await server.officer('user', ROLES, '/vaults/shop');
  await user.call('KeyService/CreateKey', { vault: 'shop', name: 'k', kty: 'EC' });
  await user.call('KeyService/UpdateKeyRotationPolicy', { vault: 'shop', name: 'k', policy: {
    lifetime_actions: [{ trigger: { time_after_create: 'P90D' }, action: 'ROTATE' }] } });
  await user.call('SecretService/SetSecret',
    { vault: 'shop', name: 's', value: Buffer.from('value') });
  for (const [name, issuer, exportable] of [['web', 'Self', true], ['mail', 'Unknown', false]]) {
    await user.call('CertificateService/CreateCertificate',
      { vault: 'shop', name, policy: policy(issuer, exportable) });
  }
  const issuers = await server.officer('issuers', ['ISSUER_OFFICER'], '/');
  await issuers.call('CertificateAuthorityService/CreateCertificateAuthority', { vault: 'shop',
    name: 'root', type: 'ROOT', subject: 'CN=root',
    revocation: { ocsp_url: 'http://pki.example.org/root' } });
  await issuers.call('IssuerService/SetIssuer', { vault: 'shop', issuer: 'Self', provider: 'Self',
    allowed_domains: { rules: ['*'] } });
  // Nobody is there; the key for the account is made before anybody is asked.
  await issuers.call('IssuerService/SetIssuer', { vault: 'shop', issuer: 'acme', provider: 'ACME',
    settings: '{"directory":"https://127.0.0.1:1/","terms_agreed":true}',
    allowed_domains: { rules: ['*'] } });
  await issuers.refused('IssuerService/CheckIssuer', { vault: 'shop', issuer: 'acme' });
  // Asked in vain: its state has a row.
  const ordered = { vault: 'shop', name: 'ordered' };
  await user.call('CertificateService/CreateCertificate', { ...ordered, policy: policy('acme') });
  for (let operation; !operation?.error?.message; await nap(100)) {
    operation = await user.call('CertificateService/GetCertificateOperation', ordered);
  }
  await user.call('CertificateService/CreateCertificate',
    { vault: 'shop', name: 'signed', policy: policy('root', false) });
  await user.call('SecretService/SetSecret', { vault: 'shop', name: 'once',
    value: Buffer.from('value') }, { metadata: { 'idempotency-key': 'once' } });
  const admin = await server.administrator();
  const robot = await server.principal('robot', [], { kind: 'MANAGEMENT', vault: 'shop' });
  const leaver = await server.officer('leaver', ['READER'], '/');
  const victim = await server.officer('victim', ['READER'], '/');
  await admin.call('AccessService/RevokeRoleToken', { jti: '0'.repeat(32), expires: 0 });
  // Enough records that a segment is full and its head stands in the database.
  for (let i = 0; i < 20; i++) {
    await Promise.all(Array.from({ length: 25 }, () => user.call('SecretService/GetSecret',
      { vault: 'shop', name: 's' })));
  }
  await server.terminate();
  const older = new Copy(server, 'older');
  await server.restart();
  await admin.call('AccessService/RemoveAssignment',
    { assignment_id: leaver.assignments[0].id });
  const { jti } = await victim.token(['READER'], '/', 28800);
  await admin.call('AccessService/RevokeRoleToken', { jti, expires: 0 });
  await victim.refused('VaultService/ListVaults');
  await server.terminate();
  return { older, leaver, victim, robot, user, jti };
}

const tables = (server) => sql(server,
  "SELECT m.name AS name, group_concat(p.name) AS columns FROM sqlite_schema m JOIN " +
  "pragma_table_info(m.name) p WHERE m.type = 'table' GROUP BY m.name")
  .map(({ name, columns }) => ({ name, columns: columns.split(',') }))
  .filter(({ name, columns }) => columns.includes('seal') && UNSEALED[name] !== null);

let server;
let at;

/* The n-th column of every table at once: a start tells of every bad row. What decides is apart,
 * for with that edited nobody is served, and the rest is not looked at; grants are apart, because
 * their seal is that of the principal. */
function batches(columns) {
  const found = new Map();
  for (const one of columns) {
    const group = one.name === 'assignments' ? 'grants' : DECIDING.includes(one.name);
    const key = `${group} ${one.number}`;
    found.set(key, [...(found.get(key) ?? []), one]);
  }
  return [...found.values()];
}

/* Edits these columns in a copy and starts it. Gives those that were not told of: a start that is
 * refused early has not looked at every table. */
async function spoil(batch, counts) {
  const copy = new Copy(server);
  sql(copy, batch.map(({ name, column }) => edit(name, column)).join(''));
  const { what, log } = await copy.outcome();
  const all = batch.map(({ name, column }) => `${name}.${column}`).join(', ');
  counts.starts++;
  assert.notStrictEqual(what, 'verified', `nobody noticed: ${all}`);
  assert(what === 'refused' || !DECIDING.includes(batch[0].name),
    `served before it was noticed: ${all}`);
  const told = ({ name }) => log.includes(`table ${name},`) ||
    (batch.length === 1 && (log.includes(name) || /set of rows/.test(log)));
  const left = batch.filter((one) => !told(one));
  assert(left.length === 0 || batch.length > 1, `not named: ${all}\n${log}`);
  counts[what] += batch.length - left.length;
  copy.remove();
  return left;
}

test('tampering with the database', async (t) => {
  server = await Keyvault.start({ settings: { 'access.separation_of_duty': 'off',
    'audit.segment_bytes': 65536, 'audit.checkpoint_seconds': 1,
    /* Nobody takes mail there, so a delivery waits. */
    'smtp.host': '127.0.0.1', 'smtp.port': 1, 'smtp.tls': 'none', 'smtp.from': 'a@example.org',
    'outgoing.networks': '127.0.0.0/8' } });
  try {
    at = await fill(server);
    const sealed = tables(server);

    await t.test('the copy itself is sound', async () => {
      const copy = new Copy(server);
      assert.strictEqual((await copy.outcome()).what, 'verified');
      assert(sealed.length >= 15, 'there are fewer sealed tables than there were');
      for (const { name } of sealed) {
        const [{ n }] = sql(server, `SELECT count(*) AS n FROM "${name}"`);
        assert(n > 0, `${name} has no row to edit`);
      }
      copy.remove();
    });

    await t.test('each column of each sealed table', async () => {
      const columns = sealed.flatMap(({ name, columns: all }) =>
        all.filter((column) => !UNSEALED[name]?.includes(column))
          .map((column, number) => ({ name, column, number })));
      const counts = { starts: 0, refused: 0, alarm: 0 };
      await each(batches(columns), async (batch) => {
        for (const queue = [batch]; queue.length;) {
          const one = queue.pop();
          const left = await spoil(one, counts);
          if (left.length && left.length < one.length) queue.push(left);
          else if (left.length) queue.push(one.slice(1), one.slice(0, 1));
        }
      });
      console.log(`# ${columns.length} columns of ${sealed.length} tables:`,
        JSON.stringify(counts));
      assert.strictEqual(counts.refused + counts.alarm, columns.length);
    });

    await t.test('a row of each sealed table deleted', async () => {
      const silent = [];
      await each(sealed, async ({ name }) => {
        const copy = new Copy(server);
        sql(copy, `DELETE FROM "${name}" WHERE rowid = (SELECT max(rowid) FROM "${name}")`);
        const { what } = await copy.outcome();
        if (what === 'verified') silent.push(name);
        copy.remove();
      });
      assert.deepStrictEqual(silent, []);
    });

    await t.test('a deleted revocation revives no role token', async () => {
      const copy = new Copy(server);
      sql(copy, `DELETE FROM revocations WHERE lower(hex(jti)) = '${at.jti}'`);
      await copy.gives(async () => {
        const error = await copy.as(at.victim).refused('VaultService/ListVaults');
        assert.notStrictEqual(error.code, 'NOT_FOUND');
      });
      copy.remove();
    });

    await t.test('an assignment added by hand gives no role', async () => {
      const copy = new Copy(server);
      sql(copy, 'INSERT INTO assignments SELECT ' +
        `X'${at.robot.id}', X'${'5a'.repeat(16)}', role, scope, ends_at, created, created_by, ` +
        "generation, seal, seal_key FROM assignments WHERE role = 'access-administrator' LIMIT 1");
      await copy.gives(() => copy.as(at.robot).refused('AccessService/IssueRoleToken',
        { roles: ['ACCESS_ADMINISTRATOR'], scope: '/' }, { bearer: null }));
      copy.remove();
    });

    await t.test('sealed rows of before a grant was removed give it back to nobody', async () => {
      const copy = new Copy(server);
      const id = `X'${at.leaver.id}'`;
      // The seals of these rows are good: they are the server's own, of another day.
      sql(copy, `ATTACH '${at.older.database}' AS older;` +
        `DELETE FROM principals WHERE id = ${id};` +
        `INSERT INTO principals SELECT * FROM older.principals WHERE id = ${id};` +
        `INSERT INTO assignments SELECT * FROM older.assignments WHERE principal_id = ${id}`);
      await copy.gives(() => copy.as(at.leaver).refused('AccessService/IssueRoleToken',
        { roles: ['READER'], scope: '/' }, { bearer: null }));
      copy.remove();
    });

    await t.test('an older database is not served', async () => {
      const copy = new Copy(server);
      fs.copyFileSync(at.older.database, copy.database);
      assert.match(await copy.refuses(), /put back/);
    });

    await t.test('nor with a pending audit record that calls it the newest', async () => {
      for (const mac of ['', '00'.repeat(32)]) {
        const copy = new Copy(server);
        fs.copyFileSync(at.older.database, copy.database);
        const [{ version }] = sql(server, 'SELECT version + 1 AS version FROM store_state');
        const [{ lanes }] = sql(copy, 'SELECT hex(multiset) AS lanes FROM store_state');
        const digest = crypto.createHash('sha256').update(Buffer.from(lanes, 'hex')).digest('hex');
        const id = '77'.repeat(16);
        const record = message('keyvault.v1.AuditRecord').serialize({ time_ms: Date.now(),
          node: copy.node, request_id: Buffer.from(id, 'hex'), principal_name: 'Administrator',
          operation: 'RoleAssign' });
        sql(copy, `UPDATE store_state SET version = ${version}; INSERT INTO audit_pending ` +
          `(node, request_id, record, version, digest, mac) VALUES (X'${copy.node}', X'${id}', ` +
          `X'${record.toString('hex')}', ${version}, X'${digest}', X'${mac}')`);
        assert.match(await copy.refuses(), /not written by this server/);
      }
    });

    await t.test('an older database with its audit log is not served', async () => {
      const copy = new Copy(server);
      fs.rmSync(path.join(copy.home, 'audit'), { recursive: true });
      fs.cpSync(path.join(at.older.home, 'audit'), path.join(copy.home, 'audit'),
        { recursive: true });
      fs.copyFileSync(at.older.database, copy.database);
      await copy.refuses();
    });

    await t.test('the state of the store edited', async () => {
      await each(['version', 'multiset'], async (column) => {
        const copy = new Copy(server);
        sql(copy, edit('store_state', column));
        await copy.refuses(column);
      });
    });

    await t.test('the ranges that rows are counted by', async () => {
      const cases = [...['of_table', 'first', 'rows', 'multiset'].map((column) =>
        edit('store_ranges', column)), 'DELETE FROM store_ranges WHERE id = 1',
      'DELETE FROM store_ranges', 'INSERT INTO store_ranges (of_table, first, rows, multiset) ' +
        "VALUES ('keys', x'00', 0, zeroblob(2048))"];
      await each(cases, async (statement) => {
        const copy = new Copy(server);
        sql(copy, statement);
        await copy.refuses(statement);
      });
    });

    await t.test('the same edits while the server runs', async () => {
      const copy = new Copy(server);
      t.after(() => copy.stop());
      assert.strictEqual((await copy.outcome({ keep: true })).what, 'verified');
      const user = copy.as(at.user);
      const calls = {
        vaults: ['KeyService/GetKey', 'k'], objects: ['KeyService/GetKey', 'k'],
        key_versions: ['KeyService/GetKey', 'k'], secret_versions: ['SecretService/GetSecret', 's'],
        certificate_versions: ['CertificateService/GetCertificate', 'web'],
        policies: ['CertificateService/GetCertificatePolicy', 'web'],
        operations: ['CertificateService/GetCertificateOperation', 'web'],
      };
      const answered = [];
      for (const { name, columns } of sealed.filter((one) => calls[one.name])) {
        const [method, object] = calls[name];
        const request = { vault: 'shop', name: object };
        sql(copy, `CREATE TABLE keep AS SELECT * FROM "${name}"`);
        for (const column of columns) {
          await user.call(method, request);
          sql(copy, edit(name, column, true));
          try {
            const answer = await user.call(method, request);
            answered.push(`${name}.${column}: ${JSON.stringify(answer).slice(0, 100)}`);
          } catch (error) {
            // Where the row is not found under its key any more, it is as if it were not there.
            const fine = (error.code === 'INTERNAL' && error.reason === 'INTEGRITY') ||
              error.code === 'NOT_FOUND' || error.code === 'PERMISSION_DENIED';
            if (!fine) answered.push(`${name}.${column}: ${error.message}`);
          }
          sql(copy, `DELETE FROM "${name}"; INSERT INTO "${name}" SELECT * FROM keep`);
        }
        sql(copy, 'DROP TABLE keep');
      }
      assert(copy.log.includes('"store.integrity"'), 'no alarm in the log');
      assert.deepStrictEqual(answered, []);
    });
  } finally {
    await server.stop();
  }
});
