// interop.js - the stock gRPC client of another language against the test server.
// Usage: node interop.js <transport_server> <folder of the .proto files>
'use strict';

const assert = require('node:assert');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const readline = require('node:readline');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const [serverPath, protoFolder] = process.argv.slice(2);
const options = { keepCase: true, includeDirs: [protoFolder], defaults: true, enums: String };
const load = (...names) => loader.loadSync(names, options);
const health = grpc.loadPackageDefinition(load('grpc/health/v1/health.proto')).grpc.health.v1;
const echo = grpc.loadPackageDefinition(load('test/v1/echo.proto')).keyvault.test.v1;

const decode = (type, bytes) => load('google/rpc/status.proto', 'google/rpc/error_details.proto')[
  'google.rpc.' + type].deserialize(bytes);
const unary = (client, method, request, extra = {}) => new Promise((resolve) => {
  const call = client[method](request, extra.metadata ?? new grpc.Metadata(), extra.options ?? {},
    (error, answer) => resolve({ error, answer }));
  extra.started?.(call);
});
const soon = (ms) => ({ deadline: Date.now() + ms });
const nap = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function start() {
  const child = spawn(serverPath, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = readline.createInterface({ input: child.stdout });
  const line = (await lines[Symbol.asyncIterator]().next()).value;
  const [port, folder] = line.split(' ');
  const ended = new Promise((resolve) => child.on('exit', resolve));
  return { child, port, folder, ended };
}

function credentials(folder, certificate = 'client') {
  const read = (name) => fs.readFileSync(path.join(folder, name));
  return certificate
    ? grpc.credentials.createSsl(read('ca.pem'), read(certificate + '.key'),
      read(certificate + '.pem'))
    : grpc.credentials.createSsl(read('ca.pem'));
}

const large = { 'grpc.max_receive_message_length': 16 << 20, 'grpc.max_send_message_length': -1 };

async function main() {
  const server = await start();
  const target = `localhost:${server.port}`;
  const client = new echo.EchoService(target, credentials(server.folder), large);
  const checks = {
    async 'health says SERVING'() {
      const it = new health.Health(target, credentials(server.folder));
      const { answer } = await unary(it, 'Check', { service: '' });
      assert.strictEqual(answer.status, 'SERVING');
      const named = await unary(it, 'Check', { service: 'keyvault.test.v1.EchoService' });
      assert.strictEqual(named.answer.status, 'SERVING');
      const { error } = await unary(it, 'Check', { service: 'nobody' });
      assert.strictEqual(error.code, grpc.status.NOT_FOUND);
      it.close();
    },
    async 'health needs no certificate'() {
      const it = new health.Health(target, credentials(server.folder, null));
      const { answer } = await unary(it, 'Check', {});
      assert.strictEqual(answer.status, 'SERVING');
      it.close();
    },
    async 'an unknown caller is UNAUTHENTICATED'() {
      const it = new echo.EchoService(target, credentials(server.folder, null));
      const { error } = await unary(it, 'Echo', { payload: Buffer.from('x') });
      assert.strictEqual(error.code, grpc.status.UNAUTHENTICATED);
      it.close();
    },
    async 'unary'() {
      const { answer } = await unary(client, 'Echo', { payload: Buffer.from('hello') });
      assert.strictEqual(answer.payload.toString(), 'hello');
    },
    async 'an error keeps its words and details'() {
      const message = 'naïve 100% €\n';
      const { error } = await unary(client, 'Fail',
        { code: 3, message, field: 'policy.days', reason: 'EXPIRED', retry_ms: 1500 });
      assert.strictEqual(error.code, grpc.status.INVALID_ARGUMENT);
      assert.strictEqual(error.details, message);
      const status = decode('Status', error.metadata.get('grpc-status-details-bin')[0]);
      assert.strictEqual(status.code, 3);
      const named = Object.fromEntries(status.details.map((any) => {
        const type = any.type_url.split('google.rpc.')[1];
        return [type, decode(type, any.value)];
      }));
      assert.strictEqual(named.ErrorInfo.reason, 'EXPIRED');
      assert.strictEqual(named.ErrorInfo.domain, 'keyvault');
      assert.match(named.ErrorInfo.metadata.request_id, /^[0-9a-f]{32}$/);
      assert.strictEqual(named.BadRequest.field_violations[0].field, 'policy.days');
      assert.strictEqual(Number(named.RetryInfo.retry_delay.seconds), 1);
      assert.strictEqual(named.RetryInfo.retry_delay.nanos, 500000000);
    },
    async 'UNIMPLEMENTED'() {
      const other = new grpc.Client(target, credentials(server.folder));
      const code = await new Promise((resolve) => other.makeUnaryRequest('/no.Such/Method',
        (x) => x, (x) => x, Buffer.alloc(0), (error) => resolve(error.code)));
      assert.strictEqual(code, grpc.status.UNIMPLEMENTED);
      other.close();
    },
    async 'PERMISSION_DENIED by role token'() {
      const metadata = new grpc.Metadata();
      metadata.set('authorization', 'Bearer no role');
      const { error } = await unary(client, 'Echo', {}, { metadata });
      assert.strictEqual(error.code, grpc.status.PERMISSION_DENIED);
    },
    async 'deadline'() {
      const before = Date.now();
      const { error } = await unary(client, 'Sleep', { milliseconds: 5000 },
        { options: soon(150) });
      assert.strictEqual(error.code, grpc.status.DEADLINE_EXCEEDED);
      assert.ok(Date.now() - before < 5000); // it did not wait for the worker
    },
    async 'cancellation'() {
      const { error } = await unary(client, 'Sleep', { milliseconds: 5000 },
        { started: (call) => setTimeout(() => call.cancel(), 100) });
      assert.strictEqual(error.code, grpc.status.CANCELLED);
    },
    async 'a thousand streamed messages in order'() {
      let next = 0;
      for await (const message of client.Stream({ count: 1000, payload_bytes: 100 })) {
        assert.strictEqual(message.number, next++);
        assert.strictEqual(message.payload.length, 100);
      }
      assert.strictEqual(next, 1000);
    },
    async 'a stream that is left early'() {
      const stream = client.Stream({ count: 1000000, payload_bytes: 1000 });
      await new Promise((resolve) => stream.once('data', resolve));
      const code = new Promise((resolve) => stream.on('error', (error) => resolve(error.code)));
      stream.cancel();
      assert.strictEqual(await code, grpc.status.CANCELLED);
    },
    async '1000 calls at once'() {
      const all = await Promise.all(Array.from({ length: 1000 }, (_, i) => unary(client, 'Echo',
        { payload: Buffer.from(String(i)) })));
      all.forEach(({ error, answer }, i) => {
        assert.ifError(error);
        assert.strictEqual(answer.payload.toString(), String(i));
      });
    },
    async '20 MiB in 20 calls at once'() {
      const payload = Buffer.alloc(1 << 20, 'm');
      const all = await Promise.all(Array.from({ length: 20 }, () => unary(client, 'Echo',
        { payload })));
      all.forEach(({ error, answer }) => {
        assert.ifError(error);
        assert.ok(answer.payload.equals(payload));
      });
    },
    async 'a message that is too long'() {
      const { error } = await unary(client, 'Echo', { payload: Buffer.alloc(5 << 20) });
      assert.strictEqual(error.code, grpc.status.RESOURCE_EXHAUSTED);
    },
    async 'an answer of 7 MiB'() {
      const { error, answer } = await unary(client, 'Echo', { reply_bytes: 7 << 20 });
      assert.ifError(error);
      assert.strictEqual(answer.payload.length, 7 << 20);
    },
    async 'metadata of 20 KiB'() {
      const metadata = new grpc.Metadata();
      metadata.set('x-large', 'a'.repeat(20 << 10));
      const { error } = await unary(client, 'Echo', {}, { metadata });
      assert.strictEqual(error.code, grpc.status.RESOURCE_EXHAUSTED);
      const again = await unary(client, 'Echo', { payload: Buffer.from('x') });
      assert.ifError(again.error);
    },
    async 'compression is refused'() {
      const it = new echo.EchoService(target, credentials(server.folder),
        { 'grpc.default_compression_algorithm': 2 });
      const { error } = await unary(it, 'Echo', { payload: Buffer.alloc(1000) });
      assert.strictEqual(error.code, grpc.status.UNIMPLEMENTED);
      it.close();
    },
    async 'a watcher sees the shutdown, a call in flight its answer'() {
      const it = new health.Health(target, credentials(server.folder));
      const watch = it.Watch({});
      const seen = [];
      const left = new Promise((resolve) => watch.on('error', (error) => resolve(error.code)));
      const call = unary(client, 'Sleep', { milliseconds: 3000 });
      const begun = new Promise((resolve) => watch.on('data', (message) => {
        seen.push(message.status);
        resolve();
      }));
      await begun;
      await nap(500); // the call is there before the end begins
      server.child.stdin.end();
      assert.strictEqual(await left, grpc.status.UNAVAILABLE);
      assert.deepStrictEqual(seen, ['SERVING', 'NOT_SERVING']);
      assert.ifError((await call).error);
      it.close();
    },
  };

  let failed = 0;
  for (const [name, check] of Object.entries(checks)) {
    try {
      await check();
      console.log(`ok   ${name}`);
    } catch (error) {
      failed++;
      console.log(`FAIL ${name}: ${error.stack ?? error}`);
    }
  }
  client.close();
  server.child.stdin.end();
  const code = await server.ended;
  if (code !== 0) console.log(`FAIL the server ended with ${code}`);
  process.exit(failed || code ? 1 : 0);
}

main();
