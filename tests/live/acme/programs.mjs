// programs.mjs - the programs that stand for an authority outside: started, listened to, stopped.
import assert from 'node:assert';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { nap, run } from '../support/keyvault.mjs';

const START_MS = 60_000;
const SAYS_MS = 60_000;
const running = new Set();

process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** A CA and a certificate for localhost, for servers of tests: { ca, certificate, key }: files. */
export function serverIdentity(folder) {
  const at = (name) => path.join(folder, name);
  fs.mkdirSync(folder, { recursive: true });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  run('openssl', ['req', '-x509', ...key, '-keyout', at('ca.key'), '-out', at('ca.pem'), '-days',
    '30', '-subj', '/CN=HTTPS of a test', '-addext', 'basicConstraints=critical,CA:TRUE',
    '-addext', 'keyUsage=critical,keyCertSign']);
  run('openssl', ['req', ...key, '-keyout', at('server.key'), '-out', at('server.csr'), '-subj',
    '/CN=localhost']);
  fs.writeFileSync(at('server.ext'),
    'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n');
  run('openssl', ['x509', '-req', '-in', at('server.csr'), '-CA', at('ca.pem'), '-CAkey',
    at('ca.key'), '-set_serial', '0x4711', '-days', '30', '-extfile', at('server.ext'), '-out',
    at('server.pem')]);
  return { ca: at('ca.pem'), certificate: at('server.pem'), key: at('server.key') };
}

/** `directory` is its URL, `ca` a file that its HTTPS is trusted by, `log` what it says. */
export class Programs {
  log = '';

  children = [];

  spawn(program, args, env = {}) {
    const child = spawn(program, args,
      { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (text) => { this.log += text; });
    }
    running.add(child);
    child.gone = new Promise((resolve) => {
      child.on('close', resolve);
      child.on('error', (error) => {
        this.log += error;
        resolve();
      });
    });
    this.children.push(child);
    return child;
  }

  /** The DNS server of Pebble's package: every name is at 127.0.0.1. */
  nameServer(port, management) {
    this.dns = `http://127.0.0.1:${management}`;
    this.spawn('pebble-challtestsrv', ['-defaultIPv4', '127.0.0.1', '-defaultIPv6', '', '-dns01',
      `127.0.0.1:${port}`, '-http01', '', '-https01', '', '-tlsalpn01', '', '-management',
      `127.0.0.1:${management}`]);
  }

  /** Until the directory is there. */
  async up() {
    const until = Date.now() + START_MS;
    while (!await this.get(this.directory).catch(() => null)) {
      assert(Date.now() < until, `the authority did not come up\n${this.log}`);
      await nap(50);
    }
  }

  /** Until it has said so in its log: that may be read later than the answer to a request. */
  async said(what, is) {
    for (const until = Date.now() + SAYS_MS; !is(this.log); await nap(20)) {
      assert(Date.now() < until, `the authority does not say ${what}\n${this.log}`);
    }
  }

  get(url) {
    return new Promise((resolve, reject) => {
      https.get(url, { ca: fs.readFileSync(this.ca) }, (answer) => {
        const parts = [];
        answer.on('data', (it) => parts.push(it));
        answer.on('end', () => resolve(Buffer.concat(parts)));
      }).on('error', reject);
    });
  }

  /** Tells the DNS server: dnsSet('set-txt', { host: 'a.test.', value: '...' }). */
  async dnsSet(verb, body) {
    const answer = await fetch(`${this.dns}/${verb}`,
      { method: 'POST', body: JSON.stringify(body) });
    assert.strictEqual(answer.status, 200);
  }

  async stop() {
    for (const child of this.children) child.kill('SIGKILL');
    await Promise.all(this.children.map((it) => it.gone));
    for (const child of this.children) running.delete(child);
  }
}
