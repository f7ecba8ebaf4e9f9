// Routes for programs, without a key: what Wix and the app's back end meet.

import type { Deployment } from "./deployment.js";
import type { Result } from "./finding.js";
import { fault, fine, warning } from "./finding.js";
import { errorCode, send, stranger } from "./request.js";

/** Wix counts a webhook as delivered only if it is answered within this time (docs/wix.md). */
const WIX_WAITS = 1_250;
/** Wix's largest messages have about this many bytes. */
const LARGE = 600_000;
/** How the Worker refuses a message that is not Wix's. */
const REFUSALS = ["malformed_message", "bad_signature"];

/** Sends messages to `/webhook` that are not Wix's. */
export async function webhook({ url }: Deployment): Promise<Result[]> {
  const where = `${url}/webhook`;
  const post = (body: string) => send(where, { method: "POST", headers: { "content-type": "text/plain" }, body });
  const answer = await post("not-from-wix");
  if (!REFUSALS.includes(errorCode(answer) ?? "")) {
    if (answer.status >= 200 && answer.status < 300) {
      const what = `a message without a signature is answered ${answer.status}, so something else takes Wix's webhooks`;
      return [fault("webhook.accepted", where, what, "Let the route lead to the Worker wix-edge, and no proxy answer in its place.")];
    }
    const { who, fix } = stranger(answer, url);
    return [fault("webhook.blocked", where, `Wix's webhooks are answered by ${who}`, fix)];
  }
  const results: Result[] = [];
  // A first request may wait for the Worker's start.
  const again = await post("not-from-wix");
  const milliseconds = Math.round(Math.min(answer.milliseconds, again.milliseconds));
  if (milliseconds > WIX_WAITS) {
    const what = `the answer takes ${milliseconds} ms, and Wix waits ${WIX_WAITS} ms`;
    results.push(warning("webhook.slow", where, what, "Look for a slow proxy or a slow network between this computer and Cloudflare."));
  }
  const large = await post("a".repeat(LARGE));
  if (!REFUSALS.includes(errorCode(large) ?? "")) {
    const what = `a message of ${LARGE / 1000} kB is answered ${large.status} before it comes to the Worker, and Wix sends such ones`;
    results.push(fault("webhook.large", where, what, "Let proxy and firewall pass bodies of up to 1 MiB to this path."));
  }
  return results.length > 0 ? results : [fine("/webhook refuses a message that Wix has not signed")];
}

/** Requests the app API without a key. */
export async function api({ url }: Deployment): Promise<Result[]> {
  const where = `${url}/v1/instances`;
  const answer = await send(where);
  if (errorCode(answer) === "unauthorized") return [fine("/v1 refuses a call without a key")];
  if (errorCode(answer) === "https_required") {
    const what = "the Worker gets the call over plain http, and refuses every API key that comes so";
    return [fault("api.plain-text", where, what, "Let the proxy connect to the Worker by https, and set Cloudflare's SSL/TLS mode to Full (strict).")];
  }
  if (answer.status === 200) {
    const what = "the list of installations is answered without a key, so a proxy adds one or a cache has the answer";
    return [fault("api.open", where, what, "Remove that, bypass the cache for this host, and replace the key that it uses.")];
  }
  const { who, fix } = stranger(answer, url);
  return [fault("api.blocked", where, `the app API is answered by ${who}, so your back end cannot use it`, fix)];
}
