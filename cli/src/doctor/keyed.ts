// With an API key: the list of installations, a token from Wix, and the statistics.

import type { Deployment } from "./deployment.js";
import type { Finding, Result } from "./finding.js";
import { fault, fine, note, warning } from "./finding.js";
import { list, number, object, text } from "./json.js";
import type { Answer } from "./request.js";
import { errorCode, json, send, stranger } from "./request.js";

/** How many installations are tried for a token: a site owner may have removed one a moment ago. */
const TRIED = 3;

/** Sends a request with the key. */
export function ask({ url, key }: Deployment, path: string, method = "GET", body?: string): Promise<Answer> {
  const headers = { authorization: `Bearer ${key}`, ...(body === undefined ? {} : { "content-type": "application/json" }) };
  return send(`${url}${path}`, { method, headers, ...(body === undefined ? {} : { body }) });
}

/** The finding of an error that any route may answer. */
export function refusal({ url }: Deployment, path: string, answer: Answer): Finding {
  const where = `${url}${path}`;
  const detail = (text(json(answer)["detail"]) ?? "").replace(/\.$/, "");
  switch (errorCode(answer)) {
    case "unauthorized":
      return fault("key.unknown", where, "the Worker does not know this API key", "Add its entry to API_KEYS (`npx wix-edge keygen api-key` explains how), or let no proxy remove the header Authorization.");
    case "forbidden":
      return warning("key.scope", where, `the API key lacks a scope: ${detail}`, "Use a key with the scopes token, instances and events, or add the scope to its entry in API_KEYS.");
    case "store_failed":
      return fault("store.failed", where, "KV or an object fails or is slow", "Wait a moment, and check whether Cloudflare reports an incident. Nothing is lost: Wix sends its webhooks again.");
    case undefined: {
      const { who, fix } = stranger(answer, url);
      return fault("key.blocked", where, `a call with a key is answered by ${who}`, fix);
    }
    default: {
      const fix = `Read ${url}/problems#${String(errorCode(answer))}, and look up the request ${String(json(answer)["request_id"])} in the Worker's log.`;
      return fault("api.failed", where, `the answer is ${answer.status} ${String(errorCode(answer))}`, fix);
    }
  }
}

/** An installation of the list. */
export interface Installation {
  id: string;
  /** When it was installed, in seconds. */
  at: number;
}

/** Lists installations. Without a list, the other checks that need it find nothing. */
export async function installations(deployment: Deployment): Promise<{ results: Result[]; installed: Installation[] }> {
  const path = "/v1/instances";
  const answer = await ask(deployment, `${path}?status=installed&limit=100`);
  if (answer.status !== 200) return { results: [refusal(deployment, path, answer)], installed: [] };
  const installed = list(json(answer)["instances"]).flatMap((entry) => {
    const { instance_id, installed_at } = object(entry);
    return typeof instance_id === "string" ? [{ id: instance_id, at: number(installed_at) ?? 0 }] : [];
  });
  return { results: [fine("the Worker knows the API key")], installed };
}

/** Lets Wix issue a token for an installation. The token is not kept. */
export async function token(deployment: Deployment, installed: Installation[]): Promise<Result[]> {
  const { url } = deployment;
  if (installed.length === 0) {
    const what = "there is no installation, so no token could be requested and the app secret is not proven";
    return [note("token.no-installation", url, what, "Install the app on a test site, and run doctor again.")];
  }
  let refused: string | undefined;
  for (const { id } of installed.slice(0, TRIED)) {
    const path = `/v1/instances/${id}/token`;
    const where = `${url}${path}`;
    const answer = await ask(deployment, path, "POST", '{"force":true}');
    if (answer.status === 200) return [fine(`Wix issues a token for an installation (${id})`)];
    switch (errorCode(answer)) {
      case "removed_instance":
      case "unknown_instance":
        continue;
      case "needs_reconnect":
        refused ??= where;
        continue;
      case "app_credentials_refused": {
        const fix = "Compare WIX_APP_ID and the secret with the Wix app dashboard (Develop, OAuth), and run `npx wrangler secret put WIX_APP_SECRET`.";
        return [fault("token.credentials", where, "Wix refuses the app's own credentials", fix)];
      }
      case "wix_failed":
      case "wix_timeout": {
        const fix = "Check Wix's status page, and that WIX_API_URL is not set in the vars.";
        return [fault("token.wix", where, "Wix fails, is too slow, or cannot be reached from the Worker", fix)];
      }
      default:
        return [refusal(deployment, path, answer)];
    }
  }
  if (refused === undefined) return [];
  const what = `Wix refuses tokens for every installation that was tried (${Math.min(installed.length, TRIED)})`;
  const fix = "If it is every site, compare WIX_APP_ID with the Wix app dashboard and see whether the app is closed there; otherwise the owner installs the app again.";
  return [warning("token.refused", refused, what, fix)];
}

/** What the Worker counted in the last 30 days. */
export async function statistics(deployment: Deployment): Promise<Result[]> {
  const path = "/v1/statistics";
  const answer = await ask(deployment, path);
  // The objects are not bound, which `/readyz` says, or the Worker is older than this route.
  if (errorCode(answer) === "not_configured" || errorCode(answer) === "not_found") return [];
  if (answer.status !== 200) return [refusal(deployment, path, answer)];
  const days = list(json(answer)["days"]).map(object);
  const sum = (name: string) => days.reduce((total, day) => total + (number(day[name]) ?? 0), 0);
  return [fine(`in 30 days: ${["installs", "removals", "delivered", "parked"].map((name) => `${sum(name)} ${name}`).join(", ")}`)];
}
