// What the console says about health and history, and what proves it, against a fake API.

import assert from "node:assert/strict";
import { start } from "./behaviour.mjs";
import { view } from "./browser.mjs";
import { FakeApi } from "./fake.mjs";

/** The health of the overview: what is good, bad or unknown by which evidence. */
export async function health(browser) {
  const api = new FakeApi(12, 12);
  const { context, page, seen } = await start(browser, api);
  const everyEvent = (change) => {
    for (const { instance_id: id } of api.instances) api.eventsOf(id).forEach((event, index) => Object.assign(event, change(event, index)));
  };
  /** The tone and the text of a line. */
  const line = async (name) => {
    const item = page.locator(".health li").filter({ has: page.locator("strong", { hasText: new RegExp(`^${name}`) }) });
    return [await item.getAttribute("class"), await item.locator("> span").last().innerText()];
  };
  const shows = async (name, tone, text) => {
    const found = await line(name);
    assert.equal(found[0], tone, `${name}: ${found}`);
    assert.match(found[1], text);
  };
  const load = async () => {
    await page.reload();
    await page.locator("main[aria-busy=false] .health").waitFor();
  };
  await view(page, "/", "Overview");

  // The target: events that wait, parked ones, none lately, accepted ones.
  api.parked = [];
  everyEvent((event, index) => (index < 3 ? { state: "pending", attempts: index === 2 ? 6 : 0, last_answer: index === 2 ? 503 : undefined } : {}));
  await load();
  await shows("Target", "bad", /^15 events of the latest 50 wait for your back end \(answer 503\), the first since 35 minutes ago$/);
  await page.getByRole("link", { name: "15 events of the latest 50" }).click();
  await page.getByRole("heading", { level: 2, name: "Timeline" }).waitFor();
  await page.goBack();
  // One event waits, and later ones were accepted.
  everyEvent((event, index) => (index === 4 ? { state: "pending", attempts: 3, last_answer: "timeout" } : { state: "delivered", attempts: 1, last_answer: 200 }));
  await load();
  await shows("Target", "warn", /^5 events of the latest 50 wait for your back end \(no answer within 15 s\)/);
  everyEvent(() => ({ state: "delivered", attempts: 1, last_answer: 200 }));
  await load();
  await shows("Target", "good", /^your back end accepted an event that came 11 minutes ago$/);
  api.parked = [{ instance_id: api.instances[0].instance_id, parked: 3, oldest_at: api.now - 90_000 }];
  await load();
  await shows("Target", "bad", /^events are parked for 1 installation$/);
  api.parked = [];
  everyEvent((event) => ({ received_at: event.received_at - 200_000 }));
  await load();
  await shows("Target", "soft", /no delivery of the last day was found/);

  // The test event, by each outcome.
  const send = async (tested, text) => {
    api.tested = tested;
    await page.getByRole("button", { name: "Send a test event" }).click();
    await page.getByRole("status").getByText(text).waitFor();
  };
  await send({ state: "delivered", attempts: 1, last_answer: 200 }, "Your back end accepted the test event (answer 200).");
  await shows("Target", "good", /accepted an event/);
  await send({ state: "pending", attempts: 1, last_answer: "unreachable" }, "did not accept the test event: it cannot be reached.");
  await shows("Target", "bad", /^1 event of the latest 52 waits for your back end \(it cannot be reached\)/);
  await send({ state: "pending", attempts: 0 }, "waits behind an earlier event of the app, which your back end did not accept: it cannot be reached.");

  // The Cron Trigger and the comparison.
  await shows("Cron Trigger", "good", /^ran \d minutes? ago$/);
  await shows("Comparison", "good", /^round began /);
  api.cron = 3 * 3600;
  api.round = 5 * 86_400;
  await load();
  await shows("Cron Trigger", "bad", /^ran last 3 hours ago, .* Check that \[triggers\]/);
  await shows("Comparison", "soft", /RECHECK_HOURS/);
  api.cron = undefined;
  await load();
  await shows("Cron Trigger", "warn", /^no run is noted/);
  api.instances.forEach((instance) => { instance.installed_at = api.now - 60; });
  await load();
  await shows("Cron Trigger", "soft", /no run is noted yet/);

  // Wix, and the installations.
  await shows("Wix", "soft", /not asked by this page/);
  await shows("Installations", "warn", /^of 12 installations: needs reconnect: 1, pending: 1$/);
  Object.assign(api.instances[0], { status: "installed", last_token: { at: api.now - 600, outcome: "ok" } });
  await load();
  await shows("Wix", "good", /^issued a token 10 minutes ago$/);
  api.readiness.notes = [{ name: "WIX_APP_SECRET", problem: "Wix refused the app's own credentials 40 s ago", fix: "Put it." }];
  await load();
  await shows("Wix", "bad", /refused the app's own credentials/);
  for (const instance of api.instances) instance.status = "installed";
  await load();
  await shows("Installations", "good", /^of 12 installations none/);
  api.instances = [];
  await load();
  await shows("Installations", "soft", /there is none yet/);
  assert.deepEqual(seen, []);
  await context.close();
  return {};
}

/** The timeline of an installation: events with their attempts, tokens, the BI event, and the comparison with Wix. */
export async function timeline(browser) {
  const api = new FakeApi(12, 3);
  const { context, page, seen } = await start(browser, api);
  const instance = api.instances.find(({ status }) => status === "installed");
  const { instance_id: id, site } = instance;
  Object.assign(instance, {
    installed_at: api.now - 9000, configured_at: api.now - 8000, last_token: { at: api.now - 7000, outcome: "healed" },
    billing: { checked_at: api.now - 6000 }, corrected: { at: api.now - 6500, installed: true, removed: false, plan: true },
  });
  await view(page, `/installations/${id}`, site.name);
  const rows = await page.getByRole("table", { name: "Timeline" }).locator("tbody tr").evaluateAll((found) =>
    found.map((row) => [...row.cells].slice(1, 4).map((cell) => cell.textContent.trim()).filter(Boolean).join(", ")));
  assert.deepEqual(rows, [
    "wix.ecom.v1.order_approved no. 3, pending, 503 attempt 6, next in 3 minutes",
    "wix.stores.v1.product_created no. 2, parked, timeout attempt 6",
    "installation.installed no. 1, parked, 503 attempt 6",
    "Compared with Wix",
    "The comparison with Wix corrected a lost installation and a wrong plan",
    "Wix refused the refresh token, and issued a token for client credentials",
    "BI event APP_FINISHED_CONFIGURATION sent",
    "Installed",
  ]);
  assert.deepEqual(seen, []);
  await context.close();
  return {};
}
