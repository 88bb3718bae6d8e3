import type { Database as Sqlite } from "better-sqlite3";
import type { Clock } from "../../../core/clock.ts";
import { HOUR_MS, MINUTE_MS } from "../../../core/clock.ts";
import { DueTimes, SteadyClock } from "../../../core/due-times.ts";
import type { Uses } from "../../../module/feature.ts";
import type { Trx } from "../../../store/database.ts";
import type { Notifier } from "../../notifications/index.ts";
import { responsibleFor } from "./responsible.ts";
import { type PagingWarning, projectWarnings, type WarningParts } from "./warnings.ts";

/** Changes of one edit are looked at together, and a channel that was just created may be tested first. */
const AFTER_CHANGE_MS = 10 * MINUTE_MS;
const PRIORITY = 300;

interface NoticeParts extends Uses<"db" | "log"> {
  readonly wall: Clock;
  readonly notify: Pick<Notifier, "send" | "update">;
  readonly warnings: WarningParts;
}

/**
 * Notices of what would keep pages from arriving, of projects with policies of their own: ten minutes
 * after a start or a change of a policy, then each hour. One notice for each cause; its text says
 * when the cause is mended.
 */
export class PagingWarningNotices {
  readonly #parts: NoticeParts;
  readonly #clock: SteadyClock;
  readonly #due: DueTimes<string>;

  constructor(parts: NoticeParts) {
    this.#parts = parts;
    this.#clock = new SteadyClock(parts.wall);
    this.#due = new DueTimes({
      clock: this.#clock,
      handle: (ids) => this.#look(ids),
      onError: (error) => parts.log.error({ err: error }, "checking for warnings of paging failed; retrying"),
      batch: 20,
    });
  }

  load(reader: Sqlite): void {
    const rows = reader
      .prepare<[], { projectId: string }>("select distinct projectId from policies where deletedAt is null")
      .all();
    this.policiesChanged(rows.map(({ projectId }) => projectId));
  }

  start(): void {
    this.#due.start();
  }

  stop(): Promise<void> {
    return this.#due.stop();
  }

  /** Looks at what is due now; for tests. */
  check(): Promise<void> {
    return this.#due.check();
  }

  /** A commit has changed policies of these projects. */
  policiesChanged(projectIds: readonly string[]): void {
    for (const id of projectIds) this.#due.set(id, this.#clock.now() + AFTER_CHANGE_MS);
  }

  async #look(projectIds: readonly string[]): Promise<void> {
    const { db, warnings } = this.#parts;
    for (const projectId of projectIds) {
      const isThere = warnings.projects.exists(projectId);
      const found = isThere ? await projectWarnings(warnings, db.scan, projectId) : [];
      await db.write((trx) => this.#report(trx, projectId, found));
      this.#due.set(projectId, isThere ? this.#clock.now() + HOUR_MS : null);
    }
  }

  async #report(trx: Trx, projectId: string, found: readonly PagingWarning[]): Promise<void> {
    const known = await trx.selectFrom("paging_warnings").selectAll().where("projectId", "=", projectId).execute();
    const causes = new Set(found.map(({ cause }) => cause));
    for (const { cause, notificationId } of known.filter((row) => !causes.has(row.cause))) {
      await this.#mended(trx, notificationId);
      await trx.deleteFrom("paging_warnings").where("cause", "=", cause).execute();
    }
    for (const warning of found)
      if (!known.some(({ cause }) => cause === warning.cause)) await this.#send(trx, projectId, warning);
  }

  async #send(trx: Trx, projectId: string, { cause, code, message, policyId }: PagingWarning): Promise<void> {
    const { notify, wall, warnings } = this.#parts;
    const { users, isOfProject } = await responsibleFor(warnings.users, trx, projectId, [policyId ?? projectId]);
    if (users.length === 0) return;
    const title = "Pages may not arrive";
    const { id } = await notify.send(
      {
        ...{ kind: "oncall", recipients: users, title, message, priority: PRIORITY, data: { code, policyId } },
        projectId: isOfProject ? projectId : null,
      },
      { trx },
    );
    await trx
      .insertInto("paging_warnings")
      .values({ cause, projectId, notificationId: id, sentAt: wall.now() })
      .execute();
  }

  async #mended(trx: Trx, id: string): Promise<void> {
    const row = await trx.selectFrom("notifications").select("message").where("id", "=", id).executeTakeFirst();
    if (row) await this.#parts.notify.update(id, { title: "Fixed: pages may not arrive", message: row.message }, trx);
  }
}
