// receiver.mjs - an https endpoint on loopback that takes webhooks, or does anything else.
import assert from 'node:assert';
import { createPublicKey, verify } from 'node:crypto';
import https from 'node:https';

/* What Standard Webhooks calls whpk_, as a key that node verifies with. */
export function publicKeyOf(text) {
  assert.match(text, /^whpk_[A-Za-z0-9+/]{43}=$/);
  const x = Buffer.from(text.slice(5), 'base64').toString('base64url');
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
}

/** Is this delivery signed by that key? As the specification says, written from it alone. */
export function verified({ headers, body }, key) {
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
  return headers['webhook-signature'].split(' ').some((text) => {
    const [version, signature] = text.split(',');
    return version === 'v1a' &&
      verify(null, Buffer.from(signed), publicKeyOf(key), Buffer.from(signature, 'base64'));
  });
}

/**
 * `identity` is { key, pem }. `consent` are the headers that an OPTIONS is answered with; `answer`
 * (request, response, delivery) answers a POST, else it is 204; `meanwhile`, if it is set later, is
 * waited for before an OPTIONS is answered. What came is in .deliveries
 * { headers, body, event, path } and .questions (the headers of OPTIONS).
 */
export class Receiver {
  constructor(identity, { consent = { 'WebHook-Allowed-Origin': '*', 'WebHook-Allowed-Rate': '*' },
    answer, hostname = '127.0.0.1' } = {}) {
    Object.assign(this, { consent, answer, deliveries: [], questions: [] });
    this.server = https.createServer({ key: identity.key, cert: identity.pem }, (request, response) => {
      const parts = [];
      request.on('data', (it) => parts.push(it));
      request.on('end', () => this.#take(request, response, Buffer.concat(parts).toString()));
    });
    this.server.on('clientError', (_, socket) => socket.destroy());
    this.ready = new Promise((resolve) => {
      this.server.listen(0, hostname, () => {
        this.port = this.server.address().port;
        resolve(this);
      });
    });
  }

  async #take(request, response, body) {
    if (request.method === 'OPTIONS') {
      this.questions.push(request.headers);
      await this.meanwhile?.();
      response.writeHead(this.consent ? 200 : 405, this.consent ?? {}).end();
      return;
    }
    const delivery = { headers: request.headers, body, path: request.url, method: request.method };
    try {
      delivery.event = JSON.parse(body);
    } catch {
      delivery.event = null;
    }
    this.deliveries.push(delivery);
    if (this.answer) this.answer(request, response, delivery);
    else response.writeHead(204).end();
  }

  url(path = '/hook') {
    return `https://localhost:${this.port}${path}`;
  }

  /** The deliveries that fit, once there are so many. */
  async until(count, fits = () => true, ms = 60_000) {
    const end = Date.now() + ms;
    for (;;) {
      const found = this.deliveries.filter(fits);
      if (found.length >= count) return found;
      if (Date.now() > end) {
        throw new Error(`${found.length} deliveries instead of ${count}: ${
          JSON.stringify(this.deliveries.map((it) => [it.event?.type, it.event?.subject]))}`);
      }
      await new Promise((resolve) => { setTimeout(resolve, 25); });
    }
  }

  stop() {
    this.server.closeAllConnections();
    return new Promise((resolve) => { this.server.close(resolve); });
  }
}
