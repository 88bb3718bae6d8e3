import type { ErrorDetail } from "../../../core/errors.ts";
import type { ConfigKind, Spec } from "../../../module/config-kind.ts";

/** A secret in a file: `{ env: PRISM_SECRET_ROOM }`, `{ file: room.secret }`, `{ sealed: "v1:…" }`. */
export interface Reference {
  readonly env?: string;
  readonly file?: string;
  readonly sealed?: string;
}

const FORMS = ["env", "file", "sealed"] as const;

function referenceIn(value: unknown): Reference | null {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  const [[form, text] = [], ...others] = Object.entries(value);
  const isOne = others.length === 0 && typeof text === "string" && FORMS.includes(form as (typeof FORMS)[number]);
  return isOne ? (value as Reference) : null;
}

/** Commands read no other variables: a file must not find out what their environment has. */
function isReadable({ env }: Reference): boolean {
  return env === undefined || /^PRISM_SECRET_[A-Z0-9_]{1,100}$/.test(env);
}

/** The key of its value in a request: `env:PRISM_SECRET_ROOM`. */
export function keyOfReference(reference: Reference): string {
  const form = FORMS.find((each) => reference[each] !== undefined) ?? "env";
  return `${form}:${reference[form]}`;
}

/** `PRISM_SECRET_ROOM`, or the file that has the secret. */
export function nameOfReference({ env, file }: Reference): string {
  return env ?? (file === undefined ? "its sealed value" : `the file ${file}`);
}

/**
 * A spec without the references in place of secrets, and the references by their path.
 * @param problems receives secrets in plain text, which files must not have
 */
export function takeReferences(kind: ConfigKind, spec: Spec, problems: ErrorDetail[]) {
  const references = new Map<string, Reference>();
  const rest: Record<string, unknown> = { ...spec };
  for (const pattern of kind.secrets ?? []) {
    const [member = "", below] = pattern.split(".");
    const value = rest[member];
    if (value === undefined || value === null) continue;
    if (below === undefined) {
      const reference = referenceIn(value);
      delete rest[member];
      if (reference && isReadable(reference)) references.set(member, reference);
      else problems.push({ path: member, code: "SECRET_IN_FILE", message: SECRET_WAYS });
    } else if (typeof value === "object" && !Array.isArray(value)) {
      const members = Object.entries(value);
      for (const [name, each] of members) {
        const reference = referenceIn(each);
        if (!reference) continue;
        references.set(`${member}.${name}`, reference);
        if (!isReadable(reference))
          problems.push({ path: `${member}.${name}`, code: "SECRET_REFERENCE", message: SECRET_WAYS });
      }
      rest[member] = Object.fromEntries(members.filter(([name]) => !references.has(`${member}.${name}`)));
    }
  }
  return { rest, references };
}

/** Problems of secrets in plain text at the paths of {@link ConfigKind.secretPaths}; they never have the value. */
export function plainSecrets(paths: readonly string[], spec: Spec): ErrorDetail[] {
  return paths.flatMap((path) => {
    const [member = "", below = ""] = path.split(".");
    const value = (spec[member] as Spec | null | undefined)?.[below];
    if (value === undefined || value === null || referenceIn(value)) return [];
    return [{ path, code: "SECRET_IN_FILE", message: SECRET_WAYS }];
  });
}

const SECRET_WAYS =
  "is a secret: write { env: PRISM_SECRET_NAME }, { file: name.secret } or { sealed: … } in its place";

/** A spec with the value at a path such as `fields.url`. */
export function withSecret(spec: Spec, path: string, value: string): Spec {
  const [member = "", below] = path.split(".");
  if (below === undefined) return { ...spec, [member]: value };
  return { ...spec, [member]: { ...(spec[member] as object | undefined), [below]: value } };
}

/** The members that a file has, with its references. */
export function withReferences(file: Spec, references: ReadonlyMap<string, Reference>): Spec {
  let spec = file;
  for (const [path, reference] of references) spec = withSecret(spec, path, reference as unknown as string);
  return spec;
}

/** `PRISM_SECRET_DUTY_ROOM_URL`, for a secret that an export leaves out. */
function variableOf(...parts: readonly string[]): string {
  const words = parts
    .join("_")
    .toUpperCase()
    .replace(/[^A-Z0-9]+/g, "_");
  // Longer names than `isReadable` takes could not be read again.
  return `PRISM_SECRET_${words.replace(/^_+|_+$/g, "").slice(0, 90)}`;
}

/** Names of two objects may have the same letters: each secret has a variable of its own. */
export function freeVariable(taken: Set<string>, ...parts: readonly string[]): string {
  const name = variableOf(...parts);
  let free = name;
  for (let n = 2; taken.has(free); n++) free = `${name}_${n}`;
  taken.add(free);
  return free;
}
