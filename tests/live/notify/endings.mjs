// The credential of an issuer ends: contacts and webhooks are told near the end and at it, once
// each, also by a server that slept through the moment. The test moves the server's clock.
// Environment: KV_HOST_SHIM, see resources/host.mjs.
import assert from 'node:assert';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { Hosted } from '../resources/host.mjs';
import { Authority } from '../support/authority.mjs';
import { nap } from '../support/keyvault.mjs';
import { MailServer, smtpSettings, unquoted } from '../support/mail.mjs';
import { Receiver, verified } from '../support/receiver.mjs';

const DAY = 24 * 60 * 60 * 1000;
const MAC_KEY = 'zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W';
const inVault = { vault: 'shop' };
const ends = Math.floor(Date.now() / 1000) + 20 * 86400;
let folder;
let mail;
let receiver;
let webhook;
let server;

before(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'keyvault-endings-'));
  const authority = new Authority(path.join(folder, 'ca'));
  const identity = authority.identity('localhost', {});
  identity.pem = Buffer.concat([identity.pem, authority.intermediate]);
  mail = await new MailServer(identity).ready;
  receiver = await new Receiver(identity).ready;
  server = await Hosted.start({ settings: smtpSettings(mail.port, authority.at('root.pem'),
    { 'notification.mail_interval_seconds': 0, 'notification.retry_percent': 20,
      'outgoing.ca_file': authority.at('root.pem') }) });
  const operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  await operator.call('VaultService/CreateVault', inVault);
  await operator.call('ContactService/SetContacts', { ...inVault,
    contacts: [{ email: 'team@example.org' }] });
  webhook = await operator.call('WebhookService/SetWebhook',
    { ...inVault, webhook: 'hook', url: receiver.url(), event_types: ['KeyVault.Issuer*'] });
  const issuers = await server.officer('issuers', ['ISSUER_OFFICER'], '/vaults/shop');
  const set = (issuer, expires) => issuers.call('IssuerService/SetIssuer', { ...inVault, issuer,
    provider: 'ACME', allowed_domains: { rules: ['*'] },
    credentials: { account_id: `kid-of-${issuer}`, pwd: Buffer.from(MAC_KEY), expires },
    settings: JSON.stringify({ directory: 'https://127.0.0.1:1/dir', terms_agreed: true }) });
  await set('corp', ends);
  await set('lasting', ends + 365 * 86400);
});

after(async () => {
  await server?.stop();
  await mail?.stop();
  await receiver?.stop();
  fs.rmSync(folder, { recursive: true, force: true });
});

/* A server that is not there meanwhile, and looks when it is back. */
async function afterDays(days) {
  await server.terminate();
  server.clock(days * DAY);
  await server.restart();
}

async function told(count) {
  for (const until = Date.now() + 45_000; receiver.deliveries.length < count ||
    mail.mails.length < count; await nap(50)) {
    assert(Date.now() < until, `${receiver.deliveries.length} events and ${mail.mails.length} ` +
      `mails instead of ${count}\n${server.log}`);
  }
  await nap(500);
  assert.strictEqual(receiver.deliveries.length, count);
  assert.strictEqual(mail.mails.length, count);
  assert(verified(receiver.deliveries.at(-1), webhook.public_key));
  for (const it of [receiver.deliveries.at(-1).body, mail.mails.at(-1).raw]) {
    assert(!it.includes(MAC_KEY));
  }
  return { event: receiver.deliveries.at(-1).event,
    text: `${mail.mails.at(-1).headers.subject}\n${unquoted(mail.mails.at(-1).body)}` };
}

test('near the end contacts and webhooks are told which one ends when', async () => {
  await afterDays(14);
  const { event, text } = await told(1);
  assert.strictEqual(event.type, 'KeyVault.IssuerCredentialNearExpiry');
  assert.strictEqual(event.data.Issuer, 'corp');
  assert.strictEqual(event.data.Cause, '7-days');
  assert.strictEqual(event.data.EXP, ends);
  assert.match(text, /corp/);
  assert.match(text, /an issuer whose credential ends/);
  assert.match(text, /kvctl issuer update --credential-file/);
});

test('it is told once, whoever looks', async () => {
  await afterDays(14.5);
  await nap(1500);
  await told(1);
});

test('at the end that is told too', async () => {
  await afterDays(20.5);
  const { event, text } = await told(2);
  assert.strictEqual(event.type, 'KeyVault.IssuerCredentialExpired');
  assert.strictEqual(event.data.Issuer, 'corp');
  assert.match(text, /an issuer whose credential has ended/);
});
