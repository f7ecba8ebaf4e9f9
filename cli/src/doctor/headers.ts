// The headers of pages and redirects, as a browser sees them: a proxy or a rule of the zone may have changed them.

import type { Deployment } from "./deployment.js";
import type { Finding, Result } from "./finding.js";
import { fault, fine, warning } from "./finding.js";
import type { Answer } from "./request.js";
import { send } from "./request.js";

/** Both install flows, an error page and the home page. */
const PATHS = ["/install", "/connect", "/redirect", "/"];

const RULES =
  "In Cloudflare's dashboard, Rules, look for a response header Transform Rule or Snippet for this host, or in your own proxy.";

/** A rule for a response: its id, severity, and the words for a violation. */
interface Rule {
  id: string;
  make: typeof fault;
  /** The violation, or `undefined`. */
  violation: (answer: Answer) => string | undefined;
  fix: string;
}

const header = (answer: Answer, name: string) => answer.headers.get(name) ?? undefined;
const has = (answer: Answer, name: string, wanted: RegExp) => wanted.test(header(answer, name) ?? "");

const EVERY: Rule[] = [
  {
    id: "headers.opener",
    make: fault,
    violation: (answer) => {
      const value = header(answer, "cross-origin-opener-policy");
      // Without the header the policy is unsafe-none.
      if (value === undefined || value === "unsafe-none") return undefined;
      return `Cross-Origin-Opener-Policy is "${value}", so Wix cannot close the window of the installation`;
    },
    fix: `It must be unsafe-none, as the Worker sends it. ${RULES}`,
  },
  {
    id: "headers.frame-options",
    make: fault,
    violation: (answer) => {
      const value = header(answer, "x-frame-options");
      return value && `X-Frame-Options is "${value}", so Wix cannot show the page in a frame`;
    },
    fix: `The header must be absent. ${RULES}`,
  },
  {
    id: "headers.frame-ancestors",
    make: fault,
    violation: (answer) =>
      has(answer, "content-security-policy", /frame-ancestors/)
        ? "Content-Security-Policy has frame-ancestors, so Wix cannot show the page in a frame"
        : undefined,
    fix: `The directive must be absent. ${RULES}`,
  },
  {
    id: "headers.policy",
    make: warning,
    violation: (answer) =>
      has(answer, "content-security-policy", /default-src 'none'/)
        ? undefined
        : "Content-Security-Policy is not the Worker's: it must begin with default-src 'none'",
    fix: RULES,
  },
  {
    id: "headers.cache",
    make: fault,
    violation: (answer) =>
      has(answer, "cache-control", /\bno-store\b/)
        ? undefined
        : "Cache-Control lacks no-store, so a cache may give the page or cookie of one visitor to another",
    fix: `It must be no-store, as the Worker sends it. Look also for a Cache Rule or a Browser Cache TTL. ${RULES}`,
  },
  {
    id: "headers.referrer",
    make: fault,
    violation: (answer) =>
      has(answer, "referrer-policy", /^no-referrer$/)
        ? undefined
        : "Referrer-Policy is not no-referrer, so the browser may tell other sites the codes in addresses",
    fix: `It must be no-referrer, as the Worker sends it. ${RULES}`,
  },
  {
    id: "headers.transport",
    make: warning,
    violation: (answer) =>
      has(answer, "strict-transport-security", /max-age=[1-9]/)
        ? undefined
        : "Strict-Transport-Security is absent or has max-age=0, so a browser may come by plain http",
    fix: `In Cloudflare's dashboard, SSL/TLS, Edge Certificates, do not turn HSTS off for this host. ${RULES}`,
  },
  {
    id: "headers.sniff",
    make: warning,
    violation: (answer) =>
      has(answer, "x-content-type-options", /^nosniff$/) ? undefined : "X-Content-Type-Options is not nosniff",
    fix: RULES,
  },
  {
    id: "headers.script",
    make: warning,
    violation: (answer) =>
      /<script/i.test(answer.body) ? "the page has a script, which the Worker does not send and its policy blocks" : undefined,
    fix: "In Cloudflare's dashboard, turn Rocket Loader, Email Address Obfuscation, Web Analytics and JavaScript detections off for this host.",
  },
];

/** Requests pages and redirects, and checks their headers. Each violation is told once, with all its addresses. */
export async function headers({ url }: Deployment): Promise<Result[]> {
  const answers = await Promise.all(PATHS.map(async (path) => ({ path, answer: await send(`${url}${path}`) })));
  // Another server's page has headers of its own; other checks tell of it.
  const ours = answers.filter(({ answer }) => answer.headers.has("x-request-id"));
  const found = new Map<string, { finding: Finding; paths: string[] }>();
  for (const { path, answer } of ours) {
    for (const rule of EVERY) {
      const what = rule.violation(answer);
      if (what === undefined) continue;
      const known = found.get(`${rule.id} ${what}`);
      if (known) known.paths.push(path);
      else found.set(`${rule.id} ${what}`, { finding: rule.make(rule.id, url, what, rule.fix), paths: [path] });
    }
  }
  const findings = [...found.values()].map(({ finding, paths }) => ({ ...finding, where: `${url}${paths.join(", ")}` }));
  if (findings.length > 0 || ours.length === 0) return findings;
  return [fine("the headers of pages and redirects are the Worker's")];
}
