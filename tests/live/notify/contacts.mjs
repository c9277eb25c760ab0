// Contacts of a vault, and mail to them through a real mail server with STARTTLS and a password;
// through one that hangs, refuses, has no TLS or the wrong one, nothing goes out unprotected.
import assert from 'node:assert';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { promisify } from 'node:util';
import { Authority } from '../support/authority.mjs';
import { Keyvault, nap } from '../support/keyvault.mjs';
import { MailServer, Pretender, passwordFile, smtpSettings, unquoted } from '../support/mail.mjs';

const it = { vault: 'shop' };
const SERVICE = 'ContactService/';
const CONTACT = 'one@example.org';
const LONG_LINE = 'x'.repeat(200_000);
let folder;
let authority;
let identity;
let mail;
let server;
let operator;
let refusals = {};

before(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'keyvault-mail-'));
  authority = new Authority(path.join(folder, 'ca'));
  identity = authority.identity('localhost', {});
  identity.pem = Buffer.concat([identity.pem, authority.intermediate]);
  mail = await new MailServer(identity,
    { users: { vault: 'a secret' }, refuse: (address) => refusals[address] }).ready;
  server = await Keyvault.start({ settings: smtpSettings(mail.port, authority.at('root.pem'),
    { 'smtp.user': 'vault', 'smtp.password_file': passwordFile(path.join(folder, 'password'),
      'a secret\n') }) });
  operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  await operator.call('VaultService/CreateVault', it);
});

after(async () => {
  await server?.stop();
  await mail?.stop();
  fs.rmSync(folder, { recursive: true, force: true });
});

async function reconfigure(settings) {
  server.configure(settings);
  await server.restart();
}

test('contacts are set, shown, changed and taken away', async () => {
  assert.strictEqual((await operator.refused(`${SERVICE}GetContacts`, it)).code, 'NOT_FOUND');
  const set = await operator.call(`${SERVICE}SetContacts`, { ...it, contacts: [
    { email: 'Team@example.org', name: 'Jürgen "web" team', phone: '+49 1' },
    { email: 'ops@example.org' }] });
  assert.strictEqual(set.mode, 'MAIL_MODE_EACH');
  assert.deepStrictEqual(set.contacts.map((c) => c.email), ['Team@example.org', 'ops@example.org']);
  assert.deepStrictEqual(await operator.call(`${SERVICE}GetContacts`, it), set);
  const stale = await operator.refused(`${SERVICE}SetContacts`,
    { ...it, contacts: [{ email: 'x@example.org' }], generation: set.generation - 1 });
  assert.strictEqual(stale.code, 'ABORTED');
  const again = await operator.call(`${SERVICE}SetContacts`,
    { ...it, contacts: set.contacts, mode: 'DIGEST', generation: set.generation });
  assert.strictEqual(again.mode, 'MAIL_MODE_DIGEST');
  const kept = await operator.call(`${SERVICE}SetContacts`, { ...it, contacts: set.contacts });
  assert.strictEqual(kept.mode, 'MAIL_MODE_DIGEST');
});

test('what is no address, or would be a header, is refused', async () => {
  const bad = [['', 'email'], ['team', 'email'], ['a@example.org\r\nBcc: b@example.org', 'email'],
    ['Team <a@example.org>', 'email'], [`${'a'.repeat(65)}@example.org`, 'email'],
    ['ä@example.org', 'email']];
  for (const [email, field] of bad) {
    const error = await operator.refused(`${SERVICE}SetContacts`,
      { ...it, contacts: [{ email: 'good@example.org' }, { email }] });
    assert.strictEqual(error.code, 'INVALID_ARGUMENT');
    assert.strictEqual(error.field, `contacts[1].${field}`);
  }
  for (const contact of [{ name: 'x'.repeat(129) }, { name: 'a\nb' }, { phone: 'x'.repeat(65) }]) {
    const error = await operator.refused(`${SERVICE}SetContacts`,
      { ...it, contacts: [{ email: 'good@example.org', ...contact }] });
    assert.strictEqual(error.code, 'INVALID_ARGUMENT');
    assert.match(error.field, /^contacts(\[0\])?\.(name|phone)$/);
  }
  const twice = await operator.refused(`${SERVICE}SetContacts`,
    { ...it, contacts: [{ email: 'a@example.org' }, { email: 'A@EXAMPLE.org' }] });
  assert.match(twice.text, /twice/);
  assert.strictEqual((await operator.refused(`${SERVICE}SetContacts`, it)).field, 'contacts');
  const many = Array.from({ length: 51 }, (_, i) => ({ email: `a${i}@example.org` }));
  assert.strictEqual((await operator.refused(`${SERVICE}SetContacts`, { ...it, contacts: many }))
    .code, 'INVALID_ARGUMENT');
});

