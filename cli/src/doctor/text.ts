// The report as text.

import { styleText } from "node:util";

import { counted } from "./deployment.js";
import type { Finding, Severity } from "./finding.js";
import type { Report } from "./examine.js";

const ORDER: Severity[] = ["fault", "warning", "note"];
const COLOURS = { fault: "red", warning: "yellow", note: "cyan" } as const;

/** One line for each finding, the fine checks, and a line with the counts. */
export function text(report: Report, hasColour: boolean): string {
  const paint = (style: Parameters<typeof styleText>[0], words: string) => (hasColour ? styleText(style, words) : words);
  const lines = ORDER.flatMap((severity) =>
    report.findings
      .filter((finding) => finding.severity === severity)
      .map((finding) => `${paint(COLOURS[severity], severity.padEnd(7))}  ${sentence(finding)} ${paint("dim", `[${finding.id}]`)}`),
  );
  const counts = ORDER.map((severity) => counted(report.findings.filter((finding) => finding.severity === severity).length, severity));
  const checked = report.fine.map((what) => `${paint("green", "ok".padEnd(7))}  ${what}`);
  const unreachable = report.status === "unreachable" ? "; nobody answered, so little was checked" : "";
  return [report.url, "", ...lines, ...checked, "", `${counts.join(", ")}${unreachable}`].join("\n");
}

/** A finding as one sentence, and its remedy. */
export function sentence({ where, what, fix }: Finding): string {
  return `${where}: ${what}. ${fix}`;
}
