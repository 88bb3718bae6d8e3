import * as v from "valibot";
import type { PermissionHolder } from "../core/caller.ts";
import type { EpochMs } from "../core/time/clock.ts";
import { doc, text } from "../http/api/shapes.ts";
import type { ReadDb, Trx } from "../store/database.ts";
import { type ConfigKind, configKind, type StoredObject } from "./config-kind.ts";

/* What files make once: overrides, swaps, days off, silences, pauses. It is never planned, pruned or locked. */

interface RuntimeParts<S> extends Pick<ConfigKind, "kind" | "noun" | "key" | "rights" | "nameOf" | "masked"> {
  /** Members of files, in the form of requests, without a name. */
  entries(): v.ObjectEntries;
  /** Those that are not over, in the order in which they were made. */
  list(db: ReadDb | Trx, projectId: string): Promise<readonly Pick<StoredObject, "id" | "spec">[]>;
  /** When an entry is over by itself; null: never, or that follows from when it is made. */
  end(db: ReadDb, spec: S): Promise<EpochMs | null> | EpochMs | null;
  /** Outside of the transaction. @throws PrismError */
  check?(spec: S): unknown;
  /** In the transaction, with the rights and checks of requests. @throws PrismError */
  make(trx: Trx, caller: PermissionHolder, projectId: string, spec: S): Promise<unknown>;
}

/** A kind of such entries. One with a name is known by it, others by all that they say. */
export function runtimeKind<S extends object>({ entries, list, check, make, ...parts }: RuntimeParts<S>): ConfigKind {
  return configKind<S>({
    ...(parts as Omit<typeof parts, "end"> & Pick<ConfigKind, "end">),
    ...{ resourceType: parts.kind, scope: "project", after: [], defaults: {} },
    entries: () => ({ name: v.optional(doc(text(100, 1), "It is made once under this name")), ...entries() }),
    async list(db, projectId) {
      const found = projectId === null ? [] : await list(db, projectId);
      return found.map((each) => ({ ...each, name: each.id, version: 1 }));
    },
    prepare: async (_owner, spec) => void (await check?.(spec)),
    async create(trx, { caller, projectId }, _id, spec) {
      if (projectId === null) throw new TypeError("it belongs to a project");
      await make(trx, caller, projectId, spec);
      return undefined;
    },
    async update() {
      throw new TypeError("it is made once");
    },
  });
}
