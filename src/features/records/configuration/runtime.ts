import { sha256Hex } from "../../../core/crypto/tokens.ts";
import { PrismError } from "../../../core/errors.ts";
import type { EpochMs } from "../../../core/time/clock.ts";
import { toFile } from "../../../http/api/file-form.ts";
import type { ConfigKind, Spec } from "../../../module/config-kind.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";
import { valuesOf } from "../../../store/sqlite/list-queries.ts";
import type { KnownNames } from "./names.ts";
import { type ConfigurationContext, type Listed, type ReadRequest, schemaOf, type Wanted } from "./reading.ts";

/* Runtime entries of files: overrides, swaps, days off, silences, pauses. They are made once, and never planned. */

/** Making one takes about as long as changing a shift, while others wait for the writer. */
export const MAX_ENTRIES = 200;

const MAX_PROBLEMS = 20;

/** An entry that was not made yet. */
export interface FreshEntry {
  readonly wanted: Wanted;
  readonly key: string;
  readonly endsAt: EpochMs | null;
}

/** The entries of a request. */
export interface RuntimeEntries {
  readonly fresh: readonly FreshEntry[];
  /** How many were made before. */
  readonly known: number;
  readonly over: readonly Wanted[];
}

export async function runtimeEntries(
  { db, clock }: Pick<ConfigurationContext, "db" | "clock">,
  { entries }: Pick<ReadRequest, "entries">,
  source: string,
): Promise<RuntimeEntries> {
  const now = clock.now();
  const over: Wanted[] = [];
  const found = new Map<string, FreshEntry>();
  for (const wanted of entries) {
    const { kind, spec } = wanted;
    const end = (await kind.end?.(db.read, spec)) ?? null;
    const key = keyOf(wanted, source);
    if (end !== null && end <= now) over.push(wanted);
    else found.set(key, { wanted, key, endsAt: end });
  }
  const known = await knownKeys(db.read, [...found.keys()], now);
  return { fresh: [...found.values()].filter(({ key }) => !known.has(key)), known: known.size, over };
}

/** For the answer. */
export function runtimeView({ slugs }: Pick<ReadRequest, "slugs">, { fresh, known, over }: RuntimeEntries) {
  const views = over.map(({ kind, projectId, name, given: { at = null } }) => ({
    ...{ kind: kind.kind, project: slugs.get(projectId ?? "") ?? null, name, at },
  }));
  return { made: fresh.length, known, over: views };
}

/** The same for the same entry, however it is written. */
function keyOf({ kind, projectId, spec }: Wanted, source: string): string {
  return sha256Hex(JSON.stringify([source, kind.kind, projectId, nameIn(spec) ?? spec], sortedMembers));
}

function nameIn({ name }: Spec): string | undefined {
  return typeof name === "string" ? name : undefined;
}

function sortedMembers(_name: string, value: unknown): unknown {
  const isMembers = typeof value === "object" && value !== null && !Array.isArray(value);
  return isMembers ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) : value;
}

async function knownKeys(db: ReadDb | Trx, keys: readonly string[], now: EpochMs): Promise<ReadonlySet<string>> {
  if (keys.length === 0) return new Set();
  const rows = await db
    .selectFrom("runtime_entries")
    .select("key")
    .where("key", "in", valuesOf(keys))
    .where((each) => each.or([each("endsAt", "is", null), each("endsAt", ">=", now)]))
    .execute();
  return new Set(rows.map(({ key }) => key));
}

/** Notes what is wrong with an entry. */
export type RefuseEntry = (wanted: Wanted, error: unknown) => void;

/** Outside of the transaction. */
export async function prepareEntries(
  { caller }: Pick<ReadRequest, "caller">,
  fresh: readonly FreshEntry[],
  refuse: RefuseEntry,
): Promise<void> {
  for (const { wanted } of fresh) {
    const { kind, projectId, spec } = wanted;
    await Promise.resolve(kind.prepare?.({ caller, projectId }, spec, null, "")).catch((error: unknown) =>
      refuse(wanted, error),
    );
  }
}

/** Makes entries, and remembers them. */
export async function makeEntries(
  { clock }: Pick<ConfigurationContext, "clock">,
  trx: Trx,
  { caller, problems }: Pick<ReadRequest, "caller" | "problems">,
  fresh: readonly FreshEntry[],
  refuse: RefuseEntry,
): Promise<void> {
  if (fresh.length === 0) return;
  const keys = fresh.map(({ key }) => key);
  // Another apply may have made some meanwhile.
  const known = await knownKeys(trx, keys, clock.now());
  for (const { wanted, key } of fresh) {
    const { kind, projectId, spec, name } = wanted;
    if (known.has(key)) continue;
    try {
      await kind.create(trx, { caller, projectId }, name, spec, undefined);
    } catch (error) {
      refuse(wanted, error);
      if (problems.length >= MAX_PROBLEMS) return;
    }
  }
  await trx.deleteFrom("runtime_entries").where("endsAt", "<", clock.now()).execute();
  const rows = fresh.filter(({ key }) => !known.has(key)).map(({ key, endsAt }) => ({ key, endsAt }));
  if (rows.length > 0) await trx.insertInto("runtime_entries").values(rows).execute();
}

/** Whether an error of an entry says that a right is missing, and not that the entry is wrong. */
export function isLackOfRight(error: unknown): boolean {
  return error instanceof PrismError && error.code === "UNAUTHORIZED_ROLE";
}

/**
 * The runtime of a project as files have it, by kind. @param seen ids that other projects have, too: days off
 * @param notes receives what has no name
 */
export function exportedRuntime(
  lists: readonly Listed[],
  names: KnownNames,
  { seen, notes, isMasked }: { seen: Set<string>; notes: string[]; isMasked: (kind: ConfigKind) => boolean },
): Spec | undefined {
  const found: Record<string, Spec[]> = {};
  for (const { kind, projectId, objects } of lists)
    for (const { id, spec } of objects) {
      if (seen.has(id)) continue;
      seen.add(id);
      const own = names.of(projectId, []);
      let unnamed: string | undefined;
      const nameOf = (of: string, ref: string) => {
        const name = own.nameOf(of, ref);
        if (name === undefined) unnamed = of;
        return name;
      };
      const given = isMasked(kind) && kind.masked ? kind.masked(spec) : spec;
      const file = toFile(schemaOf(kind), given, { ...own, nameOf }) as Spec;
      const about = kind.nameOf?.(file);
      if (unnamed === undefined) found[kind.kind] = [...(found[kind.kind] ?? []), file];
      else notes.push(`${kind.noun} of ${about}: it names one of ${unnamed} who has no name`);
    }
  return Object.keys(found).length > 0 ? found : undefined;
}
