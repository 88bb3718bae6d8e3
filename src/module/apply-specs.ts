import { isDeepStrictEqual } from "node:util";
import { type ErrorDetail, MAX_ERROR_DETAILS, PrismError, STATUS_OF } from "../core/errors.ts";
import { uuidv7 } from "../core/ids.ts";
import { eachWithin } from "../core/promises.ts";
import type { Database, Trx } from "../store/database.ts";
import type { ConfigKind, ObjectOwner, ObjectVersion, Spec, StoredObject } from "./config-kind.ts";

/** For the hosts of all objects together. */
export const RESOLVE = { atOnce: 6, limitMs: 10_000 } as const;

/** An object of an import, in the order in which it is stored: those that it names come before. */
export interface GivenSpec {
  readonly kind: ConfigKind;
  readonly name: string;
  /** Of it in the request, for problems. */
  readonly path: string;
  /** Its members; absent ones keep their values. @param stored null: it is new */
  spec(stored: StoredObject | null, idOf: (path: string) => string | undefined): Spec;
}

export interface AppliedSpec {
  readonly id: string;
  readonly name: string;
  readonly outcome: "created" | "updated" | "unchanged";
}

/** Ends a transaction that is to leave nothing: a dry run, a plan. */
export class RolledBack extends Error {
  override readonly name = "RolledBack";
}

/** The store may have wrapped it. */
export function isRolledBack(error: unknown): boolean {
  return error instanceof RolledBack || (error instanceof Error && error.cause instanceof RolledBack);
}

interface Draft extends GivenSpec {
  readonly id: string;
  readonly stored: StoredObject | null;
  readonly members: Spec;
  readonly isSame: boolean;
  prepared: unknown;
}

/**
 * Stores the objects of an import, found again by their names, in one transaction: all, or none.
 * @param check of the outcomes, before they are stored
 * @throws VALIDATION_FAILED with every problem that was found
 */
export async function applySpecs(
  db: Database,
  owner: ObjectOwner,
  given: readonly GivenSpec[],
  { dryRun, check }: { readonly dryRun: boolean; readonly check: (applied: readonly AppliedSpec[]) => void },
): Promise<readonly AppliedSpec[]> {
  const before = await listsOf(db.read, owner, given);
  const drafts = draftsOf(given, before, dryRun);
  const planned = (kind: string) => drafts.filter((each) => each.kind.kind === kind).map(({ members }) => members);
  const all = { ...owner, planned };
  const problems: ErrorDetail[][] = [];
  await eachWithin(
    RESOLVE,
    drafts.entries(),
    async ([at, draft]) => {
      if (draft.isSame) return;
      const { kind, members, stored, id, path } = draft;
      problems[at] = await problemsOf(path, async () => {
        draft.prepared = await kind.prepare?.(all, members, stored, id);
      });
    },
    ([, { kind, name }]) => `${kind.noun} ${name}`,
  );
  requireNone(problems.flat());
  const applied: AppliedSpec[] = [];
  const work = async (trx: Trx): Promise<void> => {
    // Another change of the same objects came first.
    for (const [kind, objects] of before)
      if (!(await isAsListed(trx, kind, owner.projectId, objects)))
        throw new PrismError("INVALID_STATE", "Someone else changes the same objects: try again");
    const found: ErrorDetail[] = [];
    for (const draft of drafts) found.push(...(await problemsOf(draft.path, () => store(trx, all, draft))));
    requireNone(found);
    const after = await listsOf(trx, owner, given);
    applied.push(...drafts.map((draft) => appliedOf(draft, after)));
    if (dryRun) throw new RolledBack();
    check(applied);
  };
  await db.write(work).catch((error: unknown) => {
    if (!isRolledBack(error)) throw error;
  });
  return applied;
}

/**
 * Whether the objects of a kind are as they were listed, and no other ones: in the transaction that changes some of
 * them. @param list them again, for a kind that has no list of versions
 */
export async function isAsListed(
  trx: Trx,
  kind: ConfigKind,
  projectId: string | null,
  objects: readonly StoredObject[],
  list: () => Promise<readonly StoredObject[]> = () => kind.list(trx, projectId),
): Promise<boolean> {
  return kind.versions
    ? hasVersions(objects, await kind.versions(trx, projectId))
    : isDeepStrictEqual(await list(), objects);
}

