import { WixEdgeError, isProblem, problem } from "./error.js";
import { isLoopback, isOrigin, parsed } from "./host.js";
import { type SdkOptions, type SdkParts, sdk } from "./sdk.js";
import { Tokens } from "./tokens.js";
import type {
  BiEvent,
  BiEventSent,
  FinishedConfiguration,
  Identity,
  IdentityRequest,
  Instance,
  InstancePage,
  Status,
  Token,
} from "./types.js";

/** Like the global `fetch`. */
export type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>;

/** Where the Worker is, and who asks. */
export interface Options {
  /** The Worker's origin, such as `https://wix-edge.example.workers.dev`. Left out with a service binding. */
  url?: string | URL;
  /** One of the Worker's API keys. Blanks and line breaks around it are taken off. */
  key: string;
  /** In place of the global `fetch`: a function, or a service binding such as `env.WIX_EDGE`. */
  fetch?: Fetch | { fetch: Fetch };
}

/** Which installations, and how many of them at a time. */
export interface ListOptions {
  status?: Status;
  /** 1 to 1000; 100 if left out. */
  limit?: number;
}

/** The same, from where the last page ended. */
export interface PageOptions extends ListOptions {
  cursor?: string;
}

/** The Worker itself gives up on Wix after 15 s. */
const TIMEOUT_MILLIS = 30_000;
const GUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * A wix-edge Worker. Every method fails with a {@link WixEdgeError} where the Worker says no.
 *
 * Make one for the whole program; in a Cloudflare Worker one a request, since requests cannot wait for each other there.
 */
export class WixEdge {
  readonly #origin: string;
  readonly #key: string;
  readonly #fetch: Fetch;
  readonly #tokens = new Tokens((id, force) => this.token(id, { force }));

  constructor({ url, key, fetch }: Options) {
    if (url === undefined && !fetch) throw new TypeError("url must be given, or a service binding as fetch");
    this.#origin = originOf(url ?? "https://wix-edge");
    this.#key = checked(key);
    // Neither the global function nor a binding's may be called as a method of something else.
    this.#fetch =
      typeof fetch === "object"
        ? (input, init) => fetch.fetch(input, init)
        : (input, init) => (fetch ?? globalThis.fetch)(input, init);
  }

  /** A token with life left, as the Worker has it; `force` makes a new one. Not kept here: {@link sdk} does that. */
  token(id: string, { force = false }: { force?: boolean } = {}): Promise<Token> {
    return this.#call("POST", `${instance(id)}/token`, { force });
  }

  /** One installation. */
  getInstance(id: string): Promise<Instance> {
    return this.#call("GET", instance(id));
  }

  /** All installations, asked for page by page as they are needed. */
  async *listInstances(options: ListOptions = {}): AsyncGenerator<Instance, void, undefined> {
    let page: InstancePage | undefined;
    do {
      const cursor = page?.next_cursor;
      page = await this.listPage(cursor === undefined ? options : { ...options, cursor });
      yield* page.instances;
    } while (page.next_cursor !== undefined);
  }

  /** One page of them. With a status it may hold few or none and not be the last: `next_cursor` says so. */
  listPage(options: PageOptions = {}): Promise<InstancePage> {
    const given = Object.entries(options).filter(([, value]) => value !== undefined);
    const query = new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
    return this.#call("GET", `/v1/instances${query.size > 0 ? `?${query}` : ""}`);
  }

  /** Whose a signed instance or an access token is that a front end sent. */
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
   * Wix's API for one installation, through the Worker: `wix(id).fetch("/stores/v1/products/query", { method: "POST", … })`.
   * The answer is Wix's, whatever its status; where the Worker itself says no, it is a {@link WixEdgeError}.
   */
  wix(id: string): { fetch(path: string, init?: RequestInit): Promise<Response> } {
    const below = `${instance(id)}/wix/`;
    return {
      fetch: async (path, init) => {
        const url = new URL(`${this.#origin}${below}${path.replace(/^\//, "")}`);
        // Dot segments would lead to another route, or another installation.
        if (!url.pathname.startsWith(below)) throw new TypeError("the path leads out of Wix's API");
        const headers = new Headers(init?.headers);
        headers.set("authorization", `Bearer ${this.#key}`);
        const response = await this.#fetch(url.href, { ...init, headers });
        const told = isProblem(response) ? await problem(response.clone()) : undefined;
        if (told) throw new WixEdgeError(response, told);
        return response;
      },
    };
  }

  /**
   * What `createClient` of `@wix/sdk` is given for one installation: `createClient({ ...edge.sdk(id), modules })`.
   * Tokens come from the Worker and are kept until half a minute before they end.
   */
  sdk(id: string, options: SdkOptions = {}): SdkParts {
    instance(id);
    return sdk(this.#tokens, id.toLowerCase(), options);
  }

  async #call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const headers = new Headers({ authorization: `Bearer ${this.#key}` });
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

/** The Worker's origin. With a path nothing would be where it is looked for. */
function originOf(url: string | URL): string {
  const parts = parsed(String(url));
  const mayHaveKey = parts?.protocol === "https:" || (parts?.protocol === "http:" && isLoopback(parts.hostname));
  if (!parts || !mayHaveKey || !isOrigin(parts)) {
    const what = "the Worker's origin, such as https://wix-edge.example.workers.dev, without a path";
    throw new TypeError(`url must be ${what}; over http only to this machine`);
  }
  return parts.origin;
}

/** A key without what a file or a form put around it. The error does not repeat it. */
function checked(key: string): string {
  const bare = typeof key === "string" ? key.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, "") : "";
  if (bare === "") throw new TypeError("key must be one of the Worker's API keys, and is missing or empty");
  if (!/^[\x21-\x7e]+$/.test(bare)) throw new TypeError("key must be printable ASCII without blanks, and without Bearer before it");
  return bare;
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The path of an installation. What is no id is not sent: it could lead to another route. */
function instance(id: string): string {
  if (!GUID.test(id)) throw new TypeError("an instance id is a GUID");
  return `/v1/instances/${id}`;
}
