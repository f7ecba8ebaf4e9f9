// Two customers of `examples/saas`, each in a browser of their own, swap links at every step of connecting a shop.
// `tests/it/browser.rs` starts everything:
//
//   CHROME=… WIX_URL=… APP_URL=… LATER_URL=… SAAS_URL=… node tests/browser/handoff.mjs
//
// LATER_URL is the same Worker with a clock that is 11 minutes ahead. On success, it exits with 0 and prints what the customers saw as JSON.

import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const { CHROME, WIX_URL, APP_URL, LATER_URL, SAAS_URL } = process.env;
const PATIENCE = 15_000;
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

// The addresses that a browser requests one after the other when a customer connects a shop.
const STEPS = {
  start: `${APP_URL}/connect?`,
  consent: `${WIX_URL}/app-installer?`,
  callback: `${APP_URL}/connected?`,
  end: `${SAAS_URL}/connected?`,
};

/** A customer, with a browser. */
class Customer {
  static async logIn(browser, login) {
    const customer = new Customer();
    const context = await browser.newContext();
    context.setDefaultTimeout(PATIENCE);
    customer.page = await context.newPage();
    // Playwright's routes do not see redirects; this session does.
    customer.network = await context.newCDPSession(customer.page);
    await customer.page.goto(SAAS_URL);
    await customer.page.locator("input").fill(login);
    await customer.page.getByRole("button", { name: "Log in" }).click();
    await customer.page.getByText("Hello").waitFor();
    return customer;
  }

  /** Begins to connect a shop. Returns the address of a step, which the browser does not request. */
  async until(step) {
    const paused = new Promise((resolve) => this.network.once("Fetch.requestPaused", resolve));
    await this.network.send("Fetch.enable", { patterns: [{ urlPattern: `${STEPS[step]}*` }] });
    await this.page.goto(SAAS_URL);
    const click = (name) => this.page.getByRole("button", { name }).click({ noWaitAfter: true });
    await click("Connect a shop");
    if (step === "callback" || step === "end") await click(/agree/i);
    const { requestId, request } = await paused;
    await this.network.send("Fetch.failRequest", { requestId, errorReason: "Aborted" });
    await this.network.send("Fetch.disable");
    assert.ok(request.url.startsWith(STEPS[step]), request.url);
    return request.url;
  }

  /** Opens a link, and goes on to the end. Returns the text of the last page. */
  async open(link) {
    await this.page.goto(link);
    if (this.page.url().startsWith(STEPS.consent)) await this.page.getByRole("button", { name: /agree/i }).click();
    await this.page.waitForURL((url) => url.origin === SAAS_URL);
    return this.page.locator("body").innerText();
  }

  /** Does not agree to the installation. Returns the text of the last page. */
  async cancel() {
    await this.page.goto(SAAS_URL);
    await this.page.getByRole("button", { name: "Connect a shop" }).click();
    await this.page.getByRole("button", { name: "Cancel" }).click();
    await this.page.waitForURL((url) => url.origin === SAAS_URL);
    return this.page.locator("body").innerText();
  }

  /** Opens a link of the Worker 11 minutes later. Returns the text of the last page. */
  async openLater(link) {
    const [app, later] = [new URL(APP_URL), new URL(LATER_URL)];
    const browser = await chromium.launch({ executablePath: CHROME, args: [...FLAGS, `--host-resolver-rules=MAP ${app.host} ${later.host}`] });
    try {
      const context = await browser.newContext({ storageState: await this.page.context().storageState() });
      const page = await context.newPage();
      await page.goto(link);
      await page.waitForURL((url) => url.origin === SAAS_URL);
      return await page.locator("body").innerText();
    } finally {
      await browser.close();
    }
  }

  async shops() {
    await this.page.goto(SAAS_URL);
    return this.page.getByRole("listitem").allInnerTexts();
  }
}

const browser = await chromium.launch({ executablePath: CHROME, args: FLAGS });
try {
  const [ann, bob] = [await Customer.logIn(browser, "ann:pw-a"), await Customer.logIn(browser, "bob:pw-b")];
  const swaps = [];
  for (const step of Object.keys(STEPS)) {
    const [anns, bobs] = [await ann.until(step), await bob.until(step)];
    const texts = [await bob.open(anns), await ann.open(bobs)];
    // Then each opens the own link, which the other has seen.
    const afterwards = [await ann.open(anns), await bob.open(bobs)];
    swaps.push({ step, texts, afterwards, shops: [await ann.shops(), await bob.shops()] });
  }
  // Without a swap, each gets the own shop, and a reload of the last page changes nothing.
  const shops = [];
  for (const customer of [ann, bob]) {
    const before = await customer.shops();
    const end = await customer.until("end");
    for (const _ of ["opened", "reloaded"]) await customer.open(end);
    shops.push({ before, after: await customer.shops() });
  }
  const failures = { denied: await ann.cancel(), expired: await ann.openLater(await ann.until("callback")) };
  const { findings } = await (await fetch(`${WIX_URL}/_sim/state`)).json();
  console.log(JSON.stringify({ swaps, shops, failures, findings }));
} finally {
  await browser.close();
}
