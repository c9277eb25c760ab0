// Webhooks: the handshake, signatures by a key on the token, order, retries, dead letters, and
// endpoints that are slow, gone, lie, or lead elsewhere.
import assert from 'node:assert';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { Authority } from '../support/authority.mjs';
import { Keyvault, nap } from '../support/keyvault.mjs';
import { Receiver, verified } from '../support/receiver.mjs';

const VAULT = 'shop';
const inVault = { vault: VAULT };
const SERVICE = 'WebhookService/';
const CREATED = 'Microsoft.KeyVault.CertificateNewVersionCreated';
let folder;
let identity;
let server;
let operator;
let officer;
let made = 0;
const receivers = [];

async function receiver(options) {
  const it = await new Receiver(identity, options).ready;
  receivers.push(it);
  return it;
}

before(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'keyvault-hooks-'));
  const authority = new Authority(path.join(folder, 'ca'));
  identity = authority.identity('localhost', {});
  identity.pem = Buffer.concat([identity.pem, authority.intermediate]);
  server = await Keyvault.start({ settings: {
    'outgoing.ca_file': authority.at('root.pem'), 'outgoing.networks': '127.0.0.0/8, ::1',
    'notification.origin': 'vault.example.org', 'notification.tries': 2,
    'notification.retry_percent': 2, 'notification.webhook_threads': 4 } });
  operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  await operator.call('VaultService/CreateVault', inVault);
  officer = await server.officer('officer', ['CERTIFICATE_OFFICER'], `/vaults/${VAULT}`);
});

after(async () => {
  await server?.stop();
  for (const it of receivers) await it.stop();
  fs.rmSync(folder, { recursive: true, force: true });
});

const set = (webhook, url, more = {}) =>
  operator.call(`${SERVICE}SetWebhook`, { ...inVault, webhook, url, ...more });
const drop = (webhook) => operator.call(`${SERVICE}DeleteWebhook`, { ...inVault, webhook });
const get = (webhook) => operator.call(`${SERVICE}GetWebhook`, { ...inVault, webhook });

/* A certificate of the issuer Self; gives its name. */
async function certificate(name = `c${++made}`) {
  await officer.call('CertificateService/CreateCertificate', { ...inVault, name, policy: {
    key_props: { kty: 'EC' }, issuer: { name: 'Self' }, x509_props: { subject: `CN=${name}` } } });
  return name;
}

async function eventually(probe, ms = 60_000) {
  const end = Date.now() + ms;
  for (;;) {
    const got = await probe();
    if (got) return got;
    if (Date.now() > end) throw new Error('it did not happen');
    await nap(50);
  }
}

test('an endpoint is asked, agrees, and gets signed events', async () => {
  const it = await receiver();
  const webhook = await set('good', it.url(), { event_types: ['Microsoft.KeyVault.*'] });
  assert.strictEqual(webhook.state, 'WEBHOOK_STATE_ACTIVE');
  assert.strictEqual(it.questions.length, 1);
  assert.strictEqual(it.questions[0]['webhook-request-origin'], 'vault.example.org');
  assert.match(it.questions[0]['webhook-request-rate'], /^[1-9][0-9]*$/);
  const name = await certificate();
  const [delivery] = await it.until(1);
  assert.strictEqual(delivery.headers['content-type'],
    'application/cloudevents+json; charset=utf-8');
  assert.strictEqual(delivery.headers['webhook-request-origin'], 'vault.example.org');
  assert(verified(delivery, webhook.public_key));
  assert(!verified({ ...delivery, body: `${delivery.body} ` }, webhook.public_key));
  assert(Math.abs(Number(delivery.headers['webhook-timestamp']) - Date.now() / 1000) < 60);
  const { event } = delivery;
  assert.strictEqual(event.specversion, '1.0');
  assert.strictEqual(event.id, delivery.headers['webhook-id']);
  assert(!event.id.includes('.'));
  assert.strictEqual(event.type, CREATED);
  assert.strictEqual(event.source, '//vault.example.org/vaults/shop');
  assert.strictEqual(event.subject, name);
  assert.strictEqual(event.datacontenttype, 'application/json');
  assert(Math.abs(Date.parse(event.time) - Date.now()) < 60_000);
  assert.strictEqual(event.data.VaultName, 'shop');
  assert.strictEqual(event.data.ObjectType, 'Certificate');
  assert.strictEqual(event.data.ObjectName, name);
  assert.match(event.data.Version, /^[0-9a-f]{32}$/);
  assert.strictEqual(typeof event.data.EXP, 'number');
  assert.strictEqual(event.data.Id,
    `https://vault.example.org/vaults/shop/certificates/${name}/${event.data.Version}`);
  await drop('good');
});

