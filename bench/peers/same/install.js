// The start of an install flow by hand, with the work of wix-edge: a signed state, a cookie, a redirect.

import { Refused, headers, log } from "./common.js";

const LIFE = 600;
const utf8 = new TextEncoder();
const encode = (bytes) => bytes.toBase64({ alphabet: "base64url", omitPadding: true });
let key;

function stateKey(env) {
  const hmac = { name: "HMAC", hash: "SHA-256" };
  key ??= crypto.subtle.importKey("raw", Uint8Array.fromBase64(env.STATE_KEY), hmac, false, ["sign"]);
  return key;
}

async function mac(env, label, payload) {
  const bytes = new Uint8Array(label.length + payload.length);
  bytes.set(utf8.encode(label));
  bytes.set(payload, label.length);
  return new Uint8Array(await crypto.subtle.sign("HMAC", await stateKey(env), bytes));
}

/** A parameter of the query, which may be given once. */
function parameter(url, name, limit) {
  const values = url.searchParams.getAll(name);
  if (values.length > 1 || values[0]?.length > limit) throw new Refused(400, "bad_request", name);
  return values[0];
}

/** `state` and the cookie of a new flow: version, purpose, time, random bytes, a tag of the origin, and HMACs. */
async function begin(env, url) {
  const tag = new Uint8Array(await crypto.subtle.digest("SHA-256", utf8.encode(url.origin)), 0, 4);
  const payload = new Uint8Array(26);
  payload[0] = 1;
  payload[1] = 1;
  new DataView(payload.buffer).setBigUint64(2, BigInt(Math.floor(Date.now() / 1000)));
  crypto.getRandomValues(payload.subarray(10, 22));
  payload.set(tag, 22);
  const [signature, cookie] = await Promise.all([mac(env, "state", payload), mac(env, "cookie", payload)]);
  const state = new Uint8Array(payload.length + signature.length);
  state.set(payload);
  state.set(signature, payload.length);
  const name = `__Host-wix-edge-${encode(payload.subarray(10))}`;
  const attributes = `Max-Age=${LIFE}; Path=/; Secure; HttpOnly; SameSite=None; Partitioned`;
  return { state: encode(state), cookie: `${name}=${encode(cookie)}; ${attributes}` };
}

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    if (url.pathname !== "/install" || request.method !== "GET") return new Response("not found", { status: 404 });
    const work = { route: "/install", method: request.method, start: Date.now(), id: crypto.randomUUID() };
    const token = parameter(url, "token", 4096);
    parameter(url, "ref", 512);
    const { state, cookie } = await begin(env, url);
    const location = new URL("/installer/install", env.WIX_SITE_URL);
    location.searchParams.set("appId", env.WIX_APP_ID);
    location.searchParams.set("redirectUrl", `${url.origin}/redirect`);
    location.searchParams.set("state", state);
    if (token !== undefined) location.searchParams.set("token", token);
    log(work, 302, {});
    return new Response(null, {
      status: 302,
      headers: headers(work.id, {
        location: location.href,
        "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'",
        "set-cookie": cookie,
        "cross-origin-opener-policy": "unsafe-none",
        "referrer-policy": "no-referrer",
      }),
    });
  },
};
