// The files of a project that are the same for everybody.

/** The public repository, which the deploy button copies. It is not known before the first release: CONTRIBUTING.md. */
const REPOSITORY = "https://github.com/OWNER/wix-edge";

/** `.gitignore` */
export const IGNORED = `node_modules
.wrangler
.dev.vars
.env
# The keys that \`wix-edge setup\` makes.
wix-edge*.keys.json
`;

/** `README.md` of `wix-edge init` */
export const PROJECT_README = `# wix-edge

The server-side half of a Wix app, as a Cloudflare Worker of the npm package \`wix-edge\`.

| Command | Does |
|---|---|
| \`npm install\` | installs the Worker and its commands |
| \`npx wix-edge dev\` | runs the Worker with a simulated Wix on this machine |
| \`npx wix-edge setup\` | asks for your app's values, makes the keys, deploys, and says what to enter at Wix |
| \`npx wix-edge doctor\` | checks the deployed Worker |
| \`npx wix-edge@latest upgrade\` | shows what a newer version changes, and prepares the change |
| \`npm run deploy\` | deploys again after a change of \`wrangler.jsonc\` |

\`setup\` writes the keys that it makes to \`wix-edge.keys.json\`. The file is not in git. **Keep a copy of it**, for
example in a password manager: without \`SEALING_KEYS\` the stored refresh tokens are lost.

Commit everything else, \`package-lock.json\` included. \`.github/workflows/deploy.yml\` deploys each push to \`main\` once the
repository has the secret \`CLOUDFLARE_API_TOKEN\`: a token made from Cloudflare's template "Edit Cloudflare Workers".

A second environment, with a KV namespace, objects, secrets and keys of its own: \`npx wix-edge setup --env staging\`.
`;

/** The workflow that deploys a push. */
export const WORKFLOW = `name: Deploy

on:
  push:
    branches: [main]
  workflow_dispatch:

permissions:
  contents: read

# One deployment at a time, in the order of the pushes.
concurrency: deploy

jobs:
  deploy:
    runs-on: ubuntu-latest
    timeout-minutes: 15
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-node@v4
        with:
          node-version: 24
      - run: npm ci
      - run: npx wrangler deploy --env=""
        env:
          CLOUDFLARE_API_TOKEN: \${{ secrets.CLOUDFLARE_API_TOKEN }}
`;

/** `README.md` of the template of the deploy button */
export const BUTTON_README = `# Deploy wix-edge with a button

[![Deploy to Cloudflare](https://deploy.workers.cloudflare.com/button)](https://deploy.workers.cloudflare.com/?url=${REPOSITORY}/tree/main/deploy)

The button leads to the public repository; in a fork, or while its address has \`OWNER\` in it, put your own there.
Cloudflare copies this folder into a repository of yours, asks for the values below, creates the KV namespace, and
deploys the Worker of the npm package \`wix-edge\`.

| Value | Where from |
|---|---|
| \`WIX_APP_ID\`, \`WIX_APP_SECRET\` | your app at <https://dev.wix.com/apps>: Develop, OAuth |
| \`WIX_PUBLIC_KEYS\` | your app: Develop, Webhooks, Get Public Key |
| \`SEALING_KEYS\` | \`npx wix-edge keygen sealing-key\`. Keep a copy: without it the refresh tokens are lost |
| \`API_KEYS\` | \`npx wix-edge keygen api-key\`. The key itself is for your back end |

Then open \`/readyz\` at the Worker's address. While a value is missing or still the example, it answers 503 and names the
value. Enter at Wix what \`npx wix-edge setup\` would print: the webhook URL is \`https://<your worker>/webhook\`.

To set up the rest from the copied repository (\`npx wix-edge setup\`) after a deployment with the examples, delete the
example first: \`npx wrangler secret delete SEALING_KEYS\`, and \`API_KEYS\` likewise. Never do so with a real key.

For events, put the secret that \`npx wix-edge keygen events-secret\` makes as \`EVENTS_SECRETS\`, and set \`EVENTS_URL\`.
`;

/** `.dev.vars.example` of the template. No value has the form that the Worker takes. */
export const SECRETS_EXAMPLE = `# Cloudflare asks for each of these when the template is deployed. The examples are refused: /readyz names them.
WIX_APP_SECRET="paste the App Secret Key of your app"
SEALING_KEYS="paste the entry of: npx wix-edge keygen sealing-key"
API_KEYS="paste the entry of: npx wix-edge keygen api-key"
`;
