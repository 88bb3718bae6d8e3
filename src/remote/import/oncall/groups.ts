import * as v from "valibot";
import type { AddMirrorObservations } from "../../../client/api-types.gen.ts";
import { CommandError, EXIT } from "../../../core/command-error.ts";
import { startOf } from "../../../core/text/clean-text.ts";
import { type EpochMs, toRfc3339 } from "../../../core/time/clock.ts";
import { Answers, maybe, text } from "../answers.ts";
import { type HttpSource, unreadable } from "../http-source.ts";
import { isMembers } from "../source-rows.ts";

/* Alert groups of Grafana OnCall as observations for a mirror. OnCall does not tell whom it notified. */

const instant = v.pipe(v.string(), v.isoTimestamp());
const Group = v.object({
  ...{ id: v.string(), title: text, created_at: instant },
  ...{ acknowledged_at: maybe(instant), resolved_at: maybe(instant) },
  last_alert: maybe(v.object({ payload: v.unknown() })),
});
type Group = v.InferOutput<typeof Group>;
const Page = v.object({ next: text, results: v.array(Group) });

type Observation = Extract<AddMirrorObservations, readonly unknown[]>[number];

/** Limits of an observation. */
const MAX_TITLE = 1000;
const MAX_LABELS = 8192;

/** What OnCall did since `from`, the oldest first. @throws CommandError 4, 5, 7 */
export async function onCallObservations(source: HttpSource, from: EpochMs): Promise<Observation[]> {
  const answers = new Answers(source);
  const isOld = ({ created_at }: Group): boolean => Date.parse(created_at) < from;
  const groups = await answers.all("alert_groups/", "alert groups", Page, ({ results, next }) => ({
    entries: results,
    // The newest come first: behind a page of old ones are older ones.
    next: results.every(isOld) && isDescending(results) ? null : next,
  }));
  const [missing] = answers.missing;
  if (missing?.status === 403)
    throw new CommandError(EXIT.unauthorised, "the token of OnCall may not read alert groups");
  if (missing) throw unreadable("it has no alert groups there: is --from-url right?");
  return groups
    .filter((group) => !isOld(group))
    .flatMap(observationsOf)
    .sort((left, right) => Date.parse(left.at) - Date.parse(right.at));
}

function isDescending(groups: readonly Group[]): boolean {
  return Date.parse(groups[0]?.created_at ?? "") > Date.parse(groups.at(-1)?.created_at ?? "");
}

function observationsOf({ id, created_at, acknowledged_at, resolved_at, ...group }: Group): Observation[] {
  const alarm = alarmOf(group);
  const at = (kind: Observation["kind"], time: string | null): Observation[] =>
    // A group that is resolved a second time has another time.
    time === null ? [] : [{ ref: `${id} ${kind} ${time}`, kind, at: toRfc3339(Date.parse(time)), ...alarm }];
  return [...at("notified", created_at), ...at("acknowledged", acknowledged_at), ...at("resolved", resolved_at)];
}

/** How Prism finds the alarm: by the labels of what Alertmanager or Grafana sent, else by the title and the time. */
function alarmOf({ title, last_alert }: Pick<Group, "title" | "last_alert">) {
  const payload = membersOf(last_alert?.payload);
  const { alerts } = payload;
  const { labels: given, startsAt } = membersOf(Array.isArray(alerts) ? alerts[0] : payload);
  const pairs = Object.entries(membersOf(given)).map(([name, value]) => [name, String(value)] as const);
  const labels = Object.fromEntries(pairs);
  const hasLabels = pairs.length > 0 && JSON.stringify(labels).length <= MAX_LABELS;
  const begin = typeof startsAt === "string" ? Date.parse(startsAt) : Number.NaN;
  return {
    ...(title && { title: startOf(title, MAX_TITLE) }),
    ...(hasLabels && { labels }),
    ...(begin > 0 && { startsAt: toRfc3339(begin) }),
  };
}

function membersOf(value: unknown): Readonly<Partial<Record<string, unknown>>> {
  return isMembers(value) ? value : {};
}
