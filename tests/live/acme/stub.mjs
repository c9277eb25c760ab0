// stub.mjs - an ACME authority of our own that says what a test wants. It checks each signature,
// nonce and URL, believes every proof, and signs with OpenSSL. Each path below `/<world>/` is an
// authority of its own: one that misbehaves does not spoil the others.
//
//   const stub = await Stub.start(folder);
//   stub.world('slow').on('newOrder', (request, answer) => ...)   // true: it has answered
//   stub.world('slow').asked                                     // [{ what, payload, at }]
//   stub.world('slow').before = (what, answer) => ...            // of every request, nonces too
//   stub.world('slow').renewalInfo = true; .window = { start, end, explanationURL? }  // RFC 9773
import assert from 'node:assert';
import crypto from 'node:crypto';
import fs from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { Authority } from '../support/authority.mjs';
import { serverIdentity } from './programs.mjs';

const url64 = (data) => Buffer.from(data).toString('base64url');
const ACME = 'urn:ietf:params:acme:error:';

class World {
  constructor(stub, name) {
    Object.assign(this, { stub, name, asked: [], scripts: {}, nonces: new Set(), accounts: [],
      orders: [], profiles: {}, window: null, renewalInfo: false, persist: null,
      retryAfter: 60, days: 1, requests: 0, before: null });
    this.base = `https://127.0.0.1:${stub.port}/${name}`;
    this.directory = `${this.base}/directory`;
  }

  /** `script` is asked before what is usual; true: it has answered. */
  on(what, script) {
    this.scripts[what] = script;
    return this;
  }

  count(what) {
    return this.asked.filter((it) => it.what === what).length;
  }

  nonce() {
    const nonce = url64(crypto.randomBytes(12));
    this.nonces.add(nonce);
    return nonce;
  }

  say(answer, status, body, headers = {}) {
    answer.writeHead(status, { 'Replay-Nonce': this.nonce(), 'Content-Type': 'application/json',
      ...headers });
    answer.end(typeof body === 'string' ? body : JSON.stringify(body));
  }

  refuse(answer, status, type, detail, headers = {}) {
    this.say(answer, status, { type: ACME + type, detail },
      { 'Content-Type': 'application/problem+json', ...headers });
  }

  /* The payload of a request whose signature holds. */
  open(request, body) {
    assert.strictEqual(request.headers['content-type'], 'application/jose+json');
    const jws = JSON.parse(body);
    const header = JSON.parse(Buffer.from(jws.protected, 'base64url'));
    assert.strictEqual(header.alg, 'ES256');
    assert.strictEqual(header.url, `https://127.0.0.1:${this.stub.port}${request.url}`);
    assert(this.nonces.delete(header.nonce), 'an old nonce');
    assert(Boolean(header.jwk) !== Boolean(header.kid));
    const jwk = header.jwk ?? this.accounts[Number(header.kid.split('/').pop())];
    const key = crypto.createPublicKey({ key: jwk, format: 'jwk' });
    assert(crypto.verify('sha256', Buffer.from(`${jws.protected}.${jws.payload}`),
      { key, dsaEncoding: 'ieee-p1363' }, Buffer.from(jws.signature, 'base64url')), 'signature');
    return { jwk, payload: jws.payload ? JSON.parse(Buffer.from(jws.payload, 'base64url')) : null };
  }

  /* The value that calls an account by a hash of one name, or of "*" (draft-ietf-acme-dns-persist-02). */
  hashOf(name, account) {
    const { crv, kty, x, y } = this.accounts[0];
    const thumbprint = url64(crypto.createHash('sha256').update(JSON.stringify({ crv, kty, x, y }))
      .digest());
    const hash = crypto.createHash('sha256').update(Buffer.from([name.length])).update(name)
      .update(thumbprint).update(account).digest();
    return `${this.base}/hash/sha-256/${url64(hash)}`;
  }

  /* With `persist`, { domain, standing: Set of 'name TXT value' }, names are proved by records that
   * stand; what is not there is looked for again. `offer`: what challenges say beside, `until`: how
   * records have to end; `hashed`: the account is called by a hash. */
  provedBy(order, nth) {
    const { domain, standing, offer, hashed, until = '' } = this.persist;
    const { value } = order.identifiers[nth];
    const wildcard = value.startsWith('*.');
    const name = wildcard ? value.slice(2) : value;
    const account = `${this.base}/account/0`;
    const called = hashed ? [this.hashOf(name, account), this.hashOf('*', account)]
      : [offer?.accounturi ?? account];
    const stands = called.some((it) => standing.has(`_validation-persist.${name}. TXT "${domain}; ` +
      `accounturi=${it}${wildcard ? '; policy=wildcard' : ''}${until}"`));
    if (order.looked?.has(nth) && stands) order.proved.add(nth);
    const proved = order.proved.has(nth);
    if (order.proved.size === order.identifiers.length && order.status === 'pending') {
      order.status = 'ready';
    }
    return { status: proved ? 'valid' : this.persist.given_up ? 'invalid' : 'pending', wildcard,
      identifier: { type: 'dns', value: name },
      challenges: [{ type: 'dns-persist-01', url: `${this.base}/challenge/${order.id}/${nth}`,
        ...(hashed ? { issuerDomainNames: [domain] } : { 'issuer-domain-names': [domain] }), ...offer,
        status: proved ? 'valid' : this.persist.given_up ? 'invalid'
          : order.looked?.has(nth) ? 'processing' : 'pending',
        ...(proved || !order.looked?.has(nth) ? {} : { error: { type: `${ACME}unauthorized`,
          detail: 'no such record' } }) }] };
  }

