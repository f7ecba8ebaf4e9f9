// Misconfigurations that show at the deployment's address. Each case has a name, the ids of the findings that it must have,
// and no other fault or warning may be found.

import { front } from "./front.mjs";
import { bed, controlled, examined, fault as addFault } from "./bed.mjs";

const { workers, key, token_key: tokenKey } = bed;
const good = workers.good;

/** A case with a proxy in front of the good Worker. */
function proxied(name, ids, options, more = {}) {
  return { name, ids, run: async () => examined((await front(more.upstream ?? good, options)).url, more) };
}

/** A case at a Worker's own address. */
function worker(name, ids, at, more = {}) {
  return { name, ids, run: () => examined(workers[at], more) };
}

const set = (name, value) => ({ change: (response) => (response.headers[name] = value) });
const remove = (name) => ({ change: (response) => delete response.headers[name] });
const HOUR = 3600;
/** A case in which `GET /v1/reconciliation` answers with times that are so many seconds ahead. */
function reconciled(name, ids, times) {
  const answer = () => Object.fromEntries(Object.entries(times).map(([field, ahead]) => [field, Math.floor(Date.now() / 1000) + ahead]));
  return proxied(name, ids, {
    answer: ({ path }) => (path === "/v1/reconciliation" ? { status: 200, headers: {}, body: JSON.stringify(answer()) } : undefined),
  }, { key });
}
const html = (status, body, headers = {}) => ({ status, headers: { "content-type": "text/html", ...headers }, body });
/** Answers a path in the place of the Worker. */
const at = (path, response) => ({ answer: (request) => (request.path.split("?")[0] === path ? response : undefined) });

const address = [
  { name: "the host name does not exist", ids: ["reach.dns"], run: () => examined("https://nothing.invalid") },
  { name: "nobody listens at the port", ids: ["reach.refused"], run: async () => {
    const { url, close } = await front(good);
    close();
    return examined(url);
  } },
  proxied("the server accepts the connection and is silent", ["reach.timeout"], { answer: () => "never" }, { patience: 2_000 }),
  { name: "the address is plain http", ids: ["reach.http"], run: () => examined("http://wix-edge.example") },
  proxied("another server answers", ["reach.not-wix-edge"], { answer: () => html(200, "<h1>It works!</h1>") }),
  proxied("the host redirects to another one", ["reach.not-wix-edge"], { answer: ({ path }) => html(301, "", { location: `https://www.shop.example${path}?code=never-shown` }) }),
  proxied("Cloudflare Access protects the whole host", ["reach.not-wix-edge"], {
    answer: () => html(302, "", { location: "https://team.cloudflareaccess.com/cdn-cgi/access/login/edge.shop.example?kid=never-shown" }),
  }),
  proxied("Bot Fight Mode challenges every client", ["reach.not-wix-edge"], { answer: () => html(403, "Just a moment...", { "cf-mitigated": "challenge" }) }),
  proxied("the Worker throws at its start", ["reach.not-wix-edge"], { answer: () => html(500, "error code: 1101") }),
  proxied("a WAF rule blocks this address", ["reach.not-wix-edge"], { answer: () => html(403, "Sorry, you have been blocked") }),
  proxied("requests break off after the first", ["reach.broken-off"], { answer: ({ path }) => (path === "/readyz" ? "destroy" : undefined) }),
  proxied("the Worker is older than the package", ["version.older"], {
    change: (response, { path }) => path === "/healthz" && (response.body = '{"status":"ok","version":"0.0.9"}', (response.headers["content-length"] = "33")),
  }),
  proxied("the Worker is newer than the package", ["version.newer"], {
    change: (response, { path }) => path === "/healthz" && (response.body = '{"status":"ok","version":"99.0.0"}', (response.headers["content-length"] = "34")),
  }),
];

