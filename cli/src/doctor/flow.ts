// The beginning of both install flows: where the browser is sent, with what, and with which cookie.

import { createHash } from "node:crypto";

import { isLoopback } from "../shapes.js";
import type { Deployment } from "./deployment.js";
import type { Result } from "./finding.js";
import { fault, fine, note, warning } from "./finding.js";
import type { Answer } from "./request.js";
import { Unanswered, errorCode, json, send, stranger, target } from "./request.js";

const WIX = "https://www.wix.com";

/** The beginning of a flow. */
interface Flow {
  path: string;
  answer: Answer;
  /** Wix's page. */
  page: URL;
  /** Where Wix sends the browser afterwards. */
  callback: URL | undefined;
  state: State | undefined;
}

/** What is readable in a state (`crates/core/src/crypto/state.rs`). */
interface State {
  text: string;
  /** The Worker's time, in seconds. */
  issuedAt: number;
  /** The first bytes of the SHA-256 of the origin that the Worker saw, in hex. */
  origin: string;
}

/** What the flows show. */
export interface Flows {
  results: Result[];
  /** The app's id, as Wix gets it. */
  appId: string | undefined;
  /** When the Worker answered by its own clock, in seconds. */
  issuedAt: number | undefined;
}

/** Begins both flows, and the first one twice. */
export async function flows(deployment: Deployment): Promise<Flows> {
  const { url } = deployment;
  const begun = await Promise.all([
    begin(url, "/install", "/installer/install", "redirectUrl"),
    begin(url, "/connect", "/app-installer", "postInstallationUrl"),
    begin(url, "/install", "/installer/install", "redirectUrl"),
  ]);
  const broken = begun.slice(0, 2).flatMap((flow) => ("page" in flow ? [] : [flow]));
  const [install, connect, again] = begun.map((flow) => ("page" in flow ? flow : undefined));
  const whole = [install, connect].filter((flow) => flow !== undefined);
  const results: Result[] = [
    ...broken,
    ...pageOf(url, whole),
    ...appOf(deployment, whole),
    ...(await callbackOf(url, whole)),
    ...cookieOf(url, whole),
    ...cacheOf(url, install, again),
  ];
  if (results.length === 0) results.push(fine("/install and /connect send the browser to Wix and back to this address"));
  const first = whole[0];
  return { results, appId: first?.page.searchParams.get("appId") ?? undefined, issuedAt: first?.state?.issuedAt };
}

async function begin(url: string, path: string, page: string, name: string): Promise<Flow | Result> {
  const answer = await send(`${url}${path}`);
  const to = target(answer, url);
  if (answer.status === 302 && to?.pathname === page) {
    const callback = to.searchParams.get(name) ?? "";
    const parsed = URL.canParse(callback) ? new URL(callback) : undefined;
    const state = to.searchParams.get("state") ?? parsed?.searchParams.get("state") ?? "";
    return { path, answer, page: to, callback: parsed, state: read(state) };
  }
  const where = `${url}${path}`;
  if (errorCode(answer) === "too_many_flows" || answer.status === 429) {
    const what = "too many flows began at this computer's address within a minute, so the flow could not be checked";
    return note("flow.limited", where, what, "Wait a minute, and run doctor again.");
  }
  const { who, fix } = stranger(answer, url);
  return fault("flow.foreign", where, `it is answered by ${who}, and must be answered by a redirect to Wix`, fix);
}

function read(state: string): State | undefined {
  const bytes = Buffer.from(state, "base64url");
  if (bytes.length < 58 || ![1, 2].includes(bytes[0] ?? 0)) return undefined;
  return { text: state, issuedAt: Number(bytes.readBigUInt64BE(2)), origin: bytes.toString("hex", 22, 26) };
}

function addresses(url: string, flows: Flow[]): string {
  return `${url}${flows.map(({ path }) => path).join(", ")}`;
}

/** The host of Wix's page. */
function pageOf(url: string, flows: Flow[]): Result[] {
  const isTest = isLoopback(new URL(url));
  const wrong = flows.filter(({ page }) => page.origin !== WIX && !(isTest && isLoopback(page)));
  const origin = wrong[0]?.page.origin;
  if (origin === undefined) return [];
  const fix = "Remove WIX_SITE_URL from the vars and deploy; it is for tests.";
  return [fault("flow.site", addresses(url, wrong), `the browser is sent to ${origin} in place of Wix (${WIX})`, fix)];
}

