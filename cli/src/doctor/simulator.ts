// In development, with the simulator of Wix: what its dashboard has, and the round trip of a webhook and of an event.

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import type { Deployment } from "./deployment.js";
import type { Result } from "./finding.js";
import { fault, fine, note } from "./finding.js";
import { list, object, text } from "./json.js";
import { json, send, Unanswered } from "./request.js";

/** An event of no installation, so that nothing of it stays in the Worker's records. */
const EVENT = "wix.contacts.v4.contact_deleted";
const WAIT = 5_000;

/** Compares the simulator's dashboard with the deployment, and sends an event through both. */
export async function simulator(deployment: Deployment, wix: string, appId: string | undefined): Promise<Result[]> {
  let app;
  try {
    app = json(await send(`${wix}/_sim/app`));
  } catch (error) {
    if (!(error instanceof Unanswered)) throw error;
    return [fault("simulator.unreachable", wix, `no simulator answers (${error.code})`, "Start it with `npx wix-edge dev`, or run doctor with another --sim.")];
  }
  if (typeof app["app_id"] !== "string") {
    return [fault("simulator.unreachable", wix, "the answer is not the simulator's", "Run doctor with the address that the simulator prints as --sim.")];
  }
  const results = [...dashboard(deployment, wix, app, appId)];
  if (results.length > 0) return results;
  return [...(await appUrl(wix)), ...(await roundTrip(deployment, wix))];
}

/** The addresses in the dashboard must be those of the deployment. */
function dashboard({ url }: Deployment, wix: string, app: Record<string, unknown>, appId: string | undefined): Result[] {
  const where = `${wix}/_sim/app`;
  const results: Result[] = [];
  if (appId !== undefined && app["app_id"] !== appId) {
    const what = `the simulator's app is ${String(app["app_id"])}, and the Worker's is ${appId}`;
    results.push(fault("simulator.app", where, what, "Set WIX_APP_ID to the id that the simulator prints, or start it with --app-id."));
  }
  const wanted: [string, string, unknown][] = [
    ["webhook_url", `${url}/webhook`, app["webhook_url"]],
    ["app_url", `${url}/install`, app["app_url"]],
    ["redirect_urls", `${url}/redirect`, list(app["redirect_urls"]).find((one) => one === `${url}/redirect`) ?? "another one"],
  ];
  for (const [name, must, is] of wanted) {
    if (is === must) continue;
    const what = `${name} is ${text(is) ?? "not set"}, and must be ${must}`;
    results.push(fault("simulator.dashboard", where, what, `Set it on the simulator's page ${wix}.`));
  }
  return results;
}

/** Opens the App URL as Wix does. */
async function appUrl(wix: string): Promise<Result[]> {
  const problems = list(json(await send(`${wix}/_sim/inspect-app-url`, { method: "POST" }))["problems"]).map(object);
  return problems.map(({ rule, detail }) =>
    fault("simulator.app-url", `${wix}/_sim/inspect-app-url`, `the App URL breaks the rule ${String(rule)}: ${String(detail)}`, "Follow docs/wix.md, 3.3; the other findings name the cause."),
  );
}

/** Lets the simulator send a webhook, and looks whether the Worker takes it and the back end gets it. */
async function roundTrip({ url }: Deployment, wix: string): Promise<Result[]> {
  const mark = randomUUID();
  const event = { event_type: EVENT, data: { mark } };
  const sent = json(await send(`${wix}/_sim/events`, { method: "POST", body: JSON.stringify(event) }));
  const id = list(sent["delivery_ids"])[0];
  const listed = json(await send(`${wix}/_sim/deliveries?id=${String(id)}&wait_ms=${WAIT}&until=attempted`));
  const delivery = object(list(listed["deliveries"])[0]);
  const attempt = object(list(delivery["attempts"])[0]);
  const where = `${url}/webhook`;
  if (attempt["outcome"] !== "delivered") {
    const answer = typeof attempt["status"] === "number" && attempt["status"] > 0 ? String(attempt["status"]) : String(attempt["outcome"]);
    const fix =
      answer === "401"
        ? "Set WIX_PUBLIC_KEYS to the public key that the simulator prints, and restart the Worker."
        : "Look at the line of /webhook in the Worker's log.";
    return [fault("simulator.webhook", where, `a genuine webhook of the simulator was not accepted (${answer})`, fix)];
  }
  const accepted = fine("the Worker accepts a webhook of the simulator");
  const arrived = await hasArrived(wix, mark);
  if (arrived === undefined) {
    const what = "the simulator is not the back end, so the round trip of an event was not checked";
    return [accepted, note("simulator.no-back-end", wix, what, "Start it with WIX_SIM_EVENTS_SECRETS in its environment, as `npx wix-edge dev` does.")];
  }
  if (!arrived) {
    const what = `the event of an accepted webhook did not arrive at the back end (${wix}/_app/events)`;
    const fix = "Set EVENTS_URL to that address and EVENTS_SECRETS to the simulator's secrets, and look at the lines `deliver` of the Worker's log.";
    return [accepted, fault("simulator.event", where, what, fix)];
  }
  return [accepted, fine("the back end gets the event of a webhook")];
}

/** Waits until the back end has the event; `undefined` if the simulator is not the back end. */
async function hasArrived(wix: string, mark: string): Promise<boolean | undefined> {
  const until = performance.now() + WAIT;
  while (performance.now() < until) {
    const seen = await send(`${wix}/_sim/app-deliveries?type=${EVENT}`);
    if (seen.status === 409) return undefined;
    const events = list(json(seen)["deliveries"]).map(object);
    if (events.some(({ data, delivered }) => object(data)["mark"] === mark && typeof delivered === "object")) return true;
    await sleep(100);
  }
  return false;
}
