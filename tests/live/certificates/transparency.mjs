// What browsers will say to a certificate that comes from outside: judged by the log list that the
// server was given, told as a warning, or refused where the policy says so; the list changes while
// the server runs, and a broken one changes nothing.
import assert from 'node:assert';
import fs from 'node:fs';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { Authority, derOf } from '../support/authority.mjs';
import { Keyvault } from '../support/keyvault.mjs';
import { Log, logList, withTimestamps } from '../support/transparency.mjs';

const VAULT = 'shop';
const MERGE = 'CertificateService/MergeCertificate';
const logs = [new Log('Ant 2026', 'Ant'), new Log('Bee 2026', 'Bee')];
const stranger = new Log('Fox 2026', 'Fox');
let server;
let operator;
let officer;
let issuerOfficer;
let authority;
let list;
let made = 0;

before(async () => {
  server = await Keyvault.start();
  list = path.join(server.folder, 'log_list.json');
  operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  await operator.call('VaultService/CreateVault', { vault: VAULT });
  officer = await server.officer('officer', ['CERTIFICATE_OFFICER'], `/vaults/${VAULT}`);
  issuerOfficer = await server.officer('issuer', ['ISSUER_OFFICER'], `/vaults/${VAULT}`);
  authority = new Authority(path.join(server.folder, 'authority'));
});

after(() => server?.stop());

async function begin(wanted) {
  const name = `m${++made}`;
  const issuer = { name: 'Unknown' };
  if (wanted !== undefined) issuer.cert_transparency = wanted;
  const { csr } = await officer.call('CertificateService/CreateCertificate', { vault: VAULT, name,
    policy: { key_props: { kty: 'EC' }, issuer, x509_props: { subject: `CN=${name}.example.org`,
      sans: { dns_names: [`${name}.example.org`] } } } });
  return { it: { vault: VAULT, name }, leaf: authority.sign(csr) };
}

const stamped = (leaf, by) => withTimestamps(leaf, authority.intermediate,
  fs.readFileSync(authority.at('intermediate.key')), by);
const chainOf = (leaf) => [leaf, authority.intermediate, authority.root].map(derOf);
const merge = ({ it }, leaf) => officer.call(MERGE, { ...it, x5c: chainOf(leaf) });
const stateOf = async ({ it }) => {
  const { certificate_transparency: state, warnings } = await officer.call(
    'CertificateService/GetCertificateOperation', it);
  return { state: state.replace('CERTIFICATE_TRANSPARENCY_', ''), warnings };
};
const doctor = async () => (await operator.call('ServerService/CheckServer', {})).checks
  .find((one) => one.name === 'transparency logs');

test('without a list nothing is expected, and what is wanted cannot be checked', async () => {
  const plain = await begin();
  assert.deepStrictEqual((await merge(plain, plain.leaf)).warnings, []);
  assert.strictEqual((await stateOf(plain)).state, 'UNSPECIFIED');
  const wanted = await begin(true);
  const { warnings } = await merge(wanted, wanted.leaf);
  assert.strictEqual(warnings.length, 1);
  assert.match(warnings[0], /^cert_transparency: it could not be checked: this server has no list/);
  assert.deepStrictEqual(await stateOf(wanted), { state: 'UNCHECKED', warnings });
  assert.strictEqual(await doctor(), undefined);
});

test('a list comes with a reload; two logs of two operators are enough for ninety days',
  async () => {
    fs.writeFileSync(list, logList(logs));
    server.configure({ 'certificates.ct_log_list': list });
    await server.reload();
    await server.logged(/"certificates\.log_list".*"logs":2/);
    const good = await begin(true);
    const leaf = stamped(good.leaf, logs);
    assert.deepStrictEqual((await merge(good, leaf)).warnings, []);
    assert.deepStrictEqual(await stateOf(good), { state: 'SUFFICIENT', warnings: [] });
    /* Again: nothing is done, nothing is judged. */
    await merge(good, leaf);
    assert.strictEqual((await stateOf(good)).state, 'SUFFICIENT');
    assert.match((await doctor()).what, /^2 logs; the list was made 0 days ago$/);
  });

