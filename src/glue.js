// Does in one call what would else take several: each call from wasm to JavaScript costs CPU. It makes no decisions.

/** Decodes headers: a line for each name, and one for its value. convert.rs refuses values with line breaks. */
function pairs(lines) {
  const parts = lines.split("\n");
  const pairs = [];
  for (let at = 0; at + 1 < parts.length; at += 2) pairs.push([parts[at], parts[at + 1]]);
  return pairs;
}

/** Decodes headers whose names differ. The runtime takes such an object with far less CPU than a list of pairs. */
function record(lines) {
  const parts = lines.split("\n");
  const record = {};
  for (let at = 0; at + 1 < parts.length; at += 2) record[parts[at]] = parts[at + 1];
  return record;
}

/** The values of headers that are read. The runtime would write any other value into its log. */
const PLAIN = /^[\t\x20-\x7e]*$/;

/** Headers that many responses have. To copy them costs the runtime far less CPU than to make new ones. */
export function constantHeaders(lines) {
  return new Headers(pairs(lines));
}

export function respond(status, headers, varying, text, stream) {
  const response = new Response(stream ?? text, { status, headers });
  for (const [name, value] of pairs(varying)) response.headers.append(name, value);
  return response;
}

export function header(request, name) {
  return request.headers.get(name) ?? undefined;
}

/** The headers of a request or a response with these names: a line for the index of a name, and one for its value. */
export function headers(message, names) {
  const all = message.headers;
  let found = "";
  let index = 0;
  for (const name of names.split("\n")) {
    const value = all.get(name);
    if (value !== null && PLAIN.test(value)) found += `${index}\n${value}\n`;
    index += 1;
  }
  return found;
}

/** Reads a body in one call. Not by `bytes()`, which costs the runtime more. */
async function whole(message) {
  return new Uint8Array(await message.arrayBuffer());
}

/** Reads a body of up to `limit` bytes. Of a longer one it discards up to `drain` more, and returns undefined. */
async function collect(stream, limit, drain) {
  const reader = stream.getReader();
  const chunks = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.byteLength;
    if (length <= limit) {
      chunks.push(value);
    } else if (length > limit + drain) {
      // Not awaited: where the stream was split, `cancel` ends only with the other half.
      reader.cancel().catch(() => {});
      break;
    }
  }
  if (length > limit) return undefined;
  if (chunks.length === 1) return chunks[0];
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  return bytes;
}

/** How many bytes of a body are discarded in one read. */
const STEP = 64 * 1024;

/** Reads and discards a body, up to `limit` bytes. The reads are large, since each costs CPU. */
async function discard(stream, limit) {
  const reader = stream.getReader({ mode: "byob" });
  let buffer = new Uint8Array(STEP);
  let length = 0;
  for (;;) {
    const { done, value } = await reader.readAtLeast(STEP, buffer);
    if (done) return;
    length += value.byteLength;
    if (length > limit) {
      reader.cancel().catch(() => {});
      return;
    }
    buffer = new Uint8Array(value.buffer);
  }
}

/** Reads an inbound body. Returns bytes, or a promise of them; undefined if there are more than `limit`. */
export function read(request, limit, drain) {
  // The runtime enforces `Content-Length`, so a body with a short one can be read in one call.
  const length = request.headers.get("content-length");
  if (length === "0" || (length === null && request.body === null)) return new Uint8Array();
  if (length !== null && Number(length) <= limit) return whole(request);
  if (length !== null && request.body !== null) return discard(request.body, limit + drain);
  return request.body === null ? new Uint8Array() : collect(request.body, limit, drain);
}

/**
 * Reads an inbound body of up to `limit` bytes. For a longer one it returns a request with the whole body: it splits
 * the stream, reads the start of one half, and cancels that half, so that the runtime buffers no more for it.
 */
export async function readShort(request, limit) {
  if (request.body === null) return new Uint8Array();
  const [start, whole] = request.body.tee();
  const bytes = await collect(start, limit, 0);
  if (bytes === undefined) {
    const { url, method, headers } = request;
    return new Request(url, { method, headers, body: whole });
  }
  await whole.cancel();
  return bytes;
}

/** Reads a request's body, bytes or a stream, while the body of its response is written. */
export class Duplex {
  constructor(body) {
    // Not `TransformStream`, whose queue would grow if the client reads slowly.
    const { readable, writable } = new IdentityTransformStream();
    this.stream = readable;
    this.writer = writable.getWriter();
    this.reader = new Response(body).body?.getReader({ mode: "byob" });
    this.buffer = new Uint8Array(STEP);
    this.encoder = new TextEncoder();
  }

  /** The next bytes, which are valid until the next call. Undefined at the end. */
  async read() {
    if (this.reader === undefined) return undefined;
    const { done, value } = await this.reader.read(this.buffer);
    if (done) return undefined;
    this.buffer = new Uint8Array(value.buffer);
    return value;
  }

  write(text) {
    return this.writer.write(this.encoder.encode(text));
  }

  async end(isWhole) {
    this.reader?.cancel().catch(() => {});
    await (isWhole ? this.writer.close() : this.writer.abort());
  }
}

