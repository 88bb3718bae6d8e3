import type { Command } from "commander";
import { online } from "../../on-server.ts";
import { futureFlag } from "../../output/flag-values.ts";
import { cut, table } from "../../output/output.ts";
import { addDaysOff } from "./days-off.ts";
import {
  at,
  findSchedule,
  PATH,
  type Person,
  peopleText,
  type RangeFlags,
  schedulesOf,
  type Warned,
  warningLines,
  zonedTime,
} from "./oncall-things.ts";
import { OF_PROJECT, type ProjectFlag, subcommand } from "./things.ts";

/** Width of names beside two times with their offsets, on a line of 80 characters. */
const PEOPLE = 28;

interface Shift {
  readonly start: string;
  readonly end: string;
}

interface Duty {
  readonly name: string;
  readonly timezone: string;
  readonly current: readonly Person[];
  readonly until: string | null;
  readonly next: (Shift & { readonly users: readonly Person[] }) | null;
}

function addNow(oncall: Command): void {
  for (const [name, description] of [
    ["now", "show who is on call now, and until when"],
    ["next", "show who is on call next, and from when"],
  ] as const)
    subcommand(oncall, name, description, ["", "--project ops --json"])
      .option(...OF_PROJECT)
      .action(({ project }: ProjectFlag, command: Command) =>
        online(command, async (server, { out }) => {
          const view = await server.get<{ data: readonly Duty[] }>(`${PATH}/now`, { projectId: project });
          const row = ({ name: schedule, timezone, current, until, next }: Duty) =>
            name === "now"
              ? [cut(schedule, 24), cut(peopleText(current), PEOPLE), zonedTime(until, timezone)]
              : [cut(schedule, 24), cut(peopleText(next?.users), PEOPLE), zonedTime(next?.start ?? null, timezone)];
          const headings = ["SCHEDULE", "ON CALL", name === "now" ? "UNTIL" : "FROM"];
          out.result(view, () => (view.data.length === 0 ? "no schedules" : table(headings, view.data.map(row))));
        }),
      );
  subcommand(oncall, "schedules", "list schedules", [""])
    .option(...OF_PROJECT)
    .action((flags: ProjectFlag, command: Command) =>
      online(command, async (server, { out }) => {
        const schedules = await schedulesOf(server, flags);
        out.result({ schedules }, () =>
          table(
            ["ID", "TIME ZONE", "NAME"],
            schedules.map(({ id, timezone, name }) => [id, timezone, cut(name, 24)]),
          ),
        );
      }),
    );
}

function addRanges(oncall: Command): void {
  for (const [name, path, description] of [
    ["shifts", "final-shifts", "list who is on call when"],
    ["gaps", "gaps", "list times without anyone on call"],
  ] as const)
    subcommand(oncall, name, `${description}, by default for 14 days`, ["Database --to 30d"])
      .argument("<schedule>", "id or name, or a prefix")
      .option(...OF_PROJECT)
      .option("--from <time>", "start (default: now)", futureFlag)
      .option("--to <time>", "end (default: 14 days after the start)", futureFlag)
      .action((ref: string, flags: RangeFlags, command: Command) =>
        online(command, async (server, { out }) => {
          const { id, timezone } = await findSchedule(server, ref, flags);
          const view = await server.get<{ data: readonly (Shift & { users?: readonly Person[] })[] }>(
            `${PATH}/schedules/${id}/${path}`,
            { from: at(flags.from), to: at(flags.to) },
          );
          const rows = view.data.map(({ start, end, users }) => [
            zonedTime(start, timezone),
            zonedTime(end, timezone),
            cut(peopleText(users), PEOPLE),
          ]);
          out.result(view, () => (rows.length === 0 ? `no ${name}` : table(["FROM", "UNTIL", "ON CALL"], rows)));
        }),
      );
}

interface OverrideFlags extends RangeFlags {
  readonly user: string;
  readonly for?: string;
  readonly reason?: string;
}

function addOverride(oncall: Command): void {
  subcommand(oncall, "override", "put a user on call for a time", ["Database --user ann --to 8h --reason Dentist"])
    .argument("<schedule>", "id or name, or a prefix")
    .option(...OF_PROJECT)
    .requiredOption("--user <user>", "who is on call: id, external id, username or mail address")
    .option("--for <user>", "replace only this user (default: all who are on call)")
    .option("--from <time>", "start (default: now)", futureFlag)
    .requiredOption("--to <time>", "end", futureFlag)
    .option("--reason <text>", "text for other people")
    .action((ref: string, flags: OverrideFlags, command: Command) =>
      online(command, async (server, { out }) => {
        const { id, timezone } = await findSchedule(server, ref, flags);
        const { user, for: replaces, reason, from = Date.now(), to } = flags;
        const body = { start: at(from), end: at(to), users: [user], replaces, reason };
        const made = await server.post<Shift & Warned & { id: string }>(`${PATH}/schedules/${id}/overrides`, body);
        const times = `  ${zonedTime(made.start, timezone)} to ${zonedTime(made.end, timezone)}`;
        out.result(made, () => [`${made.id}  ${user}`, times, ...warningLines(made)]);
      }),
    );
}

/** Who is on call, from a running server. */
export function addOnCall(program: Command): void {
  const oncall = program
    .command("oncall")
    .description("show who is on call now, next and when; put a user on call; days off")
    .addHelpText("after", "\nExamples:\n  $ prism oncall now\n  $ prism oncall gaps Database");
  addNow(oncall);
  addRanges(oncall);
  addOverride(oncall);
  addDaysOff(oncall);
}
