// A webhook handler by hand, with the work of wix-edge.

import { bytes, respond } from "./common.js";
import { LIMIT, accept, verifiedEvent } from "./event.js";

export default {
  fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (pathname !== "/webhook" || request.method !== "POST") return new Response("not found", { status: 404 });
    return respond(request, "/webhook", async (work) =>
      accept(env, work, await verifiedEvent(env, await bytes(request, LIMIT))),
    );
  },
};
