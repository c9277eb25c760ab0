// Every role calls every method, on objects that exist and would let the call succeed: it succeeds
// or is denied exactly as table.mjs says. Nobody's answer but that of GetSecret, to those who may,
// holds a byte of a private key or a secret, in any spelling.
import assert from 'node:assert';
import { X509Certificate, createPrivateKey, randomBytes } from 'node:crypto';
import test, { after, before } from 'node:test';
import path from 'node:path';
import { Authority } from '../support/authority.mjs';
import { Keyvault, encode, methods, selfSigned } from '../support/keyvault.mjs';
import { KNOWN, MAY, ROLES } from './table.mjs';

const VAULT = 'shop';
const began = Date.now();
const canary = Buffer.concat([Buffer.from('canary-'), randomBytes(24)]);
let server;
let admin;
let authority;
const help = {};
const actors = new Map();
const needles = [];
let made = 0;

const fresh = (prefix) => `${prefix}-${++made}`;
const policy = (issuer = 'Self', exportable = false) => ({ key_props: { kty: 'EC', exportable },
  x509_props: { subject: 'CN=matrix.example.org' }, issuer: { name: issuer } });

const vault = async () => {
  const name = fresh('v');
  await help.operator.call('VaultService/CreateVault', { vault: name });
  return { vault: name };
};
const deletedVault = async () => {
  const it = await vault();
  await help.operator.call('VaultService/DeleteVault', it);
  return it;
};
const key = async () => {
  const it = { vault: VAULT, name: fresh('k') };
  await help.keys.call('KeyService/CreateKey', { ...it, kty: 'EC' });
  return it;
};
const schedule = { disable_after: 'P30D', destroy_after: 'P1Y' };
const retiring = async () => {
  const it = await key();
  await help.keys.call('KeyService/UpdateKeyRotationPolicy', { ...it, policy: {
    retirement: schedule } });
  return { ...it, ...schedule };
};
const deletedKey = async () => {
  const it = await key();
  await help.keys.call('KeyService/DeleteKey', it);
  return it;
};
const secret = async () => {
  const it = { vault: VAULT, name: fresh('s') };
  await help.secrets.call('SecretService/SetSecret', { ...it, value: canary });
  return it;
};
const deletedSecret = async () => {
  const it = await secret();
  await help.secrets.call('SecretService/DeleteSecret', it);
  return it;
};
const certificate = async () => {
  const it = { vault: VAULT, name: fresh('c') };
  await help.certificates.call('CertificateService/CreateCertificate', { ...it, policy: policy() });
  return it;
};
const pending = async () => {
  const it = { vault: VAULT, name: fresh('p') };
  const operation = await help.certificates.call('CertificateService/CreateCertificate',
    { ...it, policy: policy('Unknown') });
  assert.strictEqual(operation.status, 'inProgress');
  return it;
};
const merge = async () => {
  const it = await pending();
  const { csr } = await help.certificates.call('CertificateService/GetCertificateOperation', it);
  return { ...it, x5c: [authority.sign(csr)] };
};
const brought = () => {
  const { key: pem, pem: certificate } = selfSigned(fresh('brought'));
  return Buffer.concat([pem, certificate]);
};
const deletedCertificate = async () => {
  const it = await certificate();
  await help.certificates.call('CertificateService/DeleteCertificate', it);
  return it;
};
const exportableCertificate = async () => {
  const it = { vault: VAULT, name: fresh('e') };
  await help.certificates.call('CertificateService/CreateCertificate',
    { ...it, policy: policy('Self', true) });
  return it;
};
const root = async (enabled = true) => {
  const it = { vault: VAULT, name: fresh('ca') };
  await help.issuers.call('CertificateAuthorityService/CreateCertificateAuthority',
    { ...it, type: 'ROOT', subject: `CN=${it.name}` });
  if (!enabled) {
    await help.issuers.call('CertificateAuthorityService/UpdateCertificateAuthority',
      { ...it, enabled });
  }
  return it;
};
const waiting = async () => {
  const it = { vault: VAULT, name: fresh('ca') };
  const { csr } = await help.issuers.call('CertificateAuthorityService/CreateCertificateAuthority',
    { ...it, type: 'SUBORDINATE', subject: `CN=${it.name}` });
  const pem = authority.sign(csr, { signer: 'root', extensions:
    'basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign\n' +
    'subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n' });
  return { ...it, x5c: [Buffer.concat([pem, authority.root])] };
};
const issued = async () => {
  const it = { vault: VAULT, name: fresh('c') };
  await help.certificates.call('CertificateService/CreateCertificate',
    { ...it, policy: policy('house') });
  const { cer } = await help.certificates.call('CertificateService/GetCertificate', it);
  return { ...house, serial: new X509Certificate(cer).serialNumber };
};
/* What has been backed up and purged since. */
const restored = async (noun, make, officer) => {
  const it = await make();
  const { value } = await help.backups.call(`${noun}Service/Backup${noun}`, it);
  await help[officer].call(`${noun}Service/Delete${noun}`, it);
  await help.purger.call(`${noun}Service/PurgeDeleted${noun}`, it);
  return { vault: VAULT, value };
};
/* With a purged key its token object goes, so the call gets as far as to look for it. */
const ENDS = { 'KeyService/RestoreKey': 'FAILED_PRECONDITION',
  'ContactService/TestContacts': 'FAILED_PRECONDITION',
  'EventService/WatchEvents': 'CANCELLED',
  // The issuer of these rules is Self.
  'IssuerService/RollAccountKey': 'UNIMPLEMENTED',
  'IssuerService/RevokeIssuedCertificate': 'UNIMPLEMENTED' };
