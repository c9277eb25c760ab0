// Events: listed, and watched as they happen. Who may not read an object hears nothing of it; who
// may watch no more is told; who comes back goes on where it was.
import assert from 'node:assert';
import test, { after, before } from 'node:test';
import { Keyvault, nap } from '../support/keyvault.mjs';
import { endsWith, watch } from './watching.mjs';

const NEW = 'Microsoft.KeyVault.CertificateNewVersionCreated';
const policy = (issuer = 'Self') => ({ key_props: { kty: 'EC' },
  x509_props: { subject: 'CN=watch.example.org' }, issuer: { name: issuer } });
let server;
let admin;
let officer;
let secrets;

const make = (name) => officer.call('CertificateService/CreateCertificate',
  { vault: 'shop', name, policy: policy() });
const say = (name) => secrets.call('SecretService/SetSecret',
  { vault: 'shop', name, value: Buffer.from('hidden') });

before(async () => {
  server = await Keyvault.start({ clientCa: true,
    settings: { 'events.watches_per_principal': 5 } });
  admin = await server.administrator();
  const operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  await operator.call('VaultService/CreateVault', { vault: 'shop' });
  await operator.call('VaultService/CreateVault', { vault: 'other' });
  officer = await server.officer('officer', ['CERTIFICATE_OFFICER'], '/vaults/shop');
  secrets = await server.officer('secrets', ['SECRETS_OFFICER'], '/vaults/shop');
});

after(async () => {
  await server?.stop();
});

test('a new version is heard of at once', async () => {
  const stream = watch(officer, { vault: 'shop' });
  const first = await stream.begun;
  assert.strictEqual(first.event, null);
  const late = [];
  for (let i = 0; i < 5; i++) {
    await make('fast');
    const answered = Date.now();
    const event = await stream.next((it) => it.name === 'fast');
    late.push(event.at - answered);
    assert.strictEqual(event.type, NEW);
    assert.strictEqual(event.cause, i ? 'renewed' : 'created');
    assert.strictEqual(event.severity, 'info');
    assert.strictEqual(event.collection, 'certificates');
    assert.strictEqual(event.sha256.length, 32);
    assert(event.sequence > first.cursor);
  }
  console.log(`# told so long after the change was answered: ${late.join(', ')} ms`);
  stream.cancel();
  await endsWith(stream, 'CANCELLED');
});

test('filters: collection, name, type; a heartbeat tells how far it is', async () => {
  const reader = await server.officer('filters', ['READER'], '/vaults/shop');
  const one = watch(reader, { vault: 'shop', collection: 'certificates', name: 'NARROW' });
  const two = watch(reader, { types: ['Microsoft.KeyVault.SecretNewVersionCreated'],
    heartbeat_seconds: 1 });
  await Promise.all([one.begun, two.begun]);
  await make('wide');
  await say('slim');
  await make('narrow');
  assert.strictEqual((await one.next()).collection, 'certificates');
  assert.strictEqual((await two.next()).name, 'slim');
  const heard = two.messages.length;
  assert((await two.heartbeat(heard)).cursor >= one.events[0].sequence);
  assert.strictEqual(one.events.length, 1);
  assert.strictEqual(two.events.length, 1);
  one.cancel();
  two.cancel();
});

test('an application hears of its own certificate alone', async () => {
  const app = await server.officer('app', ['CERTIFICATE_USER'],
    '/vaults/shop/certificates/mine');
  const stranger = await server.officer('far', ['READER'], '/vaults/other');
  const mine = watch(app, { heartbeat_seconds: 1 });
  const nothing = watch(stranger, { vault: 'shop', heartbeat_seconds: 1 });
  await Promise.all([mine.begun, nothing.begun]);
  await make('yours');
  await say('hers');
  await make('mine');
  assert.strictEqual((await mine.next()).name, 'mine');
  /* Past all of it. */
  const heard = nothing.messages.length;
  await nothing.heartbeat(heard);
  assert.deepStrictEqual(nothing.events, []);
  assert.deepStrictEqual(mine.events.map((it) => it.collection), ['certificates']);
  const listed = await app.call('EventService/ListEvents', {});
  assert.deepStrictEqual([...new Set(listed.events.map((it) => it.name))], ['mine']);
  assert.deepStrictEqual((await stranger.call('EventService/ListEvents', {})).events, []);
  mine.cancel();
  nothing.cancel();
});

