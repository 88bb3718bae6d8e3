import { currentCaller, type PermissionHolder } from "../../../core/caller.ts";
import { type ErrorDetail, PrismError } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import { filePath, fromFile, toFile } from "../../../http/api/file-form.ts";
import { object } from "../../../http/api/shapes.ts";
import { checkShape } from "../../../http/body/input.ts";
import { isAsListed } from "../../../module/apply-specs.ts";
import {
  type ConfigKind,
  NOTHING_PLANNED,
  type ObjectOwner,
  type Planned,
  type Spec,
  type StoredObject,
} from "../../../module/config-kind.ts";
import type { Context } from "../../../module/feature.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";
import type { ProjectRole } from "../../../store/schema.ts";
import { namesInFiles, plannedAccess } from "../../access/index.ts";
import { gapsBetween, onCall } from "../../oncall/index.ts";
import type { ManagedRow } from "./managed-objects.ts";
import { detailsOf, KnownNames } from "./names.ts";
import type { ConfigurationRequest, GivenObject, Problem } from "./schema.ts";
import { keyedHash, SealedSecrets } from "./sealed.ts";
import { plainSecrets, type Reference, takeReferences } from "./secrets.ts";

/** What a plan looks at: alerts, and who would be paged. */
type Forecasting =
  | "steadyClock"
  | "alerts"
  | "policies"
  | "withholding"
  | "silences"
  | "incidents"
  | "reachable"
  | "backtests";

export type ConfigurationContext = Context<
  | ("projects" | "users" | "principals" | "defaultProjectId" | "configKinds" | "runtimeKinds" | "managedObjects")
  | ("configurationDirectory" | Forecasting)
>;

/** An object of the files, with ids in place of names. */
export interface Wanted {
  readonly given: GivenObject;
  readonly kind: ConfigKind;
  readonly projectId: string | null;
  readonly name: string;
  readonly renamedFrom: string | undefined;
  /** Complete, but for secrets. */
  readonly spec: Spec;
  readonly references: ReadonlyMap<string, Reference>;
  /** Values of its sealed references, by path. */
  readonly opened: ReadonlyMap<string, string>;
}

/** The objects of a kind in a project, as they are stored. */
export interface Listed {
  readonly kind: ConfigKind;
  readonly projectId: string | null;
  readonly objects: readonly StoredObject[];
}

/** What a request means, and what is stored of it. */
export interface ReadRequest {
  readonly caller: PermissionHolder;
  readonly kinds: readonly ConfigKind[];
  readonly wanted: readonly Wanted[];
  /** What is made once. */
  readonly entries: readonly Wanted[];
  readonly lists: ReadonlyMap<string, Listed>;
  readonly names: KnownNames;
  readonly planned: Planned;
  readonly problems: Problem[];
  readonly slugs: ReadonlyMap<string, string>;
  /** Also knows what the same apply makes. */
  readonly access: Pick<ConfigurationContext, "projects" | "users">;
}

/** Reading and showing one stored object takes about as long as so many steps of a condition. */
const STEPS_PER_LISTED = 500;

/** All kinds, without anything that an apply makes. */
export function storedKinds(context: ConfigurationContext): Promise<readonly ConfigKind[]> {
  return context.configKinds(plannedAccess(context, NOTHING_PLANNED));
}

/** @param project its id or slug; none: the kind of the server */
export function kindIn(kinds: readonly ConfigKind[], name: string, project: string | null | undefined) {
  const scope = (project ?? null) === null ? "server" : "project";
  return kinds.find((each) => each.kind === name && each.scope === scope);
}

export const listKey = (kind: string, projectId: string | null) => `${kind} ${projectId}`;

const schemas = new WeakMap<ConfigKind, ReturnType<typeof object>>();

export function schemaOf(kind: ConfigKind) {
  const known = schemas.get(kind);
  if (known) return known;
  const made = object(kind.entries());
  schemas.set(kind, made);
  return made;
}

export function canonical(kind: ConfigKind, spec: Spec): Spec {
  return kind.canonical ? kind.canonical(spec) : spec;
}

/** An object as files have it, complete. @param isMasked for who may not write it, without what it keeps from readers */
export function fileOf(
  kind: ConfigKind,
  given: Spec,
  names: KnownNames,
  projectId: string | null,
  isMasked = false,
): Spec {
  const spec = isMasked && kind.masked ? kind.masked(given) : given;
  return toFile(schemaOf(kind), canonical(kind, spec), names.of(projectId, [])) as Spec;
}

