import { EventError, type RawRequest, verified } from "./events.js";

/** What Wix says about a call, in Wix's form. Some fields are of some plugins only. */
export interface PluginMetadata {
  /** The extension that is called, such as `ECOM_SHIPPING_RATES`. */
  appExtensionType: string;
  /** The installation. */
  instanceId?: string;
  /** Wix's id of the call. */
  requestId?: string;
  /** Who caused the call. */
  identity?: unknown;
  currency?: string;
  languages?: string[];
}

/** A call of a service plugin. `T` is the type of Wix's request, which the package does not check. */
export interface PluginCall<T = unknown> {
  request: T;
  metadata: PluginMetadata;
}

/**
 * Verifies a service plugin call that the Worker forwarded, and returns it. `secrets` is one of the Worker's
 * `EVENTS_SECRETS` or a list of them, of which one must have signed the call.
 *
 * Throws an {@link EventError} if the request is not a call of the Worker.
 */
export async function verifyPluginCall<T = unknown>(
  request: Pick<Request, "headers" | "arrayBuffer"> | RawRequest,
  secrets: string | readonly string[],
): Promise<PluginCall<T>> {
  const { id, body, header } = await verified(request, secrets);
  const metadata = header("wix-edge-metadata");
  // The signature covers the id and the body, and the id has the hash of the metadata.
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(metadata));
  if (id !== `plugin_${toBase64url(new Uint8Array(hash))}`) {
    throw new EventError("bad_signature", "the header wix-edge-metadata must be the one that was signed");
  }
  try {
    const bytes = Uint8Array.from(atob(metadata.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
    return { request: JSON.parse(body), metadata: JSON.parse(new TextDecoder().decode(bytes)) };
  } catch {
    throw new EventError("malformed", "the body must be JSON, as Wix sends it");
  }
}

function toBase64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
