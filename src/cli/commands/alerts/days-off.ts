import type { Command } from "commander";
import { online, pick } from "../../on-server.ts";
import { futureFlag } from "../../output/flag-values.ts";
import { cut, shortTime, table } from "../../output/output.ts";
import type { ServerClient } from "../../server-client.ts";
import {
  at,
  type Conflict,
  findSchedule,
  nameOf,
  PATH,
  type Person,
  type RangeFlags,
  type Warned,
  warningLines,
} from "./oncall-things.ts";
import { OF_PROJECT, type ProjectFlag, subcommand } from "./things.ts";

interface DaysOff extends Warned {
  readonly id: string;
  readonly user: Person;
  readonly firstDay: string;
  readonly lastDay: string;
  readonly note: string | null;
}

const ADVICE = "Days off are advisory: the user stays on call until a swap or an override is taken.";

const lineOf = ({ id, user, firstDay, lastDay }: DaysOff): string =>
  `${id}  ${firstDay} to ${lastDay}  ${cut(nameOf(user), 16)}`;

interface ListFlags extends ProjectFlag {
  readonly user?: string;
  readonly schedule?: string;
}

function addList(oncall: Command): void {
  subcommand(oncall, "days-off", "list days off, your own by default", ["", "--schedule Database"])
    .option(...OF_PROJECT)
    .option("--user <user>", "of this user: id, external id, username or mail address")
    .option("--schedule <schedule>", "of all users of a schedule, for a year")
    .action(({ user, ...flags }: ListFlags, command: Command) =>
      online(command, async (server, { out }) => {
        const view = await listOf(server, user, flags);
        const row = ({ id, firstDay, lastDay, user: who }: DaysOff) => [id, firstDay, lastDay, cut(nameOf(who), 16)];
        out.result(view, () =>
          view.data.length === 0 ? "no days off" : table(["ID", "FIRST DAY", "LAST DAY", "USER"], view.data.map(row)),
        );
      }),
    );
}

async function listOf(server: ServerClient, userId: string | undefined, flags: ListFlags) {
  type List = { readonly data: readonly DaysOff[] };
  if (flags.schedule === undefined) return server.get<List>(`${PATH}/days-off`, { userId });
  const { id } = await findSchedule(server, flags.schedule, flags);
  return server.get<List>(`${PATH}/schedules/${id}/days-off`, { to: at(Date.now() + 365 * 86_400_000) });
}

interface DaysFlags {
  readonly user?: string;
  readonly first?: string;
  readonly last?: string;
  readonly note?: string;
}

function addChanges(oncall: Command): void {
  subcommand(
    oncall,
    "add-days-off",
    "say on which days you or a user are away",
    ["2030-12-24 2030-12-26", "2030-12-24 --user ann"],
    ADVICE,
  )
    .argument("<first>", "first day, such as 2030-12-24, in the user's time zone")
    .argument("[last]", "last day (default: the first)")
    .option("--user <user>", "who is away (default: you): id, external id, username or mail address")
    .option("--note <text>", "text for the user and those who may change it")
    .action((firstDay: string, last: string | undefined, { user, note }: DaysFlags, command: Command) =>
      online(command, async (server, { out }) => {
        const body = { firstDay, lastDay: last ?? firstDay, userId: user, note };
        const made = await server.post<DaysOff>(`${PATH}/days-off`, body);
        out.result(made, () => [lineOf(made), ...warningLines(made)]);
      }),
    );
  subcommand(oncall, "change-days-off", "change days off", ["2030-12-24 --last 2030-12-27"])
    .argument("<days-off>", "first day or id, or a prefix")
    .option("--user <user>", "of this user (default: yours): id, external id, username or mail address")
    .option("--first <day>", "first day")
    .option("--last <day>", "last day")
    .option("--note <text>", "text for the user and those who may change it")
    .action((ref: string, { user, first, last, note }: DaysFlags, command: Command) =>
      online(command, async (server, { out }) => {
        const { id } = await findDaysOff(server, ref, user);
        const body = { firstDay: first, lastDay: last, note };
        const changed = await server.change<DaysOff>("PUT", `${PATH}/days-off/${id}`, body);
        out.result(changed, () => [lineOf(changed), ...warningLines(changed)]);
      }),
    );
  subcommand(oncall, "delete-days-off", "delete days off", ["2030-12-24", "2030-12-24 --user ann"])
    .argument("<days-off>", "first day or id, or a prefix")
    .option("--user <user>", "of this user (default: yours): id, external id, username or mail address")
    .action((ref: string, { user }: DaysFlags, command: Command) =>
      online(command, async (server, { out }) => {
        const found = await findDaysOff(server, ref, user);
        await server.delete(`${PATH}/days-off/${found.id}`);
        out.result(found, () => `${lineOf(found)}  deleted`);
      }),
    );
}

/** @throws CommandError 6, 7 */
async function findDaysOff(server: ServerClient, ref: string, user: string | undefined): Promise<DaysOff> {
  const { data } = await listOf(server, user, {});
  return pick(data, ref, { one: "days off", namesOf: ({ firstDay }) => [firstDay], lineOf });
}

interface ConflictFlags extends RangeFlags {
  readonly user?: string;
}

function addConflicts(oncall: Command): void {
  subcommand(
    oncall,
    "conflicts",
    "list who is on call on days off, by default for 14 days",
    ["", "Database --to 90d"],
    ADVICE,
  )
    .argument("[schedule]", "id or name, or a prefix (default: all)")
    .option(...OF_PROJECT)
    .option("--user <user>", "only this user: id, external id, username, mail address, or me")
    .option("--from <time>", "start (default: now)", futureFlag)
    .option("--to <time>", "end (default: 14 days after the start)", futureFlag)
    .action((ref: string | undefined, flags: ConflictFlags, command: Command) =>
      online(command, async (server, { out }) => {
        const scheduleId = ref === undefined ? undefined : (await findSchedule(server, ref, flags)).id;
        const { project: projectId, user: userId } = flags;
        const query = { scheduleId, projectId, userId, from: at(flags.from), to: at(flags.to) };
        const view = await server.get<{ data: readonly Conflict[] }>(`${PATH}/conflicts`, query);
        const rows = view.data.map(({ name, user, start, end, swapId }) => [
          cut(name, 16),
          cut(nameOf(user), 16),
          shortTime(start),
          shortTime(end),
          swapId === null ? "-" : "asked",
        ]);
        out.result(view, () =>
          rows.length === 0 ? "no conflicts" : table(["SCHEDULE", "AWAY", "FROM", "UNTIL", "SWAP"], rows),
        );
      }),
    );
}

/** Days off, and who is on call on them. */
export function addDaysOff(oncall: Command): void {
  addList(oncall);
  addChanges(oncall);
  addConflicts(oncall);
}
