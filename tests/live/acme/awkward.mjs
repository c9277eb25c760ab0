// An authority that is slow, full, garrulous or wrong: an ACME stub of our own through the real
// server.
import assert from 'node:assert';
import fs from 'node:fs';
import test, { after, before } from 'node:test';
import { Scene, folderOf } from './scene.mjs';
import { Stub } from './stub.mjs';

const folder = folderOf('acme-stub');
let stub;
let scene;

before(async () => {
  stub = await Stub.start(folder);
  scene = await Scene.start({ ca: stub.ca });
});

after(async () => {
  await scene?.stop();
  await stub?.stop();
  fs.rmSync(folder, { recursive: true, force: true });
});

/* An issuer and a certificate of that name. */
async function order(name, more = {}, policy = {}) {
  const world = stub.world(name);
  await scene.setIssuer(name, { directory: world.directory, ...more });
  await scene.create(name, name, [`${name}.example.test`], policy);
  return world;
}

const told = (name) => scene.until(name, (it) => it.error, 'told');
const cancel = (name) => scene.certificates.call('CertificateService/CancelCertificateOperation',
  { vault: 'shop', name });

test('a certificate type is the profile of the order', async () => {
  stub.world('profile').profiles = { classic: 'x', shortlived: 'y' };
  const world = await order('profile', { profile: 'classic' },
    { issuer: { name: 'profile', cty: 'shortlived' } });
  await scene.completed('profile');
  assert.strictEqual(world.orders[0].profile, 'shortlived');
});

test('who is told to wait waits, and orders once', async () => {
  let first = true;
  stub.world('full').on('newOrder', (request, answer) => {
    if (!first) return false;
    first = false;
    stub.world('full').refuse(answer, 429, 'rateLimited', 'too many orders', { 'Retry-After': '3' });
    return true;
  });
  const world = await order('full');
  await scene.completed('full');
  const [refused, placed] = world.asked.filter((it) => it.what === 'newOrder');
  assert(placed.at - refused.at >= 3000, `${placed.at - refused.at} ms`);
  assert.strictEqual(world.orders.length, 1);
  const between = world.asked.filter((it) => it.at > refused.at && it.at < refused.at + 3000);
  assert.deepStrictEqual(between, [], 'it was asked meanwhile');
});

test('an order that is worked on is asked for when its time has come', async () => {
  const world = stub.world('working').on('finalize', ({ id, payload }, answer) => {
    world.usual('finalize', id, { payload }, { writeHead() {}, end() {} });
    world.orders[id].status = 'processing';
    world.say(answer, 200, world.view(world.orders[id]), { 'Retry-After': '3' });
    return true;
  }).on('order', ({ id }) => {
    if (world.orders[id].status === 'processing') world.orders[id].status = 'valid';
    return false;
  });
  await order('working');
  await scene.completed('working');
  const finalized = world.asked.find((it) => it.what === 'finalize');
  const after = world.asked.find((it) => it.what === 'order' && it.at >= finalized.at);
  assert(after.at - finalized.at >= 3000, `${after.at - finalized.at} ms`);
});

test('a renewal names its predecessor, and does not insist', async () => {
  const world = stub.world('replaced');
  world.renewalInfo = true;
  world.on('newOrder', ({ payload }, answer) => {
    if (!payload.replaces) return false;
    world.refuse(answer, 409, 'alreadyReplaced', 'it has a successor');
    return true;
  });
  await order('replaced');
  await scene.completed('replaced');
  await scene.certificates.call('CertificateService/CreateCertificate',
    { vault: 'shop', name: 'replaced' });
  await scene.completed('replaced');
  const asked = world.asked.filter((it) => it.what === 'newOrder').map((it) => it.payload);
  assert.deepStrictEqual(asked.map((it) => Boolean(it.replaces)), [false, true, false]);
  assert.match(asked[1].replaces, /^[\w-]+\.[\w-]+$/);
});

