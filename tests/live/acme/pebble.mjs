// pebble.mjs - Debian's ACME test server on loopback, with a certificate for its own HTTPS, and the
// DNS server that comes with it. Everything it says goes to `log`.
//
//   const pebble = await Pebble.start({ folder, validity: 60, eab: true, env: {...}, httpPort });
//   pebble.directory, pebble.ca (a file), await pebble.root(), await pebble.stop()
import assert from 'node:assert';
import { spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import path from 'node:path';
import { nap, run } from '../support/keyvault.mjs';

const START_MS = 20_000;

/** Ports nobody listens at. */
export async function freePorts(count) {
  const servers = await Promise.all(Array.from({ length: count }, () => new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => resolve(server));
  })));
  const ports = servers.map((it) => it.address().port);
  await Promise.all(servers.map((it) => new Promise((resolve) => it.close(resolve))));
  return ports;
}

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

const running = new Set();

process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/* The public example value of the package's own configuration. */
export const EAB = { kid: 'kid-1',
  key: 'zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W' };

export class Pebble {
  static async start(options) {
    const pebble = new Pebble();
    await pebble.begin(options);
    return pebble;
  }

  async begin({ folder, eab = false, validity = 7_776_000, blocked = [], env = {}, httpPort,
    tlsPort, listen, dnsPort }) {
    this.log = '';
    this.folder = folder;
    this.children = [];
    if (!this.identity) this.identity = serverIdentity(folder);
    const [free, management, dns, dnsManagement, http, tls] = await freePorts(6);
    this.listen = listen ?? free;
    this.httpPort = httpPort ?? http;
    this.ca = this.identity.ca;
    this.directory = `https://127.0.0.1:${this.listen}/dir`;
    this.management = `https://127.0.0.1:${management}`;
    this.dns = `http://127.0.0.1:${dnsManagement}`;
    fs.writeFileSync(path.join(folder, 'pebble.json'), JSON.stringify({ pebble: {
      listenAddress: `127.0.0.1:${this.listen}`, managementListenAddress: `127.0.0.1:${management}`,
      certificate: this.identity.certificate, privateKey: this.identity.key,
      httpPort: this.httpPort, tlsPort: tlsPort ?? tls, ocspResponderURL: '',
      externalAccountBindingRequired: eab, externalAccountMACKeys: eab ? { [EAB.kid]: EAB.key } : {},
      domainBlocklist: blocked, certificateValidityPeriod: validity } }));
    this.spawn('pebble-challtestsrv', ['-defaultIPv4', '127.0.0.1', '-defaultIPv6', '', '-dns01',
      `127.0.0.1:${dns}`, '-http01', '', '-https01', '', '-tlsalpn01', '', '-management',
      `127.0.0.1:${dnsManagement}`], {});
    this.spawn('pebble', ['-config', path.join(folder, 'pebble.json'), '-strict=false',
      '-dnsserver', `127.0.0.1:${dnsPort ?? dns}`],
    { PEBBLE_VA_NOSLEEP: '1', PEBBLE_AUTHZREUSE: '0', PEBBLE_WFE_NONCEREJECT: '0', ...env });
    const until = Date.now() + START_MS;
    while (!await this.get(this.directory).catch(() => null)) {
      assert(Date.now() < until, `pebble did not come up\n${this.log}`);
      await nap(50);
    }
  }

  spawn(program, args, env) {
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

  /** The n-th root of this run, PEM. */
  async root(n = 0) {
    return this.get(`${this.management}/roots/${n}`);
  }

  /** "Valid" or "Revoked". */
  async stateOf(der) {
    const serial = new X509Certificate(der).serialNumber.toLowerCase();
    return JSON.parse(await this.get(`${this.management}/cert-status-by-serial/${serial}`)).Status;
  }

  /** How many certificates it has made. */
  get issued() {
    return (this.log.match(/Issued certificate serial/g) ?? []).length;
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
