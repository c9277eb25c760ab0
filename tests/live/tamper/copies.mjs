// copies.mjs - copies of a stopped server, to be damaged and started: what does it say?
import assert from 'node:assert';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { Caller, nap, run } from '../support/keyvault.mjs';

const LANES = Number(process.env.KV_TAMPER_LANES ?? 2);
const WAIT_MS = 60_000;
let number = 0;

/** Runs SQL with the sqlite3 shell; gives the rows. */
export function sql(server, text) {
  const database = server.database ?? path.join(server.home, 'keyvault.db');
  const said = run('sqlite3',
    ['-json', '-cmd', '.timeout 30000', '-cmd', 'PRAGMA synchronous = OFF', database, text]);
  return said.trim() ? JSON.parse(said) : [];
}

/* Another value of the same type: keys stay unique. */
const other = (column) => `CASE typeof("${column}") WHEN 'integer' THEN "${column}" + 1000 ` +
  `WHEN 'text' THEN "${column}" || 'x' ELSE CAST(CASE substr("${column}", 1, 1) WHEN x'ee' ` +
  `THEN x'11' ELSE x'ee' END || coalesce(substr("${column}", 2), x'') AS BLOB) END`;

/** SQL that changes one column of the last row, of all rows when `all`. */
export const edit = (table, column, all = false) => `UPDATE "${table}" SET "${column}" = ` +
  `${other(column)} ${all ? '' : `WHERE rowid = (SELECT max(rowid) FROM "${table}")`};`;

/** Runs `work` over all cases, a few at once. */
export async function each(cases, work) {
  const left = [...cases];
  await Promise.all(Array.from({ length: LANES }, async () => {
    while (left.length) await work(left.shift());
  }));
}

export class Copy {
  constructor(server, name = `${++number}`) {
    this.folder = path.join(server.folder, `copy-${name}`);
    this.home = path.join(this.folder, 'home');
    this.database = path.join(this.home, 'keyvault.db');
    this.config = path.join(this.folder, 'keyvaultd.conf');
    fs.mkdirSync(this.folder);
    for (const one of ['home', 'tokens']) {
      run('cp', ['-a', '--sparse=always', path.join(server.folder, one), this.folder]);
    }
    fs.rmSync(path.join(this.home, 'port'), { force: true });
    for (const one of ['keyvaultd.conf', 'softhsm2.conf']) {
      fs.writeFileSync(path.join(this.folder, one), fs.readFileSync(
        path.join(server.folder, one), 'utf8').replaceAll(`${server.folder}/`, `${this.folder}/`));
    }
    this.callers = new Set();
    this.log = '';
  }

  /** Of this server, as the header of a segment names it. */
  get node() {
    const [segment] = fs.readdirSync(path.join(this.home, 'audit'))
      .filter((name) => name.endsWith('.kva'));
    return fs.readFileSync(path.join(this.home, 'audit', segment)).subarray(16, 32).toString('hex');
  }

  start() {
    this.child = spawn(process.env.KEYVAULTD, ['run', '--config', this.config], {
      env: { ...process.env, SOFTHSM2_CONF: path.join(this.folder, 'softhsm2.conf') },
      stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.on('data', (text) => { this.log += text; });
    }
    this.ended = new Promise((resolve) => {
      this.child.on('close', (code, signal) => {
        this.code = code ?? signal;
        resolve();
      });
    });
  }

  /**
   * Starts it: 'refused' when it ended before it served and said that data is not what it was,
   * 'alarm' or 'verified' when it serves and its look at all rows ended so. Else 'died', 'silent'.
   */
  async outcome({ keep = false } = {}) {
    this.start();
    let what = 'silent';
    for (const until = Date.now() + WAIT_MS; Date.now() < until; await nap(20)) {
      if (this.log.includes('"integrity.alarm"')) what = 'alarm';
      else if (this.log.includes('"integrity.verified"')) what = 'verified';
      if (this.code !== undefined) {
        what = this.code === 1 && /integrity|put back|audit log|audit record|store is|do not verify|no role-token signer/.test(this.log) ?
          'refused' : 'died';
      }
      if (what !== 'silent') break;
    }
    if (!keep) {
      this.child.kill('SIGKILL');
      await this.ended;
    }
    if (['died', 'silent'].includes(what)) throw new Error(`it ${what}:\n${this.log}`);
    return { what, log: this.log };
  }

  /** It must not serve. Gives the log; the copy is gone afterwards. */
  async refuses(why = '') {
    const { what, log } = await this.outcome();
    if (what !== 'refused') throw new Error(`${why} ${what}, but served:\n${log}`);
    this.remove();
    return log;
  }

  /** Either it does not serve, or it raises an alarm and `attempt` (which asserts) gives nothing. */
  async gives(attempt) {
    const { what, log } = await this.outcome({ keep: true });
    if (what === 'verified') throw new Error(`nobody noticed:\n${log}`);
    if (what === 'refused') return;
    try {
      await attempt();
    } catch (error) {
      /* It ends upon its alarm: perhaps before it could be asked. */
      if (error instanceof assert.AssertionError || error.code !== 'ENOENT') throw error;
      await Promise.race([this.ended, nap(WAIT_MS)]);
      if (this.code === undefined) throw error;
    } finally {
      await this.stop();
    }
  }

  get port() {
    return Number(fs.readFileSync(path.join(this.home, 'port'), 'utf8'));
  }

  /** The same caller at this copy. */
  as(caller) {
    const other = new Caller(this, caller.name, caller.identity);
    other.bearer = caller.bearer;
    return other;
  }

  async stop() {
    for (const caller of this.callers) caller.close();
    this.child.kill('SIGKILL');
    await this.ended;
  }

  remove() {
    if (!process.env.KV_LIVE_KEEP) fs.rmSync(this.folder, { recursive: true, force: true });
  }
}
