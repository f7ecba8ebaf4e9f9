// Elements, times and small parts that all views share. Texts become text nodes only, so that no name from outside can
// become markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false));
  return element;
}

/** An element. An attribute that is a function listens to the event of its name. */
export const h = (name, attributes, ...children) => fill(document.createElement(name), attributes, children);

/** An element of SVG. */
export const svg = (name, attributes, ...children) => fill(document.createElementNS(SVG, name), attributes, children);

const local = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "short" });
const numbers = new Intl.NumberFormat("en");
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const UNITS = [["year", 31_536_000], ["month", 2_592_000], ["day", 86_400], ["hour", 3600], ["minute", 60]];

/** A number with separators. */
export const number = (value) => numbers.format(value);

/** A number with its noun. */
export const count = (value, one, many = `${one}s`) => `${number(value)} ${value === 1 ? one : many}`;

function distance(seconds) {
  const away = seconds - Date.now() / 1000;
  const [unit, length] = UNITS.find(([, size]) => Math.abs(away) >= size) ?? ["second", 1];
  return relative.format(Math.trunc(away / length), unit);
}

/** A time in Unix seconds: how long ago, with the local time and UTC in the title. */
export function ago(seconds) {
  if (!Number.isSafeInteger(seconds)) return "–";
  const date = new Date(seconds * 1000);
  const utc = date.toISOString().replace(".000Z", " UTC").replace("T", " ");
  return h("time", { datetime: date.toISOString(), title: `${local.format(date)} local time, ${utc}` }, distance(seconds));
}

/** A time in Unix seconds: the local time, and how long ago. */
export function at(seconds) {
  if (!Number.isSafeInteger(seconds)) return "–";
  const time = ago(seconds);
  time.prepend(`${local.format(new Date(seconds * 1000))} (`);
  time.append(")");
  return time;
}

/** A text whose parts between backticks are code. */
export function prose(text) {
  return String(text).split("`").map((piece, index) => (index % 2 ? h("code", {}, piece) : piece));
}

const TONES = {
  installed: "good", delivered: "good", ok: "good", pending: "soft", needs_reconnect: "bad", refused: "bad", parked: "bad",
  healed: "warn", removed: "soft",
};

/** A word of the API, such as a status. Its sign tells the tone without colour. */
export function badge(word) {
  const tone = TONES[word] ?? "soft";
  return h("span", { class: `badge ${tone}` }, String(word).replaceAll("_", " "));
}

/** A titled part of a page. */
export function section(title, ...children) {
  const id = `part-${title.toLowerCase().replaceAll(/[^a-z]+/g, "-")}`;
  return h("section", { "aria-labelledby": id }, h("h2", { id }, title), children);
}

/** A table in a frame that scrolls by itself. `rows` have a cell for each head. A narrow page stacks those of `stacked`. */
export function table(caption, heads, rows, stacked = false) {
  const head = heads.map(({ text, kind }) => h("th", { scope: "col", role: "columnheader", class: kind }, text));
  const cells = (row) => row.map((cell, index) => h("td", { role: "cell", class: heads[index].kind, "data-head": heads[index].text }, stacked && cell !== "" ? h("div", {}, cell) : cell));
  // The roles remain where the style stacks the cells of a row.
  return h("div", { class: "frame", role: "group", "aria-label": caption, tabindex: "0" },
    h("table", { role: "table", "aria-label": caption, class: stacked && "stacked" },
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, head)),
      h("tbody", { role: "rowgroup" }, rows.map((row) => h("tr", { role: "row" }, cells(row))))));
}

/** Problems or notes of /readyz, each with its remedy. */
export function faults(list) {
  return h("ul", { class: "faults" }, list.map(({ name, problem, fix }) =>
    h("li", {}, h("p", {}, h("code", {}, name), " ", prose(problem)), h("p", { class: "fix" }, "Fix: ", prose(fix)))));
}

/** A failed call: its title, what to do, and the request id. */
export function failure(error, again) {
  return h("div", { class: "failure", role: "alert" },
    h("p", {}, h("strong", {}, error.title)),
    h("p", {}, prose(error.detail)),
    error.requestId && h("p", { class: "small" }, "Request id: ", h("code", {}, error.requestId)),
    again && h("button", { type: "button", click: again }, "Try again"));
}
