// What the Worker says of itself: its version, its configuration and its store.

import { isLater, kvSchema } from "../releases.js";
import type { Deployment } from "./deployment.js";
import type { Finding, Result } from "./finding.js";
import { fault, fine, note, warning } from "./finding.js";
import { list, object, text } from "./json.js";
import type { Answer } from "./request.js";
import { json, send, stranger } from "./request.js";

/** Compares the Worker's version with this program's. */
export function version(deployment: Deployment, health: Answer): Result[] {
  const found = text(json(health)["version"]) ?? "";
  const where = `${deployment.url}/healthz`;
  if (isLater(deployment.version, found)) {
    const fix = "Read `npx wix-edge upgrade`, and deploy the version of this package.";
    return [warning("version.older", where, `the Worker is version ${found}, older than this package's ${deployment.version}`, fix)];
  }
  if (isLater(found, deployment.version)) {
    const fix = "Install that version of the package, so that its checks fit: `npm install wix-edge@latest`.";
    return [warning("version.newer", where, `the Worker is version ${found}, newer than this package's ${deployment.version}`, fix)];
  }
  return [fine(`the Worker is wix-edge ${found}, with the schema ${kvSchema(found)} in KV`)];
}

/** A note that the operator may have meant. */
const MEANT = ["EVENTS_URL"];

/** Reads `/readyz`. Also returns whether the Worker serves. */
export async function readiness({ url }: Deployment): Promise<{ results: Result[]; isReady: boolean }> {
  const answer = await send(`${url}/readyz`);
  const { status, problems, notes } = json(answer);
  const where = `${url}/readyz`;
  if (typeof status !== "string" || !Array.isArray(problems)) {
    const { who, fix } = stranger(answer, url);
    return { results: [fault("ready.unreadable", where, `it is answered by ${who}`, fix)], isReady: false };
  }
  const faults = problems.map((problem) => entry(problem, (name) => [fault, `ready.${name}`]));
  const others = list(notes).map((one) => entry(one, (name) => [MEANT.includes(name) ? note : warning, `note.${name}`]));
  const isReady = faults.length === 0;
  return { results: [...faults, ...others, ...(isReady ? [fine("the configuration is complete, and KV answers")] : [])], isReady };
}

type Make = (id: string, where: string, what: string, fix: string) => Finding;

function entry(value: unknown, kind: (name: string) => [Make, string]): Finding {
  const { name, problem, fix } = object(value);
  const [make, id] = kind(String(name));
  return make(id, String(name), String(problem), String(fix));
}
