import type { Fetch } from "./client.js";
import { shielded } from "./error.js";
import { isLoopback, isOrigin, parsed } from "./host.js";
import type { Tokens } from "./tokens.js";

/** Options of `sdk`. */
export interface SdkOptions {
  /** Used instead of the global `fetch` for the calls to Wix. */
  fetch?: Fetch;
  /**
   * More hosts that may get the token, such as `proxy.example.com:8443` or `localhost:8790`. `wixapis.com`,
   * `wix.com` and their subdomains always may. Only https is allowed, and http to this machine (`localhost`,
   * `127.0.0.1`, `[::1]`).
   */
  hosts?: string[];
}

/** Options for `createClient` of `@wix/sdk`. */
export interface SdkParts {
  /** The authentication strategy. It also works without the `fetch` below. */
  auth: {
    getAuthHeaders(): Promise<{ headers: { Authorization: string } }>;
    getActiveToken(): string | undefined;
  };
  /**
   * Removes the token from calls to other hosts than Wix's: the SDK's `fetchWithAuth` sends it to any host, and a
   * strategy does not know the host. If Wix answers 401, it calls once more with a new token, or throws the Worker's
   * error if there is none.
   */
  fetch: typeof globalThis.fetch;
}

const HOSTS = ["wixapis.com", "wix.com"];

export function sdk(tokens: Tokens, id: string, { fetch, hosts = [] }: SdkOptions): SdkParts {
  const send: Fetch = (input, init) => (fetch ?? globalThis.fetch)(input, init);

  const origins = new Set(hosts.flatMap(originsOf));

  const isWix = ({ protocol, hostname, origin }: URL) =>
    origins.has(origin) ||
    (protocol === "https:" && HOSTS.some((known) => hostname === known || hostname.endsWith(`.${known}`)));

  const guarded: Fetch = async (input, init) => {
    const isRequest = input instanceof Request;
    const headers = new Headers(init?.headers ?? (isRequest ? input.headers : undefined));
    const changed = { ...init, headers };
    const token = headers.get("authorization");
    if (token === null) return send(input, init);
    if (!isWix(new URL(isRequest ? input.url : input))) {
      headers.delete("authorization");
      return send(input, changed);
    }

    // A stream can be sent only once.
    const isStream = init?.body instanceof ReadableStream || (isRequest && input.body !== null);
    const response = await send(input, changed);
    if (response.status !== 401 || !tokens.isOf(id, token)) return response;
    const replacement = await tokens.replacementFor(id, token).catch(async (error: unknown) => {
      // The Worker's error says more than Wix's 401: the app may have been removed since the token was made.
      await response.body?.cancel();
      throw shielded(error);
    });
    if (replacement === undefined || isStream) return response;
    await response.body?.cancel();
    headers.set("authorization", replacement);
    const again = await send(input, changed);
    if (again.status === 401) tokens.refreshDidNotHelp(id);
    return again;
  };

  return {
    auth: {
      getAuthHeaders: async () => {
        const token = await tokens.get(id).catch((error: unknown) => {
          throw shielded(error);
        });
        return { headers: { Authorization: token } };
      },
      getActiveToken: () => tokens.cached(id),
    },
    fetch: guarded as typeof globalThis.fetch,
  };
}

/** The origins of one of the caller's hosts that may get the token. */
function originsOf(host: string): string[] {
  const [https, http] = [parsed(`https://${host}`), parsed(`http://${host}`)];
  const isHost = typeof host === "string" && !/[\s/\\?#@*]/.test(host);
  if (!isHost || !https || !http || !isOrigin(https)) {
    throw new TypeError("hosts must be host names with an optional port, such as proxy.example.com:8443");
  }
  return isLoopback(http.hostname) ? [https.origin, http.origin] : [https.origin];
}
