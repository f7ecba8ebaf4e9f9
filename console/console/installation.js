// One installation: its fields, its timeline, and the actions of the API.

import { ApiError, call, query, settle } from "./api.js";
import { confirm } from "./dialog.js";
import { ago, at, badge, failure, h, section, table } from "./dom.js";

/** After an action, how often and when the result is looked for. An attempt lasts up to 15 s. */
const LOOKS = [500, 1000, 2000, 4000, 8000];

const AUTHS = {
  oauth: "client credentials", custom: "refresh token",
  custom_healed: "client credentials, since the refresh token stopped working",
};
const TOKENS = { ok: "Wix issued a token", healed: "Wix refused the refresh token, and issued a token for client credentials", refused: "Wix refused a token" };

export async function installation(page) {
  const { id, signal } = page;
  const path = `/v1/instances/${encodeURIComponent(id)}`;
  const record = await settle(call(path, { signal }));
  const unknown = record.error?.status === 404;
  if (record.error && !unknown) throw record.error;
  const events = await settle(call(`${path}/events?limit=100`, { signal }));
  if (unknown && events.error?.status === 404) throw record.error;
  const instance = record.value ?? { instance_id: id };
  const parts = [
    h("p", {}, h("a", { href: "#/installations" }, "All installations")),
    unknown
      ? h("p", {}, "No installation has this id. These are events of no installation, such as the test event.")
      : section("Record", fields(instance)),
    !unknown && section("Actions", actions(page, path, instance)),
    section("Timeline", timeline(page, path, instance, events)),
  ];
  return { title: instance.site?.name || id, parts: parts.filter(Boolean) };
}

