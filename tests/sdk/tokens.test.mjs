// Wix's own SDK, unmodified, asks the simulator for tokens.

import assert from "node:assert/strict";
import { before, test } from "node:test";

import { AppStrategy, createClient } from "@wix/sdk";

import { app, browse, control, led } from "./platform.mjs";

const redirectUrl = "http://127.0.0.1:9/redirect";
let facts;

before(async () => {
  facts = await app();
  await control("PATCH", "app", { redirect_urls: [redirectUrl] });
  await control("PATCH", "switches", { auto_approve: true });
});

async function install() {
  return (await control("POST", "installs", {})).instance.instance_id;
}

/** Consent by the SDK's own install URL; answers where Wix sends the browser. */
async function consent(state) {
  const strategy = AppStrategy({ appId: facts.appId, appSecret: facts.appSecret });
  const callback = await browse(strategy.getInstallUrl({ redirectUrl, state }));
  assert.ok(callback?.startsWith(`${redirectUrl}?`), callback);
  return { strategy, callback };
}

test("client credentials give a token that is cached and opens Get App Instance", async () => {
  const instanceId = await install();
  const client = createClient({
    auth: AppStrategy({ appId: facts.appId, appSecret: facts.appSecret, instanceId }),
    modules: {},
  });
  const first = await client.auth.getAuthHeaders();
  assert.match(first.headers.Authorization, /^OauthNG\.JWS\.[\w-]+\.[\w-]+\.[\w-]+$/);
  assert.deepEqual(await client.auth.getAuthHeaders(), first);
  const answer = await client.fetchWithAuth("https://www.wixapis.com/apps/v1/instance");
  assert.equal(answer.status, 200);
  assert.equal((await answer.json()).instance.instanceId, instanceId);
  assert.equal(led.at(-1).authorization, first.headers.Authorization);
});

test("client credentials for a removed instance fail with the status and a request id", async () => {
  const instanceId = await install();
  await control("POST", `instances/${instanceId}/remove`, {});
  const strategy = AppStrategy({ appId: facts.appId, appSecret: facts.appSecret, instanceId });
  await assert.rejects(strategy.getAuthHeaders(), /404, request id: \d+\.\d+/);
});

test("a wrong secret fails with 401", async () => {
  const strategy = AppStrategy({ appId: facts.appId, appSecret: "wrong", instanceId: await install() });
  await assert.rejects(strategy.getAuthHeaders(), /401/);
});

test("the install URL leads to a callback that the SDK exchanges, once", async () => {
  const { strategy, callback } = await consent("s1");
  const tokens = await strategy.handleOAuthCallback(callback, { state: "s1" });
  assert.match(tokens.accessToken, /^OAUTH2\./);
  assert.match(tokens.refreshToken, /^OAUTH2\./);
  assert.equal(tokens.instanceId, new URL(callback).searchParams.get("instanceId"));
  await assert.rejects(strategy.handleOAuthCallback(callback, { state: "s1" }), /400/);
});

test("the state comes back, so that the SDK refuses another one", async () => {
  const { strategy, callback } = await consent("s1");
  await assert.rejects(strategy.handleOAuthCallback(callback, { state: "s2" }), /Expected state to be "s2" but got "s1"/);
});

test("a refresh token gives access tokens again and again, itself unchanged", async () => {
  const { strategy, callback } = await consent();
  const { refreshToken } = await strategy.handleOAuthCallback(callback);
  const later = AppStrategy({ appId: facts.appId, appSecret: facts.appSecret, refreshToken });
  const one = (await later.getAuthHeaders()).headers.Authorization;
  const two = (await later.getAuthHeaders()).headers.Authorization;
  assert.notEqual(one, two);
  assert.equal(later.getActiveToken(), refreshToken);
});

test("token info names app, site and instance, and elevation accepts it", async () => {
  const instanceId = await install();
  const { headers } = await AppStrategy({ appId: facts.appId, appSecret: facts.appSecret, instanceId }).getAuthHeaders();
  const strategy = AppStrategy({ appId: facts.appId, appSecret: facts.appSecret, accessToken: headers.Authorization });
  const info = await strategy.getTokenInfo();
  assert.equal(info.active, true);
  assert.equal(info.subjectType, "APP");
  assert.equal(info.clientId, facts.appId);
  assert.equal(info.instanceId, instanceId);
  assert.equal(typeof info.exp, "number");
  const elevated = await strategy.elevated();
  assert.match((await elevated.getAuthHeaders()).headers.Authorization, /^OauthNG\.JWS\./);
});

test("a bound access token is stripped", async () => {
  const instanceId = await install();
  const { headers } = await AppStrategy({ appId: facts.appId, appSecret: facts.appSecret, instanceId }).getAuthHeaders();
  const strategy = AppStrategy({ appId: facts.appId, appSecret: facts.appSecret, accessToken: headers.Authorization });
  assert.notEqual((await strategy.getAuthHeaders()).headers.Authorization, headers.Authorization);
});
