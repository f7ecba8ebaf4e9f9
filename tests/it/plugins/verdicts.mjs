// Says for each body whether Wix's SDK accepts it as a service plugin call. The input is JSON on the standard input:
// {"appId","publicKey","bodies"}, the output a list of truth values.

import { readFileSync } from "node:fs";

import { AppStrategy, createClient } from "@wix/sdk";

const { appId, publicKey, bodies } = JSON.parse(readFileSync(0, "utf8"));
const pem = `-----BEGIN PUBLIC KEY-----\n${publicKey}\n-----END PUBLIC KEY-----`;
const client = createClient({ auth: AppStrategy({ appId, appSecret: "not-used", publicKey: pem }), modules: {} });
const verdicts = [];
for (const body of bodies) {
  verdicts.push(await client.servicePlugins.parseJWT(body).then(() => true, () => false));
}
console.log(JSON.stringify(verdicts));
