// Issuers of the provider LocalCA: one authority for several vaults, with the consent of those who
// run it, under their rules, and who must not.
import assert from 'node:assert';
import { X509Certificate } from 'node:crypto';
import test, { after, before } from 'node:test';
import { Keyvault } from '../support/keyvault.mjs';

const CA = 'CertificateAuthorityService/';
const ISSUER = 'IssuerService/';
let server;
let operator;
let home; /* issuer officer of the vault with the authority */
let away; /* of the vault that wants to use it */
let officer; /* orders in that vault */
let other; /* orders there too */
let made = 0;

before(async () => {
  server = await Keyvault.start();
  operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  for (const vault of ['pki', 'shop', 'third']) {
    await operator.call('VaultService/CreateVault', { vault });
  }
  home = await server.officer('home', ['ISSUER_OFFICER'], '/vaults/pki');
  away = await server.officer('away', ['ISSUER_OFFICER'], '/vaults/shop');
  officer = await server.officer('officer', ['CERTIFICATE_OFFICER'], '/vaults/shop');
  other = await server.officer('other', ['CERTIFICATE_OFFICER'], '/vaults/shop');
  await home.call(`${CA}CreateCertificateAuthority`,
    { vault: 'pki', name: 'tls', type: 'ROOT', subject: 'CN=tls' });
});

after(async () => {
  await server?.stop();
});

const issuer = (name, settings, more) => ({ vault: 'shop', issuer: name, provider: 'LocalCA',
  settings: settings && JSON.stringify(settings), allowed_domains: { rules: ['*'] }, ...more });
const update = (more) => home.call(`${CA}UpdateCertificateAuthority`,
  { vault: 'pki', name: 'tls', ...more });
const order = (name, dns = 'www.example.org', cty = '') => ({ vault: 'shop', name: `c${++made}`,
  policy: { key_props: { kty: 'EC' }, issuer: { name, cty },
    x509_props: { subject: `CN=${dns}`, sans: { dns_names: [dns] } } } });
const create = 'CertificateService/CreateCertificate';

async function issue(request, who = officer) {
  const operation = await who.call(create, request);
  assert.strictEqual(operation.status, 'completed', operation.error?.message);
  const { cer } = await who.call('CertificateService/GetCertificate',
    { vault: 'shop', name: request.name });
  return new X509Certificate(cer);
}

test('without the consent of its own people an authority is not to be named, nor found', async () => {
  for (const settings of [{ vault: 'pki', authority: 'tls' }, { vault: 'pki', authority: 'none' },
    { vault: 'none', authority: 'tls' }, { authority: 'tls' }, { vault: 'a b', authority: 'x' }]) {
    const error = await away.refused(`${ISSUER}SetIssuer`, issuer('corp', settings));
    assert.deepStrictEqual([error.code, error.field, error.text], ['INVALID_ARGUMENT', 'settings',
      'there is no such certificate authority that serves this vault']);
  }
  /* The consent is not theirs to give. */
  assert.strictEqual((await away.refused(`${CA}UpdateCertificateAuthority`,
    { vault: 'pki', name: 'tls', allow_vaults: ['shop'] })).code, 'PERMISSION_DENIED');
  assert.strictEqual((await officer.refused(create, order('tls'))).field, 'policy.issuer.name');
  const missing = await home.refused(`${CA}UpdateCertificateAuthority`,
    { vault: 'pki', name: 'tls', allow_vaults: ['shop', 'none'] });
  assert.strictEqual(missing.field, 'allow_vaults[1]');
});

test('an issuer in another vault issues from it, with one type of certificate', async () => {
  const changed = await update({ allow_vaults: ['SHOP', 'shop'] });
  assert.deepStrictEqual(changed.allowed_vaults, ['shop']);
  await away.call(`${ISSUER}SetIssuer`,
    issuer('corp', { vault: 'pki', authority: 'tls', profile: 'tls-client' }));
  const certificate = await issue(order('corp'));
  assert.strictEqual(certificate.issuer, 'CN=tls');
  assert.deepStrictEqual(certificate.keyUsage, ['1.3.6.1.5.5.7.3.2']);
  await issue(order('corp', 'www.example.org', 'TLS-client'));
  const wrong = await officer.call(create, order('corp', 'www.example.org', 'tls-server'));
  assert.deepStrictEqual([wrong.status, wrong.error.code], ['failed', 'notAllowed']);
  assert((await away.call(`${ISSUER}CheckIssuer`, { vault: 'shop', issuer: 'corp' })).accepted);
  /* The name of the authority itself is still nothing in that vault. */
  assert.strictEqual((await officer.refused(create, order('tls'))).field, 'policy.issuer.name');
  /* Those who run it revoke; those who order do not. */
  const serial = certificate.serialNumber;
  const revoke = { vault: 'pki', name: 'tls', serial };
  assert.strictEqual((await away.refused(`${CA}RevokeCertificate`, revoke)).code,
    'PERMISSION_DENIED');
  assert((await home.call(`${CA}RevokeCertificate`, revoke)).on_crl);
});

