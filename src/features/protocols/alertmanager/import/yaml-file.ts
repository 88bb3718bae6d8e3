import { isNode, LineCounter, parseDocument } from "yaml";
import { type ErrorDetail, PrismError } from "../../../../core/errors.ts";

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

/** Says where in a file a path is, for people: `line 14, receiver ops: `. */
export function placesIn(text: string): (path: string) => string {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, prettyErrors: false });
  return (path) => {
    const steps = path.split(".").map((step) => (/^\d+$/.test(step) ? Number(step) : step));
    const [first, at] = steps;
    for (; steps.length > 0; steps.pop()) {
      // Also the end of a path may be missing in the file.
      const node = document.getIn(steps, true);
      if (!isNode(node) || !node.range) continue;
      const { line } = lineCounter.linePos(node.range[0]);
      const name = first === "receivers" && at !== undefined ? document.getIn([first, at, "name"]) : undefined;
      return `line ${line}${typeof name === "string" ? `, receiver ${name}` : ""}: `;
    }
    return "";
  };
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

/** Context of reading the parts of a configuration. */
export interface Reading {
  readonly findings: Findings;
  /** The settings of all receivers. */
  readonly globals: YamlObject;
  /** The text of a file that a member `*_file` names. @throws Error with the reason */
  readonly readFile: (path: string) => string;
}

/** One configuration of a receiver, or a part of it. Its texts may be secrets: no message has them. */
export class YamlEntry implements Reading {
  readonly value: YamlObject;
  readonly path: string;
  /** Name of the service for people. */
  readonly shown: string;
  readonly findings: Findings;
  readonly globals: YamlObject;
  readonly readFile: Reading["readFile"];

  constructor(value: YamlObject, path: string, shown: string, { findings, globals, readFile }: Reading) {
    this.value = value;
    this.path = path;
    this.shown = shown;
    this.findings = findings;
    this.globals = globals;
    this.readFile = readFile;
  }

  /** An object inside, or the global settings. */
  part(value: YamlObject, path: string): YamlEntry {
    return new YamlEntry(value, path, this.shown, this);
  }

  has(name: string): boolean {
    return this.value[name] !== undefined && this.value[name] !== null && this.value[name] !== "";
  }

  /** A text that is the same for every alert; a template is left with a reason. */
  text(name: string): string | undefined {
    const text = textOf(this.value[name], joined(this.path, name), this.findings);
    if (text === undefined || text === "") return undefined;
    if (text === MASKED) this.findings.leave(joined(this.path, name), "is masked: import the file that has the secret");
    else if (isTemplate(text))
      this.findings.leave(joined(this.path, name), "is a template: write one receiver for each of its values");
    else return text;
    return undefined;
  }

  /** The member, its file, or the global setting or its file. */
  secret(name: string, global?: string): string | undefined {
    if (this.has(name)) return this.text(name);
    if (this.has(`${name}_file`)) return this.#file(`${name}_file`);
    return global === undefined ? undefined : this.part(this.globals, "global").secret(global);
  }

  texts(name: string): readonly string[] {
    return textsOf(this.value[name], joined(this.path, name), this.findings);
  }

  /** The texts of a list of files. */
  files(name: string): readonly string[] {
    return this.texts(name).flatMap((file, at) => this.#read(file, `${joined(this.path, name)}.${at}`) ?? []);
  }

  #file(name: string): string | undefined {
    const file = this.text(name);
    return file === undefined ? undefined : this.#read(file, joined(this.path, name));
  }

  #read(file: string, path: string): string | undefined {
    try {
      return this.readFile(file).trim();
    } catch (error) {
      const reason = error instanceof Error && "code" in error ? String(error.code) : "it is not there";
      this.findings.leave(path, `${file} cannot be read (${reason}): import where it is, as a user who may read it`);
      return undefined;
    }
  }
}

/** Alertmanager shows secrets like this. */
const MASKED = "<secret>";

export function isTemplate(text: string): boolean {
  return text.includes("{{");
}
