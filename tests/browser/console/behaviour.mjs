// The console against a fake API: its numbers, hostile names, and every kind of trouble.

import assert from "node:assert/strict";
import { APP_URL, open, view } from "./browser.mjs";
import { FakeApi, problem } from "./fake.mjs";

export async function start(browser, api) {
  const window = await open(browser);
  await api.serve(window.context, APP_URL);
  return window;
}

/** The numbers of the chart, its table, and the tiles are those of the API. */
export async function numbers(browser) {
  const api = new FakeApi();
  const { context, page } = await start(browser, api);
  await view(page, "/", "Overview");
  const titles = await page.locator(".chart title").allTextContents();
  assert.deepEqual(titles, api.days.map(({ date, installs, removals }) =>
    `${date}: ${installs} install${installs === 1 ? "" : "s"}, ${removals} removal${removals === 1 ? "" : "s"}`));
  // A bar is as high as its number.
  for (const name of ["installs", "removals"]) {
    const heights = await page.locator(`.chart rect.${name}`).evaluateAll((bars) => bars.map((bar) => Number(bar.getAttribute("height"))));
    const values = api.days.map((day) => day[name]).filter((value) => value > 0);
    assert.equal(heights.length, values.length);
    const unit = heights[0] / values[0];
    heights.forEach((height, index) => assert.ok(Math.abs(height / values[index] - unit) < 1e-6, `${name} ${index}`));
  }
  await page.getByText("Numbers of each day").click();
  const cells = await page.getByRole("group", { name: "Numbers of each day" }).locator("tbody tr").evaluateAll((rows) =>
    rows.map((row) => [...row.cells].map((cell) => cell.textContent)));
  assert.deepEqual(cells, api.days.toReversed().map(({ date, installs, removals, delivered, parked }) =>
    [date, installs, removals, delivered, parked].map((value) => (typeof value === "number" ? value.toLocaleString("en") : value))));
  const sum = (name) => api.days.reduce((total, day) => total + day[name], 0).toLocaleString("en");
  assert.deepEqual(await page.locator(".tiles dd").allTextContents(), ["installs", "removals", "delivered", "parked"].map(sum));
  await context.close();
  return {};
}

/** Markup in every text that comes from outside stays text. */
export async function hostile(browser) {
  const api = new FakeApi();
  const { context, page, seen } = await start(browser, api);
  const bad = `"><img src=x onerror="window.pwned=1"><script>window.pwned=1</script><svg onload=pwned=1>javascript:pwned=1`;
  const instance = api.instances[0];
  Object.assign(instance, { plan: bad, ref: bad, app_version: bad, status: bad, auth: bad, site: { name: bad, url: "javascript:window.pwned=1", locale: bad, currency: bad } });
  Object.assign(instance.billing, { cycle: bad });
  Object.assign(instance.last_token, { outcome: bad });
  Object.assign(api.eventsOf(instance.instance_id)[0], { type: bad, state: bad, last_answer: bad });
  api.readiness.notes = [{ name: bad, problem: bad, fix: bad }];
  for (const [hash, heading] of [["/", "Overview"], ["/installations", "Installations"], [`/installations/${instance.instance_id}`, "onerror"]]) {
    await view(page, hash, heading);
    assert.ok((await page.locator("main").textContent()).includes(bad), hash);
    assert.equal(await page.locator("main img, main script, main svg[onload], main a[href^=javascript]").count(), 0, hash);
  }
  api.trouble = (method, path) => (path === "/v1/parked-events" ? problem(500, bad, bad, bad) : undefined);
  await view(page, "/parked", "cannot be shown");
  assert.ok((await page.locator("main").textContent()).includes(bad));
  await view(page, `/nowhere/${encodeURIComponent(bad)}?cursor=${encodeURIComponent(bad)}`, "Overview");
  assert.equal(await page.evaluate(() => window.pwned), undefined);
  assert.deepEqual(seen, []);
  await context.close();
  return {};
}

