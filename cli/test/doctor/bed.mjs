// The Workers and the simulator that `tests/it/doctor.rs` started, and what doctor finds there.

import { PATIENCE } from "../../dist/doctor/deployment.js";
import { examine } from "../../dist/doctor/examine.js";
import { version } from "../../dist/package.js";
import { front } from "./front.mjs";

export const bed = JSON.parse(process.env.DOCTOR_BED);

/** Examines an address. `also` names findings that belong to the Worker of the case. */
export async function examined(url, { key, now, simulator, local, events, patience, also = [] } = {}) {
  const deployment = {
    url,
    key: key ?? undefined,
    local: local && { folder: ".", file: "wrangler.jsonc", config: sound(local), vars: sound(local).vars },
    simulator,
    sendsTestEvent: events ?? false,
    version: version(),
    patience: patience ?? PATIENCE,
    now: now ?? Date.now,
  };
  return { ...(await examine(deployment, { unreadable: [] })), also };
}

/** A configuration without a fault, and with these vars. */
export function sound(vars = {}) {
  return {
    name: "wix-edge",
    main: "node_modules/wix-edge/worker/index.js",
    compatibility_date: "2026-10-20",
    compatibility_flags: ["no_nodejs_global_timers"],
    workers_dev: true,
    preview_urls: false,
    kv_namespaces: [{ binding: "INSTANCES" }],
    durable_objects: { bindings: [{ name: "INSTALLATIONS", class_name: "Installation" }] },
    migrations: [{ tag: "v1", new_sqlite_classes: ["Installation"] }],
    ratelimits: [{ name: "RATE_LIMITER", namespace_id: "1001", simple: { limit: 30, period: 60 } }],
    analytics_engine_datasets: [{ binding: "METRICS", dataset: "wix_edge" }],
    triggers: { crons: ["*/5 * * * *"] },
    observability: { enabled: true, redact_query_string: true, logs: { invocation_logs: false }, traces: { enabled: false } },
    vars: { WIX_APP_ID: bed.app_id, WIX_PUBLIC_KEYS: bed.public_key, ...vars },
  };
}

const post = (path, body, method = "POST") => fetch(`${bed.wix}${path}`, { method, body: JSON.stringify(body) });

/** A case in which the simulator's dashboard leads to a Worker, with further fields. */
export function controlled(name, ids, at, fields = {}, { also = [], options } = {}) {
  return { name, ids, run: async () => {
    const url = options ? (await front(bed.workers[at], options)).url : bed.workers[at];
    const urls = { app_url: `${url}/install`, redirect_urls: [`${url}/redirect`], webhook_url: `${url}/webhook` };
    await post("/_sim/app", { ...urls, ...fields }, "PATCH");
    return examined(url, { simulator: bed.wix, also });
  } };
}

/** Lets Wix refuse all tokens for the installation of a Worker. */
export async function fault(worker) {
  const listed = await fetch(`${worker}/v1/instances`, { headers: { authorization: `Bearer ${bed.key}` } });
  const [{ instance_id }] = (await listed.json()).instances;
  for (const endpoint of ["oauth2_token", "oauth_access"]) {
    await post("/_sim/faults", { endpoint, kind: "refused", status: 400, error: "invalid_request", times: 99, instance_id });
  }
}
