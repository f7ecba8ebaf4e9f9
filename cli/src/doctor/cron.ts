// With an API key: whether the Cron Trigger runs, and the comparison with Wix.

import type { Deployment } from "./deployment.js";
import { counted } from "./deployment.js";
import type { Result } from "./finding.js";
import { fine, warning } from "./finding.js";
import { number, object } from "./json.js";
import type { Installation } from "./keyed.js";
import { ask, refusal } from "./keyed.js";
import { json } from "./request.js";

const MINUTE = 60;
const HOUR = 3_600;
/** An installation that is older has seen a run: the Cron Trigger runs every five minutes. */
const FIRST_RUN = 20 * MINUTE;
const PATH = "/v1/reconciliation";

/** Checks that the Cron Trigger runs, and that installations are compared with Wix. */
export async function cron(deployment: Deployment, installed: Installation[]): Promise<Result[]> {
  const answer = await ask(deployment, PATH);
  if (answer.status !== 200) return [refusal(deployment, PATH, answer)];
  const round = json(answer);
  const since = Math.min(...installed.map(({ at }) => at));
  return [...runs(deployment, round, since), ...comparison(deployment, round, since)];
}

/** An age in words. */
function old(seconds: number): string {
  return seconds < 2 * HOUR ? counted(Math.max(1, Math.floor(seconds / MINUTE)), "minute") : counted(Math.floor(seconds / HOUR), "hour");
}

/** `since`: when the oldest installation of the list was installed. */
function runs({ url, now }: Deployment, round: Record<string, unknown>, since: number): Result[] {
  const seconds = Math.round(now() / 1000);
  const where = `${url}${PATH}`;
  const fix = "Check that [triggers] has crons in wrangler's configuration, and deploy. Until the Cron Trigger runs, failed work is not repeated, and lost webhooks are not found.";
  const ran = number(round["cron_ran_at"]);
  if (ran === undefined) {
    if (seconds - since < FIRST_RUN || since === Infinity) return [];
    const what = "no run of the Cron Trigger is noted, so it has not run since this version was deployed";
    return [warning("cron.never", where, what, `If the deployment is older than ten minutes: ${fix.charAt(0).toLowerCase()}${fix.slice(1)}`)];
  }
  const by = number(round["cron_next_by"]) ?? Infinity;
  if (seconds > by) return [warning("cron.stale", where, `the Cron Trigger ran last ${old(seconds - ran)} ago, and should run every five minutes`, fix)];
  return [fine(`the Cron Trigger ran ${old(seconds - ran)} ago`)];
}

function comparison({ url, local, now }: Deployment, round: Record<string, unknown>, since: number): Result[] {
  const hours = Number(local?.vars["RECHECK_HOURS"] || 24);
  if (hours === 0) return [fine("RECHECK_HOURS is 0, so installations are not compared with Wix")];
  const previous = object(round["previous"]);
  const times = [round["started_at"], round["completed_at"], previous["completed_at"]].map((time) => number(time) ?? 0);
  const latest = Math.max(...times);
  const seconds = Math.round(now() / 1000);
  const limit = (2 * hours + 1) * HOUR;
  if (since === Infinity || (latest === 0 && seconds - since < limit)) return [];
  if (seconds - latest < limit) return [fine(`installations were compared with Wix ${old(seconds - latest)} ago`)];
  const what = latest === 0 ? "no installation has ever been compared with Wix" : `installations were last compared with Wix ${old(seconds - latest)} ago`;
  const fix = "Look at the lines `cron reconciliation` and `object compare` of the Worker's log, and at the Cron Trigger. RECHECK_HOURS must not be 0.";
  return [warning("cron.comparison", `${url}${PATH}`, what, fix)];
}
