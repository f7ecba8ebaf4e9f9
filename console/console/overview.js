// The first view: health, numbers of thirty days, the comparison with Wix, parked events.

import { call, settle } from "./api.js";
import { chart } from "./chart.js";
import { ago, at, count, failure, faults, h, number, section, table } from "./dom.js";

export async function overview(page) {
  const { signal } = page;
  // The first call alone: without a session it is the only one that is refused.
  const statistics = await settle(call("/v1/statistics?days=30", { signal }));
  const [readiness, rounds, parked] = await Promise.all([
    settle(call("/readyz", { signal })),
    settle(call("/v1/reconciliation", { signal })),
    settle(call("/v1/parked-events?limit=100", { signal })),
  ]);
  const healthPart = section("Health", health(readiness, rounds, parked));
  // Without a configuration every other part would only repeat it.
  if (readiness.value?.problems?.length && statistics.error) return { title: "Overview", parts: [healthPart] };
  const parts = [
    healthPart,
    section("The last 30 days", statistics.error ? failure(statistics.error) : figures(statistics.value.days)),
    section("Comparison with Wix", rounds.error ? failure(rounds.error) : comparison(rounds.value)),
    section("Events", events(page, parked)),
  ];
  return { title: "Overview", parts };
}

/** One line of the health list. */
function line(name, tone, ...text) {
  const word = { good: "good", warn: "note", bad: "problem", soft: "unknown" }[tone];
  return h("li", { class: tone }, h("strong", {}, name), " ", h("span", { class: "hidden" }, `(${word}) `), h("span", {}, text));
}

function health(readiness, rounds, parked) {
  if (readiness.error) return failure(readiness.error);
  const { problems = [], notes = [] } = readiness.value ?? {};
  const note = (...names) => notes.find(({ name }) => names.includes(name));
  const wix = note("WIX_APP_SECRET");
  const target = note("EVENTS_URL", "INSTALLATIONS");
  const lines = [
    problems.length
      ? line("Configuration", "bad", count(problems.length, "problem"), ", see below")
      : line("Configuration", "good", "complete, and KV answers"),
    wix ? line("Wix", "bad", wix.problem) : line("Wix", problems.length ? "soft" : "good", "no recent refusal of the app's credentials"),
    target ? line("Target for events", "warn", target.problem) : targetLine(parked),
    cronLine(rounds),
  ];
  return [
    h("ul", { class: "health" }, lines),
    problems.length > 0 && h("div", {}, h("h3", {}, "Problems"), faults(problems)),
    notes.length > 0 && h("div", {}, h("h3", {}, "Notes"), faults(notes)),
  ];
}

function targetLine({ value, error }) {
  if (error) return line("Target for events", "warn", error.title);
  const sites = value.instances.length;
  const many = value.next_cursor ? `more than ${sites} installations` : count(sites, "installation");
  return sites
    ? line("Target for events", "bad", h("a", { href: "#/parked" }, "events are parked"), ` for ${many}`)
    : line("Target for events", "good", "set, and no event is parked");
}

function cronLine({ value, error }) {
  if (error) return line("Comparison with Wix", "warn", error.title);
  const { started_at: started, completed_at: ended, previous } = value;
  const latest = ended ?? started ?? previous?.completed_at;
  if (latest === undefined) {
    return line("Comparison with Wix", "soft", "no installation has been compared yet");
  }
  return line("Comparison with Wix", "good", ended ? "round ended " : "round began ", at(latest));
}

function figures(days) {
  const sum = (name) => days.reduce((total, day) => total + day[name], 0);
  const tile = (name, field) => h("div", {}, h("dt", {}, name), h("dd", {}, number(sum(field))));
  return [
    h("dl", { class: "tiles" },
      tile("Installs", "installs"), tile("Removals", "removals"),
      tile("Events delivered", "delivered"), tile("Events parked", "parked")),
    h("p", { class: "small" }, "Installs and removals count at once. An installation reports its deliveries about once an hour."),
    chart(days),
    h("details", {},
      h("summary", {}, "Numbers of each day (UTC)"),
      table("Numbers of each day", [
        { text: "Day", kind: "whole" }, { text: "Installs", kind: "number" }, { text: "Removals", kind: "number" },
        { text: "Delivered", kind: "number" }, { text: "Parked", kind: "number" },
      ], days.toReversed().map(({ date, installs, removals, delivered, parked }) =>
        [date, ...[installs, removals, delivered, parked].map(number)]))),
  ];
}

function comparison({ previous, ...present }) {
  if (present.started_at === undefined && !previous) return h("p", {}, "No installation has been compared yet.");
  const rounds = [["Present", present], ...(previous ? [["Before", previous]] : [])];
  const row = (name, value) => [name, ...rounds.map(([, round]) => value(round))];
  return table("Comparison with Wix", [{ text: "Round" }, ...rounds.map(([text]) => ({ text, kind: "number" }))], [
    row("Began", (round) => ago(round.started_at)),
    row("Ended", (round) => ago(round.completed_at)),
    row("Compared", (round) => number(round.compared)),
    row("Corrected", (round) => number(round.repaired)),
    row("… lost installs", (round) => number(round.repairs.installed)),
    row("… lost removals", (round) => number(round.repairs.removed)),
    row("… wrong plans", (round) => number(round.repairs.plan)),
  ]);
}

function events({ signal, attempt }, parked) {
  const test = () => attempt(
    () => call("/v1/events/test", { method: "POST", signal }),
    ({ event_id: id }) => `The test event ${id} is stored, and its delivery begins. Your back end gets it now.`,
  );
  return [
    parked.error ? failure(parked.error) : h("p", {}, parked.value.instances.length
      ? h("a", { href: "#/parked" }, "Look at the parked events")
      : "No event is parked."),
    h("p", {}, h("button", { type: "button", click: test }, "Send a test event")),
  ];
}
