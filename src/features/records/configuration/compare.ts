import { isDeepStrictEqual } from "node:util";
import type { GenericSchema } from "valibot";
import { LoopTurns } from "../../../core/promises.ts";
import { countText } from "../../../core/text/clean-text.ts";
import { bare } from "../../../http/api/file-form.ts";
import { secretProblem } from "../../../http/body/input.ts";
import { takeSecrets } from "../../../module/apply-specs.ts";
import type { ConfigKind, Spec, StoredObject } from "../../../module/config-kind.ts";
import { type Difference, differencesOf } from "./differences.ts";
import { type ManagedRow, rowKey } from "./managed-objects.ts";
import {
  canonical,
  fileOf,
  kindIn,
  listKey,
  mayWrite,
  problemOf,
  type ReadRequest,
  schemaOf,
  storedAs,
  type Wanted,
} from "./reading.ts";
import type { ConfigurationPlan, ConfigurationRequest, ObjectChange, Problem } from "./schema.ts";
import { keyOfReference, type Reference, withReferences, withSecret } from "./secrets.ts";

/** What one apply does with one object. */
export interface Step {
  readonly op: ObjectChange["op"];
  readonly kind: ConfigKind;
  readonly projectId: string | null;
  readonly name: string;
  readonly id: string;
  /** What the files want; null: it is deleted. */
  readonly wanted: Wanted | null;
  readonly stored: StoredObject | null;
  /** For the bodies of the kind: canonical, with the secrets that are given. */
  readonly spec: Spec;
  readonly members: readonly Difference[];
  readonly row: ManagedRow | null;
  /** Only what files own changes, and nothing of the object: it is taken over, or has other references. */
  readonly isOwnOnly: boolean;
  /** Secrets that have other values in the spec, because only an apply gives them, by path. */
  readonly later?: ReadonlyMap<string, Reference>;
}

/** What files want beside what is stored. */
export interface Compared {
  readonly steps: readonly Step[];
  readonly unchanged: number;
  readonly leftOver: readonly ManagedRow[];
  /** Rows of objects that were deleted by hand. */
  readonly gone: readonly ManagedRow[];
  /** Objects that were changed by hand, with the members that differ; none: it was deleted. */
  readonly drifted: readonly { readonly row: ManagedRow; readonly wanted: Wanted; readonly paths: readonly string[] }[];
}

/** At most so many deletions without their number, or a tenth of what the source has. */
const FREE_DELETES = 10;
export const MAX_CHANGES = 500;
/** Storing and comparing shifts takes the most time of all changes. */
export const MAX_SHIFTS = 200;
/** Who may not apply a plan must not hold up those who store something. */
export const MAX_SHIFTS_OF_READERS = 50;

/**
 * Compares, and notes problems in `reading`. @param rows what files own
 * @param unlocked those of them that stay as they are
 */
