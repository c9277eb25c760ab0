// ports.mjs - ports for programs that have to be told where to listen: nobody else gets them first.
//
// Whoever connects somewhere, or asks for any port, gets one of the kernel's range: between finding
// one there and listening at it another may come first, or a client that tries again at a port where
// nobody listens may meet itself. So these are of the others; and of the tests that run beside each
// other the one that has taken a port says so, by listening at it at an address of nobody's.
import dgram from 'node:dgram';
import fs from 'node:fs';
import net from 'node:net';

const LEAST = 10_000;
const ENOUGH = 2000;
const LAST = 65_535;
const TAKEN_AT = '127.83.80.84';
const HERE = '127.0.0.1';

/* [first, count] */
function outside() {
  const [low, high] = fs.readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').trim()
    .split(/\s+/).map(Number);
  if (low - LEAST >= ENOUGH) return [LEAST, low - LEAST];
  if (LAST - high >= ENOUGH) return [high + 1, LAST - high];
  return [LEAST, LAST - LEAST];
}

/* A listener, or null. */
const listen = (port, host) => new Promise((resolve) => {
  const server = net.createServer((socket) => socket.destroy());
  server.on('error', () => resolve(null));
  server.listen({ port, host, exclusive: true }, () => resolve(server));
});
const bound = (port) => new Promise((resolve) => {
  const socket = dgram.createSocket('udp4');
  socket.on('error', () => { socket.close(); resolve(false); });
  socket.bind({ port, address: HERE, exclusive: true }, () => socket.close(() => resolve(true)));
});

async function take(port) {
  const taken = await listen(port, TAKEN_AT);
  if (!taken) return false;
  const probe = await listen(port, HERE);
  if (probe) await new Promise((resolve) => { probe.close(resolve); });
  if (probe && await bound(port)) {
    taken.unref(); // until the test ends
    return true;
  }
  taken.close();
  return false;
}

/** Ports on 127.0.0.1, for TCP and UDP, that are this program's until it ends. */
export async function freePorts(count) {
  const [first, many] = outside();
  const found = [];
  for (let at = Math.floor(Math.random() * many), tries = 0; found.length < count; at++, tries++) {
    if (tries === many) throw new Error('no port is free');
    const port = first + at % many;
    if (await take(port)) found.push(port);
  }
  return found;
}