function hasVersions(objects: readonly StoredObject[], now: readonly ObjectVersion[]): boolean {
  const versions = new Map(now.map((each) => [each.id, each]));
  const isSame = ({ id, version, state }: ObjectVersion) => {
    const other = versions.get(id);
    return other !== undefined && other.version === version && other.state === state;
  };
  return versions.size === objects.length && objects.every(isSame);
}

type Lists = ReadonlyMap<ConfigKind, readonly StoredObject[]>;

async function listsOf(db: Parameters<ConfigKind["list"]>[0], owner: ObjectOwner, given: readonly GivenSpec[]) {
  const lists = new Map<ConfigKind, readonly StoredObject[]>();
  for (const { kind } of given) if (!lists.has(kind)) lists.set(kind, await kind.list(db, owner.projectId));
  return lists;
}

function storedOf(lists: Lists, { kind, name }: GivenSpec): StoredObject | null {
  const all = lists.get(kind) ?? [];
  return (kind.isSingle ? all[0] : all.find((each) => each.name === name)) ?? null;
}

function draftsOf(given: readonly GivenSpec[], lists: Lists, dryRun: boolean): Draft[] {
  const ids = new Map(given.map((each) => [each.path, storedOf(lists, each)?.id ?? uuidv7()]));
  return given.map((each): Draft => {
    const { kind, path } = each;
    const stored = storedOf(lists, each);
    const asked = each.spec(stored, (other) => ids.get(other));
    const complete = { ...kind.defaults, ...stored?.spec, ...asked };
    const members = kind.canonical ? kind.canonical(complete) : complete;
    return {
      ...each,
      id: ids.get(path) ?? "",
      stored,
      members,
      isSame: isSame(stored, members, dryRun),
      prepared: undefined,
    };
  });
}

/** A dry run must not tell whether a secret was guessed. */
function isSame(stored: StoredObject | null, members: Spec, dryRun: boolean): boolean {
  if (stored === null || stored.isImplicit) return false;
  const { values, rest } = takeSecrets(members, stored);
  const isKept = [...values].every(([path, value]) => !dryRun && value === stored.secrets?.[path]);
  return isKept && isDeepStrictEqual(rest, stored.spec);
}

/** The secrets among the members of an object, by path, and the others. */
export function takeSecrets(spec: Spec, stored: StoredObject | null | undefined) {
  const values = new Map<string, string>();
  let rest = spec;
  for (const path of Object.keys(stored?.secrets ?? {})) {
    const [member = "", below = ""] = path.split(".");
    const { [below]: value, ...others } = (rest[member] ?? {}) as Spec;
    if (typeof value !== "string") continue;
    values.set(path, value);
    rest = { ...rest, [member]: others };
  }
  return { values, rest };
}

async function store(trx: Trx, owner: ObjectOwner, draft: Draft): Promise<void> {
  const { kind, stored, id, members, isSame, prepared } = draft;
  if (isSame) return;
  if (stored === null || stored.isImplicit) await kind.create(trx, owner, id, members, prepared);
  else await kind.update(trx, owner, stored, members, prepared);
}

function appliedOf(draft: Draft, after: Lists): AppliedSpec {
  const { id, name, stored } = draft;
  const isKept = stored !== null && storedOf(after, draft)?.version === stored.version;
  return { id, name, outcome: isKept ? "unchanged" : stored === null || stored.isImplicit ? "created" : "updated" };
}

async function problemsOf(path: string, work: () => Promise<unknown>): Promise<ErrorDetail[]> {
  try {
    await work();
    return [];
  } catch (error) {
    // A budget or a problem of the server is none of the input, and a lock is one of all of it.
    if (!(error instanceof PrismError) || STATUS_OF[error.code] >= 429 || error.code === "MANAGED_BY_CODE") throw error;
    const found = error.details ?? [{ path: "", code: error.code, message: error.message }];
    return found.map((each) => ({ ...each, path: each.path ? `${path}.${each.path}` : path }));
  }
}

/** @throws VALIDATION_FAILED */
export function requireNone(problems: readonly ErrorDetail[]): void {
  if (problems.length === 0) return;
  const details = problems.slice(0, MAX_ERROR_DETAILS);
  throw new PrismError("VALIDATION_FAILED", "The import is not valid; nothing was stored", { details });
}
