// The console against the Worker's own API: a day of the operator, and attacks on the session.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { APP_URL, audit, open, view } from "./browser.mjs";

const { WIX_URL, ADMIN_KEY, OTHER_KEY } = process.env;
const COOKIE = "__Host-wix-edge-session";
const HOURS = 3600;

async function sim(method, path, body) {
  const answer = await fetch(`${WIX_URL}${path}`, { method, headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  assert.ok(answer.ok, `${path}: ${answer.status}`);
  return answer.json();
}

const switches = (changes) => sim("PATCH", "/_sim/switches", changes);
const install = async () => (await sim("POST", "/_sim/installs", {})).instance.instance_id;
const event = (id, type) => sim("POST", "/_sim/webhooks", { event_type: type, instance_id: id, webhook_id: `wId_${id}_${type}` });

/** Looks until it is true. */
export async function until(what, look) {
  const end = Date.now() + 20_000;
  while (!await look()) {
    assert.ok(Date.now() < end, `${what} must happen`);
    await new Promise((next) => setTimeout(next, 200));
  }
}

export async function signIn(page, key) {
  await page.getByLabel("API key").fill(key);
  await page.getByRole("button", { name: "Sign in" }).click();
}

/** The status of a call with the key of the back end. */
export async function api(method, path) {
  return (await fetch(`${APP_URL}${path}`, { method, headers: { authorization: `Bearer ${OTHER_KEY}` } })).status;
}

/** Sign-in, list, an installation, its actions, sign-out. */
export async function day(browser) {
  await switches({ app_answer: "200" });
  const [id, other] = [await install(), await install()];
  await until("both are recorded", async () => await api("GET", `/v1/instances/${id}`) === 200 && await api("GET", `/v1/instances/${other}`) === 200);
  const { context, page, seen } = await open(browser);
  const shows = (text) => page.getByText(text).first().waitFor();
  const cookie = async () => (await context.cookies()).find(({ name }) => name === COOKIE);

  await view(page, `/installations/${id}`, "Sign in");
  await signIn(page, "not-a-key-of-this-worker");
  await page.locator(".sign-in .failure").waitFor();
  assert.equal(await cookie(), undefined);
  await signIn(page, OTHER_KEY);
  await shows("scope");
  assert.equal(await cookie(), undefined);
  await signIn(page, ADMIN_KEY);
  await page.getByRole("heading", { level: 2, name: "Record" }).waitFor();

  const { value, domain, path, httpOnly, secure, sameSite, expires } = await cookie();
  assert.deepEqual({ domain, path, httpOnly, secure, sameSite }, { domain: "localhost", path: "/", httpOnly: true, secure: true, sameSite: "Strict" });
  const life = expires - Date.now() / 1000;
  assert.ok(life > 8 * HOURS - 60 && life <= 8 * HOURS + 5, `${life} s`);
  assert.ok(!value.includes(ADMIN_KEY));
  // The key is nowhere in the page and its storage.
  const kept = await page.evaluate(async () => JSON.stringify([
    location.href, document.cookie, { ...localStorage }, { ...sessionStorage }, document.documentElement.outerHTML,
    [...document.querySelectorAll("input")].map((input) => input.value), await indexedDB.databases(), history.state,
    performance.getEntries().map((entry) => entry.name),
  ]));
  assert.ok(!kept.includes(ADMIN_KEY) && !kept.includes(value));

  // An event that the back end refuses, until it is asked again.
  await switches({ app_answer: "503" });
  await event(id, "wix.ecom.v1.order_approved");
  await until("the refused attempt shows", async () => {
    await page.getByRole("button", { name: "Refresh" }).click();
    await page.locator("main[aria-busy=false]").waitFor();
    return await page.getByText("503").count() > 0;
  });
  await shows("pending");
  await switches({ app_answer: "200" });
  await page.getByRole("button", { name: /^Redeliver event \d+, wix.ecom.v1.order_approved/ }).click();
  await page.getByRole("status").getByText(": delivered, answer 200").waitFor();
  await shows("installation.installed");
  const violations = await audit(page, "installation");
  await page.getByRole("button", { name: "Finish configuration" }).click();
  await shows("Wix knows that the app is set up.");
  await page.getByText("Setup finished").waitFor();
  await until("Wix has the BI event", async () => {
    const state = await (await fetch(`${WIX_URL}/_sim/state`)).json();
    return state.bi_events.some((sent) => sent.instance_id === id);
  });

  await page.getByRole("navigation", { name: "Console" }).getByRole("link", { name: "Installations" }).click();
  await page.getByLabel("Instance id begins with").fill(other.slice(0, 12));
  await page.getByLabel("Status").selectOption("installed");
  await page.getByRole("button", { name: "Search" }).click();
  await shows("1 installation for this search.");
  assert.deepEqual(await page.locator("td a.id").allTextContents(), [other]);

  await view(page, "/", "Overview");
  await shows("your back end accepted an event that came");
  await page.getByRole("button", { name: "Send a test event" }).click();
  await shows("Your back end accepted the test event (answer 200).");
  // Nothing is parked for hours, and the outage shows at once.
  await switches({ app_answer: "503" });
  await page.getByRole("button", { name: "Send a test event" }).click();
  await shows("Your back end did not accept the test event: answer 503.");
  const target = page.getByRole("listitem").filter({ hasText: "Target for events" });
  assert.match(await target.innerText(), /1 event of the latest \d+ waits for your back end \(answer 503\)/);
  assert.equal(await target.getAttribute("class"), "bad");
  await switches({ app_answer: "200" });
  const numbers = await page.locator(".tiles dd").allTextContents();

  await view(page, `/installations/${other}`, "");
  await page.getByRole("button", { name: "Erase…" }).click();
  await page.getByRole("textbox", { name: "Type the instance id" }).fill(id);
  await page.getByRole("button", { name: "Erase", exact: true }).click();
  await shows("must be the instance id");
  assert.equal(await api("GET", `/v1/instances/${other}`), 200);
  await page.getByRole("textbox", { name: "Type the instance id" }).fill(other);
  await page.getByRole("button", { name: "Erase", exact: true }).click();
  await shows(`The installation ${other} is erased.`);
  await until("it is erased", async () => await api("GET", `/v1/instances/${other}`) === 404);

  await page.getByRole("button", { name: "Sign out" }).click();
  await shows("You are signed out.");
  assert.equal(await cookie(), undefined);
  assert.equal(await page.evaluate(async () => (await fetch("/v1/instances")).status), 401);
  assert.deepEqual(seen, []);
  await context.close();
  return { violations, numbers };
}

/** A page of another origin, which does what it can with the operator's session. */
function attacker(host, id) {
  const target = JSON.stringify(APP_URL);
  const html = `<!doctype html><title>Other</title><body><script>
    const target = ${target}, id = ${JSON.stringify(id)};
    const calls = [["GET", "/v1/instances"], ["GET", "/v1/export"], ["GET", "/v1/instances/" + id], ["DELETE", "/v1/instances/" + id],
      ["POST", "/v1/events/test"], ["POST", "/v1/parked-events/redeliver"], ["POST", "/v1/instances/" + id + "/finish-configuration"],
      ["POST", "/v1/session"], ["DELETE", "/v1/session"]];
    async function attack() {
      const read = [];
      for (const [method, path] of calls) for (const mode of ["cors", "no-cors"]) {
        const options = { method, mode, credentials: "include", body: method === "POST" ? "{}" : undefined };
        const answer = await fetch(target + path, options).catch(() => undefined);
        if (answer && answer.type !== "opaque") read.push(method + " " + path + " " + answer.status);
        await fetch(target + path, { ...options, mode: "cors", headers: { authorization: "Bearer x", "sec-fetch-site": "same-origin" } }).catch(() => {});
      }
      for (const tag of ["img", "script", "iframe", "object", "link"]) for (const path of ["/v1/instances", "/v1/export", "/v1/instances/" + id]) {
        const element = document.createElement(tag);
        element[tag === "object" ? "data" : tag === "link" ? "href" : "src"] = target + path;
        if (tag === "link") element.rel = "stylesheet";
        await new Promise((resolve) => { element.onload = element.onerror = resolve; document.body.append(element); setTimeout(resolve, 400); });
      }
      for (const [method, path] of calls) for (const enctype of ["text/plain", "application/x-www-form-urlencoded"]) {
        const frame = Object.assign(document.createElement("iframe"), { name: "f" + Math.random() });
        document.body.append(frame);
        const form = Object.assign(document.createElement("form"), { method: method === "GET" ? "get" : "post", action: target + path, enctype, target: frame.name });
        form.append(Object.assign(document.createElement("input"), { name: '{"a":"', value: '"}' }));
        document.body.append(form);
        form.submit();
        await new Promise((resolve) => { frame.onload = resolve; setTimeout(resolve, 400); });
      }
      return read;
    }
  </script>`;
  return new Promise((resolve) => {
    const server = createServer((_, answer) => answer.writeHead(200, { "content-type": "text/html" }).end(html));
    server.listen(0, host === "localhost" ? "localhost" : "127.0.0.1", () => {
      resolve({ url: `http://${host}:${server.address().port}`, close: () => server.close() });
    });
  });
}

/** Other origins try to use the session: a foreign site, and another port of the same site, to which the cookie is sent. */
export async function attack(browser) {
  await switches({ app_answer: "200" });
  const id = await install();
  await until("it is recorded", async () => await api("GET", `/v1/instances/${id}`) === 200);
  const { context, page, seen } = await open(browser);
  await view(page, `/installations/${id}`, "Sign in");
  await signIn(page, ADMIN_KEY);
  await page.getByRole("heading", { level: 2, name: "Record" }).waitFor();
  const deliveries = async () => (await (await fetch(`${WIX_URL}/_sim/app-deliveries?type=wix-edge.test`)).json()).deliveries.length;

  // The same calls succeed from the console's own page, so that a refusal below has its cause in the origin.
  const own = await page.evaluate(async (instance) => {
    const calls = [["GET", "/v1/instances"], ["GET", "/v1/export"], ["GET", `/v1/instances/${instance}`], ["POST", "/v1/events/test"]];
    return Promise.all(calls.map(async ([method, path]) => (await fetch(path, { method })).status));
  }, id);
  assert.deepEqual(own, [200, 200, 200, 202]);
  await until("the test event is delivered", async () => await deliveries() === 1);

  const answered = {};
  let withCookie = 0;
  for (const host of ["127.0.0.1", "localhost"]) {
    const other = await attacker(host, id);
    const window = await context.newPage();
    const statuses = [];
    const note = async (response) => {
      if (!response.url().startsWith(`${APP_URL}/v1`)) return;
      statuses.push(response.status());
      const headers = await response.request().allHeaders().catch(() => ({}));
      if (headers.cookie?.includes(COOKIE)) withCookie += 1;
    };
    context.on("response", note);
    await window.goto(other.url);
    const read = await window.evaluate("attack()");
    assert.deepEqual(read, [], `${host} must read no answer`);
    // A link and a form that navigate the whole window.
    for (const path of ["/v1/instances", "/v1/export"]) {
      await window.goto(other.url);
      await window.evaluate((url) => { location.href = url; }, `${APP_URL}${path}`);
      await window.waitForURL(`${APP_URL}${path}`);
      assert.ok(!(await window.content()).includes(id), path);
    }
    await window.goto(other.url);
    await window.evaluate((url) => {
      const form = Object.assign(document.createElement("form"), { method: "post", action: url, enctype: "text/plain" });
      document.body.append(form);
      form.submit();
    }, `${APP_URL}/v1/events/test`);
    await window.waitForURL(`${APP_URL}/v1/events/test`);
    await window.waitForTimeout(300);
    context.off("response", note);
    answered[host] = { requests: statuses.length, accepted: statuses.filter((status) => status < 400) };
    await window.close();
    other.close();
  }
  // An address typed by the operator is no call of the console either.
  const typed = await context.newPage();
  assert.equal((await typed.goto(`${APP_URL}/v1/instances`)).status(), 401);
  await typed.close();

  // Nothing has happened, and the session goes on.
  assert.equal(await deliveries(), 1);
  assert.equal(await api("GET", `/v1/instances/${id}`), 200);
  await page.getByRole("button", { name: "Refresh" }).click();
  await page.getByRole("heading", { level: 2, name: "Record" }).waitFor();
  assert.equal(await page.getByText("Setup finished").count(), 0);
  assert.deepEqual(seen, []);
  await context.close();
  return { answered, withCookie };
}

/** Whether another page can show the console in a frame: with its headers, and without them. */
export async function framing(browser) {
  const shown = {};
  for (const kind of ["with its headers", "without them"]) {
    const { context, page } = await open(browser);
    if (kind === "without them") {
      await context.route(`${APP_URL}/console`, async (route) => {
        const answer = await route.fetch();
        const { "x-frame-options": _, "content-security-policy": __, ...headers } = answer.headers();
        await route.fulfill({ response: answer, headers });
      });
    }
    const other = await new Promise((resolve) => {
      const server = createServer((_, answer) => answer.writeHead(200, { "content-type": "text/html" })
        .end(`<!doctype html><iframe src="${APP_URL}/console" width=800 height=600></iframe>`));
      server.listen(0, "127.0.0.1", () => resolve({ url: `http://127.0.0.1:${server.address().port}`, close: () => server.close() }));
    });
    await page.goto(other.url);
    await page.waitForTimeout(1500);
    const frame = page.frames()[1];
    shown[kind] = frame ? await frame.evaluate(() => document.querySelector("#sign-out") !== null).catch(() => false) : false;
    other.close();
    await context.close();
  }
  return shown;
}

/** A Worker without a configuration. Returns the text of the page. */
export async function misconfigured(browser) {
  const { context, page, seen } = await open(browser);
  await view(page, "/", "Overview");
  const overview = await page.locator("main").innerText();
  const violations = await audit(page, "misconfigured");
  await view(page, "/installations", "cannot be shown");
  const list = await page.locator("main").innerText();
  assert.deepEqual(seen, []);
  await context.close();
  return { overview, list, violations };
}
