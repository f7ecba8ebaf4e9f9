// Delivery of events to the app's back end: parked events, and a test event.

import { setTimeout as sleep } from "node:timers/promises";

import type { Deployment } from "./deployment.js";
import { counted } from "./deployment.js";
import type { Result } from "./finding.js";
import { fault, fine, warning } from "./finding.js";
import { list, number, object, text } from "./json.js";
import { ask, refusal } from "./keyed.js";
import { errorCode, json } from "./request.js";

/** The events that could not be delivered. */
export async function parked(deployment: Deployment): Promise<Result[]> {
  const path = "/v1/parked-events";
  const answer = await ask(deployment, `${path}?limit=1000`);
  // The objects are not bound: `/readyz` says so.
  if (errorCode(answer) === "not_configured") return [];
  if (answer.status !== 200) return [refusal(deployment, path, answer)];
  const page = json(answer);
  const entries = list(page["instances"]).map(object);
  if (entries.length === 0) return [fine("no event is parked")];
  const events = entries.reduce((sum, entry) => sum + (number(entry["parked"]) ?? 0), 0);
  const more = page["next_cursor"] === undefined ? "" : " or more";
  const oldest = Math.min(...entries.map((entry) => number(entry["oldest_at"]) ?? Infinity));
  const since = Number.isFinite(oldest) ? `, the oldest since ${new Date(oldest * 1000).toISOString().slice(0, 10)}` : "";
  const what = `${counted(events, "event")}${more} of ${counted(entries.length, "installation")} could not be delivered${since}`;
  const fix = "Repair the back end, and then call POST /v1/parked-events/redeliver. Contents are kept for 30 days.";
  return [warning("events.parked", `${deployment.url}${path}`, what, fix)];
}

/** Sends a test event, and waits for the back end's answer. */
export async function testEvent(deployment: Deployment, appId: string): Promise<Result[]> {
  const { url, patience } = deployment;
  const path = "/v1/events/test";
  const sent = await ask(deployment, path, "POST");
  // No target is set, or the objects are not bound: `/readyz` says so.
  if (errorCode(sent) === "not_configured") return [];
  const id = text(json(sent)["event_id"]);
  if (sent.status !== 202 || id === undefined) return [refusal(deployment, path, sent)];
  const until = performance.now() + patience;
  let answer: unknown;
  while (performance.now() < until) {
    const listed = await ask(deployment, `/v1/instances/${appId}/events?limit=100`);
    if (listed.status !== 200) return [refusal(deployment, "/v1/instances/{id}/events", listed)];
    const events = list(json(listed)["events"]).map(object);
    const event = events.find((one) => one["event_id"] === id);
    if (event?.["state"] === "delivered") return [fine("the back end accepts a test event")];
    // Events are delivered in order, so the first pending one may hold the others up.
    const first = events.filter((one) => one["state"] === "pending").at(-1);
    answer = event?.["last_answer"] ?? first?.["last_answer"];
    if (answer !== undefined) break;
    await sleep(200);
  }
  return [undelivered(`${url}${path}`, answer, patience)];
}

function undelivered(where: string, answer: unknown, patience: number): Result {
  if (answer === "unreachable") {
    const fix = "Check EVENTS_URL, its host's certificate, and that the back end can be reached from the internet. A plain http address works on loopback only.";
    return fault("events.unreachable", where, "the test event did not arrive: the back end cannot be reached", fix);
  }
  if (answer === "timeout") {
    const fix = "Let the back end store the event, answer 200, and do the work afterwards.";
    return fault("events.timeout", where, "the test event did not arrive: the back end does not answer within 15 s", fix);
  }
  if (answer === 401 || answer === 403) {
    const fix = "Give the back end every secret of EVENTS_SECRETS, let it verify the unchanged bytes of the body, and check its clock and its firewall.";
    return fault("events.refused", where, `the back end refuses the test event with ${answer}, such as for another secret`, fix);
  }
  if (typeof answer === "number" && answer >= 300 && answer < 400) {
    const fix = "Set EVENTS_URL to the final address: redirects are not followed.";
    return fault("events.redirected", where, `the back end answers the test event with a redirect (${answer})`, fix);
  }
  if (answer === 404 || answer === 405) {
    const fix = "Set EVENTS_URL to the whole address of the handler, path included, and let it accept POST.";
    return fault("events.not-found", where, `the back end has no handler for events at its address (${answer})`, fix);
  }
  if (typeof answer === "number") {
    const fix = "Look at the back end's log. It must answer 200 to 299 also to event types that it does not know.";
    return fault("events.failed", where, `the back end answers the test event with ${answer}`, fix);
  }
  const fix = "Look at the lines `deliver` of the Worker's log, and list the app's events: GET /v1/instances/{app id}/events.";
  return fault("events.waiting", where, `the test event was not attempted within ${patience / 1000} s`, fix);
}