test('a mail goes out over STARTTLS, with the password, to everybody', async () => {
  const { tests } = await operator.call(`${SERVICE}TestContacts`, it);
  assert.deepStrictEqual(tests.map((t) => [t.email, t.accepted, t.details]),
    [['Team@example.org', true, ''], ['ops@example.org', true, '']]);
  assert.strictEqual(mail.mails.length, 2);
  const [first, second] = mail.mails;
  assert(first.secure && first.user === 'vault' && first.helo === 'vault.example.org');
  assert.strictEqual(first.from, 'vault@example.org');
  assert.deepStrictEqual(first.to, ['Team@example.org']);
  assert.strictEqual(first.headers.to,
    `=?utf-8?B?${Buffer.from('Jürgen "web" team').toString('base64')}?= <Team@example.org>`);
  assert.strictEqual(second.headers.to, '<ops@example.org>');
  assert.strictEqual(first.headers.from, '"Key vault" <vault@example.org>');
  assert.strictEqual(first.headers.subject, '[shop] Test mail');
  assert.strictEqual(first.headers['auto-submitted'], 'auto-generated');
  assert.match(first.headers['message-id'], /^<test\.[0-9a-f]{32}\.0@vault\.example\.org>$/);
  assert(Math.abs(Date.parse(first.headers.date) - Date.now()) < 60_000);
  assert.match(unquoted(first.body), /contact of the vault shop/);
});

test('kvctl does all of it', async () => {
  const identityFile = path.join(folder, 'operator');
  fs.writeFileSync(`${identityFile}.pem`, operator.identity.pem);
  fs.writeFileSync(`${identityFile}.key`, operator.identity.key, { mode: 0o600 });
  /* Not run(): the mail server lives in this process. */
  const kvctl = (...args) => promisify(execFile)(path.join(path.dirname(process.env.KEYVAULTD),
    '../client/kvctl'), [...args, '--endpoint',
    `127.0.0.1:${server.port}`, '--server-name', 'localhost', '--ca',
    path.join(server.home, 'tls/server.pem'), '--certificate', `${identityFile}.pem`, '--key',
    `${identityFile}.key`, '--vault', 'shop']).then(({ stdout }) => stdout);
  assert.match(await kvctl('contact', 'add', '--email', 'new@example.org', '--contact-name', 'New', '-o',
    'table'), /new@example\.org +New/);
  assert.doesNotMatch(await kvctl('contact', 'remove', '--email', 'OPS@example.org', '-o', 'json'),
    /ops@/);
  const listed = JSON.parse(await kvctl('contact', 'list', '-o', 'json'));
  assert.deepStrictEqual(listed.contacts.map((c) => c.email),
    ['Team@example.org', 'new@example.org']);
  assert.strictEqual(listed.contacts[0].name, 'Jürgen "web" team');
  assert.match(await kvctl('contact', 'test', '-o', 'table'), /new@example\.org +true/);
  await assert.rejects(kvctl('contact', 'remove', '--email', 'nobody@example.org'), { code: 3 });
  refusals = { 'new@example.org': '550 nobody here of that name' };
  await assert.rejects(kvctl('contact', 'test', '-o', 'table'), { code: 8 });
  refusals = {};
  await kvctl('contact', 'set', '--email', 'a@example.org', '--email', 'b@example.org', '--mode', 'each');
  await kvctl('contact', 'remove', '--email', 'a@example.org');
  await kvctl('contact', 'remove', '--email', 'b@example.org');
  await assert.rejects(kvctl('contact', 'list'), { code: 3 });
  await kvctl('contact', 'add', '--email', CONTACT);
});

const tried = async () => (await operator.call(`${SERVICE}TestContacts`, it)).tests[0];

const works = async () => assert.strictEqual((await tried()).details, '');

test('one contact stays for what follows', async () => {
  await operator.call(`${SERVICE}SetContacts`, { ...it, contacts: [{ email: CONTACT }] });
});

test('a refusal of the mail server is told in its words', async () => {
  refusals = { 'one@example.org': '550 no such user here' };
  assert.match((await tried()).details, /550 no such user here/);
  refusals = { 'one@example.org': '451 come back later' };
  assert.match((await tried()).details, /451 come back later/);
  refusals = {};
  await works();
});

test('a wrong password is refused, and nothing goes out', async () => {
  const before = mail.mails.length;
  passwordFile(path.join(folder, 'password'), 'another');
  await server.restart();
  assert.match((await tried()).details, /refuses the login/);
  assert.strictEqual(mail.mails.length, before);
  passwordFile(path.join(folder, 'password'), 'a secret');
});

test('without the right certificate nothing goes out, no password either', async () => {
  const other = new Authority(path.join(folder, 'other'));
  const stranger = other.identity('localhost', {});
  const elsewhere = authority.identity('mail.example.net', {});
  elsewhere.pem = Buffer.concat([elsewhere.pem, authority.intermediate]);
  for (const it of [stranger, elsewhere]) {
    const impostor = await new MailServer(it, { users: { vault: 'a secret' } }).ready;
    await reconfigure({ 'smtp.port': impostor.port });
    const told = await tried();
    assert(!told.accepted);
    assert.match(told.details, /certificate|SSL/);
    assert.strictEqual(impostor.mails.length, 0);
    await impostor.stop();
  }
});