/** A timer that can be stopped. Its promise ends then too, so that wasm forgets that it waited for it. */
export class Timer {
  constructor(millis) {
    this.end = new Promise((resolve) => {
      this.resolve = resolve;
      this.id = setTimeout(resolve, millis);
    });
  }

  stop() {
    clearTimeout(this.id);
    this.resolve();
  }
}

/** Calls `settled` with this number when the promise is settled. */
export function settle(promise, number, settled) {
  promise.then(
    (value) => settled(number, true, value),
    (error) => settled(number, false, error),
  );
}

/** A promise that wasm settles. */
export function deferred() {
  return Promise.withResolvers();
}

/** Whether the request has an unread body. */
export function isUnread(request) {
  return !request.bodyUsed && request.body !== null;
}

const DOT = 0x2e;
const isBlank = (byte) => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);

/** A compact JWS in bytes: where it starts and ends, and where its two dots are. */
class Jws {
  constructor(bytes, start, first, second, end) {
    this.bytes = bytes;
    this.start = start;
    this.first = first;
    this.second = second;
    this.end = end;
  }

  get header() {
    return this.bytes.subarray(this.start, this.first);
  }

  get claims() {
    return this.bytes.subarray(this.first + 1, this.second);
  }

  get signature() {
    return this.bytes.subarray(this.second + 1, this.end);
  }
}

/** Splits a compact JWS. Returns undefined if it is malformed or a part is too long. */
export function splitJws(bytes, longestHeader, longestSignature) {
  let start = 0;
  let end = bytes.length;
  while (start < end && isBlank(bytes[start])) start += 1;
  while (end > start && isBlank(bytes[end - 1])) end -= 1;
  // A search of the whole body costs CPU that anyone can cause, so header and signature are searched only as far as they may
  // reach. Loops, since header and signature are short, and a call of `indexOf` costs more.
  let first = start;
  const lastFirst = Math.min(end, start + longestHeader + 1);
  while (first < lastFirst && bytes[first] !== DOT) first += 1;
  if (first === lastFirst) return undefined;
  let second = end - 1;
  const firstSecond = Math.max(first + 1, end - longestSignature - 1);
  while (second >= firstSecond && bytes[second] !== DOT) second -= 1;
  if (second < firstSecond || bytes.indexOf(DOT, first + 1) !== second) return undefined;
  return new Jws(bytes, start, first, second, end);
}

/** Counts an attempt of the client, and returns whether it is within the limit. */
export async function isWithinRate(limiter, key) {
  return (await limiter.limit({ key })).success;
}

/**
 * What a request to Wix or the app begins with. Redirects are not followed. Cloudflare's cache must not be used: its key is
 * the URL, without the installation.
 */
function init(method, headerLines, body, signal) {
  return { method, headers: record(headerLines), body, redirect: "manual", cache: "no-store", signal };
}

/** Whether a body can be read in one call: the runtime enforces `Content-Length`, which does not count decoded bytes. */
function isShort(response, limit) {
  const length = response.headers.get("content-length");
  const isCounted = length !== null && response.headers.get("content-encoding") === null;
  // `body` comes last, since the runtime makes a stream for it.
  return (isCounted && Number(length) <= limit) || response.body === null;
}

/** Awaits a response and reads it: status, lines of the headers with these names, body. */
async function answer(received, limit, names) {
  const response = await received;
  const found = names === undefined ? "" : headers(response, names);
  const body = await (isShort(response, limit) ? whole(response) : collect(response.body, limit, 0));
  if (body === undefined) throw new Error("the response must not be longer than the limit");
  return { status: response.status, found, body };
}

