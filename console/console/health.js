// The health of the overview. Each line says what the API has seen: without evidence it is neither good nor bad.

import { call, query, settle } from "./api.js";
import { ago, at, count, failure, faults, h, number, prose } from "./dom.js";

/** Of how many installations the statuses are counted: KV lists so many at once. */
const COUNTED = 1000;
/** How many of them tell their latest events, and how many events each. */
const [ASKED, EVENTS] = [5, 10];
/** A pending event is attempted at once, so an older one waits for the back end. In seconds. */
const PROMPT = 60;
const HOUR = 3600;
const DAY = 24 * HOUR;
/** The Cron Trigger runs every five minutes. */
const CRON_LATE = 1200;
/** How old the latest round of the comparison may be with the default of RECHECK_HOURS. */
const ROUND_LATE = 2 * DAY + HOUR;
const CRON_FIX = "Check that `[triggers]` in wrangler's configuration has `crons`, and deploy. Until it runs, failed work is not repeated.";

/** The app's id, once a test event has told it. Its events are evidence too. */
let app;

/** Keeps the app's id. */
export const learn = (id) => { app = id; };

/** A page of installations, and the latest events of those that changed last. */
export async function look(readiness, signal) {
  const listed = await settle(call(`/v1/instances${query({ limit: COUNTED })}`, { signal }));
  const instances = listed.value?.instances ?? [];
  const changed = ({ last_event_at: event = 0, installed_at: installed = 0 }) => Math.max(event, installed);
  const newest = instances.filter(({ status }) => status !== "removed").sort((one, other) => changed(other) - changed(one));
  const ids = [app, ...newest.slice(0, ASKED).map(({ instance_id: id }) => id)].filter(Boolean);
  const asked = noted(readiness, "EVENTS_URL", "INSTALLATIONS") ? [] : ids;
  const pages = await Promise.all(asked.map(async (id) => {
    const page = await settle(call(`/v1/instances/${encodeURIComponent(id)}/events?limit=${EVENTS}`, { signal }));
    return (page.value?.events ?? []).map((event) => ({ ...event, id }));
  }));
  return { listed, instances, events: pages.flat() };
}

const noted = ({ value }, ...names) => (value?.notes ?? []).find(({ name }) => names.includes(name));
const now = () => Date.now() / 1000;
const latest = (times) => times.reduce((most, time) => Math.max(most, time ?? 0), 0);

/** The section's content. */
export function health(readiness, rounds, parked, seen) {
  if (readiness.error) return failure(readiness.error);
  const { problems = [], notes = [] } = readiness.value ?? {};
  const configuration = problems.length
    ? line("Configuration", "bad", count(problems.length, "problem"), ", see below")
    : line("Configuration", "good", "complete, and KV answers");
  // Without a configuration every other line would only repeat it.
  const lines = problems.length && rounds.error ? [configuration] : [
    configuration,
    wixLine(noted(readiness, "WIX_APP_SECRET"), seen),
    targetLine(noted(readiness, "EVENTS_URL", "INSTALLATIONS"), parked, seen),
    cronLine(rounds, seen),
    roundLine(rounds),
    installationsLine(seen),
  ];
  return [
    h("ul", { class: "health" }, lines),
    problems.length > 0 && h("div", {}, h("h3", {}, "Problems"), faults(problems)),
    notes.length > 0 && h("div", {}, h("h3", {}, "Notes"), faults(notes)),
  ];
}

/** One line of the list. */
function line(name, tone, ...text) {
  const word = { good: "good", warn: "note", bad: "problem", soft: "unknown" }[tone];
  return h("li", { class: tone }, h("strong", {}, name), " ", h("span", { class: "hidden" }, `(${word}) `), h("span", {}, text));
}

/** The page does not call Wix, so that only a token of the last hour is evidence. */
function wixLine(note, { instances }) {
  if (note) return line("Wix", "bad", note.problem);
  const issued = latest(instances.map(({ last_token: token }) => (token?.outcome === "refused" ? 0 : token?.at)));
  if (issued > now() - HOUR) return line("Wix", "good", "issued a token ", ago(issued));
  return line("Wix", "soft", "not asked by this page; no refusal of the app's credentials is noted");
}

/** What an answer means. */
export function meaning(answer) {
  if (answer === "timeout") return "no answer within 15 s";
  return answer === "unreachable" ? "it cannot be reached" : `answer ${answer}`;
}