/* What servers do that nobody should have to talk to: each ends in a clear error, in time, and no
 * password is ever in what they hear. */
const ehlo = (socket, line) => line === null ? socket.write('220 x ESMTP\r\n') :
  /^EHLO/.test(line) && socket.write('250-x\r\n250-AUTH PLAIN LOGIN\r\n250 STARTTLS\r\n');
const AWFUL = {
  'no STARTTLS': [/STARTTLS/, (socket, line) => {
    if (line === null) socket.write('220 x ESMTP\r\n');
    else socket.write('250-x\r\n250 AUTH PLAIN LOGIN\r\n');
  }],
  'drops the connection in STARTTLS': [/failed/, (socket, line) => {
    ehlo(socket, line);
    if (line === 'STARTTLS') socket.end('220 go\r\n');
  }],
  'says more before TLS': [/failed/, (socket, line) => {
    ehlo(socket, line);
    if (line === 'STARTTLS') socket.write('220 go\r\n250-x\r\n250 AUTH PLAIN\r\n235 fine\r\n');
  }],
  'refuses STARTTLS': [/STARTTLS/, (socket, line) => {
    ehlo(socket, line);
    if (line === 'STARTTLS') socket.write('454 not now\r\n');
  }],
  'lines without end': [/failed|in time/, (socket, line) => {
    if (line === null) socket.write(`220 ${LONG_LINE}`);
  }],
  'a huge greeting': [/failed|in time|STARTTLS/, (socket, line) => {
    if (line === null) for (let i = 0; i < 50; i++) socket.write(`220-${LONG_LINE}\r\n`);
  }],
  'it is none': [/failed|refuses/, (socket, line) => {
    if (line === null) socket.write('HTTP/1.1 400 Bad Request\r\n\r\n');
  }],
  'it goes at once': [/failed/, (socket) => socket.destroy()],
};

let talk = () => {};
let pretender;

test('another mail server is one setting away', async () => {
  pretender = await new Pretender((socket, line) => talk(socket, line)).ready;
  await reconfigure({ 'smtp.port': pretender.port });
});

for (const [name, [words, how]] of Object.entries(AWFUL)) {
  test(`a mail server: ${name}`, async () => {
    talk = how;
    pretender.lines = [];
    const told = await operator.call(`${SERVICE}TestContacts`, it, { deadline: 4000 })
      .then(({ tests }) => tests[0], (error) => ({ details: error.text, late: error.code }));
    assert(!told.accepted);
    if (told.late) assert.strictEqual(told.late, 'DEADLINE_EXCEEDED');
    else if (!/in time/.test(told.details)) assert.match(told.details, words);
    assert(!pretender.lines.some((line) => /AUTH|MAIL FROM|secret/i.test(line)), name);
  });
}

test('a server that hangs holds up nobody, and a stop does not wait for it', async () => {
  talk = () => {};
  const call = operator.call(`${SERVICE}TestContacts`, it).catch((error) => error);
  await nap(300);
  await operator.call('VaultService/GetVault', it);
  await server.terminate();
  assert(await call);
  await pretender.stop();
});

test('addresses are guarded as those of webhooks are', async () => {
  await reconfigure({ 'smtp.port': mail.port, 'outgoing.networks': '10.0.0.0/8' });
  assert.match((await tried()).details, /may (not )?connect/);
  await reconfigure({ 'outgoing.networks': '127.0.0.0/8, ::1' });
  await works();
});

test('TLS from the first byte', async () => {
  const implicit = await new MailServer(identity,
    { users: { vault: 'a secret' }, implicit: true }).ready;
  await reconfigure({ 'smtp.port': implicit.port, 'smtp.tls': 'implicit' });
  await works();
  assert(implicit.mails[0].secure);
  await implicit.stop();
});

test('deletion answers with what was there; purging a vault takes them along', async () => {
  const gone = await operator.call(`${SERVICE}DeleteContacts`, it);
  assert.strictEqual(gone.contacts[0].email, CONTACT);
  assert.strictEqual((await operator.refused(`${SERVICE}DeleteContacts`, it)).code, 'NOT_FOUND');
  await operator.call(`${SERVICE}SetContacts`, { ...it, contacts: gone.contacts });
  await operator.call('VaultService/DeleteVault', it);
  const purger = await server.officer('purger', ['PURGE_OFFICER'], '/');
  await purger.call('VaultService/PurgeVault', it);
  await operator.call('VaultService/CreateVault', it);
  assert.strictEqual((await operator.refused(`${SERVICE}GetContacts`, it)).code, 'NOT_FOUND');
});
