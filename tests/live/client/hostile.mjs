// hostile.mjs - kvctl at a server that puts into every text what a terminal would obey: nothing of
// it comes out, whatever is printed and in whichever form.
import assert from 'node:assert';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { grpc, message, methods, run, selfSigned } from '../support/keyvault.mjs';

const KVCTL = path.join(path.dirname(process.env.KEYVAULTD), '../client/kvctl');
const TEXT = 'x\r\nkvctl: done\t\x1b]0;t\x07\x1b[2J\x7f\u0085\u009b1A\u061c\u200e\u2028\u202e\u2066';
/* All that steers, but for what kvctl itself writes between texts. */
const STEERS = /(?![\n\t])[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufffd]/;
const FORGED = /^kvctl: done/m;
const VALUE = Buffer.concat([Buffer.from(TEXT), Buffer.from([0xff, 0x00])]);
const DEEP = 6;
const SAMPLES = { TYPE_STRING: TEXT, TYPE_BYTES: Buffer.from(TEXT), TYPE_BOOL: true,
  TYPE_INT64: 1795220591, TYPE_UINT64: 7, TYPE_INT32: -1, TYPE_UINT32: 3 };

let folder;
let server;
let port;
let fails; // every call does
let pages; // every list has the same next one
let asked; // how often each method was called

/* A message whose every text is hostile. */
function fill(type, depth = 0) {
  const object = {};
  for (const field of type.field) {
    const inner = field.type === 'TYPE_MESSAGE' &&
      (message(field.typeName.replace(/^\./, '')) ?? message(`keyvault.v1.${field.typeName}`));
    if (inner === undefined || (inner && depth > DEEP)) continue;
    const value = inner ? fill(inner.type, depth + 1) :
      field.type === 'TYPE_ENUM' ? 1 : SAMPLES[field.type];
    assert.notStrictEqual(value, undefined, field.type);
    object[field.name] = field.label === 'LABEL_REPEATED' ? [value, value] : value;
  }
  return object;
}

/* What the client has to understand to go on is said plainly. */
const plain = {
  'AccessService/WhoAmI': (it) => ({ ...it,
    assignments: [{ ...it.assignments[0], scope: '/', expires: 0 }] }),
  'AccessService/IssueRoleToken': (it) => ({ ...it, token: 'a.b.c', expires: 4102444800 }),
  'ServerService/CheckServer': (it) => ({ ...it, time_ms: Date.now() }),
  'SecretService/GetSecret': (it) => ({ ...it, value: VALUE }),
  'CertificateService/GetCertificateOperation': (it) => ({ ...it,
    status: asked['CertificateService/GetCertificateOperation'] > 1 ? 'failed' : 'inProgress' }),
  'CertificateService/CreateCertificate': (it) => ({ ...it, status: 'inProgress' }),
};

function answer(name, definition) {
  const whole = fill(definition.responseType.type);
  if ('next_page_token' in whole && !pages) delete whole.next_page_token;
  return plain[name]?.(whole) ?? whole;
}

function failure() {
  const any = (name, value) => ({ type_url: `type.googleapis.com/${name}`,
    value: message(name).serialize(value) });
  const metadata = new grpc.Metadata();
  metadata.set('grpc-status-details-bin', message('google.rpc.Status').serialize({ code: 5,
    message: TEXT, details: [any('google.rpc.ErrorInfo', { reason: TEXT, domain: 'keyvault' }),
      any('google.rpc.BadRequest', { field_violations: [{ field: TEXT, description: TEXT }] })] }));
  return { code: grpc.status.NOT_FOUND, details: TEXT, metadata };
}

function add(name, definition) {
  const [service, method] = name.split('/');
  const count = () => { asked[name] = (asked[name] ?? 0) + 1; };
  const run_ = definition.responseStream ? (call) => {
    count();
    if (fails) {
      call.emit('error', failure());
      return;
    }
    call.write(answer(name, definition));
    call.end();
  } : (call, done) => {
    count();
    if (fails) done(failure());
    else done(null, answer(name, definition));
  };
  server.addService({ [`${service}.${method}`]: definition }, { [`${service}.${method}`]: run_ });
}

before(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'keyvault-live-'));
  run('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
    '-keyout', path.join(folder, 'server.key'), '-out', path.join(folder, 'server.pem'), '-subj',
    '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']);
  const client = selfSigned('client');
  fs.writeFileSync(path.join(folder, 'client.pem'), client.pem);
  fs.writeFileSync(path.join(folder, 'client.key'), client.key, { mode: 0o600 });
  server = new grpc.Server();
  for (const [name, definition] of methods) add(name, definition);
  port = await new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createSsl(null, [{
      private_key: fs.readFileSync(path.join(folder, 'server.key')),
      cert_chain: fs.readFileSync(path.join(folder, 'server.pem')) }]),
    (error, bound) => (error ? reject(error) : resolve(bound)));
  });
});

after(() => {
  server?.forceShutdown();
  fs.rmSync(folder, { recursive: true, force: true });
});