/** Whether the caller may change or delete an object, or make one. @param stored null: a new one */
export function mayWrite(
  access: ReadRequest["access"],
  owner: ObjectOwner,
  kind: ConfigKind,
  stored: StoredObject | null,
): boolean {
  if (kind.kind === "projects" && stored) return access.projects.has(owner.caller, stored.id, "project:manage");
  return hasRight(access, owner, kind.rights.write);
}

/** The right that a change of an object lacks; undefined: none. @param isLock it locks the object, or is locked */
export function lackedRight(
  access: ReadRequest["access"],
  owner: ObjectOwner,
  kind: ConfigKind,
  { stored, isLock }: { readonly stored: StoredObject | null; readonly isLock: boolean },
): string | undefined {
  if (!mayWrite(access, owner, kind, stored)) return kind.rights.write;
  // Who may change a project may lock it; who makes one owns it.
  if (!isLock || kind.kind === "projects") return undefined;
  const right = owner.projectId === null ? "projects:all" : "project:manage";
  return hasRight(access, owner, right) ? undefined : right;
}

/** Whether the caller has a right of a kind; null for the project means the server. */
export function hasRight(
  { projects }: Pick<ConfigurationContext, "projects">,
  { caller, projectId }: ObjectOwner,
  right: string,
): boolean {
  const permission = right as Parameters<typeof caller.permissions.has>[0];
  if (projectId === null) return caller.permissions.has(permission);
  return projects.has(caller, projectId, right as Parameters<typeof projects.has>[2]);
}

/** The objects of a kind; of projects those that the caller may read. */
async function readableObjects(
  db: ReadDb | Trx,
  { access, caller }: Pick<ReadRequest, "access" | "caller">,
  { kind, projectId }: Pick<Listed, "kind" | "projectId">,
): Promise<readonly StoredObject[]> {
  const objects = await kind.list(db, projectId);
  return kind.kind === "projects"
    ? objects.filter(({ id }) => access.projects.has(caller, id, "project:read"))
    : objects;
}

/** Reads the objects of kinds, and the names of what they name. */
export function objectLists(
  { db }: Pick<ConfigurationContext, "db">,
  access: ReadRequest["access"],
  caller: PermissionHolder,
  names: KnownNames,
) {
  const lists = new Map<string, Listed>();
  return {
    lists,
    /** Once. @returns false if the caller may not read them: for those there are none */
    async read(kind: ConfigKind, projectId: string | null): Promise<boolean> {
      if (names.isRead(kind.kind, projectId)) return true;
      names.read(kind.kind, projectId);
      const mayRead = kind.kind === "projects" || hasRight(access, { caller, projectId }, kind.rights.read);
      if (!mayRead) return false;
      const objects = await readableObjects(db.read, { access, caller }, { kind, projectId });
      currentCaller().charge?.({ steps: objects.length * STEPS_PER_LISTED });
      for (const { name, id } of objects) names.add(kind.kind, projectId, name, id);
      lists.set(listKey(kind.kind, projectId), { kind, projectId, objects });
      return true;
    },
    /** Once all are read. @param isWanted whose names an object has */
    async namePeople(isWanted: (id: string) => boolean = () => true): Promise<void> {
      for (const { kind, projectId, objects } of lists.values())
        for (const { id, spec } of objects) if (isWanted(id)) fileOf(kind, spec, names, projectId);
      for (const { id, username, externalId } of await namesInFiles(db.read, [...names.people])) {
        // A mail address would be shown to all who may read the project.
        const name = username ?? externalId;
        if (name !== null && (name === username || access.users.findAny(name) === id))
          names.add("people", null, name, id);
      }
    },
  };
}

type Given = ConfigurationRequest["objects"];

