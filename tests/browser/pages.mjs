// Opens every page for site owners in Chromium, in each language, both themes and two widths, and runs axe-core over it.
//
//   CHROME=… APP_URL=… SLOW_URL=… BROKEN_URL=… node tests/browser/pages.mjs
//
// SLOW_URL is a Worker that cannot reach Wix, BROKEN_URL one that is not configured. Prints what it saw as JSON.
// SCREENSHOTS names a folder for screenshots.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const { CHROME, APP_URL, SLOW_URL, BROKEN_URL, SCREENSHOTS } = process.env;
const AXE = readFileSync(new URL("../../node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const PATIENCE = 90_000;
const INSTANCE = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"];
const LANGUAGES = ["en-US", "es-MX", "pt-BR", "de-DE", "fr-FR", "he-IL"];
const LOOKS = [
  { colorScheme: "light", viewport: { width: 1024, height: 640 } },
  { colorScheme: "dark", viewport: { width: 360, height: 640 } },
];

/** The callback of a flow that begins in this browser. */
async function callback(page, url) {
  await page.goto(`${url}/install`);
  const state = new URL(page.url()).searchParams.get("state");
  return `${url}/redirect?code=none&state=${state}&instanceId=${INSTANCE}`;
}

/** How each page is reached. */
const PAGES = {
  finished: async () => `${APP_URL}/connected/done`,
  already: async () => `${APP_URL}/connected/done?again`,
  failed: async () => `${APP_URL}/connected?state=none`,
  expired: (page) => callback(page, APP_URL),
  "other-browser": async (page) => {
    const url = await callback(page, APP_URL);
    await page.context().clearCookies();
    return url;
  },
  wait: (page) => callback(page, SLOW_URL),
  unavailable: async () => `${BROKEN_URL}/install`,
  nothing: async () => `${APP_URL}/nothing`,
};

const browser = await chromium.launch({ executablePath: CHROME, args: FLAGS });
const seen = { opened: 0, violations: [], titles: {} };

/** Opens every page in a context of its own. */
async function openAll(locale, look) {
  // axe-core is run in the page, which the page's policy forbids.
  const context = await browser.newContext({ ...look, locale, bypassCSP: true });
  context.setDefaultTimeout(PATIENCE);
  for (const [name, reach] of Object.entries(PAGES)) {
    const page = await context.newPage();
    await page.goto(await reach(page));
    await page.getByRole("heading", { level: 1 }).waitFor();
    await page.evaluate(AXE);
    const { violations } = await page.evaluate(() => globalThis.axe.run());
    const place = `${name} ${locale} ${look.colorScheme}`;
    for (const { id, nodes } of violations) seen.violations.push(`${place}: ${id}: ${nodes[0].html}`);
    const layout = await page.evaluate(() => ({
      lang: document.documentElement.lang,
      overflow: document.documentElement.scrollWidth - innerWidth,
      background: getComputedStyle(document.body).backgroundColor,
      direction: getComputedStyle(document.querySelector("h1")).direction,
      title: document.title,
    }));
    assert.equal(layout.lang, locale.slice(0, 2), place);
    assert.ok(layout.overflow <= 0, `${place} is wider than the window`);
    assert.equal(layout.direction, locale === "he-IL" ? "rtl" : "ltr", place);
    assert.equal(layout.background === "rgb(17, 22, 28)", look.colorScheme === "dark", place);
    if (locale === "en-US") seen.titles[name] = layout.title;
    if (SCREENSHOTS) await page.screenshot({ path: `${SCREENSHOTS}/${name}-${locale}-${look.colorScheme}.png` });
    seen.opened += 1;
    await page.close();
  }
  await context.close();
}

try {
  // Both directions of writing in both looks, and every language where space is short. A context waits for Wix's deadline,
  // so they run beside each other.
  const looks = (locale) => (["en-US", "he-IL"].includes(locale) ? LOOKS : LOOKS.slice(1));
  await Promise.all(LANGUAGES.flatMap((locale) => looks(locale).map((look) => openAll(locale, look))));
  console.log(JSON.stringify(seen));
} finally {
  await browser.close();
}
