// The tables of findings in docs/doctor.md, between two comments.

const BEGIN = "<!-- The tests write the tables: UPDATE_TABLES=1 cargo xtask test --only it -- doctor -->";
const END = "<!-- End of the tables. -->";

const TITLES = {
  reach: "The address", version: "The version", ready: "The Worker's configuration", note: "Notes of the Worker",
  headers: "Headers", console: "The console", flow: "Install flows", clock: "Clocks", webhook: "Webhooks", api: "The app API",
  key: "The API key", store: "The store", token: "Tokens", cron: "The Cron Trigger and the comparison with Wix", events: "Events",
  local: "wrangler's configuration", vars: "Vars", keys: "The file with the keys", simulator: "Development",
};

const cell = (text) => text.replaceAll("|", "\\|").replaceAll("<", "&lt;").replaceAll("\n", " ");

/** The document with the rows of the table. */
export function document(text, rows) {
  const [before, rest] = text.split(BEGIN);
  const after = rest?.split(END)[1];
  if (after === undefined) throw new Error("docs/doctor.md must have the two comments");
  const area = ({ id }) => id.split(".")[0];
  const sections = Object.entries(TITLES).map(([name, title]) => {
    const lines = rows
      .filter((row) => area(row) === name)
      .map((row) => `| \`${row.id}\` | ${row.severity} | ${cell(row.case)} | ${cell(row.where)}: ${cell(row.what)}. | ${cell(row.fix)} |`);
    return `### ${title}\n\n| Id | Severity | Misconfiguration | Doctor says | Fix |\n|---|---|---|---|---|\n${lines.join("\n")}\n`;
  });
  const unknown = rows.filter((row) => !(area(row) in TITLES));
  if (unknown.length > 0) throw new Error(`no title for ${unknown[0].id}`);
  return `${before}${BEGIN}\n\n${sections.join("\n")}\n${END}${after}`;
}
