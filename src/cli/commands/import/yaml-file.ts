import { LineCounter, parseDocument } from "yaml";
import { type ErrorDetail, PrismError } from "../../../core/errors.ts";

export type YamlObject = Readonly<Record<string, unknown>>;

/** Something in the file that has no counterpart, or another one. */
export interface ImportNote {
  /** Such as `receivers.2.slack_configs`. */
  readonly path: string;
  readonly message: string;
}

/** Collects what is found while a file is read. */
export class Findings {
  readonly problems: ErrorDetail[] = [];
  readonly left: ImportNote[] = [];
  readonly changed: ImportNote[] = [];

  /** The file is not valid. */
  problem(path: string, message: string): void {
    this.problems.push({ path, message });
  }

  /** This part has no counterpart. */
  leave(path: string, message: string): void {
    this.left.push({ path, message });
  }

  /** The counterpart of this part differs. */
  change(path: string, message: string): void {
    this.changed.push({ path, message });
  }
}

/** @throws VALIDATION_FAILED with the lines of the problems */
export function parseYaml(text: string): unknown {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, prettyErrors: false });
  if (document.errors.length > 0) {
    const details = document.errors.map(({ message, pos: [at] }) => {
      const { line, col } = lineCounter.linePos(at);
      return { path: `line ${line}, column ${col}`, message };
    });
    throw new PrismError("VALIDATION_FAILED", "The file is not YAML", { details });
  }
  try {
    return document.toJS() as unknown;
  } catch (error) {
    // An alias without an anchor, or too many of them.
    const message = error instanceof Error ? error.message : String(error);
    throw new PrismError("VALIDATION_FAILED", "The file is not YAML", { details: [{ path: "", message }] });
  }
}

/** The members of an object; names outside of `known` are left out with a note. */
export function membersOf(value: unknown, path: string, known: readonly string[], findings: Findings): YamlObject {
  if (value === undefined || value === null) return {};
  if (typeof value !== "object" || Array.isArray(value)) {
    findings.problem(path, "must be an object");
    return {};
  }
  for (const name of Object.keys(value))
    if (!known.includes(name)) findings.leave(joined(path, name), "is not known to this import");
  return value as YamlObject;
}

/** The items of a list; none if absent. */
export function itemsOf(value: unknown, path: string, findings: Findings): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value;
  findings.problem(path, "must be a list");
  return [];
}

export function textsOf(value: unknown, path: string, findings: Findings): readonly string[] {
  return itemsOf(value, path, findings).map((item, at) => textOf(item, `${path}.${at}`, findings) ?? "");
}

/** Scalars of YAML that Alertmanager reads as strings, such as numbers, included. */
export function textOf(value: unknown, path: string, findings: Findings): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return String(value);
  findings.problem(path, "must be a string");
  return undefined;
}

export function joined(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}
