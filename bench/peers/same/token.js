// The token endpoint by hand, with the work of wix-edge: a hashed API key, and tokens kept in memory.

import { Refused, bytes, json, object, respond } from "./common.js";
import { authorize, freshToken } from "./tokens.js";

const PATH = /^\/v1\/instances\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\/token$/i;
const text = new TextDecoder();

export default {
  fetch(request, env) {
    const { pathname } = new URL(request.url);
    const id = PATH.exec(pathname)?.[1].toLowerCase();
    if (id === undefined || request.method !== "POST") return new Response("not found", { status: 404 });
    return respond(
      request,
      "/v1/instances/{id}/token",
      async (work) => {
        await authorize(request, env, work);
        work.notes.instance_id = id;
        const body = request.body === null ? "" : text.decode(await bytes(request, 64 * 1024));
        const { force = false } = body === "" ? {} : object(body, "the body must be JSON");
        if (typeof force !== "boolean") throw new Refused(400, "bad_request", "force must be a boolean");
        const { accessToken, expiresAt } = await freshToken(env, work, id, force);
        return json(work.id, 200, JSON.stringify({ access_token: accessToken, token_type: "Bearer", expires_at: expiresAt }));
      },
      "application/problem+json",
    );
  },
};
