// rules.mjs - vaults and what is set for a vault, for the crash driver: see thing.mjs.
import assert from 'node:assert';
import { Thing, VAULT, find, listed, tag } from './thing.mjs';

/** A vault of its own, with a secret in it when `word` is set. */
export class House extends Thing {
  mark = null;
  word = null;
  keys = 0;

  static fresh(name) {
    return new House(name);
  }

  get at() {
    return { vault: this.name };
  }

  steps(dice) {
    const mark = `m${dice.below(1e9)}`;
    const own = (operation, method, to, more) =>
      [1, this.step(operation, `VaultService/${method}`, this.at, { to, ...more })];
    if (this.state === 'gone') {
      return [[1, this.step('VaultPut', 'VaultService/CreateVault',
        { ...this.at, tags: tag(mark).items }, { to: 'live',
          happened: () => Object.assign(this, { mark, word: null, keys: 0 }) })]];
    }
    if (this.state === 'deleted') {
      return [own('VaultRecover', 'RecoverVault', 'live'), own('VaultPurge', 'PurgeVault', 'gone')];
    }
    return [[1, this.step('VaultPatch', 'VaultService/UpdateVault', { ...this.at, tags: tag(mark) },
      { happened: () => { this.mark = mark; } })],
    [1, this.step('SecretSet', 'SecretService/SetSecret',
      { ...this.at, name: 'word', value: Buffer.from(mark) },
      { happened: () => { this.word = mark; } })],
    [1, this.step('KeyCreate', 'KeyService/CreateKey', { ...this.at, name: 'key', kty: 'EC' },
      { happened: () => this.keys++ })],
    own('VaultDelete', 'DeleteVault', 'deleted')];
  }

  async check(at, caller) {
    const got = await find(caller, 'VaultService/GetVault', this.at);
    const deleted = (await listed(caller, 'VaultService/ListDeletedVaults', {}, 'vaults'))
      .some((one) => one.name === this.name);
    assert.deepStrictEqual([!!got, deleted], [this.state === 'live', this.state === 'deleted']);
    if (!got) return;
    assert.deepStrictEqual(got.tags, tag(this.mark).items);
    const word = await find(caller, 'SecretService/GetSecret', { ...this.at, name: 'word' });
    assert.strictEqual(word?.value.toString(), this.word ?? undefined);
    if (!this.keys) return;
    const versions = await listed(caller, 'KeyService/ListKeyVersions',
      { ...this.at, name: 'key' });
    assert.strictEqual(versions.length, this.keys);
    await caller.call('KeyService/Sign',
      { ...this.at, name: 'key', algorithm: 'ES256', message: Buffer.from('a document') });
  }
}

/* Set as a whole, read and removed: contacts, webhooks, issuers. */
class Setting extends Thing {
  known = null;

  /** operations: [set, update or null, delete], methods likewise */
  offers([set, update, remove], request, known, more) {
    const happened = () => { this.known = { ...this.known, ...known }; };
    const all = [[2, this.step(set[0], set[1], { ...this.at, ...request }, { to: 'live', happened })]];
    if (this.state === 'gone') return all;
    if (update) {
      all.push([2, this.step(update[0], update[1], { ...this.at, ...more.request },
        { happened: () => { this.known = { ...this.known, ...more.known }; } })]);
    }
    return [...all, [1, this.step(remove[0], remove[1], this.at,
      { to: 'gone', happened: () => { this.known = null; } })]];
  }
}

/** Of the vault: there is one list. */
export class Contacts extends Setting {
  static fresh() {
    return new Contacts('');
  }

  get at() {
    return { vault: VAULT };
  }

  steps(dice) {
    const email = `mail-${dice.below(1e9)}@example.org`;
    return this.offers([['CertificateContactsSet', 'ContactService/SetContacts'], null,
      ['CertificateContactsDelete', 'ContactService/DeleteContacts']],
    { contacts: [{ email }] }, { email });
  }

  async check(at, caller) {
    const got = await find(caller, 'ContactService/GetContacts', this.at);
    assert.strictEqual(got?.contacts[0]?.email, this.known?.email);
  }
}

