import type { Database as Sqlite } from "better-sqlite3";
import { sql } from "kysely";
import { currentCaller } from "../base/caller.ts";
import { cleanText } from "../base/clean-text.ts";
import type { Clock } from "../base/clock.ts";
import { PrismError } from "../base/errors.ts";
import { isUuid, uuidv7 } from "../base/ids.ts";
import type { Database, Trx } from "../store/database.ts";

export interface DirectoryParts {
  readonly database: Database;
  readonly reader: Sqlite;
  readonly clock: Clock;
  readonly unknownRecipient: "provision" | "reject";
  readonly timezone: string;
  readonly defaultProjectId: string;
  /** Called after a user was made. */
  onChange(): void;
}

/** Finds the people that callers mean (D18): `me`, an id, an external id, a username. */
export class UserDirectory {
  readonly #parts: DirectoryParts;
  readonly #find;
  readonly #isMember;

  constructor(parts: DirectoryParts) {
    this.#parts = parts;
    this.#find = parts.reader.prepare<{ ref: string }, { id: string; status: string }>(
      `select id, status from users where deletedAt is null and (id = @ref or externalId = @ref or username = @ref)
       order by id = @ref desc, externalId = @ref desc limit 1`,
    );
    this.#isMember = parts.reader.prepare<[string, string]>(
      "select 1 from project_members where projectId = ? and userId = ?",
    );
  }

  /** @returns the id of an active user; undefined when there is none. */
  find(ref: string): string | undefined {
    const { principal } = currentCaller();
    if (ref === "me") return principal && principal.kind !== "apiKey" ? principal.userId : undefined;
    const user = this.#find.get({ ref });
    return user?.status === "active" ? user.id : undefined;
  }

  /**
   * The ids that references stand for, without duplicates, in their order. Unknown ones are made (without password) where the configuration
   * says so. @param projectId what a key may reach: its project's members. @throws RECIPIENT_NOT_FOUND
   */
  async recipients(refs: readonly string[], trx: Trx, projectId: string | null): Promise<string[]> {
    const ids = new Set<string>();
    for (const [at, ref] of refs.entries()) {
      const id = this.find(ref) ?? (await this.#provision(ref, trx));
      if (id === undefined || !this.#isReachable(id, projectId)) {
        throw new PrismError("RECIPIENT_NOT_FOUND", "No such recipient", {
          details: [
            { path: `recipients.${at}`, code: "RECIPIENT_NOT_FOUND", message: "is no active user that you can reach" },
          ],
        });
      }
      ids.add(id);
    }
    return [...ids];
  }

  #isReachable(userId: string, projectId: string | null): boolean {
    return (
      projectId === null ||
      projectId === this.#parts.defaultProjectId ||
      this.#isMember.get(projectId, userId) !== undefined
    );
  }

  /** A user who can only be told things: no password, no role, known by the reference as external id. */
  async #provision(ref: string, trx: Trx): Promise<string | undefined> {
    const { clock, timezone, database, onChange, unknownRecipient } = this.#parts;
    const externalId = cleanText(ref);
    if (unknownRecipient !== "provision" || ref === "me" || isUuid(ref) || externalId !== ref || ref.length > 128)
      return undefined;
    // Known, but not active: a person who was shut out is not made anew.
    if (this.#find.get({ ref })) return undefined;
    const now = clock.now();
    const id = uuidv7();
    await trx
      .insertInto("users")
      .values({ id, externalId, name: externalId, status: "active", timezone, createdAt: now, updatedAt: now })
      .onConflict((conflict) =>
        conflict.column("externalId").where(sql<boolean>`externalId is not null and deletedAt is null`).doNothing(),
      )
      .execute();
    database.afterCommit(trx, onChange);
    // The same transaction may have made it a moment ago, for an earlier reference.
    const row = await trx
      .selectFrom("users")
      .select("id")
      .where("externalId", "=", externalId)
      .where("deletedAt", "is", null)
      .executeTakeFirst();
    return row?.id;
  }
}
