import { randomBytes } from "node:crypto";
import { nearestName } from "../../../config/nearest.ts";
import { COMMAND_LINE, OPERATOR, runAs } from "../../../core/caller.ts";
import type { ErrorDetail } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import { BUILT_IN_ROLES } from "../../../core/permissions.ts";
import { fromFile } from "../../../http/api/file-form.ts";
import type { ConfigKind, Spec } from "../../../module/config-kind.ts";
import { fixOf } from "./fixes.ts";
import { type ConfigurationContext, isMap, kindIn, problemOf, schemaOf, storedKinds } from "./reading.ts";
import type { ConfigurationRequest, GivenObject, Problem } from "./schema.ts";
import { takeReferences, withSecret } from "./secrets.ts";
import { configure } from "./service.ts";

/*
 * Checks the objects of configuration files: they are applied to an empty database. What they name and do not
 * define is made beside them, and is a warning.
 */

export interface CheckedObjects {
  readonly problems: readonly Problem[];
  /** `NOT_IN_FILES`. */
  readonly warnings: readonly Problem[];
}

/** Each round finds a problem of an object more, or none. */
const MAX_ROUNDS = 50;
const SHORT_NAME = 5;
const DEFAULT_PROJECT = "default";
const DEFAULT_POLICY = "default";

/** The key of the secret of placeholders. */
const PLACEHOLDER = "placeholder";

/** The smallest objects of each kind that others may name. */
const PLACEHOLDERS: Readonly<Record<string, (name: string) => Spec>> = {
  projects: (slug) => ({ slug, name: slug }),
  people: (username) => ({ username, invite: true }),
  roles: (name) => ({ name, permissions: [] }),
  channels: (name) => ({
    name,
    preset: "ntfy",
    fields: { url: "https://ntfy.example.com", topic: { file: PLACEHOLDER } },
  }),
  oncall: (name) => ({ name }),
  policies: (name) => ({ name, steps: [] }),
  heartbeats: (name) => ({ name, timeout: "1d" }),
};

/** What an object names of another kind. */
interface Naming {
  readonly kind: string;
  readonly name: string;
  readonly project: string | undefined;
  readonly path: string;
}

/** Runtime entries, which are checked, and made only for tests. */
export interface CheckedRuntime {
  readonly entries: readonly GivenObject[];
  readonly isRuntime: boolean;
}

/** @param context of the core of a command on an empty database, which keeps what is valid */
export function checkObjects(
  context: ConfigurationContext,
  objects: readonly GivenObject[],
  { entries, isRuntime }: CheckedRuntime = { entries: [], isRuntime: false },
): Promise<CheckedObjects> {
  return runAs({ ...COMMAND_LINE, principal: OPERATOR }, async () => {
    const kinds = [...(await storedKinds(context)), ...(await context.runtimeKinds({}))];
    return new Check(context, kinds, [...objects, ...entries]).run(isRuntime);
  });
}

class Check {
  readonly #context: ConfigurationContext;
  readonly #kinds: readonly ConfigKind[];
  /** Those without a known problem; members that were dropped are absent. */
  #objects: readonly GivenObject[];
  readonly #placeholders = new Map<string, GivenObject>();
  readonly #secrets: Record<string, string> = { [`file:${PLACEHOLDER}`]: PLACEHOLDER };
  readonly #defined: ReadonlyMap<string, ReadonlySet<string>>;
  readonly #problems: Problem[] = [];
  readonly #warnings: Problem[] = [];

  constructor(context: ConfigurationContext, kinds: readonly ConfigKind[], objects: readonly GivenObject[]) {
    this.#context = context;
    this.#kinds = kinds;
    this.#objects = objects;
    this.#defined = definedIn(objects);
  }

