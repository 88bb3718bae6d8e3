import { nearestName } from "../nearest.ts";
import { type FileDocument, type FilePosition, type FileProblem, readDocuments } from "./read-files.ts";

/* Objects of configuration files, as POST /api/v1/configuration takes them. */

const MAX_OBJECTS = 2000;

type Members = Readonly<Record<string, unknown>>;

/** An object of the files. */
export interface FileObject {
  readonly kind: string;
  /** The slug of its project. */
  readonly project?: string;
  /** As it is written. */
  readonly spec: Members;
  /** Such as `duty.yaml:12:5`. */
  readonly at: string;
  readonly renamedFrom?: string;
}

/** What configuration files hold. */
export interface FileConfiguration {
  readonly source: string;
  readonly lock: boolean;
  readonly objects: readonly FileObject[];
  /** What is made once. */
  readonly runtime: readonly FileObject[];
  readonly tests: readonly Members[];
  readonly problems: readonly FileProblem[];
  /** @param object its index; after the last one come those of `runtime`. @param path of a member of the spec, such as `steps.2.for` */
  positionOf(object: number, path: string): FilePosition;
  positionOfTest(test: number, path?: string): FilePosition;
}

/** How the objects of a kind stand in files: a list of named ones, or one object. */
interface KindForm {
  /** The member that names an object; absent: there is one. */
  readonly key?: string;
}

const NAMED: KindForm = { key: "name" };
const ONE: KindForm = {};

export const SERVER_KINDS: Readonly<Record<string, KindForm>> = {
  roles: NAMED,
  people: { key: "username" },
  rules: NAMED,
  buckets: NAMED,
  jobs: NAMED,
};

export const PROJECT_KINDS: Readonly<Record<string, KindForm>> = {
  members: ONE,
  channels: NAMED,
  oncall: NAMED,
  policies: NAMED,
  routes: ONE,
  rules: NAMED,
  heartbeats: NAMED,
  receivers: NAMED,
  integrations: NAMED,
  webhooks: { key: "url" },
  statusPage: ONE,
  ntfyTopics: NAMED,
  ntfyAccess: ONE,
};

/** Lists below `runtime` of a project. */
const RUNTIME_KINDS = ["overrides", "swaps", "daysOff", "silences", "pauses"];

const TOP = ["version", "source", "lock", "projects", "tests"];
/** Members of a project itself. */
const OF_PROJECT = ["slug", "name", "settings", "storageBytes", "renamedFrom"];
const RUNTIME = "runtime";
const MANUAL = "manual";

type Path = readonly (string | number)[];

/** Where something is written. */
interface Place {
  readonly document: FileDocument;
  readonly path: Path;
}

interface Placed {
  readonly object: FileObject;
  /** The parts of an object, which for a project are in several files. */
  readonly places: readonly Place[];
}

/** Reads files and directories. @throws Error of the system for a path that cannot be read */
export function readConfigurationFiles(paths: readonly string[]): FileConfiguration {
  const { documents, problems } = readDocuments(paths);
  const reader = new Joined([...problems]);
  for (const document of documents) reader.addDocument(document);
  return reader.result();
}