test('a policy that wants it takes no certificate without it', async () => {
  const it = await begin(true);
  const cases = {
    'has no timestamps': it.leaf,
    '1 of its 2 timestamps count, 2 are needed for 90 days; timestamp 2 is of a log that the log':
      stamped(it.leaf, [logs[0], stranger]),
    '1 of its 1 timestamps count': stamped(it.leaf, [logs[0]]),
  };
  for (const [words, leaf] of Object.entries(cases)) {
    const refusal = await officer.refused(MERGE, { ...it.it, x5c: chainOf(leaf) });
    assert.strictEqual(refusal.code, 'INVALID_ARGUMENT');
    assert.strictEqual(refusal.field, 'x5c');
    assert(refusal.text.includes('it breaks the rule cert_transparency: ') &&
      refusal.text.includes(words), refusal.text);
  }
  /* It still waits, and takes the right one. */
  assert.strictEqual((await stateOf(it)).state, 'UNSPECIFIED');
  await merge(it, stamped(it.leaf, logs));
  assert.strictEqual((await stateOf(it)).state, 'SUFFICIENT');
});

test('of a private issuer nothing is expected, of a public one it is told', async () => {
  const own = await begin();
  assert.deepStrictEqual((await merge(own, stamped(own.leaf, [stranger]))).warnings, []);
  assert.strictEqual((await stateOf(own)).state, 'UNSPECIFIED');
  await issuerOfficer.call('IssuerService/SetIssuer', { vault: VAULT, issuer: 'Unknown',
    provider: 'Unknown', trust: 'PUBLIC', allowed_domains: { rules: ['*'] } });
  const open = await begin();
  const { warnings } = await merge(open, stamped(open.leaf, [logs[0], stranger]));
  const said = warnings.filter((one) => one.startsWith('cert_transparency: '));
  assert.strictEqual(said.length, 2, warnings.join('\n'));
  assert.match(said[0], /1 of its 2 timestamps count, 2 are needed for 90 days/);
  assert.match(said[1], /timestamp 2 is of a log that the log list does not have/);
  assert.deepStrictEqual(await stateOf(open), { state: 'INSUFFICIENT', warnings });
  const good = await begin();
  const fine = await merge(good, stamped(good.leaf, logs));
  assert(!fine.warnings.some((one) => one.startsWith('cert_transparency: ')));
  assert.strictEqual((await stateOf(good)).state, 'SUFFICIENT');
});

test('a broken list changes nothing in a server that runs, and one that starts says so',
  async () => {
    fs.writeFileSync(list, '9'.repeat(1 << 20));
    await server.reload('server.reload_failed');
    await server.logged(/"server\.reload_failed".*the log list is not JSON/);
    const it = await begin(true);
    await merge(it, stamped(it.leaf, logs));
    assert.strictEqual((await stateOf(it)).state, 'SUFFICIENT');
    fs.rmSync(list);
    await server.reload('server.reload_failed');
    assert.match((await doctor()).what, /^2 logs/);
    await server.terminate();
    await assert.rejects(server.restart(), /the log list '.*' cannot be read/);
  });

test('a list of long ago is a warning of the doctor', async () => {
  fs.writeFileSync(list, logList([...logs, stranger], new Date(Date.now() - 71 * 86400e3)));
  await server.restart();
  const check = await doctor();
  assert.strictEqual(check.result, 'CHECK_RESULT_WARNING');
  assert.match(check.what, /^3 logs; the list was made 71 days ago$/);
  const it = await begin(true);
  await merge(it, stamped(it.leaf, [logs[0], stranger]));
  assert.strictEqual((await stateOf(it)).state, 'SUFFICIENT');
  fs.writeFileSync(list, logList(logs));
  await server.reload();
  const other = await begin(true);
  const refusal = await officer.refused(MERGE,
    { ...other.it, x5c: chainOf(stamped(other.leaf, [logs[0], stranger])) });
  assert.match(refusal.text, /cert_transparency/);
});
