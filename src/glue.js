// What costs less in one call than in many: each crossing between wasm and JavaScript has its price. Nothing is decided
// here.

/** Names and values, a line each. No value has a line break: glue.rs sees to that. */
function pairs(lines) {
  const parts = lines.split("\n");
  const pairs = [];
  for (let at = 0; at + 1 < parts.length; at += 2) pairs.push([parts[at], parts[at + 1]]);
  return pairs;
}

/** Headers that never change, by their lines. There are as many as the code has kinds of answers. */
const kept = new Map();

/** What a header's value may be made of. Of anything else the runtime writes the value into its log. */
const PLAIN = /^[\t\x20-\x7e]*$/;

/** A response; a stream comes before a text. To copy headers costs the runtime far less than to make them. */
export function respond(status, constant, varying, text, stream) {
  let headers = kept.get(constant);
  if (headers === undefined) {
    headers = new Headers(pairs(constant));
    kept.set(constant, headers);
  }
  headers = new Headers(headers);
  for (const [name, value] of pairs(varying)) headers.append(name, value);
  return new Response(stream ?? text, { status, headers });
}

export function header(request, name) {
  return request.headers.get(name) ?? undefined;
}

/** Those headers of a request or a response that it has, of the names in lines: a value and its name's number, a line each. */
export function headers(of, names) {
  const all = of.headers;
  let found = "";
  let number = 0;
  for (const name of names.split("\n")) {
    const value = all.get(name);
    if (value !== null && PLAIN.test(value)) found += `${number}\n${value}\n`;
    number += 1;
  }
  return found;
}

/** The bytes of a body of up to `limit`; undefined of a longer one, of which no more than `drain` beyond that are read. */
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
      // Not waited for: of a stream that was split it ends with the other half.
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

/** How much of a body is thrown away in one step. */
const STEP = 64 * 1024;

/** Reads a body and throws it away, up to a bound: in large steps, since each costs CPU. */
async function discard(stream, bound) {
  const reader = stream.getReader({ mode: "byob" });
  let buffer = new Uint8Array(STEP);
  let length = 0;
  for (;;) {
    const { done, value } = await reader.readAtLeast(STEP, buffer);
    if (done) return;
    length += value.byteLength;
    if (length > bound) {
      reader.cancel().catch(() => {});
      return;
    }
    buffer = new Uint8Array(value.buffer);
  }
}

/** An inbound body, or a promise of it; undefined if it is too long. */
export function read(request, limit, drain) {
  // The runtime holds the sender to the length it names, so that the body can be had in one piece.
  const length = request.headers.get("content-length");
  if (length === "0" || (length === null && request.body === null)) return new Uint8Array();
  if (length !== null && Number(length) <= limit) return request.bytes();
  if (length !== null && request.body !== null) return discard(request.body, limit + drain);
  return request.body === null ? new Uint8Array() : collect(request.body, limit, drain);
}

/**
 * An inbound body that ends within `limit` bytes, or a request that has it whole: the stream is split in two, and the one
 * that was looked into is cancelled, so that nothing is held for it.
 */
export async function readShort(request, limit) {
  if (request.body === null) return new Uint8Array();
  const [lookedInto, whole] = request.body.tee();
  const bytes = await collect(lookedInto, limit, 0);
  if (bytes === undefined) {
    const { url, method, headers } = request;
    return new Request(url, { method, headers, body: whole });
  }
  await whole.cancel();
  return bytes;
}

/** Whether there is a body that nobody has read. */
export function isUnread(request) {
  return !request.bodyUsed && request.body !== null;
}

const DOT = 0x2e;
const isBlank = (byte) => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);

/** A compact JWS in bytes: header, signature, and the bytes that are signed. Undefined where it has other than three parts. */
export function splitJws(bytes, longestHeader, longestSignature) {
  let start = 0;
  let end = bytes.length;
  while (start < end && isBlank(bytes[start])) start += 1;
  while (end > start && isBlank(bytes[end - 1])) end -= 1;
  const first = bytes.indexOf(DOT, start);
  const second = first < 0 ? -1 : bytes.indexOf(DOT, first + 1);
  if (second < 0 || second >= end || bytes.subarray(second + 1, end).includes(DOT)) return undefined;
  if (first - start > longestHeader || end - second - 1 > longestSignature) return undefined;
  const text = (from, to) => String.fromCharCode(...bytes.subarray(from, to));
  return [text(start, first), text(second + 1, end), bytes.subarray(start, second)];
}

/** The claims of a held JWS. */
export function heldClaims(signed) {
  return signed.subarray(signed.indexOf(DOT) + 1);
}

/** Whether a client may go on. */
export async function isWithinRate(limiter, key) {
  return (await limiter.limit({ key })).success;
}

/** Sends a request and reads the answer: status, headers, body. Undefined when the time is over. */
export async function ask(url, method, headersOf, body, millis, names, limit) {
  const signal = AbortSignal.timeout(millis);
  try {
    const response = await fetch(url, { method, headers: pairs(headersOf), body, redirect: "manual", cache: "no-store", signal });
    const bytes = response.body === null ? new Uint8Array() : await collect(response.body, limit, 0);
    if (bytes === undefined) throw new Error("the answer is too long");
    return [response.status, headers(response, names), bytes];
  } catch (error) {
    if (signal.aborted) return undefined;
    throw error;
  }
}

/** Sends a request and gives the response with its body unread. Undefined when the time is over before its head is there. */
export async function exchange(url, method, headersOf, body, millis) {
  // Not a signal with a time of its own, which would also cut off the answer's body.
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), millis);
  try {
    const { signal } = controller;
    return await fetch(url, { method, headers: pairs(headersOf), body, redirect: "manual", cache: "no-store", signal });
  } catch (error) {
    if (controller.signal.aborted) return undefined;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

export function put(kv, key, value, expirationTtl, metadata) {
  return kv.put(key, value, { expirationTtl, metadata: metadata === undefined ? undefined : JSON.parse(metadata) });
}

/** A page: the cursor, then name and metadata of each key, a line each. JSON has no line breaks but between its parts. */
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

export function verifyRs256(key, signature, message) {
  return crypto.subtle.verify(RS256.name, key, signature, message);
}

export function importAes(key) {
  return crypto.subtle.importKey("raw", key, "AES-GCM", false, ["encrypt", "decrypt"]);
}

export function seal(key, iv, additionalData, plain) {
  return crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData }, key, plain);
}

/** Undefined where the runtime refuses: key, nonce, associated data and cipher text do not belong together. */
export async function open(key, iv, additionalData, cipher) {
  try {
    return await crypto.subtle.decrypt({ name: "AES-GCM", iv, additionalData }, key, cipher);
  } catch {
    return undefined;
  }
}
