// The list of installations: search by the beginning of the id, filter by status, pages.

import { call, query } from "./api.js";
import { ago, badge, count, h, table } from "./dom.js";

const PAGE = 100;
const STATUSES = ["installed", "pending", "needs_reconnect", "removed"];

/** The cursors that led to each page, for "Previous". */
const before = new Map();

const address = (parameters) => `#/installations${query(parameters)}`;

export async function installations({ parameters, signal }) {
  const { search = "", status = "", cursor = "" } = Object.fromEntries(parameters);
  const page = await call(`/v1/instances${query({ search, status, cursor, limit: PAGE })}`, { signal });
  const { instances: found, next_cursor: next } = page;
  const here = address({ search, status, cursor });
  const following = next && address({ search, status, cursor: next });
  if (following) before.set(following, here);
  const previous = before.get(here) ?? address({ search, status });
  const range = found.length ? count(found.length, "installation") : "No installation";
  const scope = next || cursor ? " on this page" : "";
  const parts = [
    form(search, status),
    h("p", { class: "small" }, `${range}${scope}${search || status ? " for this search" : ""}.`),
    found.length > 0 && table("Installations", [
      { text: "Installation" }, { text: "Status" }, { text: "Plan", kind: "wide" }, { text: "Installed", kind: "wide" },
      { text: "Last event", kind: "wide" }, { text: "Last token", kind: "wide" },
    ], found.map(row)),
    (next || cursor) && h("nav", { class: "pages", "aria-label": "Pages" },
      cursor && h("a", { href: previous }, before.has(here) ? "Previous page" : "First page"),
      next && h("a", { href: following }, "Next page")),
  ];
  return { title: "Installations", parts: parts.filter(Boolean) };
}

function row(instance) {
  const { instance_id: id, status, plan, is_free: isFree, installed_at: installed, last_event_at: event, last_token: token } = instance;
  return [
    h("a", { href: `#/installations/${encodeURIComponent(id)}`, class: "id" }, id),
    badge(status),
    plan ?? (isFree ? "free" : "–"),
    ago(installed),
    ago(event),
    token ? [badge(token.outcome), " ", ago(token.at)] : "–",
  ];
}

function form(search, status) {
  const text = h("input", {
    type: "search", id: "search", value: search, autocomplete: "off", autocapitalize: "none", spellcheck: "false",
    maxlength: "36", placeholder: "d1f2…",
  });
  const option = (value, label) => h("option", { value, selected: value === status }, label);
  const choice = h("select", { id: "filter" },
    option("", "any"), STATUSES.map((value) => option(value, value.replaceAll("_", " "))));
  const submit = (event) => {
    event.preventDefault();
    location.hash = address({ search: text.value.trim().toLowerCase(), status: choice.value });
  };
  return h("form", { role: "search", class: "search", submit },
    h("div", {}, h("label", { for: "search" }, "Instance id begins with"), text),
    h("div", {}, h("label", { for: "filter" }, "Status"), choice),
    h("button", { type: "submit", class: "main" }, "Search"));
}
