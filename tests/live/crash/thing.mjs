// thing.mjs - what a server is asked to make, change and remove, and what is known of it.
//
// A thing has a state of its own: 'gone', 'live', 'deleted', ... In each it offers steps, which are
// calls that change something:
//
//   { operation    the name in the audit log
//     method, request, admin    the call; by the administrator, or by the user
//     to           the state afterwards; absent: the same
//     happened()   notes what is known when it happened, answered or not
//     answered(a)  notes what only the answer tells
//     first()      a call before it that changes nothing; gives members of the request }
//
// and check() compares all that is known with what the server says.
import assert from 'node:assert';
import { CallError } from '../support/keyvault.mjs';

export const VAULT = 'shop';
export const tag = (value) => ({ items: [{ name: 'mark', value }] });

export class Thing {
  state = 'gone';
  busy = false;

  constructor(name) {
    this.name = name;
  }

  get at() {
    return { vault: VAULT, name: this.name };
  }

  /** A step of this thing; `more` is its members, the class's habits are the rest. */
  step(operation, method, request, more = {}) {
    return { thing: this, operation, method, request, ...more };
  }
}

/** The answer, or null when there is no such thing. */
export async function find(caller, method, request) {
  try {
    return await caller.call(method, request);
  } catch (error) {
    if (error instanceof CallError && error.code === 'NOT_FOUND') return null;
    throw error;
  }
}

/** All items of a list that comes in pages; `member` of each answer. */
export async function listed(caller, method, request, member = 'items') {
  const all = [];
  let token = Buffer.alloc(0);
  do {
    const page = await caller.call(method, { ...request, page_size: 500, page_token: token });
    all.push(...page[member]);
    token = page.next_page_token;
  } while (token.length);
  return all;
}

/**
 * A thing with versions, deletion and recovery. `versions`: version -> what is known of it;
 * `unseen`: what is known of versions whose number was never told.
 */
export class Versioned extends Thing {
  versions = new Map();
  unseen = [];
  marks = new Map(); // version -> tag

  constructor(name, noun, service = noun) {
    super(name);
    this.noun = noun;
    this.service = `${service}Service`;
  }

  any(dice) {
    return dice.pick([...this.versions.keys()]);
  }

  /** A step that makes a version; `known` is kept for it; more: see(answer, known), also() what else
   * happens with it. */
  making(operation, method, request, known, more = {}) {
    return this.step(operation, method, request, { to: 'live',
      happened: () => {
        this.unseen.push(known);
        more.also?.();
      },
      answered: (answer) => {
        this.unseen.splice(this.unseen.indexOf(known), 1);
        this.versions.set(answer.id.version, known);
        more.see?.(answer, known);
      } });
  }

  removal() {
    return this.step(`${this.noun}Delete`, `${this.service}/Delete${this.noun}`, this.at,
      { to: 'deleted' });
  }

  marking(dice) {
    const version = this.any(dice);
    const mark = `m${dice.below(1e9)}`;
    return this.step(`${this.noun}Update`, `${this.service}/Update${this.noun}`,
      { ...this.at, version, tags: tag(mark) },
      { happened: () => this.marks.set(version, mark) });
  }

  /** Steps of a deleted one. */
  afterDeletion() {
    return [
      [1, this.step(`${this.noun}Recover`, `${this.service}/RecoverDeleted${this.noun}`, this.at,
        { to: 'live' })],
      [2, this.step(`${this.noun}Purge`, `${this.service}/PurgeDeleted${this.noun}`, this.at,
        { to: 'gone', happened: () => this.forget() })],
    ];
  }

  forget() {
    this.versions = new Map();
    this.unseen = [];
    this.marks = new Map();
  }

  /** Versions are those that are known, and as many more as were made unseen. */
  async check(at, caller) {
    const live = await find(caller, `${this.service}/Get${this.noun}`, this.at);
    const deleted = await find(caller, `${this.service}/GetDeleted${this.noun}`, this.at);
    assert.deepStrictEqual([!!live, !!deleted], [this.state === 'live', this.state === 'deleted']);
    if (!live) return;
    const there = (await listed(caller, `${this.service}/List${this.noun}Versions`, this.at))
      .map((one) => one.id.version);
    assert.strictEqual(there.length, this.versions.size + this.unseen.length,
      `it has ${there.length} versions, not ${this.versions.size} and ${this.unseen.length} unseen`);
    for (const version of this.versions.keys()) {
      assert(there.includes(version), `version ${version} is lost`);
    }
    for (const version of there.filter((one) => !this.versions.has(one))) {
      await this.meet(caller, version);
    }
    assert.strictEqual(this.unseen.length, 0);
    const [version] = [...this.versions.keys()].slice(-1);
    await this.works(caller, version, at);
    for (const [marked, mark] of [...this.marks].slice(-2)) {
      const got = await caller.call(`${this.service}/Get${this.noun}`,
        { ...this.at, version: marked });
      assert.deepStrictEqual(got.tags, tag(mark).items, `the tag of ${marked}`);
    }
  }
}