/** Sends a request to Wix and reads the response. Returns undefined after the timeout. */
export async function send(url, method, headerLines, body, millis, names, limit) {
  // Not `AbortSignal.timeout`, whose timer would keep an object in memory after the response.
  const controller = new AbortController();
  const { signal } = controller;
  const timer = setTimeout(() => controller.abort(), millis);
  try {
    return await answer(fetch(url, init(method, headerLines, body, signal)), limit, names);
  } catch (error) {
    if (signal.aborted) return undefined;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Sends a request to the app's back end, by a service binding if there is one, and reads the response. Returns undefined after
 * the timeout. Only requests call it, not objects: the runtime ends the timer with the request, and cancels a call that still
 * runs then. An abort signal would cost more.
 */
export function call(binding, url, headerLines, body, millis, limit) {
  return new Promise((resolve, reject) => {
    setTimeout(resolve, millis);
    const options = init("POST", headerLines, body);
    const response = binding === undefined ? fetch(url, options) : binding.fetch(url, options);
    answer(response, limit).then(resolve, reject);
  });
}

/** Sends a request and returns the response with its body unread, or undefined if its head comes after the timeout. */
export async function forward(url, method, headerLines, body, millis) {
  // Not `AbortSignal.timeout`, which would also cut off the response's body.
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), millis);
  try {
    return await fetch(url, init(method, headerLines, body, controller.signal));
  } catch (error) {
    if (controller.signal.aborted) return undefined;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** Sends a request to a Durable Object. */
export async function askObject(namespace, name, path, body) {
  const stub = namespace.get(namespace.idFromName(name));
  const response = await stub.fetch(`https://object${path}`, { method: "POST", body });
  return [response.status, await response.text()];
}

/** For each key, what ends the sleeps of the requests that wait for it. */
const sleeping = new Map();

/**
 * Resolves when another request calls `wake` with this key, or after the timeout. The runtime runs the continuation of a
 * promise in the request that created the promise, even if another request resolves it. The runtime cancels a request as hung
 * only if no timer of the request is pending.
 */
export async function sleepUntilWoken(key, millis) {
  let end, timer;
  const woken = new Promise((resolve) => {
    end = resolve;
    timer = setTimeout(resolve, millis);
  });
  let ends = sleeping.get(key);
  if (ends === undefined) sleeping.set(key, (ends = new Set()));
  ends.add(end);
  await woken;
  // Here, since only this request can clear its timer.
  clearTimeout(timer);
  ends.delete(end);
  if (ends.size === 0 && sleeping.get(key) === ends) sleeping.delete(key);
}

/** Ends the sleeps with this key. */
export function wake(key) {
  const ends = sleeping.get(key);
  sleeping.delete(key);
  ends?.forEach((end) => end());
}

/** Writes a data point for Analytics Engine. A fault of the binding must not fail the request. */
export function measure(dataset, blobLines, doubleLines) {
  const blobs = blobLines.split("\n");
  try {
    dataset.writeDataPoint({ indexes: [blobs[0]], blobs, doubles: doubleLines.split("\n").map(Number) });
  } catch {
    // The log has the same values.
  }
}

export function sql({ state }, statement, values) {
  const rows = state.storage.sql.exec(statement, ...JSON.parse(values)).raw().toArray();
  return rows.length > 0 ? JSON.stringify(rows) : undefined;
}

/** Runs statements in a transaction, which is rolled back if `work` returns false. */
export function transaction({ state }, work) {
  state.storage.transactionSync(() => {
    if (!work()) throw new Error("rolled back");
  });
}

export function alarm({ state }) {
  return state.storage.getAlarm();
}

/** It is committed with the writes around it. If that fails, so does the response of the object. */
export function setAlarm({ state }, at) {
  state.storage.setAlarm(at).catch(() => {});
}

/** Erases everything that the object stores. */
export async function erase(object) {
  const { storage } = object.state;
  await storage.deleteAlarm();
  object.hasTables = false;
  await storage.deleteAll();
}

/** Sends an event to the app: status and retry-after of the response, whose body is not read. Undefined after a timeout. */
export async function deliver(binding, url, headerLines, body, millis) {
  // Not `AbortSignal.timeout`, whose timer would keep the object in memory after the answer.
  const controller = new AbortController();
  const { signal } = controller;
  const timer = setTimeout(() => controller.abort(), millis);
  try {
    const options = init("POST", headerLines, body, signal);
    const response = await (binding === undefined ? fetch(url, options) : binding.fetch(url, options));
    response.body?.cancel().catch(() => {});
    const retryAfter = response.headers.get("retry-after");
    return [response.status, retryAfter !== null && PLAIN.test(retryAfter) ? retryAfter : undefined];
  } catch (error) {
    if (signal.aborted) return undefined;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** The values of several keys, in their order. A missing one is null. */
export async function getMany(kv, keys) {
  const values = await kv.get(keys);
  return keys.map((key) => values.get(key));
}

export function put(kv, key, value, expirationTtl, metadata) {
  return kv.put(key, value, { expirationTtl, metadata: metadata === undefined ? undefined : JSON.parse(metadata) });
}

/** Lists a page: a line for the cursor, one for each name, and one for its metadata as JSON without line breaks. */
export async function list(kv, prefix, cursor, limit) {
  const page = await kv.list({ prefix, cursor, limit });
  let lines = page.list_complete ? "" : (page.cursor ?? "");
  for (const { name, metadata } of page.keys) {
    lines += `\n${name}\n${metadata === undefined || metadata === null ? "" : JSON.stringify(metadata)}`;
  }
  return lines;
}

const RS256 = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };

export function importRs256(spki) {
  return crypto.subtle.importKey("spki", spki, RS256, false, ["verify"]);
}

/** Verifies a JWS, whose signature was decoded. */
export function verifyRs256(key, signature, { bytes, start, second }) {
  return crypto.subtle.verify(RS256.name, key, signature, bytes.subarray(start, second));
}

export function importAes(key) {
  return crypto.subtle.importKey("raw", key, "AES-GCM", false, ["encrypt", "decrypt"]);
}

export function seal(key, iv, additionalData, plain) {
  return crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData }, key, plain);
}

/** Decrypts. Returns undefined if the key, nonce, associated data or cipher text is wrong. */
export async function open(key, iv, additionalData, cipher) {
  try {
    return await crypto.subtle.decrypt({ name: "AES-GCM", iv, additionalData }, key, cipher);
  } catch {
    return undefined;
  }
}
