// provider.mjs - an identity provider on loopback whose every word a test can choose.
//
//   const provider = await Provider.start(folder);
//   provider.token({ sub: 'alice' });                      // a good one
//   provider.token({ sub: 'alice' }, { header: { alg: 'none' } });
//   provider.rotate();                                     // other keys from now on
import { createHmac, constants, createSign, generateKeyPairSync, randomUUID, sign }
  from 'node:crypto';
import fs from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { run } from '../support/keyvault.mjs';
import { freePorts } from '../support/ports.mjs';

const b64 = (it) => Buffer.from(it).toString('base64url');

/** A certificate for loopback, its own CA: { key, pem, file }. */
export function loopbackIdentity(folder) {
  const [key, pem] = ['idp.key', 'idp.pem'].map((name) => path.join(folder, name));
  run('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
    '-keyout', key, '-out', pem, '-subj', '/CN=identity provider', '-days', '2', '-addext',
    'subjectAltName=DNS:localhost,IP:127.0.0.1']);
  return { key: fs.readFileSync(key), pem: fs.readFileSync(pem), file: pem };
}

const made = {
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  EdDSA: () => generateKeyPairSync('ed25519'),
};

export class Provider {
  static async start(folder) {
    const provider = new Provider();
    provider.identity = loopbackIdentity(folder);
    provider.rotate();
    provider.fetches = 0;
    provider.server = https.createServer({ key: provider.identity.key,
      cert: provider.identity.pem }, (request, answer) => provider.serve(request, answer));
    [provider.port] = await freePorts(1); // it goes down and comes back
    await provider.up();
    provider.issuer = `https://localhost:${provider.port}`;
    return provider;
  }

  up() {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(this.port, '127.0.0.1', resolve);
    });
  }

  down() {
    this.server.closeAllConnections();
    return new Promise((resolve) => { this.server.close(resolve); });
  }

  /** Keys of three kinds, with new names. */
  rotate() {
    this.keys = Object.fromEntries(Object.entries(made)
      .map(([alg, make]) => [alg, { kid: randomUUID(), alg, ...make() }]));
  }

  serve(request, answer) {
    const documents = {
      '/.well-known/openid-configuration': () => ({ issuer: this.issuer,
        jwks_uri: `${this.issuer}/keys` }),
      '/keys': () => {
        this.fetches += 1;
        return { keys: Object.values(this.keys).map(({ kid, alg, publicKey }) => ({
          ...publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' })) };
      },
    };
    const make = documents[request.url];
    answer.writeHead(make ? 200 : 404, { 'content-type': 'application/json' });
    answer.end(JSON.stringify(make ? make() : {}));
  }

  /** A signed token. `payload` overrides the usual claims; undefined removes one. */
  token(payload, { alg = 'RS256', header = {}, key = this.keys[alg], raw } = {}) {
    const now = Math.floor(Date.now() / 1000);
    const head = JSON.stringify({ alg, kid: key.kid, typ: 'JWT', ...header });
    const body = raw ?? JSON.stringify({ iss: this.issuer, aud: 'keyvault', iat: now,
      exp: now + 300, ...payload });
    const text = `${b64(head)}.${b64(body)}`;
    return `${text}.${b64(this.signature(JSON.parse(head).alg, key, text))}`;
  }

  signature(alg, key, text) {
    const bytes = Buffer.from(text);
    if (alg === 'none') return '';
    if (alg === 'HS256') { // the confusion of a public key with a shared secret
      return createHmac('sha256', key.publicKey.export({ type: 'spki', format: 'pem' }))
        .update(text).digest();
    }
    if (key.alg === 'EdDSA') return sign(null, bytes, key.privateKey);
    if (alg === 'PS256') {
      return sign('sha256', bytes, { key: key.privateKey,
        padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 });
    }
    return createSign('sha256').update(text)
      .sign({ key: key.privateKey, dsaEncoding: 'ieee-p1363' });
  }
}
