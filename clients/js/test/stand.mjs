// Helpers for tests with a real Worker and a simulated Wix, which `tests/it/client.rs` starts.

const { WORKER_URL, WORKER_KEY, WIX_URL } = process.env;
if (!WORKER_URL) throw new Error("WORKER_URL must be set: start these tests with `cargo xtask test --only it -- client`");

export const url = WORKER_URL;
export const key = WORKER_KEY;
export const unknown = "01234567-89ab-4cde-8f01-23456789abcd";

/** A `fetch` that records its calls. */
export function counting(fetch = globalThis.fetch) {
  const calls = [];
  const counted = async (input, init) => {
    const { url, method } = new Request(input, init);
    const headers = new Headers(init?.headers ?? input.headers);
    calls.push({ method, url, authorization: headers.get("authorization") });
    return fetch(input, init);
  };
  return { calls, fetch: counted };
}

/** A `fetch` that sends calls for Wix to the simulator, and answers calls for other hosts itself. */
export async function toWix(input, init) {
  const { host, pathname, search } = new URL(input.url ?? input);
  if (host !== "www.wixapis.com") return new Response("another host");
  const request = input instanceof Request ? new Request(WIX_URL + pathname + search, input) : WIX_URL + pathname + search;
  return fetch(request, init);
}

/** The simulator's control API. */
export async function wix(method, path, body) {
  const response = await fetch(`${WIX_URL}/_sim/${path}`, { method, body: body && JSON.stringify(body) });
  const value = await response.json();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${value.error}`);
  return value;
}

/** Installs the app on a new site, and waits for the webhook. */
export async function installed() {
  const { instance } = await wix("POST", "installs", {});
  await wix("GET", `deliveries?instance_id=${instance.instance_id}&wait_ms=20000`);
  return instance.instance_id;
}

/** Removes the app from its site, and waits for the webhook. */
export async function removed(id) {
  // Wix's times are whole seconds, so the removal must be in a later second than the installation.
  await new Promise((resolve) => setTimeout(resolve, 1010 - (Date.now() % 1000)));
  await wix("POST", `instances/${id}/remove`);
  await wix("GET", `deliveries?instance_id=${id}&wait_ms=20000`);
}

/** A signed instance, as Wix puts it into the address of a dashboard page. */
export async function signed(id, overrides = {}) {
  return (await wix("POST", "signed-instance", { instance_id: id, overrides })).instance;
}

/** The endpoints of Wix that were called for an installation. */
export async function called(id) {
  const { calls } = await wix("GET", `calls?instance_id=${id}`);
  return calls.map((call) => call.endpoint);
}
