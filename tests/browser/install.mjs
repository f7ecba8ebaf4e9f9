// An owner installs the app in a real browser. `tests/it/browser.rs` starts everything and runs one scenario:
//
//   CHROME=… WIX_URL=… node tests/browser/install.mjs <scenario>
//
// On success, it exits with 0 and prints its observations as JSON. On failure, the error has the simulator's state.
// SCREENSHOTS names a folder for screenshots.

import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const { CHROME, WIX_URL, APP_URL, SCREENSHOTS } = process.env;
const PATIENCE = 15_000;
// The time to wait before a window counts as left open. A page that closes its window does so within milliseconds.
const WATCHED = 2_500;

const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

async function screenshot(page, name) {
  if (SCREENSHOTS) await page.screenshot({ path: `${SCREENSHOTS}/${name}.png`, fullPage: true });
}

async function state() {
  const answer = await fetch(`${WIX_URL}/_sim/state`);
  assert.equal(answer.status, 200);
  return answer.json();
}

// Waits until `look` returns a value. On failure, the error has the simulator's state.
async function until(event, look) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) {
      const { close_window_visits, deliveries, bi_events, calls, findings } = await state();
      const json = JSON.stringify({ close_window_visits, deliveries, bi_events, calls, findings }, null, 1);
      throw new Error(`${event} did not happen; the simulator's state:\n${json.slice(0, 8000)}`);
    }
    await new Promise((next) => setTimeout(next, 50));
  }
}

// Opens the simulator's page and clicks "Install app". Returns the page and the popup, which shows Wix's consent page.
async function popup(context) {
  const page = await context.newPage();
  await page.goto(`${WIX_URL}/`);
  const opens = page.waitForEvent("popup");
  await page.getByRole("button", { name: "Install app" }).click();
  return { page, window: await consentPage(await opens) };
}

async function consentPage(window) {
  await window.waitForURL((url) => url.pathname === "/installer/install");
  assert.equal(new URL(window.url()).origin, WIX_URL);
  return window;
}

async function agree(window) {
  await window.getByRole("button", { name: /agree/i }).click();
}

// Waits for the window's request to the callback.
function callback(window) {
  return window.waitForRequest((request) => new URL(request.url()).pathname === "/redirect");
}

async function closed(window) {
  if (!window.isClosed()) await window.waitForEvent("close", { timeout: PATIENCE });
}

function visitOf(instance) {
  return until("a visit of the close-window page with its report", async () => {
    const { close_window_visits: visits } = await state();
    return visits.find((visit) => visit.instance_id === instance && visit.opener_reachable !== null);
  });
}

function instanceOf(request) {
  return new URL(request.url()).searchParams.get("instanceId");
}

async function assertInstalled(instance) {
  const visit = await visitOf(instance);
  assert.deepEqual(
    { live: visit.token_live, browser: visit.by_browser, opener: visit.opener_reachable },
    { live: true, browser: true, opener: true },
  );
  await until("an accepted webhook and the BI event", async () => {
    const { deliveries, bi_events: events } = await state();
    const accepted = deliveries.some((delivery) => delivery.instance_id === instance && delivery.outcome === "delivered");
    return accepted && events.some((event) => event.instance_id === instance);
  });
  const { findings } = await state();
  assert.deepEqual(findings, [], "the Worker must not break Wix's rules");
}

