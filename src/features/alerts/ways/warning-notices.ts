import { sql } from "kysely";
import { countText } from "../../../core/text/clean-text.ts";
import type { Clock } from "../../../core/time/clock.ts";
import { HOUR_MS, MINUTE_MS } from "../../../core/time/clock.ts";
import { DueTimes, SteadyClock } from "../../../core/time/due-times.ts";
import type { Uses } from "../../../module/feature.ts";
import type { Trx } from "../../../store/database.ts";
import type { Notifier } from "../../notifications/index.ts";
import { responsibleFor } from "./responsible.ts";
import { type PagingWarning, projectWarnings, type WarningParts } from "./warnings.ts";

/** Changes of one edit are looked at together, and a channel that was just created may be tested first. */
const AFTER_CHANGE_MS = 10 * MINUTE_MS;
const PRIORITY = 300;

interface NoticeParts extends Uses<"db" | "reader" | "log"> {
  readonly wall: Clock;
  readonly notify: Pick<Notifier, "send" | "update">;
  readonly warnings: WarningParts;
}

/** Warnings in the text of one notice. */
const SHOWN = 20;
const MAX_MESSAGE = 4000;

interface NewWarning extends PagingWarning {
  readonly projectId: string;
}

/** The people of one notice, and what is in it. */
interface Digest {
  readonly users: string[];
  /** False: administrators are notified of another's project. */
  readonly isOfProject: boolean;
  readonly warnings: readonly NewWarning[];
}

/**
 * Notices of what would keep pages from arriving, of projects with policies of their own: ten minutes
 * after a start or a change of a policy, then each hour. A person has one notice of all that was
 * found at a time, and none for the same again; its title says when the causes are mended.
 */
export class PagingWarningNotices {
  readonly #parts: NoticeParts;
  readonly #clock: SteadyClock;
  /** When projects are looked at. */
  readonly due: DueTimes<string>;

