// Three clocks: this computer's, the one that dates the response, and the Worker's own.

import { isLoopback } from "../shapes.js";
import type { Deployment } from "./deployment.js";
import type { Result } from "./finding.js";
import { fault, fine, warning } from "./finding.js";
import type { Answer } from "./request.js";

/** A smaller difference is the network's. */
const TOLERANCE = 30;

/** Compares the clocks. `issuedAt` is the Worker's own time in seconds. */
export function clock({ url, now }: Deployment, health: Answer, issuedAt: number | undefined): Result[] {
  const here = Math.round(now() / 1000);
  const date = Date.parse(health.headers.get("date") ?? "") / 1000;
  // A Worker on this computer has its clock.
  const undated = isLoopback(new URL(url)) ? here : issuedAt;
  const dated = Number.isNaN(date) ? undated : date;
  const own = issuedAt ?? dated;
  if (dated === undefined || own === undefined) return [];
  const far = (one: number, other: number) => Math.abs(one - other) > TOLERANCE;
  if (far(here, own) && !far(dated, own)) {
    const what = `it is ${words(here - own)} the Worker's, so the other findings about times are not reliable`;
    return [warning("clock.here", "this computer's clock", what, "Set it by NTP, such as with `timedatectl set-ntp true`.")];
  }
  if (far(here, dated) && !far(here, own)) {
    const what = `the Date of the answer is ${words(dated - here)} this computer's clock, so a cache or a proxy with a wrong clock answers`;
    return [warning("clock.date", `${url}/healthz`, what, "Bypass the cache for this host, and set the proxy's clock by NTP.")];
  }
  if (far(here, own)) {
    const what = `the Worker's clock is ${words(own - here)} the true time, so it refuses webhooks and flows`;
    return [fault("clock.worker", url, what, "Remove CLOCK_OFFSET_SECONDS from the vars and deploy; it is for tests.")];
  }
  return [fine("the Worker's clock agrees with this computer's")];
}

function words(seconds: number): string {
  return seconds > 0 ? `${seconds} s ahead of` : `${-seconds} s behind`;
}