/** Reads what a request names, and what its source owns. Problems of single objects are collected; the others are read anyway. */
export async function readRequest(
  context: ConfigurationContext,
  caller: PermissionHolder,
  { objects: given, runtime = [] }: Pick<ConfigurationRequest, "objects" | "runtime">,
  owned: readonly ManagedRow[],
): Promise<ReadRequest> {
  const problems: Problem[] = [];
  const planned = plannedOf(context, caller, given);
  const access = plannedAccess(context, planned);
  const overlay: Parameters<typeof context.configKinds>[0] = {
    ...access,
    onCall: (...parameters) => onCall(access.users, ...parameters),
    gapsOf: (...parameters) => gapsBetween(access.users, ...parameters),
  };
  const kinds = await context.configKinds(overlay);
  const runtimeKinds = runtime.length > 0 ? await context.runtimeKinds(overlay) : [];
  const slugs = new Map<string, string>();
  const projectOf = (slug: string): string | undefined => {
    const id = planned.projects.get(slug) ?? context.projects.find(slug);
    if (id === undefined || !access.projects.has(caller, id, "project:read")) return undefined;
    slugs.set(id, slug);
    return id;
  };
  // One answer for unknown and unreachable people: others could find out who has an account.
  const personOf = (ref: string, projectId: string | null): string | undefined => {
    const id = planned.people.get(ref) ?? access.users.find(ref);
    if (id === undefined || (projectId === null && !caller.permissions.has("projects:all"))) return undefined;
    return access.users.reachable([id], projectId)[0];
  };
  const names = new KnownNames(
    (kind, ref, projectId) => (kind === "projects" ? projectOf(ref) : personOf(ref, projectId)),
    (id) => slugs.get(id),
  );
  const objects = objectLists(context, access, caller, names);
  const { lists } = objects;
  const list = async (kind: ConfigKind, projectId: string | null): Promise<void> => {
    if (await objects.read(kind, projectId)) return;
    const about = { kind: kind.kind, project: slugs.get(projectId ?? "") ?? null, name: "", at: null, path: "" };
    problems.push({ ...about, code: "UNAUTHORIZED_ROLE", message: `you lack ${kind.rights.read}` });
  };
  const draftsOf = (some: Given, among: readonly ConfigKind[]) =>
    some.flatMap((each): Draft[] => {
      const draft = draftOf(among, each, projectOf);
      if (!("code" in draft)) return [draft];
      problems.push(draft);
      return [];
    });
  const objectDrafts = draftsOf(given, kinds);
  const once = draftsOf(runtime, runtimeKinds);
  const found = [...objectDrafts, ...once];
  for (const { kind, projectId } of objectDrafts) await list(kind, projectId);
  // What the files no longer have may be of a kind that they have no more. Who may not read it leaves it alone.
  for (const { kind: name, projectId } of owned) {
    const kind = kindIn(kinds, name, projectId);
    if (kind && projectId !== null && slugs.has(projectId)) await objects.read(kind, projectId);
  }
  for (const draft of objectDrafts) {
    const { kind, projectId, name, renamedFrom } = draft;
    const stored = storedAs(lists, kind, projectId, [name, renamedFrom]);
    names.add(kind.kind, projectId, name, stored?.id ?? newId(draft, planned));
  }
  // What objects name of other kinds and projects is read when the first pass has asked for it.
  for (const draft of found) read(draft, names, []);
  while (names.wanted.size > 0)
    for (const [key, { kind: wanted, projectId }] of [...names.wanted]) {
      const kind = kinds.find((each) => each.kind === wanted && each.scope === "project");
      if (kind) await list(kind, projectId);
      else names.wanted.delete(key);
      names.read(wanted, projectId);
    }
  const wanted: Wanted[] = [];
  const entries: Wanted[] = [];
  const sealed = new SealedSecrets(context.box);
  requireOnce([...objectDrafts, ...once.filter(({ given: { spec } }) => spec["name"] !== undefined)], problems);
  for (const draft of found) {
    const own: ErrorDetail[] = [];
    const { kind, given, name } = draft;
    const done = read(draft, names, own);
    const secretPaths = await kind.secretPaths?.(given.spec);
    own.push(...plainSecrets(secretPaths ?? [], given.spec));
    const references = done?.references ?? new Map();
    const place = { project: given.project ?? "", kind: kind.kind, names: namesOf(draft, found, lists) };
    const opened = await sealed.opened({ ...place, references, secretPaths }, own);
    problems.push(...own.map((detail) => problemOf(given, name, detail)));
    if (done && own.length === 0) (kind.end ? entries : wanted).push({ ...done, opened });
  }
  for (const [username, id] of planned.people) names.add("people", null, username, id);
  // New objects may name people whom no stored one names.
  for (const { kind, projectId, spec } of wanted) fileOf(kind, spec, names, projectId);
  await objects.namePeople();
  return { caller, kinds, wanted, entries, lists, names, planned, problems, slugs, access };
}

interface Draft {
  readonly given: GivenObject;
  readonly kind: ConfigKind;
  readonly projectId: string | null;
  readonly name: string;
  readonly renamedFrom: string | undefined;
}