export async function compare(
  reading: ReadRequest,
  rows: readonly ManagedRow[],
  request: ConfigurationRequest,
  unlocked: readonly ManagedRow[] = [],
): Promise<Compared> {
  const { source = "files", prune = false, secrets = {}, lock = false } = request;
  const owned = new Map(rows.map((row) => [rowKey(row.kind, row.objectId), row]));
  const steps: Step[] = [];
  const drifted: Compared["drifted"][number][] = [];
  const kept = new Set(unlocked.map((row) => rowKey(row.kind, row.objectId)));
  const made = new Set(reading.planned.projects.values());
  let unchanged = 0;
  const turns = new LoopTurns();
  for (const wanted of reading.wanted) {
    await turns.pause();
    const { kind, projectId, name, renamedFrom } = wanted;
    const stored = storedAs(reading.lists, kind, projectId, [name, renamedFrom]);
    const row = (stored && owned.get(rowKey(kind.kind, stored.id))) ?? null;
    if (stored) kept.add(rowKey(kind.kind, stored.id));
    if (row && row.source !== source) {
      const message = `is in the files of ${row.source}${row.place === null ? "" : ` (${row.place})`}`;
      const fix = `take it out of these files, or write source: ${row.source} if they continue those`;
      reading.problems.push({ ...problemOf(wanted.given, name, { path: "", code: "OWNED_ELSEWHERE", message }), fix });
      continue;
    }
    if (unlocked.some((each) => isOf(each, wanted, stored))) {
      unchanged++;
      continue;
    }
    const isWritable = mayWrite(reading.access, { caller: reading.caller, projectId }, kind, stored ?? null);
    const { spec, members } = changesOf(reading, wanted, stored, { secrets, isWritable });
    if (row && stored) {
      const paths = driftOf(reading, row, stored, kind);
      if (paths.length > 0) drifted.push({ row, wanted, paths });
    }
    const isNew = !stored || stored.isImplicit || made.has(projectId ?? "");
    const op = isNew ? "create" : row === null ? "adopt" : !kind.isSingle && stored.name !== name ? "rename" : "update";
    const isOwnOnly = members.length === 0 && (op === "adopt" || op === "update");
    if (op === "update") members.push(...changedReferences(row, wanted, members));
    // What is built in needs no row to be the same.
    const isRelocked = row !== null && (row.isLocked === 1) !== lock;
    const isSame = members.length === 0 && ((op === "update" && !isRelocked) || stored?.isImplicit === true);
    if (isSame) unchanged++;
    else {
      const id = stored?.id ?? reading.names.idIn(kind.kind, projectId, name);
      steps.push({ op, kind, projectId, name, id, wanted, stored: stored ?? null, spec, members, row, isOwnOnly });
    }
  }
  const notKept = leftOverOf(reading, rows, source, kept);
  const gone = notKept.filter((row) => isGone(reading, row));
  const leftOver = notKept.filter((row) => !gone.includes(row));
  if (prune) steps.push(...deletions(reading, leftOver));
  requireFewDeletions(reading, steps, rows.filter((row) => row.source === source).length, request);
  for (const row of gone)
    for (const { op, wanted } of steps)
      if (op === "create" && wanted && isOf(row, wanted, undefined)) drifted.push({ row, wanted, paths: [] });
  return { steps, unchanged, leftOver: prune ? [] : leftOver, gone, drifted };
}

/** Whether a row is of an object of the files; one that was deleted or renamed by hand has its name. */
function isOf(row: ManagedRow, { kind, projectId, name }: Wanted, stored: StoredObject | undefined): boolean {
  const isOne = stored ? row.objectId === stored.id : row.name === name;
  return isOne && row.kind === kind.kind && row.projectId === projectId;
}

/** The complete spec of an object with its given secrets, and what differs from what is stored. */
function changesOf(
  reading: ReadRequest,
  wanted: Wanted,
  stored: StoredObject | undefined,
  { secrets, isWritable }: { readonly secrets: Readonly<Record<string, string>>; readonly isWritable: boolean },
) {
  const { kind, projectId, references } = wanted;
  // Fields in plain text that are known to be secret are compared and shown as secrets, too.
  const { rest, values } = takeSecrets(wanted.spec, stored);
  const before = stored ? fileOf(kind, stored.spec, reading.names, projectId, !isWritable) : null;
  const old = stored && { ...stored.spec, ...kind.staying?.(stored.spec) };
  const stays = onlyMembers(old ?? {}, [...(kind.keeps ?? []), ...(kind.atCreation ?? [])]);
  const kept = { ...stays, ...(before ? withoutMembers(rest, kind.atCreation) : rest) };
  const after = fileOf(kind, kept, reading.names, projectId, !isWritable);
  // What stays is no change, though it may be written in another way.
  const staying = Object.keys(stays).filter((name) => !(name in rest));
  const members = before ? differencesOf(withoutMembers(before, staying), withoutMembers(after, staying)) : [];
  for (const [path, reference] of references) {
    const value = givenValue(wanted, path, reference, secrets);
    if (value === undefined || (before && kind.atCreation?.includes(path))) continue;
    const message = secretProblem(entryAt(kind, path), value);
    if (message === null) values.set(path, value);
    else reading.problems.push(problemOf(wanted.given, wanted.name, { path, code: "VALUE", message }));
  }
  let spec: Spec = canonical(kind, kept);
  for (const [path, value] of values) {
    spec = withSecret(spec, path, value);
    // Who may not write it learns nothing of a guess.
    const isSame = !isWritable || stored?.secrets?.[path] === value;
    if (before && !isSame) members.push({ path, before: "(secret)", after: "(secret, will be set)" });
  }
  return { spec, members };
}

