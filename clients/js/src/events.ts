import { Webhook, WebhookVerificationError } from "standardwebhooks";

import type { Instance } from "./types.js";

/** Every event has these fields. */
interface EventBase {
  /** The header `webhook-id`. It is the same whenever the event is sent: ignore an event whose id you have stored. */
  id: string;
  /** When it happened (RFC 3339). */
  timestamp: string;
  /** Counts the events of one installation from 1. */
  sequence: number;
  /** Whether a request to erase personal data caused the event. Always false for the Worker's own events. */
  anonymize: boolean;
}

/** An event that Wix sent. `T` is the type of Wix's data, which the package does not check. */
export interface WixEvent<T = unknown> extends EventBase {
  source: "wix";
  /** Wix's name, such as `wix.ecom.v1.order_approved`. */
  type: string;
  /** Absent if the event belongs to no installation. */
  instance_id?: string;
  data: T;
  /** Who caused the event, in Wix's form. */
  identity?: unknown;
  account?: { account_id?: string; parent_account_id?: string; site_id?: string };
}

/** A change of an installation that the Worker found. `data` is the installation after the change. */
export interface InstallationEvent extends EventBase {
  source: "wix-edge";
  type:
    | "installation.installed"
    | "installation.removed"
    | "installation.plan_changed"
    | "installation.needs_reconnect"
    | "installation.reconnected";
  instance_id: string;
  data: Instance;
}

/** The event that the operator sends to test the delivery. */
export interface TestEvent extends EventBase {
  source: "wix-edge";
  type: "wix-edge.test";
  data: unknown;
}

/** An event from the Worker. A newer Worker may send `wix-edge` events of other types: ignore them. */
export type DeliveredEvent = WixEvent | InstallationEvent | TestEvent;

/** A request whose body was read, such as Express's after `express.raw({ type: "*\/*" })`. */
export interface RawRequest {
  headers: Iterable<[string, string]> | Record<string, string | string[] | undefined>;
  /** The body as it arrived, not parsed. */
  body: string | Uint8Array;
}

/** Why a request is not an event, or a service plugin call, of the Worker. */
export type EventErrorCode = "bad_signature" | "too_old" | "too_new" | "malformed";

/** A request is not an event, or a service plugin call, of the Worker. The message has no content of the request. */
export class EventError extends Error {
  override readonly name = "EventError";
  readonly code: EventErrorCode;
  /** The status to answer with. Express does so if nothing catches the error. */
  readonly status: 400 | 401;

  constructor(code: EventErrorCode, message: string) {
    super(message);
    this.code = code;
    this.status = code === "malformed" ? 400 : 401;
  }
}

/** By the messages of `standardwebhooks`, whose errors have nothing else to tell them apart. */
const REFUSALS: Record<string, [EventErrorCode, string]> = {
  "Message timestamp too old": ["too_old", "the event must be at most five minutes old: check this machine's clock"],
  "Message timestamp too new": ["too_new", "the event must not be from the future: check this machine's clock"],
  "Invalid Signature Headers": ["malformed", "the header webhook-timestamp must be a number"],
};

/**
 * Verifies an event by the Standard Webhooks specification, and returns it. `secrets` is one of the Worker's
 * `EVENTS_SECRETS` or a list of them, of which one must have signed the event.
 *
 * Throws an {@link EventError} if the request is not an event of the Worker.
 */
export async function verifyEvent(
  request: Pick<Request, "headers" | "arrayBuffer"> | RawRequest,
  secrets: string | readonly string[],
): Promise<DeliveredEvent> {
  const { id, body } = await verified(request, secrets);
  const event = parsedEvent(body);
  if (event === undefined) throw new EventError("malformed", "the body must be an event of wix-edge");
  return { ...event, id };
}

/** A signed request: its id, its body, and a header that must be set. */
export interface Verified {
  id: string;
  body: string;
  header(name: string): string;
}

/** Verifies the signature of a request of the Worker. */
export async function verified(
  request: Pick<Request, "headers" | "arrayBuffer"> | RawRequest,
  secrets: string | readonly string[],
): Promise<Verified> {
  const webhooks = webhooksOf(secrets);
  const header = headerOf(request.headers);
  const signature = Object.fromEntries(HEADERS.map((name) => [name, header(name)])) as Record<(typeof HEADERS)[number], string>;
  const body = textOf("arrayBuffer" in request ? await request.arrayBuffer() : request.body);
  verify(webhooks, signature, body);
  return { id: signature["webhook-id"], body, header };
}

function webhooksOf(secrets: string | readonly string[]): Webhook[] {
  const webhooks = [secrets].flat().map((secret: unknown) => {
    try {
      if (typeof secret === "string" && secret.trim().startsWith("whsec_")) return new Webhook(secret.trim());
    } catch {
      // The library's error does not say which value is wrong.
    }
    throw new TypeError("each secret must be one of the Worker's EVENTS_SECRETS: whsec_ and base64");
  });
  if (webhooks.length === 0) throw new TypeError("secrets must not be empty");
  return webhooks;
}

const HEADERS = ["webhook-id", "webhook-timestamp", "webhook-signature"] as const;

function headerOf(headers: RawRequest["headers"]): (name: string) => string {
  const pairs: Iterable<[string, unknown]> = Symbol.iterator in headers ? headers : Object.entries(headers);
  const byName = new Map([...pairs].map(([name, value]) => [name.toLowerCase(), value]));
  return (name) => {
    const value = byName.get(name);
    if (typeof value === "string" && value !== "") return value;
    throw new EventError("malformed", `the header ${name} must be set`);
  };
}

function textOf(body: unknown): string {
  if (typeof body === "string") return body;
  if (!(body instanceof ArrayBuffer) && !ArrayBuffer.isView(body)) {
    throw new EventError("malformed", "the body must be a string or a Uint8Array, not parsed: use express.raw");
  }
  try {
    // Keeps a byte order mark, since the signature is of all bytes.
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body);
  } catch {
    throw new EventError("malformed", "the body must be UTF-8");
  }
}

function verify(webhooks: Webhook[], headers: Record<string, string>, body: string): void {
  let refusal: WebhookVerificationError | undefined;
  for (const webhook of webhooks) {
    try {
      // The library's error for a body that is not JSON would quote it.
      webhook.verify(body, headers, { jsonParse: false });
      return;
    } catch (error) {
      if (!(error instanceof WebhookVerificationError)) throw error;
      refusal = error;
    }
  }
  const [code, message] = REFUSALS[refusal?.message ?? ""] ?? ["bad_signature", "one of the secrets must have signed the event"];
  throw new EventError(code, message);
}

/** Parses a body that the Worker signed; undefined if it is not an event that this version of the package knows. */
function parsedEvent(body: string): DeliveredEvent | undefined {
  let event: Partial<DeliveredEvent> | null;
  try {
    event = JSON.parse(body);
  } catch {
    return undefined;
  }
  const isKnown = event?.source === "wix" || event?.source === "wix-edge";
  const isWhole = typeof event?.type === "string" && typeof event.timestamp === "string" && typeof event.sequence === "number";
  return isKnown && isWhole ? (event as DeliveredEvent) : undefined;
}
