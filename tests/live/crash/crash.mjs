// Promise 4, nothing acknowledged is lost, nothing half-done stays: SIGKILL at a random instant of
// mixed load, again and again, sometimes while the server is still starting from the last one. After
// each start what the clients were answered is compared with what the server has (ledger.mjs), the
// token has no key too many or too few, the audit chain verifies, and each change has its record.
//
//   node crash.mjs [ROUNDS [SEED]]
//   node crash.mjs --called FILE      whether the series that wrote FILE called every method that
//                                     changes something
//
// Environment: KV_CRASH_ROUNDS, KV_CRASH_SEED instead of these; KV_CRASH_CALLED, the FILE that gets
// the methods that were called; KV_VERIFY_LOG (verify_main.c).
import assert from 'node:assert';
import fs from 'node:fs';
import path from 'node:path';
import { Authority, derOf } from '../support/authority.mjs';
import { Keyvault, nap, run } from '../support/keyvault.mjs';
import { checkIssued } from './authorities.mjs';
import { Dice } from './dice.mjs';
import { Ledger, checkCoverage } from './ledger.mjs';
import { Renewals } from './rules.mjs';
import { VAULT, listed } from './thing.mjs';

const ROUNDS = Number(process.argv[2] ?? process.env.KV_CRASH_ROUNDS ?? 40);
const SEED = Number(process.argv[3] ?? process.env.KV_CRASH_SEED ??
  Math.floor(Math.random() * 2 ** 32));
const CLIENTS = 6;
const OLD_ONES = 8;
const CHAIN_EVERY = 10; // rounds
const RENEWED = 3;
const BROUGHT = 2;
const LOAD_MS = [20, 400];
const START_MS = 400; // a kill of a starting server comes within so long
const KILL_AGAIN = 0.15;
const SOON_MS = 90_000;
const ROOM = 512 << 20;
const MANY = 100;
const ENOUGH = 4000; // calls
const ROLES = ['ADMINISTRATOR', 'VAULT_OPERATOR', 'PURGE_OFFICER', 'AUDITOR'];

/* Certificates with their keys that were made elsewhere: PKCS #12 and DER. */
function bring(authority, number) {
  const { file, pem } = authority.identity(`brought${number}.example.org`);
  fs.writeFileSync(authority.at('leaf.pem'), pem);
  const value = run('openssl', ['pkcs12', '-export', '-inkey', file, '-in',
    authority.at('leaf.pem'), '-passout', 'pass:'], { text: false });
  return { value, cer: derOf(pem) };
}

async function prepare() {
  const server = await Keyvault.start({ separation: 'off', clientCa: true, settings: {
    'audit.segment_bytes': 4 << 20, 'audit.checkpoint_records': 50,
    'audit.checkpoint_seconds': 1 } });
  const user = await server.officer('user', ROLES, '/');
  const owner = await server.officer('owner', ['READER'], '/');
  const admin = await server.administrator();
  const authority = new Authority(path.join(server.folder, 'authority'));
  const at = { server, user, owner, admin, authority, sequence: 0,
    brought: Array.from({ length: BROUGHT }, (_, i) => bring(authority, i)),
    pins: [derOf(server.certificate('pinned').pem)] };
  for (const vault of [VAULT, 'renewed']) await user.call('VaultService/CreateVault', { vault });
  await user.call('CertificateAuthorityService/CreateCertificateAuthority',
    { vault: VAULT, name: 'authority', type: 'ROOT', subject: 'CN=Authority', kty: 'EC', crv: 'P256',
      allow_vaults: [VAULT] });
  await user.call('IssuerService/SetIssuer', { vault: VAULT, issuer: 'delegated',
    provider: 'LocalCA', settings: JSON.stringify({ vault: VAULT, authority: 'authority' }),
    allowed_domains: { rules: ['*'] } });
  at.until = (what, is) => until(server, what, is);
  at.connections = Array.from({ length: CLIENTS }, () =>
    Object.assign(user.again(), { bearer: user.bearer }));
  return at;
}