test('who did not agree gets nothing', async () => {
  const refusals = [null, {}, { 'WebHook-Allowed-Origin': 'other.example.org',
    'WebHook-Allowed-Rate': '*' }, { 'WebHook-Allowed-Origin': '*' },
  { 'WebHook-Allowed-Origin': '*', 'WebHook-Allowed-Rate': '0' },
  { 'WebHook-Allowed-Origin': '*', 'WebHook-Allowed-Rate': 'many' }];
  const it = await receiver();
  for (const consent of refusals) {
    it.consent = consent;
    const webhook = await set('shy', it.url());
    assert.strictEqual(webhook.state, 'WEBHOOK_STATE_NOT_AGREED', JSON.stringify(consent));
    assert.notStrictEqual(webhook.why, '');
    assert(!(await operator.call(`${SERVICE}TestWebhook`, { ...inVault, webhook: 'shy' })).agreed);
  }
  const sure = await receiver();
  await set('sure', sure.url());
  await certificate();
  await sure.until(1);
  assert.strictEqual(it.deliveries.length, 0);
  it.consent = { 'WebHook-Allowed-Origin': 'VAULT.example.org', 'WebHook-Allowed-Rate': '120' };
  const tested = await operator.call(`${SERVICE}TestWebhook`, { ...inVault, webhook: 'shy' });
  assert.deepStrictEqual([tested.agreed, tested.taken, tested.status], [true, true, 204]);
  assert.strictEqual(it.deliveries[0].event.type, 'KeyVault.Test');
  const agreed = await get('shy');
  assert.strictEqual(agreed.state, 'WEBHOOK_STATE_ACTIVE');
  assert.strictEqual(agreed.rate, 120);
  assert(verified(it.deliveries[0], agreed.public_key));
  await drop('shy');
  await drop('sure');
});

test('who changes a webhook while its endpoint is asked is in nobody\'s way', async () => {
  const it = await receiver();
  const elsewhere = (webhook) => set(webhook, it.url('/elsewhere'), { enabled: false });
  let met = 0;
  const meanwhile = (what) => {
    it.questions = [];
    it.meanwhile = async () => {
      it.meanwhile = undefined;
      await what();
      met++;
    };
  };

  // A new one, and one that is there: asked once, and set as the call says.
  for (const what of ['new', 'known']) {
    meanwhile(() => elsewhere('busy'));
    const webhook = await set('busy', it.url('/hook'));
    assert.strictEqual(webhook.state, 'WEBHOOK_STATE_ACTIVE', what);
    assert.strictEqual(webhook.url, it.url('/hook'));
    assert.strictEqual(it.questions.length, 1, what);
  }
  // What it is to be asked with is another by then: it is asked again.
  meanwhile(() => set('busy', it.url('/hook'), { enabled: false,
    authorization: Buffer.from('Bearer other') }));
  await set('busy', it.url('/hook'));
  assert.deepStrictEqual(it.questions.map((one) => one.authorization),
    [undefined, 'Bearer other']);
  // The one that was tried is another by then: what was found out is not about that.
  meanwhile(() => elsewhere('busy'));
  const tried = await operator.call(`${SERVICE}TestWebhook`, { ...inVault, webhook: 'busy' });
  assert.deepStrictEqual([tried.agreed, tried.taken], [true, true]);
  assert.strictEqual((await get('busy')).state, 'WEBHOOK_STATE_DISABLED');
  // The same endpoint with other types: it is.
  it.consent = null;
  await set('busy', it.url('/hook'));
  it.consent = { 'WebHook-Allowed-Origin': '*', 'WebHook-Allowed-Rate': '120' };
  meanwhile(async () => {
    const { consent } = it;
    it.consent = null;
    await set('busy', it.url('/hook'), { event_types: ['KeyVault.*'] });
    it.consent = consent;
  });
  assert((await operator.call(`${SERVICE}TestWebhook`, { ...inVault, webhook: 'busy' })).agreed);
  const known = await get('busy');
  assert.deepStrictEqual([known.state, known.rate, known.event_types],
    ['WEBHOOK_STATE_ACTIVE', 120, ['KeyVault.*']]);
  // It is deleted.
  meanwhile(() => drop('busy'));
  await assert.rejects(operator.call(`${SERVICE}TestWebhook`, { ...inVault, webhook: 'busy' }),
    { code: 'NOT_FOUND' });
  const made = await set('busy', it.url('/hook'));
  meanwhile(() => drop('busy'));
  const anew = await set('busy', it.url('/hook'));
  assert.notStrictEqual(anew.public_key, made.public_key);
  assert.strictEqual(met, 7);
  await drop('busy');
});

