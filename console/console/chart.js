// Installs above the line and removals below it, one bar for each day.

import { count, h, number, svg } from "./dom.js";

const STEP = 20;
const HEIGHT = 200;

/** The chart of the days. The axis labels are HTML, so that they keep their size at any width. */
export function chart(days) {
  const highest = (name) => Math.max(1, ...days.map((day) => day[name]));
  const [up, down] = [highest("installs"), highest("removals")];
  const zero = HEIGHT * up / (up + down);
  const total = (name) => days.reduce((sum, day) => sum + day[name], 0);
  const bar = (kind, index, value) => {
    const height = HEIGHT * value / (up + down);
    const y = kind === "installs" ? zero - height : zero;
    return value > 0 && svg("rect", { class: kind, x: index * STEP + 3, y, width: STEP - 6, height });
  };
  const bars = days.map(({ date, installs, removals }, index) => svg("g", {},
    svg("title", {}, `${date}: ${count(installs, "install")}, ${count(removals, "removal")}`),
    // It takes the pointer for the whole day.
    svg("rect", { class: "day", x: index * STEP, y: 0, width: STEP, height: HEIGHT }),
    bar("installs", index, installs),
    bar("removals", index, removals)));
  const width = days.length * STEP;
  const text = `${count(total("installs"), "install")} and ${count(total("removals"), "removal")} `
    + `from ${days[0]?.date} to ${days.at(-1)?.date}. The numbers follow as a table.`;
  const scale = h("div", { class: "scale", "aria-hidden": "true" }, h("span", {}, number(up)), h("span", {}, "0"), h("span", {}, number(down)));
  // A style attribute would violate the page's policy; this does not.
  scale.style.gridTemplateRows = `${up}fr ${down}fr`;
  return h("figure", { class: "chart" },
    scale,
    svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": text },
      bars,
      svg("line", { x1: 0, x2: width, y1: zero, y2: zero })),
    h("div", { class: "days", "aria-hidden": "true" }, h("span", {}, days[0]?.date), h("span", {}, days.at(-1)?.date)),
    h("figcaption", {},
      h("span", { class: "key installs" }, "Installs"), " ", h("span", { class: "key removals" }, "Removals")));
}
