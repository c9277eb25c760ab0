// The end of a certificate that nothing renews: the policy's own moment, near the end, and the end,
// each as an event and as a mail; and what the key and the secret are still good for then. Beside it
// one that renews itself, which nginx serves all the time, and never past its end.
import assert from 'node:assert';
import fs from 'node:fs';
import test, { after, before } from 'node:test';
import { MailServer, smtpSettings, unquoted } from '../support/mail.mjs';
import { nap } from '../support/keyvault.mjs';
import { freePorts } from '../support/ports.mjs';
import { Pebble } from './pebble.mjs';
import { Scene, folderOf } from './scene.mjs';
import { Served } from './served.mjs';

const LIFE_S = 40;
const folder = folderOf('ends');
let pebble;
let mail;
let scene;
let served;
let events = [];

before(async () => {
  const [httpPort] = await freePorts(1);
  pebble = await Pebble.start({ folder, httpPort, validity: LIFE_S });
  mail = await new MailServer({ key: fs.readFileSync(pebble.identity.key),
    pem: fs.readFileSync(pebble.identity.certificate) }).ready;
  scene = await Scene.start({ ca: pebble.ca, httpPort, settings: smtpSettings(mail.port, pebble.ca,
    { 'notification.mail_interval_seconds': 0 }) });
  const operator = await scene.server.officer('mailer', ['VAULT_OPERATOR'], '/');
  await operator.call('ContactService/SetContacts',
    { vault: 'shop', contacts: [{ email: 'team@example.org' }] });
  await scene.setIssuer('pebble', { directory: pebble.directory, challenges: ['http-01'] });
  const app = await scene.server.principal('app',
    [['CERTIFICATE_USER', '/vaults/shop/certificates/served']]);
  await scene.create('served', 'pebble', ['served.example.test'], { percentage: 30,
    key_props: { kty: 'EC', crv: 'P256', exportable: true },
    secret_props: { content_type: 'application/x-pem-file' } });
  await scene.completed('served');
  served = await Served.start(scene.server, app, 'served');
  await scene.create('web', 'pebble', ['www.example.test'], {
    key_props: { kty: 'EC', crv: 'P256', exportable: true },
    lifetime_actions: [{ action_type: 'EMAIL_CONTACTS', trigger: { lifetime_percentage: 50 } }] });
  await scene.completed('web');
});

after(async () => {
  await served?.stop();
  await scene?.stop();
  await mail?.stop();
  await pebble?.stop();
  fs.rmSync(folder, { recursive: true, force: true });
});

const causes = () => events.filter((it) => /Expir/.test(it.type)).map((it) => it.cause);

test('each moment is an event, in order, and the end comes last', async () => {
  const until = Date.now() + (LIFE_S + 60) * 1000;
  while (!causes().includes('expired')) {
    assert(Date.now() < until, `no end: ${causes()}`);
    await nap(250);
    ({ events } = await scene.certificates.call('EventService/ListEvents',
      { vault: 'shop', collection: 'certificates', name: 'web', page_size: 1000 }));
  }
  /* Of moments that pass together the latest is told. */
  assert.match(causes().join(' '), /^policy (90-percent )?(95-percent )?expired$/);
  const over = events.find((it) => it.cause === 'expired');
  assert.strictEqual(over.type, 'Microsoft.KeyVault.CertificateExpired');
  assert.strictEqual(over.severity, 'error');
  assert(Date.now() >= over.expires * 1000, 'it was told too early');
});

test('each is a mail', async () => {
  const told = () => mail.mails.map((it) => unquoted(it.body)).join('\n');
  for (let i = 0; i < 1000 && !/has expired on/.test(told()); i++) await nap(50);
  assert.match(told(), /web \(Certificate\) expires on \d{4}-/);
  assert.match(told(), /Why: +policy/);
  assert.match(told(), /web \(Certificate\) has expired on \d{4}-/);
});

/* The first version has ended by now: it was made before the one whose end was awaited. */
test('what renews itself is served all the time, and nothing past its end', async () => {
  const looks = await served.stop();
  const shown = looks.filter((it) => it);
  const first = shown[0];
  assert(shown.at(-1).at > first.end, 'nobody looked after the end of the first version');
  assert(new Set(shown.map((it) => it.serial)).size > 1);
  for (const { serial, at, end } of shown) {
    assert(at < end, `${serial} was served ${at - end} ms past its end`);
  }
  const { events: over } = await scene.certificates.call('EventService/ListEvents',
    { vault: 'shop', collection: 'certificates', name: 'served',
      types: ['Microsoft.KeyVault.CertificateExpired'] });
  assert.deepStrictEqual(over, []);
});

/* As in Azure: what was signed or encrypted before must still be read. */
test('its key signs no more, and its certificate and secret can still be read', async () => {
  const roles = ['CRYPTO_USER', 'CERTIFICATE_USER'];
  const user = await scene.server.officer('user', roles, '/vaults/shop');
  const it = { vault: 'shop', name: 'web' };
  const error = await user.refused('KeyService/Sign',
    { ...it, algorithm: 'ES256', digest: Buffer.alloc(32, 1) });
  assert.deepStrictEqual([error.code, error.reason], ['FAILED_PRECONDITION', 'EXPIRED']);
  const { attributes } = await user.call('CertificateService/GetCertificate', it);
  assert(attributes.expires * 1000 < Date.now());
  assert((await user.call('SecretService/GetSecret', it)).value.length > 0);
});