test('types are chosen; a key belongs to one webhook and is gone with it', async () => {
  const [chosen, other] = [await receiver(), await receiver()];
  const first = await set('chosen', chosen.url(), { event_types: ['KeyVault.*'] });
  const second = await set('other', other.url());
  assert.notStrictEqual(first.public_key, second.public_key);
  const again = await set('chosen', chosen.url('/other'), { event_types: ['KeyVault.*'] });
  assert.strictEqual(again.public_key, first.public_key);
  await certificate();
  await officer.call('CertificateService/CreateCertificate', { ...inVault, name: 'manual', policy: {
    key_props: { kty: 'EC' }, issuer: { name: 'Unknown' }, x509_props: { subject: 'CN=manual' } } });
  const [needed] = await chosen.until(1);
  assert.strictEqual(needed.event.type, 'KeyVault.CertificateActionNeeded');
  assert.strictEqual(needed.path, '/other');
  await other.until(2);
  assert.strictEqual(chosen.deliveries.length, 1);
  const { webhooks } = await operator.call(`${SERVICE}ListWebhooks`, inVault);
  assert.deepStrictEqual(webhooks.map((it) => it.webhook), ['chosen', 'other']);
  await drop('chosen');
  await drop('other');
  const fresh = await set('chosen', chosen.url());
  assert.notStrictEqual(fresh.public_key, first.public_key);
  await drop('chosen');
  assert.strictEqual((await operator.refused(`${SERVICE}GetWebhook`,
    { ...inVault, webhook: 'chosen' })).code, 'NOT_FOUND');
});

