import { publicUrlOf } from "../config/public-url.ts";
import { HOUR_MS } from "../core/clock.ts";
import { silenceAt } from "../features/alerts/index.ts";
import { RateLimiter } from "../http/rate-limiter.ts";
import type { Parts } from "./parts.ts";

/** Addresses of the network and of subscribers, whose requests are counted. */
const MAX_SUBSCRIPTION_BUCKETS = 50_000;

/** What the feature of status pages needs of the others. */
export function statusPageOwn({ base, core, services }: Parts) {
  const { database: db, clock, settings, box, listening } = base;
  const { projects } = core.access;
  const { statusPages: pages, silences } = services.alerting;
  const { jobs, runner } = core.jobs;
  const mails = { db, clock, box, jobs, runner, pages, config: () => settings.current };
  const limiter = new RateLimiter(clock, MAX_SUBSCRIPTION_BUCKETS, HOUR_MS);
  return {
    ...{ db, clock, projects, pages, mails },
    subscribers: { db, clock, mails, settings, limiter },
    publicUrl: () => publicUrlOf(settings.current, listening.port),
    maintenanceOf: (projectId: string, now: number) =>
      silences.live(projectId).flatMap(({ row }) => (row.kind === "maintenance" ? silenceAt(row, now) : [])),
  };
}