test('pages, and on from their end', async () => {
  const reader = await server.officer('pages', ['READER'], '/vaults/shop');
  for (let i = 0; i < 5; i++) await say('paged');
  const seen = [];
  let token = Buffer.alloc(0);
  let page;
  do {
    page = await reader.call('EventService/ListEvents', { name: 'paged', collection: 'secrets',
      page_size: 2, page_token: token });
    assert(page.events.length <= 2);
    seen.push(...page.events);
    token = page.next_page_token;
  } while (token.length);
  assert.strictEqual(seen.length, 5);
  assert.deepStrictEqual(seen.map((it) => it.sequence),
    [...seen.map((it) => it.sequence)].sort((a, b) => a - b));
  const since = await reader.call('EventService/ListEvents',
    { name: 'paged', from_ms: seen[3].time_ms });
  assert(since.events.length <= 3 && since.events.at(-1).sequence === seen[4].sequence);
  const stream = watch(reader, { after: page.cursor });
  await stream.begun;
  await say('paged');
  assert((await stream.next()).sequence > page.cursor);
  stream.cancel();
});

test('who comes back goes on where it was, over a crash and a restart', async () => {
  const reader = await server.officer('returns', ['READER'], '/vaults/shop');
  const stream = watch(reader, { vault: 'shop' });
  await stream.begun;
  await say('one');
  const { cursor } = (await stream.next(), stream.messages.at(-1));
  await say('two');
  await server.kill();
  assert.strictEqual((await stream.end).code, 'UNAVAILABLE');
  await server.restart();
  await say('three');
  const again = watch(reader, { vault: 'shop', after: cursor });
  assert.strictEqual((await again.next()).name, 'two');
  assert.strictEqual((await again.next()).name, 'three');
  /* From the very beginning. */
  const all = watch(reader, { after: 0 });
  await all.next((it) => it.name === 'fast');
  await all.next((it) => it.name === 'three');
  /* A number that was given to a change which then never happened. */
  const beyond = watch(reader, { vault: 'shop', after: Date.now() * 1000 });
  await beyond.begun;
  assert(beyond.messages[0].cursor < Date.now() * 1000);
  await say('four');
  assert.strictEqual((await beyond.next()).name, 'four');
  beyond.cancel();
  /* A proper end says so, and does not wait for who watches. */
  const before = Date.now();
  await server.restart();
  console.log(`# a restart with two streams open took ${Date.now() - before} ms`);
  assert.strictEqual((await again.end).code, 'UNAVAILABLE');
  assert.strictEqual((await all.end).code, 'UNAVAILABLE');
});

test('a revoked role token ends its streams; who lost a role hears no more', async () => {
  const revoked = await server.principal('revoked', [['READER', '/vaults/shop']]);
  const { jti } = await revoked.token(['READER'], '/vaults/shop');
  const disabled = await server.officer('disabled', ['READER'], '/vaults/shop');
  const unassigned = await server.officer('unassigned', ['READER'], '/vaults/shop');
  const streams = [revoked, disabled, unassigned].map((it) => watch(it, { vault: 'shop',
    heartbeat_seconds: 1 }));
  await Promise.all(streams.map((it) => it.begun));
  await say('before');
  await Promise.all(streams.map((it) => it.next()));
  await admin.call('AccessService/RevokeRoleToken', { jti });
  await admin.call('AccessService/UpdatePrincipal',
    { principal_id: disabled.id, enabled: false });
  await admin.call('AccessService/RemoveAssignment',
    { assignment_id: unassigned.assignments[0].id });
  await say('after');
  await endsWith(streams[0], 'UNAUTHENTICATED', 'TOKEN_REVOKED');
  await endsWith(streams[1], 'PERMISSION_DENIED', 'DISABLED');
  /* The role token lives, and is worth nothing: it hears no more. */
  await streams[2].heartbeat(streams[2].messages.length);
  streams[2].cancel();
  for (const stream of streams) {
    assert.deepStrictEqual(stream.events.map((it) => it.name), ['before']);
  }
});

test('what is asked wrongly is refused, with the field', async () => {
  for (const [request, field] of [[{ after: -1 }, 'after'], [{ after: 9e15 }, 'after'],
    [{ types: ['NoSuch'] }, 'types'], [{ collection: 'cats' }, 'collection'],
    [{ heartbeat_seconds: 301 }, 'heartbeat_seconds'], [{ vault: 'a b' }, 'vault'],
    [{ name: 'a b' }, 'name'], [{ types: Array(17).fill(NEW) }, 'types']]) {
    const error = await officer.refused('EventService/WatchEvents', request);
    assert.deepStrictEqual([error.code, error.field], ['INVALID_ARGUMENT', field],
      JSON.stringify(request));
  }
  for (const [request, field] of [[{ from_ms: -1 }, 'from_ms'], [{ from_ms: 9e15 }, 'from_ms'],
    [{ page_token: Buffer.from('x') }, 'page_token'], [{ page_size: 1001 }, 'page_size'],
    [{ types: [''] }, 'types']]) {
    const error = await officer.refused('EventService/ListEvents', request);
    assert.deepStrictEqual([error.code, error.field], ['INVALID_ARGUMENT', field],
      JSON.stringify(request));
  }
  const error = await officer.refused('EventService/WatchEvents', {}, { bearer: null });
  assert.deepStrictEqual([error.code, error.reason], ['UNAUTHENTICATED', 'TOKEN_INVALID']);
  assert.strictEqual((await server.unknown().refused('EventService/ListEvents', {})).code,
    'UNAUTHENTICATED');
});