const scenarios = {
  // The whole flow: the owner clicks and agrees, the window closes, and the simulator's page shows the installation.
  async install(context) {
    const { page, window } = await popup(context);
    await screenshot(page, "1-simulator");
    await screenshot(window, "2-consent");
    const back = callback(window);
    await agree(window);
    const instance = instanceOf(await back);
    await closed(window);
    await assertInstalled(instance);
    await page.bringToFront();
    const rows = page.getByRole("row").filter({ hasText: instance.slice(0, 8) });
    for (const texts of [
      ["installed", "configured", "Remove"],
      ["AppInstalled", "delivered"],
      ["APP_FINISHED_CONFIGURATION"],
      ["/oauth2/token-info", "200"],
    ]) {
      const row = texts.reduce((found, text) => found.filter({ hasText: text }), rows);
      await row.first().waitFor({ timeout: PATIENCE });
    }
    await screenshot(page, "3-installed");
    return { instance };
  },

  // Two tabs of one browser: the second flow begins before the first one ends.
  async "two-tabs"(context) {
    const first = await popup(context);
    const second = await popup(context);
    const instances = [];
    for (const { window } of [second, first]) {
      const back = callback(window);
      await agree(window);
      instances.push(instanceOf(await back));
      await closed(window);
    }
    assert.notEqual(instances[0], instances[1]);
    for (const instance of instances) await assertInstalled(instance);
    return { instances };
  },

  // The owner cancels: nothing is installed, and the window shows that.
  async cancel(context) {
    const before = (await state()).instances.length;
    const { window } = await popup(context);
    await window.getByRole("button", { name: /cancel/i }).click();
    await window.getByText("Nothing was installed").waitFor();
    await screenshot(window, "4-cancelled");
    assert.equal((await state()).instances.length, before);
    return {};
  },

  // Wix redirects without a code after a cancelled consent: the Worker's page tells the owner what to do.
  async "cancel-with-redirect"(context) {
    const { window } = await popup(context);
    await window.getByRole("button", { name: /cancel/i }).click();
    await window.waitForURL((url) => url.pathname === "/redirect");
    return readable(window, "5-cancelled-with-redirect");
  },

  // The owner opens the callback's address again after the end: the answer is the same page.
  async reload(context) {
    const { window } = await popup(context);
    const back = callback(window);
    await agree(window);
    const request = await back;
    await closed(window);
    await assertInstalled(instanceOf(request));
    const again = await context.newPage();
    const answer = await again.goto(request.url());
    assert.equal(new URL(answer.url()).pathname, "/installer/close-window");
    await again.getByRole("heading", { name: "The app was added" }).waitFor();
    await screenshot(again, "6-reload");
    return {};
  },

  // One browser begins the flow and another one continues it: without the cookie, the Worker refuses.
  async "other-browser"(context) {
    const { window } = await popup(context);
    const other = await context.browser().newContext();
    const page = await other.newPage();
    await page.goto(window.url());
    const answer = page.waitForResponse((response) => new URL(response.url()).pathname === "/redirect");
    await agree(page);
    assert.equal((await answer).status(), 403);
    return readable(page, "7-other-browser");
  },

  // APP_URL answers with another Cross-Origin-Opener-Policy, so the page cannot close the window.
  async "kept-open"(context) {
    const page = await context.newPage();
    await page.goto(`${WIX_URL}/`);
    const opens = page.waitForEvent("popup");
    await page.evaluate((url) => { globalThis.opened = globalThis.open(url, "_blank", "popup"); }, APP_URL);
    const window = await consentPage(await opens);
    const back = callback(window);
    await agree(window);
    const instance = instanceOf(await back);
    const visit = await visitOf(instance);
    assert.equal(visit.token_live, true);
    const end = await Promise.race([
      closed(window).then(() => "closed"),
      new Promise((done) => setTimeout(() => done("open"), WATCHED)),
    ]);
    if (end === "open") await screenshot(window, "8-kept-open");
    return { opener_reachable: visit.opener_reachable, end };
  },
};

