import { isDeepStrictEqual } from "node:util";
import type { PermissionHolder } from "../../../core/caller.ts";
import { type SealPlace, sealFor } from "../../../core/crypto/public-seal.ts";
import { type ErrorDetail, PrismError } from "../../../core/errors.ts";
import type { ConfigKind, Spec, StoredObject } from "../../../module/config-kind.ts";
import { appliedOf } from "./compare.ts";
import { type ManagedRow, managedRows, rowKey } from "./managed-objects.ts";
import { KnownNames } from "./names.ts";
import {
  type ConfigurationContext,
  canonical,
  fileOf,
  hasRight,
  isMap,
  type Listed,
  listKey,
  objectLists,
  storedKinds,
} from "./reading.ts";
import { exportedRuntime } from "./runtime.ts";
import { sealKeysOf } from "./sealed.ts";
import { freeVariable, type Reference, withSecret } from "./secrets.ts";

/** Of files that name no other. */
const DEFAULT_SOURCE = "files";

interface Wish {
  /** Slugs; undefined: all that the caller reads. */
  readonly projects?: readonly string[] | undefined;
  readonly people: boolean;
  readonly runtime: boolean;
  readonly secrets: "env" | "omit" | "sealed";
}

/** The first line of each file, and what follows. */
export interface Exported {
  readonly document: Spec;
  /** Variables that the references of the document name. */
  readonly variables: readonly string[];
  /** What the caller may not read. */
  readonly leftOut: readonly { readonly kind: string; readonly project: string | null }[];
  /** What of the runtime has no name. */
  readonly notes: readonly string[];
}

/**
 * The configuration as files have it: names in place of ids, no defaults, references in place of secrets.
 * @throws PROJECT_NOT_FOUND, NAME_TAKEN for two objects of one name, which files could not tell apart
 */
export async function exportConfiguration(
  context: ConfigurationContext,
  caller: PermissionHolder,
  wish: Wish,
): Promise<Exported> {
  const kinds = await storedKinds(context);
  const projects = await projectsOf(context, caller, wish.projects);
  const slugs = new Map(projects.map(({ id, slug }) => [id, slug]));
  const names = new KnownNames(
    () => undefined,
    (id) => slugs.get(id),
  );
  const objects = objectLists(context, context, caller, names);
  const leftOut: { readonly kind: string; readonly project: string | null }[] = [];
  const list = async (kind: ConfigKind, projectId: string | null): Promise<void> => {
    if (!(await objects.read(kind, projectId)))
      leftOut.push({ kind: kind.kind, project: slugs.get(projectId ?? "") ?? null });
  };
  const isWanted = ({ kind }: ConfigKind) => kind !== "people" || wish.people;
  const ofServer = kinds.filter((kind) => kind.scope === "server" && isWanted(kind));
  for (const kind of wish.projects ? ofServer.filter(({ kind }) => kind === "projects") : ofServer)
    await list(kind, null);
  const runtimeKinds = wish.runtime ? await context.runtimeKinds({}) : [];
  for (const { id } of projects)
    for (const kind of [...kinds.filter(({ scope }) => scope === "project"), ...runtimeKinds]) await list(kind, id);
  const all = [...objects.lists.values()];
  const lists = all.filter(({ kind }) => !kind.end);
  for (const each of lists) requireNames(each.kind, each.objects);
  await objects.namePeople();
  const rows = new Map((await managedRows(context.db.read)).map((row) => [rowKey(row.kind, row.objectId), row]));
  const variables: string[] = [];
  const taken = variablesIn([...rows.values()]);
  const seal: About["seal"] = (place, secret) => ({
    sealed: sealFor(sealKeysOf(context.box).publicKey, place, secret),
  });
  const itemsOf = (each: Listed) => {
    const { kind, projectId, objects } = each;
    const project = slugs.get(projectId ?? "") ?? "";
    const isMasked = !hasRight(context, { caller, projectId }, kind.rights.write);
    return objects
      .filter(({ isImplicit }) => isImplicit !== true)
      .map((stored) => {
        const row = rows.get(rowKey(kind.kind, stored.id));
        return exported(each, stored, { names, row, project, wish, variables, taken, isMasked, seal });
      });
  };
  const found = new Map(lists.map((each) => [listKey(each.kind.kind, each.projectId), itemsOf(each)]));
  const owned = lists.flatMap(({ kind, objects }) =>
    objects
      .filter(({ id }) => kind.kind !== "projects" || slugs.has(id))
      .flatMap(({ id }) => rows.get(rowKey(kind.kind, id)) ?? []),
  );
  const document: Record<string, unknown> = { version: 1, ...headOf(owned) };
  for (const kind of ofServer) {
    const items = found.get(listKey(kind.kind, null)) ?? [];
    if (kind.kind !== "projects" && items.length > 0) document[kind.kind] = items;
  }
  const own = found.get(listKey("projects", null)) ?? [];
  const notes: string[] = [];
  const seen = new Set<string>();
  document["projects"] = projects.map(({ id, slug }) => {
    const project: Record<string, unknown> = { ...(own.find((each) => each["slug"] === slug) ?? { slug }) };
    for (const kind of kinds.filter(({ scope }) => scope === "project")) {
      const items = found.get(listKey(kind.kind, id)) ?? [];
      const [first] = items;
      if (first) project[kind.kind] = isMap(kind) ? first[kind.kind] : kind.isSingle ? first : items;
    }
    const ofProject = all.filter(({ kind, projectId }) => kind.end && projectId === id);
    const isMasked = (kind: ConfigKind) => !hasRight(context, { caller, projectId: id }, kind.rights.write);
    const runtime = exportedRuntime(ofProject, names, { seen, notes, isMasked });
    if (runtime) project["runtime"] = runtime;
    return project;
  });
  return { document, variables: [...new Set(variables)], leftOut, notes };
}