function kvctl(...args) {
  asked = {};
  const at = (name) => path.join(folder, name);
  const child = spawn(KVCTL, [...args, '--endpoint', `127.0.0.1:${port}`, '--server-name',
    'localhost', '--ca', at('server.pem'), '--certificate', at('client.pem'), '--key',
    at('client.key')], { stdio: ['ignore', 'pipe', 'pipe'] });
  const out = [];
  const err = [];
  child.stdout.on('data', (it) => out.push(it));
  child.stderr.on('data', (it) => err.push(it));
  return new Promise((resolve) => {
    child.on('close', (code) => resolve({ code, bytes: Buffer.concat(out),
      text: Buffer.concat(out).toString(), told: Buffer.concat(err).toString() }));
  });
}

function assertClean(text, what) {
  assert.doesNotMatch(text, STEERS, what);
  assert.doesNotMatch(text, FORGED, what);
}

/* One for each way in which kvctl prints; those that wait are told that it failed. */
const WAITS = /pending|Self$/;
const COMMANDS = [
  'server status', 'server doctor', 'vault list', 'vault show --name v',
  'key list --vault v', 'key show --vault v --name k', 'secret list --vault v',
  'secret show --vault v --name s', 'certificate list --vault v',
  'certificate create --vault v --name c --subject CN=c --issuer Self --no-wait',
  'certificate create --vault v --name c --subject CN=c --issuer Self',
  'certificate pending show --vault v --name c --wait', 'certificate inventory',
  'issuer list --vault v', 'contact list --vault v', 'webhook list --vault v', 'ca list --vault v',
  'principal list', 'role list', 'token whoami', 'token issue --role crypto-user --scope /',
  'role assign --principal 0123456789abcdef0123456789abcdef --role crypto-user --scope /',
  'role explain --permission keys/sign --scope /', 'event list', 'event watch --count 1',
  'audit search', 'audit status',
];

test('no text of an answer speaks to the terminal', async () => {
  fails = false;
  let shown = 0;
  for (const command of COMMANDS) {
    for (const form of ['table', 'tsv', 'csv']) {
      const it = await kvctl(...command.split(' '), '--output', form);
      assert.strictEqual(it.code, WAITS.test(command) ? 1 : 0, `${command}: ${it.told}`);
      if (command !== 'event watch --count 1') {
        assertClean(it.text.replaceAll('\r\n', '\n'), `${command} ${form}`);
      }
      assertClean(it.told, `${command} ${form}: what was told`);
      shown += it.text.includes('x  kvctl: done ') ? 1 : 0;
    }
  }
  assert(shown > COMMANDS.length, `${shown} answers had a text`);
});

test('JSON has it escaped, and reads as the same', async () => {
  fails = false;
  for (const command of COMMANDS) {
    const it = await kvctl(...command.split(' '), '--output', 'json');
    assert.strictEqual(it.code, WAITS.test(command) ? 1 : 0, `${command}: ${it.told}`);
    assertClean(it.text, command);
    assert(JSON.stringify(JSON.parse(it.text)).includes(JSON.stringify(TEXT)), command);
  }
});

test('warnings and progress are told without it', async () => {
  fails = false;
  const create = await kvctl('certificate', 'create', '--vault', 'v', '--name', 'c', '--subject',
    'CN=c', '--issuer', 'Self');
  assert.match(create.told, /^kvctl: x {2}kvctl: done .* is in progress: x {2}kvctl/m);
  assert.match(create.told, /^kvctl: warning: x {2}kvctl: done /m);
  assert.match(create.told, /^kvctl: the certificate was not made: x {2}kvctl: done /m);
  const token = await kvctl('token', 'issue', '--role', 'crypto-user', '--scope', '/');
  assert.match(token.told, /^kvctl: warning: x {2}kvctl: done /m);
  const doctor = await kvctl('server', 'doctor', '--output', 'table');
  assert.match(doctor.text, /^ok {7}x {2}kvctl: done .*: x {2}kvctl: done .*\n {9}-> x {2}kvctl/m);
});

test('no text of an error speaks to the terminal', async () => {
  fails = true;
  for (const command of COMMANDS) {
    const it = await kvctl(...command.split(' '));
    assert.strictEqual(it.code, 3, `${command}: ${it.told}`);
    assert.strictEqual(it.text, '');
    assertClean(it.told, command);
    assert.match(it.told, /^kvctl: x {2}kvctl: done {2}/);
    assert.match(it.told, /^ {2}field: {2}x {2}kvctl: done/m);
    assert.match(it.told, /^ {2}code: {3}NOT_FOUND \(x {2}kvctl: done/m);
  }
});

test('a value that is asked for alone is what was kept', async () => {
  fails = false;
  const name = ['--vault', 'v', '--name', 's'];
  const file = await kvctl('secret', 'download', ...name, '--file', '-');
  assert.deepStrictEqual(file.bytes, VALUE);
  const query = await kvctl('secret', 'show', ...name, '--query', 'contentType', '-o', 'tsv');
  assert.strictEqual(query.text, `${TEXT}\n`);
});

test('a list whose next page is always the same ends', async () => {
  fails = false;
  pages = true;
  for (const [command, method] of [['key list --vault v', 'KeyService/ListKeys'],
    ['certificate forecast', 'RenewalService/GetForecast'],
    ['role assign --principal bob --role reader --scope /', 'AccessService/ListPrincipals']]) {
    const it = await kvctl(...command.split(' '));
    assert.strictEqual(it.code, 1, `${command}: ${it.told}`);
    assert.strictEqual(it.text, '');
    assert.match(it.told, /same page of the list/);
    assert.strictEqual(asked[method], 2, command);
  }
  pages = false;
});
