// alone.mjs - a test that runs in a network of its own: nothing but loopback, every port free, and
// names are asked of 127.0.0.1. For authorities that know the standard's ports only.
//
//   if (!alone(import.meta.url)) process.exit();    // the first thing a test does
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from '../support/keyvault.mjs';

const SKIPPED = 77; // as CMakeLists.txt says
const UNSHARE = ['--user', '--map-root-user', '--net', '--mount', '--kill-child'];

function enter() {
  const names = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'keyvault-alone-')), 'resolv.conf');
  fs.writeFileSync(names, 'nameserver 127.0.0.1\n');
  run('ip', ['link', 'set', 'lo', 'up']);
  run('mount', ['--bind', names, '/etc/resolv.conf']);
  fs.rmSync(path.dirname(names), { recursive: true });
}

/** True in the network; false: it has been run there, and process.exitCode says how it went. */
export function alone(url) {
  if (process.env.KV_ALONE) {
    enter();
    return true;
  }
  if (spawnSync('unshare', [...UNSHARE, 'true']).status !== 0) {
    console.log('skipped: this machine lets nobody make a network of their own (unshare)');
    process.exitCode = SKIPPED;
    return false;
  }
  const done = spawnSync('unshare', [...UNSHARE, process.execPath, fileURLToPath(url)],
    { env: { ...process.env, KV_ALONE: '1' }, stdio: 'inherit' });
  process.exitCode = done.status ?? 1;
  return false;
}