test('a record that has to stand is told before an order, with it, and when it is missing', async () => {
  const world = stub.world('standing');
  world.persist = { domain: 'ca.example', standing: new Set() };
  await scene.setIssuer('standing', { directory: world.directory, challenges: ['dns-persist-01'] });
  const { validation_record: value, account } =
    await scene.issuers.call('IssuerService/CheckIssuer', { vault: 'shop', issuer: 'standing' });
  assert.strictEqual(value, `ca.example; accounturi=${account}`);
  assert.strictEqual(world.orders.length, 0);

  await scene.create('standing', 'standing', ['a.example.test', '*.a.example.test']);
  const told = (it) => it.names?.length === 2 && it.names.every((name) => /no such/.test(name.details));
  await scene.until('standing', told, 'told');
  const { names } = JSON.parse(scene.kvctl(scene.certificates, 'certificate', 'pending show',
    ['--name', 'standing']));
  const record = (more) => `_validation-persist.a.example.test. TXT "${value}${more}"`;
  const details = Object.fromEntries(names.map((it) => [it.name, it.details]));
  assert.deepStrictEqual(details, {
    'a.example.test': `no such record; this record has to stand: ${record('')}`,
    '*.a.example.test': `no such record; this record has to stand: ${record('; policy=wildcard')}`,
  });

  for (const it of names) world.persist.standing.add(it.details.split(': ').slice(1).join(': '));
  await scene.completed('standing');
  assert.strictEqual(world.orders.length, 1);
});

test('an order that ended for want of a record tells it too', async () => {
  const world = stub.world('unstood');
  world.persist = { domain: 'ca.example', standing: new Set(), given_up: false };
  world.on('challenge', () => {
    world.persist.given_up = true;
    return false;
  });
  await order('unstood', { challenges: ['dns-persist-01'] });
  const failed = await scene.until('unstood', (it) => it.names?.[0]?.status === 'invalid', 'ended');
  assert.match(failed.names[0].details,
    /^no such record; this record has to stand: _validation-persist\.unstood\.example\.test\. TXT "ca\.example; accounturi=https:[^" ]+"$/);
  await cancel('unstood');
});

/* The record that has to stand for the only name of an operation. */
const recordOf = (it) => it.names?.[0]?.details?.match(/this record has to stand: (.*)$/)?.[1];

async function standing(name, persist, settings = {}) {
  const world = stub.world(name);
  world.persist = { domain: 'ca.example', standing: new Set(), ...persist };
  await scene.setIssuer(name, { directory: world.directory,
    challenges: [{ type: 'dns-persist-01', ...settings }] });
  return world;
}

const checkIssuer = (name) => scene.issuers.call('IssuerService/CheckIssuer',
  { vault: 'shop', issuer: name });

test('a record calls the account as the authority does, and ends when it is to end', async () => {
  const until = Math.floor(Date.now() / 1000) + 86400;
  const world = await standing('called', { until: `; persistUntil=${until}` },
    { persistUntil: until });
  world.persist.offer = { accounturi: `${world.base}/people/17` };
  await scene.create('called', 'called', ['called.example.test']);
  const record = recordOf(await scene.until('called', recordOf, 'told'));
  assert.strictEqual(record, '_validation-persist.called.example.test. TXT "ca.example; ' +
    `accounturi=${world.base}/people/17; persistUntil=${until}"`);
  world.persist.standing.add(record);
  await scene.completed('called');
});

test('a hash of the account is in the record where the authority wants it', async () => {
  const world = await standing('hashed', { hashed: true });
  const { validation_record: all, account } = await checkIssuer('hashed');
  assert.strictEqual(all, `ca.example; accounturi=${world.hashOf('*', account)}`);
  await scene.create('hashed', 'hashed', ['hashed.example.test']);
  const record = recordOf(await scene.until('hashed', recordOf, 'told'));
  assert.strictEqual(record, '_validation-persist.hashed.example.test. TXT "ca.example; ' +
    `accounturi=${world.hashOf('hashed.example.test', account)}"`);
  /* The one that is good for every name is as good. */
  world.persist.standing.add(`_validation-persist.hashed.example.test. TXT "${all}"`);
  await scene.completed('hashed');
});