async function until(server, what, is) {
  for (const end = Date.now() + SOON_MS; !await is(); await nap(20)) {
    if (Date.now() > end) throw server.failed(`not in time: ${what}`);
  }
}

const events = (log, name) => log.split('\n').filter((line) => line.includes(`"${name}"`))
  .map((line) => JSON.parse(line));

/* Since the kill the log must tell of no key without a row and of no row without a key. */
async function checkReconciled(server) {
  await server.reconciled();
  assert.doesNotMatch(server.log, /"integrity.alarm"|"store.integrity"|"token\.key\./);
  return events(server.log, 'server.reconciled').pop();
}

function checkChain(server, status) {
  const said = run(process.env.KV_VERIFY_LOG,
    [path.join(server.home, 'audit'), status.kid, status.public_key.toString('hex')]);
  const report = Object.fromEntries(said.split(' ').slice(0, 9).map((one) => one.split('=')));
  assert.strictEqual(report.broken, 'sound', said);
  assert(Number(report.last) >= status.head_sequence, said);
  assert(Number(report.proved) > 0, said);
}

/* Dies a second time while it starts, perhaps. */
async function restart({ server, dice }) {
  let again = 0;
  for (; dice.chance(KILL_AGAIN); again++) {
    const up = server.restart().catch((error) => error);
    await nap(dice.below(START_MS));
    await server.kill();
    await up;
  }
  await server.restart();
  return again;
}

async function round(at, ledger) {
  const { server, dice } = at;
  const began = Date.now();
  server.log = '';
  ledger.begin(at);
  const load = Promise.all(at.connections.map((caller) => ledger.load(at, caller)));
  // A load that fails ends the round at once, with the server's log beside.
  const loaded = async () => {
    // Mostly when there is some load already, however slow the machine is.
    while (at.number % 4 && ledger.answered.length < 3) await nap(1);
    await nap(LOAD_MS[0] + dice.below(LOAD_MS[1] - LOAD_MS[0]));
  };
  await Promise.race([load, loaded()]);
  ledger.killed = true;
  await server.kill();
  await load;
  const again = await restart(at);
  const did = await checkReconciled(server);
  const records = await at.user.call('AuditService/SearchAudit',
    { from_ms: began - 1000, to_ms: Date.now() + 1000, limit: 1_000_000 });
  ledger.checkRecords(records.filter((one) => one.sequence > at.sequence));
  await ledger.settle(at);
  await ledger.checkOld(at, OLD_ONES);
  checkIssued(await listed(at.user, 'CertificateAuthorityService/ListIssuedCertificates',
    { vault: VAULT, name: 'authority' }));
  const status = await at.user.call('AuditService/GetAuditStatus');
  at.sequence = status.head_sequence;
  if (at.number % CHAIN_EVERY === 0) checkChain(server, status);
  return { ...did, killed_while_starting: again };
}

/* Ids of the keys on a copy of the token, as a tool that is not ours sees them. */
function idsOnToken(server) {
  const copy = fs.mkdtempSync(path.join(server.folder, 'copy-'));
  fs.cpSync(server.tokens, path.join(copy, 'tokens'), { recursive: true });
  fs.writeFileSync(path.join(copy, 'softhsm2.conf'),
    `directories.tokendir = ${copy}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n`);
  const said = run('pkcs11-tool', ['--module', server.settings['token.keys.module'],
    '--token-label', 'kv-keys', '--login', '--pin', server.pin('keys'), '--list-objects', '--type',
    'privkey'], { env: { SOFTHSM2_CONF: path.join(copy, 'softhsm2.conf') } });
  fs.rmSync(copy, { recursive: true });
  return [...said.matchAll(/ID: +([0-9a-f]{32})/g)].map((one) => one[1]).sort();
}

function idsInStore(server) {
  return run('sqlite3', [path.join(server.home, 'keyvault.db'),
    "SELECT lower(hex(key_id)) FROM token_objects WHERE duty = 0 AND state = 'ready' ORDER BY 1"])
    .split('\n').filter(Boolean).sort();
}

function checkToken(server) {
  const [token, store] = [idsOnToken(server), idsInStore(server)];
  const alone = [...token.filter((id) => !store.includes(id)),
    ...store.filter((id) => !token.includes(id))];
  assert.deepStrictEqual(alone, [], `keys without a row or rows without a key\n${server.log}`);
  assert.strictEqual(new Set(token).size, token.length, 'a key is there twice');
  assert(token.length > 0);
}

/* Every key on every token proves that it is the key of its row: kvctl server doctor. */
async function checkDoctor(at) {
  const { checks } = await at.user.call('ServerService/CheckServer', {});
  const bad = checks.filter((one) => ['token', 'database', 'audit log', 'keys'].includes(one.name) &&
    one.result !== 'CHECK_RESULT_OK');
  assert.deepStrictEqual(bad, []);
}

/* Lines of a method and how often it was answered. Chance needs enough of them to meet all. */
if (process.argv[2] === '--called') {
  const lines = fs.readFileSync(process.argv[3], 'utf8').split('\n').filter(Boolean)
    .map((line) => line.split(' '));
  const all = lines.reduce((sum, [, count]) => sum + Number(count), 0);
  if (all >= ENOUGH) checkCoverage(new Set(lines.map(([method]) => method)));
  else console.log(`# ${all} calls are too few to say that every method is among them`);
  process.exit();
}

/* SIGKILL takes nothing from a file that was written: memory is as good as a disk, and faster. */
const memory = '/dev/shm';
if (fs.existsSync(memory)) {
  const { bavail, bsize } = fs.statfsSync(memory);
  if (bavail * bsize > ROOM) process.env.TMPDIR = memory;
}
console.log(`# seed ${SEED}: node ${path.relative('.', process.argv[1])} ${ROUNDS} ${SEED}`);
const at = await prepare();
at.dice = new Dice(SEED);
const ledger = new Ledger(at.dice, SEED);
const sum = {};
try {
  const renewals = new Renewals('renewals');
  await renewals.prepare(at.user, RENEWED);
  ledger.add(renewals);
  at.sequence = (await at.user.call('AuditService/GetAuditStatus')).head_sequence;
  const began = Date.now();
  for (let number = 1; number <= ROUNDS; number++) {
    const did = await round(at, ledger).catch((error) => {
      throw new Error(`round ${number} of seed ${SEED}: ${error.message}\n${at.server.log}`,
        { cause: error });
    });
    for (const [key, count] of Object.entries(did)) {
      if (typeof count === 'number' && key !== 'time') sum[key] = (sum[key] ?? 0) + count;
    }
  }
  console.log(`# ${ROUNDS} rounds in ${Math.round((Date.now() - began) / 1000)} s;`,
    JSON.stringify(ledger.counts), JSON.stringify(sum));
  at.patient = ROUNDS >= MANY;
  ledger.begin(at);
  await ledger.checkOld(at, Infinity);
  await checkDoctor(at);
  assert(ledger.counts.acknowledged > ROUNDS, 'there was hardly any load');
  assert(ledger.counts.cut > 0, 'no call was cut off, so nothing was tried');
  const called = process.env.KV_CRASH_CALLED;
  if (called) {
    fs.appendFileSync(called, [...ledger.done].map((one) => `${one.join(' ')}\n`).join(''));
  }
  if (ROUNDS >= MANY) checkCoverage(ledger.done);
  checkChain(at.server, await at.user.call('AuditService/GetAuditStatus'));
  await at.server.terminate();
  checkToken(at.server);
} finally {
  await at.server.stop();
}
