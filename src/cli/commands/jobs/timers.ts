import type { Command } from "commander";
import type { Schedule } from "../../../client/api-types.gen.ts";
import { ageText } from "../../../core/text/clean-text.ts";
import type { TimerView } from "../../../features/time/timers/schema.ts";
import type { ServerClient } from "../../../remote/server-client.ts";
import { pick } from "../../on-server.ts";
import { filled, listOf, resource, tableOf } from "../../resource.ts";

type Timer = TimerView & { readonly id: string };

/** The timers that the caller may see. */
export async function timersOf(server: ServerClient): Promise<Timer[]> {
  const timers = await listOf(server, "listTimers", {});
  return timers.map((timer) => ({ ...timer, id: timer.jobId }));
}

async function findTimer(server: ServerClient, ref: string): Promise<Timer> {
  return pick(await timersOf(server), ref, {
    one: "timer",
    namesOf: (timer) => [timer.label],
    lineOf: (timer) => `${timer.id}  ${timer.label}  ${timer.cron ?? timer.runAt ?? ""}`,
  });
}

function actionText({ action }: TimerView): string {
  switch (action.type) {
    case "notify":
      return `notify: ${String(action.payload["title"] ?? "")}`;
    case "event":
      return `event ${action.event}${action.persist ? "" : " (not stored)"}`;
    case "message":
      return `message to channel ${action.channel}`;
  }
}

/** One-shot and recurring timers of a running server, as `prism trigger` creates them. */
export function addTimers(program: Command): void {
  const columns = { ID: "jobId", "NEXT RUN": "runAt", CRON: "cron", ZONE: "timezone", STATE: "state" };
  resource(program, "timers", "timer", {
    text: "list and cancel timers that prism trigger or the API created",
    examples: ["timers list", "timers cancel stand-up"],
    ref: "id or label, or a prefix of one",
    find: findTimer,
    verbs: {
      list: {
        text: "list timers that have not ended, newest first: yours, or all with timers:any",
        examples: ["", "--json"],
        of: "listTimers",
        columns: { ...columns, LABEL: "label", ACTION: actionText },
      },
      cancel: {
        text: "cancel a timer; its label can be used again",
        examples: ["stand-up", "0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60"],
        one: true,
        of: "cancelTimer",
        values: (_given, { found }) => ({ jobId: found["id"] }),
        json: (_answer: object, { found: { id, label, runAt } }) => ({ jobId: id, label, runAt, cancelled: true }),
        lines: (_answer: object, { found }) => filled("{id}  {label}  cancelled", found),
      },
    },
  });
}

const SCHEDULES = {
  ID: "id",
  STATE: ({ active }: Schedule) => (active ? "active" : "paused"),
  "NEXT RUN": "nextRunAt",
  "LAST RUN": "lastRunAt",
  REPEATS: ({ cron, everyMs }: Schedule) => cron ?? (everyMs === null ? null : `every ${ageText(everyMs)}`),
  ZONE: "timezone",
  QUEUE: "queue",
  NAME: "name",
};

/** Recurring jobs of a running server. */
export function addSchedules(program: Command): void {
  const change = {
    one: true,
    of: "updateSchedule",
    lines: (schedule: Schedule) => tableOf(SCHEDULES, [schedule]),
  } as const;
  resource(program, "schedules", "schedule", {
    text: "list, run, pause, resume and cancel schedules of recurring jobs",
    examples: ["schedules list", "schedules pause nightly-report"],
    ref: "id or name, or a prefix of one",
    list: "listSchedules",
    names: ["name"],
    line: "{id}  {name}",
    verbs: {
      list: {
        text: "list schedules, newest first",
        examples: ["", "--active --json"],
        of: "listSchedules",
        flags: { active: ["--active", "only schedules that are not paused"] },
        columns: SCHEDULES,
      },
      run: {
        text: "create a job of a schedule now; its next run does not change",
        examples: ["nightly-report"],
        one: true,
        of: "runSchedule",
        json: (job: object, { found }) => ({ scheduleId: found["id"], ...job }),
        lines: (job: object, { found }) => filled("{jobId}  job of {name}  {state}", { ...job, name: found["name"] }),
      },
      pause: {
        ...change,
        text: "create no jobs of a schedule until it is resumed; running jobs continue",
        examples: ["nightly-report"],
        values: () => ({ active: false }),
      },
      resume: {
        ...change,
        text: "resume a paused schedule, from its next run on",
        examples: ["nightly-report"],
        values: () => ({ active: true }),
      },
      cancel: {
        text: "delete a schedule; jobs that it has created continue",
        examples: ["nightly-report --yes"],
        one: true,
        of: "deleteSchedule",
        ask: "Delete the schedule {name} ({id})?",
        json: ({ id, name }: Schedule) => ({ id, name, cancelled: true }),
        say: "{id}  {name}  cancelled",
      },
    },
  });
}