/** The schema of a member such as `token` or `fields.url`. */
function entryAt(kind: ConfigKind, path: string): GenericSchema {
  const [member = "", below] = path.split(".");
  const entry = schemaOf(kind).entries[member] as GenericSchema;
  return below === undefined ? entry : (bare(entry).value ?? entry);
}

/** The value of a reference. Nobody but the server says what a sealed one is. */
function givenValue(
  { opened }: Wanted,
  path: string,
  reference: Reference,
  secrets: Readonly<Record<string, string>>,
): string | undefined {
  return reference.sealed === undefined ? secrets[keyOfReference(reference)] : opened.get(path);
}

/** Secrets that are the same, by other references: an export must write those that the files have now. */
function changedReferences(row: ManagedRow | null, { references }: Wanted, known: readonly Difference[]): Difference[] {
  if (row === null) return [];
  const before = appliedOf(row).references;
  return [...references].flatMap(([path, reference]) => {
    const [member = "", below] = path.split(".");
    const value = below === undefined ? before[member] : (before[member] as Spec | undefined)?.[below];
    if (isDeepStrictEqual(value, reference) || known.some((each) => each.path === path)) return [];
    return [{ path, before: "(secret)", after: "(secret, by another reference)" }];
  });
}

/** Members that were changed by hand since the files were applied. */
function driftOf(reading: ReadRequest, row: ManagedRow, stored: StoredObject, kind: ConfigKind): string[] {
  const { members } = appliedOf(row);
  const now = fileOf(kind, stored.spec, reading.names, row.projectId);
  return isDeepStrictEqual(members, now) ? [] : differencesOf(members, now).map(({ path }) => path);
}

/** What this source stored before, in the projects and kinds of the server that the files name. */
function leftOverOf(
  { wanted, kinds, names, lists }: ReadRequest,
  rows: readonly ManagedRow[],
  source: string,
  kept: ReadonlySet<string>,
) {
  // The files of a project name it also by the object of itself.
  const projects = new Set(
    wanted.map(({ kind, projectId, name }) =>
      kind.kind === "projects" ? names.idIn("projects", null, name) : projectId,
    ),
  );
  const ofServer = new Set(wanted.flatMap(({ kind, projectId }) => (projectId === null ? [kind.kind] : [])));
  return rows.filter((row) => {
    if (row.source !== source || kept.has(rowKey(row.kind, row.objectId))) return false;
    if (kinds.find((each) => each.kind === row.kind)?.isKept) return false;
    // Who may not read the objects of its kind does not learn their names.
    if (!lists.has(listKey(row.kind, row.projectId))) return false;
    return row.projectId === null ? ofServer.has(row.kind) : projects.has(row.projectId);
  });
}

/** Whether the objects of its kind were read, and it is none of them. */
function isGone({ lists }: ReadRequest, { kind, projectId, objectId }: ManagedRow): boolean {
  return lists.get(listKey(kind, projectId))?.objects.every(({ id }) => id !== objectId) === true;
}

function deletions(reading: ReadRequest, rows: readonly ManagedRow[]): Step[] {
  return rows.flatMap((row) => {
    const { kind: name, projectId, objectId: id } = row;
    const kind = kindIn(reading.kinds, name, projectId);
    const list = reading.lists.get(listKey(name, projectId));
    const stored = list?.objects.find((each) => each.id === id);
    if (!list || !kind?.remove || stored?.isImplicit || stored?.isKept) return [];
    const step = { kind, projectId, name: row.name, id, wanted: null, spec: {}, members: [], row, isOwnOnly: false };
    return [{ ...step, op: "delete" as const, stored: stored ?? null }];
  });
}