const readiness = [
  worker("nothing is configured", "all", "empty"),
  worker("many values are malformed", "all", "malformed"),
  worker("a target for events and no Durable Objects", ["ready.INSTALLATIONS"], "no-objects"),
  worker("a target for events and no secrets", ["ready.EVENTS_SECRETS"], "no-secrets"),
  worker("KV fails", ["ready.INSTANCES"], "kv-down", { also: ["note.INSTALLATIONS"] }),
  worker("no Durable Objects are bound", ["note.INSTALLATIONS"], "plain"),
  worker("no target for events is set", ["note.EVENTS_URL"], "plain", { also: ["note.INSTALLATIONS"] }),
  proxied("an error page in place of /readyz", ["ready.unreadable"], at("/readyz", html(502, "Bad gateway"))),
];

const headers = [
  proxied("a Transform Rule sets Cross-Origin-Opener-Policy", ["headers.opener"], set("cross-origin-opener-policy", "same-origin")),
  proxied("a Transform Rule adds X-Frame-Options", ["headers.frame-options"], set("x-frame-options", "DENY")),
  proxied("a proxy adds frame-ancestors", ["headers.frame-ancestors"], set("content-security-policy", "default-src 'none'; frame-ancestors 'self'")),
  proxied("a proxy removes Content-Security-Policy", ["headers.policy"], remove("content-security-policy")),
  proxied("a Browser Cache TTL replaces Cache-Control", ["headers.cache"], set("cache-control", "public, max-age=14400")),
  proxied("a proxy sets Referrer-Policy", ["headers.referrer"], set("referrer-policy", "unsafe-url")),
  proxied("the zone turns HSTS off", ["headers.transport"], set("strict-transport-security", "max-age=0")),
  proxied("a proxy removes X-Content-Type-Options", ["headers.sniff"], remove("x-content-type-options")),
  proxied("the zone injects a script", ["headers.script"], {
    change: (response) => {
      if (!`${response.headers["content-type"]}`.includes("html")) return;
      response.body = `${response.body}<script src="/cdn-cgi/scripts/rocket-loader.min.js"></script>`;
      delete response.headers["content-length"];
    },
  }),
  proxied("the console's headers are missing", ["console.headers"], at("/console", html(200, "<title>Console</title>"))),
];

const install = [
  worker("WIX_SITE_URL is set", ["flow.site"], "other-site", { also: ["note.INSTALLATIONS"] }),
  worker("PUBLIC_URL leads nowhere", ["flow.public-url"], "dead-public-url", { also: ["note.INSTALLATIONS"] }),
  { name: "PUBLIC_URL is the other address of the same Worker", ids: ["flow.other-address"], run: async () => {
    const { url } = await front(good, { change: (response) => {
      const { location } = response.headers;
      // As with PUBLIC_URL: the state has the origin of the request, and the callback another one.
      if (location) response.headers.location = location.replaceAll(encodeURIComponent(url), encodeURIComponent(good));
    } });
    return examined(url);
  } },
  proxied("a proxy changes the header Host", ["flow.host"], { host: "127.0.0.1:8787" }),
  proxied("a proxy connects to the Worker by plain http", ["flow.host", "api.plain-text"], { host: "edge.shop.example" }),
  proxied("a proxy drops the address to come back to", ["flow.callback"], {
    change: (response) => response.headers.location &&= response.headers.location.replaceAll(/redirectUrl=|postInstallationUrl=/g, "other="),
  }),
  proxied("the local folder is another app's", ["flow.app"], {}, { local: { WIX_APP_ID: "11f3c5e7-2b4d-4f60-8a91-b2c3d4e5f607" } }),
  proxied("a proxy removes cookies", ["flow.cookie"], remove("set-cookie")),
  proxied("a proxy rewrites cookies", ["flow.cookie-attributes"], {
    change: (response) => response.headers["set-cookie"] &&= response.headers["set-cookie"].map((cookie) => `${cookie.replace("SameSite=None; Partitioned", "SameSite=Lax")}; Domain=shop.example`),
  }),
  { name: "a cache answers /install", ids: ["flow.cached"], run: async () => {
    let kept;
    const { url } = await front(good, { change: (response, { path }) => {
      if (path !== "/install") return;
      kept ??= structuredClone(response.headers);
      Object.assign(response.headers, kept);
    } });
    return examined(url);
  } },
  proxied("/install is another program's", ["flow.foreign"], at("/install", html(200, "<h1>Shop</h1>"))),
  proxied("too many flows began", ["flow.limited"], at("/connect", html(429, "", {}))),
  worker("CLOCK_OFFSET_SECONDS is set", ["clock.worker"], "clock", { also: ["note.INSTALLATIONS"] }),
  { name: "this computer's clock is wrong", ids: ["clock.here"], run: async () => examined((await front(good)).url, { now: () => Date.now() + 600_000 }) },
  proxied("a cache answers with an old Date", ["clock.date"], { change: (response) => (response.headers.date = new Date(Date.now() - 600_000).toUTCString()) }),
];

