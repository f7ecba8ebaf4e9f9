// Helpers for these tests: requests to Wix's two hosts go to the simulator, and calls of its control API.

const simulator = process.env.WIX_SIM_URL;
if (!simulator) throw new Error("WIX_SIM_URL must be set: start these tests with `cargo test -p wix-sim --test sdk`");

const hosts = new Set(["www.wixapis.com", "www.wix.com"]);
const trueFetch = globalThis.fetch;

/** The calls to Wix's hosts. */
export const calls = [];

// The package runs as published. Only its requests are redirected, and requests to other hosts throw.
globalThis.fetch = (input, init) => {
  const request = new Request(input, init);
  const url = new URL(request.url);
  if (!hosts.has(url.host)) throw new Error(`a request must go to one of Wix's hosts, not to ${url.host}`);
  calls.push({ url: url.href, authorization: request.headers.get("authorization") });
  return trueFetch(new Request(toSimulator(url.href), request));
};

/** Converts an address at Wix to one of the simulator. */
export function toSimulator(address) {
  const url = new URL(address);
  return simulator + url.pathname + url.search;
}

/** Calls the control API. */
export async function control(method, path, body) {
  const answer = await trueFetch(`${simulator}/_sim/${path}`, { method, body: body && JSON.stringify(body) });
  const value = await answer.json();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${value.error}`);
  return value;
}

/** Opens an address as a browser would, and returns the target of the redirect. */
export async function browse(address) {
  const answer = await trueFetch(toSimulator(address), { redirect: "manual" });
  return answer.headers.get("location");
}

/** Returns the app's id, secret and public keys. */
export async function app() {
  const config = await control("GET", "app");
  return {
    appId: config.app_id,
    appSecret: process.env.WIX_SIM_APP_SECRET,
    publicKey: config.public_key_pem,
    otherPublicKey: config.other_public_key_pem,
  };
}