/* Streams that would go on for ever. */
const HOW = {
  'EventService/WatchEvents': { onMessage: (it, call) => call.cancel() },
};
/* Everybody may ask, and is told what they may know. */
const FILTERED = ['EventService/ListEvents', 'EventService/WatchEvents'];
const principal = async (kind = 'USER') =>
  (await admin.call('AccessService/CreatePrincipal', { display_name: fresh('someone'), kind })).id;

const house = { vault: VAULT, name: 'house' };
const web = { vault: VAULT, name: 'web' };
const own = { vault: VAULT, name: 'own' };
const cipher = { vault: VAULT, name: 'cipher' };
const wrapper = { vault: VAULT, name: 'wrapper' };
const word = { vault: VAULT, name: 'word' };
const gone = { vault: VAULT, name: 'gone' };
const inVault = { vault: VAULT };
const rules = { vault: VAULT, issuer: 'Unknown' };
const everyName = { provider: 'Unknown', allowed_domains: { rules: ['*'] } };
const hello = Buffer.from('hello');
let sealed;
let wrapped;

/* What to ask so that it works: an object, or what makes one each time. */
const ASK = {
  'ServerService/GetServerStatus': {},
  'ServerService/CheckServer': {},
  'VaultService/CreateVault': () => ({ vault: fresh('new') }),
  'VaultService/GetVault': inVault,
  'VaultService/ListVaults': {},
  'VaultService/UpdateVault': { ...inVault, tags: { items: [{ name: 'a', value: 'b' }] } },
  'VaultService/DeleteVault': vault,
  'VaultService/RecoverVault': deletedVault,
  'VaultService/PurgeVault': deletedVault,
  'VaultService/ListDeletedVaults': {},
  'KeyService/CreateKey': () => ({ vault: VAULT, name: fresh('new'), kty: 'EC' }),
  'KeyService/ImportKey': () => ({ vault: VAULT, name: fresh('new'),
    key: { kty: 'OCT', k: Buffer.alloc(32, 7) } }),
  'KeyService/GetRandomBytes': { ...inVault, count: 16 },
  'KeyService/GetKey': own,
  'KeyService/ListKeys': inVault,
  'KeyService/ListKeyVersions': own,
  'KeyService/UpdateKey': { ...own, tags: { items: [{ name: 'a', value: 'b' }] } },
  'KeyService/RotateKey': key,
  'KeyService/GetKeyRotationPolicy': own,
  'KeyService/UpdateKeyRotationPolicy': async () => ({ ...await key(), policy: {
    retirement: schedule } }),
  'KeyService/PermitKeyDestruction': retiring,
  'KeyService/Sign': { ...own, algorithm: 'ES256', message: hello },
  'KeyService/Verify': { ...own, algorithm: 'ES256', message: hello, signature: Buffer.alloc(64) },
  'KeyService/Encrypt': { ...cipher, algorithm: 'A256GCM', plaintext: hello },
  'KeyService/Decrypt': () => ({ ...cipher, algorithm: 'A256GCM', ...sealed }),
  'KeyService/WrapKey': { ...wrapper, algorithm: 'A256KW', plaintext: Buffer.alloc(32) },
  'KeyService/UnwrapKey': () => ({ ...wrapper, algorithm: 'A256KW', ...wrapped }),
  'KeyService/DeleteKey': key,
  'KeyService/GetDeletedKey': gone,
  'KeyService/ListDeletedKeys': inVault,
  'KeyService/RecoverDeletedKey': deletedKey,
  'KeyService/PurgeDeletedKey': deletedKey,
  'KeyService/BackupKey': own,
  'KeyService/RestoreKey': () => restored('Key', key, 'keys'),
  'SecretService/SetSecret': () => ({ vault: VAULT, name: fresh('new'), value: hello }),
  'SecretService/GetSecret of its own': word,
  'SecretService/GetSecret of a certificate': { vault: VAULT, name: 'edge' },
  'SecretService/ListSecrets': inVault,
  'SecretService/ListSecretVersions': word,
  'SecretService/UpdateSecret': { ...word, content_type: 'text/plain' },
  'SecretService/DeleteSecret': secret,
  'SecretService/GetDeletedSecret': gone,
  'SecretService/ListDeletedSecrets': inVault,
  'SecretService/RecoverDeletedSecret': deletedSecret,
  'SecretService/PurgeDeletedSecret': deletedSecret,
  'SecretService/BackupSecret': word,
  'SecretService/RestoreSecret': () => restored('Secret', secret, 'secrets'),
  'CertificateService/CreateCertificate':
    () => ({ vault: VAULT, name: fresh('new'), policy: policy() }),
  'CertificateService/GetCertificateOperation': web,
  'CertificateService/DeleteCertificateOperation': pending,
  'CertificateService/CancelCertificateOperation': pending,
  'CertificateService/MergeCertificate': merge,
  'CertificateService/ImportCertificate': () => ({ vault: VAULT, name: fresh('brought'),
    value: brought() }),
  'CertificateService/GetCertificate': web,
  'CertificateService/ListCertificates': inVault,
  'CertificateService/ListCertificateVersions': web,
  'CertificateService/GetCertificateChain': web,
  'CertificateService/UpdateCertificate': { ...web, tags: { items: [{ name: 'a', value: 'b' }] } },
  'CertificateService/GetCertificatePolicy': web,
  'CertificateService/UpdateCertificatePolicy':
    { ...web, policy: { x509_props: { validity_months: 2 } } },
  'CertificateService/DeleteCertificate': certificate,
  'CertificateService/GetDeletedCertificate': { vault: VAULT, name: 'past' },
  'CertificateService/ListDeletedCertificates': inVault,
  'CertificateService/RecoverDeletedCertificate': deletedCertificate,
  'CertificateService/PurgeDeletedCertificate': deletedCertificate,
  'CertificateService/BackupCertificate': web,
  'CertificateService/RestoreCertificate':
    () => restored('Certificate', exportableCertificate, 'certificates'),
  'CertificateAuthorityService/CreateCertificateAuthority':
    () => ({ vault: VAULT, name: fresh('ca'), type: 'ROOT', subject: 'CN=Matrix' }),
  'CertificateAuthorityService/GetCertificateAuthority': house,
  'CertificateAuthorityService/ListCertificateAuthorities': inVault,
  'CertificateAuthorityService/ImportCertificateAuthorityCertificate': waiting,
  'CertificateAuthorityService/UpdateCertificateAuthority': { ...house, enabled: true },
  'CertificateAuthorityService/RenewCertificateAuthority': house,
  'CertificateAuthorityService/ListIssuedCertificates': house,
  'CertificateAuthorityService/GetIssuedCertificate': issued,
  'CertificateAuthorityService/DeleteCertificateAuthority': () => root(false),
  'CertificateAuthorityService/RevokeCertificate': issued,
  'CertificateAuthorityService/GetCertificateRevocationList': house,
  'IssuerService/SetIssuer': { ...inVault, issuer: 'Unknown', ...everyName },
  'IssuerService/GetIssuer': rules,
  'IssuerService/ListIssuers': inVault,
  'IssuerService/UpdateIssuer': { ...rules, trust: 'TRUST_SCOPE_PUBLIC' },
  'IssuerService/DeleteIssuer': async () => {
    const it = await vault();
    await help.issuers.call('IssuerService/SetIssuer', { ...it, issuer: 'Unknown', ...everyName });
    return { ...it, issuer: 'unknown' };
  },
  'IssuerService/CheckIssuer': rules,
  'IssuerService/RollAccountKey': rules,
  'IssuerService/RevokeIssuedCertificate': { ...rules, name: 'web' },
  'WebhookService/SetWebhook': { ...inVault, webhook: 'hook', url: 'https://localhost:1/' },
  'WebhookService/GetWebhook': { ...inVault, webhook: 'hook' },
  'WebhookService/ListWebhooks': inVault,
  'WebhookService/DeleteWebhook': async () => {
    const it = { ...await vault(), webhook: 'hook' };
    await help.operator.call('WebhookService/SetWebhook', { ...it, url: 'https://localhost:1/' });
    return it;
  },
  'WebhookService/TestWebhook': { ...inVault, webhook: 'hook' },
  'WebhookService/ListDeadLetters': inVault,
  'WebhookService/RedeliverDeadLetters': inVault,
  'RenewalService/ListInventory': inVault,
  'RenewalService/GetForecast': inVault,
  'RenewalService/RenewAll': rules,
  'ContactService/SetContacts': { ...inVault, contacts: [{ email: 'a@example.org' }] },
  'ContactService/GetContacts': inVault,
  'ContactService/DeleteContacts': async () => {
    const it = await vault();
    await help.operator.call('ContactService/SetContacts',
      { ...it, contacts: [{ email: 'a@example.org' }] });
    return it;
  },
  'ContactService/TestContacts': inVault, /* there is no mail server */
  'AccessService/WhoAmI': {},
  'AccessService/IssueRoleToken': (role) => ({ roles: [role], scope: '/' }),
  'AccessService/ListRoles': {},
  'AccessService/RevokeRoleToken': { jti: '0123456789abcdef0123456789abcdef' },
  'AccessService/RevokePrincipalTokens': async () => ({ principal_id: await principal() }),
  'AccessService/CreatePrincipal': () => ({ display_name: fresh('new'), kind: 'USER' }),
  'AccessService/GetPrincipal': () => ({ principal_id: help.keys.id }),
  'AccessService/ListPrincipals': {},
  'AccessService/UpdatePrincipal':
    async () => ({ principal_id: await principal(), display_name: 'other' }),
  'AccessService/DeletePrincipal': async () => ({ principal_id: await principal() }),
  'AccessService/AddCredential': async () => ({ principal_id: await principal('SERVICE'),
    name_type: 'URI', value: `urn:matrix:${fresh('u')}` }),
  'AccessService/AddManagementCertificate': async () => ({ principal_id: await principal(),
    certificate: selfSigned('matrix').der }),
  'AccessService/ListCredentials': () => ({ principal_id: help.keys.id }),
  'AccessService/RemoveCredential': async () => ({
    credential_id: (await server.principal(fresh('x'), [], { identity: selfSigned('x') }))
      .credential.id }),
  'AccessService/AssignRole':
    async () => ({ principal_id: await principal(), role: 'READER', scope: '/vaults/shop' }),
  'AccessService/ListAssignments': {},
  'AccessService/RemoveAssignment': async () => {
    const assignment = await admin.call('AccessService/AssignRole',
      { principal_id: await principal(), role: 'READER', scope: '/' });
    return { assignment_id: assignment.id };
  },
  'AccessService/ExplainAccess': { permission: 'keys/sign', scope: '/vaults/shop/keys/own' },
  'AccessService/WhoCan': { permission: 'keys/sign', scope: '/vaults/shop/keys/own' },
  'EventService/ListEvents': inVault,
  'EventService/WatchEvents': { ...inVault, after: 0 },
  'AuditService/SearchAudit': { from_ms: began - 1000, to_ms: began + 3600e3 },
  'AuditService/ExportAudit': {},
  'AuditService/GetAuditStatus': {},
};