const programs = [
  proxied("a firewall blocks /webhook", ["webhook.blocked"], at("/webhook", html(403, "Sorry, you have been blocked"))),
  proxied("Bot Fight Mode challenges Wix", ["webhook.blocked"], at("/webhook", html(403, "Just a moment...", { "cf-mitigated": "challenge" }))),
  proxied("Cloudflare Access protects /webhook", ["webhook.blocked"], at("/webhook", html(302, "", { location: "https://team.cloudflareaccess.com/cdn-cgi/access/login/edge?kid=never-shown" }))),
  proxied("something else takes the webhooks", ["webhook.accepted"], at("/webhook", html(200, "ok"))),
  proxied("/webhook is slow", ["webhook.slow"], { change: (response, { path }) => path === "/webhook" && (response.delay = 1_400) }),
  proxied("a proxy limits bodies", ["webhook.large"], { answer: ({ path, body }) => (path === "/webhook" && body.length > 100_000 ? html(413, "Request Entity Too Large") : undefined) }),
  proxied("a proxy adds the API key", ["api.open"], {
    answer: ({ path, headers }) => (path === "/v1/instances" && !headers.authorization ? { status: 200, headers: {}, body: '{"instances":[]}' } : undefined),
  }),
  proxied("Cloudflare Access protects /v1", ["api.blocked"], {
    answer: ({ path }) => (path === "/v1/instances" ? html(302, "", { location: "https://team.cloudflareaccess.com/cdn-cgi/access/login/edge" }) : undefined),
  }),
];