/** The app's id, if the local configuration names one. */
function appOf({ url, local }: Deployment, flows: Flow[]): Result[] {
  const expected = local?.vars["WIX_APP_ID"]?.trim().toLowerCase();
  const wrong = flows.filter(({ page }) => page.searchParams.get("appId")?.toLowerCase() !== expected);
  if (!expected || wrong.length === 0) return [];
  const what = `Wix is told the app ${wrong[0]?.page.searchParams.get("appId")}, and ${local?.file} has ${expected}`;
  const fix = "Deploy this folder (`npx wrangler deploy`), or run doctor in the folder of that deployment.";
  return [fault("flow.app", addresses(url, wrong), what, fix)];
}

/** The address to which Wix sends the browser: it must be the one that is examined. */
async function callbackOf(url: string, flows: Flow[]): Promise<Result[]> {
  const wrong = flows.filter(({ callback }) => callback?.origin !== url);
  const other = wrong[0]?.callback?.origin;
  if (wrong.length === 0) return [];
  const where = addresses(url, wrong);
  if (other === undefined) {
    const fix = "Compare the Worker's version with this package's, and deploy it again.";
    return [fault("flow.callback", where, "the redirect to Wix has no address to come back to", fix)];
  }
  // The Worker writes the public address with https, even if a request comes by http.
  const seen = [other, other.replace("https:", "http:")].find((origin) => tag(origin) === wrong[0]?.state?.origin);
  if (seen !== undefined) {
    const what = `the Worker sees the address ${seen}, so a proxy in front changes host or scheme`;
    const fix = `Set PUBLIC_URL to ${url} and deploy, or let the proxy pass the header Host unchanged.`;
    return [fault("flow.host", where, what, fix)];
  }
  const what = `PUBLIC_URL is ${other}, so Wix sends the browser there`;
  if (await isWixEdge(other)) {
    const fix = `Enter ${other} everywhere in Wix's dashboard and in your links, and set workers_dev = false if this is the workers.dev address; or set PUBLIC_URL to ${url}.`;
    return [warning("flow.other-address", where, `${what}, and flows that begin here must begin twice`, fix)];
  }
  const fix = `Set PUBLIC_URL to ${url}, or add the custom domain ${other}, and deploy.`;
  return [fault("flow.public-url", where, `${what}, where no wix-edge answers`, fix)];
}

/** What a state has of an origin. */
function tag(origin: string): string {
  return createHash("sha256").update(origin).digest("hex").slice(0, 8);
}

async function isWixEdge(origin: string): Promise<boolean> {
  try {
    return json(await send(`${origin}/healthz`))["status"] === "ok";
  } catch (error) {
    if (error instanceof Unanswered) return false;
    throw error;
  }
}

const ATTRIBUTES = ["Secure", "HttpOnly", "SameSite=None", "Partitioned", "Path=/"];

/** The cookie that binds a flow to a browser. */
function cookieOf(url: string, flows: Flow[]): Result[] {
  const results: Result[] = [];
  const missing = flows.filter(({ answer }) => cookies(answer).length === 0);
  if (missing.length > 0) {
    const what = "the cookie of the flow is missing, so every installation ends with state_other_browser";
    const fix = "Let no proxy, cache or Transform Rule remove Set-Cookie or change its name, which begins with __Host-wix-edge-.";
    results.push(fault("flow.cookie", addresses(url, missing), what, fix));
  }
  for (const flow of flows) {
    const [cookie] = cookies(flow.answer);
    if (cookie === undefined) continue;
    const parts = cookie.split(";").map((part) => part.trim().toLowerCase());
    const lost = ATTRIBUTES.filter((attribute) => !parts.includes(attribute.toLowerCase()));
    const added = parts.some((part) => part.startsWith("domain=")) ? ["Domain"] : [];
    if (lost.length + added.length === 0) continue;
    const wrong = [...lost.map((name) => `lacks ${name}`), ...added.map((name) => `has ${name}`)].join(", ");
    const what = `the cookie of the flow ${wrong}, so browsers refuse it or do not send it back from Wix`;
    const fix = "Let no proxy or Transform Rule rewrite Set-Cookie.";
    results.push(fault("flow.cookie-attributes", `${url}${flow.path}`, what, fix));
    break;
  }
  return results;
}

function cookies(answer: Answer): string[] {
  return answer.headers.getSetCookie().filter((cookie) => cookie.startsWith("__Host-wix-edge-"));
}

/** Two flows must not have the same state. */
function cacheOf(url: string, one: Flow | undefined, other: Flow | undefined): Result[] {
  if (one?.state === undefined || one.state.text !== other?.state?.text) return [];
  const what = "two requests got the same flow, so a cache answers, and all visitors but one fail";
  const fix = "In Cloudflare's dashboard, Caching, Cache Rules, bypass the cache for this host; do the same in a proxy of your own.";
  return [fault("flow.cached", `${url}${one.path}`, what, fix)];
}