  /** @param isRuntime whether entries are made, too */
  async run(isRuntime: boolean): Promise<CheckedObjects> {
    for (const given of this.#objects) for (const each of this.#namings(given)) this.#require(given, each);
    // A project that has its slug alone is in other files.
    for (const { project } of this.#objects)
      if (project !== undefined) this.#addPlaceholder("projects", undefined, project);
    this.#addMembers();
    this.#objects = await Promise.all(this.#objects.map((given) => this.#ready(given)));
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const { problems } = await this.#configure("plan", true);
      if (problems.length === 0) {
        await this.#configure("apply", isRuntime);
        break;
      }
      if (!this.#takeOut(problems)) break;
    }
    return { problems: this.#problems, warnings: this.#warnings };
  }

  #configure(mode: ConfigurationRequest["mode"], isRuntime: boolean) {
    const isEntry = (given: GivenObject) => this.#kindOf(given)?.end !== undefined;
    const objects = [...this.#placeholders.values(), ...this.#objects.filter((each) => !isEntry(each))];
    const runtime = isRuntime ? this.#objects.filter(isEntry) : [];
    const request = { mode, source: "check", objects, runtime, secrets: this.#secrets, issued: true };
    return configure(this.#context, OPERATOR, request, { maxChanges: Number.POSITIVE_INFINITY });
  }

  #kindOf({ kind, project }: Pick<GivenObject, "kind" | "project">): ConfigKind | undefined {
    return kindIn(this.#kinds, kind, project);
  }

  /** What an object names of others. What is not readable names nothing, the plan says so. */
  #namings(given: GivenObject): Naming[] {
    const kind = this.#kindOf(given);
    if (!kind) return [];
    const people = peopleIn(given).map(([name, path]) => ({ kind: "people", name, project: undefined, path }));
    if (isMap(kind)) return people;
    const found: Naming[] = people;
    const { rest } = takeReferences(kind, given.spec, []);
    const names = {
      idOf(kind: string, { name, project = given.project }: { name: string; project?: string }, path: string) {
        found.push({ kind, name, project: kind === "people" ? undefined : project, path });
        return uuidv7();
      },
      nameOf: () => undefined,
      named(kind: string, name: string, path: string) {
        found.push({ kind, name, project: kind === "roles" ? undefined : given.project, path });
      },
    };
    fromFile(schemaOf(kind), rest, names, []);
    return found;
  }

  #isDefined({ kind, project, name }: Pick<Naming, "kind" | "project" | "name">): boolean {
    if (kind === "roles" && Object.hasOwn(BUILT_IN_ROLES, name)) return true;
    if (kind === "policies" && name === DEFAULT_POLICY) return true;
    return this.#namesOf(kind, project).has(plain(kind, name));
  }

  #namesOf(kind: string, project: string | undefined): ReadonlySet<string> {
    return this.#defined.get(`${kind} ${project}`) ?? new Set();
  }

  #require(given: GivenObject, naming: Naming): void {
    const { kind, name, project, path } = naming;
    const isDefined = this.#isDefined(naming);
    // Accounts are there before files name them.
    if (!isDefined || kind === "people") this.#addPlaceholder(kind, project, name);
    if (isDefined) return;
    // Who is no member of a project with members in the files is a problem of the plan.
    if (kind === "people" && given.kind !== "members" && this.#hasMembers(given.project)) return;
    if (project !== undefined) this.#addPlaceholder("projects", undefined, project);
    const of = project === undefined || project === given.project ? "" : ` of ${project}`;
    // Short usernames are all alike.
    const isShortName = kind === "people" && name.length < SHORT_NAME;
    const nearest = isShortName ? undefined : nearestName(name, this.#namesOf(kind, project));
    this.#warn(
      given,
      path,
      `${name}${of} is not in the files`,
      nearest === undefined ? undefined : `did you mean ${nearest}?`,
    );
  }

  #hasMembers(project: string | undefined): boolean {
    return this.#objects.some((each) => each.kind === "members" && each.project === project);
  }

  #warn(given: GivenObject, path: string, message: string, fix = "add it, unless the server has it already"): void {
    this.#warnings.push({ ...problemOf(given, nameOf(given), { path, code: "NOT_IN_FILES", message }), fix });
  }