const keyed = [
  worker("no API key is given", ["key.none"], "good"),
  worker("the API key is not in API_KEYS", ["key.unknown"], "good", { key: "it-key-that-nobody-knows-0123456789" }),
  worker("the API key lacks a scope", ["key.scope"], "good", { key: tokenKey }),
  proxied("a firewall blocks calls with a key", ["key.blocked"], { answer: ({ headers }) => (headers.authorization ? html(403, "Sorry, you have been blocked") : undefined) }, { key }),
  proxied("a route of the app API fails", ["api.failed"], {
    answer: ({ path }) => (path === "/v1/reconciliation" ? { status: 500, headers: {}, body: '{"code":"internal","request_id":"abc"}' } : undefined),
  }, { key }),
  worker("listing KV fails", ["store.failed"], "kv-list-down", { key, also: ["note.INSTALLATIONS"] }),
  worker("there is no installation", ["token.no-installation"], "other-site", { key, also: ["note.INSTALLATIONS", "flow.site"] }),
  // Wix refuses the credentials here too, which this isolate notes at /readyz.
  worker("WIX_APP_SECRET is another app's", ["token.credentials"], "other-secret", { key, also: ["note.INSTALLATIONS"] }),
  { name: "Wix refused the app's credentials before", ids: ["note.WIX_APP_SECRET"], run: async () => {
    await examined(workers["other-secret"], { key });
    return examined(workers["other-secret"], { key, also: ["note.INSTALLATIONS", "token.credentials"] });
  } },
  worker("Wix cannot be reached", ["token.wix"], "wix-down", { key, also: ["note.INSTALLATIONS"] }),
  { name: "Wix refuses tokens for the site", ids: ["token.refused"], run: async () => {
    await addFault(workers.refused);
    return examined(workers.refused, { key, also: ["note.INSTALLATIONS"] });
  } },
  // The clock of this computer is ahead, so that the installation looks old.
  { name: "no Cron Trigger runs", ids: ["cron.never"], run: () =>
    examined(workers.plain, { key, now: () => Date.now() + 3_000_000, also: ["note.INSTALLATIONS", "clock.worker"] }) },
  { name: "no Cron Trigger runs, and Durable Objects are bound", ids: ["cron.never"], run: () =>
    examined(workers["no-cron"], { key, now: () => Date.now() + 3_000_000, also: ["clock.worker"] }) },
  // 16 minutes after a run.
  { name: "the Cron Trigger stopped", ids: ["cron.stale"], run: () =>
    examined(good, { key, now: () => Date.now() + 960_000, also: ["clock.worker"] }) },
  reconciled("the Cron Trigger stopped, and no Durable Objects are bound", ["cron.stale"], { cron_ran_at: -6 * HOUR, cron_next_by: -4 * HOUR }),
  reconciled("the comparison with Wix fails for days", ["cron.comparison"], { cron_ran_at: -60, cron_next_by: 60, started_at: -240 * HOUR }),
  { name: "no installation was ever compared with Wix", ids: ["cron.comparison"], run: () =>
    examined(workers.plain, { key, now: () => Date.now() + 60 * HOUR * 1000, also: ["note.INSTALLATIONS", "clock.worker", "cron.never"] }) },
  worker("events could not be delivered for days", ["events.parked"], "parked", { key }),
  worker("the back end has another secret", ["events.refused"], "401", { key, events: true }),
  worker("EVENTS_URL redirects", ["events.redirected"], "302", { key, events: true }),
  worker("EVENTS_URL has a wrong path", ["events.not-found"], "404", { key, events: true }),
  worker("the back end fails", ["events.failed"], "500", { key, events: true }),
  worker("the back end is down", ["events.unreachable"], "unreachable", { key, events: true }),
  worker("the back end does not answer", ["events.timeout"], "slow", { key, events: true }),
  proxied("a test event is not attempted", ["events.waiting"], {
    answer: ({ path }) => (/^\/v1\/instances\/.*\/events/.test(path) ? { status: 200, headers: {}, body: '{"events":[]}' } : undefined),
  }, { key, events: true, patience: 2_000 }),
];

/** These set the simulator's dashboard, so they run one after the other. */
export const development = [
  { name: "no simulator runs", ids: ["simulator.unreachable"], run: async () => {
    const { url, close } = await front(good);
    close();
    return examined(good, { simulator: url });
  } },
  { name: "--sim is another server", ids: ["simulator.unreachable"], run: () => examined(good, { simulator: good }) },
  { name: "the simulator is not the back end", ids: ["simulator.no-back-end"], run: async () => {
    const { url } = await front(bed.wix, at("/_sim/app-deliveries", { status: 409, headers: {}, body: "{}" }));
    return examined(good, { simulator: url });
  } },
  controlled("the dashboard has another webhook URL", ["simulator.dashboard"], "good", { webhook_url: "http://127.0.0.1:9/webhook" }),
  controlled("the dashboard is another app's", ["simulator.app"], "other-app", {}, { also: ["note.INSTALLATIONS"] }),
  controlled("WIX_PUBLIC_KEYS is another app's", ["simulator.webhook"], "other-public-key", {}, { also: ["note.INSTALLATIONS"] }),
  controlled("EVENTS_URL is not the simulator's", ["simulator.event"], "500"),
  controlled("the App URL answers with a wrong header", ["simulator.app-url"], "good", {}, { also: ["headers.opener"], options: set("cross-origin-opener-policy", "same-origin") }),
];

/** These do not disturb each other. */
export const online = [...address, ...readiness, ...headers, ...install, ...programs, ...keyed];
