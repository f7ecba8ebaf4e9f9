// A webhook handler with hono for the routing and WebCrypto by hand, with the work of wix-edge.

import { Hono } from "hono";
import { bytes, respond } from "./common.js";
import { LIMIT, accept, verifiedEvent } from "./event.js";

const app = new Hono();

app.post("/webhook", (c) =>
  respond(c.req.raw, c.req.routePath, async (work) =>
    accept(c.env, work, await verifiedEvent(c.env, await bytes(c.req.raw, LIMIT))),
  ),
);

export default app;
