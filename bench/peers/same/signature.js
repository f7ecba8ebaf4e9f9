// The signature of a request to the app, by the Standard Webhooks specification.

const utf8 = new TextEncoder();
let key;

function secret(env) {
  const hmac = { name: "HMAC", hash: "SHA-256" };
  key ??= crypto.subtle.importKey("raw", Uint8Array.fromBase64(env.EVENTS_SECRET), hmac, false, ["sign"]);
  return key;
}

/** The headers of a request to the app. */
export async function signedHeaders(env, id, body) {
  const timestamp = Math.floor(Date.now() / 1000);
  const signed = utf8.encode(`${id}.${timestamp}.${body}`);
  const signature = new Uint8Array(await crypto.subtle.sign("HMAC", await secret(env), signed));
  return {
    "content-type": "application/json",
    "user-agent": "wix-edge/peer",
    "webhook-id": id,
    "webhook-timestamp": String(timestamp),
    "webhook-signature": `v1,${signature.toBase64()}`,
  };
}

/** Sends a request to the app, which has so many milliseconds to answer, and lets `read` read the answer. */
export async function post(url, headers, body, millis, read) {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), millis);
  try {
    const { signal } = controller;
    const response = await fetch(url, { method: "POST", headers, body, redirect: "manual", cache: "no-store", signal });
    return await read(response);
  } finally {
    clearTimeout(timer);
  }
}

export async function sha256(text) {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", utf8.encode(text)));
  return hash.toBase64({ alphabet: "base64url", omitPadding: true });
}
