// storm.mjs - very many idle connections, and peers that begin a handshake and leave it there, while
// others are served. KV_STORM_IDLE and KV_STORM_HANDSHAKES say how many (scripts/storm.sh: 10,000
// and 1,000).
import assert from 'node:assert';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import test, { after, before } from 'node:test';
import tls from 'node:tls';
import { Keyvault, nap } from '../support/keyvault.mjs';

const IDLE = Number(process.env.KV_STORM_IDLE ?? 80);
const HANDSHAKES = Number(process.env.KV_STORM_HANDSHAKES ?? 40);
const AT_ONCE = IDLE > 1000 ? 32 : 8;
const HANDSHAKE_MS = 8000; // that many at once have to make it on a slow machine
const PREFACE = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])]); // and empty SETTINGS
let server;
let user;
const digest = Buffer.alloc(32, 7);
const sign = (caller) => caller.call('KeyService/Sign',
  { vault: 'shop', name: 'k', algorithm: 'ES256', digest });

const resident = () => Number(fs.readFileSync(`/proc/${server.pid}/status`, 'utf8')
  .match(/VmRSS:\s+(\d+)/)[1]) * 1024;
const descriptors = () => fs.readdirSync(`/proc/${server.pid}/fd`).length;
const until = async (what, ms) => {
  for (const end = Date.now() + ms; Date.now() < end && !what();) await nap(50);
  return what();
};

/* Calls go on for as long as `during` takes; how long each took. */
async function serving(during) {
  let going = true;
  const took = [];
  const work = (async () => {
    while (going) {
      const began = performance.now();
      await sign(user);
      took.push(performance.now() - began);
    }
  })();
  const [result] = await Promise.all([during().finally(() => { going = false; }), work]);
  took.sort((a, b) => a - b);
  return { result, calls: took.length, median: took[took.length >> 1], worst: took.at(-1) };
}

function connect() {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ port: server.port, host: '127.0.0.1', servername: 'localhost',
      ca: fs.readFileSync(path.join(server.home, 'tls/server.pem')), key: user.identity.key,
      cert: user.identity.pem, ALPNProtocols: ['h2'] }, () => socket.write(PREFACE));
    socket.once('data', () => resolve(socket)); // the server's SETTINGS
    socket.on('error', reject);
    socket.on('close', () => { socket.gone = true; reject(new Error('closed')); });
  });
}

async function connectMany(count) {
  const sockets = [];
  let left = count;
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while (left-- > 0) sockets.push(await connect());
  }));
  return sockets;
}

/* What a client says first. */
function clientHello() {
  return new Promise((resolve) => {
    const trap = net.createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', (data) => { resolve(data); socket.destroy(); trap.close(); });
    });
    trap.listen(0, '127.0.0.1', () => {
      tls.connect({ port: trap.address().port, host: '127.0.0.1', servername: 'localhost',
        ALPNProtocols: ['h2'] }).on('error', () => {});
    });
  });
}

/* Silent ones, ones that break off in their first message, and ones that never answer. */
function stall(hello, which) {
  const socket = net.connect(server.port, '127.0.0.1');
  socket.on('error', () => {});
  socket.on('close', () => { socket.gone = true; });
  socket.resume();
  if (which % 3) socket.write(which % 3 === 1 ? hello.subarray(0, hello.length / 2) : hello);
  return socket;
}

before(async () => {
  const room = 2 * (IDLE + HANDSHAKES); // never crowded: then the idle ones would have to go
  server = await Keyvault.start({ settings: { 'limits.connections': room,
    'limits.connections_per_peer': room, 'limits.handshake_ms': HANDSHAKE_MS,
    'limits.idle_seconds': 3600 } });
  const operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  await operator.call('VaultService/CreateVault', { vault: 'shop' });
  const officer = await server.officer('officer', ['CRYPTO_OFFICER'], '/vaults/shop');
  await officer.call('KeyService/CreateKey', { vault: 'shop', name: 'k', kty: 'EC', crv: 'P256' });
  user = await server.officer('user', ['CRYPTO_USER'], '/vaults/shop');
});
after(() => server?.stop());

test('idle connections cost little, stalled handshakes are ended, and others are served',
  async () => {
    const calm = await serving(() => nap(500));
    const before = { bytes: resident(), files: descriptors() };
    const opened = await serving(() => connectMany(IDLE));
    const idle = opened.result;
    await nap(1500); // buffers that are not in use are given back
    const kib = (resident() - before.bytes) / IDLE / 1024;
    assert.equal(idle.filter((it) => it.gone).length, 0);
    assert(descriptors() >= before.files + IDLE);

    const hello = await clientHello();
    const stalled = Array.from({ length: HANDSHAKES }, (_, i) => stall(hello, i));
    const stormed = await serving(async () => {
      await sign(Object.assign(user.again(), { bearer: user.bearer })); // somebody new comes in
      assert(await until(() => stalled.every((it) => it.gone), HANDSHAKE_MS * 6),
        `${stalled.filter((it) => !it.gone).length} stalled handshakes live on`);
    });
    assert.equal(idle.filter((it) => it.gone).length, 0, 'idle connections suffered');

    for (const socket of idle) socket.destroy();
    assert(await until(() => descriptors() <= before.files + 8, 60_000),
      `${before.files} descriptors before, ${descriptors()} after`);
    await sign(user);
    const line = (it) => `${it.calls} calls, ${it.median.toFixed(1)} ms in the middle, ` +
      `${it.worst.toFixed(0)} ms at worst`;
    console.log(`# in calm: ${line(calm)}`);
    console.log(`# while ${IDLE} connections were opened: ${line(opened)}`);
    console.log(`# with them and ${HANDSHAKES} stalled handshakes: ${line(stormed)}`);
    console.log(`# ${kib.toFixed(1)} KiB for each idle connection`);
    assert(opened.calls > 0 && stormed.calls > 0);
    if (!process.env.KV_SANITIZED && IDLE >= 1000) assert(kib < 40, `${kib} KiB`);
  });
