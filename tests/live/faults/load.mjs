// load.mjs - callers who never stop, check every answer, and remember what they were promised.
import assert from 'node:assert';
import { createPublicKey, createVerify } from 'node:crypto';
import { CallError, nap } from '../support/keyvault.mjs';

const VAULT = 'shop';
const PATIENT_MS = 15_000;
const CONNECT_MS = 2000; // the server has no deadline for a call that it has not seen
const b64 = (it) => Buffer.from(it).toString('base64url');

const publicOf = (bundle) => createPublicKey({ format: 'jwk',
  key: { kty: 'EC', crv: 'P-256', x: b64(bundle.key.x), y: b64(bundle.key.y) } });

export class Load {
  constructor(user) {
    this.user = user;
    this.keys = new Map(); // name -> public key, of keys that were acknowledged
    this.secrets = new Map();
    this.answers = 0;
    this.refusals = new Map();
    this.wrong = [];
    this.late = [];
    this.made = 0;
    this.on = false;
    this.deadline = PATIENT_MS;
  }

  async #once(what, mostMs, work) {
    const began = performance.now();
    try {
      await work();
      this.answers++;
      this.done.set(what, (this.done.get(what) ?? 0) + 1);
    } catch (error) {
      if (!(error instanceof CallError)) {
        this.wrong.push(`${what}: ${error.message}`);
      } else {
        const why = `${what}: ${error.code}`;
        this.refusals.set(why, (this.refusals.get(why) ?? 0) + 1);
        if (!['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'RESOURCE_EXHAUSTED'].includes(error.code)) {
          this.wrong.push(error.message);
        }
      }
    }
    const ms = performance.now() - began;
    if (ms > mostMs) this.late.push(`${what}: ${Math.round(ms)} ms`);
  }

  async sign(name) {
    const message = Buffer.from(`a document ${this.made}`);
    const { signature } = await this.user.call('KeyService/Sign',
      { vault: VAULT, name, algorithm: 'ES256', message }, { deadline: this.deadline });
    const good = createVerify('sha256').update(message)
      .verify({ key: this.keys.get(name), dsaEncoding: 'ieee-p1363' }, signature);
    assert(good, `a signature of ${name} is not valid`);
  }

  async createKey() {
    const name = `key-${++this.made}`;
    const bundle = await this.user.call('KeyService/CreateKey',
      { vault: VAULT, name, kty: 'EC' }, { deadline: this.deadline });
    this.keys.set(name, publicOf(bundle));
  }

  async setSecret() {
    const name = `secret-${++this.made}`;
    const value = Buffer.from(`value ${this.made}`);
    await this.user.call('SecretService/SetSecret', { vault: VAULT, name, value },
      { deadline: this.deadline });
    this.secrets.set(name, value);
  }

  async getSecret(name) {
    const { value } = await this.user.call('SecretService/GetSecret', { vault: VAULT, name },
      { deadline: this.deadline });
    assert(this.secrets.get(name).equals(value), `${name} has another value`);
  }

  /* A certificate whose key makes it whole: issued, and its key signs. */
  async createCertificate() {
    const name = `certificate-${++this.made}`;
    await this.user.call('CertificateService/CreateCertificate', { vault: VAULT, name, policy: {
      key_props: { kty: 'EC' }, issuer: { name: 'Self' },
      x509_props: { subject: `CN=${name}`, validity_months: 1 } } }, { deadline: this.deadline });
    const bundle = await this.user.call('KeyService/GetKey', { vault: VAULT, name },
      { deadline: this.deadline });
    this.keys.set(name, publicOf(bundle));
  }

  /** Every kind of work once, unwatched: so that there is something to use. */
  async begin() {
    for (let i = 0; i < 3; i++) await this.createKey();
    await this.setSecret();
    await this.createCertificate();
  }

  /* A handshake, which the token's TLS key signs, and a call. */
  async connect() {
    const other = this.user.again();
    other.bearer = this.user.bearer;
    try {
      await other.call('KeyService/ListKeys', { vault: VAULT },
        { deadline: this.deadline ?? CONNECT_MS });
    } finally {
      other.close();
    }
  }

  any(map) {
    const names = [...map.keys()];
    return names[Math.floor(Math.random() * names.length)];
  }

  /** Goes on until stop(); no answer may take longer than `mostMs`. */
  run(mostMs) {
    this.on = true;
    this.deadline = null; // the server's
    this.done = new Map(); // how often it was answered
    const loops = { sign: () => this.sign(this.any(this.keys)), 'create key': () => this.createKey(),
      'set secret': () => this.setSecret(), 'get secret': () => this.getSecret(this.any(this.secrets)),
      'create certificate': () => this.createCertificate(), 'connect': () => this.connect() };
    this.loops = Object.entries(loops).map(async ([what, work]) => {
      while (this.on) {
        await this.#once(what, mostMs, work);
        await nap(5);
      }
    });
  }

  /** Every kind of work has been done so often. */
  tried(times) {
    return this.done.size === this.loops.length && [...this.done.values()].every((it) => it >= times);
  }

  async stop() {
    this.on = false;
    await Promise.all(this.loops);
    this.deadline = PATIENT_MS;
  }

  /** Until every kind of work succeeds; false when it does not in time. */
  async recovers(ms) {
    const works = [() => this.sign(this.any(this.keys)), () => this.createKey(),
      () => this.setSecret(), () => this.getSecret(this.any(this.secrets)),
      () => this.createCertificate(), () => this.connect()];
    const until = Date.now() + ms;
    let left = works;
    while (left.length && Date.now() < until) {
      const still = [];
      for (const work of left) {
        await work().catch((error) => {
          if (!(error instanceof CallError)) throw error;
          this.last = error.message;
          still.push(work);
        });
      }
      left = still;
      if (left.length) await nap(100);
    }
    return left.length === 0;
  }

  /** What was acknowledged is there and works. */
  async check() {
    for (const name of this.keys.keys()) await this.sign(name);
    for (const name of this.secrets.keys()) await this.getSecret(name);
  }
}