/** Trouble of every kind: what the page shows, and how it goes on. */
export async function trouble(browser) {
  const api = new FakeApi();
  const { context, page, seen } = await start(browser, api);
  const shows = (text) => page.getByText(text).first().waitFor();
  const failing = (answer) => { api.trouble = (method, path) => (path === "/readyz" ? undefined : answer); };

  await view(page, "/installations", "Installations");
  // No network, a limit of requests, an answer that is not the Worker's, and then success by "Try again".
  failing({ abort: "connectionrefused" });
  await view(page, "/parked", "cannot be shown");
  await shows("The Worker cannot be reached");
  failing({ status: 429, headers: { "retry-after": "7" }, body: "slow down" });
  await page.getByRole("button", { name: "Try again" }).click();
  await shows("Wait 7 s, and try again.");
  failing({ status: 520, type: "text/html", body: "<h1>error 520</h1>" });
  await page.getByRole("button", { name: "Try again" }).click();
  await shows("The server answered 520");
  api.trouble = () => undefined;
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByRole("heading", { level: 1, name: "Parked events" }).waitFor();

  // Nothing is configured: the problems of /readyz show, signed in or not.
  const fault = { name: "SEALING_KEYS", problem: "it is missing", fix: "Put it with `npx wrangler secret put SEALING_KEYS`." };
  api.readiness = { problems: [fault], notes: [] };
  failing(problem(503, "not_configured", "The Worker is not configured"));
  for (const [hash, heading] of [["/", "Overview"], ["/installations", "cannot be shown"]]) {
    await view(page, hash, heading);
    await shows("Put it with");
  }
  failing(problem(401, "unauthorized", "The API key is missing or unknown"));
  await view(page, "/parked", "Sign in");
  await shows("Put it with");
  api.readiness = { problems: [], notes: [] };

  // No objects: their parts say so, and the rest works.
  api.trouble = (method, path) => (/statistics|events/.test(path) ? problem(503, "not_configured", "This Worker is not set up", "Bind `INSTALLATIONS`.") : undefined);
  await page.getByRole("button", { name: "Check again" }).click();
  await shows("Bind INSTALLATIONS.");
  await view(page, "/", "Overview");
  assert.equal(await page.getByText("Bind INSTALLATIONS.").count(), 2);
  await page.getByRole("columnheader", { name: "Before" }).waitFor();
  api.trouble = () => undefined;

  // The session ends at a view and at an action. After the sign-in the operator is at the same place.
  const { instance_id: id, site } = api.instances[5];
  await view(page, `/installations/${id}`, site.name);
  api.signedIn = false;
  await page.getByRole("button", { name: "Redeliver event 129" }).click();
  await shows("The session has ended");
  assert.ok(page.url().endsWith(id));
  await page.getByLabel("API key").fill(api.key);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { level: 1, name: site.name }).waitFor();

  // An action that is refused says why, and the view stays.
  await page.getByRole("button", { name: "Redeliver event 100" }).click();
  await shows("The content of the event is erased");
  await page.getByRole("button", { name: "Older events" }).click();
  await page.getByRole("button", { name: "Redeliver event 1," }).waitFor();

  // A browser that does not return the session is told so, and not that the session has ended.
  api.trouble = (method, path) => (path === "/v1/session" ? undefined : path === "/readyz" ? undefined : problem(401, "unauthorized", "The API key is missing or unknown"));
  await page.getByRole("button", { name: "Refresh" }).click();
  await shows("The session has ended");
  await page.getByLabel("API key").fill(api.key);
  await page.getByRole("button", { name: "Sign in" }).click();
  await shows("this browser did not send the session back");
  api.trouble = () => undefined;

  // A slow answer shows that it is awaited, and one that comes too late for its view changes nothing.
  api.delay = 1500;
  await page.goto(`${APP_URL}/console#/parked`);
  await shows("Loading…");
  await page.evaluate(() => { location.hash = "#/installations"; });
  api.delay = 0;
  await page.getByRole("heading", { level: 1, name: "Installations" }).waitFor();
  await page.waitForTimeout(2000);
  assert.equal(await page.getByRole("heading", { level: 1 }).textContent(), "Installations");
  assert.deepEqual(seen, []);
  await context.close();
  return {};
}
