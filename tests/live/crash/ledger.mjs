// ledger.mjs - what the clients of crash.mjs asked for and were told, kept outside the server.
import assert from 'node:assert';
import { CallError } from '../support/keyvault.mjs';

export const VAULT = 'shop';
const MESSAGE = Buffer.from('a document');

const policy = (exportable) => ({
  key_props: { kty: 'EC', exportable },
  x509_props: { subject: 'CN=www.example.org', sans: { dns_names: ['www.example.org'] },
    validity_months: 1 },
  issuer: { name: 'Self' },
});

async function sign(caller, name) {
  const common = { vault: VAULT, name, algorithm: 'ES256', message: MESSAGE };
  const { signature } = await caller.call('KeyService/Sign', common);
  const { valid } = await caller.call('KeyService/Verify', { ...common, signature });
  assert.strictEqual(valid, true, `the signature of ${name} does not verify`);
}

/* What a kind of object needs for each step. `works` fails for one that is there but broken. */
const kinds = {
  key: {
    service: 'KeyService', noun: 'Key',
    create: (caller, it) => caller.call('KeyService/CreateKey',
      { vault: VAULT, name: it.name, kty: 'EC' }),
    works: (caller, it) => sign(caller, it.name),
  },
  secret: {
    service: 'SecretService', noun: 'Secret', createName: 'SecretSet',
    create: (caller, it) => caller.call('SecretService/SetSecret',
      { vault: VAULT, name: it.name, value: Buffer.from(it.value) }),
    works: async (caller, it) => {
      const got = await caller.call('SecretService/GetSecret', { vault: VAULT, name: it.name });
      assert.strictEqual(got.value.toString(), it.value);
    },
  },
  certificate: {
    service: 'CertificateService', noun: 'Certificate',
    create: (caller, it) => caller.call('CertificateService/CreateCertificate',
      { vault: VAULT, name: it.name, policy: policy(it.exportable) }),
    works: async (caller, it) => {
      const common = { vault: VAULT, name: it.name };
      const got = await caller.call('CertificateService/GetCertificate', common);
      assert(got.cer.length > 0, `${it.name} has no certificate`);
      const operation = await caller.call('CertificateService/GetCertificateOperation', common);
      assert.strictEqual(operation.status, 'completed', `${it.name} is stuck`);
      await sign(caller, it.name);
      const secret = await caller.call('SecretService/GetSecret', common);
      assert(secret.value.length > 0);
      const key = await caller.call('KeyService/GetKey', common);
      assert.strictEqual(key.exportable, it.exportable);
    },
  },
};

const request = (it) => ({ vault: VAULT, name: it.name });

/* The answer, or null when there is none by that name. */
async function find(caller, method, it) {
  try {
    return await caller.call(method, request(it));
  } catch (error) {
    if (error instanceof CallError && error.code === 'NOT_FOUND') return null;
    throw error;
  }
}

export class Ledger {
  objects = []; // { kind, name, state: 'live' | 'deleted' | 'gone', ... }
  grants = []; // { id, scope, state: 'live' | 'gone' }
  counts = { acknowledged: 0, cut: 0, keys: 0, secrets: 0, certificates: 0, deleted: 0, purged: 0,
    grants: 0, cut_and_done: 0 };

  begin(number) {
    this.number = number;
    this.killed = false;
    this.answered = []; // "KeyCreate name" of each acknowledged call
    this.cut = []; // { operation, name, it, before, after }: whether they happened is not known
    this.touched = new Set();
  }

  /** Calls until the server dies. */
  async load(caller, at, client) {
    for (let i = 0; !this.killed; i++) {
      const step = this.choose(client, i, at);
      const { operation, name, it, after } = step;
      const before = it.state;
      it.state = 'busy'; // nobody else takes it meanwhile
      this.touched.add(it);
      try {
        await step.run(step.admin ? at.admin : caller);
      } catch (error) {
        if (!this.killed || !(error instanceof CallError) ||
            !['UNAVAILABLE', 'CANCELLED'].includes(error.code)) throw error;
        this.cut.push({ operation, name, it, before, after });
        this.counts.cut++;
        return;
      }
      it.state = after;
      this.answered.push(`${operation} ${name}`);
      this.counts.acknowledged++;
      this.counts[step.counter]++;
    }
  }

  choose(client, i, at) {
    const dice = Math.random();
    if (dice < 0.1) return this.grantStep(at);
    if (dice < 0.25) {
      const step = this.deleteStep();
      if (step) return step;
    }
    const kind = ['key', 'secret', 'certificate'][Math.floor(Math.random() * 3)];
    const { noun, createName, create } = kinds[kind];
    const name = `${kind[0]}-${this.number}-${client}-${i}`;
    const it = { kind, name, value: `value of ${name}`, exportable: Math.random() < 0.5 };
    this.objects.push(it);
    return { operation: createName ?? `${noun}Create`, name, it, after: 'live',
      counter: `${kind}s`, run: (caller) => create(caller, it) };
  }