/** The problem of an object, or of a member of it. */
export function problemOf({ kind, project, at }: GivenObject, name: string, detail: ErrorDetail): Problem {
  const { path = "", code = "VALUE", message, fix } = detail;
  const inFile = code === "UNKNOWN_MEMBER" ? path : filePath(path);
  const own = kind === "members" ? inFile.replace(/^members\.?/, "") : inFile;
  const about = { kind, project: project ?? null, name, at: at ?? null, path: own };
  return { ...about, code, message, ...(typeof fix === "string" && { fix }) };
}

function draftOf(
  kinds: readonly ConfigKind[],
  given: GivenObject,
  projectOf: (slug: string) => string | undefined,
): Draft | Problem {
  const { project, spec } = given;
  const kind = kindIn(kinds, given.kind, project);
  const refuse = (code: string, message: string, path = "") => problemOf(given, "", { path, code, message });
  if (!kind) {
    const isElsewhere = kinds.some((each) => each.kind === given.kind);
    const place = project === undefined ? "belongs to a project" : "belongs to the server";
    return refuse("UNKNOWN_KIND", isElsewhere ? `${given.kind} ${place}` : `there is no kind ${given.kind}`);
  }
  const projectId = project === undefined ? null : projectOf(project);
  if (projectId === undefined) return refuse("PROJECT_NOT_FOUND", `there is no project ${project} that you can read`);
  const key = kind.key ?? "name";
  const name = kind.isSingle ? kind.kind : kind.nameOf ? kind.nameOf(spec) : spec[key];
  if (typeof name !== "string" || name === "") return refuse("REQUIRED", "is required", key);
  const { renamedFrom = spec["renamedFrom"] } = given;
  return { given, kind, projectId, name, renamedFrom: typeof renamedFrom === "string" ? renamedFrom : undefined };
}

function requireOnce(found: readonly Draft[], problems: Problem[]): void {
  const places = new Map<string, Draft>();
  for (const draft of found) {
    const key = `${listKey(draft.kind.kind, draft.projectId)} ${draft.name}`;
    const first = places.get(key);
    if (first) {
      const message = `${draft.name} is also at ${first.given.at ?? "another place"}`;
      problems.push(problemOf(draft.given, draft.name, { path: "", code: "NAME_TAKEN", message }));
    } else places.set(key, draft);
  }
}

function newId({ kind: { kind, isSingle, idOf }, projectId, name, given }: Draft, planned: Planned): string {
  if (kind === "projects") return planned.projects.get(name) ?? uuidv7();
  if (kind === "people") return planned.people.get(name) ?? uuidv7();
  if (idOf) return idOf(projectId, given.spec);
  return isSingle && projectId !== null ? projectId : uuidv7();
}

/** Names under which the secrets of an object may be sealed: not one that another object has, or gets. */
function namesOf({ kind, projectId, name, renamedFrom }: Draft, all: readonly Draft[], lists: ReadRequest["lists"]) {
  if (renamedFrom === undefined) return [name];
  const other = storedAs(lists, kind, projectId, [renamedFrom]);
  const isPlanned = all.some((each) => each.kind === kind && each.projectId === projectId && each.name === renamedFrom);
  const isTaken = isPlanned || (other !== undefined && other !== storedAs(lists, kind, projectId, [name, renamedFrom]));
  return isTaken ? [name] : [name, renamedFrom];
}

export function storedAs(
  lists: ReadRequest["lists"],
  { kind, isSingle }: ConfigKind,
  projectId: string | null,
  names: readonly (string | undefined)[],
): StoredObject | undefined {
  const { objects = [] } = lists.get(listKey(kind, projectId)) ?? {};
  if (isSingle) return objects[0];
  for (const name of names) {
    const found = name === undefined ? undefined : objects.find((each) => each.name === name);
    if (found) return found;
  }
  return undefined;
}

type Members = Record<string, unknown>;

/** Files have the one member of such an object in its place: `members: { ada: owner }`. */
export function isMap(kind: ConfigKind): boolean {
  return kind.isSingle === true && kind.kind in kind.entries();
}

