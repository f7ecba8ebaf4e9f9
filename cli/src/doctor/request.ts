// One request to the deployment, without redirects, and who answered it.

import { PATIENCE } from "./deployment.js";
import { object, parsed, text } from "./json.js";

/** A response. */
export interface Answer {
  status: number;
  headers: Headers;
  body: string;
  /** How long the headers took. */
  milliseconds: number;
}

/** A request that got no response. */
export class Unanswered extends Error {
  constructor(
    /** The code of Node's error, such as `ECONNREFUSED`, or `TIMEOUT`. */
    readonly code: string,
  ) {
    super(code);
  }
}

/** The parts of a request. */
export interface Ask {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
  /** The time limit in milliseconds. */
  patience?: number;
}

/** Sends a request. */
export async function send(url: string | URL, { patience = PATIENCE, ...ask }: Ask = {}): Promise<Answer> {
  const began = performance.now();
  try {
    const response = await fetch(url, { ...ask, redirect: "manual", signal: AbortSignal.timeout(patience) });
    const milliseconds = performance.now() - began;
    return { status: response.status, headers: response.headers, body: await response.text(), milliseconds };
  } catch (error) {
    throw new Unanswered(codeOf(error));
  }
}

/** The code of the innermost error. */
function codeOf(error: unknown): string {
  if (error instanceof DOMException && error.name === "TimeoutError") return "TIMEOUT";
  const { cause, code, errors } = fieldsOf(error);
  if (Array.isArray(errors) && errors.length > 0) return codeOf(errors[0]);
  if (typeof code === "string" && cause === undefined) return code;
  return cause === undefined ? "UNKNOWN" : codeOf(cause);
}

function fieldsOf(error: unknown): { cause?: unknown; code?: unknown; errors?: unknown } {
  return typeof error === "object" && error !== null ? error : {};
}

/** The JSON object in the body, or an empty one. */
export function json(answer: Answer): Record<string, unknown> {
  return object(parsed(answer.body));
}

/** The code of an error of wix-edge; `undefined` if somebody else answered. */
export function errorCode(answer: Answer): string | undefined {
  const { code, request_id } = json(answer);
  return typeof request_id === "string" ? text(code) : undefined;
}

/** Where a response redirects to. */
export function target(answer: Answer, base: string): URL | undefined {
  const location = answer.headers.get("location");
  return location !== null && URL.canParse(location, base) ? new URL(location, base) : undefined;
}

/** Who answered in place of wix-edge, with the words for a sentence and the remedy. The query of an address is not shown. */
export function stranger(answer: Answer, base: string): { who: string; fix: string } {
  const to = target(answer, base);
  const isHtml = (answer.headers.get("content-type") ?? "").includes("html");
  if (to !== undefined && (to.hostname.endsWith(".cloudflareaccess.com") || to.pathname.startsWith("/cdn-cgi/access/"))) {
    return {
      who: `the login page of Cloudflare Access (status ${answer.status})`,
      fix: "In Cloudflare's dashboard, Zero Trust, Access, Applications, add a Bypass policy for this address, or remove the application.",
    };
  }
  if (answer.headers.get("cf-mitigated") === "challenge") {
    return {
      who: `a challenge page of Cloudflare (status ${answer.status})`,
      fix: "In Cloudflare's dashboard, Security, turn Bot Fight Mode and Under Attack mode off for this host, or add a WAF rule that skips them.",
    };
  }
  const number = /error code:? (1\d{3})/i.exec(answer.body)?.[1];
  if (number !== undefined) {
    return {
      who: `Cloudflare's error ${number} (status ${answer.status})`,
      fix: `Look up error ${number} in Cloudflare's documentation, and the Worker's log in its dashboard.`,
    };
  }
  if (to !== undefined && answer.status < 400) {
    return {
      who: `a redirect to ${to.origin}${to.pathname} (status ${answer.status})`,
      fix: "Remove the redirect rule, or use the address to which it leads.",
    };
  }
  if (answer.status === 403 || answer.status === 429) {
    return {
      who: `a firewall or a proxy (status ${answer.status})`,
      fix: "Look at Security, Events in Cloudflare's dashboard for the rule that blocked the request, and let this address pass.",
    };
  }
  return {
    who: `${isHtml ? "a web page" : "a response"} that is not wix-edge's (status ${answer.status})`,
    fix: "Check the address, and that the route or custom domain leads to the Worker wix-edge.",
  };
}
