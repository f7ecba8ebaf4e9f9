// A webhook handler written for speed: WebCrypto, a cached key, and all checks of wix-edge, without log line and headers.

const LIMIT = 256 * 1024;
const SKEW = 60;
const GUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const LIFECYCLE = new Set([
  "AppInstalled", "AppRemoved", "PaidPlanPurchased", "PaidPlanChanged", "PlanConvertedToPaid", "PlanReactivated",
  "PlanTransferred",
]);

const text = new TextDecoder("utf-8", { fatal: true });
let key;

class Refused extends Error {
  constructor(status, code) {
    super(code);
    this.status = status;
  }
}

function publicKey(env) {
  key ??= crypto.subtle.importKey(
    "spki",
    Uint8Array.fromBase64(env.PUBLIC_KEY),
    { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
    false,
    ["verify"],
  );
  return key;
}

function bytes(part) {
  try {
    return Uint8Array.fromBase64(part, { alphabet: "base64url" });
  } catch {
    throw new Refused(400, "malformed");
  }
}

function object(json) {
  try {
    const value = JSON.parse(json);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  } catch {
    // Falls through to the error below.
  }
  throw new Refused(400, "malformed");
}

function time(seconds, needed) {
  if (seconds === undefined && !needed) return undefined;
  if (typeof seconds !== "number" || !(seconds >= 0 && seconds <= 253402300799)) throw new Refused(400, "malformed");
  return Math.floor(seconds);
}

async function event(request, env) {
  const length = Number(request.headers.get("content-length"));
  if (!(length <= LIMIT)) throw new Refused(413, "too_large");
  const body = new Uint8Array(await request.arrayBuffer());
  let token;
  try {
    token = text.decode(body).trim();
  } catch {
    throw new Refused(400, "malformed");
  }
  const parts = token.split(".");
  if (parts.length !== 3) throw new Refused(400, "malformed");
  const header = object(text.decode(bytes(parts[0])));
  if (header.alg !== "RS256" || header.crit !== undefined) throw new Refused(401, "bad_signature");
  const signature = bytes(parts[2]);
  if (signature.length !== 256) throw new Refused(401, "bad_signature");
  const signed = body.subarray(0, parts[0].length + 1 + parts[1].length);
  if (!(await crypto.subtle.verify("RSASSA-PKCS1-v1_5", await publicKey(env), signature, signed))) {
    throw new Refused(401, "bad_signature");
  }
  const claims = object(text.decode(bytes(parts[1])));
  if (typeof claims.data !== "string") throw new Refused(400, "malformed");
  const now = Math.floor(Date.now() / 1000);
  const [iat, exp, nbf] = [time(claims.iat, true), time(claims.exp), time(claims.nbf)];
  if (iat > now + SKEW || (exp !== undefined && exp + SKEW <= now) || (nbf !== undefined && nbf > now + SKEW)) {
    throw new Refused(401, "not_now");
  }
  const envelope = object(claims.data);
  if (typeof envelope.eventType !== "string") throw new Refused(400, "malformed");
  const instance = GUID.test(envelope.instanceId) ? envelope.instanceId : undefined;
  const data = LIFECYCLE.has(envelope.eventType) ? object(envelope.data) : undefined;
  return { instance, eventType: envelope.eventType, data };
}

export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (pathname !== "/webhook" || request.method !== "POST") return new Response("not found", { status: 404 });
    try {
      await event(request, env);
      return new Response("{}", { headers: { "content-type": "application/json" } });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      return new Response(error.message, { status: error.status });
    }
  },
};
