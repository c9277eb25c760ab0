// What is mailed to contacts and when: once for each event, together after an outage, a request
// for a certificate with its CSR, a digest that waits, and again with the same id after a kill.
import assert from 'node:assert';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { Authority } from '../support/authority.mjs';
import { Keyvault, nap, run } from '../support/keyvault.mjs';
import { MailServer, smtpSettings, unquoted } from '../support/mail.mjs';
import { freePorts } from '../support/ports.mjs';

const inVault = { vault: 'shop' };
let folder;
let authority;
let identity;
let mail;
let server;
let operator;
let officer;

before(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'keyvault-mails-'));
  authority = new Authority(path.join(folder, 'ca'));
  identity = authority.identity('localhost', {});
  identity.pem = Buffer.concat([identity.pem, authority.intermediate]);
  const [port] = await freePorts(1); // it goes away and comes back
  mail = await new MailServer(identity, { port }).ready;
  server = await Keyvault.start({ settings: smtpSettings(mail.port, authority.at('root.pem'),
    { 'notification.mail_interval_seconds': 0, 'notification.retry_percent': 20 }) });
  operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  await operator.call('VaultService/CreateVault', inVault);
  officer = await server.officer('officer', ['CERTIFICATE_OFFICER'], '/vaults/shop');
  await operator.call('ContactService/SetContacts', { ...inVault,
    contacts: [{ email: 'team@example.org', name: 'Team' }, { email: 'boss@example.org' }] });
});

after(async () => {
  if (process.env.KV_LIVE_LOG) console.log(server.log);
  await server?.stop();
  await mail?.stop();
  fs.rmSync(folder, { recursive: true, force: true });
});

const create = (name, issuer) => officer.call('CertificateService/CreateCertificate', { ...inVault,
  name, policy: { key_props: { kty: 'EC' }, issuer: { name: issuer },
    x509_props: { subject: `CN=${name}.example.org` } } });
const to = (address) => mail.mails.filter((it) => it.to.includes(address));
const checks = async () => (await operator.call('ServerService/CheckServer', {})).checks;

/** What the server has still to send; a certificate is made after its call has returned. */
async function waiting(notices) {
  const is = (it) => it.name === 'notification' && it.what.includes(`; ${notices} notices wait`);
  let seen = await checks();
  for (let i = 0; i < 600 && !seen.some(is); i++) {
    await nap(50);
    seen = await checks();
  }
  assert(seen.some(is), JSON.stringify(seen));
}

test('what waits for a person comes with the request, to each contact once', async () => {
  await create('manual', 'Unknown');
  await mail.until(2);
  const [team] = to('team@example.org');
  assert.strictEqual(to('boss@example.org').length, 1);
  assert.strictEqual(team.headers.subject, '[shop] manual (Certificate) waits for you');
  assert.match(team.headers['content-type'], /^multipart\/mixed/);
  const [, text, attached] = team.body.split('--=_keyvault');
  assert.match(unquoted(text), /kvctl certificate pending merge --vault shop --name manual/);
  const pem = unquoted(text).match(/-----BEGIN CERTIFICATE REQUEST-----[^-]+-----END[^\n]+\n/)[0];
  const file = path.join(folder, 'csr.pem');
  fs.writeFileSync(file, pem);
  assert.match(run('openssl', ['req', '-in', file, '-noout', '-verify', '-subject']),
    /CN ?= ?manual\.example\.org/);
  assert.match(attached, /application\/pkcs10/);
  const { csr } = await officer.call('CertificateService/GetCertificateOperation',
    { ...inVault, name: 'manual' });
  assert.deepStrictEqual(
    Buffer.from(attached.slice(attached.indexOf('\r\n\r\n')).replace(/\s/g, ''), 'base64'), csr);
});

test('a renewal is mailed, what somebody has just made is not', async () => {
  const before = mail.mails.length;
  await create('web', 'Self');
  await create('web', 'Self');
  await mail.until(before + 2);
  await nap(300);
  assert.strictEqual(mail.mails.length, before + 2);
  assert.match(to('team@example.org').at(-1).headers.subject.replace(/\?=\s+=\?utf-8\?B\?/g, ''),
    /utf-8|web/);
  assert.match(unquoted(to('team@example.org').at(-1).body), /web \(Certificate\) was renewed/);
});

test('after an outage there is one mail, not a flood', async () => {
  const { port } = mail;
  await mail.stop();
  for (const name of ['web', 'web', 'web']) await create(name, 'Self');
  await waiting(6);
  mail = await new MailServer(identity, { port }).ready;
  await mail.until(2);
  await nap(500);
  const [one, ...more] = to('team@example.org');
  assert.deepStrictEqual(more, []);
  assert.strictEqual(one.headers.subject, '[shop] 3 notices');
  assert.strictEqual(unquoted(one.body).match(/- web \(Certificate\) was renewed/g).length, 3);
});

test('killed between sending and writing it down: again with the same Message-ID', async () => {
  await operator.call('ContactService/SetContacts', { ...inVault,
    contacts: [{ email: 'team@example.org' }] });
  const before = mail.mails.length;
  let killed;
  const { until } = mail;
  const taken = until.call(mail, before + 1).then(() => { killed = server.kill(); });
  await create('web', 'Self');
  await taken;
  await killed;
  await server.restart();
  for (let i = 0; i < 100 && mail.mails.length < before + 2; i++) await nap(50); // or never
  const ids = mail.mails.slice(before).map((it) => it.headers['message-id']);
  /* It was killed after the mail was taken: perhaps after that was written down, too. */
  assert.strictEqual(new Set(ids).size, 1);
});

test('in a digest what is not urgent waits; who is no contact any more gets nothing', async () => {
  await operator.call('ContactService/SetContacts', { ...inVault, mode: 'DIGEST',
    contacts: [{ email: 'daily@example.org' }] });
  await create('web', 'Self');
  await create('byhand', 'Unknown');
  for (let i = 0; i < 1000 && !to('daily@example.org').length; i++) await nap(50);
  await nap(300);
  assert.deepStrictEqual(to('daily@example.org').map((it) => it.headers.subject),
    ['[shop] byhand (Certificate) waits for you']);
  await waiting(1);
  assert((await checks()).some((it) => it.name === 'mail' && it.result === 'CHECK_RESULT_OK'));
});

test('a refusal for good is a dead letter, and the doctor says so', async () => {
  await operator.call('ContactService/SetContacts', { ...inVault, mode: 'EACH',
    contacts: [{ email: 'nobody@example.org' }] });
  mail.refuse = () => '550 no such user';
  await create('web', 'Self');
  let letters = [];
  for (let i = 0; i < 1000 && !letters.length; i++) {
    ({ dead_letters: letters } = await operator.call('WebhookService/ListDeadLetters', inVault));
    await nap(50);
  }
  assert.strictEqual(letters[0].channel, 'mail');
  assert.strictEqual(letters[0].to, 'nobody@example.org');
  assert.match(letters[0].last_error, /550 no such user/);
  assert((await checks()).some((it) => it.name === 'notification' && it.result === 'CHECK_RESULT_WARNING'));
  mail.refuse = () => null;
  await operator.call('WebhookService/RedeliverDeadLetters', inVault);
  for (let i = 0; i < 1000 && !to('nobody@example.org').length; i++) await nap(50);
  assert.strictEqual(to('nobody@example.org').length, 1);
});
