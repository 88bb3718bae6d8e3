import { isDeepStrictEqual } from "node:util";
import { changedMembers, configKind, type Spec } from "../../../module/config-kind.ts";
import { resourceKind } from "../../../module/resource-kind.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";
import { userNames } from "../../access/index.ts";
import { withoutWordsOf } from "../jobs/index.ts";
import { type SchedulesContext, schedules } from "./manage.ts";
import { type ScheduleRow, ScheduleTable } from "./schedule.ts";
import { scheduleOf } from "./schedule-definition.ts";
import type { CreateSchedule } from "./schema.ts";

const of = resourceKind<ScheduleRow>(ScheduleTable);
/** Names that Prism itself gives, also to people's recurring timers. */
const OWN = /^(prism|timer):/;

export function jobKinds(context: SchedulesContext) {
  const specOf = async (db: ReadDb | Trx, row: ScheduleRow): Promise<Spec> => {
    const spec = of.specOf(row);
    return row.queue === "timers" ? { ...spec, payload: await requestOf(db, spec["payload"]) } : spec;
  };
  const found = (trx: Trx, id: string) => ScheduleTable.require(trx, id, "SCHEDULE_NOT_FOUND", "schedule");
  const job = configKind<CreateSchedule>({
    ...{ kind: "jobs", noun: "job", resourceType: "schedule", scope: "server", after: ["people"] },
    rights: { read: "jobs:read", write: "jobs:manage" },
    entries: of.entries,
    // As requests show them to those who only read jobs.
    masked: (spec) =>
      spec["queue"] === "timers"
        ? withoutWordsOf({ ...spec, label: (spec["label"] ?? null) as string | null, payload: spec["payload"] })
        : spec,
    defaults: { ...of.defaults, timezone: context.config.timezone },
    async list(db) {
      const rows = (await of.rows(db, null)).filter(({ module, name }) => module === null && !OWN.test(name));
      return Promise.all(
        rows.map(async (row) => {
          const { id, name, version } = row;
          return { id, name, version, spec: await specOf(db, row) };
        }),
      );
    },
    async prepare() {
      context.storage.requireSpace();
    },
    async create(trx, { caller }, id, spec) {
      await schedules.insert(context, trx, caller, { ...spec, id });
      return undefined;
    },
    async update(trx, { caller }, { id }, spec) {
      const row = await found(trx, id);
      const before = await specOf(trx, row);
      const { queue, kind, payload, ...timing } = spec;
      // The stored payload has ids: other work is resolved again as a whole.
      const isSame = isDeepStrictEqual([queue, kind, payload], [before["queue"], before["kind"], before["payload"]]);
      const { cron, everyMs, ...others } = changedMembers(timing, { spec: before });
      const times = cron === undefined && everyMs === undefined ? {} : { cron: spec.cron, everyMs: spec.everyMs };
      const changes = { ...others, ...times, ...(!isSame && { queue, kind, payload }) };
      await schedules.change(context, trx, scheduleOf(row), changes, caller);
      return undefined;
    },
    async remove(trx, { caller }, { id }) {
      await schedules.remove(context, trx, scheduleOf(await found(trx, id)), caller, undefined);
    },
  });
  return [job];
}

/** The payload of a timer as requests have it, with a username in place of the id. */
async function requestOf(db: ReadDb | Trx, payload: unknown): Promise<unknown> {
  const { action } = payload as { readonly action?: { readonly type?: string; readonly payload?: object } };
  if (action?.type !== "notify") return { action: withoutDefaults(action ?? {}) };
  const { recipients = [], ...rest } = action.payload as { readonly recipients?: readonly string[] };
  const names = await userNames(db, recipients);
  const [id = ""] = recipients;
  return { action: { type: "notify", payload: { userId: names.get(id)?.username ?? id, ...withoutDefaults(rest) } } };
}

/** What a request leaves out is stored as null, false or `{}`. */
function withoutDefaults(members: object): object {
  return Object.fromEntries(
    Object.entries(members).filter(([, value]) => !["null", "false", "{}"].includes(JSON.stringify(value))),
  );
}