/** An object in the form of requests, checked; undefined if it is not valid. */
function read(draft: Draft, names: KnownNames, problems: ErrorDetail[]): Omit<Wanted, "opened"> | undefined {
  const { given, kind, projectId } = draft;
  const { renamedFrom: _, ...members } = (isMap(kind) ? { [kind.kind]: given.spec } : given.spec) as Members;
  const managed = Object.fromEntries(Object.entries(members).filter(([, value]) => value !== "manual"));
  const { rest, references } = takeReferences(kind, managed, problems);
  const before = problems.length;
  const spec = fromFile(schemaOf(kind), rest, names.of(projectId, problems), problems) as Spec;
  if (problems.length > before) return undefined;
  try {
    const checked = checkShape(schemaOf(kind), spec, "body") as Spec;
    problems.push(...droppedMembers(rest, checked));
    if (problems.length > before) return undefined;
    return { ...draft, spec: { ...kind.defaults, ...checked }, references };
  } catch (error) {
    problems.push(...detailsOf(error));
    return undefined;
  }
}

/** Names that `v.record` drops without a word, such as those of labels. */
const DROPPED = ["__proto__", "prototype", "constructor"];

function droppedMembers(given: unknown, checked: unknown, path = ""): ErrorDetail[] {
  if (typeof given !== "object" || given === null || typeof checked !== "object" || checked === null) return [];
  return Object.entries(given).flatMap(([name, value]) => {
    const own = path === "" ? name : `${path}.${name}`;
    if (Object.hasOwn(checked, name)) return droppedMembers(value, (checked as Members)[name], own);
    return DROPPED.includes(name) ? [{ path: own, code: "VALUE", message: "is a name that cannot be stored" }] : [];
  });
}

/** What the same apply makes of projects, people and members. */
function plannedOf({ projects, users }: ConfigurationContext, caller: PermissionHolder, given: Given): Planned {
  const { permissions } = caller;
  const of = (kind: string) => given.filter((each) => each.kind === kind);
  const textsOf = (kind: string, member: string) =>
    of(kind).flatMap(({ spec: { [member]: text } }) => (typeof text === "string" ? [text] : []));
  // Others would find out which projects exist: their objects of a new one have no project either way.
  const slugs = permissions.has("projects:create") ? textsOf("projects", "slug") : [];
  const usernames = permissions.has("users:manage") ? textsOf("people", "username") : [];
  const made = new Map(slugs.filter((slug) => projects.find(slug) === undefined).map((slug) => [slug, uuidv7()]));
  // Those who were invited count, too: they get their pages once they have chosen a password.
  const unknown = usernames.filter((name) => users.find(name) === undefined);
  const people = new Map(unknown.map((name) => [name, users.findAny(name) ?? uuidv7()]));
  const members = of("members").flatMap(({ project = "", spec }) => {
    const id = made.get(project) ?? projects.find(project);
    if (id === undefined) return [];
    const roles = Object.entries(spec).flatMap(([ref, role]) => {
      const userId = people.get(ref) ?? users.find(ref);
      const mayName = permissions.has("users:read") || users.reachable([userId ?? ""], id).length > 0;
      return userId === undefined || !mayName ? [] : [[userId, role as ProjectRole] as const];
    });
    return [[id, new Map(roles)] as const];
  });
  return { projects: made, people, members: new Map(members) };
}

/** What is stored of the objects that a plan is about, without a way back to URLs that its reader may not see. */
export function stateOf({ box }: Pick<ConfigurationContext, "box">, lists: readonly Listed[]): string {
  const text = lists
    .map(({ kind, projectId, objects }) => {
      const each = objects.map(({ id, name, version, spec }) => JSON.stringify([id, name, version, spec])).sort();
      return `${listKey(kind.kind, projectId)} ${each.join()}`;
    })
    .sort();
  return keyedHash(box, text.join("\n")).slice(0, 32);
}

/** Whether objects are as they were listed, and no other ones: in the transaction that changes some of them. */
export async function areAsListed(
  trx: Trx,
  lists: readonly Listed[],
  reader: Pick<ReadRequest, "access" | "caller">,
): Promise<boolean> {
  for (const { kind, projectId, objects } of lists) {
    const list = () => readableObjects(trx, reader, { kind, projectId });
    if (!(await isAsListed(trx, kind, projectId, objects, list))) return false;
  }
  return true;
}

/** @throws CONFIGURATION_REFUSED with the problems of a plan */
export function refusedBy(problems: readonly Problem[]): PrismError {
  const details = problems.slice(0, 50).map(({ path, ...problem }) => ({ ...problem, path }));
  const [first] = problems;
  const where =
    first === undefined
      ? ""
      : `: ${[first.at, first.kind, first.name, first.path].filter(Boolean).join(" ")}: ${first.message}`;
  return new PrismError("CONFIGURATION_REFUSED", `Nothing is stored${where}`, { details });
}
