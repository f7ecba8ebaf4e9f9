// Every view in both themes and two widths, seen by axe-core, and a flow by keyboard alone.

import assert from "node:assert/strict";
import { APP_URL, DESKTOP, PHONE, audit, open, screenshot, view } from "./browser.mjs";
import { FakeApi, problem } from "./fake.mjs";

const NOTE = { name: "WIX_APP_SECRET", problem: "Wix refused the app's own credentials 40 s ago", fix: "Put the right secret with `npx wrangler secret put WIX_APP_SECRET`." };
const FAULT = { name: "WIX_APP_ID", problem: "it is missing", fix: "Set WIX_APP_ID in `vars` of wrangler's configuration." };

/** Shows every view in a theme and a width. Returns how many there are, and what axe-core finds. */
export async function views(browser, colorScheme, size) {
  const viewport = size === "phone" ? PHONE : DESKTOP;
  const found = [];
  let count = 0;
  const api = new FakeApi(30, 12);
  const { context, page, seen } = await open(browser, { colorScheme, viewport });
  await api.serve(context, APP_URL);
  const check = async (name, fullPage) => {
    const place = `${name}-${colorScheme}-${size}`;
    count += 1;
    found.push(...await audit(page, place));
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    if (width > viewport.width) found.push(`${place}: the page is ${width} px wide`);
    const wide = await page.locator(".frame:has(.stacked)").evaluateAll((frames) => frames.some((frame) => frame.scrollWidth > frame.clientWidth));
    if (wide && size === "phone") found.push(`${place}: a stacked table is cut off`);
    await screenshot(page, place, fullPage);
  };
  await view(page, "/", "Overview");
  await check("overview");
  api.readiness.notes = [NOTE];
  await page.reload();
  await page.getByText("Numbers of each day").click();
  await check("overview-open");
  await view(page, "/installations", "Installations");
  await check("installations", false);
  await view(page, "/installations?search=ffffff", "Installations");
  await check("installations-none");
  await view(page, "/parked", "Parked events");
  await check("parked");
  const { instance_id: id, site } = api.instances[3];
  await view(page, `/installations/${id}`, site.name);
  await check("installation", false);
  await page.getByRole("button", { name: "Redeliver event 11" }).click();
  await page.getByText("Event 11: delivered").waitFor();
  await check("redelivered", false);
  await page.getByRole("button", { name: "Erase…" }).click();
  await page.getByRole("button", { name: "Erase", exact: true }).click();
  await check("erase", false);
  await page.keyboard.press("Escape");
  api.trouble = (method, path) => (path.includes("/events") ? problem(503, "not_configured", "The Worker is not configured", "Bind `INSTALLATIONS`.") : undefined);
  await page.getByRole("button", { name: "Refresh" }).click();
  await page.getByText("Bind INSTALLATIONS.").waitFor();
  await check("installation-without-objects", false);
  api.readiness = { problems: [FAULT], notes: [] };
  api.trouble = (method, path) => (path === "/readyz" ? undefined : problem(503, "not_configured", "The Worker is not configured", "See `/readyz`."));
  await view(page, "/installations", "cannot be shown");
  await check("misconfigured");
  await view(page, "/", "Overview");
  await check("overview-misconfigured");
  api.trouble = () => undefined;
  api.signedIn = false;
  await page.reload();
  await page.getByRole("heading", { level: 1, name: "Sign in" }).waitFor();
  await check("sign-in-not-ready");
  await page.getByLabel("API key").fill("wrong");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("missing or unknown").first().waitFor();
  await check("sign-in-refused");
  found.push(...seen);
  await context.close();
  return { count, found };
}

/** From sign-in to an erasure without a pointer. Returns the steps that the keyboard reached. */
export async function keyboard(browser) {
  const api = new FakeApi();
  api.signedIn = false;
  const { context, page, seen } = await open(browser);
  await api.serve(context, APP_URL);
  const focused = () => page.evaluate(() => {
    const { activeElement: element } = document;
    const { outlineStyle, outlineWidth } = getComputedStyle(element);
    const name = element.getAttribute("aria-label") ?? (element.labels?.[0]?.textContent || element.textContent);
    return { name: name.trim(), tag: element.tagName, outlined: outlineStyle !== "none" && parseFloat(outlineWidth) >= 2 };
  });
  /** Presses Tab until an element with this name has the focus. Each element on the way must show it. */
  const tabTo = async (name, key = "Tab") => {
    for (let presses = 0; presses < 60; presses += 1) {
      await page.keyboard.press(key);
      const now = await focused();
      if (now.tag !== "BODY") assert.ok(now.outlined, `the focus at ${now.tag} ${now.name} must be visible`);
      if (now.name.startsWith(name)) return;
    }
    assert.fail(`${name} cannot be reached`);
  };
  const headed = async (name) => {
    await page.getByRole("heading", { level: 1, name }).waitFor();
    await page.waitForFunction(() => document.activeElement?.tagName === "H1");
  };

  await page.goto(`${APP_URL}/console#/installations`);
  await page.getByRole("heading", { level: 1, name: "Sign in" }).waitFor();
  assert.equal((await focused()).name, "API key");
  await page.keyboard.type(api.key);
  await page.keyboard.press("Enter");
  await headed("Installations");
  const { instance_id: id, site } = api.instances[0];
  await tabTo("Instance id begins with");
  await page.keyboard.type(id.slice(0, 6));
  await page.keyboard.press("Enter");
  await page.getByText("1 installation for this search.").waitFor();
  await headed("Installations");
  await tabTo(id);
  await page.keyboard.press("Enter");
  await headed(site.name);
  await tabTo("Redeliver event 129");
  await page.keyboard.press("Enter");
  await page.getByText("Event 129: delivered").waitFor();
  // The focus stays at the event, whose row is new.
  assert.ok((await focused()).name.startsWith("Redeliver event 129"));
  await tabTo("Erase…", "Shift+Tab");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Escape");
  assert.equal((await focused()).name, "Erase…");
  await page.keyboard.press("Enter");
  await page.keyboard.type("no");
  await page.keyboard.press("Enter");
  await page.getByText("must be the instance id").waitFor();
  await page.keyboard.press("Control+A");
  await page.keyboard.type(id);
  await page.keyboard.press("Enter");
  await headed("Installations");
  await page.getByText(`The installation ${id} is erased.`).waitFor();
  await tabTo("Sign out", "Shift+Tab");
  await page.keyboard.press("Enter");
  await page.getByText("You are signed out.").waitFor();
  assert.deepEqual(seen, []);
  await context.close();
  return { erased: !api.instances.some((instance) => instance.instance_id === id) };
}
