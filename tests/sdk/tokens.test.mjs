// Wix's own SDK, unmodified, gets tokens from the simulator.

import assert from "node:assert/strict";
import { before, test } from "node:test";

import { AppStrategy, createClient } from "@wix/sdk";

import { app, browse, calls, control } from "./platform.mjs";

const redirectUrl = "http://127.0.0.1:9/redirect";
let config;

before(async () => {
  config = await app();
  await control("PATCH", "app", { redirect_urls: [redirectUrl] });
  await control("PATCH", "switches", { auto_approve: true });
});

/** The SDK's strategy for the simulated app. */
function strategyOf(options = {}) {
  return AppStrategy({ appId: config.appId, appSecret: config.appSecret, ...options });
}

async function install() {
  return (await control("POST", "installs", {})).instance.instance_id;
}

/** Opens the SDK's install URL, and returns the address to which Wix sends the browser. */
async function consent(state) {
  const strategy = strategyOf();
  const callback = await browse(strategy.getInstallUrl({ redirectUrl, state }));
  assert.ok(callback?.startsWith(`${redirectUrl}?`), callback);
  return { strategy, callback };
}

test("client credentials give a token, which the SDK caches and Get App Instance accepts", async () => {
  const instanceId = await install();
  const client = createClient({
    auth: strategyOf({ instanceId }),
    modules: {},
  });
  const first = await client.auth.getAuthHeaders();
  assert.match(first.headers.Authorization, /^OauthNG\.JWS\.[\w-]+\.[\w-]+\.[\w-]+$/);
  assert.deepEqual(await client.auth.getAuthHeaders(), first);
  const answer = await client.fetchWithAuth("https://www.wixapis.com/apps/v1/instance");
  assert.equal(answer.status, 200);
  assert.equal((await answer.json()).instance.instanceId, instanceId);
  assert.equal(calls.at(-1).authorization, first.headers.Authorization);
});

test("client credentials for a removed instance fail with a status and a request id", async () => {
  const instanceId = await install();
  await control("POST", `instances/${instanceId}/remove`, {});
  const strategy = strategyOf({ instanceId });
  await assert.rejects(strategy.getAuthHeaders(), /404, request id: \d+\.\d+/);
});

test("a wrong secret fails with 401", async () => {
  const strategy = AppStrategy({ appId: config.appId, appSecret: "wrong", instanceId: await install() });
  await assert.rejects(strategy.getAuthHeaders(), /401/);
});

test("the SDK exchanges the code of the callback once", async () => {
  const { strategy, callback } = await consent("s1");
  const tokens = await strategy.handleOAuthCallback(callback, { state: "s1" });
  assert.match(tokens.accessToken, /^OAUTH2\./);
  assert.match(tokens.refreshToken, /^OAUTH2\./);
  assert.equal(tokens.instanceId, new URL(callback).searchParams.get("instanceId"));
  await assert.rejects(strategy.handleOAuthCallback(callback, { state: "s1" }), /400/);
});

test("the callback has the state, and the SDK refuses another one", async () => {
  const { strategy, callback } = await consent("s1");
  await assert.rejects(strategy.handleOAuthCallback(callback, { state: "s2" }), /Expected state to be "s2" but got "s1"/);
});

test("a refresh token gives several access tokens and does not change", async () => {
  const { strategy, callback } = await consent();
  const { refreshToken } = await strategy.handleOAuthCallback(callback);
  const later = strategyOf({ refreshToken });
  const one = (await later.getAuthHeaders()).headers.Authorization;
  const two = (await later.getAuthHeaders()).headers.Authorization;
  assert.notEqual(one, two);
  assert.equal(later.getActiveToken(), refreshToken);
});

test("token info names the app and the instance, and the SDK elevates the token", async () => {
  const instanceId = await install();
  const { headers } = await strategyOf({ instanceId }).getAuthHeaders();
  const strategy = strategyOf({ accessToken: headers.Authorization });
  const info = await strategy.getTokenInfo();
  assert.equal(info.active, true);
  assert.equal(info.subjectType, "APP");
  assert.equal(info.clientId, config.appId);
  assert.equal(info.instanceId, instanceId);
  assert.equal(typeof info.exp, "number");
  const elevated = await strategy.elevated();
  assert.match((await elevated.getAuthHeaders()).headers.Authorization, /^OauthNG\.JWS\./);
});

test("the SDK replaces a bound access token", async () => {
  const instanceId = await install();
  const { headers } = await strategyOf({ instanceId }).getAuthHeaders();
  const strategy = strategyOf({ accessToken: headers.Authorization });
  assert.notEqual((await strategy.getAuthHeaders()).headers.Authorization, headers.Authorization);
});