const rows = Object.keys(MAY);
const methodOf = (row) => row.split(' ')[0];
const ask = async (row, role) => (typeof ASK[row] === 'function' ? ASK[row](role) : ASK[row]);

/* What is refused is still there for the next one who is to be refused. */
const refusable = new Map();
const askInVain = async (row, role) => {
  if (!refusable.has(row)) refusable.set(row, await ask(row, role));
  return refusable.get(row);
};

/* The bytes themselves, in hexadecimal, and in base64 at each of the three alignments. */
function addNeedles(name, bytes) {
  const hex = bytes.toString('hex');
  needles.push([name, bytes], [name, Buffer.from(hex)], [name, Buffer.from(hex.toUpperCase())]);
  for (let shift = 0; shift < 3; shift++) {
    const text = Buffer.concat([Buffer.alloc(shift), bytes]).toString('base64')
      .replace(/=+$/, '').slice(Math.ceil((shift * 8) / 6), -1);
    needles.push([name, Buffer.from(text)]);
    needles.push([name, Buffer.from(text.replaceAll('+', '-').replaceAll('/', '_'))]);
  }
}

function searchAnswers(caller, what) {
  for (const answer of caller.answers) {
    /* PEM breaks its lines. */
    const oneLine = Buffer.from(answer.toString('latin1').replace(/\r?\n/g, ''), 'latin1');
    for (const [name, bytes] of needles) {
      assert(!answer.includes(bytes) && !oneLine.includes(bytes), `${what} gives ${name}`);
    }
  }
}