test('a principal has so many streams and no more; one that ends makes room', async () => {
  const many = await server.officer('many', ['READER'], '/vaults/shop');
  const streams = Array.from({ length: 5 }, () => watch(many));
  await Promise.all(streams.map((it) => it.begun));
  const error = await endsWith(watch(many), 'RESOURCE_EXHAUSTED');
  assert.match(error.text, /5 streams/);
  streams[0].cancel();
  let room;
  for (let i = 0; i < 600 && !room; i++) {
    const another = watch(many);
    room = await another.begun.then(() => another, () => null);
    if (!room) await nap(100);
  }
  assert(room, 'there is no room again');
  for (const stream of [...streams, room]) stream.cancel();
});

test('who tries what they may not is told of, once an hour, to auditors alone', async () => {
  const auditor = await server.officer('listens', ['AUDITOR'], '/');
  const reader = await server.officer('curious', ['READER'], '/vaults/shop');
  const stream = watch(auditor);
  const other = watch(reader);
  await Promise.all([stream.begun, other.begun]);
  for (let i = 0; i < 3; i++) {
    await reader.refused('SecretService/GetSecret', { vault: 'shop', name: `s${i}` });
  }
  await reader.refused('KeyService/CreateKey', { vault: 'shop', name: 'k', kty: 'EC' });
  const told = [await stream.next(), await stream.next()];
  assert.deepStrictEqual(told.map((it) => [it.type, it.severity, it.vault, it.principal]),
    Array(2).fill(['KeyVault.AccessDenied', 'warning', 'shop', 'curious']));
  assert.deepStrictEqual(told.map((it) => it.operation).sort(), ['KeyCreate', 'SecretGet']);
  await say('later');
  await other.next((it) => it.name === 'later');
  assert.strictEqual(stream.events.length, 2);
  assert.strictEqual(other.events.length, 1);
  // Also by what the object is, which the operation finds out.
  const prober = await server.officer('prober', ['CERTIFICATE_USER'], '/vaults/shop');
  await prober.refused('SecretService/GetSecret', { vault: 'shop', name: 'later' });
  await prober.refused('AccessService/IssueRoleToken', { roles: ['READER'], scope: '/' });
  const more = [await stream.next(), await stream.next()];
  assert.deepStrictEqual(more.map((it) => [it.type, it.principal, it.operation]).sort(),
    [['KeyVault.AccessDenied', 'prober', 'RoleTokenIssue'],
      ['KeyVault.AccessDenied', 'prober', 'SecretGet']]);
  stream.cancel();
  other.cancel();
});

test('nothing of a secret is in an event, and each stream is in the audit log', async () => {
  const reader = await server.officer('looks', ['READER'], '/vaults/shop');
  const { events } = await reader.call('EventService/ListEvents', { page_size: 1000 });
  assert(!JSON.stringify(events).includes('hidden'));
  for (const answer of reader.answers) assert(!answer.includes('hidden'));
  const auditor = await server.officer('auditor', ['AUDITOR'], '/');
  const records = await auditor.call('AuditService/SearchAudit',
    { from_ms: Date.now() - 600e3, to_ms: Date.now() + 60e3, operation: 'EventWatch' });
  assert(records.some((it) => it.principal_name === 'revoked' && it.note === 'stream=begins'));
  assert(records.some((it) => it.principal_name === 'revoked' && it.reason === 'TOKEN_REVOKED'));
});

test('what happened in a vault that is gone is not told to who has one of its name', async () => {
  const operator = await server.officer('maker', ['VAULT_OPERATOR'], '/');
  const purger = await server.officer('purger', ['PURGE_OFFICER'], '/');
  await operator.call('VaultService/CreateVault', { vault: 'again' });
  const first = await server.officer('first', ['SECRETS_OFFICER'], '/vaults/again');
  await first.call('SecretService/SetSecret',
    { vault: 'again', name: 'old', value: Buffer.from('hidden') });
  const list = async (who) => (await who.call('EventService/ListEvents', { vault: 'again' }))
    .events.map((it) => it.name);
  assert((await list(first)).includes('old'));
  await operator.call('VaultService/DeleteVault', { vault: 'again' });
  await purger.call('VaultService/PurgeVault', { vault: 'again' });
  await operator.call('VaultService/CreateVault', { vault: 'again' });
  const second = await server.officer('second', ['SECRETS_OFFICER'], '/vaults/again');
  await second.call('SecretService/SetSecret',
    { vault: 'again', name: 'new', value: Buffer.from('hidden') });
  assert.deepStrictEqual(await list(second), ['new']);
});
