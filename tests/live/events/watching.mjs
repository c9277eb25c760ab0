// watching.mjs - a stream of events as a list that grows, and waiting for what is in it.
import assert from 'node:assert';

/**
 * const stream = watch(caller, { vault: 'shop' });
 * await stream.begun;                    // the first message
 * const event = await stream.next((it) => it.name === 'web');
 * stream.cancel();                       // or: const error = await stream.end;
 */
export function watch(caller, request = {}, options = {}) {
  const stream = { messages: [], events: [], taken: 0 };
  const waiting = new Set();
  const look = () => { for (const check of waiting) check(); };
  const until = (check) => new Promise((resolve, reject) => {
    const step = () => {
      const found = check();
      if (found === undefined && !stream.error) return;
      waiting.delete(step);
      if (found === undefined) reject(stream.error);
      else resolve(found);
    };
    waiting.add(step);
    step();
  });
  stream.end = caller.call('EventService/WatchEvents', request, {
    deadline: null,
    ...options,
    onCall: (call) => { stream.cancel = () => call.cancel(); stream.call = call; },
    onMessage: (it) => {
      stream.messages.push(it);
      if (it.event) stream.events.push({ ...it.event, at: Date.now() });
      look();
    },
  }).then(() => { throw new Error('the stream ended without an error'); }, (error) => {
    stream.error = error;
    look();
    return error;
  });
  stream.begun = until(() => stream.messages[0]);
  stream.begun.catch(() => {});
  /* The next one that fits; those before it are passed over. */
  stream.next = (fits = () => true) => until(() => {
    const found = stream.events.findIndex((it, i) => i >= stream.taken && fits(it));
    if (found < 0) return undefined;
    stream.taken = found + 1;
    return stream.events[found];
  });
  stream.heartbeat = (after) => until(() => stream.messages.slice(after).find((it) => !it.event));
  return stream;
}

/** The stream must have ended so. */
export async function endsWith(stream, code, reason) {
  const error = await stream.end;
  assert.strictEqual(error.code, code, error.message);
  if (reason) assert.strictEqual(error.reason, reason, error.message);
  return error;
}