const UNCHANGING = /Service\/(Get|CheckServer|List|Search|Export|WhoAmI|Sign|Verify|Encrypt|Decrypt|WrapKey|UnwrapKey|IssueRoleToken|Explain|WhoCan|Backup|Test)/;

/* A change is made once for its idempotency key, and answered as often as it is asked for. */
async function callTwice(caller, method, request) {
  const metadata = { 'idempotency-key': fresh('once') };
  const answer = await caller.call(method, request, { metadata });
  const again = await caller.call(method, request, { metadata });
  if (method.endsWith('/DeleteCertificateOperation')) { /* it is gone, but for its id */
    assert.deepStrictEqual(again.id, answer.id);
    return;
  }
  if (method.endsWith('/DeleteWebhook')) { /* but for its name */
    assert.strictEqual(again.webhook, answer.webhook);
    return;
  }
  if (method.endsWith('/SetWebhook')) {
    delete answer.updated;
    delete again.updated;
  }
  if (method.endsWith('/DeleteContacts')) { /* but for the vault */
    assert.strictEqual(again.vault, answer.vault);
    return;
  }
  if (method.endsWith('/DeleteIssuer')) { /* but for its name */
    assert.strictEqual(again.issuer.toLowerCase(), answer.issuer.toLowerCase());
    return;
  }
  delete answer.warnings;
  delete again.warnings;
  assert.deepStrictEqual(again, answer);
}

