// 10,000 installations in the console.

import assert from "node:assert/strict";
import { start } from "./behaviour.mjs";
import { APP_URL, open, view } from "./browser.mjs";
import { FakeApi } from "./fake.mjs";

const { API_URL, API_KEY } = process.env;

/** The time from a click to the new rows, measured in the page. */
async function timed(page, click) {
  await page.evaluate(() => {
    globalThis.rendered = new Promise((resolve) => {
      const began = performance.now();
      const observer = new MutationObserver(() => {
        if (!document.querySelector("main[aria-busy=false] td")) return;
        observer.disconnect();
        requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - began)));
      });
      observer.observe(document.querySelector("main"), { childList: true, attributes: true });
    });
  });
  await click();
  return page.evaluate(() => globalThis.rendered);
}

/** 10,000 installations: how long a page takes, in milliseconds, and what paging, filter and search find. */
export async function large(browser) {
  const api = new FakeApi(10_000);
  const { context, page, seen } = await start(browser, api);
  await view(page, "/", "Overview");
  const ids = () => page.locator("td a.id").allTextContents();
  const times = [await timed(page, () => page.getByRole("link", { name: "Installations" }).click())];
  const first = await ids();
  for (let turn = 0; turn < 3; turn += 1) times.push(await timed(page, () => page.getByRole("link", { name: "Next page" }).click()));
  const fourth = await ids();
  await page.getByRole("link", { name: "Previous page" }).click();
  await page.waitForFunction((id) => document.querySelector("td a.id")?.textContent !== id, fourth[0]);
  const third = await ids();
  const sorted = api.instances.map(({ instance_id: id }) => id);
  assert.deepEqual(first, sorted.slice(0, 100));
  assert.deepEqual(third, sorted.slice(200, 300));
  assert.deepEqual(fourth, sorted.slice(300, 400));

  await page.getByLabel("Status").selectOption("removed");
  await page.getByRole("button", { name: "Search" }).click();
  await page.getByText("on this page for this search").waitFor();
  const removed = await page.locator("tbody tr").count();
  const statuses = new Set(await page.locator("tbody td:nth-child(2)").allTextContents());
  assert.equal(removed, 100);
  assert.deepEqual([...statuses], ["removed"]);
  await page.getByLabel("Status").selectOption("");
  await page.getByLabel("Instance id begins with").fill(sorted[4711].slice(0, 8).toUpperCase());
  await page.getByRole("button", { name: "Search" }).click();
  await page.getByText("1 installation for this search.").waitFor();
  assert.deepEqual(await ids(), [sorted[4711]]);
  assert.deepEqual(seen, []);
  await context.close();
  return { milliseconds: times.map(Math.round) };
}

/** The same of a Worker at `API_URL`, to which the calls of the page go. */
export async function listed(browser) {
  const { context, page, seen } = await open(browser);
  await context.route((url) => url.origin === APP_URL && /^\/(v1|readyz)/.test(url.pathname), async (route) => {
    const { pathname, search } = new URL(route.request().url());
    const response = await route.fetch({ url: `${API_URL}${pathname}${search}`, headers: { authorization: `Bearer ${API_KEY}` } });
    await route.fulfill({ response });
  });
  await view(page, "/", "Overview");
  // It counts the statuses of the first 1,000.
  await page.getByText("of the first 1,000 installations").waitFor();
  const times = [];
  const clicks = [() => page.getByRole("link", { name: "Installations" }).click()];
  for (let turn = 0; turn < 3; turn += 1) clicks.push(() => page.getByRole("link", { name: "Next page" }).click());
  const ids = new Set();
  for (const click of clicks) {
    times.push(await timed(page, click));
    for (const id of await page.locator("td a.id").allTextContents()) ids.add(id);
  }
  assert.deepEqual(seen, []);
  await context.close();
  return { milliseconds: times.map(Math.round), ids: ids.size };
}
