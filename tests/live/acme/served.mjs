// served.mjs - nginx with a certificate whose files `kvctl certificate watch` keeps up to date, and
// a client that looks again and again at what it is shown.
import assert from 'node:assert';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import tls from 'node:tls';
import { nap } from '../support/keyvault.mjs';
import { freePorts } from '../support/ports.mjs';

const KVCTL = path.join(path.dirname(process.env.KEYVAULTD), '../client/kvctl');
const NGINX = ['/usr/sbin/nginx', '/usr/local/sbin/nginx'].find((it) => fs.existsSync(it));
const LOOK_MS = 250;

export class Served {
  /** `who` may read the key of the certificate `name` in the vault 'shop'; it is there already. */
  static async start(server, who, name) {
    assert(NGINX, 'nginx is not installed: scripts/install_packages.sh test');
    const served = new Served();
    served.folder = path.join(server.folder, 'served');
    fs.mkdirSync(served.at('nginx'), { recursive: true });
    fs.writeFileSync(served.at('who.pem'), who.identity.pem);
    fs.writeFileSync(served.at('who.key'), who.identity.key, { mode: 0o600 });
    [served.port] = await freePorts(1);
    served.configure();
    const nginx = `${NGINX} -p '${served.at('nginx')}' -c '${served.at('nginx.conf')}'`;
    served.watch = spawn(KVCTL, ['certificate', 'watch', '--vault', 'shop', '--name', name,
      '--folder', served.at('files'), '--with-key', '--reload',
      `test ! -f '${served.at('nginx.pid')}' || ${nginx} -s reload`],
    { stdio: 'ignore', env: { ...process.env, KVCTL_ENDPOINT: `localhost:${server.port}`,
      KVCTL_CA: path.join(server.home, 'tls/server.pem'), KVCTL_CERTIFICATE: served.at('who.pem'),
      KVCTL_KEY: served.at('who.key') } });
    while (!fs.existsSync(served.at('files/current/privkey.pem'))) await nap(50);
    served.nginx = spawn(NGINX, ['-p', served.at('nginx'), '-c', served.at('nginx.conf')],
      { stdio: 'ignore' });
    while (!await served.look()) await nap(50);
    served.looking = served.keepLooking();
    return served;
  }

  at(name) {
    return path.join(this.folder, name);
  }

  configure() {
    const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
    fs.writeFileSync(this.at('nginx.conf'), `daemon off;
pid ${this.at('nginx.pid')};
error_log ${this.at('nginx.log')} notice;
events {}
http {
  access_log off;
  ${paths.map((it) => `${it}_temp_path ${this.at('nginx')};`).join('\n  ')}
  server {
    listen 127.0.0.1:${this.port} ssl;
    ssl_certificate ${this.at('files/current/fullchain.pem')};
    ssl_certificate_key ${this.at('files/current/privkey.pem')};
    location / { return 204; }
  }
}
`);
  }

  /** What a client is shown now: { serial, end, at }; null when there is no answer. */
  look() {
    return new Promise((resolve) => {
      const socket = tls.connect({ host: '127.0.0.1', port: this.port,
        servername: 'served.example.test', rejectUnauthorized: false }, () => {
        const leaf = socket.getPeerX509Certificate();
        resolve({ serial: leaf.serialNumber, end: Date.parse(leaf.validTo), at: Date.now() });
        socket.end();
      });
      socket.on('error', () => resolve(null));
    });
  }

  async keepLooking() {
    this.seen = [];
    while (!this.stopping) {
      this.seen.push(await this.look());
      await nap(LOOK_MS);
    }
  }

  /** Every look, when it is over. */
  async stop() {
    this.stopping = true;
    await this.looking;
    this.watch?.kill('SIGKILL');
    /* Its workers would outlive a kill. */
    if (this.nginx && this.nginx.exitCode === null) {
      spawnSync(NGINX, ['-p', this.at('nginx'), '-c', this.at('nginx.conf'), '-s', 'stop']);
    }
    return this.seen ?? [];
  }
}