async function check(row, role, caller) {
  const what = `${role}: ${row}`;
  const method = methodOf(row);
  const may = MAY[row].includes(role);
  const request = await (may ? ask : askInVain)(row, role);
  try {
    if (may) {
      if (ENDS[row]) assert.strictEqual((await caller.refused(method, request, HOW[row])).code, ENDS[row]);
      else if (UNCHANGING.test(method)) await caller.call(method, request);
      else await callTwice(caller, method, request);
      if (method !== 'SecretService/GetSecret') searchAnswers(caller, what);
    } else {
      const error = await caller.refused(method, request);
      assert.deepStrictEqual([error.code, error.reason],
        ['PERMISSION_DENIED', 'PERMISSION_MISSING'], `${what}: ${error.message}`);
      searchAnswers(caller, what);
    }
  } catch (error) {
    error.message = `${what}: ${error.message}`;
    throw error;
  }
}

async function actorFor(role) {
  const actor = await server.officer(`actor-${role.toLowerCase()}`, [role], '/');
  actors.set(role, actor);
  return actor;
}

before(async () => {
  server = await Keyvault.start({ clientCa: true });
  authority = new Authority(path.join(server.folder, 'authority'));
  admin = await server.administrator();
  help.operator = await server.officer('helper-operator', ['VAULT_OPERATOR'], '/');
  help.keys = await server.officer('helper-keys', ['CRYPTO_OFFICER'], '/');
  help.secrets = await server.officer('helper-secrets', ['SECRETS_OFFICER'], '/');
  help.certificates = await server.officer('helper-certificates', ['CERTIFICATE_OFFICER'], '/');
  help.issuers = await server.officer('helper-issuers', ['ISSUER_OFFICER'], '/');
  help.backups = await server.officer('helper-backups', ['BACKUP_OPERATOR'], '/');
  help.purger = await server.officer('helper-purger', ['PURGE_OFFICER'], '/');
  help.user = await server.officer('helper-user', ['CERTIFICATE_USER', 'SECRETS_USER'], '/');
  await help.operator.call('VaultService/CreateVault', { vault: VAULT });
  await help.operator.call('VaultService/CreateVault', { vault: 'other' });
  await help.issuers.call('CertificateAuthorityService/CreateCertificateAuthority',
    { ...house, type: 'ROOT', subject: 'CN=House' });
  await help.issuers.call('IssuerService/SetIssuer', { ...rules, ...everyName });
  await help.operator.call('ContactService/SetContacts',
    { ...inVault, contacts: [{ email: 'a@example.org' }] });
  await help.keys.call('KeyService/CreateKey', { ...own, kty: 'EC' });
  await help.keys.call('KeyService/CreateKey', { ...gone, kty: 'EC' });
  await help.keys.call('KeyService/CreateKey', { ...cipher, kty: 'OCT' });
  await help.keys.call('KeyService/CreateKey',
    { ...wrapper, kty: 'OCT', key_ops: ['WRAP_KEY', 'UNWRAP_KEY'] });
  help.crypto = await server.officer('helper-crypto', ['CRYPTO_USER'], '/');
  const { ciphertext, iv, tag } = await help.crypto.call('KeyService/Encrypt',
    { ...cipher, algorithm: 'A256GCM', plaintext: hello });
  sealed = { ciphertext, iv, tag };
  wrapped = { ciphertext: (await help.crypto.call('KeyService/WrapKey',
    { ...wrapper, algorithm: 'A256KW', plaintext: Buffer.alloc(32) })).ciphertext };
  await help.keys.call('KeyService/DeleteKey', gone);
  await help.secrets.call('SecretService/SetSecret', { ...word, value: canary });
  await help.secrets.call('SecretService/SetSecret', { ...gone, value: canary });
  await help.secrets.call('SecretService/DeleteSecret', gone);
  for (const name of ['web', 'edge', 'past']) {
    await help.certificates.call('CertificateService/CreateCertificate',
      { vault: VAULT, name, policy: policy('Self', name !== 'web') });
  }

  const pem = await help.user.call('SecretService/GetSecret',
    { vault: VAULT, name: 'edge', format: 'PEM' });
  const { d } = createPrivateKey(pem.value).export({ format: 'jwk' });
  addNeedles('the private key of edge', Buffer.from(d, 'base64url'));
  const past = await help.user.call('SecretService/GetSecret',
    { vault: VAULT, name: 'past', format: 'PEM' });
  addNeedles('the private key of past', Buffer.from(
    createPrivateKey(past.value).export({ format: 'jwk' }).d, 'base64url'));
  addNeedles('the secret', canary);
  /* The search finds what it should: in the two answers that may hold them. */
  help.user.answers = [pem.value];
  assert.throws(() => searchAnswers(help.user, 'x'), /private key of edge/);
  await help.user.call('SecretService/GetSecret', word);
  assert.throws(() => searchAnswers(help.user, 'x'), /the secret/);
  await help.certificates.call('CertificateService/DeleteCertificate',
    { vault: VAULT, name: 'past' });
});

