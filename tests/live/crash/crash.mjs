// Promise 4, nothing acknowledged is lost, nothing half-done stays: SIGKILL at a random instant of
// mixed load, again and again. After each restart the answers the clients kept are compared with
// what the server has: every object acknowledged is there and works, what was deleted is deleted,
// what was cut off in the middle is either whole or gone, no key is without its row or the other
// way round, the audit chain verifies, and each acknowledged call has its record.
// Environment: KV_CRASH_ROUNDS (default 50), KV_VERIFY_LOG (verify_main.c).
import assert from 'node:assert';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { Keyvault, nap, run } from '../support/keyvault.mjs';
import { Ledger, VAULT } from './ledger.mjs';

const ROUNDS = Number(process.env.KV_CRASH_ROUNDS ?? 50);
const CLIENTS = 6;
const OLD_ONES = 12;
const ROLES = ['CERTIFICATE_OFFICER', 'CERTIFICATE_USER', 'CRYPTO_OFFICER', 'CRYPTO_USER',
  'SECRETS_OFFICER', 'SECRETS_USER', 'PURGE_OFFICER', 'RECOVERER'];

async function prepare() {
  const server = await Keyvault.start({ settings: { 'access.separation_of_duty': 'off',
    'audit.segment_bytes': 1 << 20, 'audit.checkpoint_records': 50, 'audit.checkpoint_seconds': 1,
    'server.log_level': 'info' } });
  const operator = await server.officer('operator', ['VAULT_OPERATOR'], '/');
  await operator.call('VaultService/CreateVault', { vault: VAULT });
  const user = await server.officer('user', ROLES, `/vaults/${VAULT}`);
  const auditor = await server.officer('auditor', ['AUDITOR'], '/');
  const target = await server.principal('target');
  return { server, user, auditor, target, admin: await server.administrator() };
}

/* Another connection of the same caller. */
function connection(caller) {
  const other = caller.again();
  other.bearer = caller.bearer;
  return other;
}

const events = (log, name) => log.split('\n').filter((line) => line.includes(`"${name}"`))
  .map((line) => JSON.parse(line));

/* The log since the last start must tell of no key without a row and no row without a key. */
function checkReconciled(server, from) {
  const log = server.log.slice(from);
  const told = events(log, 'server.reconciled');
  assert.strictEqual(told.length, 1, `reconciled ${told.length} times\n${log}`);
  assert.strictEqual(told[0].unknown_objects, 0, log);
  assert.strictEqual(told[0].missing_objects, 0, log);
  assert.strictEqual(events(log, 'integrity.alarm').length, 0, log);
  return told[0];
}

function checkChain(server, status) {
  const said = run(process.env.KV_VERIFY_LOG,
    [path.join(server.home, 'audit'), status.kid, status.public_key.toString('hex')]);
  const report = Object.fromEntries(said.split(' ').slice(0, 9).map((one) => one.split('=')));
  assert.strictEqual(report.broken, 'sound', said);
  assert(Number(report.last) >= status.head_sequence, said);
  assert(Number(report.proved) > 0, said);
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

async function round(at, ledger, number) {
  const { server } = at;
  const began = Date.now();
  const from = server.log.length;
  ledger.begin(number);
  const loads = [];
  for (let i = 0; i < CLIENTS; i++) loads.push(ledger.load(at.connections[i], at, i));
  await nap(50 + Math.random() * 550);
  ledger.killed = true;
  await server.kill();
  await Promise.all(loads);
  await server.restart();
  const did = checkReconciled(server, from);
  const records = await at.auditor.call('AuditService/SearchAudit',
    { from_ms: began - 1000, to_ms: Date.now() + 1000, limit: 1_000_000 });
  ledger.checkRecords(records);
  await ledger.settle(at);
  await ledger.checkOld(at, OLD_ONES);
  checkChain(server, await at.auditor.call('AuditService/GetAuditStatus'));
  return did;
}

test(`${ROUNDS} rounds of SIGKILL under mixed load lose nothing and leave nothing`, async () => {
  const at = await prepare();
  const { server } = at;
  const ledger = new Ledger();
  const sum = { births_rolled_back: 0, destroyed: 0, purges_finished: 0, operations_resumed: 0 };
  try {
    at.connections = Array.from({ length: CLIENTS }, () => connection(at.user));
    const began = Date.now();
    for (let number = 1; number <= ROUNDS; number++) {
      const did = await round(at, ledger, number);
      for (const key of Object.keys(sum)) sum[key] += did[key];
    }
    console.log(`# ${ROUNDS} rounds in ${Math.round((Date.now() - began) / 1000)} s;`,
      JSON.stringify(ledger.counts), JSON.stringify(sum));
    await ledger.checkOld(at, Infinity);
    assert(ledger.counts.acknowledged > ROUNDS * CLIENTS, 'there was hardly any load');
    assert(ledger.counts.cut > 0, 'no call was cut off, so nothing was tried');
    await server.terminate();
    const [token, store] = [idsOnToken(server), idsInStore(server)];
    const alone = [...token.filter((id) => !store.includes(id)),
      ...store.filter((id) => !token.includes(id))];
    assert.deepStrictEqual(alone, [], `keys without a row or rows without a key\n${server.log}`);
    assert.strictEqual(new Set(token).size, token.length, 'a key is there twice');
    assert(token.length > 0);
  } finally {
    await server.stop();
  }
});
