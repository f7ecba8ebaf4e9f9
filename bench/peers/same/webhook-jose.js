// A webhook handler with jose, with the work of wix-edge.

import { errors, importSPKI, jwtVerify } from "jose";
import { Refused, bytes, respond } from "./common.js";
import { LIMIT, accept, envelopeOf } from "./event.js";

const OPTIONS = { algorithms: ["RS256"], clockTolerance: 60, requiredClaims: ["iat"] };
let key;

async function claims(env, body) {
  key ??= await importSPKI(`-----BEGIN PUBLIC KEY-----\n${env.PUBLIC_KEY}\n-----END PUBLIC KEY-----`, "RS256");
  try {
    return (await jwtVerify(body, key, OPTIONS)).payload;
  } catch (error) {
    if (error instanceof errors.JWSInvalid || error instanceof errors.JWTInvalid) {
      throw new Refused(400, "malformed", "the body must be a JWT");
    }
    throw new Refused(401, "bad_signature", "the key did not make the signature, or not now");
  }
}

export default {
  fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (pathname !== "/webhook" || request.method !== "POST") return new Response("not found", { status: 404 });
    return respond(request, "/webhook", async (work) => {
      const { data } = await claims(env, await bytes(request, LIMIT));
      if (typeof data !== "string") throw new Refused(400, "malformed", "the claims need a text `data`");
      return accept(env, work, envelopeOf(data));
    });
  },
};