after(async () => {
  await server?.stop();
});

test('the table has a row for every method', () => {
  assert.strictEqual(methods.size, 123);
  assert.deepStrictEqual([...new Set(rows.map(methodOf))].sort(), [...methods.keys()].sort());
  assert.deepStrictEqual(Object.keys(ASK).sort(), [...rows].sort());
});

test('strict separation knows no ADMINISTRATOR; without it, they may all on the data plane',
  async () => {
    const refused = await admin.refused('AccessService/AssignRole',
      { principal_id: help.keys.id, role: 'ADMINISTRATOR', scope: '/' });
    assert(['PERMISSION_DENIED', 'FAILED_PRECONDITION', 'INVALID_ARGUMENT']
      .includes(refused.code), refused.message);
    server.configure({ 'access.separation_of_duty': 'off' });
    await server.restart();
    const actor = await actorFor('ADMINISTRATOR');
    for (const row of rows) await check(row, 'ADMINISTRATOR', actor);

    server.configure({ 'access.separation_of_duty': 'strict' });
    await server.restart();
    const error = await actor.refused('KeyService/GetKey', own);
    assert(['PERMISSION_DENIED', 'UNAUTHENTICATED'].includes(error.code), error.message);
    const again = await actor.refused('AccessService/IssueRoleToken',
      { roles: ['ADMINISTRATOR'], scope: '/' });
    assert.strictEqual(again.code, 'PERMISSION_DENIED');
  });