  deleteStep() {
    const it = this.any(this.objects, (one) => one.state === 'deleted' || one.state === 'live');
    if (!it) return null;
    const { service, noun } = kinds[it.kind];
    if (it.state === 'live') {
      return { operation: `${noun}Delete`, name: it.name, it, after: 'deleted',
        counter: 'deleted', run: (caller) => caller.call(`${service}/Delete${noun}`, request(it)) };
    }
    return { operation: `${noun}Purge`, name: it.name, it, after: 'gone', counter: 'purged',
      run: (caller) => caller.call(`${service}/PurgeDeleted${noun}`, request(it)) };
  }

  grantStep(at) {
    const old = Math.random() < 0.4 && this.any(this.grants, (one) => one.state === 'live');
    if (old) {
      return { operation: 'RoleAssignmentRemove', name: old.id, it: old, after: 'gone', admin: true,
        counter: 'grants', run: (admin) => admin.call('AccessService/RemoveAssignment',
          { assignment_id: old.id }) };
    }
    const it = { scope: `/vaults/${VAULT}/keys/g-${this.number}-${this.grants.length}` };
    this.grants.push(it);
    return { operation: 'RoleAssign', name: it.scope, it, after: 'live', admin: true,
      counter: 'grants', run: async (admin) => {
        const done = await admin.call('AccessService/AssignRole',
          { principal_id: at.target.id, role: 'CRYPTO_USER', scope: it.scope });
        it.id = done.id;
      } };
  }

  any(list, wanted) {
    for (let tries = 0; list.length && tries < 10; tries++) {
      const it = list[Math.floor(Math.random() * list.length)];
      if (wanted(it)) return it;
    }
    return null;
  }

  /** Promise 3 across a crash: each acknowledged call of this round has its record. */
  checkRecords(records) {
    const told = new Map();
    this.records = records;
    for (const one of records.filter((record) => record.status === 0)) {
      // Start-up finishes what a crash interrupted under a name of its own.
      const key = `${one.operation.replace(/Resumed$/, '')} ${this.nameOf(one)}`;
      told.set(key, (told.get(key) ?? 0) + 1);
    }
    for (const key of this.answered) {
      assert(told.get(key) > 0, `acknowledged, but not in the audit log: ${key}`);
      told.set(key, told.get(key) - 1);
    }
    this.told = told;
  }

  nameOf(record) {
    if (!record.operation.startsWith('Role')) return record.name;
    const scope = /scope=(\S+)/.exec(record.note)?.[1];
    const id = record.changes.find((one) => one.table === 'assignments')?.key.split(/\W/).pop();
    return record.operation === 'RoleAssign' ? scope : id;
  }

  /** What was cut off either happened as a whole, record and all, or did not happen. */
  async settle(at) {
    for (const one of this.cut) {
      const happened = (this.told.get(`${one.operation} ${one.name}`) ?? 0) > 0;
      one.it.state = happened ? one.after : one.before ?? 'gone';
      one.it.wasCut = one.operation;
      this.counts.cut_and_done += happened;
      if (happened || one.before || !one.it.kind) continue;
      // The name is free: nothing of the half-made one is in the way.
      await this.check(at, one.it);
      await kinds[one.it.kind].create(at.user, one.it);
      one.it.state = 'live';
    }
    await this.checkAll(at, [...this.touched]);
  }

  async checkOld(at, most) {
    const old = this.objects.filter((it) => !this.touched.has(it));
    while (old.length > most) old.splice(Math.floor(Math.random() * old.length), 1);
    await this.checkAll(at, old);
    await this.checkGrants(at);
  }

  async checkAll(at, list) {
    const left = list.filter((it) => it.kind);
    const work = async (caller) => {
      for (let it = left.pop(); it; it = left.pop()) await this.check(at, it, caller);
    };
    await Promise.all(at.connections.map(work));
  }

  async check(at, it, caller = at.user) {
    const { service, noun, works } = kinds[it.kind];
    const what = `${it.kind} ${it.name} (${it.state}, cut off in ${it.wasCut ?? 'nothing'})`;
    try {
      if (it.state === 'live') {
        await works(caller, it);
        return;
      }
      const live = await find(caller, `${service}/Get${noun}`, it);
      const deleted = await find(caller, `${service}/GetDeleted${noun}`, it);
      assert.deepStrictEqual([!!live, !!deleted], [false, it.state === 'deleted']);
    } catch (error) {
      const told = this.records.filter((one) => one.name === it.name)
        .map((one) => `${one.sequence} ${one.operation} ${one.status} ${one.note}`);
      error.message = `${what}: ${error.message}\n${told.join('\n')}`;
      throw error;
    }
  }

  async checkGrants(at) {
    const there = new Map();
    let token = Buffer.alloc(0);
    do {
      const page = await at.admin.call('AccessService/ListAssignments',
        { principal_id: at.target.id, page_size: 500, page_token: token });
      for (const one of page.items ?? page.assignments) there.set(one.scope, one.id);
      token = page.next_page_token;
    } while (token.length);
    const mine = this.grants.filter((one) => one.state === 'live');
    for (const one of mine) assert(there.has(one.scope), `the grant of ${one.scope} is lost`);
    assert.strictEqual(there.size, mine.length, 'a removed grant came back');
    for (const one of mine) one.id = there.get(one.scope);
  }
}
