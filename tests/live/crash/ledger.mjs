// ledger.mjs - what the clients of crash.mjs asked for and were told, kept outside the server.
//
// A step that was answered has happened. One that the kill cut off has happened exactly when the
// audit log says so, and then as a whole: check() of the thing holds in either case.
import assert from 'node:assert';
import { CallError, methods, nap } from '../support/keyvault.mjs';
import { CertificateAuthority } from './authorities.mjs';
import { Certificate, Key, Secret } from './objects.mjs';
import { Person, Pin, RoleToken } from './people.mjs';
import { Request } from './requests.mjs';
import { Contacts, House, Issuer, Renewals, Webhook } from './rules.mjs';

/* How often, and how many there are at once: starts look at every key. */
const KINDS = [
  { weight: 6, most: 24, prefix: 'k', kind: Key },
  { weight: 5, most: 16, prefix: 's', kind: Secret },
  { weight: 6, most: 16, prefix: 'c', kind: Certificate },
  { weight: 1, most: 3, prefix: 'q', kind: Request },
  { weight: 2, most: 3, prefix: 'house', kind: House },
  { weight: 1, most: 1, prefix: '', kind: Contacts },
  { weight: 1, most: 2, prefix: 'hook', kind: Webhook },
  { weight: 1, most: 2, prefix: 'i', kind: Issuer },
  { weight: 2, most: 3, prefix: 'a', kind: CertificateAuthority },
  { weight: 3, most: 4, prefix: 'p', kind: Person },
  { weight: 1, most: 1, prefix: 'pin', kind: Pin },
  { weight: 1, most: 3, prefix: 't', kind: RoleToken },
];

/* What changes nothing, and what is tried elsewhere. */
const READS = /\/(Get|List|Check|Search|Export|Watch|WhoAmI|WhoCan|Explain|Sign|Verify|Encrypt|Decrypt|WrapKey|UnwrapKey|Backup|Test|IssueRoleToken)/;
const ELSEWHERE = {
  'KeyService/RestoreKey': 'needs the token of another day: backup.mjs',
  'CertificateService/RestoreCertificate': 'as RestoreKey',
  'IssuerService/RollAccountKey': 'needs an authority that speaks ACME: acme/account.mjs kills there',
  'IssuerService/RevokeIssuedCertificate': 'needs an authority elsewhere: acme/',
  'WebhookService/RedeliverDeadLetters': 'needs failed deliveries: notify/webhooks.mjs kills there',
};

const CHANGES_NAMED = 8; // in one audit record

export class Ledger {
  things = new Map(KINDS.map(({ kind }) => [kind, []]));
  made = 0;
  calls = 0;
  counts = { acknowledged: 0, cut: 0, cut_and_done: 0, repeated: 0 };
  done = new Map(); // method -> acknowledged

  constructor(dice, series) {
    this.dice = dice;
    this.series = series;
  }

  begin(at) {
    this.killed = false;
    this.answered = [];
    this.cut = [];
    this.touched = new Set();
    at.number = this.number = (this.number ?? 0) + 1;
  }

  /** Something that nobody is busy with and that can be changed: a step. */
  choose(at) {
    const { dice } = this;
    const entry = dice.weighed([...KINDS, { weight: 0.3, kind: Renewals }]
      .map((one) => [one.weight, one]));
    const list = this.things.get(entry.kind);
    let thing = list.length && dice.pick(list);
    if (!thing || (list.length < entry.most && dice.chance(0.5))) {
      if (entry.kind === Renewals) return null;
      const fresh = entry.kind.fresh(`${entry.prefix}${++this.made}`, dice, at);
      if (fresh) list.push(thing = fresh);
    }
    if (!thing || thing.busy) return null;
    const steps = thing.steps(dice, at);
    if (!steps.length) {
      // What can never change again gives its place to another one.
      if (thing.state === 'ended' && !this.touched.has(thing)) list.splice(list.indexOf(thing), 1);
      return null;
    }
    return dice.weighed(steps);
  }

  add(thing) {
    this.things.set(thing.constructor, [thing]);
  }

  /** Calls until the server dies. */
  async load(at, caller) {
    for (;;) {
      const step = this.choose(at);
      if (this.killed) return;
      if (!step) {
        await nap(1);
        continue;
      }
      step.thing.busy = true;
      step.key = `crash-${this.series}-${++this.calls}`;
      this.touched.add(step.thing);
      try {
        Object.assign(step.request, await step.first?.(caller));
        this.finish(step, await this.ask(at, caller, step));
      } catch (error) {
        if (!this.killed || !isCut(error)) throw error;
        this.cut.push(step);
        return;
      }
      step.thing.busy = false;
      this.answered.push(step);
      this.counts.acknowledged++;
      this.done.set(step.method, (this.done.get(step.method) ?? 0) + 1);
    }
  }

