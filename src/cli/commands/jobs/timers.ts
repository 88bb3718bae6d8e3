import type { Command } from "commander";
import type { ScheduleView } from "../../../features/schedules/schema.ts";
import type { TimerView } from "../../../features/timers/schema.ts";
import { contextOf } from "../../context.ts";
import { deleteAfterQuestion, everyItem, online, pick } from "../../on-server.ts";
import { printable, table } from "../../output/output.ts";
import { ageText } from "../../output/text.ts";
import type { ServerClient } from "../../server-client.ts";

type Timer = TimerView & { readonly id: string };
type Schedule = ScheduleView;

const TIMERS = "/api/v1/timers";
const SCHEDULES = "/api/v1/schedules";

/** The timers that the caller may see. */
export async function timersOf(server: ServerClient): Promise<Timer[]> {
  return (await everyItem<TimerView>(server, TIMERS)).map((timer) => ({ ...timer, id: timer.jobId }));
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

function timersTable(timers: readonly Timer[]): string[] {
  if (timers.length === 0) return ["no timers"];
  return table(
    ["ID", "NEXT RUN", "CRON", "ZONE", "STATE", "LABEL", "ACTION"],
    timers.map((timer) => {
      const { id, runAt, cron, timezone, state, label } = timer;
      return [id, runAt, cron, timezone, state, label, actionText(timer)];
    }),
  );
}

/** One-shot and recurring timers of a running server, as `prism trigger` creates them. */
export function addTimers(program: Command): void {
  const timers = program
    .command("timers")
    .description("list and cancel timers that prism trigger or the API created")
    .addHelpText("after", "\nExamples:\n  $ prism timers list\n  $ prism timers cancel stand-up");
  timers
    .command("list")
    .description("list timers that have not ended, newest first: yours, or all with timers:any")
    .addHelpText("after", "\nExamples:\n  $ prism timers list\n  $ prism timers list --json")
    .action((_flags: object, command: Command) =>
      online(command, async (server, { out }) => {
        const found = await timersOf(server);
        out.result({ timers: found.map(({ id: _, ...timer }) => timer) }, () => timersTable(found));
      }),
    );
  timers
    .command("cancel")
    .description("cancel a timer; its label can be used again")
    .argument("<timer>", "id or label, or a prefix of one")
    .addHelpText(
      "after",
      "\nExamples:\n  $ prism timers cancel stand-up\n  $ prism timers cancel 0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60",
    )
    .action((ref: string, _flags: object, command: Command) =>
      online(command, async (server, { out }) => {
        const { id, label, runAt } = pick(await timersOf(server), ref, {
          one: "timer",
          namesOf: (timer) => [timer.label],
          lineOf: (timer) => `${timer.id}  ${timer.label}  ${timer.cron ?? timer.runAt ?? ""}`,
        });
        await server.delete(`${TIMERS}/${encodeURIComponent(id)}`);
        out.result({ jobId: id, label, runAt, cancelled: true }, () => `${id}  ${printable(label)}  cancelled`);
      }),
    );
}

async function findSchedule(server: ServerClient, ref: string): Promise<Schedule> {
  return pick(await everyItem<Schedule>(server, SCHEDULES), ref, {
    one: "schedule",
    namesOf: ({ name }) => [name],
    lineOf: ({ id, name }) => `${id}  ${name}`,
  });
}

function schedulesTable(schedules: readonly Schedule[]): string[] {
  if (schedules.length === 0) return ["no schedules"];
  return table(
    ["ID", "STATE", "NEXT RUN", "LAST RUN", "REPEATS", "ZONE", "QUEUE", "NAME"],
    schedules.map(({ id, active, nextRunAt, lastRunAt, cron, everyMs, timezone, queue, name }) => [
      id,
      active ? "active" : "paused",
      nextRunAt,
      lastRunAt,
      cron ?? (everyMs === null ? null : `every ${ageText(everyMs)}`),
      timezone,
      queue,
      name,
    ]),
  );
}

interface ScheduleFlags {
  readonly active?: boolean;
  readonly yes?: boolean;
}

/** Recurring jobs of a running server. */
export function addSchedules(program: Command): void {
  const schedules = program
    .command("schedules")
    .description("list, run, pause, resume and cancel schedules of recurring jobs")
    .addHelpText("after", "\nExamples:\n  $ prism schedules list\n  $ prism schedules pause nightly-report");
  schedules
    .command("list")
    .description("list schedules, newest first")
    .option("--active", "only schedules that are not paused")
    .addHelpText("after", "\nExamples:\n  $ prism schedules list\n  $ prism schedules list --active --json")
    .action(({ active }: ScheduleFlags, command: Command) =>
      online(command, async (server, { out }) => {
        const query = active === true ? { active: "true" } : {};
        const found = await everyItem<Schedule>(server, SCHEDULES, query);
        out.result({ schedules: found }, () => schedulesTable(found));
      }),
    );
  schedules
    .command("run")
    .description("create a job of a schedule now; its next run does not change")
    .argument("<schedule>", "id or name, or a prefix of one")
    .addHelpText("after", "\nExample:\n  $ prism schedules run nightly-report")
    .action((ref: string, _flags: ScheduleFlags, command: Command) =>
      online(command, async (server, { out }) => {
        const { id, name } = await findSchedule(server, ref);
        const job = await server.post<{ jobId: string; runAt: string; state: string }>(`${SCHEDULES}/${id}/run`, {});
        out.result({ scheduleId: id, ...job }, () => `${job.jobId}  job of ${printable(name)}  ${job.state}`);
      }),
    );
  for (const [action, active, description] of [
    ["pause", false, "create no jobs of a schedule until it is resumed; running jobs continue"],
    ["resume", true, "resume a paused schedule, from its next run on"],
  ] as const)
    schedules
      .command(action)
      .description(description)
      .argument("<schedule>", "id or name, or a prefix of one")
      .addHelpText("after", `\nExample:\n  $ prism schedules ${action} nightly-report`)
      .action((ref: string, _flags: ScheduleFlags, command: Command) =>
        online(command, async (server, { out }) => {
          const { id } = await findSchedule(server, ref);
          const changed = await server.change<Schedule>("PUT", `${SCHEDULES}/${id}`, { active });
          out.result(changed, () => schedulesTable([changed]));
        }),
      );
  schedules
    .command("cancel")
    .description("delete a schedule; jobs that it has created continue")
    .argument("<schedule>", "id or name, or a prefix of one")
    .option("--yes", "do not ask")
    .addHelpText("after", "\nExample:\n  $ prism schedules cancel nightly-report --yes")
    .action(async (ref: string, { yes }: ScheduleFlags, command: Command) => {
      const { id, name } = await deleteAfterQuestion(command, yes, {
        find: (server) => findSchedule(server, ref),
        question: (schedule) => `Delete the schedule ${printable(schedule.name)} (${schedule.id})?`,
        remove: (server, schedule) => server.delete(`${SCHEDULES}/${schedule.id}`),
      });
      contextOf(command).out.result({ id, name, cancelled: true }, () => `${id}  ${printable(name)}  cancelled`);
    });
}
