import { PrismError } from "../../../core/errors.ts";
import { toRfc3339 } from "../../../core/time/clock.ts";
import type { FeatureCore } from "../../../module/feature.ts";
import { addEffect, later, type ReadDb, type Trx } from "../../../store/database.ts";
import type { ManagedObjectsTable } from "../../../store/schema.ts";

/** An object that files own. */
export type ManagedRow = ManagedObjectsTable;

type Known = Pick<ManagedRow, "name" | "source" | "place" | "isLocked" | "unlockedUntil" | "projectId">;

export const rowKey = (kind: string, objectId: string) => `${kind} ${objectId}`;

/** What files own, in memory: each change of a locked object asks. */
export class ManagedObjects {
  readonly #rows = new Map<string, Known>();
  readonly #locked = new Set<string>();
  readonly #core: Pick<FeatureCore, "db" | "clock">;

  constructor(core: Pick<FeatureCore, "db" | "clock">) {
    this.#core = core;
  }

  async load(): Promise<void> {
    const rows = await this.#core.db.read
      .selectFrom("managed_objects")
      .select(["kind", "objectId", "projectId", "name", "source", "place", "isLocked", "unlockedUntil"])
      .execute();
    for (const row of rows) this.#note(row);
  }

  changed({
    stored,
    removed,
  }: {
    readonly stored: readonly ManagedRow[];
    readonly removed: readonly ManagedRow[];
  }): void {
    for (const row of removed) {
      this.#rows.delete(rowKey(row.kind, row.objectId));
      this.#locked.delete(rowKey(row.kind, row.objectId));
    }
    for (const row of stored) this.#note(row);
  }

  #note({ kind, objectId, ...known }: Known & Pick<ManagedRow, "kind" | "objectId">): void {
    const { name, source, place, projectId, isLocked, unlockedUntil } = known;
    const key = rowKey(kind, objectId);
    this.#rows.set(key, { name, source, place, projectId, isLocked, unlockedUntil });
    if (isLocked === 1) this.#locked.add(key);
    else this.#locked.delete(key);
  }

  get hasLocks(): boolean {
    return this.#locked.size > 0;
  }

  /** Also while it may be changed by hand. */
  isLocked(kind: string, objectId: string): boolean {
    return this.#locked.has(rowKey(kind, objectId));
  }

  /** What refuses changes of an object that only its files may change; undefined: nothing does. */
  lockOf(kind: string, objectId: string) {
    const row = this.#rows.get(rowKey(kind, objectId));
    if (!row || row.isLocked === 0 || (row.unlockedUntil ?? 0) > this.#core.clock.now()) return undefined;
    const { name, source, place, projectId } = row;
    const where = place === null ? "" : ` (${place})`;
    const message = `This is in the configuration files of ${source}${where}: change it there, or unlock it for a while (prism api unlockManagedObject)`;
    // What a request to unlock it names.
    const details = [{ code: "MANAGED_BY_CODE", message, kind, project: projectId, name }];
    return { projectId, error: () => new PrismError("MANAGED_BY_CODE", message, { details }) };
  }

  /** Whether an object of a source was unlocked until a time that has passed since. */
  hasEndedUnlock(source: string, since: number): boolean {
    const now = this.#core.clock.now();
    const rows = [...this.#rows.values()];
    return rows.some((row) => row.source === source && isWithin(row.unlockedUntil, since, now));
  }

  /** @throws MANAGED_BY_CODE */
  requireUnlocked(kind: string, objectId: string): void {
    const lock = this.lockOf(kind, objectId);
    if (lock) throw lock.error();
  }
}

function isWithin(at: number | null, after: number, until: number): boolean {
  return at !== null && at > after && at <= until;
}

export async function managedRows(db: ReadDb | Trx): Promise<ManagedRow[]> {
  return db.selectFrom("managed_objects").selectAll().orderBy("kind").orderBy("name").execute();
}

const COLUMNS = [
  ...(["kind", "objectId", "projectId", "name", "source", "place", "spec"] as const),
  ...(["version", "isLocked", "unlockedUntil", "appliedAt"] as const),
];
const REPLACE = `replace into managed_objects (${COLUMNS.join(", ")}) values (${COLUMNS.map(() => "?").join(", ")})`;
const REMOVE = "delete from managed_objects where kind = ? and objectId = ?";

/** Stores what files own from now on, with its effect. */
export async function storeManaged(
  trx: Trx,
  stored: readonly ManagedRow[],
  removed: readonly ManagedRow[],
): Promise<void> {
  for (const { kind, objectId } of removed) later(trx, REMOVE, [kind, objectId]);
  for (const row of stored)
    later(
      trx,
      REPLACE,
      COLUMNS.map((name) => row[name]),
    );
  if (stored.length + removed.length > 0) addEffect(trx, { type: "managed-changed", stored, removed });
}

/** A row as lists have it, but for its drift. */
export function managedView(row: ManagedRow, project: string | null) {
  const { kind, name, objectId: id, source, place: at, isLocked, unlockedUntil, appliedAt } = row;
  const until = unlockedUntil === null ? null : toRfc3339(unlockedUntil);
  return {
    kind,
    project,
    name,
    at,
    id,
    source,
    isLocked: isLocked === 1,
    unlockedUntil: until,
    appliedAt: toRfc3339(appliedAt),
  };
}