for (const role of ROLES.filter((it) => it !== 'ADMINISTRATOR')) {
  test(`${role} against every method`, async () => {
    const actor = await actorFor(role);
    for (const row of rows) await check(row, role, actor);
  });
}

test('without a role token only three methods answer a known certificate', async () => {
  const reader = actors.get('READER').again();
  for (const row of rows) {
    const method = methodOf(row);
    if (KNOWN.includes(method)) {
      await reader.call(method, await ask(row, 'READER'), { bearer: null });
      continue;
    }
    const request = await askInVain(row, 'READER');
    const error = await reader.refused(method, request, { bearer: null });
    assert.strictEqual(error.code, 'UNAUTHENTICATED', `${row}: ${error.message}`);
    searchAnswers(reader, row);
  }
});

for (const [name, make] of [['without a certificate', () => server.stranger()],
  ['with a certificate nobody registered', () => server.unknown()],
  ['with the name of a service, signed by nobody we know', () => {
    const caller = server.unknown();
    caller.identity = selfSigned('service');
    return caller;
  }]]) {
  test(`${name} nothing but health answers, stolen role token or not`, async () => {
    const caller = make();
    assert.strictEqual(await caller.health(), 'SERVING');
    for (const bearer of [null, actors.get('AUDITOR').bearer]) {
      for (const row of rows) {
        const error = await caller.refused(methodOf(row), await askInVain(row, 'READER'),
          { bearer });
        assert.strictEqual(error.code, 'UNAUTHENTICATED', `${row}: ${error.message}`);
        searchAnswers(caller, row);
      }
    }
  });
}

