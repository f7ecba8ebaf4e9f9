// The installations that have parked events.

import { call, query } from "./api.js";
import { confirm } from "./dialog.js";
import { ago, count, h, number, table } from "./dom.js";

export async function parked({ parameters, signal, attempt, reload }) {
  const cursor = parameters.get("cursor") ?? "";
  const { instances, next_cursor: next } = await call(`/v1/parked-events${query({ cursor, limit: 100 })}`, { signal });
  const send = (body, whose) => attempt(
    () => call("/v1/parked-events/redeliver", { method: "POST", body, signal }),
    () => `The Worker sends ${whose} once more. The list shows it within about a minute.`,
  );
  const all = async () => {
    const text = "Each parked event of every installation gets one more attempt, forty installations at a time.";
    if (await confirm("Redeliver all parked events?", text, "Redeliver all")) await send(undefined, "all parked events");
  };
  const row = ({ instance_id: id, parked: events, oldest_at: oldest }) => [
    h("a", { href: `#/installations/${encodeURIComponent(id)}`, class: "id" }, id),
    number(events),
    ago(oldest),
    h("button", {
      type: "button", "aria-label": `Redeliver the parked events of ${id}`,
      click: () => send({ instance_id: id }, "the parked events of this installation"),
    }, "Redeliver"),
  ];
  const total = instances.reduce((sum, instance) => sum + instance.parked, 0);
  const parts = instances.length === 0 && !cursor
    ? [h("p", {}, "No event is parked. The Worker parks an event that your back end has not accepted for ", h("code", {}, "EVENTS_KEEP_HOURS"), ".")]
    : [
      h("p", { class: "small" }, `${count(total, "parked event")} of ${count(instances.length, "installation")}`,
        next || cursor ? " on this page." : "."),
      h("p", { class: "actions" },
        h("button", { type: "button", class: "main", click: all }, "Redeliver all"),
        h("button", { type: "button", click: reload }, "Refresh")),
      table("Parked events", [
        { text: "Installation" }, { text: "Parked", kind: "number" }, { text: "Oldest" }, { text: "Action" },
      ], instances.map(row), true),
      next && h("nav", { class: "pages", "aria-label": "Pages" }, h("a", { href: `#/parked${query({ cursor: next })}` }, "Next page")),
    ];
  return { title: "Parked events", parts: parts.filter(Boolean) };
}
