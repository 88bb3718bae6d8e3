import { countText, printable } from "../../core/text/clean-text.ts";
import { markdown } from "../../features/channels/templates/markup.ts";

/** What an import did not take as it was. */
export interface ReportRow {
  /** Such as `schedule`, `route`, `person`. */
  readonly kind: string;
  readonly name: string;
  /** `changed`: it is taken in another form; `to do`: a person has to add something. */
  readonly outcome: "not taken" | "changed" | "to do";
  /** What it was, and what to do. */
  readonly text: string;
}

/** How a schedule compares with the rendering of the old system. */
export interface ScheduleProof {
  readonly name: string;
  /** The form that was written, such as `exact` or `follow`. */
  readonly form: string;
  readonly boundaries: number;
  readonly differences: readonly ScheduleDifference[];
}

export interface ScheduleDifference {
  /** RFC 3339. */
  readonly start: string;
  readonly end: string;
  readonly old: readonly string[];
  readonly prism: readonly string[];
  readonly cause: string;
}

/** What an import took, and what not. */
export interface MoveReport {
  /** The form of this report; readers of configuration leave such a file out. */
  readonly importReport: 1;
  readonly from: string;
  readonly counts: Readonly<Record<string, number>>;
  readonly files: readonly string[];
  readonly proofs: readonly ScheduleProof[];
  readonly rows: readonly ReportRow[];
}

const HEADINGS = [
  ["not taken", "Not taken"],
  ["to do", "To do"],
  ["changed", "Taken in another form"],
] as const;

/** Equal sentences of several objects. */
export interface ReportGroup extends Omit<ReportRow, "name"> {
  readonly names: readonly string[];
}

/** Rows with equal sentences as one, those that were not taken first. */
export function groupsOf(rows: readonly ReportRow[]): readonly ReportGroup[] {
  const groups = new Map<string, ReportGroup & { readonly names: string[] }>();
  for (const { name, ...row } of rows) {
    const key = JSON.stringify([row.outcome, row.kind, row.text]);
    const group = groups.get(key) ?? { ...row, names: [] };
    groups.set(key, group);
    if (!group.names.includes(name)) group.names.push(name);
  }
  const order = HEADINGS.map(([outcome]) => outcome);
  return [...groups.values()].sort((a, b) => order.indexOf(a.outcome) - order.indexOf(b.outcome));
}

/** `2 integrations: their text (A, B)`. @param most names that are written */
export function groupText({ kind, names, text }: ReportGroup, show: (text: string) => string, most = Infinity): string {
  const [name = ""] = names;
  if (names.length === 1) return `${kind} ${show(name)}: ${show(text)}`;
  const more = names.length > most ? [`${names.length - most} more`] : [];
  const named = [...names.slice(0, most).map(show), ...more].join(", ");
  return `${countText(names.length, kind, pluralOf(kind))}: ${show(text)} (${named})`;
}

function pluralOf(kind: string): string {
  if (kind === "person") return "people";
  return kind.endsWith("s") ? kind : kind.replace(/([^aeiou])y$/, "$1ie").concat("s");
}

/** The report as Markdown; texts of the old system are escaped. */
export function reportText({ from, counts, proofs, rows }: MoveReport): string {
  const lines = [`# Import from ${from}`, ""];
  for (const [what, count] of Object.entries(counts)) lines.push(`- ${what}: ${count}`);
  const groups = groupsOf(rows);
  for (const [outcome, heading] of HEADINGS) {
    const of = groups.filter((group) => group.outcome === outcome);
    if (of.length === 0) continue;
    lines.push("", `## ${heading}`, "");
    for (const group of of) lines.push(`- ${groupText(group, shown)}`);
  }
  if (proofs.length > 0) lines.push("", "## Schedules beside the old system", "");
  for (const proof of proofs) lines.push(...proofLines(proof));
  return `${lines.join("\n")}\n`;
}

function proofLines({ name, form, boundaries, differences }: ScheduleProof): string[] {
  const compared = `${countText(boundaries, "boundary", "boundaries")} compared`;
  const outcome = differences.length === 0 ? "the same people" : countText(differences.length, "difference");
  return [
    `- ${shown(name)}: ${outcome}, ${compared}; written in the form ${shown(form)}`,
    ...differences.map(
      ({ start, end, old, prism, cause }) =>
        `  - ${start} to ${end}: ${people(old)} in the old system, ${people(prism)} in Prism (${shown(cause)})`,
    ),
  ];
}

function people(names: readonly string[]): string {
  return names.length === 0 ? "nobody" : names.map(shown).join(", ");
}

function shown(text: string): string {
  return markdown(printable(text));
}
