// The bench of these tests: Wix's two hosts led to the simulator, and its control API.

const simulator = process.env.WIX_SIM_URL;
if (!simulator) throw new Error("WIX_SIM_URL is not set: start these tests with `cargo test -p wix-sim --test sdk`");

const hosts = new Set(["www.wixapis.com", "www.wix.com"]);
const trueFetch = globalThis.fetch;

/** The calls that were led to the simulator. */
export const led = [];

// The package runs as it is published; only where its requests go is changed. Any other host is refused.
globalThis.fetch = (input, init) => {
  const request = new Request(input, init);
  const url = new URL(request.url);
  if (!hosts.has(url.host)) throw new Error(`a request to ${url.host} was not expected`);
  led.push({ url: url.href, authorization: request.headers.get("authorization") });
  return trueFetch(new Request(toSimulator(url.href), request));
};

/** The address in the simulator of an address at Wix. */
export function toSimulator(address) {
  const url = new URL(address);
  return simulator + url.pathname + url.search;
}

/** A call of the control API. */
export async function control(method, path, body) {
  const answer = await trueFetch(`${simulator}/_sim/${path}`, { method, body: body && JSON.stringify(body) });
  const value = await answer.json();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${value.error}`);
  return value;
}

/** Follows a browser to the simulator without following its redirect; answers where it is sent. */
export async function browse(address) {
  const answer = await trueFetch(toSimulator(address), { redirect: "manual" });
  return answer.headers.get("location");
}

/** The app's id, secret and public key. */
export async function app() {
  const facts = await control("GET", "app");
  return {
    appId: facts.app_id,
    appSecret: process.env.WIX_SIM_APP_SECRET,
    publicKey: facts.public_key_pem,
    otherPublicKey: facts.other_public_key_pem,
  };
}
