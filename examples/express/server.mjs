// A back end for a Wix app's dashboard page, and a list of installations for the app's operator. It receives events too.

import { createHash, timingSafeEqual } from "node:crypto";
import express from "express";
import { verifyEvent, WixEdge, WixEdgeError } from "wix-edge-client";

const { WIX_EDGE_URL, WIX_EDGE_API_KEY, ADMIN_TOKEN, EVENTS_SECRETS, PORT = "3000" } = process.env;
if (!ADMIN_TOKEN) throw new Error("ADMIN_TOKEN must be set");
const edge = new WixEdge({ url: WIX_EDGE_URL, key: WIX_EDGE_API_KEY });

const NOT_INSTALLED = "The app is not installed on this site.";
const ANSWERS = {
  bad_request: [400, "The request is malformed."],
  not_genuine: [401, "Open this page again from Wix's dashboard."],
  needs_reconnect: [409, "Install the app again to reconnect it."],
  unknown_instance: [410, NOT_INSTALLED],
  removed_instance: [410, NOT_INSTALLED],
  wix_failed: [503, "Try again in a moment."],
  wix_timeout: [503, "Try again in a moment."],
  store_failed: [503, "Try again in a moment."],
};

/** Lets only the site's owner pass. The browser sends the value that Wix signed; wix-edge verifies it. */
async function owner(request, response, next) {
  const instance = request.get("x-wix-instance");
  if (!instance) return response.status(401).json({ error: "Open this page from Wix's dashboard." });
  const identity = await edge.identity({ instance });
  if (identity.permissions !== "OWNER") return response.status(403).json({ error: "This page is for the site's owner." });
  response.locals.instanceId = identity.instance_id;
  next();
}

/** Lets only the operator pass. Hashes have equal lengths, which `timingSafeEqual` requires. */
function operator(request, response, next) {
  const hash = (text) => createHash("sha256").update(text).digest();
  const given = hash(request.get("authorization") ?? "");
  if (!timingSafeEqual(given, hash(`Bearer ${ADMIN_TOKEN}`))) return response.status(401).json({ error: "Send ADMIN_TOKEN." });
  next();
}

const app = express();

app.get("/api/site", owner, async (request, response) => {
  const answer = await edge.wix(response.locals.instanceId).fetch("/apps/v1/instance");
  // `fetch` returns an error of Wix's like any other answer. It throws only errors of wix-edge.
  if (!answer.ok) return response.status(502).json({ error: `Wix answered ${answer.status}.` });
  const { site, instance } = await answer.json();
  response.json({ name: site.siteDisplayName, free: instance.isFree });
});

app.get("/admin/installations", operator, async (request, response) => {
  response.json(await edge.listPage({ status: "installed", limit: 100, cursor: request.query.cursor }));
});

// A real back end has a table of orders, with the event's id as its primary key.
const orders = new Map();

// The signature is of the body's bytes, so no other parser, such as express.json(), may read the body first.
app.post("/events", express.raw({ type: "*/*", limit: "2mb" }), async (request, response) => {
  if (!EVENTS_SECRETS) return response.status(404).json({ error: "This back end receives no events." });
  // Throws if the request is not an event of wix-edge. Express then answers with the error's status.
  const event = await verifyEvent(request, EVENTS_SECRETS.split(","));
  if (event.type === "wix.ecom.v1.order_approved") orders.set(event.id, event.data);
  response.sendStatus(204);
});

app.get("/admin/orders", operator, (request, response) => {
  response.json([...orders.values()].map(({ entityId }) => entityId));
});

app.use((error, request, response, next) => {
  if (!(error instanceof WixEdgeError) || response.headersSent) return next(error);
  // The message and the request id hold no secret. The request id finds the line in the Worker's log.
  console.error(`${error.message}, request ${error.requestId}`);
  // Any other code, such as `unauthorized` or `app_credentials_refused`, is for this program's operator to fix.
  const [status, text] = ANSWERS[error.code] ?? [500, "The service is misconfigured."];
  if (status === 503) response.set("retry-after", String(error.retryAfter ?? 5));
  response.status(status).json({ error: text });
});

const server = app.listen(Number(PORT), () => console.log(`listening on http://localhost:${server.address().port}`));