// The simulator's page shows what became of a webhook at the app's back end, which fails at first. The Worker tries again
// five seconds after the first attempt.
scenarios.events = async (context) => {
  const page = await context.newPage();
  await page.goto(`${WIX_URL}/`);
  const installed = page.waitForResponse((response) => response.url() === `${WIX_URL}/_sim/installs`);
  await page.getByRole("button", { name: "Direct install" }).click();
  const { instance } = await (await installed).json();
  const rows = (table) => page.getByRole("region", { name: table }).getByRole("row").filter({ hasText: instance.instance_id });
  const webhooks = rows("Webhooks");
  await webhooks.filter({ hasText: /AppInstalled.*delivered \(attempt 1, \d+ ms, sequence \d+\)/ }).waitFor();

  const answer = async (name) => {
    await page.getByLabel("It answers").selectOption({ label: name });
    await page.getByRole("button", { name: "Set answer" }).click();
  };
  await answer("500 Internal Server Error");
  await page.getByRole("heading", { name: "The app answers 500" }).waitFor();
  // The page replaces its tables every second, unless a list in them has the focus.
  const list = rows("Installs").getByLabel("Event");
  await list.focus();
  await list.selectOption({ label: "order_approved" });
  await list.locator("xpath=following-sibling::button").click();
  const row = webhooks.filter({ hasText: "wix.ecom.v1.order_approved" });
  await row.filter({ hasText: /failing: the app answered 500; \d attempts?/ }).waitFor();
  await screenshot(page, "10-failing");
  await answer("200: delivered");
  await row.filter({ hasText: /delivered \(attempt \d, \d+ ms, sequence \d+\)/ }).waitFor({ timeout: 2 * PATIENCE });
  await screenshot(page, "11-delivered");
  return { result: await row.getByText("delivered (attempt").first().textContent() };
};

// The page at APP_URL has the app in a frame, as Wix's dashboard does. The whole flow runs in the frame.
// The browser blocks third-party cookies.
scenarios.framed = async (context) => {
  const page = await context.newPage();
  const back = page.waitForResponse((response) => ["/redirect", "/connected"].includes(new URL(response.url()).pathname));
  await page.goto(APP_URL);
  await page.frameLocator("iframe").getByRole("button", { name: /agree/i }).click();
  const answer = await back;
  const { searchParams } = new URL(answer.url());
  // The last page of the flow.
  const heading = page.frameLocator("iframe").getByRole("heading", { level: 1 });
  await heading.waitFor();
  await until("another page than Wix's consent", async () => !/agree/i.test(await heading.textContent()));
  await screenshot(page, `9-framed${new URL(answer.url()).pathname.replace("/", "-")}`);
  return { instance: searchParams.get("instanceId"), status: answer.status() };
};

// Waits for an error page and returns its visible text.
async function readable(page, name) {
  await page.getByRole("heading", { level: 1 }).waitFor();
  await screenshot(page, name);
  const seen = await page.evaluate(() => ({
    heading: document.querySelector("h1").textContent,
    text: document.body.innerText,
    styled: getComputedStyle(document.querySelector("main")).borderTopStyle,
  }));
  assert.equal(seen.styled, "solid", "the browser must apply the page's own style");
  return seen;
}

const scenario = scenarios[process.argv[2]];
assert.ok(scenario, `the scenario must be one of these: ${Object.keys(scenarios).join(", ")}`);
// Some browsers block third-party cookies.
const BLOCKED = process.argv[2] === "framed" ? ["--test-third-party-cookie-phaseout"] : [];
const browser = await chromium.launch({ executablePath: CHROME, args: [...FLAGS, ...BLOCKED] });
try {
  const context = await browser.newContext();
  context.setDefaultTimeout(PATIENCE);
  // The pages must send requests to this machine only, and must not violate their own Content Security Policy.
  const otherHosts = [];
  const violations = [];
  context.on("request", (request) => {
    const { hostname, protocol } = new URL(request.url());
    if (protocol.startsWith("http") && !["127.0.0.1", "localhost"].includes(hostname)) otherHosts.push(request.url());
  });
  context.on("console", (message) => {
    if (message.text().includes("Content Security Policy")) violations.push(message.text());
  });
  const seen = await scenario(context);
  assert.deepEqual(otherHosts, []);
  assert.deepEqual(violations, []);
  console.log(JSON.stringify(seen));
} finally {
  await browser.close();
}