function fields(instance) {
  const { site = {}, billing = {}, last_token: token, corrected } = instance;
  const yes = (value) => (value === undefined ? undefined : value ? "yes" : "no");
  const time = (value) => (value === undefined ? undefined : at(value));
  const rows = [
    ["Instance id", h("span", { class: "id" }, instance.instance_id)],
    ["Status", badge(instance.status)],
    ["Authentication", AUTHS[instance.auth] ?? instance.auth],
    ["Installed", time(instance.installed_at)],
    ["Removed", time(instance.removed_at)],
    ["Site id", instance.site_id && h("span", { class: "id" }, instance.site_id)],
    ["Site name", site.name],
    ["Site address", site.url],
    ["Site language", site.locale],
    ["Site currency", site.currency],
    ["Cloned from", instance.origin_instance_id && h("span", { class: "id" }, instance.origin_instance_id)],
    ["Version of the app", instance.app_version],
    ["Plan", instance.plan],
    ["Without a plan", yes(instance.is_free)],
    ["Billing cycle", billing.cycle],
    ["Plan ends", time(billing.expires_at)],
    ["Renews itself", yes(billing.auto_renewing)],
    ["Trial ends", time(billing.trial_ends_at)],
    ["Compared with Wix", time(billing.checked_at)],
    ["Last correction", corrected && [corrections(corrected), ", ", at(corrected.at)]],
    ["Ref", instance.ref],
    ["Setup finished", time(instance.configured_at)],
    ["Last event", time(instance.last_event_at)],
    ["Last token", token && [badge(token.outcome), " ", at(token.at)]],
  ];
  const known = rows.filter(([, value]) => value !== undefined && value !== "");
  return h("dl", { class: "fields" }, known.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

function actions({ id, signal, attempt, reload, announce }, path, instance) {
  const finish = async () => {
    const done = await attempt(
      () => call(`${path}/finish-configuration`, { method: "POST", signal }), () => "Wix knows that the app is set up.");
    if (done) reload();
  };
  const erase = async () => {
    const text = "The Worker deletes the record, the tokens and the events of this installation, delivered or not. "
      + "This cannot be undone. The app stays installed at Wix, and a later message of Wix begins a new record.";
    if (!await confirm("Erase this installation?", text, "Erase", id)) return;
    const done = await attempt(() => call(path, { method: "DELETE", signal }), () => "");
    if (!done) return;
    location.hash = "#/installations";
    window.addEventListener("hashchange", () => {
      announce(`The installation ${id} is erased. The list shows it for up to a minute.`);
    }, { once: true });
  };
  const redeliver = () => attempt(
    () => call("/v1/parked-events/redeliver", { method: "POST", body: { instance_id: id }, signal }),
    () => "The Worker sends the parked events of this installation once more.",
  );
  const canFinish = instance.configured_at === undefined && instance.status !== "removed";
  return h("p", { class: "actions" },
    canFinish && h("button", { type: "button", click: finish }, "Finish configuration"),
    h("button", { type: "button", click: redeliver }, "Redeliver parked events"),
    h("button", { type: "button", click: reload }, "Refresh"),
    h("button", { type: "button", class: "danger", click: erase }, "Erase…"));
}

/** What a comparison found wrong, because a webhook was lost. */
function corrections({ installed, removed, plan }) {
  const words = [installed && "a lost installation", removed && "a lost removal", plan && "a wrong plan"];
  return words.filter(Boolean).join(" and ");
}

/** What the record tells with a time. */
function milestones(instance) {
  const { last_token: token, billing = {}, corrected } = instance;
  const all = [
    [instance.installed_at, "Installed"],
    [instance.removed_at, "Removed"],
    [instance.configured_at, "BI event APP_FINISHED_CONFIGURATION sent"],
    [token?.at, TOKENS[token?.outcome] ?? token?.outcome],
    [billing.checked_at, "Compared with Wix"],
    [corrected?.at, corrected && `The comparison with Wix corrected ${corrections(corrected)}`],
  ];
  return all.filter(([time]) => time !== undefined).map(([time, text]) => ({ time, text }));
}

function timeline(page, path, instance, first) {
  const { signal, attempt, announce } = page;
  const events = first.error ? [] : [...first.value.events];
  let cursor = first.error ? undefined : first.value.next_cursor;
  const place = h("div", {});

  const redeliver = async (event) => {
    const sent = await attempt(
      () => call(`${path}/events/${encodeURIComponent(event.event_id)}/redeliver`, { method: "POST", signal }),
      () => `The Worker sends event ${event.sequence} once more.`);
    if (sent) await watch(event);
  };
  /** Looks until the event's attempt shows. */
  const watch = async (event) => {
    for (const pause of LOOKS) {
      await new Promise((resolve) => setTimeout(resolve, pause));
      if (signal.aborted) return;
      const cursorBefore = query({ cursor: event.sequence + 1, limit: 1 });
      const { value } = await settle(call(`${path}/events${cursorBefore}`, { signal })).catch(() => ({}));
      const now = value?.events.find(({ event_id: id }) => id === event.event_id);
      if (!now || (now.attempts === event.attempts && now.state === event.state)) continue;
      events[events.indexOf(event)] = now;
      draw(now);
      announce(`Event ${now.sequence}: ${now.state}, answer ${now.last_answer ?? "none"}.`, now.state === "delivered" ? "good" : "bad");
      return;
    }
  };
  const more = async () => {
    const older = await settle(call(`${path}/events${query({ cursor, limit: 100 })}`, { signal })).catch((error) => ({ error }));
    if (signal.aborted) return;
    if (older.error) {
      if (older.error instanceof ApiError) await attempt(() => Promise.reject(older.error));
      return;
    }
    events.push(...older.value.events);
    cursor = older.value.next_cursor;
    draw(older.value.events[0]);
  };
  const button = (event) => h("button", {
    type: "button", id: `redeliver-${event.sequence}`, "aria-label": `Redeliver event ${event.sequence}, ${event.type}`,
    click: () => redeliver(event),
  }, "Redeliver");
  /** Draws the rows, and focuses the button of an event whose row has changed. */
  const draw = (focused) => {
    const oldest = cursor === undefined ? -Infinity : events.at(-1).received_at;
    const rows = [
      ...milestones(instance).filter(({ time }) => time >= oldest).map(({ time, text }) => ({ time, cells: [at(time), text, "", "", ""] })),
      ...events.map((event) => ({
        time: event.received_at,
        cells: [at(event.received_at), what(event), badge(event.state), answer(event), button(event)],
      })),
    ].sort((one, other) => other.time - one.time);
    place.replaceChildren(
      ...(first.error ? [failure(first.error)] : []),
      rows.length
        ? table("Timeline", [{ text: "When" }, { text: "What" }, { text: "Delivery" }, { text: "Answer" }, { text: "Action" }], rows.map(({ cells }) => cells), true)
        : h("p", {}, "Nothing has happened yet."),
      ...(cursor === undefined ? [] : [h("p", {}, h("button", { type: "button", click: more }, "Older events"))]));
    if (focused) document.getElementById(`redeliver-${focused.sequence}`)?.focus();
  };
  draw();
  return place;
}

const what = ({ type, sequence }) => [h("span", { class: "type" }, type), h("span", { class: "small" }, ` no. ${sequence}`)];

function answer({ attempts, last_answer: last, next_attempt_at: next }) {
  if (!attempts) return "no attempt yet";
  return [`${last ?? "none"}`, h("span", { class: "small" }, ` attempt ${attempts}`, next !== undefined && [", next ", ago(next)])];
}
