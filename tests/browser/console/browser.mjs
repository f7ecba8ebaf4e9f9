// A browser for the console, and what every scenario watches in it.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

export const { CHROME, APP_URL, SCREENSHOTS } = process.env;
export const PATIENCE = 15_000;
export const PHONE = { width: 360, height: 740 };
export const DESKTOP = { width: 1280, height: 800 };
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export function launch() {
  const flags = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
  ];
  return chromium.launch({ executablePath: CHROME, args: flags });
}

/** A window with the console. `seen` has the errors of the page and the violations of its policy. */
export async function open(browser, options = {}) {
  const context = await browser.newContext({ viewport: DESKTOP, ...options });
  context.setDefaultTimeout(PATIENCE);
  const seen = [];
  context.on("console", (message) => {
    if (/Content Security Policy|TrustedHTML|Trusted Types/i.test(message.text())) seen.push(message.text());
  });
  context.on("weberror", (error) => seen.push(String(error.error())));
  const page = await context.newPage();
  return { context, page, seen };
}

/** Goes to a view, and waits until its heading shows. */
export async function view(page, hash, heading) {
  await page.goto(`${APP_URL}/console#${hash}`);
  await page.getByRole("heading", { level: 1, name: heading }).waitFor();
  await page.locator("main[aria-busy=false]").waitFor();
}

/** What axe-core finds in the page: rules and elements. */
export async function audit(page, place) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  return violations.flatMap(({ id, nodes }) => nodes.map(({ target }) => `${place}: ${id} at ${target}`));
}

export async function screenshot(page, name, fullPage = true) {
  if (!SCREENSHOTS) return;
  await page.waitForTimeout(250);
  await page.screenshot({ path: `${SCREENSHOTS}/console-${name}.png`, fullPage });
}
