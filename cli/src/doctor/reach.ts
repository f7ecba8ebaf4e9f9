// Whether the address answers, by https with a valid certificate, and whether it is wix-edge.

import { connect } from "node:tls";

import { isLoopback } from "../shapes.js";
import type { Deployment } from "./deployment.js";
import type { Finding, Result } from "./finding.js";
import { fault, fine, warning } from "./finding.js";
import type { Answer } from "./request.js";
import { Unanswered, json, send, stranger } from "./request.js";

/** A certificate that expires sooner is reported. */
const DAYS = 14;

/** What the first request found. */
export interface Reached {
  results: Result[];
  /** The answer of `/healthz`, if wix-edge gave it. */
  health?: Answer;
  /** Whether nobody answered at all. */
  isUnreachable: boolean;
}

/** Requests `/healthz`. */
export async function reach(deployment: Deployment): Promise<Reached> {
  const { url, patience } = deployment;
  const { protocol, hostname } = new URL(url);
  if (protocol === "http:" && !isLoopback(new URL(url))) {
    const what = "the address is plain http, so keys and codes could be read on the network";
    const results = [fault("reach.http", url, what, "Use https here, in PUBLIC_URL and in Wix's dashboard.")];
    return { results, isUnreachable: false };
  }
  let health;
  try {
    health = await send(`${url}/healthz`, { patience });
  } catch (error) {
    if (!(error instanceof Unanswered)) throw error;
    const finding = unanswered(deployment, hostname, error.code);
    return { results: [finding], isUnreachable: finding.id !== "reach.certificate" };
  }
  const { status, version } = json(health);
  if (health.status !== 200 || status !== "ok" || typeof version !== "string") {
    return { results: [foreign(url, health)], isUnreachable: false };
  }
  const certificate = protocol === "https:" ? await certificateOf(deployment) : [];
  return { results: [fine(`${url} answers`), ...certificate], health, isUnreachable: false };
}

function unanswered({ url, patience }: Deployment, host: string, code: string): Finding {
  const certificate = CERTIFICATE.find(([codes]) => codes.includes(code))?.[1];
  if (certificate !== undefined) {
    const fix = "In Cloudflare's dashboard, SSL/TLS, Edge Certificates, wait for or renew the certificate of this host; a proxy of your own needs one too.";
    return fault("reach.certificate", url, certificate, fix);
  }
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") {
    const fix = "Check its spelling. A custom domain gets its DNS record from `custom_domain = true` and a deployment.";
    return fault("reach.dns", url, `the host name ${host} cannot be resolved`, fix);
  }
  if (code === "TIMEOUT" || code === "UND_ERR_CONNECT_TIMEOUT" || code === "ETIMEDOUT") {
    const fix = "Check this computer's network, and whether Cloudflare reports an incident.";
    return fault("reach.timeout", url, `nobody answered within ${patience / 1000} s`, fix);
  }
  const fix = "Check host and port, and that the Worker is deployed (`npx wrangler deploy`) or `npx wix-edge dev` runs.";
  return fault("reach.refused", url, `the connection failed (${code})`, fix);
}

const CERTIFICATE: [string[], string][] = [
  [["CERT_HAS_EXPIRED"], "the certificate has expired"],
  [["CERT_NOT_YET_VALID"], "the certificate is not valid yet, or this computer's clock is wrong"],
  [["ERR_TLS_CERT_ALTNAME_INVALID"], "the certificate is another host's"],
  [
    ["DEPTH_ZERO_SELF_SIGNED_CERT", "SELF_SIGNED_CERT_IN_CHAIN", "UNABLE_TO_VERIFY_LEAF_SIGNATURE", "UNABLE_TO_GET_ISSUER_CERT_LOCALLY"],
    "the certificate is not from an authority that browsers trust",
  ],
];

function foreign(url: string, answer: Answer): Finding {
  const { who, fix } = stranger(answer, url);
  return fault("reach.not-wix-edge", `${url}/healthz`, `it is answered by ${who}`, fix);
}

/** How long the certificate is still valid. */
function certificateOf({ url, now }: Deployment): Promise<Result[]> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port || 443), servername: hostname, timeout: 10_000 });
    const end = (results: Result[]) => {
      socket.destroy();
      resolve(results);
    };
    socket.on("secureConnect", () => {
      const until = Date.parse(socket.getPeerCertificate().valid_to);
      const days = Math.floor((until - now()) / 86_400_000);
      if (!(days < DAYS)) return end([fine(`the certificate is valid for ${days} more days`)]);
      const fix = "In Cloudflare's dashboard, SSL/TLS, Edge Certificates, look why it was not renewed.";
      end([warning("reach.certificate-expires", url, `the certificate expires in ${days} days`, fix)]);
    });
    socket.on("error", () => end([]));
    socket.on("timeout", () => end([]));
  });
}