  view(order) {
    return { status: order.status, identifiers: order.identifiers,
      authorizations: order.identifiers.map((_, i) => `${this.base}/authz/${order.id}/${i}`),
      finalize: `${this.base}/finalize/${order.id}`,
      ...(order.status === 'valid' ? { certificate: `${this.base}/cert/${order.id}` } : {}) };
  }

  /* What a well-behaved authority does. */
  usual(what, id, { jwk, payload, nth }, answer) {
    const order = this.orders[id];
    if (what === 'newAccount') {
      const known = this.accounts.findIndex((it) => it.x === jwk.x);
      if (known < 0 && payload.onlyReturnExisting) {
        return this.refuse(answer, 400, 'accountDoesNotExist', 'no such account');
      }
      const at = known < 0 ? this.accounts.push(jwk) - 1 : known;
      return this.say(answer, known < 0 ? 201 : 200, { status: 'valid' },
        { Location: `${this.base}/account/${at}` });
    }
    if (what === 'newOrder') {
      this.orders.push({ id: this.orders.length, status: this.persist ? 'pending' : 'ready',
        looked: new Set(), proved: new Set(), ...payload });
      const made = this.orders.at(-1);
      return this.say(answer, 201, this.view(made), { Location: `${this.base}/order/${made.id}` });
    }
    if (what === 'account') return this.say(answer, 200, { status: 'valid' });
    if (what === 'order') return this.say(answer, 200, this.view(order));
    if (what === 'challenge') {
      order.looked.add(Number(nth));
      return this.say(answer, 200, this.provedBy(order, Number(nth)).challenges[0]);
    }
    if (what === 'authz' && this.persist) {
      return this.say(answer, 200, this.provedBy(order, Number(nth)), { 'Retry-After': '1' });
    }
    if (what === 'authz') {
      return this.say(answer, 200, { status: 'valid', identifier: order.identifiers[0],
        challenges: [] });
    }
    if (what === 'finalize') {
      order.pem = this.stub.authority.sign(Buffer.from(payload.csr, 'base64url'),
        { days: this.days }).toString() + this.stub.authority.intermediate;
      order.status = 'valid';
      return this.say(answer, 200, this.view(order));
    }
    if (what === 'cert') {
      return this.say(answer, 200, order.pem,
        { 'Content-Type': 'application/pem-certificate-chain; charset=utf-8' });
    }
    return this.refuse(answer, 404, 'malformed', `no ${what}`);
  }

  serve(request, body, [what, id, nth], answer) {
    this.requests++;
    if (this.before?.(what, answer)) return;
    if (what === 'directory') {
      this.asked.push({ what, at: Date.now() });
      if (this.scripts.directory?.(request, answer)) return;
      const at = (name) => `${this.base}/${name}`;
      this.say(answer, 200, { newNonce: at('nonce'), newAccount: at('newAccount'),
        newOrder: at('newOrder'), revokeCert: at('revoke'), keyChange: at('keyChange'),
        ...(this.renewalInfo ? { renewalInfo: at('renewal') } : {}),
        meta: { profiles: this.profiles,
          ...(this.persist ? { caaIdentities: [this.persist.domain] } : {}),
          ...(this.persist?.hashed ? { issuerDomainNames: [this.persist.domain],
            accountHashPrefix: at('hash/') } : {}) } });
      return;
    }
    if (what === 'nonce') {
      this.say(answer, 200, '');
      return;
    }
    if (what === 'renewal') {
      this.asked.push({ what, id, at: Date.now() });
      if (this.window) {
        const { explanationURL, ...suggestedWindow } = this.window;
        this.say(answer, 200, { suggestedWindow, ...(explanationURL ? { explanationURL } : {}) },
          { 'Retry-After': String(this.retryAfter) });
      } else this.refuse(answer, 404, 'malformed', 'no opinion');
      return;
    }
    const opened = { ...this.open(request, body), nth };
    this.asked.push({ what, id, payload: opened.payload, at: Date.now() });
    if (this.scripts[what]?.({ id, ...opened }, answer)) return;
    this.usual(what, id, opened, answer);
  }
}

export class Stub {
  static async start(folder) {
    const stub = new Stub();
    stub.worlds = new Map();
    stub.troubles = [];
    stub.identity = serverIdentity(path.join(folder, 'https'));
    stub.ca = stub.identity.ca;
    stub.authority = new Authority(path.join(folder, 'authority'));
    stub.server = https.createServer({ key: fs.readFileSync(stub.identity.key),
      cert: fs.readFileSync(stub.identity.certificate) }, (request, answer) => {
      const parts = [];
      request.on('data', (it) => parts.push(it));
      request.on('end', () => stub.serve(request, Buffer.concat(parts).toString(), answer));
    });
    await new Promise((resolve) => stub.server.listen(0, '127.0.0.1', resolve));
    stub.port = stub.server.address().port;
    return stub;
  }

  world(name) {
    if (!this.worlds.has(name)) this.worlds.set(name, new World(this, name));
    return this.worlds.get(name);
  }

  serve(request, body, answer) {
    const [, name, ...rest] = request.url.split('/');
    try {
      this.world(name).serve(request, body, rest, answer);
    } catch (error) {
      this.troubles.push(error);
      answer.writeHead(400);
      answer.end();
    }
  }

  async stop() {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