function isObject(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function placeText({ file, line, column }: FilePosition): string {
  return `${file}:${line}:${column}`;
}

/** Joins the documents of all files. */
class Joined {
  readonly #problems: FileProblem[];
  readonly #objects: Placed[] = [];
  readonly #runtime: Placed[] = [];
  readonly #projects = new Map<string, { spec: Record<string, unknown>; readonly places: Place[] }>();
  readonly #tests: { readonly test: Members; readonly place: Place }[] = [];
  /** Where each object is, by its kind, project and name. */
  readonly #seen = new Map<string, Place>();
  /** `source` and `lock`, with their first place. */
  readonly #heads = new Map<string, { readonly value: unknown; readonly place: Place }>();

  constructor(problems: FileProblem[]) {
    this.#problems = problems;
  }

  addDocument(document: FileDocument): void {
    const top = { document, path: [] };
    const { value } = document;
    if (!isObject(value)) return this.#problem(top, "SHAPE", "is not an object", "begin with version: 1");
    this.#refuseUnknown(top, value, [...TOP, ...Object.keys(SERVER_KINDS)], PROJECT_KINDS, "below a project");
    if (value["version"] !== undefined && value["version"] !== 1)
      this.#problem(inside(top, "version"), "VALUE", "is a version that this Prism does not know", "write version: 1");
    this.#head(top, value, "source", (given) => typeof given === "string" && given !== "", "a text");
    this.#head(top, value, "lock", (given) => typeof given === "boolean", "true or false");
    for (const [index, test] of this.#list(top, value, "tests").entries()) {
      const place = inside(top, "tests", index);
      if (!isObject(test)) this.#problem(place, "SHAPE", "must be an object", "write name: and expect: of the test");
      else this.#tests.push({ test, place });
    }
    for (const [index, project] of this.#list(top, value, "projects").entries())
      this.#addProject(inside(top, "projects", index), project);
    this.#addKinds(top, value, SERVER_KINDS, undefined);
  }

  #addProject(place: Place, project: unknown): void {
    if (!isObject(project))
      return this.#problem(place, "SHAPE", "must be an object", "write slug: and name: of the project");
    const { slug } = project;
    if (typeof slug !== "string" || slug === "") return this.#nameless(place, "slug", slug);
    const members = [...OF_PROJECT, ...Object.keys(PROJECT_KINDS), RUNTIME];
    this.#refuseUnknown(place, project, members, SERVER_KINDS, "at the top");
    const own = Object.fromEntries(Object.entries(project).filter(([name]) => OF_PROJECT.includes(name)));
    const known = this.#projects.get(slug);
    if (known) {
      for (const [name, value] of Object.entries(own)) {
        const before = known.places.find((each) => name in (valueAt(each) as Members));
        if (before && JSON.stringify(known.spec[name]) !== JSON.stringify(value))
          this.#twice(inside(place, name), `${name} of the project ${slug}`, inside(before, name));
      }
      known.spec = { ...own, ...known.spec };
      known.places.push(place);
    } else this.#projects.set(slug, { spec: own, places: [place] });
    this.#addKinds(place, project, PROJECT_KINDS, slug);
    if (project[RUNTIME] !== undefined) this.#addRuntime(inside(place, RUNTIME), project[RUNTIME], slug);
  }

  #addRuntime(place: Place, value: unknown, project: string): void {
    if (!isObject(value)) return this.#problem(place, "SHAPE", "must be an object", "write overrides: below it");
    this.#refuseUnknown(place, value, RUNTIME_KINDS, PROJECT_KINDS, "in the project");
    for (const kind of RUNTIME_KINDS)
      for (const [index, spec] of this.#list(place, value, kind).entries()) {
        const own = inside(place, kind, index);
        if (!isObject(spec)) this.#problem(own, "SHAPE", "must be an object", "write its members");
        else this.#runtime.push({ object: { kind, project, spec, at: this.#at(own) }, places: [own] });
      }
  }

  #addKinds(place: Place, value: Members, kinds: typeof SERVER_KINDS, project: string | undefined): void {
    for (const [kind, { key }] of Object.entries(kinds)) {
      if (value[kind] === undefined || value[kind] === MANUAL) continue;
      if (key !== undefined) {
        for (const [index, spec] of this.#list(place, value, kind).entries())
          this.#addNamed(inside(place, kind, index), { kind, project, spec }, key);
        continue;
      }
      const spec = value[kind];
      const own = inside(place, kind);
      const hint =
        kind === "members" ? "write user: role, or members: manual" : `write the members of ${kind} below it`;
      if (!isObject(spec)) this.#problem(own, "SHAPE", "must be an object", hint);
      else this.#add(own, { kind, project, spec }, kind);
    }
  }

  #addNamed(
    place: Place,
    { kind, project, spec }: { readonly kind: string; readonly project: string | undefined; readonly spec: unknown },
    key: string,
  ): void {
    if (!isObject(spec)) return this.#problem(place, "SHAPE", "must be an object", `write ${key}: and its members`);
    const name = spec[key];
    if (typeof name !== "string" || name === "") return this.#nameless(place, key, name);
    this.#add(place, { kind, project, spec }, name);
  }

  #add(
    place: Place,
    { kind, project, spec }: { readonly kind: string; readonly project: string | undefined; readonly spec: Members },
    name: string,
  ): void {
    const { renamedFrom, ...own } = spec;
    if (renamedFrom !== undefined && typeof renamedFrom !== "string")
      return this.#problem(inside(place, "renamedFrom"), "VALUE", "must be text", "write its name before");
    const key = JSON.stringify([kind, project, name]);
    const before = this.#seen.get(key);
    if (before) return this.#twice(place, `${name} of ${kind}`, before);
    this.#seen.set(key, place);
    const where = { at: this.#at(place), ...(project !== undefined && { project }) };
    const object = { kind, ...where, spec: own, ...(renamedFrom !== undefined && { renamedFrom }) };
    this.#objects.push({ object, places: [place] });
  }

  /** A member that all files must agree on. */
  #head(top: Place, value: Members, name: string, isRight: (given: unknown) => boolean, form: string): void {
    const given = value[name];
    if (given === undefined) return;
    const place = inside(top, name);
    const first = this.#heads.get(name);
    if (!isRight(given)) this.#problem(place, "VALUE", `must be ${form}`, `write ${name}: ${EXAMPLES[name]}`);
    else if (first && first.value !== given) this.#twice(place, name, first.place);
    else this.#heads.set(name, first ?? { value: given, place });
  }

  #list(place: Place, value: Members, name: string): readonly unknown[] {
    const list = value[name];
    if (list === undefined || list === null) return [];
    if (Array.isArray(list)) return list;
    this.#problem(inside(place, name), "SHAPE", "must be a list", 'begin each entry with "- "');
    return [];
  }

  #refuseUnknown(
    place: Place,
    value: Members,
    known: readonly string[],
    elsewhere: typeof SERVER_KINDS,
    where: string,
  ): void {
    for (const name of Object.keys(value).filter((each) => !known.includes(each))) {
      const nearest = nearestName(name, known);
      const fix = name in elsewhere ? `it stands ${where}` : nearest ? `did you mean ${nearest}?` : undefined;
      const hint = fix ?? `known are ${known.join(", ")}`;
      this.#problem(inside(place, name), "UNKNOWN_MEMBER", `${name} is not a member`, hint);
    }
  }

  #nameless(place: Place, key: string, given: unknown): void {
    if (given === undefined || given === null || given === "")
      this.#problem(place, "NAME_MISSING", `has no ${key}`, `add ${key}:`);
    else this.#problem(inside(place, key), "VALUE", `${key} must be text`, `write ${key}: "${String(given)}"`);
  }

  #twice(place: Place, what: string, before: Place): void {
    const message = `${what} is also at ${this.#at(before)}`;
    this.#problem(place, "TWICE", message, "keep one of them");
  }

  #at(place: Place): string {
    return placeText(place.document.position(place.path));
  }

  #problem(place: Place, code: string, message: string, fix: string): void {
    this.#problems.push({ ...place.document.position(place.path), code, message, fix });
  }

  result(): FileConfiguration {
    // A project with its slug alone says where its objects belong: other files own the project itself.
    const owned = [...this.#projects.values()].filter(({ spec }) => Object.keys(spec).length > 1);
    const projects = owned.map(({ spec: { renamedFrom, ...spec }, places }): Placed => {
      const old = typeof renamedFrom === "string" ? { renamedFrom } : {};
      return { object: { kind: "projects", spec, at: this.#at(places[0] as Place), ...old }, places };
    });
    const objects = [...projects, ...this.#objects];
    const placed = [...objects, ...this.#runtime];
    const tooMany = placed[MAX_OBJECTS]?.places[0];
    if (tooMany)
      this.#problem(tooMany, "LIMIT", `is object ${MAX_OBJECTS + 1}`, `apply ${MAX_OBJECTS} objects at a time`);
    return {
      source: String(this.#heads.get("source")?.value ?? "files"),
      lock: this.#heads.get("lock")?.value === true,
      objects: objects.map(({ object }) => object),
      runtime: this.#runtime.map(({ object }) => object),
      tests: this.#tests.map(({ test }) => test),
      problems: this.#problems,
      positionOf: (object, path) => positionIn((placed[object] as Placed).places, path),
      positionOfTest: (test, path = "") => positionIn([(this.#tests[test] as { place: Place }).place], path),
    };
  }
}

const EXAMPLES: Readonly<Record<string, string>> = { source: "files", lock: "false" };

function inside({ document, path }: Place, ...steps: Path): Place {
  return { document, path: [...path, ...steps] };
}

function valueAt({ document, path }: Place): unknown {
  return path.reduce<unknown>((value, step) => (value as Record<string | number, unknown>)[step], document.value);
}

function positionIn(places: readonly Place[], path: string): FilePosition {
  const steps = path === "" ? [] : path.split(".");
  const own = places.find((each) => steps[0] !== undefined && steps[0] in (valueAt(each) as Members)) ?? places[0];
  const { document, path: to } = own as Place;
  return document.position([...to, ...steps]);
}
