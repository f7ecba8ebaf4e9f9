// The first view: health, numbers of thirty days, the comparison with Wix, parked events.

import { call, settle } from "./api.js";
import { chart } from "./chart.js";
import { ago, failure, h, number, section, table } from "./dom.js";
import { health, look, test } from "./health.js";

export async function overview(page) {
  const { signal } = page;
  // The first call alone: without a session it is the only one that is refused.
  const statistics = await settle(call("/v1/statistics?days=30", { signal }));
  const [readiness, rounds, parked] = await Promise.all([
    settle(call("/readyz", { signal })),
    settle(call("/v1/reconciliation", { signal })),
    settle(call("/v1/parked-events?limit=100", { signal })),
  ]);
  const seen = await look(readiness, signal);
  const healthPart = section("Health", health(readiness, rounds, parked, seen));
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

function events({ signal, attempt, announce, reload }, parked) {
  const send = async () => {
    let outcome;
    const stored = () => announce("The test event is stored. Waiting for the answer of your back end…", "soft");
    if (!await attempt(async () => { outcome = await test(signal, stored); }, () => "") || !outcome) return;
    // The health shows the outcome too.
    await reload();
    const [tone, text] = outcome;
    announce(text, tone);
  };
  return [
    parked.error ? failure(parked.error) : h("p", {}, parked.value.instances.length
      ? h("a", { href: "#/parked" }, "Look at the parked events")
      : "No event is parked."),
    h("p", {}, h("button", { type: "button", click: send }, "Send a test event")),
  ];
}