  constructor(parts: NoticeParts) {
    this.#parts = parts;
    this.#clock = new SteadyClock(parts.wall);
    const projects = parts.reader
      .prepare<[], string>("select distinct projectId from policies where deletedAt is null")
      .pluck();
    this.due = new DueTimes({
      clock: this.#clock,
      read: () => projects.all().map((id) => [id, this.#clock.now() + AFTER_CHANGE_MS]),
      handle: (ids) => this.#look(ids),
      onError: (error) => parts.log.error({ err: error }, "checking for warnings of paging failed; retrying"),
      batch: 20,
    });
  }

  /** A commit has changed policies of these projects. */
  policiesChanged(projectIds: readonly string[]): void {
    for (const id of projectIds) this.due.set(id, this.#clock.now() + AFTER_CHANGE_MS);
  }

  async #look(projectIds: readonly string[]): Promise<void> {
    const { db, warnings } = this.#parts;
    const found = new Map<string, readonly PagingWarning[]>();
    for (const projectId of projectIds) {
      // They are looked for again within an hour of its end.
      if (warnings.projects.isMirror(projectId)) continue;
      const isThere = warnings.projects.exists(projectId);
      found.set(projectId, isThere ? await projectWarnings(warnings, db.scan, projectId) : []);
    }
    await db.write(async (trx) => {
      const news: NewWarning[] = [];
      for (const [projectId, all] of found) news.push(...(await this.#compare(trx, projectId, all)));
      for (const digest of await this.#digestsOf(trx, news)) await this.#send(trx, digest);
    });
    for (const projectId of projectIds)
      this.due.set(projectId, warnings.projects.exists(projectId) ? this.#clock.now() + HOUR_MS : null);
  }

  /** Forgets what is mended. @returns what is new */
  async #compare(trx: Trx, projectId: string, found: readonly PagingWarning[]): Promise<NewWarning[]> {
    const known = await trx.selectFrom("paging_warnings").selectAll().where("projectId", "=", projectId).execute();
    const causes = new Set(found.map(({ subject }) => subject));
    for (const { cause, notificationId } of known.filter((row) => !causes.has(row.cause))) {
      await trx.deleteFrom("paging_warnings").where("cause", "=", cause).execute();
      for (const id of notificationId.split(" ")) await this.#mended(trx, id);
    }
    const isKnown = new Set(known.map(({ cause }) => cause));
    return found.filter(({ subject }) => !isKnown.has(subject)).map((warning) => ({ ...warning, projectId }));
  }

  /** One for each person; people with the same warnings share theirs. */
  async #digestsOf(trx: Trx, news: readonly NewWarning[]): Promise<Digest[]> {
    const { users } = this.#parts.warnings;
    const byPerson = new Map<string, { isOfProject: boolean; warnings: NewWarning[] }>();
    for (const warning of news) {
      const { projectId, policyId } = warning;
      const people = await responsibleFor(users, trx, projectId, [policyId ?? projectId]);
      for (const user of people.users) {
        const own = byPerson.get(user) ?? { isOfProject: true, warnings: [] };
        own.warnings.push(warning);
        byPerson.set(user, { ...own, isOfProject: own.isOfProject && people.isOfProject });
      }
    }
    const digests = new Map<string, Digest>();
    for (const [user, own] of byPerson) {
      const key = own.warnings.map(({ subject }) => subject).join("\n");
      const digest = digests.get(key) ?? { ...own, users: [] };
      digest.users.push(user);
      digests.set(key, digest);
    }
    return [...digests.values()];
  }

  async #send(trx: Trx, { users, isOfProject, warnings }: Digest): Promise<void> {
    const { notify, wall } = this.#parts;
    const [first] = warnings;
    if (!first) return;
    const isOfOne = isOfProject && warnings.every(({ projectId }) => projectId === first.projectId);
    const { code, policyId } = first;
    const { id } = await notify.send(
      {
        ...{ kind: "oncall", recipients: users, priority: PRIORITY, data: { code, policyId } },
        ...(warnings.length === 1 ? { title: TITLE, message: first.text } : digestText(warnings)),
        projectId: isOfOne ? first.projectId : null,
      },
      { trx },
    );
    for (const { subject: cause, projectId } of warnings)
      await trx
        .insertInto("paging_warnings")
        .values({ cause, projectId, notificationId: id, sentAt: wall.now() })
        // Other people have another notice of it.
        .onConflict((conflict) =>
          conflict.column("cause").doUpdateSet({ notificationId: sql`paging_warnings.notificationId || ' ' || ${id}` }),
        )
        .execute();
  }

  /** A cause of this notice is gone. */
  async #mended(trx: Trx, id: string): Promise<void> {
    const row = await trx.selectFrom("notifications").select("message").where("id", "=", id).executeTakeFirst();
    if (!row) return;
    const { left } = await trx
      .selectFrom("paging_warnings")
      .select((e) => e.fn.countAll<number>().as("left"))
      .where(sql<boolean>`instr(notificationId, ${id}) > 0`)
      .executeTakeFirstOrThrow();
    const title = left === 0 ? "Fixed: pages may not arrive" : `${TITLE}: ${countText(left, "problem")} left`;
    await this.#parts.notify.update(id, { title, message: row.message }, trx);
  }
}

const TITLE = "Pages may not arrive";

function digestText(warnings: readonly NewWarning[]) {
  const lines = warnings.slice(0, SHOWN).map((warning) => `- ${warning.text}`);
  const more = warnings.length - SHOWN;
  const rest = more > 0 ? [`and ${more} more`] : [];
  const where = "The list is on the page Policies, by GET /api/v1/policies/warnings and prism doctor.";
  const text = [...lines, ...rest].join("\n").slice(0, MAX_MESSAGE - where.length - 1);
  return { title: `${TITLE}: ${countText(warnings.length, "problem")}`, message: `${text}\n${where}` };
}