test('who tried what is told to webhooks of auditors, and to no others', async () => {
  const auditor = await server.officer('auditor', ['AUDITOR'], `/vaults/${VAULT}`);
  const [theirs, ordinary] = [await receiver(), await receiver()];
  const denied = 'KeyVault.AccessDenied';
  const hook = { ...inVault, webhook: 'siem', url: theirs.url(), event_types: [denied] };
  await set('all', ordinary.url());
  await set('own', ordinary.url(), { event_types: ['KeyVault.*'] });
  const refused = async (who, method, request) => {
    const error = await who.refused(SERVICE + method, request);
    return [error.code, error.reason || error.field];
  };
  const no = ['PERMISSION_DENIED', 'PERMISSION_MISSING'];
  assert.deepStrictEqual(await refused(operator, 'SetWebhook', hook), no);
  assert.deepStrictEqual(await refused(auditor, 'SetWebhook', { ...hook, event_types: [] }), no);
  assert.deepStrictEqual(await refused(auditor, 'SetWebhook', { ...hook, webhook: 'all' }), no);
  assert.deepStrictEqual(await refused(auditor, 'SetWebhook',
    { ...hook, event_types: [denied, CREATED] }), ['INVALID_ARGUMENT', 'event_types[1]']);
  assert.deepStrictEqual(await refused(operator, 'SetWebhook',
    { ...hook, event_types: ['KeyVault.Access*'] }), ['INVALID_ARGUMENT', 'event_types[0]']);
  const webhook = await auditor.call(`${SERVICE}SetWebhook`, hook);
  assert.strictEqual(webhook.state, 'WEBHOOK_STATE_ACTIVE');
  /* Each sees and touches their own. */
  for (const [who, name] of [[operator, 'siem'], [auditor, 'all']]) {
    const request = { ...inVault, webhook: name };
    for (const method of ['GetWebhook', 'DeleteWebhook', 'TestWebhook', 'RedeliverDeadLetters']) {
      assert.deepStrictEqual(await refused(who, method, request), no, `${method} ${name}`);
    }
    assert.deepStrictEqual(await refused(who, 'SetWebhook', { ...request, url: theirs.url(),
      event_types: who === auditor ? [denied] : [] }), no);
  }
  const names = async (who) => (await who.call(`${SERVICE}ListWebhooks`, inVault))
    .webhooks.map((it) => it.webhook);
  assert.deepStrictEqual(await names(operator), ['all', 'own']);
  assert.deepStrictEqual(await names(auditor), ['siem']);
  /* The refusals above have been told too. */
  theirs.answer = (_, response, { event: { data } }) =>
    response.writeHead(data.Principal === 'curious' ? 500 : 204).end();
  const curious = await server.officer('curious', ['READER'], `/vaults/${VAULT}`);
  await curious.refused('SecretService/GetSecret', { ...inVault, name: 'salaries' });
  const mine = ({ event }) => event.data.Principal === 'curious';
  const [{ event }] = await theirs.until(1, mine);
  assert.strictEqual(event.type, denied);
  assert.deepStrictEqual([event.data.Operation, event.data.ObjectName, event.data.Severity],
    ['SecretGet', 'salaries', 'warning']);
  /* What is not taken is a dead letter of theirs. */
  const letters = async (who) => (await who.call(`${SERVICE}ListDeadLetters`, inVault))
    .dead_letters.filter((it) => it.event_type === denied);
  const letter = await eventually(async () => (await letters(auditor))
    .find((it) => mine({ event: JSON.parse(it.event) })));
  assert.deepStrictEqual(await letters(operator), []);
  assert.deepStrictEqual(await refused(operator, 'RedeliverDeadLetters',
    { ...inVault, id: letter.id }), no);
  assert.deepStrictEqual(await refused(auditor, 'RedeliverDeadLetters', inVault), no);
  theirs.answer = undefined;
  await auditor.call(`${SERVICE}RedeliverDeadLetters`, { ...inVault, id: letter.id });
  await theirs.until(3, mine);
  assert(theirs.deliveries.every((it) => it.event.type === denied));
  await certificate();
  await ordinary.until(1, (it) => it.event.type === CREATED);
  assert(ordinary.deliveries.every((it) => it.event.type !== denied));
  await auditor.call(`${SERVICE}DeleteWebhook`, { ...inVault, webhook: 'siem' });
  await drop('all');
  await drop('own');
});

test('what is no URL, type or header is refused', async () => {
  const it = await receiver();
  const bad = [['', 'url'], ['http://localhost/x', 'url'], ['https://', 'url'], ['x', 'url'],
    ['https://a:b@localhost/', 'url'], ['https://localhost/#f', 'url'],
    [`https://localhost/${'x'.repeat(2048)}`, 'url'], ['https://local host/', 'url'],
    ['ftp://localhost/', 'url'], ['https://localhost\\@evil.example/', 'url']];
  for (const [url, field] of bad) {
    const error = await operator.refused(`${SERVICE}SetWebhook`, { ...inVault, webhook: 'bad', url });
    assert.deepStrictEqual([error.code, error.field], ['INVALID_ARGUMENT', field], url);
  }
  const refused = async (more) => (await operator.refused(`${SERVICE}SetWebhook`,
    { ...inVault, webhook: 'bad', url: it.url(), ...more })).field;
  assert.strictEqual(await refused({ event_types: ['Nothing.*'] }), 'event_types[0]');
  assert.strictEqual(await refused({ event_types: [CREATED, 'x'] }), 'event_types[1]');
  assert.strictEqual(await refused({ authorization: Buffer.from('a\r\nX: y') }), 'authorization');
  assert.strictEqual(await refused({ authorization: Buffer.alloc(2049, 'x') }), 'authorization');
  assert.strictEqual(await refused({ webhook: 'a/b' }), 'webhook');
});

test('the authorization is sent, kept for that URL, and in no answer, log or database', async () => {
  const it = await receiver();
  const secret = `Bearer ${randomBytes(20).toString('hex')}`;
  const webhook = await set('secret', it.url(), { authorization: Buffer.from(secret) });
  assert(webhook.has_authorization);
  assert.strictEqual(it.questions[0].authorization, secret);
  await certificate();
  assert.strictEqual((await it.until(1))[0].headers.authorization, secret);
  assert((await set('secret', it.url(), { event_types: ['*'] })).has_authorization);
  assert(!(await set('secret', it.url('/else'))).has_authorization);
  assert(!server.log.includes(secret.slice(7)));
  for (const name of fs.readdirSync(server.home).filter((it) => /keyvault\.db/.test(it))) {
    assert(!fs.readFileSync(path.join(server.home, name)).includes(secret.slice(7)));
  }
  await drop('secret');
});

