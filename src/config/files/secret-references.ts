import { readFileSync, realpathSync, statSync } from "node:fs";
import { isAbsolute, join, sep } from "node:path";

/*
 * References of configuration files to secrets: `{env: PRISM_SECRET_ROOM}` and `{file: room.secret}`. `{sealed: v1:…}`
 * is left to the server, which alone has its key.
 */

const PREFIX = "PRISM_SECRET_";
const MAX_SECRET_BYTES = 65_536;

/** A reference, such as `env:PRISM_SECRET_ROOM`, in one of the objects. */
export interface SecretReference {
  readonly object: number;
  /** Of the member in the spec. */
  readonly path: string;
  readonly key: string;
}

/** Where values of references come from. */
export interface SecretSources {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Directories that may hold files of secrets. */
  readonly folders: readonly string[];
}

/** All references in the specs of objects. A label such as `{env: prod}` is none. */
export function secretReferences(objects: readonly { readonly spec: unknown }[]): SecretReference[] {
  return objects.flatMap(({ spec }, object) => inValue(spec, "").map((found) => ({ object, ...found })));
}

function inValue(value: unknown, path: string): Omit<SecretReference, "object">[] {
  if (typeof value !== "object" || value === null) return [];
  const members = Object.entries(value);
  const [[name, given] = ["", null]] = members;
  if (members.length === 1 && typeof given === "string" && !Array.isArray(value)) {
    if (name === "env" && given.startsWith(PREFIX)) return [{ path, key: `env:${given}` }];
    if (name === "file") return [{ path, key: `file:${given}` }];
  }
  return members.flatMap(([name, each]) => inValue(each, path === "" ? name : `${path}.${name}`));
}

/**
 * The value of a reference; undefined: it is not there.
 * @throws Error for a file outside of the directories, or one that cannot be read
 */
export function secretOf(key: string, { environment, folders }: SecretSources): string | undefined {
  const name = key.slice(key.indexOf(":") + 1);
  if (key.startsWith("env:")) return environment[name] || undefined;
  for (const folder of folders) {
    const path = isAbsolute(name) ? name : join(folder, name);
    const found = statSync(path, { throwIfNoEntry: false });
    if (!found) continue;
    const file = realpathSync(path);
    // Files of someone else must not have any file of the operator sent to a service of its choice.
    if (!folders.some((each) => file.startsWith(join(realpathSync(each), sep))))
      throw new Error(`${name} is outside of ${folders.join(" and ")}`);
    if (!found.isFile() || found.size > MAX_SECRET_BYTES) throw new Error(`${name} is not a file of at most 64 KiB`);
    return readFileSync(file, "utf8").trim();
  }
  return undefined;
}

/** A reference that has no value, or one that must not be read. */
export interface UnreadSecret extends SecretReference {
  /** Undefined: it is not there. */
  readonly refusal?: string;
}

/** The values of references by their keys, and the references without one. */
export function secretsOf(references: readonly SecretReference[], sources: SecretSources) {
  const secrets: Record<string, string> = {};
  const unread: UnreadSecret[] = [];
  for (const reference of references)
    try {
      const value = secretOf(reference.key, sources);
      if (value === undefined) unread.push(reference);
      else secrets[reference.key] = value;
    } catch (error) {
      unread.push({ ...reference, refusal: error instanceof Error ? error.message : String(error) });
    }
  return { secrets, unread };
}
