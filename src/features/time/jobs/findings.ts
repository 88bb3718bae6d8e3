import { sql } from "kysely";
import type { Finding } from "../../../core/finding.ts";
import type { QueueName } from "../../../core/limits/queues.ts";
import { countText } from "../../../core/text/clean-text.ts";
import { MINUTE_MS } from "../../../core/time/clock.ts";
import type { Uses } from "../../../module/feature.ts";
import type { FeatureFindings } from "../../../module/findings.ts";
import { pausedKey } from "./operator.ts";
import type { JobRunner } from "./runner/runner.ts";
import { deadIn, type JobCount } from "./runner/runner-queue.ts";

/** How long a page may wait in a paused queue. */
export const PAUSED_AFTER_MS = MINUTE_MS;

type Parts = Uses<"runner" | "countJobs" | "db" | "clock">;

/** Dead jobs and paused queues. Late jobs are found by doctor: a server that runs has them soon. */
export const jobFindings: FeatureFindings<Parts> = {
  stored: () => import("./doctor.ts"),
  permission: "jobs:read",
  known: ({ runner }) => pausedIn(runner).map(pausedQueue),
  async shownTo({ runner, countJobs }) {
    const counts = await countJobs();
    const paused = pausedIn(runner).map((queue) => shownQueue(queue, counts));
    return [...deadIn(counts).map(deadJobs), ...paused];
  },
  lastResort: { "queue-paused": pagesInPausedQueues },
};

function pausedIn(runner: JobRunner): QueueName[] {
  return runner.queueNames.filter((name) => runner.isPaused(name));
}

function deadJobs({ queue, n }: JobCount): Finding {
  return {
    ...{ code: "queues", severity: "warning", subject: queue },
    text: `${countText(n, "job")} failed in ${queue}`,
    shown: {
      kind: "jobs",
      key: `jobs:${queue}`,
      detail: n === 1 ? "It has used up its attempts" : "They have used up their attempts",
      link: `/jobs?state=dead&queue=${encodeURIComponent(queue)}`,
      ids: [queue],
      counts: { dead: n },
    },
  };
}

function pausedQueue(queue: string): Finding {
  return {
    ...{ code: "queues", severity: "warning", subject: queue },
    text: `Queue ${queue} is paused`,
    entries: { key: `queue ${queue}`, began: ["queue.paused", { queue }], ended: ["queue.resumed", { queue }] },
  };
}

function shownQueue(queue: string, counts: readonly JobCount[]): Finding {
  const waiting = counts.find((count) => count.queue === queue && count.state === "ready")?.n ?? 0;
  return {
    ...pausedQueue(queue),
    severity: waiting > 0 ? "warning" : "info",
    shown: {
      kind: "queue",
      key: `queue:${queue}`,
      detail: countText(waiting, "job waits", "jobs wait"),
      link: `/jobs?queue=${encodeURIComponent(queue)}`,
      ids: [queue],
      counts: { waiting },
    },
  };
}

/** Jobs of incidents that were due for a while and wait in a paused queue. */
async function pagesInPausedQueues({ runner, db, clock }: Parts): Promise<Finding | null> {
  const queues = pausedIn(runner);
  if (queues.length === 0) return null;
  const before = clock.now() - PAUSED_AFTER_MS;
  const counts = await db.scan
    .selectFrom("jobs as j")
    .innerJoin("incidents as i", "i.id", "j.correlationId")
    .select(["j.queue", (e) => e.fn.countAll<number>().as("pages")])
    .where("j.queue", "in", queues)
    // A literal: SQLite could not use the partial index with a bound value.
    .where("j.state", "=", sql.lit("ready"))
    .where("j.runAt", "<=", before)
    .groupBy("j.queue")
    .execute();
  if (counts.length === 0) return null;
  const waiting = await Promise.all(
    counts.map(async ({ queue, pages }) => {
      const pause = await db.scan
        .selectFrom("settings as s")
        .leftJoin("users as u", "u.id", "s.updatedBy")
        .select(["u.username", "s.updatedAt"])
        .where("s.key", "=", pausedKey(queue as QueueName))
        .executeTakeFirst();
      const by = pause?.username ?? "An operator";
      const text = `${by} paused the queue ${queue}, in which ${countText(pages, "page waits", "pages wait")}`;
      return { text, since: pause?.updatedAt ?? before };
    }),
  );
  return {
    ...{ code: "queue-paused", severity: "critical", pages: "last resort" },
    text: `${waiting.map(({ text }) => text).join("; ")}.`,
    since: Math.min(...waiting.map(({ since }) => since)),
  };
}
