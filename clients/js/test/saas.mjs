// Runs `examples/saas`. `client.test.mjs` imports this file. The Worker's AFTER_INSTALL_URL is the page `/connected` of a
// server at another port, so that these tests open it themselves.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { serve } from "./program.mjs";
import { key, url } from "./stand.mjs";

const folder = fileURLToPath(new URL("../../../examples/saas/", import.meta.url));
const settings = { WIX_EDGE_URL: url, WIX_EDGE_API_KEY: key, CUSTOMERS: "ann:pw-a,bob:pw-b", NODE_ENV: "production" };

/** A browser: it stores cookies by origin, and follows no redirect. */
class Browser {
  #cookies = new Map();

  async open(address, form) {
    const { origin } = new URL(address);
    const jar = this.#cookies.get(origin) ?? new Map();
    this.#cookies.set(origin, jar);
    const headers = { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join("; ") };
    const init = form === undefined ? {} : { method: "POST", body: new URLSearchParams(form) };
    const response = await fetch(address, { ...init, headers, redirect: "manual" });
    for (const cookie of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie);
      jar.set(name, value);
    }
    return { status: response.status, location: response.headers.get("location"), text: await response.text() };
  }

  async logIn(base, login) {
    assert.deepEqual(await this.open(`${base}/login`, { login }).then(({ status, location }) => [status, location]), [303, "/"]);
    return this;
  }

  /** Begins a flow, and agrees at Wix. Returns the address to which Wix sends the browser. */
  async callback(base) {
    const { location: start } = await this.open(`${base}/connect`, {});
    assert.match(start, new RegExp(`^${url}/connect\\?ref=[0-9a-f-]{36}$`));
    const { location: installer } = await this.open(start);
    const fields = Object.fromEntries(new URL(installer).searchParams);
    const consent = { ...fields, flow: "external", site_id: "new", decision: "agree" };
    return (await this.open(new URL("/installer/consent", installer), consent)).location;
  }

  /** The whole flow. Returns the address of the page at its end. */
  async connect(base) {
    return ended(base, await this.open(await this.callback(base)));
  }

  async shops(base) {
    const { status, text } = await this.open(`${base}/`);
    assert.equal(status, 200, text);
    return [...text.matchAll(/<li>(.*?)<\/li>/g)].map(([, name]) => name);
  }
}

/** AFTER_INSTALL_URL at the server of the test. */
function ended(base, { status, location, text }) {
  assert.equal(status, 302, text);
  assert.match(location, /^http:\/\/localhost:9\/connected\?/);
  return `${base}/connected${new URL(location).search}`;
}

test("the SaaS shows a customer the products of the connected shop", async () => {
  const { base } = await serve(folder, settings);
  const ann = await new Browser().logIn(base, "ann:pw-a");
  assert.deepEqual(await ann.shops(base), []);
  const end = await ann.connect(base);
  for (const _ of ["once", "reloaded"]) assert.equal((await ann.open(end)).status, 303);
  const shops = await ann.shops(base);
  assert.equal(shops.length, 1);
  assert.match(shops[0], /^Mug of /);
  await ann.open(await ann.connect(base));
  assert.equal(new Set(await ann.shops(base)).size, 2);
  const elsewhere = await new Browser().logIn(base, "ann:pw-a");
  assert.deepEqual(await elsewhere.shops(base), await ann.shops(base));
});

test("the SaaS gives a shop to nobody but the customer who connected it", async () => {
  const { base, output } = await serve(folder, settings);
  const [ann, bob, anns] = [await new Browser().logIn(base, "ann:pw-a"), await new Browser().logIn(base, "bob:pw-b"), await new Browser().logIn(base, "ann:pw-a")];
  const end = await ann.connect(base);
  for (const [browser, status] of [[bob, 403], [anns, 403], [ann, 403], [new Browser(), 401]]) {
    assert.equal((await browser.open(end)).status, status);
  }
  assert.deepEqual([await ann.shops(base), await bob.shops(base)], [[], []]);
  // The first one has used the value up. Nothing is lost: the customer connects the shop again.
  assert.equal((await ann.open(await ann.connect(base))).status, 303);
  assert.equal((await ann.shops(base)).length, 1);

  const failed = ended(base, await bob.open(await ann.callback(base)));
  const page = await ann.open(failed);
  assert.equal(page.status, 400);
  assert.match(page.text, /not connected \(other_browser\)/);
  for (const handoff of ["x", `${"a".repeat(8)}.s1.k1.AAAA.AAAA`, end.replace(/.*handoff=/, "").slice(1)]) {
    assert.equal((await ann.open(`${base}/connected?handoff=${encodeURIComponent(handoff)}`)).status, 403);
  }
  assert.deepEqual(await bob.shops(base), []);
  assert.doesNotMatch((await ann.open(`${base}/connected?error=%3Cscript%3E`)).text, /<script>/);
  for (const secret of [key, "pw-a", end.replace(/.*handoff=/, "")]) assert.ok(!output.text.includes(secret), output.text);
});

test("the SaaS does not start without its settings, and logs nobody in by guessing", async () => {
  const { base } = await serve(folder, settings);
  for (const login of ["", "ann", "ann:pw-b", "constructor"]) {
    assert.equal((await new Browser().open(`${base}/login`, { login })).status, 401, login);
  }
  const misconfigured = await serve(folder, { ...settings, WIX_EDGE_API_KEY: "wrong" });
  const ann = await new Browser().logIn(misconfigured.base, "ann:pw-a");
  assert.equal((await ann.open(`${misconfigured.base}/connected?handoff=x`)).status, 503);
});
