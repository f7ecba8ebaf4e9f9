// Compiled and not run: callers rely on these types, which must match those of @wix/sdk.

import { createClient } from "@wix/sdk";
import { type Code, type Instance, WixEdge, WixEdgeError } from "wix-edge-client";

declare const env: { WIX_EDGE: { fetch: typeof fetch } };

export async function all(): Promise<void> {
  const edge = new WixEdge({ key: "key", fetch: env.WIX_EDGE });
  const { access_token, expires_at } = await edge.token("id", { force: true });
  access_token satisfies string;
  expires_at satisfies number;
  for await (const instance of edge.listInstances({ status: "installed" })) {
    instance satisfies Instance;
    instance.plan satisfies string | undefined;
    // @ts-expect-error: an unknown value is absent, never null.
    instance.plan satisfies string | null;
  }
  // @ts-expect-error: there is no such status.
  edge.listInstances({ status: "gone" });
  await edge.biEvent("id", { event_name: "APP_UPGRADED" });
  // @ts-expect-error: CUSTOM needs a name.
  await edge.biEvent("id", { event_name: "CUSTOM" });
  // @ts-expect-error: CHARGE needs a sum.
  await edge.biEvent("id", { event_name: "CHARGE" });
  const code = new WixEdgeError(new Response(), undefined).code;
  code satisfies Code | undefined;
  "needs_reconnect" satisfies Code;

  const client = createClient({ ...edge.sdk("id"), modules: {} });
  (await client.auth.getAuthHeaders()).headers satisfies Record<string, string>;
  createClient({ auth: edge.sdk("id").auth });
}