/** What files must say to own the same again, if all of it has one owner. */
function headOf(owned: readonly ManagedRow[]): Spec {
  const [first] = owned;
  if (!first || owned.some(({ source }) => source !== first.source)) return {};
  const isLocked = owned.every(({ isLocked }) => isLocked === 1);
  return { ...(first.source !== DEFAULT_SOURCE && { source: first.source }), ...(isLocked && { lock: true }) };
}

async function projectsOf(
  { db, projects }: ConfigurationContext,
  caller: PermissionHolder,
  refs: readonly string[] | undefined,
) {
  const ids =
    refs?.map((ref) => projects.require(caller, ref, "project:read")) ?? projects.readable(caller, "project:read");
  const all = db.read.selectFrom("projects").select(["id", "slug"]).where("deletedAt", "is", null).orderBy("slug");
  return ids === null ? all.execute() : ids.length === 0 ? [] : all.where("id", "in", ids).execute();
}

function requireNames(kind: ConfigKind, objects: readonly StoredObject[]): void {
  const known = new Map<string, string>();
  const details: ErrorDetail[] = [];
  for (const { id, name } of objects) {
    const first = known.get(name);
    if (first === undefined) known.set(name, id);
    else
      details.push({
        path: kind.kind,
        code: "NAME_TAKEN",
        message: `${name} is the name of ${first} and of ${id}: rename one`,
      });
  }
  if (details.length > 0)
    throw new PrismError("NAME_TAKEN", "Two objects have one name, which files could not tell apart", { details });
}

interface About {
  readonly names: KnownNames;
  readonly row: ManagedRow | undefined;
  readonly project: string;
  readonly wish: Wish;
  readonly variables: string[];
  /** Variables of other secrets. */
  readonly taken: Set<string>;
  readonly isMasked: boolean;
  seal(place: SealPlace, secret: string): Reference;
}

function exported(
  { kind, projectId }: Listed,
  stored: StoredObject,
  { names, row, project, wish, variables, taken, isMasked, seal }: About,
): Spec {
  const fileForm = (spec: Spec) => fileOf(kind, spec, names, projectId, isMasked);
  const file = withoutDefaults(kind, stored.spec, fileForm(stored.spec), fileForm);
  const applied = row && appliedOf(row).references;
  let spec = applied && wish.secrets !== "omit" ? mergedReferences(file, applied) : file;
  for (const [path, value] of Object.entries(stored.secrets ?? {})) {
    if (isGiven(spec, path) || wish.secrets === "omit") continue;
    const place = { project, kind: kind.kind, name: stored.name, field: path };
    // Who may not write it learns no more than its variable.
    const isSealed = wish.secrets === "sealed" && value !== null && !isMasked;
    const reference: Reference = isSealed
      ? seal(place, value)
      : { env: freeVariable(taken, project, stored.name, path.replace(/^fields\./, "")) };
    spec = withSecret(spec, path, reference as unknown as string);
  }
  noteVariables(spec, kind, variables);
  return spec;
}

/** Variables that files name already. */
function variablesIn(rows: readonly ManagedRow[]): Set<string> {
  return new Set(rows.flatMap(({ spec }) => spec.match(/PRISM_SECRET_[A-Z0-9_]+/g) ?? []));
}

function mergedReferences(file: Spec, references: Spec): Spec {
  let spec = file;
  for (const [member, value] of Object.entries(references)) {
    const isNested =
      spec[member] !== undefined ||
      !("env" in (value as object) || "file" in (value as object) || "sealed" in (value as object));
    spec = { ...spec, [member]: isNested ? { ...(spec[member] as object | undefined), ...(value as object) } : value };
  }
  return spec;
}

function isGiven(spec: Spec, path: string): boolean {
  const [member = "", below] = path.split(".");
  const value = spec[member] as Spec | undefined;
  return below === undefined ? value !== undefined : value?.[below] !== undefined;
}

function noteVariables(spec: Spec, kind: ConfigKind, variables: string[]): void {
  for (const pattern of kind.secrets ?? []) {
    const [member = "", below] = pattern.split(".");
    const value = spec[member] as Spec | undefined;
    for (const each of below === undefined ? [value] : Object.values(value ?? {})) {
      const env = typeof each === "object" && each !== null ? (each as Reference).env : undefined;
      if (env !== undefined) variables.push(env);
    }
  }
}

/** Members that say what a file says without them are left out; a default may follow from other members. */
function withoutDefaults(kind: ConfigKind, spec: Spec, file: Spec, fileForm: (spec: Spec) => Spec): Spec {
  const given = canonical(kind, spec);
  const defaults = canonical(kind, kind.defaults);
  const own = Object.entries(given).filter(([name, value]) => !isDeepStrictEqual(value, defaults[name]));
  const [plain, completed] = [kind.defaults, { ...kind.defaults, ...Object.fromEntries(own) }].map(fileForm);
  const kept = Object.entries(file).filter(
    ([name, value]) => !(isDeepStrictEqual(value, plain?.[name]) && isDeepStrictEqual(value, completed?.[name])),
  );
  return Object.fromEntries(kept);
}
