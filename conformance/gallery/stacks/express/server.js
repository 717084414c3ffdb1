// A correct receiver on Express 5: `npm ci && HOOKPROOF_SECRET=… node server.js --port 5000`.
// Answers a repeat like a first message. Stops on SIGTERM and when standard input closes.

import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
import express from 'express';

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

// Lets the message take effect once. There is no await between the look-up and the insertion, so
// two concurrent copies cannot both find the id unknown. The effect here is a count. In production,
// store the message durably and do slow work after the answer. If the effect throws, the id stays
// unknown, so the sender's retry is processed.
function take(msgId) {
  if (seen.has(msgId)) return;
  effects.set(msgId, (effects.get(msgId) ?? 0) + 1);
  seen.add(msgId);
  if (seen.size > WINDOW) seen.delete(seen.values().next().value); // the oldest
}

// The body as bytes, whatever its Content-Type: express.json() discards the bytes, and a parser
// that skips other types leaves nothing to check. A truncated body is a 400.
const rawBody = express.raw({ type: () => true, limit: '16mb', inflate: false });

// Middleware: checks the signature over the bytes as received (驗證簽名), before anything else.
// Repeated headers are joined with a comma, which makes a wrong signature like any other.
function requireSignature(req, res, next) {
  const timestamp = req.get('X-Webhook-Timestamp') ?? '';
  const actual = Buffer.from(req.get('X-Webhook-Signature') ?? '', 'latin1');
  const body = req.body ?? Buffer.alloc(0); // undefined if the request has no body
  const hmac = createHmac('sha256', secret).update(`${timestamp}:`).update(body);
  const expected = hmac.digest('hex');
  const signed = /^[0-9]+$/.test(timestamp)
    && actual.length === expected.length // timingSafeEqual throws on different lengths
    && timingSafeEqual(actual, Buffer.from(expected));
  if (!signed) return res.status(401).json({ error: 'bad signature' });
  next();
}

// Middleware: puts the message on req, or answers 400.
function parseMessage(req, res, next) {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(req.body);
    req.message = JSON.parse(text);
  } catch {
    return res.status(400).json({ error: 'not JSON' });
  }
  const msgId = req.message?.msgId; // an array, a string or a number has none
  if (typeof msgId !== 'string' || msgId === '') {
    return res.status(400).json({ error: 'not an object with a msgId' });
  }
  next();
}

const app = express();
app.disable('x-powered-by');

app.route('/webhook/receiver')
  .post(rawBody, requireSignature, parseMessage, (req, res) => {
    take(req.message.msgId);
    res.json({ ok: true }); // for a repeat too, or the sender keeps sending it
  })
  .all((req, res) => res.status(405).set('Allow', 'POST').json({ error: 'use POST' }));

app.get('/processed', (req, res) => res.json({ count: effects.get(req.query.msgId) ?? 0 }));

// Replaces Express's own handler, which sends the stack trace to the client.
app.use((error, req, res, next) => {
  const status = error.status ?? 500;
  if (status >= 500) console.error(error);
  if (res.headersSent) return next(error);
  res.status(status).json({ error: status < 500 ? 'bad request' : 'internal error' });
});

const server = createServer({
  maxHeaderSize: 128 * 1024, // an overlong signature is wrong (401), not a protocol error
  keepAliveTimeout: 75_000, // longer than a client's or a proxy's: never close while it sends
}, app);
server.listen(port, '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}/webhook/receiver`);
});
process.stdin.resume().on('end', () => process.exit(0)); // never outlive the parent
process.on('SIGTERM', () => process.exit(0));
