// A thousand streams at once: each hears everything, no worker is held by one, and one that does not
// read is told to come again; memory is bounded.
import assert from 'node:assert';
import fs from 'node:fs';
import http2 from 'node:http2';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { Keyvault, encode, grpc, methods, nap } from '../support/keyvault.mjs';
import { endsWith, watch } from './watching.mjs';

const CROWD = 1000;
const PER_CONNECTION = 100;
const ROUNDS = 10;
const PATIENCE_MS = 60_000;
let server;
let secrets;
let reader;

const resident = () => Number(fs.readFileSync(`/proc/${server.pid}/status`, 'utf8')
  .match(/VmRSS:\s+(\d+)/)[1]) * 1024;
const say = (name) => secrets.call('SecretService/SetSecret',
  { vault: 'shop', name, value: Buffer.from('v') });

before(async () => {
  server = await Keyvault.start({ settings: { 'events.watches_per_principal': CROWD + 5,
    'events.watches': CROWD + 1, 'events.slow_watch_ms': 4000 } });
  const operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  await operator.call('VaultService/CreateVault', { vault: 'shop' });
  secrets = await server.officer('secrets', ['SECRETS_OFFICER'], '/vaults/shop');
  reader = await server.officer('reader', ['READER'], '/vaults/shop');
});

after(async () => {
  await server?.stop();
});

test('a thousand streams hear everything, and other calls go on', async () => {
  const callers = Array.from({ length: CROWD / PER_CONNECTION }, () => {
    const caller = reader.again();
    caller.bearer = reader.bearer;
    return caller;
  });
  const small = resident();
  const streams = callers.flatMap((caller) =>
    Array.from({ length: PER_CONNECTION }, () => watch(caller, { vault: 'shop' })));
  await Promise.all(streams.map((it) => it.begun));
  const large = resident();
  const late = [];
  for (let i = 0; i < ROUNDS; i++) {
    await say(`s${i}`);
    const answered = Date.now();
    const heard = await Promise.all(streams.map((it) => it.next()));
    assert(heard.every((it) => it.name === `s${i}`));
    late.push(Math.max(...heard.map((it) => it.at)) - answered);
  }
  console.log(`# the last of ${CROWD} was told after ${late.join(', ')} ms;`,
    `${Math.round((large - small) / CROWD / 1024)} KiB a stream`);

  /* One more than there may be at all. */
  const extra = watch(reader);
  await extra.begun;
  const error = await endsWith(watch(reader), 'RESOURCE_EXHAUSTED');
  assert.match(error.text, /too many streams/);
  for (const stream of [...streams, extra]) stream.cancel();
  await Promise.all([...streams, extra].map((it) => it.end));
  for (const caller of callers) caller.close();
  /* Places are free again when that has been noticed. */
  const until = Date.now() + PATIENCE_MS;
  for (let room = null; !room; await nap(100)) {
    assert(Date.now() < until, 'there is no room again');
    const another = watch(reader);
    room = await another.begun.then(() => another, () => null);
    room?.cancel();
  }
});

/* A client that takes a few hundred bytes and then reads no more: gRPC by hand. */
function lazy(caller, request) {
  const session = http2.connect(`https://localhost:${server.port}`, {
    ca: fs.readFileSync(path.join(server.home, 'tls/server.pem')),
    key: caller.identity.key, cert: caller.identity.pem,
    settings: { initialWindowSize: 300 },
  });
  const { path: method, responseDeserialize } = methods.get('EventService/WatchEvents');
  const body = encode('EventService/WatchEvents', request);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(body.length, 1);
  const stream = session.request({ ':method': 'POST', ':path': method, te: 'trailers',
    'content-type': 'application/grpc', authorization: `Bearer ${caller.bearer}` });
  stream.end(Buffer.concat([head, body]));
  /* From now on reads to the end: the messages, and the status. */
  const read = async () => {
    const parts = [];
    let trailers = {};
    stream.on('trailers', (it) => { trailers = it; });
    for await (const part of stream) parts.push(part);
    session.close();
    const all = Buffer.concat(parts);
    const messages = [];
    for (let at = 0; at < all.length;) {
      const end = at + 5 + all.readUInt32BE(at + 1);
      messages.push(responseDeserialize(all.subarray(at + 5, end)));
      at = end;
    }
    return { messages, status: Number(trailers['grpc-status']),
      text: decodeURIComponent(trailers['grpc-message']) };
  };
  return { read, answered: new Promise((resolve) => { stream.on('response', resolve); }) };
}

test('one that does not read is told to come again, from where it was', async () => {
  const since = Date.now();
  const stream = lazy(reader, { vault: 'shop' });
  await stream.answered;
  const names = Array.from({ length: 100 }, (_, i) => `long-${'x'.repeat(100)}-${i}`);
  for (let i = 0; i < names.length; i += 20) {
    await Promise.all(names.slice(i, i + 20).map(say));
  }
  /* As long as a reader may sleep; that it was noticed is in the audit log. */
  const auditor = await server.officer('auditor', ['AUDITOR'], '/');
  const until = Date.now() + PATIENCE_MS;
  for (let ended = false; !ended; await nap(200)) {
    assert(Date.now() < until, 'a stream that is not read goes on');
    const records = await auditor.call('AuditService/SearchAudit', { from_ms: since,
      to_ms: Date.now() + 60e3, operation: 'EventWatch', succeeded: false });
    ended = records.some((it) => it.status === grpc.status.RESOURCE_EXHAUSTED);
  }
  const { messages, status, text } = await stream.read();
  assert.strictEqual(status, grpc.status.RESOURCE_EXHAUSTED, text);
  /* What was kept for it is what one stream may have unsent, and no more. */
  assert(messages.length > 1 && messages.length < 25, `${messages.length} messages were kept`);
  let cursor = messages.at(-1).cursor;
  assert.match(text, /too slowly; go on from cursor \d+$/);
  assert(Number(text.match(/\d+$/)[0]) >= cursor);
  const seen = new Set(messages.filter((it) => it.event).map((it) => it.event.name));
  const again = watch(reader, { vault: 'shop', after: cursor });
  while (seen.size < names.length) {
    const event = await again.next();
    assert(event.sequence > cursor && !seen.has(event.name));
    cursor = event.sequence;
    seen.add(event.name);
  }
  assert(names.every((it) => seen.has(it)));
  again.cancel();
});
