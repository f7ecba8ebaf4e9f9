import type { Fetch } from "./client.js";
import { shielded } from "./error.js";
import { isLoopback, isOrigin, parsed } from "./host.js";
import type { Tokens } from "./tokens.js";

/** Changes to what `@wix/sdk` is given. */
export interface SdkOptions {
  /** In place of the global `fetch`, for the calls to Wix. */
  fetch?: Fetch;
  /**
   * Hosts that may have the token, beside `wixapis.com`, `wix.com` and what is below them: `proxy.example.com:8443`, or
   * `localhost:8790`. Over https alone, and over http to this machine (`localhost`, `127.0.0.1`, `[::1]`).
   */
  hosts?: string[];
}

/** Fits into `createClient` of `@wix/sdk`. */
export interface SdkParts {
  /** The authentication strategy. By itself it works too, without what `fetch` adds. */
  auth: {
    getAuthHeaders(): Promise<{ headers: { Authorization: string } }>;
    getActiveToken(): string | undefined;
  };
  /**
   * Keeps the token from hosts that are not Wix's, since the SDK's `fetchWithAuth` sends it to any and its strategies do
   * not see which; and where Wix no longer takes the token, calls once more with a new one, or fails with the Worker's
   * reason why there is none.
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
    const asked = { ...init, headers };
    const token = headers.get("authorization");
    if (token === null) return send(input, init);
    if (!isWix(new URL(isRequest ? input.url : input))) {
      headers.delete("authorization");
      return send(input, asked);
    }

    // A stream can be sent once.
    const once = init?.body instanceof ReadableStream || (isRequest && input.body !== null);
    const response = await send(input, asked);
    if (response.status !== 401 || !tokens.isOf(id, token)) return response;
    const other = await tokens.insteadOf(id, token).catch(async (error: unknown) => {
      // Why there is none says more than Wix's 401: the app may have been removed since the token was made.
      await response.body?.cancel();
      throw shielded(error);
    });
    if (other === undefined || once) return response;
    await response.body?.cancel();
    headers.set("authorization", other);
    const again = await send(input, asked);
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
      getActiveToken: () => tokens.kept(id),
    },
    fetch: guarded as typeof globalThis.fetch,
  };
}

/** The origins under which a host of the caller's may have the token. */
function originsOf(host: string): string[] {
  const [https, http] = [parsed(`https://${host}`), parsed(`http://${host}`)];
  const isHost = typeof host === "string" && !/[\s/\\?#@*]/.test(host);
  if (!isHost || !https || !http || !isOrigin(https)) {
    throw new TypeError("hosts must be hosts, such as proxy.example.com:8443 or localhost:8790, without scheme and path");
  }
  return isLoopback(http.hostname) ? [https.origin, http.origin] : [https.origin];
}
