import { WixEdgeError, isProblem, problem } from "./error.js";
import { isLoopback, isOrigin, parsed } from "./host.js";
import { type SdkOptions, type SdkParts, sdk } from "./sdk.js";
import { Tokens } from "./tokens.js";
import type {
  BiEvent,
  BiEventSent,
  EventPage,
  FinishedConfiguration,
  Handoff,
  Identity,
  IdentityRequest,
  Instance,
  InstancePage,
  ParkedPage,
  Reconciliation,
  Statistics,
  Status,
  TestEventSent,
  Token,
} from "./types.js";

/** Like the global `fetch`. */
export type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>;

/** The Worker's address, and the key. */
export interface Options {
  /** The Worker's origin, such as `https://wix-edge.example.workers.dev`. Not needed with a service binding. */
  url?: string | URL;
  /** One of the Worker's API keys. Blanks and line breaks around it are removed. */
  key: string;
  /** Used instead of the global `fetch`: a function, or a service binding such as `env.WIX_EDGE`. */
  fetch?: Fetch | { fetch: Fetch };
}

/** Filter and page size of a listing. */
export interface ListOptions {
  /** How the instance ids begin. */
  search?: string;
  status?: Status;
  /** 1 to 1000; the default is 100. */
  limit?: number;
}

/** The same, with the start of the page. */
export interface PageOptions extends ListOptions {
  /** `next_cursor` of the previous page. */
  cursor?: string;
}

/** What the start of an install flow may have. */
export interface ConnectOptions {
  /**
   * Comes back with the hand-over and in the installation's record: 1 to 512 code points, none of them a control character.
   * Use a random value that you keep in the session of your customer. It is not a secret: Wix and the browser see it.
   */
  ref?: string;
  /** The GUID at the end of the app's share link; by default the Worker's `WIX_SHARE_URL_ID`. */
  shareUrlId?: string;
}

/** Who takes over an installation. */
export interface HandoffOptions {
  /** 1 to 128 printable ASCII characters without spaces. */
  idempotencyKey?: string;
}

/** The Worker's own deadline for Wix is 15 s. */
const TIMEOUT_MILLIS = 30_000;
const GUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
/** A `ref` that the Worker accepts. Half a surrogate pair is no code point. */
const REF = /^[^\p{Cc}\p{Cs}]{1,512}$/u;
/** A `webhook-id` of the Worker. */
const EVENT_ID = /^[A-Za-z0-9_-]{1,256}$/;

/**
 * A client of a wix-edge Worker. Every method throws a {@link WixEdgeError} if the Worker answers with an error.
 *
 * Create one for the whole program. In a Cloudflare Worker, create one for each request, because a request cannot wait
 * for another request's work there.
 */
export class WixEdge {
  readonly #origin: string;
  readonly #isPublic: boolean;
  readonly #key: string;
  readonly #fetch: Fetch;
  readonly #tokens = new Tokens((id, force) => this.token(id, { force }));

  constructor({ url, key, fetch }: Options) {
    if (url === undefined && !fetch) throw new TypeError("url must be set, or fetch must be a service binding");
    this.#origin = originOf(url ?? "https://wix-edge");
    this.#isPublic = url !== undefined;
    this.#key = checked(key);
    // The global `fetch` and a binding's must not be called with another `this`.
    this.#fetch =
      typeof fetch === "object"
        ? (input, init) => fetch.fetch(input, init)
        : (input, init) => (fetch ?? globalThis.fetch)(input, init);
  }

  /** An access token from the Worker; `force` requests a new one from Wix. Only {@link sdk} caches tokens. */
  token(id: string, { force = false }: { force?: boolean } = {}): Promise<Token> {
    return this.#call("POST", `${instance(id)}/token`, { force });
  }

  /** Returns one installation. */
  getInstance(id: string): Promise<Instance> {
    return this.#call("GET", instance(id));
  }

  /** Iterates over all installations. Each page is requested when it is needed. */
  async *listInstances(options: ListOptions = {}): AsyncGenerator<Instance, void, undefined> {
    let page: InstancePage | undefined;
    do {
      const cursor = page?.next_cursor;
      page = await this.listPage(cursor === undefined ? options : { ...options, cursor });
      yield* page.instances;
    } while (page.next_cursor !== undefined);
  }

  /** Returns one page. With a status, a page may be empty and not be the last: check `next_cursor`. A cursor belongs to its search and status. */
  listPage(options: PageOptions = {}): Promise<InstancePage> {
    return this.#call("GET", `/v1/instances${query(options)}`);
  }

  /** Returns one page of an installation's events, the newest first, without their contents. */
  events(id: string, options: Pick<PageOptions, "cursor" | "limit"> = {}): Promise<EventPage> {
    return this.#call("GET", `${instance(id)}/events${query(options)}`);
  }

  /** Lets the Worker send an event once more, which it does while it has the content. */
  async redeliver(id: string, eventId: string): Promise<void> {
    if (!EVENT_ID.test(eventId)) throw new TypeError("the event id must be the webhook-id of an event");
    await this.#call("POST", `${instance(id)}/events/${eventId}/redeliver`);
  }

  /** Returns one page of the installations that have parked events. */
  parkedEvents(options: Pick<PageOptions, "cursor" | "limit"> = {}): Promise<ParkedPage> {
    return this.#call("GET", `/v1/parked-events${query(options)}`);
  }

  /** Lets the Worker send the parked events of one installation, or of all, once more. */
  async redeliverParked({ instanceId }: { instanceId?: string } = {}): Promise<void> {
    await this.#call("POST", "/v1/parked-events/redeliver", instanceId === undefined ? undefined : { instance_id: instanceId });
  }

