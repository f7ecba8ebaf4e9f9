// A SaaS whose customers connect their Wix shops: a customer logs in, connects a shop, and sees its products.

import { randomUUID } from "node:crypto";
import express from "express";
import { WixEdge, WixEdgeError } from "wix-edge-client";

const { WIX_EDGE_URL, WIX_EDGE_API_KEY, CUSTOMERS = "", PORT = "3000" } = process.env;
const edge = new WixEdge({ url: WIX_EDGE_URL, key: WIX_EDGE_API_KEY });
// A real service has databases. Customers log in with `name:password` here, and have the ids of their shops.
const customers = new Map(CUSTOMERS.split(",").map((entry) => [entry, { name: entry.split(":")[0], shops: new Set() }]));
const sessions = new Map();

/** Finds the session of the browser. The cookie comes with Wix's redirect, but not with another site's form. */
function loggedIn(request, response, next) {
  const cookie = /(?:^|; )session=([0-9a-f-]{36})(?:;|$)/.exec(request.get("cookie") ?? "");
  response.locals.session = cookie && sessions.get(cookie[1]);
  if (!response.locals.session) return response.status(401).send(page('<form method="post" action="/login"><input name="login"><button>Log in</button></form>'));
  next();
}

const page = (content) => `<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer"><title>Shops</title><h1>Shops</h1>${content}`;
const escaped = (text) => String(text).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

const app = express();
app.use(express.urlencoded({ extended: false }));

app.post("/login", (request, response) => {
  const customer = customers.get(request.body?.login);
  if (!request.body?.login || !customer) return response.status(401).send(page("Unknown customer."));
  const id = randomUUID();
  sessions.set(id, { customer, key: randomUUID(), refs: new Set() });
  response.cookie("session", id, { httpOnly: true, sameSite: "lax", secure: request.secure }).redirect(303, "/");
});

// The ref is random and belongs to this session: a link that another customer sent has another one.
app.post("/connect", loggedIn, (request, response) => {
  const ref = randomUUID();
  response.locals.session.refs.add(ref);
  response.redirect(303, edge.connectUrl({ ref }));
});

// AFTER_INSTALL_URL. Only the browser of the customer who began the flow has a session with its ref.
app.get("/connected", loggedIn, async (request, response) => {
  const { handoff, error } = request.query;
  if (typeof handoff !== "string") return response.status(400).send(page(`The shop was not connected (${escaped(error)}). <a href="/">Try again</a>`));
  const { customer, key, refs } = response.locals.session;
  // With the session's key, a reload gets the same answer, for example after an answer that was lost.
  const { instance_id, ref } = await edge.handoff(handoff, { idempotencyKey: key });
  if (!refs.has(ref)) return response.status(403).send(page('This link belongs to another customer. <a href="/">Connect your own shop</a>'));
  customer.shops.add(instance_id);
  response.redirect(303, "/");
});

app.get("/", loggedIn, async (request, response) => {
  const { customer } = response.locals.session;
  const names = await Promise.all([...customer.shops].map(async (id) => {
    const answer = await edge.wix(id).fetch("/stores/v1/products/query", { method: "POST", body: "{}", headers: { "content-type": "application/json" } });
    return answer.ok ? (await answer.json()).products.map(({ name }) => name) : [`Wix answered ${answer.status}.`];
  }));
  const list = names.flat().map((name) => `<li>${escaped(name)}</li>`).join("");
  response.send(page(`<p>Hello ${escaped(customer.name)}</p><ul>${list}</ul><form method="post" action="/connect"><button>Connect a shop</button></form>`));
});

app.use((error, request, response, next) => {
  if (!(error instanceof WixEdgeError) || response.headersSent) return next(error);
  console.error(`${error.message}, request ${error.requestId}`);
  const isUsed = error.code === "not_genuine";
  response.status(isUsed ? 403 : 503).send(page(isUsed ? 'This link is used up. <a href="/">Connect the shop again</a>' : "Try again in a moment."));
});

const server = app.listen(Number(PORT), () => console.log(`listening on http://localhost:${server.address().port}`));
