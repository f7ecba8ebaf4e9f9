// The numbers of the Worker and its parked event in the console: the event is sent again, and the installation erased.

import assert from "node:assert/strict";
import { open, screenshot, view } from "./browser.mjs";
import { api, signIn, until } from "./operator.mjs";

const { ADMIN_KEY, PARKED_ID } = process.env;

/** A Worker that has counted installs and removals, and parked one event of `PARKED_ID`. */
export async function repair(browser) {
  const { context, page, seen } = await open(browser);
  const shows = (text) => page.getByText(text).first().waitFor();
  await view(page, "/", "Sign in");
  await signIn(page, ADMIN_KEY);
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
  await shows("events are parked");
  const [installs, removals] = (await page.locator(".tiles dd").allTextContents()).map(Number);
  for (const kind of ["installs", "removals"]) assert.ok(await page.locator(`svg rect.${kind}`).count() > 0, kind);
  await page.getByText("Numbers of each day").click();
  const table = page.getByRole("table", { name: "Numbers of each day" });
  const column = async (index) => (await table.locator(`tbody td:nth-child(${index})`).allTextContents()).reduce((sum, cell) => sum + Number(cell), 0);
  assert.deepEqual([await column(2), await column(3)], [installs, removals]);
  await screenshot(page, "real-overview");

  await page.getByRole("link", { name: "Look at the parked events" }).click();
  await shows("1 parked event of 1 installation.");
  await screenshot(page, "real-parked");
  await page.getByRole("button", { name: `Redeliver the parked events of ${PARKED_ID}` }).click();
  await shows("The Worker sends the parked events of this installation once more.");
  await until("the list is empty", async () => {
    await page.reload();
    await page.locator("main[aria-busy=false]").waitFor();
    return await page.getByText("No event is parked.").count() > 0;
  });
  await view(page, `/installations/${PARKED_ID}`, "");
  const row = page.getByRole("row").filter({ hasText: "wix.ecom.v1.order_approved" });
  assert.match(await row.innerText(), /delivered\s+200/);
  await screenshot(page, "real-installation");

  await page.getByRole("button", { name: "Erase…" }).click();
  await page.getByRole("textbox", { name: "Type the instance id" }).fill(PARKED_ID);
  await page.getByRole("button", { name: "Erase", exact: true }).click();
  await shows(`The installation ${PARKED_ID} is erased.`);
  await until("it is erased", async () => await api("GET", `/v1/instances/${PARKED_ID}`) === 404);
  assert.deepEqual(seen, []);
  await context.close();
  return { installs, removals };
}