test('addresses are guarded when they are connected to, and redirects lead nowhere', async () => {
  for (const url of ['https://169.254.169.254/latest/meta-data', 'https://10.1.2.3/',
    'https://[fe80::1]/', 'https://192.168.0.1/']) {
    const webhook = await set('inside', url);
    assert.strictEqual(webhook.state, 'WEBHOOK_STATE_NOT_AGREED');
    assert.match(webhook.why, /may connect/);
  }
  const target = await receiver();
  const it = await receiver({ answer: (_, response) => {
    response.writeHead(307, { Location: target.url() }).end();
  } });
  await set('inside', it.url());
  const tested = await operator.call(`${SERVICE}TestWebhook`, { ...inVault, webhook: 'inside' });
  assert.deepStrictEqual([tested.taken, tested.status], [false, 307]);
  assert.match(tested.details, /redirects/);
  it.answer = (_, response) => {
    response.writeHead(302, { Location: 'https://169.254.169.254/' }).end();
  };
  assert(!(await operator.call(`${SERVICE}TestWebhook`, { ...inVault, webhook: 'inside' })).taken);
  assert.strictEqual(target.deliveries.length + target.questions.length, 0);
  await drop('inside');
});

test('awful answers are failures, told in words', async () => {
  const it = await receiver();
  await set('awful', it.url());
  const answers = {
    'longer than': (_, response) => {
      response.writeHead(200);
      const more = () => { while (response.write(Buffer.alloc(65536))); };
      response.on('drain', more);
      more();
    },
    'it answers 500': (_, response) => response.writeHead(500).end('x'.repeat(1000)),
    'it answers 404': (_, response) => response.writeHead(404).end(),
    failed: (request) => request.socket.destroy(),
  };
  for (const [words, answer] of Object.entries(answers)) {
    it.answer = answer;
    const tested = await operator.call(`${SERVICE}TestWebhook`, { ...inVault, webhook: 'awful' });
    assert(tested.agreed && !tested.taken);
    assert(tested.details.includes(words), tested.details);
  }
  await drop('awful');
});

test('a failure is tried again with the same id and holds back only its own certificate', async () => {
  const it = await receiver();
  const webhook = await set('moody', it.url());
  const slow = await certificate();
  await it.until(1);
  it.answer = (_, response, { event }) =>
    response.writeHead(event.subject === slow ? 503 : 204).end();
  const renew = () => officer.call('CertificateService/CreateCertificate',
    { ...inVault, name: slow, policy: { key_props: { kty: 'EC' }, issuer: { name: 'Self' },
      x509_props: { subject: `CN=${slow}` } } });
  await renew();
  await it.until(2, ({ event }) => event.subject === slow);
  await renew();
  const other = await certificate();
  await it.until(1, ({ event }) => event.subject === other);
  const tried = await it.until(3, ({ event }) => event.subject === slow);
  assert.strictEqual(tried[1].headers['webhook-id'], tried[2].headers['webhook-id']);
  /* It was tried twice: a dead letter, and the next one of this certificate has its turn. */
  const letters = await eventually(async () => {
    const { dead_letters: found } = await operator.call(`${SERVICE}ListDeadLetters`, inVault);
    return found.length && found;
  });
  assert.strictEqual(letters[0].to, 'moody');
  assert.strictEqual(letters[0].attempts, 2);
  assert.strictEqual(letters[0].last_status, 503);
  assert.match(letters[0].last_error, /503/);
  assert.strictEqual(JSON.parse(letters[0].event).id, tried[1].headers['webhook-id']);
  it.answer = undefined;
  const third = await it.until(1, ({ event, headers }) => event.subject === slow &&
    headers['webhook-id'] !== tried[0].headers['webhook-id'] &&
    headers['webhook-id'] !== tried[1].headers['webhook-id']);
  assert(third[0].event.id > tried[1].event.id);
  const before = it.deliveries.length;
  const again = await operator.call(`${SERVICE}RedeliverDeadLetters`,
    { ...inVault, id: letters[0].id });
  assert.deepStrictEqual([again.count, again.more], [1, false]);
  await eventually(() => it.deliveries.length > before);
  const [redelivered] = await it.until(1, ({ headers }) =>
    headers['webhook-id'] === tried[1].headers['webhook-id'] &&
    it.deliveries.findIndex((d) => d.headers === headers) >= before);
  assert(verified(redelivered, webhook.public_key));
  assert.strictEqual((await operator.refused(`${SERVICE}RedeliverDeadLetters`,
    { ...inVault, id: letters[0].id })).code, 'NOT_FOUND');
  await eventually(async () => (await get('moody')).failing_since === 0);
  await drop('moody');
});

