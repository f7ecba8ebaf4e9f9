// The end of the setup: whether the Worker is ready, and what to enter at Wix.

import { setTimeout as sleep } from "node:timers/promises";

import { UserError } from "../error.js";

interface Problem {
  name: string;
  problem: string;
  fix: string;
}

/** Waits until the Worker is ready. Right after the first deployment its address may not answer yet. */
export async function waitUntilReady(url: string, seconds: number): Promise<void> {
  const end = Date.now() + seconds * 1000;
  let last = "it does not answer";
  for (;;) {
    const { isReady, state } = await ready(url);
    if (isReady) return;
    last = state;
    if (Date.now() >= end) break;
    await sleep(Math.min(2000, Math.max(0, end - Date.now())));
  }
  throw new UserError(`${url}/readyz is not ready after ${seconds} seconds: ${last}\n\nMend it, and run setup again.`);
}

/** Whether `/readyz` says that everything is set, and what it says otherwise. */
export async function ready(url: string): Promise<{ isReady: boolean; state: string }> {
  try {
    const response = await fetch(`${url}/readyz`, { redirect: "manual", signal: AbortSignal.timeout(10_000) });
    const body = (await response.json()) as { status?: string; problems?: Problem[] };
    if (response.status === 200 && body.status === "ready") return { isReady: true, state: "ready" };
    const problems = (body.problems ?? []).map(({ name, problem, fix }) => `\n- ${name}: ${problem}. ${fix}`);
    return { isReady: false, state: problems.join("") || `it answers ${response.status}` };
  } catch {
    return { isReady: false, state: "it does not answer" };
  }
}

/** Whether the Worker knows an API key: `undefined` if it did not say. */
export async function knowsKey(url: string, key: string): Promise<boolean | undefined> {
  try {
    const headers = { authorization: `Bearer ${key}` };
    const response = await fetch(`${url}/v1/instances?limit=1`, { headers, redirect: "manual", signal: AbortSignal.timeout(10_000) });
    await response.body?.cancel();
    if (response.status === 401) return false;
    return response.ok ? true : undefined;
  } catch {
    return undefined;
  }
}

/** What to enter in Wix's dashboard. docs/your-app.md explains the fields. */
export function wixValues(appId: string, url: string): string {
  const page = (name: string): string => `https://dev.wix.com/apps/${appId}/${name}`;
  return `Enter these values at Wix. All of them are pages of your app's dashboard:

  Develop, Webhooks   ${page("webhooks")}
    Callback URL        ${url}/webhook
    Subscribe to        App Instance Installed, App Instance Removed
                        (and the Paid Plan events, if your app reads the plan)

  Develop, OAuth      ${page("oauth")}
    App URL             ${url}/install
    Redirect URL        ${url}/redirect
                        (old apps with custom authentication only: a new app has no such fields)

  Develop, Extensions ${page("extensions")}
    Base URI            ${url}/plugins
                        (of each service plugin, if your app has one and PLUGINS_URL is set)

A link on your own site to install the app: ${url}/connect`;
}
