// Callers are known by the hash of their key, and access tokens are kept in memory.

import { Refused } from "./common.js";

const utf8 = new TextEncoder();
const CHECK_INTERVAL = 300;
let knownHash;
const tokens = new Map();

/** Admits a caller whose key has the known hash. */
export async function authorize(request, env, work) {
  const [, key] = /^bearer +([\x21-\x7e]+)$/i.exec(request.headers.get("authorization") ?? "") ?? [];
  if (key === undefined) throw new Refused(401, "unauthorized", "an API key is needed");
  knownHash ??= Uint8Array.fromHex(env.API_KEY_HASH);
  const hash = await crypto.subtle.digest("SHA-256", utf8.encode(key));
  if (!crypto.subtle.timingSafeEqual(hash, knownHash)) throw new Refused(401, "unauthorized", "the key is unknown");
  work.notes.client = "bench";
}

// Calls to Wix by installation, in slots of ten seconds: no minute may have more than the limit.
const calls = new Map();
const SLOT = 10_000;
const SLOTS = 7;

/** Counts a call to Wix. */
export function countCall(env, id, now) {
  const present = Math.floor(now / SLOT);
  const slots = (calls.get(id) ?? []).filter(({ slot }) => present - slot < SLOTS);
  const used = slots.reduce((sum, { count }) => sum + count, 0);
  if (used >= Number(env.WIX_RATE_LIMIT)) throw new Refused(429, "wix_rate_limit", "the calls of a minute are used up");
  const latest = slots.at(-1);
  if (latest?.slot === present) latest.count += 1;
  else slots.push({ slot: present, count: 1 });
  if (calls.size >= 1000 && !calls.has(id)) calls.delete(calls.keys().next().value);
  calls.set(id, slots);
}

/** A token with at least a tenth of its life left. */
export async function freshToken(env, work, id, force) {
  const now = Math.floor(Date.now() / 1000);
  const known = tokens.get(id);
  if (!force && known !== undefined && known.freshUntil > now && known.checkedAt + CHECK_INTERVAL > now) {
    work.notes.token_source = "memory";
    return known;
  }
  const row = await env.INSTANCES.get(`v1:instance:${id}`, "json");
  if (row?.status !== "installed") throw new Refused(410, "removed", "the app must be installed");
  countCall(env, id, Date.now());
  const body = JSON.stringify({
    grant_type: "client_credentials",
    client_id: env.WIX_APP_ID,
    client_secret: env.WIX_APP_SECRET,
    instance_id: id,
  });
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${env.WIX_API_URL}/oauth2/token`, { method: "POST", headers, body });
  if (!response.ok) throw new Refused(502, "wix_failed", "Wix gave no token");
  const { access_token: accessToken, expires_in: life } = await response.json();
  const token = { accessToken, expiresAt: now + life, freshUntil: now + life * 0.9, checkedAt: now };
  if (tokens.size >= 1000) tokens.delete(tokens.keys().next().value);
  tokens.set(id, token);
  work.notes.token_source = "wix";
  work.notes.wix_calls = 1;
  return token;
}
