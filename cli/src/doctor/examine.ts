// All checks, in order. Later checks need what earlier ones have found.

import { API_KEY } from "../keys.js";
import { isLoopback } from "../shapes.js";
import { clock } from "./clock.js";
import { bindings } from "./bindings.js";
import { console } from "./console.js";
import { cron } from "./cron.js";
import type { Deployment } from "./deployment.js";
import { parked, testEvent } from "./delivery.js";
import type { Finding, Result } from "./finding.js";
import { fault, isFinding, note } from "./finding.js";
import { flows } from "./flow.js";
import { headers } from "./headers.js";
import { readiness, version } from "./health.js";
import { installations, statistics, token } from "./keyed.js";
import { keys, vars } from "./keys.js";
import type { KeyFile } from "./local.js";
import { api, webhook } from "./outside.js";
import { reach } from "./reach.js";
import { Unanswered } from "./request.js";
import { simulator } from "./simulator.js";

/** What was found. */
export interface Report {
  url: string;
  /** `unreachable` if nobody answered at the address. */
  status: "ok" | "faults" | "unreachable";
  findings: Finding[];
  /** The checks that found nothing wrong. */
  fine: string[];
}

/** Examines a deployment, and the files of its folder. */
export async function examine(deployment: Deployment, files: { keyFile?: KeyFile | undefined; unreadable: Finding[] }): Promise<Report> {
  const { url, local, key } = deployment;
  const results: Result[] = [...files.unreadable];
  if (local !== undefined) results.push(...bindings(local), ...vars(local, isLoopback(new URL(url))));
  if (files.keyFile !== undefined) results.push(...keys(files.keyFile, key));
  let isUnreachable = false;
  try {
    isUnreachable = await online(deployment, results);
  } catch (error) {
    if (!(error instanceof Unanswered)) throw error;
    const what = `a request broke off (${error.code}), although the address answered before`;
    results.push(fault("reach.broken-off", url, what, "Run doctor again; if it stays, look at the Worker's log and for a firewall that closes connections."));
  }
  const findings = results.filter(isFinding);
  const hasFault = findings.some(({ severity }) => severity === "fault");
  const status = isUnreachable ? "unreachable" : hasFault ? "faults" : "ok";
  return { url, status, findings, fine: results.flatMap((result) => (isFinding(result) ? [] : [result.what])) };
}

/** Returns whether nobody answered. */
async function online(deployment: Deployment, results: Result[]): Promise<boolean> {
  const reached = await reach(deployment);
  results.push(...reached.results);
  if (reached.health === undefined) return reached.isUnreachable;
  results.push(...version(deployment, reached.health));
  const { results: ready, isReady } = await readiness(deployment);
  results.push(...ready, ...(await headers(deployment)), ...(await console(deployment)));
  // Every other route of a Worker that is not ready answers 503.
  if (!isReady) return false;
  const begun = await flows(deployment);
  results.push(...begun.results, ...clock(deployment, reached.health, begun.issuedAt));
  results.push(...(await webhook(deployment)), ...(await api(deployment)));
  await keyed(deployment, results, begun.appId);
  if (deployment.simulator !== undefined) {
    results.push(...(await simulator(deployment, deployment.simulator, begun.appId)));
  }
  return false;
}

async function keyed(deployment: Deployment, results: Result[], appId: string | undefined): Promise<void> {
  if (deployment.key === undefined) {
    const what = "no API key was given, so tokens, events and the list of installations were not checked";
    const fix = `Put a key with the scopes token, instances and events into the variable ${API_KEY}.`;
    results.push(note("key.none", deployment.url, what, fix));
    return;
  }
  const { results: listed, installed } = await installations(deployment);
  results.push(...listed);
  if (listed.some((result) => isFinding(result) && result.id.startsWith("key."))) return;
  if (!listed.some(isFinding)) results.push(...(await token(deployment, installed)));
  results.push(...(await cron(deployment, installed)), ...(await statistics(deployment)));
  results.push(...(await parked(deployment)));
  if (deployment.sendsTestEvent && appId !== undefined) results.push(...(await testEvent(deployment, appId)));
}