  /** Lets the Worker deliver an event of the type `wix-edge.test`. `event_id` is its `webhook-id`. */
  sendTestEvent(): Promise<TestEventSent> {
    return this.#call("POST", "/v1/events/test");
  }

  /** The address to which a customer's browser goes to connect a shop. It needs the option `url`. */
  connectUrl({ ref, shareUrlId }: ConnectOptions = {}): string {
    if (!this.#isPublic) throw new TypeError("url must be set: a browser cannot use a service binding");
    if (ref !== undefined && !REF.test(ref)) throw new TypeError("ref must be 1 to 512 code points, none of them a control character");
    if (shareUrlId !== undefined && !GUID.test(shareUrlId)) throw new TypeError("shareUrlId must be a GUID");
    return `${this.#origin}/connect${query({ ref, shareUrlId })}`;
  }

  /**
   * Takes over the installation that a customer's browser brings to `AFTER_INSTALL_URL`, once: pass the parameter `handoff`
   * on. Compare the answer's `ref` with the session of the browser before you give the installation to anybody.
   *
   * A call with the same `idempotencyKey`, such as a random value of the session, gets the same answer again.
   */
  handoff(value: string, { idempotencyKey }: HandoffOptions = {}): Promise<Handoff> {
    return this.#call("POST", "/v1/handoffs", { handoff: value }, idempotencyKey);
  }

  /** Returns what the comparison of all installations with Wix has found. */
  reconciliation(): Promise<Reconciliation> {
    return this.#call("GET", "/v1/reconciliation");
  }

  /** Returns installs, removals and deliveries of the latest days, by UTC: 1 to 90, by default 30. */
  statistics(options: { days?: number } = {}): Promise<Statistics> {
    return this.#call("GET", `/v1/statistics${query(options)}`);
  }

  /** Identifies the sender of a signed instance or an access token. */
  identity(value: IdentityRequest): Promise<Identity> {
    return this.#call("POST", "/v1/identity", value);
  }

  /** Sends a BI event. */
  biEvent(id: string, event: BiEvent): Promise<BiEventSent> {
    return this.#call("POST", `${instance(id)}/bi-events`, event);
  }

  /** Tells Wix that the app is set up, once. */
  finishConfiguration(id: string): Promise<FinishedConfiguration> {
    return this.#call("POST", `${instance(id)}/finish-configuration`);
  }

  /**
   * Calls Wix's API for one installation through the Worker:
   * `wix(id).fetch("/stores/v1/products/query", { method: "POST", … })`. Returns Wix's answer with any status.
   * Throws a {@link WixEdgeError} if the Worker itself answers with an error.
   */
  wix(id: string): { fetch(path: string, init?: RequestInit): Promise<Response> } {
    const below = `${instance(id)}/wix/`;
    return {
      fetch: async (path, init) => {
        const url = new URL(`${this.#origin}${below}${path.replace(/^\//, "")}`);
        // Dot segments would change the route or the installation.
        if (!url.pathname.startsWith(below)) throw new TypeError("path must not contain dot segments");
        const headers = new Headers(init?.headers);
        headers.set("authorization", `Bearer ${this.#key}`);
        const response = await this.#fetch(url.href, { ...init, headers });
        const details = isProblem(response) ? await problem(response.clone()) : undefined;
        if (details) throw new WixEdgeError(response, details);
        return response;
      },
    };
  }

  /**
   * Options for `createClient` of `@wix/sdk` for one installation: `createClient({ ...edge.sdk(id), modules })`.
   * Tokens come from the Worker and are cached until half a minute before they expire.
   */
  sdk(id: string, options: SdkOptions = {}): SdkParts {
    instance(id);
    return sdk(this.#tokens, id.toLowerCase(), options);
  }

  async #call<T>(method: string, path: string, body?: unknown, idempotencyKey?: string): Promise<T> {
    const headers = new Headers({ authorization: `Bearer ${this.#key}` });
    if (idempotencyKey !== undefined) headers.set("idempotency-key", idempotencyKey);
    const init: RequestInit = { method, headers, redirect: "manual", signal: AbortSignal.timeout(TIMEOUT_MILLIS) };
    if (body !== undefined) {
      headers.set("content-type", "application/json");
      init.body = JSON.stringify(body);
    }
    const response = await this.#fetch(this.#origin + path, init);
    if (!response.ok) throw await WixEdgeError.of(response);
    const value = parsedJson(await response.text());
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw new WixEdgeError(response, undefined);
    return value as T;
  }
}

/** The Worker's origin. A path is an error, because the routes begin at the root. */
function originOf(url: string | URL): string {
  const parts = parsed(String(url));
  const isSafe = parts?.protocol === "https:" || (parts?.protocol === "http:" && isLoopback(parts.hostname));
  if (!parts || !isSafe || !isOrigin(parts)) {
    const origin = "the Worker's origin, such as https://wix-edge.example.workers.dev, without a path";
    throw new TypeError(`url must be ${origin}; http is allowed only for localhost, 127.0.0.1 and [::1]`);
  }
  return parts.origin;
}

/** Removes the whitespace that a file or a form adds. The error must not contain the key. */
function checked(key: string): string {
  const bare = typeof key === "string" ? key.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, "") : "";
  if (bare === "") throw new TypeError("key must be one of the Worker's API keys; it must not be missing or empty");
  if (!/^[\x21-\x7e]+$/.test(bare)) throw new TypeError("key must be printable ASCII without blanks and without Bearer");
  return bare;
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A query. */
function query(options: object): string {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  const query = new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
  return query.size > 0 ? `?${query}` : "";
}

/** The path of an installation. Another text than an id could lead to another route. */
function instance(id: string): string {
  if (!GUID.test(id)) throw new TypeError("the instance id must be a GUID");
  return `/v1/instances/${id}`;
}
