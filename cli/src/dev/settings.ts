// The configuration of the Worker and the simulator for one run of `wix-edge dev`.

import { randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";

import { API_KEY, type ApiKey, apiKey, eventsSecret, SCOPES, sealingKey } from "../keys.js";

/** Ports, origins, and secrets made for this run. */
export interface Settings {
  workerPort: number;
  simPort: number;
  workerUrl: string;
  simulatorUrl: string;
  appId: string;
  appSecret: string;
  apiKey: ApiKey;
  sealingKey: string;
  eventsSecret: string;
  /** The app's back end, which the simulator plays. */
  eventsUrl: string;
  pluginsUrl: string;
  /** Where the browser goes after an installation, or empty. */
  afterInstallUrl: string;
}

/** Makes the secrets of a run. */
export function generate(workerPort: number, simPort: number, afterInstallUrl: string): Settings {
  const simulatorUrl = `http://127.0.0.1:${simPort}`;
  return {
    workerPort,
    simPort,
    // Another site than the simulator's to a browser, as an app and Wix are.
    workerUrl: `http://localhost:${workerPort}`,
    simulatorUrl,
    appId: randomUUID(),
    appSecret: randomUUID(),
    apiKey: apiKey("dev", SCOPES.join("+")),
    sealingKey: sealingKey(),
    eventsSecret: eventsSecret(),
    eventsUrl: `${simulatorUrl}/_app/events`,
    pluginsUrl: `${simulatorUrl}/_app/plugins`,
    afterInstallUrl,
  };
}

/** The Worker's configuration. No value contains a quote, a `$` or a line break, which have a meaning in such a file. */
export function envFile(settings: Settings, publicKey: string): string {
  const values = {
    ENVIRONMENT: "development",
    FINISH_CONFIGURATION: "on-install",
    WIX_API_URL: settings.simulatorUrl,
    WIX_SITE_URL: settings.simulatorUrl,
    WIX_APP_ID: settings.appId,
    WIX_APP_SECRET: settings.appSecret,
    WIX_PUBLIC_KEYS: publicKey,
    SEALING_KEYS: settings.sealingKey,
    API_KEYS: settings.apiKey.entry,
    AFTER_INSTALL_URL: settings.afterInstallUrl,
    EVENTS_URL: settings.eventsUrl,
    PLUGINS_URL: settings.pluginsUrl,
    EVENTS_SECRETS: settings.eventsSecret,
  };
  return Object.entries(values).map(([name, value]) => `${name}="${value}"\n`).join("");
}

/** Writes the Worker's configuration to a new file that only its owner may read. */
export function writeEnvFile(path: string, settings: Settings, publicKey: string): void {
  writeFileSync(path, envFile(settings, publicKey), { mode: 0o600, flag: "wx" });
}

/** The arguments of the simulator. */
export function simulatorArguments(settings: Settings): string[] {
  const worker = settings.workerUrl;
  return [
    ["--port", String(settings.simPort)],
    ["--app-id", settings.appId],
    ["--app-url", `${worker}/install`],
    ["--redirect-url", `${worker}/redirect`],
    ["--webhook-url", `${worker}/webhook`],
    ["--plugins-url", `${worker}/plugins`],
    ["--app-records-url", `${worker}/v1/instances`],
    // Most calls of a developer have a path that is not simulated. A 404 would look like the developer's mistake.
    ["--echo-other-paths"],
  ].flat();
}

/** Secrets of the simulator, in its environment: every user of this machine can read the arguments of a process. */
export function simulatorSecrets(settings: Settings): Record<string, string> {
  return {
    WIX_SIM_APP_SECRET: settings.appSecret,
    WIX_SIM_APP_RECORDS_KEY: settings.apiKey.secret,
    WIX_SIM_EVENTS_SECRETS: settings.eventsSecret,
  };
}

/** The text that is printed when both are ready. */
export function welcome({ workerUrl, simulatorUrl, eventsUrl, apiKey: { secret } }: Settings, note: string): string {
  return `
────────────────────────────────────────────────────────────────────────────────
  Ready.

  1. Open the simulated Wix and press "Install app":

       ${simulatorUrl}

  2. The Worker's own page:

       ${workerUrl}

  3. List the installations that the Worker knows:

       curl ${workerUrl}/v1/instances \\
         -H 'Authorization: Bearer ${secret}'

  4. Ask it for an access token of one of them. <instance id> is the
     \`instance_id\` in that list, a GUID of 36 characters:

       curl -X POST '${workerUrl}/v1/instances/<instance id>/token' \\
         -H 'Authorization: Bearer ${secret}'

     The API key has every scope and is valid until Ctrl-C. Your own program
     reads it from the environment:

       export WIX_EDGE_URL=${workerUrl}
       export ${API_KEY}=${secret}
       export WIX_API_URL=${simulatorUrl}

  5. Beside the installation, choose an event and press "Send". The Worker
     delivers it to the app's back end, which the simulator plays at

       ${eventsUrl}

     The simulator's table "Webhooks" shows what became of it there. Choose
     how the back end answers to see the Worker deliver again.

  Calls to paths of Wix's API that are not simulated are answered 200 with a
  description of the call (the simulator's switch \`echo_other_paths\`).
${note}  Ctrl-C stops everything.
────────────────────────────────────────────────────────────────────────────────
`;
}