test('the rules of both sides count: those of the issuer, and the authority\'s own', async () => {
  const rules = (list, more) => ({ vault: 'pki', issuer: 'tls', provider: 'LocalCA',
    allowed_domains: { rules: list }, ...more });
  await home.call(`${ISSUER}SetIssuer`, rules(['.example.org']));
  await away.call(`${ISSUER}SetIssuer`, issuer('corp', { vault: 'pki', authority: 'tls' },
    { allowed_domains: { rules: ['.shop.example.org', '.example.com'] } }));
  await issue(order('corp', 'www.shop.example.org'));
  for (const dns of ['www.example.org', 'www.example.com']) {
    const error = await officer.refused(create, order('corp', dns));
    assert.deepStrictEqual([error.code, error.reason], ['PERMISSION_DENIED', 'ISSUER_RULES']);
  }
  const { id } = (await officer.call('AccessService/WhoAmI', {})).principal;
  await home.call(`${ISSUER}SetIssuer`, rules(['*'], { allowed_requesters: { principals: [id] } }));
  await issue(order('corp', 'www.shop.example.org'));
  assert.strictEqual((await other.refused(create, order('corp', 'www.shop.example.org'))).reason,
    'ISSUER_RULES');
  await home.call(`${ISSUER}SetIssuer`, rules(['*'], { enabled: false }));
  assert.strictEqual((await officer.refused(create, order('corp', 'www.shop.example.org'))).reason,
    'DISABLED');
  await home.call(`${ISSUER}DeleteIssuer`, { vault: 'pki', issuer: 'tls' });
  await issue(order('corp', 'www.shop.example.org'), other);
});

test('its trust decides by which rules the certificates are held', async () => {
  await away.call(`${ISSUER}SetIssuer`,
    issuer('public', { vault: 'pki', authority: 'tls', profile: 'tls-server' },
      { trust: 'PUBLIC' }));
  const request = order('public');
  request.policy.x509_props.validity_months = 12;
  assert.match((await officer.refused(create, request)).text, /validity_max/);
  request.policy.issuer.name = 'corp';
  request.policy.x509_props.sans.dns_names = ['www.shop.example.org'];
  request.policy.x509_props.subject = 'CN=www.shop.example.org';
  await issue(request);
});

test('settings that mean nothing are refused', async () => {
  const bad = [{ vault: 'pki', authority: 'tls', profile: 'everything' }, { what: 1 },
    { vault: 1 }, { authority: '' }, ['x']];
  for (const settings of bad) {
    const error = await away.refused(`${ISSUER}SetIssuer`, issuer('corp', settings));
    assert.deepStrictEqual([error.code, error.field], ['INVALID_ARGUMENT', 'settings']);
  }
  const credential = await away.refused(`${ISSUER}SetIssuer`,
    issuer('corp', { vault: 'pki', authority: 'tls' }, { credentials: { pwd: Buffer.from('9') } }));
  assert.strictEqual(credential.field, 'credentials.pwd');
  /* Under an authority's name there are its own rules, and no other authority. */
  await away.call(`${CA}CreateCertificateAuthority`,
    { vault: 'shop', name: 'own', type: 'ROOT', subject: 'CN=own' });
  assert.strictEqual((await away.refused(`${ISSUER}SetIssuer`,
    issuer('own', { vault: 'pki', authority: 'tls' }))).field, 'settings');
  assert.strictEqual((await away.refused(`${CA}CreateCertificateAuthority`,
    { vault: 'shop', name: 'corp', type: 'ROOT', subject: 'CN=corp' })).code, 'ALREADY_EXISTS');
});

test('a consent that is taken back counts at once, for a vault of that name made later too',
  async () => {
    const changed = await update({ disallow_vaults: ['Shop'] });
    assert.deepStrictEqual(changed.allowed_vaults, []);
    const error = await officer.refused(create, order('corp', 'www.shop.example.org'));
    assert.deepStrictEqual([error.code, error.reason], ['PERMISSION_DENIED', 'ISSUER_RULES']);
    const checked = await away.call(`${ISSUER}CheckIssuer`, { vault: 'shop', issuer: 'corp' });
    assert.strictEqual(checked.accepted, false);
    assert.match(checked.details, /serves this vault/);
    await server.restart();
    assert.strictEqual((await officer.refused(create, order('corp', 'a.shop.example.org'))).reason,
      'ISSUER_RULES');
    /* A purged vault takes its consent with it. */
    await update({ allow_vaults: ['third'] });
    const purge = await server.officer('purge', ['PURGE_OFFICER'], '/');
    await operator.call('VaultService/DeleteVault', { vault: 'third' });
    await purge.call('VaultService/PurgeVault', { vault: 'third' });
    await operator.call('VaultService/CreateVault', { vault: 'third' });
    const late = await server.officer('late', ['ISSUER_OFFICER'], '/vaults/third');
    assert.strictEqual((await late.refused(`${ISSUER}SetIssuer`,
      { ...issuer('corp', { vault: 'pki', authority: 'tls' }), vault: 'third' })).field,
    'settings');
  });