function targetLine(note, parked, { events, listed }) {
  const name = "Target for events";
  if (note) return line(name, "warn", note.problem);
  const waiting = events.filter(({ state, attempts, received_at: received }) => state === "pending" && (attempts > 0 || received < now() - PROMPT));
  const accepted = latest(events.filter(({ state }) => state === "delivered").map(({ received_at: received }) => received));
  const sites = parked.value?.instances.length ?? 0;
  const many = parked.value?.next_cursor ? `more than ${sites} installations` : count(sites, "installation");
  const texts = [];
  let tone = "soft";
  if (waiting.length) {
    const first = waiting.reduce((one, other) => (other.received_at < one.received_at ? other : one));
    const answer = waiting.find(({ last_answer: last }) => last !== undefined)?.last_answer;
    // One that was accepted later shows that the target works, at least for other events.
    tone = accepted > first.received_at ? "warn" : "bad";
    texts.push([
      h("a", { href: `#/installations/${encodeURIComponent(first.id)}` }, `${count(waiting.length, "event")} of the latest ${number(events.length)}`),
      ` ${waiting.length === 1 ? "waits" : "wait"} for your back end`, answer === undefined ? "" : ` (${meaning(answer)})`, ", the first since ", ago(first.received_at)]);
  }
  if (sites) {
    tone = "bad";
    texts.push([h("a", { href: "#/parked" }, "events are parked"), ` for ${many}`]);
  }
  if (texts.length) return line(name, tone, texts.map((text, index) => [index > 0 && "; ", text]));
  if (parked.error) return line(name, "warn", parked.error.title);
  if (accepted > now() - DAY) return line(name, "good", "your back end accepted an event that came ", ago(accepted));
  const lack = listed.error ? listed.error.title : "no delivery of the last day was found";
  return line(name, "soft", `set; ${lack}. Send a test event to see whether your back end accepts it.`);
}

function cronLine({ value, error }, { instances }) {
  const name = "Cron Trigger";
  if (error) return line(name, "warn", error.title);
  const { cron_ran_at: ran, cron_next_by: by } = value;
  if (ran === undefined) {
    const first = Math.min(...instances.map(({ installed_at: installed }) => installed ?? Infinity));
    return first < now() - CRON_LATE
      ? line(name, "warn", "no run is noted. ", prose(CRON_FIX))
      : line(name, "soft", "no run is noted yet; the first one comes within five minutes after a deployment");
  }
  return now() > by
    ? line(name, "bad", "ran last ", ago(ran), ", and should run every five minutes. ", prose(CRON_FIX))
    : line(name, "good", "ran ", ago(ran));
}

function roundLine({ value, error }) {
  const name = "Comparison with Wix";
  if (error) return line(name, "warn", error.title);
  const { started_at: started, completed_at: ended, previous } = value;
  const time = ended ?? started ?? previous?.completed_at;
  if (time === undefined) return line(name, "soft", "no installation has been compared yet");
  const text = [ended ? "round ended " : "round began ", at(time)];
  return time < now() - ROUND_LATE
    ? line(name, "soft", text, prose(", which is right only if `RECHECK_HOURS` is long, or 0"))
    : line(name, "good", text);
}

function installationsLine({ listed, instances }) {
  const name = "Installations";
  if (listed.error) return line(name, "warn", listed.error.title);
  const having = (status) => instances.filter((instance) => instance.status === status).length;
  const [lost, pending] = [having("needs_reconnect"), having("pending")];
  const part = (status, found) => h("a", { href: `#/installations${query({ status })}` }, `${status.replaceAll("_", " ")}: ${number(found)}`);
  const whole = `${listed.value.next_cursor ? "the first " : ""}${count(instances.length, "installation")}`;
  if (!instances.length) return line(name, "soft", "there is none yet");
  if (!lost && !pending) return line(name, "good", `of ${whole} none is pending or needs to be reconnected`);
  return line(name, lost ? "warn" : "soft", "of ", whole, ": ", part("needs_reconnect", lost), ", ", part("pending", pending));
}

/** When the outcome of an attempt is looked for, in milliseconds after the look before. An attempt lasts up to 15 s. */
const LOOKS = [300, 700, 1000, 2000, 4000, 8000, 4000];

/** Sends a test event, and follows it. Returns the tone and the text of its outcome; nothing if the view is gone. */
export async function test(signal, stored) {
  const { event_id: id, instance_id: owner } = await call("/v1/events/test", { method: "POST", signal });
  learn(owner);
  stored();
  for (const pause of LOOKS) {
    await new Promise((resolve) => setTimeout(resolve, pause));
    if (signal.aborted) return undefined;
    const { events } = await call(`/v1/instances/${encodeURIComponent(owner)}/events?limit=100`, { signal });
    const event = events.find(({ event_id: known }) => known === id);
    if (event?.state === "delivered") return ["good", `Your back end accepted the test event (${meaning(event.last_answer)}).`];
    if (event?.attempts > 0) {
      return ["bad", `Your back end did not accept the test event: ${meaning(event.last_answer)}. The Worker repeats it.`];
    }
    // Events are delivered in order, so that the first pending one holds up the others.
    const first = events.findLast(({ state }) => state === "pending");
    if (first?.attempts > 0) {
      return ["bad", `The test event waits behind an earlier event of the app, which your back end did not accept: ${meaning(first.last_answer)}.`];
    }
  }
  return ["bad", "The test event was not attempted within 20 s. Look at the lines deliver of the Worker's log."];
}