test('endpoints that hang hold up no other', async () => {
  const hung = [];
  for (let i = 0; i < 3; i++) {
    const it = await receiver({ answer: () => {} });
    hung.push(it);
    await set(`hangs${i}`, it.url());
  }
  const quick = await receiver();
  await set('quick', quick.url());
  await certificate();
  await quick.until(1);
  for (let i = 0; i < 3; i++) await certificate();
  await quick.until(4);
  /* At most the first one, and that again: the others wait for it. */
  assert(hung.every((it) => new Set(it.deliveries.map((one) => one.headers['webhook-id'])).size <= 1));
  for (let i = 0; i < 3; i++) await drop(`hangs${i}`);
  await drop('quick');
  for (const it of hung) await it.stop();
});

test('410: nothing more, until it is set again', async () => {
  const it = await receiver({ answer: (_, response) => response.writeHead(410).end() });
  await set('gone', it.url());
  await certificate();
  await it.until(1);
  await eventually(async () => (await get('gone')).state === 'WEBHOOK_STATE_STOPPED');
  assert.match((await get('gone')).why, /410/);
  await certificate();
  const watcher = await receiver();
  await set('watcher', watcher.url());
  await certificate();
  await watcher.until(1);
  assert.strictEqual(it.deliveries.length, 1);
  it.answer = undefined;
  await set('gone', it.url());
  assert.strictEqual((await it.until(2))[1].event.id, it.deliveries[0].event.id);
  await drop('gone');
  await drop('watcher');
});

test('killed between sending and writing it down: sent again with the same id', async () => {
  const it = await receiver();
  let killed;
  const webhook = await set('killed', it.url());
  it.answer = (_, response) => {
    killed ??= server.kill();
    killed.then(() => response.destroy());
  };
  await certificate();
  const [first] = await it.until(1);
  await killed;
  it.answer = undefined;
  await server.restart();
  const [, second] = await it.until(2);
  assert.strictEqual(second.headers['webhook-id'], first.headers['webhook-id']);
  assert.strictEqual(second.body, first.body);
  assert(verified(second, webhook.public_key));
  await eventually(async () => {
    const checks = await operator.call('ServerService/CheckServer', {});
    return checks.checks.some((c) => c.name === 'notification' && /; 0 notices/.test(c.what));
  });
  await drop('killed');
});

test('a disabled one gets nothing; there are at most 20; a purge takes all', async () => {
  const it = await receiver();
  assert.strictEqual((await set('off', it.url(), { enabled: false })).state,
    'WEBHOOK_STATE_DISABLED');
  assert.strictEqual(it.questions.length, 0);
  for (let i = 1; i < 20; i++) await set(`many${i}`, it.url(), { enabled: false });
  assert.strictEqual((await operator.refused(`${SERVICE}SetWebhook`,
    { ...inVault, webhook: 'more', url: it.url() })).reason, 'LIMIT_REACHED');
  await operator.call('VaultService/DeleteVault', inVault);
  const purger = await server.officer('purger', ['PURGE_OFFICER'], '/');
  await purger.call('VaultService/PurgeVault', inVault);
  await operator.call('VaultService/CreateVault', inVault);
  assert.deepStrictEqual((await operator.call(`${SERVICE}ListWebhooks`, inVault)).webhooks, []);
  const doctor = await operator.call('ServerService/CheckServer', {});
  assert(!doctor.checks.some((c) => c.name === 'keys' && c.result !== 'CHECK_RESULT_OK'),
    JSON.stringify(doctor.checks));
});