  ask(at, caller, step) {
    const request = Object.fromEntries(Object.entries(step.request)
      .filter(([, value]) => value !== undefined));
    return (step.admin ? at.admin : caller).call(step.method, request,
      { metadata: { 'idempotency-key': step.key } });
  }

  finish(step, answer) {
    step.happened?.();
    if (step.to) step.thing.state = step.to;
    if (answer) step.answered?.(answer);
  }

  /**
   * Promise 3 across a crash: a call's change names the row of its idempotency key, once (or so many
   * rows that this one is not among those named). A call that was answered has its record: of that change or, when that only began it, a later one. One
   * that was cut off happened exactly when there is that change.
   */
  checkRecords(records) {
    const left = records.filter((one) => one.status === 0);
    const changes = new Map();
    for (const one of left) {
      for (const { table, key } of one.changes) {
        const mine = table === 'idempotency' && key.slice(key.indexOf('/') + 1);
        if (mine) changes.set(mine, [...(changes.get(mine) ?? []), one]);
      }
    }
    for (const step of [...this.answered, ...this.cut]) {
      const [change, ...more] = changes.get(step.key) ?? takeLarge(left, step);
      const what = `${step.operation} of ${step.thing.name}`;
      assert.strictEqual(more.length, 0, `${what} is recorded ${more.length + 1} times`);
      step.didHappen = change !== undefined;
      if (this.cut.includes(step)) continue;
      assert(change, `${what} was acknowledged, but is not in the audit log`);
      if (change.operation === step.operation) continue;
      const own = left.findIndex((one) => one.operation === step.operation &&
        one.vault === change.vault && one.name === change.name && one.sequence > change.sequence);
      assert(own >= 0, `${what} was acknowledged, and its end is not in the audit log`);
      left.splice(own, 1);
    }
  }

  /** Steps that were cut off happened or not; a repetition with the same key happens once. */
  async settle(at) {
    for (const step of this.cut) {
      const { thing } = step;
      this.counts.cut++;
      this.counts.cut_and_done += step.didHappen;
      if (step.didHappen) this.finish(step);
      await this.check(at, thing, step);
      thing.busy = false;
      if (step.first || !this.dice.chance(0.5)) continue;
      this.counts.repeated++;
      const again = await this.ask(at, at.user, step).catch((error) => {
        error.message += ` (repeated; it had ${step.didHappen ? '' : 'not '}happened)`;
        throw error;
      });
      if (!step.didHappen) this.finish(step, again);
    }
    await this.checkAll(at, [...this.touched]);
  }

  /** At most so many of those that nobody touched in this round. */
  async checkOld(at, most) {
    const old = [...this.things.values()].flat().filter((one) => !this.touched.has(one));
    while (old.length > most) old.splice(this.dice.below(old.length), 1);
    await this.checkAll(at, old);
  }

  async checkAll(at, list) {
    const left = [...list];
    const work = async (caller) => {
      for (let it = left.pop(); it; it = left.pop()) await this.check(at, it, null, caller);
    };
    await Promise.all(at.connections.map(work));
  }

  async check(at, thing, step, caller = at.user) {
    try {
      await thing.check(at, caller);
    } catch (error) {
      const cut = this.cut.find((one) => one.thing === thing);
      throw new Error(`${thing.constructor.name} ${thing.name} (${thing.state}; ${cut ?
        `cut off in ${cut.operation}, ${cut.didHappen ? '' : 'not '}in the audit log` :
        'nothing cut off'}): ${error.message}\n` + this.answered.filter((one) =>
        one.thing === thing).map((one) => one.operation).join(' '), { cause: error });
    }
  }
}

/** Every method that changes something is among those that were called, or is named above. */
export function checkCoverage(called) {
  const missing = [...methods.keys()].filter((method) => !READS.test(method) &&
    !(method in ELSEWHERE) && !called.has(method));
  assert.deepStrictEqual(missing, [], 'nobody called these');
}

/* A record of the step that names as many rows as one can, that of the key not among them; each for
 * one step. */
function takeLarge(records, { operation, thing }) {
  const at = records.findIndex((one) => one.operation === operation && one.name === thing.name &&
    one.changes.length === CHANGES_NAMED &&
    one.changes.every(({ table }) => table !== 'idempotency'));
  return at < 0 ? [] : records.splice(at, 1);
}

const isCut = (error) => error instanceof CallError &&
  ['UNAVAILABLE', 'CANCELLED'].includes(error.code);