  #addPlaceholder(kind: string, project: string | undefined, name: string): void {
    const key = placeholderKey(kind, project, name);
    const spec = PLACEHOLDERS[kind]?.(name);
    const isThere = this.#objects.some(
      (each) => each.kind === kind && each.project === project && plain(kind, nameOf(each)) === plain(kind, name),
    );
    if (!spec || isThere || this.#placeholders.has(key)) return;
    this.#placeholders.set(key, { kind, spec, ...(project !== undefined && { project }) });
  }

  /** People whom a project names are its members, if the files leave those out. */
  #addMembers(): void {
    const projects = new Set(
      this.#objects.flatMap(({ kind, project, spec }) =>
        kind === "projects" ? String(spec["slug"]) : (project ?? []),
      ),
    );
    for (const project of projects) {
      const own = this.#objects.filter((each) => each.project === project);
      if (project === DEFAULT_PROJECT || this.#hasMembers(project)) continue;
      const people = own.flatMap((given) => this.#namings(given)).filter(({ kind }) => kind === "people");
      const spec = Object.fromEntries(people.map(({ name }) => [name, "owner"]));
      const key = placeholderKey("members", project, "members");
      if (people.length > 0) this.#placeholders.set(key, { kind: "members", project, spec });
    }
  }

  /** With values for its secrets, which a check has not. */
  async #ready(given: GivenObject): Promise<GivenObject> {
    const kind = this.#kindOf(given);
    if (!kind) return given;
    if (kind.kind === "people") return { ...given, spec: { ...given.spec, invite: true } };
    const wrong: ErrorDetail[] = [];
    const { references } = takeReferences(kind, given.spec, wrong);
    const examples = (await kind.secretExamples?.(given.spec)) ?? {};
    let { spec } = given as { spec: Spec };
    for (const path of new Set([...references.keys(), ...Object.keys(examples)])) {
      const [member = "", below = ""] = path.split(".");
      const isGiven = Object.hasOwn((below === "" ? spec : (spec[member] as Spec | undefined)) ?? {}, below || member);
      if (wrong.some((each) => each.path === path) || (isGiven ? !references.has(path) : below === "")) continue;
      const file = `${Object.keys(this.#secrets).length}`;
      // Also a UUID, and what tokens and keys look like.
      this.#secrets[`file:${file}`] = examples[path] ?? randomBytes(16).toString("hex");
      spec = withSecret(spec, path, { file } as unknown as string);
    }
    return { ...given, spec };
  }

  /** Notes problems, and takes out the objects that have them. @returns whether the others may be planned again */
  #takeOut(problems: readonly Problem[]): boolean {
    const wrong = new Set<GivenObject>();
    const changed = new Map<GivenObject, GivenObject>();
    for (const problem of problems) {
      const { at, kind, project, name, path, code } = problem;
      const given = this.#objects.find((each) => each.at === at && each.kind === kind);
      if (!given) {
        // A name that no object may have: whoever writes it has the problem.
        if (this.#dropPlaceholders(kind, project ?? undefined, name)) continue;
        this.#problems.push(problem);
        return false;
      }
      // The project itself has a problem.
      if (code === "PROJECT_NOT_FOUND" && path === "") {
        wrong.add(given);
        continue;
      }
      if (code === "SOUND_NOT_FOUND") {
        const { sound, ...spec } = given.spec as Spec;
        changed.set(given, { ...given, spec });
        this.#warn(given, "sound", `the sound ${String(sound)} is not in the files`, "the server needs it");
      } else if (code === "PRESET_NOT_FOUND" && problem.fix === undefined) {
        wrong.add(given);
        const message = `the preset ${String(given.spec["preset"])} is not one of Prism`;
        this.#warn(given, path, message, "the server needs the module that has it");
      } else {
        wrong.add(given);
        this.#problems.push(this.#withFix(given, problem));
      }
    }
    this.#objects = this.#objects.filter((each) => !wrong.has(each)).map((each) => changed.get(each) ?? each);
    for (const each of wrong) this.#replace(each);
    return true;
  }

  /** @param name empty: all of the kind in the project */
  #dropPlaceholders(kind: string, project: string | undefined, name: string): boolean {
    const key = placeholderKey(kind, project, name);
    const dropped = [...this.#placeholders.keys()].filter((each) =>
      name === "" ? each.startsWith(key) : each === key,
    );
    for (const each of dropped) this.#placeholders.delete(each);
    return dropped.length > 0;
  }

  /** What names an object with a problem has none itself. */
  #replace({ kind, project, spec }: GivenObject): void {
    if (kind === "members") this.#addMembers();
    else if (kind === "routes") {
      const { timeIntervals } = spec as { readonly timeIntervals?: unknown };
      const named = Array.isArray(timeIntervals) ? (timeIntervals as readonly Spec[]) : [];
      const intervals = named.map(({ name }) => ({ name, intervals: [] }));
      const document = { route: { policy: DEFAULT_POLICY }, timeIntervals: intervals };
      this.#placeholders.set(placeholderKey(kind, project, kind), {
        kind,
        spec: document,
        ...(project !== undefined && { project }),
      });
    } else this.#addPlaceholder(kind, project, nameOf({ kind, spec }));
  }

  /** What mends it, where the message does not say it. */
  #withFix(given: GivenObject, problem: Problem): Problem {
    const kind = this.#kindOf(given);
    const value = problem.path.split(".").reduce<unknown>((each, step) => (each as Spec | null)?.[step], given.spec);
    const fix = problem.fix ?? fixOf(problem, value, problem.path, kind && schemaOf(kind));
    return fix === undefined ? problem : { ...problem, fix };
  }
}

/** Members with the name of an object, where it is not `name`. */
const KEYS: Readonly<Record<string, string>> = { projects: "slug", people: "username", webhooks: "url" };
const plain = (kind: string, name: string) => (kind === "people" ? name.toLowerCase() : name);
const placeholderKey = (kind: string, project: string | undefined, name: string) =>
  `${kind} ${project} ${plain(kind, name)}`;

function nameOf({ kind, spec }: Pick<GivenObject, "kind" | "spec">): string {
  const name = spec[KEYS[kind] ?? "name"] ?? spec["slug"];
  return typeof name === "string" ? name : kind;
}

/** Usernames that are keys of an object. */
function peopleIn({ kind, spec }: GivenObject): (readonly [name: string, path: string])[] {
  if (kind === "members") return Object.keys(spec).map((name) => [name, name]);
  const { users } = spec as { readonly users?: unknown };
  if (kind !== "ntfyAccess" || typeof users !== "object" || users === null) return [];
  return Object.keys(users).map((name) => [name, `users.${name}`]);
}

/** Names by kind and project. People are those of `people`; files without any have them in `members`. */
function definedIn(objects: readonly GivenObject[]): ReadonlyMap<string, ReadonlySet<string>> {
  const found = new Map<string, Set<string>>();
  const add = (kind: string, project: string | undefined, name: string) => {
    const key = `${kind} ${project}`;
    found.set(key, (found.get(key) ?? new Set()).add(plain(kind, name)));
  };
  for (const given of objects) add(given.kind, given.project, nameOf(given));
  if (!found.has("people undefined"))
    for (const given of objects)
      if (given.kind === "members") for (const [name] of peopleIn(given)) add("people", undefined, name);
  return found;
}