function requireFewDeletions(
  { problems }: ReadRequest,
  steps: readonly Step[],
  ofSource: number,
  { allowDeletes }: ConfigurationRequest,
): void {
  const deleted = steps.filter(({ op }) => op === "delete");
  if (deleted.length === 0 || allowDeletes === deleted.length) return;
  const [first] = deleted;
  const refuse = (step: Step | undefined, code: string, message: string) => {
    const given = { kind: step?.kind.kind ?? "", at: step?.row?.place ?? undefined, spec: {} };
    problems.push({ ...problemOf(given, step?.name ?? "", { path: "", code, message }) } satisfies Problem);
  };
  const count = countText(deleted.length, "object");
  if (allowDeletes !== undefined) {
    refuse(first, "TOO_MANY_DELETIONS", `${count} would be deleted, not ${allowDeletes}`);
    return;
  }
  if (deleted.length > Math.max(FREE_DELETES, ofSource / 10))
    refuse(first, "TOO_MANY_DELETIONS", `${count} would be deleted: confirm it with --allow-deletes ${deleted.length}`);
  for (const step of deleted) {
    const made = steps.find(
      ({ op, kind, projectId }) => op === "create" && kind === step.kind && projectId === step.projectId,
    );
    if (!made || !step.kind.isHeldOutside) continue;
    const message = `${step.name} would be deleted while ${made.name} is made: write renamedFrom: ${step.name} at ${made.name} if programs keep using its URL, or confirm it with --allow-deletes ${deleted.length}`;
    refuse(step, "RENAMED", message);
  }
}

/** What files own of an object after it was applied: its members as files have them, and its references. */
export function appliedSpec(file: Spec, references: ReadonlyMap<string, Reference>): string {
  return JSON.stringify({ members: file, references: withReferences({}, references) });
}

/** What {@link appliedSpec} wrote. */
export function appliedOf({ spec }: ManagedRow) {
  return JSON.parse(spec) as { readonly members: Spec; readonly references: Spec };
}

/** References without a value, by path. */
export function missingReferences(wanted: Wanted, secrets: Readonly<Record<string, string>>) {
  return [...wanted.references].filter(
    ([path, reference]) => givenValue(wanted, path, reference, secrets) === undefined,
  );
}

/** @returns the problems of a new object without the secrets that its files name */
export function secretsMissing(wanted: Wanted, secrets: Readonly<Record<string, string>>): Problem[] {
  return missingReferences(wanted, secrets).map(([path, reference]) => {
    const [given, fix] =
      reference.env === undefined
        ? ["", `add the file ${reference.file}, or name its directory with --secrets-dir`]
        : [reference.env, `set ${reference.env}, or write it into a --secrets-file`];
    const message = `has no value${given && `: ${given} is not set`}`;
    return problemOf(wanted.given, wanted.name, { path, code: "SECRET_MISSING", message, fix });
  });
}

function onlyMembers(spec: Spec, names: readonly string[]): Spec {
  return Object.fromEntries(Object.entries(spec).filter(([name]) => names.includes(name)));
}

function withoutMembers(spec: Spec, names: readonly string[] = []): Spec {
  return Object.fromEntries(Object.entries(spec).filter(([name]) => !names.includes(name)));
}

/** Shifts of schedules whose shifts change. */
export function changedShifts({ steps }: Compared): number {
  return steps.reduce((sum, { kind, op, spec, members }) => {
    const isChanged =
      kind.kind === "oncall" && (op === "create" || members.some(({ path }) => path.startsWith("shifts")));
    const { shifts = [] } = spec as { readonly shifts?: readonly unknown[] };
    return isChanged ? sum + shifts.length : sum;
  }, 0);
}

export function countsOf({ steps }: Compared): ConfigurationPlan["counts"] {
  const counts = { created: 0, changed: 0, deleted: 0 };
  for (const { op } of steps) counts[op === "create" ? "created" : op === "delete" ? "deleted" : "changed"]++;
  return counts;
}
