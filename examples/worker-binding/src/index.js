// A back end for a Wix app's dashboard page. It calls wix-edge through the service binding `WIX_EDGE`, and receives events.

import { EventError, verifyEvent, WixEdge, WixEdgeError } from "wix-edge-client";

export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (pathname === "/events" && request.method === "POST") return receive(request, env);
    if (pathname !== "/api/site") return failure(404, "No such page.");
    // The browser sends the value that Wix signed; wix-edge verifies it.
    const instance = request.headers.get("x-wix-instance");
    if (!instance) return failure(401, "Open this page from Wix's dashboard.");
    // One for each request: in Workers, a request cannot wait for another request's work.
    const edge = new WixEdge({ key: env.WIX_EDGE_API_KEY, fetch: env.WIX_EDGE });
    try {
      const { instance_id, permissions } = await edge.identity({ instance });
      if (permissions !== "OWNER") return failure(403, "This page is for the site's owner.");
      const answer = await edge.wix(instance_id).fetch("/apps/v1/instance");
      // `fetch` returns an error of Wix's like any other answer. It throws only errors of wix-edge.
      if (!answer.ok) return failure(502, `Wix answered ${answer.status}.`);
      const body = await answer.json();
      return Response.json({ name: body.site.siteDisplayName, free: body.instance.isFree });
    } catch (error) {
      if (!(error instanceof WixEdgeError)) throw error;
      // The message and the request id hold no secret. The request id finds the line in the Worker's log.
      console.error(`${error.message}, request ${error.requestId}`);
      return refusal(error);
    }
  },
};

/** Stores each approved order. */
async function receive(request, env) {
  try {
    const event = await verifyEvent(request, env.EVENTS_SECRETS.split(","));
    // The same event may come again. It has the same id then, and replaces itself.
    if (event.type === "wix.ecom.v1.order_approved") await env.ORDERS.put(event.id, JSON.stringify(event.data));
    return new Response(null, { status: 204 });
  } catch (error) {
    if (!(error instanceof EventError)) throw error;
    console.error(`an event was refused: ${error.message}`);
    return failure(error.status, error.message);
  }
}

function refusal({ code, retryAfter }) {
  switch (code) {
    case "not_genuine":
      return failure(401, "Open this page again from Wix's dashboard.");
    case "needs_reconnect":
      return failure(409, "Install the app again to reconnect it.");
    case "unknown_instance":
    case "removed_instance":
      return failure(410, "The app is not installed on this site.");
    case "wix_failed":
    case "wix_timeout":
    case "store_failed":
      return failure(503, "Try again in a moment.", { "retry-after": String(retryAfter ?? 5) });
    default: // Such as `unauthorized` or `app_credentials_refused`: the operator must fix it.
      return failure(500, "The service is misconfigured.");
  }
}

function failure(status, error, headers = {}) {
  return Response.json({ error }, { status, headers });
}
