import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { nearestName } from "./nearest.ts";
import { flattenOptions, isOption, type OptionTree } from "./option.ts";
import { OPTIONS } from "./options.ts";

export interface ConfigFile {
  /** Null if no file exists. */
  readonly path: string | null;
  /** Base directory of relative paths in the file. */
  readonly baseDir: string;
  /** By dotted key, not yet validated. */
  readonly settings: ReadonlyMap<string, unknown>;
}

interface ConfigFileSearch {
  /** The file given by `--config` or `PRISM_CONFIG`; it must exist. */
  readonly named: string | undefined;
  readonly workingDir: string;
  /** Directory of the system's configuration. */
  readonly configDir: string;
}

/**
 * Reads one configuration file: the given one, otherwise the first that exists of prism.config.json
 * in the working directory and in the system's directory. `$schema` is ignored.
 * @param problems receives errors of the file and its unknown names.
 */
export function readConfigFile({ named, workingDir, configDir }: ConfigFileSearch, problems: string[]): ConfigFile {
  const candidates = named === undefined ? [workingDir, configDir].map((dir) => join(dir, FILE_NAME)) : [named];
  for (const path of candidates) {
    const text = readText(path, named === undefined, problems);
    if (text === null) continue;
    const settings = text === undefined ? new Map<string, unknown>() : settingsOf(path, text, problems);
    const isSystemFile = named === undefined && path === join(configDir, FILE_NAME);
    return { path, baseDir: isSystemFile ? configDir : workingDir, settings };
  }
  return { path: null, baseDir: workingDir, settings: new Map() };
}

const FILE_NAME = "prism.config.json";

/** @returns null if there is no file, undefined if it cannot be read. */
function readText(path: string, mayBeAbsent: boolean, problems: string[]): string | null | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (mayBeAbsent && (code === "ENOENT" || code === "ENOTDIR")) return null;
    const nextStep = code === "EACCES" ? `; run the command as a user who may read it: ${sudoAs(path)}` : "";
    problems.push(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}${nextStep}`);
    return undefined;
  }
}

/** The settings of a JSON text by dotted key, not yet validated. @param problems receives its errors */
export function settingsOf(path: string, text: string, problems: string[]): Map<string, unknown> {
  const settings = new Map<string, unknown>();
  let whole: unknown;
  try {
    whole = JSON.parse(text);
  } catch (error) {
    problems.push(`${path} cannot be read: it is not JSON${positionOf(error, text)}`);
    return settings;
  }
  if (isObject(whole)) collect(whole, OPTIONS, "", settings, problems);
  else problems.push(`${path} must contain a JSON object`);
  return settings;
}

/** Where JSON.parse stopped. Its message may quote the text around it, such as a password. */
function positionOf(error: unknown, text: string): string {
  const [, at] = / at position (\d+)/.exec(String(error)) ?? [];
  if (at === undefined) return "";
  const lines = text.slice(0, Number(at)).split("\n");
  return ` at line ${lines.length}, column ${(lines.at(-1)?.length ?? 0) + 1}`;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * `sudo -u prism prism …` with another user who owns one of these paths, the first that can be
 * stat'ed.
 */
export function sudoAs(...paths: readonly string[]): string {
  const owner = paths.map(ownerOf).find((name) => name !== undefined);
  return owner === undefined ? "sudo -u <owner> prism …" : `sudo -u ${owner} prism …`;
}

function ownerOf(path: string): string | undefined {
  try {
    const { uid } = statSync(path);
    if (uid === process.getuid?.()) return undefined;
    const line = readFileSync("/etc/passwd", "utf8")
      .split("\n")
      .find((entry) => entry.split(":")[2] === String(uid));
    return line?.split(":")[0] ?? `'#${uid}'`;
  } catch {
    return undefined;
  }
}

function collect(
  node: unknown,
  tree: OptionTree,
  prefix: string,
  found: Map<string, unknown>,
  problems: string[],
): void {
  if (!isObject(node)) {
    problems.push(`${prefix} must be an object`);
    return;
  }
  for (const [name, value] of Object.entries(node)) {
    const key = prefix === "" ? name : `${prefix}.${name}`;
    const known = Object.hasOwn(tree, name) ? tree[name] : undefined;
    if (name === "$schema" && prefix === "") continue;
    if (!known) {
      problems.push(`${key} is not a setting${hint(name, tree, prefix)}`);
    } else if (isOption(known)) found.set(key, value);
    else collect(value, known, key, found, problems);
  }
}

/**
 * Suggests the intended setting: the same name with another nesting, or a similar name in the same
 * section.
 */
function hint(name: string, tree: OptionTree, prefix: string): string {
  const keys = flattenOptions(OPTIONS).map(([key]) => key);
  if (name.includes(".") && keys.includes(name)) return `; write it nested: ${nested(name)}`;
  const misplaced = keys.includes(name) ? [name] : keys.filter((key) => key.endsWith(`.${name}`));
  if (misplaced.length === 1) return `; did you mean ${misplaced[0]}?`;
  const nearest = nearestName(name, Object.keys(tree));
  if (nearest === undefined) return "";
  return `; did you mean ${prefix === "" ? nearest : `${prefix}.${nearest}`}?`;
}

/** `log.level` as `{"log":{"level":…}}`. */
function nested(key: string): string {
  return key.split(".").reduceRight((inner, name) => `{"${name}":${inner}}`, "…");
}
