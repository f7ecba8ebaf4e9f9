// wrangler's configuration: bindings, triggers and the settings that keep codes out of logs.

import type { Result } from "./finding.js";
import { fault, fine, note, warning } from "./finding.js";
import { list, object, text } from "./json.js";
import { addressOf, type Local } from "./local.js";

/** The oldest compatibility date with which the Worker is tested. */
const DATE = "2026-10-20";
const FLAG = "no_nodejs_global_timers";

/** Checks the configuration without its vars. */
export function bindings(local: Local): Result[] {
  const results = [...store(local), ...objects(local), ...triggers(local), ...logs(local), ...runtime(local), ...addresses(local)];
  if (results.length === 0) results.push(fine(`${local.file} has every required binding, the Cron Trigger and the settings of logs`));
  return [...results, ...metrics(local)];
}

const names = (bindings: unknown, key: string) => list(bindings).map((one) => text(object(one)[key]));

function store({ file, config }: Local): Result[] {
  const results: Result[] = [];
  if (!names(config["kv_namespaces"], "binding").includes("INSTANCES")) {
    const fix = "Run `npx wrangler kv namespace create INSTANCES` and bind it as INSTANCES; a wrangler environment needs its own.";
    results.push(fault("local.store", `${file}, kv_namespaces`, "no KV namespace is bound as INSTANCES", fix));
  }
  if (!names(config["ratelimits"], "name").includes("RATE_LIMITER")) {
    const fix = 'Add it as the template has it: {"name": "RATE_LIMITER", "namespace_id": "1001", "simple": {"limit": 30, "period": 60}}.';
    const what = "no rate limiter is bound as RATE_LIMITER, so anybody can make the Worker call Wix without limit";
    results.push(warning("local.rate-limiter", `${file}, ratelimits`, what, fix));
  }
  return results;
}

function objects({ file, config, vars }: Local): Result[] {
  const where = `${file}, durable_objects`;
  const bound = list(object(config["durable_objects"])["bindings"]).map(object).find(({ name }) => name === "INSTALLATIONS");
  const hasTarget = Boolean(vars["EVENTS_URL"]) || names(config["services"], "binding").includes("EVENTS_TARGET");
  const fix = 'Bind the class Installation as INSTALLATIONS, with a migration that has it in new_sqlite_classes, as the template has them.';
  if (bound === undefined) {
    const what = "no Durable Object namespace is bound as INSTALLATIONS, so events cannot be delivered";
    return [(hasTarget ? fault : warning)("local.objects", where, what, fix)];
  }
  if (bound["class_name"] !== "Installation") {
    return [fault("local.class", where, "the class of INSTALLATIONS must be Installation", fix)];
  }
  const migrations = list(config["migrations"]).map(object);
  const has = (key: string) => migrations.some((migration) => list(migration[key]).includes("Installation"));
  if (bound["script_name"] !== undefined || has("new_sqlite_classes")) return [];
  if (has("new_classes")) {
    const what = "the migration of Installation is in new_classes, and must be in new_sqlite_classes";
    const mend = "Correct it before the first deployment. A class that was deployed so must be deleted (deleted_classes) and made anew.";
    return [fault("local.migration-kind", `${file}, migrations`, what, mend)];
  }
  return [fault("local.migration", `${file}, migrations`, "no migration has Installation in new_sqlite_classes, so wrangler cannot deploy", fix)];
}

/** Whether a data point is written shows in Cloudflare's dashboard only: the Worker gets no answer. */
function metrics({ file, config }: Local): Result[] {
  const where = `${file}, analytics_engine_datasets`;
  const datasets = list(config["analytics_engine_datasets"]).map(object);
  const bound = datasets.find(({ binding }) => binding === "METRICS");
  if (bound !== undefined) return [fine(`data points go to the Analytics Engine dataset ${text(bound["dataset"]) ?? "METRICS"}`)];
  const fix = 'Enable Analytics Engine once for the account, add {"binding": "METRICS", "dataset": "wix_edge"} and deploy. docs/metrics.md has the queries.';
  if (datasets.length === 0) return [note("local.metrics", where, "no Analytics Engine dataset is bound, so no data points are written", fix)];
  return [warning("local.metrics-name", where, "the dataset must be bound as METRICS, or no data points are written", fix)];
}

function triggers({ file, config }: Local): Result[] {
  if (list(object(config["triggers"])["crons"]).length > 0) return [];
  const what = "there is no Cron Trigger, so failed work is not repeated and installations are not compared with Wix";
  return [fault("local.cron", `${file}, triggers`, what, 'Add "triggers": {"crons": ["*/5 * * * *"]} and deploy.')];
}

function logs({ file, config }: Local): Result[] {
  const { logs, traces, redact_query_string } = object(config["observability"]);
  const where = `${file}, observability`;
  const results: Result[] = [];
  if (object(logs)["invocation_logs"] !== false) {
    const what = "logs.invocation_logs must be false: such a log has whole addresses, and Wix puts codes into them";
    results.push(fault("local.invocation-logs", where, what, 'Set "observability": {"logs": {"invocation_logs": false}} and deploy.'));
  }
  if (object(traces)["enabled"] === true) {
    const what = "traces.enabled must be false: a trace has whole addresses, and Wix puts codes into them";
    results.push(fault("local.traces", where, what, 'Set "observability": {"traces": {"enabled": false}} and deploy.'));
  }
  if (redact_query_string !== true) {
    const what = "redact_query_string must be true, so that no code comes into a log by another way";
    results.push(warning("local.query-strings", where, what, 'Set "observability": {"redact_query_string": true} and deploy.'));
  }
  return results;
}

function runtime({ file, config }: Local): Result[] {
  const results: Result[] = [];
  const date = text(config["compatibility_date"]);
  if (date === undefined || date < DATE) {
    const what = `the date is ${date ?? "missing"}, and the Worker is tested with ${DATE}`;
    results.push(warning("local.date", `${file}, compatibility_date`, what, `Set it to ${DATE} and deploy.`));
  }
  if (!list(config["compatibility_flags"]).includes(FLAG)) {
    const what = `the flag ${FLAG} is missing, without which the Worker's timers fail`;
    results.push(fault("local.flags", `${file}, compatibility_flags`, what, `Add "${FLAG}" and deploy.`));
  }
  return results;
}

function addresses(local: Local): Result[] {
  const { file, config } = local;
  const results: Result[] = [];
  if (config["preview_urls"] !== false) {
    const what = "preview_urls must be false: each uploaded version would stay reachable, with old keys, on the same KV";
    results.push(warning("local.previews", `${file}, preview_urls`, what, 'Set "preview_urls": false and deploy.'));
  }
  const address = addressOf(local);
  const hasDomain = address !== undefined && !new URL(address).hostname.endsWith(".workers.dev");
  if (hasDomain && config["workers_dev"] !== false) {
    const what = `the Worker is at ${address} and at workers.dev too, past the rules of the zone`;
    results.push(warning("local.workers-dev", `${file}, workers_dev`, what, 'Set "workers_dev": false and deploy, when Wix\'s dashboard has the custom domain everywhere.'));
  }
  return results;
}
