// The operator's page. It is a static asset, so its headers come from the file `_headers` and not from the Worker.

import type { Deployment } from "./deployment.js";
import type { Result } from "./finding.js";
import { fault, fine } from "./finding.js";
import { send, target } from "./request.js";

const WANTED: [string, RegExp, string][] = [
  ["content-security-policy", /default-src 'none'|default-src 'self'/, "begin with default-src 'none'"],
  ["content-security-policy", /frame-ancestors 'none'/, "have frame-ancestors 'none'"],
  ["x-content-type-options", /^nosniff$/, "be nosniff"],
  ["referrer-policy", /^(no-referrer|same-origin)$/, "be no-referrer"],
];

/** Checks the headers of `/console`, if there is one. */
export async function console({ url }: Deployment): Promise<Result[]> {
  let where = `${url}/console`;
  let answer = await send(where);
  const to = target(answer, where);
  // An asset server redirects to the same page with or without a slash.
  if (to?.origin === url && to.pathname.startsWith("/console")) {
    where = `${url}${to.pathname}`;
    answer = await send(where);
  }
  if (answer.status !== 200) return [];
  const wrong = WANTED.filter(([name, wanted]) => !wanted.test(answer.headers.get(name) ?? ""));
  if (wrong.length === 0) return [fine("the console has its security headers")];
  const what = `the console's headers are not those of the package: ${wrong.map(([name, , must]) => `${name} must ${must}`).join(", ")}`;
  const fix = "Deploy the package's assets with their file _headers, and let no rule of the zone change these headers.";
  return [fault("console.headers", where, what, fix)];
}