test('nothing is asked with records that have ended, and nobody else is named', async () => {
  const world = await standing('ended', {}, { persistUntil: Math.floor(Date.now() / 1000) - 60 });
  const answer = await checkIssuer('ended');
  assert.strictEqual(answer.accepted, false);
  assert.match(answer.details, /^the records have ended by persistUntil=\d+: put up others/);
  await scene.create('ended', 'ended', ['ended.example.test']);
  await scene.until('ended', (it) => /have ended by/.test(it.names?.[0]?.details), 'told');
  assert.strictEqual(world.count('challenge'), 0);
  await cancel('ended');

  const liar = await standing('liar', { offer: { accounturi: 'https://trusted.example/acct/666' } });
  await scene.create('liar', 'liar', ['liar.example.test']);
  await scene.until('liar', (it) => /by the name of another host/.test(it.names?.[0]?.details),
    'told');
  assert.strictEqual(liar.count('challenge'), 0);
  await cancel('liar');
});

test('an account is closed although the answer was lost, and not when it is not', async () => {
  const world = stub.world('closing');
  const it = { vault: 'shop', issuer: 'closing', deactivate_account: true };
  let closed = false;
  await scene.setIssuer('closing', { directory: world.directory, challenges: ['dns-persist-01'] });
  assert.strictEqual((await checkIssuer('closing')).accepted, true);
  /* It says that it was asked, and does nothing. */
  const unmoved = await scene.issuers.refused('IssuerService/DeleteIssuer', it);
  assert.match(unmoved.message, /the account is not deactivated but "valid"/);
  world.on('account', ({ payload }, answer) => {
    if (closed) world.refuse(answer, 401, 'unauthorized', 'the account is deactivated');
    else {
      answer.writeHead(200, { 'Content-Length': '5000' });
      answer.write('{');
      answer.socket.end();
    }
    closed ||= payload?.status === 'deactivated';
    return true;
  });
  const lost = await scene.issuers.refused('IssuerService/DeleteIssuer', it);
  assert.strictEqual(lost.code, 'UNAVAILABLE');
  assert(closed);
  await scene.issuers.call('IssuerService/DeleteIssuer', it);
  assert.strictEqual((await scene.issuers.refused('IssuerService/GetIssuer',
    { vault: 'shop', issuer: 'closing' })).code, 'NOT_FOUND');
});

test('answers that make no sense are told and do no harm', async () => {
  const cases = {
    garbage: (answer) => answer.writeHead(200).end('{"newNonce":'),
    endless: (answer) => answer.writeHead(200).end(Buffer.alloc(4 << 20, 0x20)),
    torn: (answer) => {
      answer.writeHead(200, { 'Content-Length': '5000' });
      answer.write('{');
      answer.socket.end();
    },
    elsewhere: (answer) => answer.writeHead(200).end(JSON.stringify({
      newNonce: 'http://127.0.0.1/n', newAccount: 'https://a.test/', newOrder: 'https://a.test/' })),
    html: (answer) => answer.writeHead(502).end('<html>bad gateway</html>'),
  };
  for (const [name, misbehave] of Object.entries(cases)) {
    stub.world(name).on('directory', (request, answer) => {
      misbehave(answer);
      return true;
    });
    await order(name);
  }
  for (const name of Object.keys(cases)) {
    const operation = await told(name);
    assert.strictEqual(operation.status, 'inProgress', name);
    assert.strictEqual(operation.error.code, 'UNAVAILABLE', JSON.stringify(operation.error));
    await cancel(name);
    await scene.until(name, (it) => it.status === 'cancelled', 'cancelled');
  }
});

test('a certificate for another key is not taken', async () => {
  const world = stub.world('swapped').on('cert', (request, answer) => {
    world.say(answer, 200, stub.world('profile').orders[0].pem,
      { 'Content-Type': 'application/pem-certificate-chain' });
    return true;
  });
  await order('swapped');
  const over = await scene.until('swapped', (it) => it.status !== 'inProgress', 'over');
  assert.strictEqual(over.status, 'failed');
  assert.strictEqual(over.error.code, 'CertificateNotAccepted');
});

test('every request was signed, fresh and for its URL', () => {
  assert.deepStrictEqual(stub.troubles, []);
});
