// Compiled and not run: callers rely on these types, which must match those of @wix/sdk.

import { createClient } from "@wix/sdk";
import {
  type Code,
  type DeliveredEvent,
  EventError,
  type EventErrorCode,
  type Handoff,
  type Instance,
  type InstallationEvent,
  type ListedEvent,
  type TestEvent,
  verifyEvent,
  verifyPluginCall,
  WixEdge,
  WixEdgeError,
  type WixEvent,
} from "wix-edge-client";

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
  (await edge.events("id", { limit: 1 })).events[0]?.state satisfies "pending" | "delivered" | "parked" | undefined;
  (await edge.events("id")).events[0] satisfies ListedEvent | undefined;
  (await edge.sendTestEvent()).event_id satisfies string;
  (await edge.parkedEvents()).instances[0]?.oldest_at satisfies number | undefined;
  // @ts-expect-error: these lists have no filter.
  edge.parkedEvents({ status: "installed" });
  edge.connectUrl({ ref: "7" }) satisfies string;
  // @ts-expect-error: a ref is text.
  edge.connectUrl({ ref: 7 });
  const handoff = await edge.handoff("value", { idempotencyKey: "session" });
  handoff satisfies Handoff;
  handoff.flow satisfies "install" | "connect";
  [handoff.ref, handoff.site_id] satisfies (string | undefined)[];
  const code = new WixEdgeError(new Response(), undefined).code;
  code satisfies Code | undefined;
  "needs_reconnect" satisfies Code;

  const client = createClient({ ...edge.sdk("id"), modules: {} });
  (await client.auth.getAuthHeaders()).headers satisfies Record<string, string>;
  createClient({ auth: edge.sdk("id").auth });
}

export async function received(request: Request, secrets: string[]): Promise<void> {
  const event = await verifyEvent(request, secrets);
  event satisfies DeliveredEvent;
  [event.id, event.timestamp, event.type] satisfies string[];
  event.sequence satisfies number;
  event.anonymize satisfies boolean;
  // @ts-expect-error: the test event has no installation.
  event.instance_id;

  if (event.source === "wix") {
    event satisfies WixEvent;
    event.instance_id satisfies string | undefined;
    event.account?.site_id satisfies string | undefined;
    // @ts-expect-error: Wix's data has no known type.
    event.data.order;
    (event as WixEvent<{ order: { number: string } }>).data.order.number satisfies string;
  } else {
    event satisfies InstallationEvent | TestEvent;
  }

  // A name of Wix's belongs to no other source.
  if (event.type === "wix.ecom.v1.order_approved") event satisfies WixEvent;
  if (event.source === "wix-edge" && event.type === "wix-edge.test") event satisfies TestEvent;
  if (event.source === "wix-edge" && event.type === "installation.removed") {
    event.instance_id satisfies string;
    event.data satisfies Instance;
  }
  // @ts-expect-error: there is no such type.
  if (event.source === "wix-edge" && event.type === "installation.gone") return;

  await verifyEvent({ headers: { "webhook-id": "id", host: undefined, "set-cookie": [] }, body: new Uint8Array() }, "whsec_");
  await verifyEvent({ headers: new Headers(), body: "{}" }, "whsec_");
  // @ts-expect-error: a parsed body cannot be verified.
  await verifyEvent({ headers: {}, body: {} }, "whsec_");
  const call = await verifyPluginCall<{ lineItems: unknown[] }>({ headers: new Headers(), body: "{}" }, ["whsec_"]);
  call.request.lineItems satisfies unknown[];
  call.metadata.instanceId satisfies string | undefined;
  const { code, status } = new EventError("too_old", "");
  code satisfies EventErrorCode;
  status satisfies 400 | 401;
}
