// Certificates from Debian's Pebble through the real server, each name proved over http-01 by the
// server itself: ordered while a quarter of the nonces is refused, renewed by the schedule, fetched by
// the chain that was asked for, refused for good.
import assert from 'node:assert';
import fs from 'node:fs';
import test, { after, before } from 'node:test';
import { nap, run } from '../support/keyvault.mjs';
import { freePorts } from '../support/ports.mjs';
import { Pebble } from './pebble.mjs';
import { Scene, folderOf } from './scene.mjs';

const LIFE_S = 40;
const folder = folderOf('pebble');
let pebble;
let scene;

before(async () => {
  const [httpPort] = await freePorts(1);
  pebble = await Pebble.start({ folder, httpPort, validity: LIFE_S, blocked: ['blocked.example.test'],
    env: { PEBBLE_ALTERNATE_ROOTS: '1', PEBBLE_WFE_NONCEREJECT: '25' } });
  scene = await Scene.start({ ca: pebble.ca, httpPort });
  await scene.setIssuer('pebble', { directory: pebble.directory, challenges: ['http-01'] });
});

after(async () => {
  await scene?.stop();
  await pebble?.stop();
  fs.rmSync(folder, { recursive: true, force: true });
});

test('checking the issuer makes the account and orders nothing', async () => {
  const check = () => scene.issuers.call('IssuerService/CheckIssuer',
    { vault: 'shop', issuer: 'pebble' });
  // One in a million requests has ten bad nonces in a row.
  const answer = await check().catch(check);
  assert.strictEqual(answer.accepted, true, answer.details);
  assert.strictEqual(await pebble.accounts(), 1);
  assert.strictEqual(pebble.issued, 0);
});

test('a certificate is ordered by name, proved and comes', async () => {
  const begun = await scene.create('web', 'pebble', ['www.example.test', 'api.example.test'],
    { percentage: 40 });
  assert.strictEqual(begun.status, 'inProgress');
  const done = await scene.completed('web');
  assert.deepStrictEqual(done.names.map(({ name, status }) => [name, status]).sort(),
    [['api.example.test', 'valid'], ['www.example.test', 'valid']]);
  const leaf = await scene.verify('web', await pebble.root());
  assert.match(leaf.subjectAltName, /DNS:www\.example\.test/);
  assert.strictEqual(await pebble.made(1), 1);
  assert.match(pebble.log, /reject 25%/);
});

test('kvctl tells how far it is while it waits', async () => {
  const words = ['--name', 'told', '--issuer', 'pebble', '--key-type', 'EC', '--dns-name',
    'told.example.test'];
  assert.match(scene.kvctlTold(scene.certificates, 'certificate', 'create', words),
    /^kvctl: told is in progress.*: told\.example\.test (pending|proving|checking|valid)/m);
  await scene.create('shown', 'pebble', ['shown.example.test']);
  const shown = scene.kvctl(scene.certificates, 'certificate', 'pending show',
    ['--name', 'shown', '--wait']);
  assert.strictEqual(JSON.parse(shown).status, 'completed');
  await scene.create('none', 'pebble', ['blocked.example.test']);
  assert.throws(() => scene.kvctl(scene.certificates, 'certificate', 'pending show',
    ['--name', 'none', '--wait']), /status 1\n.*was not made: .*blocked\.example\.test/s);
});

test('the chain ends in the root that was asked for', async () => {
  const names = [];
  for (const n of [0, 1]) {
    const root = await pebble.root(n);
    fs.writeFileSync(scene.at('a-root.pem'), root);
    const [, name] = /CN ?= ?([^\n,]+)/.exec(
      run('openssl', ['x509', '-in', scene.at('a-root.pem'), '-noout', '-subject']));
    names.push(name);
    await scene.setIssuer(`root-${n}`, { directory: pebble.directory, preferred_chain: name });
    await scene.create(`under-${n}`, `root-${n}`, ['www.example.test']);
    await scene.completed(`under-${n}`);
    await scene.verify(`under-${n}`, root);
  }
  assert.notStrictEqual(names[0], names[1]);
});

test('what the authority will never certify fails with its words', async () => {
  await scene.create('blocked', 'pebble', ['blocked.example.test']);
  const over = await scene.until('blocked', (it) => it.status !== 'inProgress', 'over');
  assert.strictEqual(over.status, 'failed');
  assert.strictEqual(over.error.code, 'rejectedIdentifier');
  assert.match(over.error.message, /blocked\.example\.test/);
});

test('a name that is not ours is told, and another order follows', async () => {
  await pebble.dnsSet('add-a', { host: 'elsewhere.example.test', addresses: ['127.0.0.2'] });
  await scene.create('elsewhere', 'pebble', ['elsewhere.example.test']);
  const told = await scene.until('elsewhere', (it) => it.error, 'refused');
  assert.strictEqual(told.status, 'inProgress');
  assert.strictEqual(told.error.code, 'connection');
  assert.match(told.error.message, /elsewhere\.example\.test/);
  assert.strictEqual(told.names[0].status, 'invalid');
  await scene.certificates.call('CertificateService/CancelCertificateOperation',
    { vault: 'shop', name: 'elsewhere' });
  await scene.until('elsewhere', (it) => it.status === 'cancelled', 'cancelled');
});

test('names that ACME does not certify are refused at once', async () => {
  await scene.certificates.call('CertificateService/CreateCertificate', { vault: 'shop',
    name: 'mail', policy: scene.policy('pebble', ['a.example.test'],
      { x509_props: { subject: 'CN=a.example.test', sans: { emails: ['a@example.test'] } } }) });
  const over = await scene.until('mail', (it) => it.status !== 'inProgress', 'over');
  assert.strictEqual(over.error.code, 'unsupportedIdentifier');
});

test('the next version comes by itself, before the first one ends', async () => {
  const first = await scene.versions('web');
  const end = Date.now() + LIFE_S * 1000; // that of the newest is not later
  let now = first;
  while (now.length === first.length && Date.now() < end) {
    await nap(500);
    now = await scene.versions('web');
  }
  assert(now.length > first.length, 'nothing was renewed');
  const bundle = await scene.get('web');
  assert.notDeepStrictEqual(bundle.id.version, first[0].id.version);
  await scene.verify('web', await pebble.root());
});
