// A handler of service plugin calls with jose, which forwards them to the app's back end.
import { importSPKI, jwtVerify } from "jose";

let key;

export default {
  async fetch(request, env) {
    key ??= await importSPKI(`-----BEGIN PUBLIC KEY-----\n${env.PUBLIC_KEY}\n-----END PUBLIC KEY-----`, "RS256");
    let data;
    try {
      const claims = { issuer: "wix.com", audience: env.WIX_APP_ID, requiredClaims: ["iat", "exp"] };
      ({ data } = (await jwtVerify(await request.text(), key, claims)).payload);
    } catch {
      return new Response(null, { status: 401 });
    }
    const answer = await fetch(env.WIX_API_URL + new URL(request.url).pathname, {
      method: "POST",
      headers: { "content-type": "application/json", "x-instance-id": data.metadata.instanceId },
      body: JSON.stringify(data.request),
      redirect: "manual",
    });
    return new Response(answer.body, { status: answer.status, headers: { "content-type": "application/json" } });
  },
};