test('a role in one vault is worth nothing in another, nor on the server', async () => {
  for (const role of ROLES.filter((it) => !it.endsWith('ADMINISTRATOR'))) {
    const actor = await server.officer(`other-${role.toLowerCase()}`, [role], '/vaults/other',
      { identity: selfSigned(role) });
    for (const row of rows) {
      if (KNOWN.includes(methodOf(row)) || !MAY[row].includes(role)) continue;
      if (FILTERED.includes(row)) continue;
      if (!JSON.stringify(methods.get(methodOf(row)).requestType.type.field
        .map(({ name }) => name)).includes('"vault"')) continue;
      const error = await actor.refused(methodOf(row), await askInVain(row, role));
      assert.strictEqual(error.code, 'PERMISSION_DENIED', `${role} ${row}: ${error.message}`);
      searchAnswers(actor, row);
    }
    assert.deepStrictEqual((await actor.call('EventService/ListEvents', inVault)).events, []);
    actor.close();
  }
});

test('a grant on one certificate reaches its key and its secret, and no other', async () => {
  const app = await server.officer('one-certificate', ['CERTIFICATE_USER'],
    '/vaults/shop/certificates/edge');
  const edge = { vault: VAULT, name: 'edge' };
  await app.call('CertificateService/GetCertificate', edge);
  await app.call('KeyService/GetKey', edge);
  assert((await app.call('SecretService/GetSecret', edge)).value.length > 0);
  for (const [method, request] of [['CertificateService/GetCertificate', web],
    ['KeyService/GetKey', web], ['SecretService/GetSecret', web], ['KeyService/GetKey', own],
    ['SecretService/GetSecret', word], ['CertificateService/ListCertificates', inVault],
    ['CertificateService/GetCertificate', { vault: VAULT, x5t: Buffer.alloc(20) }],
    ['KeyService/ListKeys', inVault], ['SecretService/ListSecrets', inVault],
    ['KeyService/Sign', { ...edge, algorithm: 'ES256', message: hello }],
    ['CertificateService/GetCertificate', { vault: 'other', name: 'edge' }]]) {
    const error = await app.refused(method, request);
    assert.strictEqual(error.code, 'PERMISSION_DENIED', error.message);
    searchAnswers(app, method);
  }
});

test('an object that is not there is told only to those who may know', async () => {
  const nobody = await server.officer('nobody', ['READER'], '/vaults/other');
  const told = [];
  for (const name of ['word', 'nope']) {
    const error = await nobody.refused('SecretService/ListSecretVersions', { vault: VAULT, name });
    assert.deepStrictEqual([error.code, error.reason], ['PERMISSION_DENIED', 'PERMISSION_MISSING']);
    told.push(error.text.replace(name, '?'));
  }
  assert.strictEqual(told[0], told[1]);
});

test('neither the log nor the audit export holds a private byte', async () => {
  const auditor = actors.get('AUDITOR');
  await auditor.call('AuditService/ExportAudit', {});
  searchAnswers(auditor, 'export');
  auditor.answers = [Buffer.from(server.log)];
  searchAnswers(auditor, 'log');
  assert(encode('AuditService/ExportAudit', {}).length === 0);
});