export class Webhook extends Setting {
  static fresh(name) {
    return new Webhook(name);
  }

  get at() {
    return { vault: VAULT, webhook: this.name };
  }

  steps(dice) {
    const url = `https://localhost:1/${dice.below(1e9)}`;
    return this.offers([['WebhookSet', 'WebhookService/SetWebhook'], null,
      ['WebhookDelete', 'WebhookService/DeleteWebhook']], { url }, { url });
  }

  async check(at, caller) {
    const got = await find(caller, 'WebhookService/GetWebhook', this.at);
    assert.strictEqual(got?.url, this.known?.url);
    if (!got) return;
    this.known.key ??= got.public_key;
    assert.strictEqual(got.public_key, this.known.key, 'it signs with another key');
  }
}

export class Issuer extends Setting {
  static fresh(name) {
    return new Issuer(name);
  }

  get at() {
    return { vault: VAULT, issuer: this.name };
  }

  steps(dice) {
    const rules = [`d${dice.below(1e9)}.example.org`];
    const rate = 1 + dice.below(1000);
    return this.offers([['CertificateIssuerSet', 'IssuerService/SetIssuer'],
      ['CertificateIssuerUpdate', 'IssuerService/UpdateIssuer'],
      ['CertificateIssuerDelete', 'IssuerService/DeleteIssuer']],
    { provider: 'LocalCA', settings: JSON.stringify({ vault: VAULT, authority: 'authority' }),
      allowed_domains: { rules }, order_rules: { orders_per_hour: 0 } },
    { rules, rate: 0 },
    { request: { order_rules: { orders_per_hour: rate } }, known: { rate } });
  }

  async check(at, caller) {
    const got = await find(caller, 'IssuerService/GetIssuer', this.at);
    assert.strictEqual(!!got, this.state === 'live');
    if (!got) return;
    assert.deepStrictEqual(got.allowed_domains, this.known.rules);
    assert.strictEqual(got.order_rules?.orders_per_hour ?? 0, this.known.rate);
  }
}

/** Certificates that are renewed all at once, by the server, while it is killed. */
export class Renewals extends Thing {
  state = 'live';
  waiting = false;
  expected = new Map(); // name -> versions

  static fresh(name) {
    return new Renewals(name);
  }

  get at() {
    return { vault: 'renewed', issuer: 'Self' };
  }

  /** Once: what is to be renewed. */
  async prepare(caller, count) {
    for (let i = 0; i < count; i++) {
      const name = `r${i}`;
      await caller.call('CertificateService/CreateCertificate', { vault: 'renewed', name, policy: {
        key_props: { kty: 'EC' }, issuer: { name: 'Self' }, x509_props: { validity_months: 1,
          subject: `CN=${name}.example.org`, sans: { dns_names: [`${name}.example.org`] } } } });
      this.expected.set(name, 1);
    }
  }

  steps() {
    if (this.waiting) return []; // until all of it was seen to be done
    return [[1, this.step('CertificateIssuerRenewAll', 'RenewalService/RenewAll',
      { ...this.at, spread_seconds: 1 }, { happened: () => {
        this.waiting = true;
        for (const [name, count] of this.expected) this.expected.set(name, count + 1);
      } })]];
  }

  /* A renewal ends, with one certificate, not at once: what the kill met in the instant between its
   * plan and its beginning is begun a minute later. */
  async check(at, caller) {
    const done = async () => {
      let all = true;
      for (const [name, count] of this.expected) {
        const it = { vault: 'renewed', name };
        const versions = await listed(caller, 'CertificateService/ListCertificateVersions', it);
        assert(versions.length <= count, `${name} was renewed ${versions.length - count} too often`);
        const { status } = await caller.call('CertificateService/GetCertificateOperation', it);
        assert(['completed', 'inProgress'].includes(status), `${name}: ${status}`);
        all &&= versions.length === count && status === 'completed';
      }
      return all;
    };
    if (at.patient && this.waiting) await at.until('every renewal ends', done);
    this.waiting = !await done();
  }
}
