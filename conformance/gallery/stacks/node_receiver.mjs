// A correct receiver on node:http alone: `HOOKPROOF_SECRET=… node node_receiver.mjs --port 5000`.
// Answers a repeat with `"duplicate": true`. Stops on SIGTERM and when standard input closes.

import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';

const MAX_BODY = 16 * 1024 * 1024; // Base64 media is large (訊息類型說明)
const WINDOW = 20_000; // ids to remember: a repeat can come long after the first (常見問題 5)

const portAt = process.argv.indexOf('--port');
const port = portAt < 0 ? 0 : Number(process.argv[portAt + 1]);
const secret = process.env.HOOKPROOF_SECRET;
if (!secret) {
  console.error('HOOKPROOF_SECRET is not set: with an empty secret anyone can sign');
  process.exit(1);
}

const seen = new Set(); // in insertion order
const effects = new Map(); // msgId → how many times it took effect

// Lets the message take effect. Returns false if it already did. There is no await between the
// look-up and the insertion, so two concurrent copies cannot both find the id unknown. The effect
// here is a count. In production, store the message durably and do slow work after the answer.
// If the effect throws, the id stays unknown, so the sender's retry is processed.
function take(msgId) {
  if (seen.has(msgId)) return false;
  effects.set(msgId, (effects.get(msgId) ?? 0) + 1);
  seen.add(msgId);
  if (seen.size > WINDOW) seen.delete(seen.values().next().value); // the oldest
  return true;
}

// Over the bytes as received (驗證簽名): re-encoded JSON is a different text. Node joins repeated
// headers with a comma, which makes a wrong signature like any other.
function isSigned(timestamp = '', signature = '', body) {
  if (!/^[0-9]+$/.test(timestamp)) return false;
  const expected = createHmac('sha256', secret).update(`${timestamp}:`).update(body).digest('hex');
  const actual = Buffer.from(signature, 'latin1');
  // timingSafeEqual throws on different lengths; the length of a digest is not secret.
  return actual.length === expected.length && timingSafeEqual(actual, Buffer.from(expected));
}

// The msgId of a well-formed message, or undefined.
function readMsgId(body) {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body);
    const msgId = JSON.parse(text)?.msgId; // an array, a string or a number has none
    return typeof msgId === 'string' && msgId !== '' ? msgId : undefined;
  } catch {
    return undefined; // not UTF-8, or not JSON
  }
}

// The whole body, or undefined if it is too large (it is still read to its end, so that the sender
// gets the answer). Throws if the sender hangs up in mid-body.
async function readBody(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size <= MAX_BODY) chunks.push(chunk);
  }
  return size <= MAX_BODY ? Buffer.concat(chunks) : undefined;
}

async function receive(request) {
  const body = await readBody(request);
  if (body === undefined) return [413, { error: 'too large' }];
  const { 'x-webhook-timestamp': timestamp, 'x-webhook-signature': signature } = request.headers;
  if (!isSigned(timestamp, signature, body)) return [401, { error: 'bad signature' }];
  const msgId = readMsgId(body);
  if (msgId === undefined) return [400, { error: 'not a message' }];
  return [200, { ok: true, duplicate: !take(msgId) }];
}

async function route(request) {
  const [path, query] = request.url.split('?', 2);
  if (path === '/webhook/receiver') {
    return request.method === 'POST' ? receive(request) : [405, { error: 'use POST' }];
  }
  if (path === '/processed' && request.method === 'GET') {
    return [200, { count: effects.get(new URLSearchParams(query).get('msgId')) ?? 0 }];
  }
  return [404, { error: 'not found' }];
}

async function serve(request, response) {
  let status, answer;
  try {
    [status, answer] = await route(request);
  } catch (error) {
    if (request.readableAborted) return; // the sender has gone
    console.error(error); // for our log, not for the sender
    [status, answer] = [500, { error: 'internal error' }];
  }
  const text = JSON.stringify(answer);
  const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) };
  if (status === 405) headers.Allow = 'POST';
  response.writeHead(status, headers).end(text);
}

const server = createServer({
  maxHeaderSize: 128 * 1024, // an overlong signature is wrong (401), not a protocol error
  keepAliveTimeout: 75_000, // longer than a client's or a proxy's: never close while it sends
}, serve);
server.listen(port, '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}/webhook/receiver`);
});
process.stdin.resume().on('end', () => process.exit(0)); // never outlive the parent
process.on('SIGTERM', () => process.exit(0));
