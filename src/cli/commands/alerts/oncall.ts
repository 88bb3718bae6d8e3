import { type Command, InvalidArgumentError, Option } from "commander";
import type {
  OnCallConflicts,
  OnCallDaysOff,
  OnCallFinalShifts,
  OnCallNow,
  OnCallOverride,
  OnCallPerson,
  OnCallSchedule,
  OnCallShift,
  OnCallUser,
} from "../../../client/api-types.gen.ts";
import { DAY_MS, zoneOffsetMs } from "../../../core/clock.ts";
import type { ServerClient } from "../../../remote/server-client.ts";
import { pick } from "../../on-server.ts";
import { futureFlag, timeOf } from "../../output/flag-values.ts";
import { cut, shortTime, table } from "../../output/output.ts";
import { type Call, callOf, listOf, pickNamed, resource, tableOf, type Values, type Verb } from "../../resource.ts";
import { OF_PROJECT } from "./shared.ts";

/** Width of names beside two times with their offsets, on a line of 80 characters. */
const PEOPLE = 28;
const ADVICE = "Days off are advisory: the user stays on call until a swap or an override is taken.";
const FROM = ["--from <time>", "start (default: now)", futureFlag] as const;
const TO = ["--to <time>", "end (default: 14 days after the start)", futureFlag] as const;
const REF = "id, external id, username or mail address";
const NOTE = ["--note <text>", "text for the user and those who may change it"] as const;

/** As clocks of a schedule's zone show it, with the offset: `2026-11-16 09:00 +01:00`; `-` for null. */
function zonedTime(rfc3339: string | null, timezone: string): string {
  if (rfc3339 === null) return "-";
  const ms = Date.parse(rfc3339);
  const offset = zoneOffsetMs(timezone, ms);
  const wall = new Date(ms + offset).toISOString();
  const ofDay = new Date(Math.abs(offset)).toISOString().slice(11, 16);
  return `${wall.slice(0, 10)} ${wall.slice(11, 16)} ${offset < 0 ? "-" : "+"}${ofDay}`;
}

/** How a person is named in tables. */
export const nameOf = ({ id, username, name }: OnCallUser): string => username ?? name ?? id;

function peopleText(people: readonly OnCallPerson[] | undefined): string {
  if (people === undefined || people.length === 0) return "no one";
  return people.map((each) => `${nameOf(each)}${each.away ? ` (away to ${each.away.lastDay})` : ""}`).join(", ");
}

/** The schedule of an id or name, or a prefix of one. @throws CommandError 6, 7 */
export async function findSchedule(server: ServerClient, ref: string, scope: Values): Promise<OnCallSchedule> {
  return pickNamed(await listOf(server, "listOnCallSchedules", scope), ref, "schedule");
}

/** Lines below the result of a change that puts a user on call on days off. */
function warningLines({ warnings = [] }: Pick<OnCallDaysOff, "warnings">): string[] {
  return warnings.map(
    ({ name, user, start, end }) =>
      `warning: ${cut(nameOf(user), 16)} is away, on call ${shortTime(start)} to ${shortTime(end)}: ${cut(name, 12)}`,
  );
}

/** Who is on call now or next. */
function duty(text: string, heading: string, cells: (each: OnCallNow["data"][number]) => readonly string[]): Verb {
  return {
    text,
    examples: ["", "--project ops --json"],
    of: "getOnCallNow",
    lines: ({ data }: OnCallNow) =>
      data.length === 0
        ? "no schedules"
        : table(
            ["SCHEDULE", "ON CALL", heading],
            data.map((each) => [cut(each.name, 24), ...cells(each)]),
          ),
  };
}

type Range = Partial<OnCallFinalShifts["data"][number]> & { readonly start: string; readonly end: string };

function rangeLines(name: string, data: readonly Range[], zone: string): string | string[] {
  const columns = {
    FROM: ({ start }: Range) => zonedTime(start, zone),
    UNTIL: ({ end }: Range) => zonedTime(end, zone),
    "ON CALL": ({ users }: Range) => cut(peopleText(users), PEOPLE),
  };
  return data.length === 0 ? `no ${name}` : tableOf(columns, data);
}

/** Times of a schedule. */
function range(name: string, of: string, text: string): Verb {
  return {
    text: `${text}, by default for 14 days`,
    examples: ["Database --to 30d"],
    one: true,
    of,
    flags: { from: FROM, to: TO },
    values: ({ from, to }) => ({ from: timeOf(from), to: timeOf(to) }),
    lines: ({ data }: { readonly data: readonly Range[] }, { found }) =>
      rangeLines(name, data, String(found["timezone"])),
  };
}

const TURNS = { day: { frequency: "daily", days: 1 }, week: { frequency: "weekly", days: 7 } } as const;

function timeOfDay(text: string): string {
  if (!/^([01]\d|2[0-3]):[0-5]\d$/.test(text)) throw new InvalidArgumentError("Use a time of day such as 09:00.");
  return text;
}

function userList(text: string): readonly string[] {
  const users = text.split(",").map((user) => user.trim());
  if (users.includes("")) throw new InvalidArgumentError("Use users separated by commas, such as ann,ben.");
  return users;
}

/** Local time of the last handover, so that the first user is on call at once; of weeks that of Monday. */
function lastHandover(turn: keyof typeof TURNS, time: string, timezone: string): string {
  const wall = new Date(Date.now() + zoneOffsetMs(timezone, Date.now()));
  const day = new Date(wall);
  if (wall.toISOString().slice(11, 16) < time) day.setUTCDate(day.getUTCDate() - 1);
  if (turn === "week") day.setUTCDate(day.getUTCDate() - ((day.getUTCDay() + 6) % 7));
  return `${day.toISOString().slice(0, 10)}T${time}`;
}

/** A schedule with one rotation, or nothing. */
async function createRotation({ server, out, given }: Call): Promise<void> {
  const { name, projectId, timezone: zone, turn, handover, users } = given;
  const { frequency, days } = TURNS[turn as keyof typeof TURNS];
  const schedule = await callOf(server, "createOnCallSchedule", { name, projectId, timezone: zone });
  const { id, timezone } = schedule;
  const start = lastHandover(turn as keyof typeof TURNS, String(handover), timezone);
  let shift: OnCallShift;
  try {
    const turns = (users as readonly string[]).map((user) => [user]);
    shift = await callOf(server, "createOnCallShift", {
      ...{ id, name, start, durationMs: days * DAY_MS, recurrence: { frequency }, turns },
    });
  } catch (error) {
    await callOf(server, "deleteOnCallSchedule", { id });
    throw error;
  }
  const { data } = await callOf(server, "listOnCallFinalShifts", { id });
  out.result({ ...schedule, shifts: [shift] }, () => [`${id}  ${name}`, ...rangeLines("shifts", data, timezone)]);
}

async function daysOffOf({ server, given: { userId, schedule }, scope }: Call) {
  if (schedule === undefined) return callOf(server, "listOnCallDaysOff", { userId });
  const { id } = await findSchedule(server, String(schedule), scope);
  return callOf(server, "listOnCallScheduleDaysOff", { id, to: timeOf(Date.now() + 365 * DAY_MS) });
}

const daysLine = ({ id, user, firstDay, lastDay }: OnCallDaysOff): string =>
  `${id}  ${firstDay} to ${lastDay}  ${cut(nameOf(user), 16)}`;

/** @throws CommandError 6, 7 */
async function findDaysOff(call: Call): Promise<OnCallDaysOff> {
  const { server, given } = call;
  const { data } = await daysOffOf({ ...call, server, given: { userId: given["userId"] } });
  return pick(data, String(given["ref"]), { one: "days off", namesOf: ({ firstDay }) => [firstDay], lineOf: daysLine });
}

const changedDays = (made: OnCallDaysOff): string[] => [daysLine(made), ...warningLines(made)];
const OF_USER = ["--user <user>", `of this user (default: yours): ${REF}`] as const;
const DAYS = ["<days-off>", "first day or id, or a prefix"] as const;

/** Who is on call, from a running server. */
export function addOnCall(program: Command): void {
  resource(program, "oncall", "schedule", {
    text: "show who is on call now, next and when; schedules; put a user on call; days off",
    examples: ["oncall now", "oncall gaps Database"],
    ref: "id or name, or a prefix",
    scope: { projectId: OF_PROJECT },
    find: findSchedule,
    verbs: {
      now: duty("show who is on call now, and until when", "UNTIL", ({ current, until, timezone }) => [
        cut(peopleText(current), PEOPLE),
        zonedTime(until, timezone),
      ]),
      next: duty("show who is on call next, and from when", "FROM", ({ next, timezone }) => [
        cut(peopleText(next?.users), PEOPLE),
        zonedTime(next?.start ?? null, timezone),
      ]),
      schedules: {
        text: "list schedules",
        examples: [""],
        of: "listOnCallSchedules",
        as: "schedules",
        none: null,
        columns: { ID: "id", "TIME ZONE": "timezone", NAME: "name:24" },
      },
      create: {
        text: "create a schedule in which users are on call in turn",
        about: "The first user is on call at once. Other shifts are made in the console or with the API.",
        examples: ["Database --users ann,ben", "Web --users ann,ben --turn day --timezone Europe/Paris"],
        args: { name: ["<name>", "name of the schedule"] },
        flags: {
          users: new Option("--users <users>", `separated by commas, in their order: ${REF}`)
            .argParser(userList)
            .makeOptionMandatory(),
          turn: new Option("--turn <length>", "how long each is on call").choices(Object.keys(TURNS)).default("week"),
          handover: ["--handover <time>", "when the next turn begins; of weeks on Monday", timeOfDay, "09:00"],
          timezone: ["--timezone <zone>", "time zone, such as Europe/Paris (default: that of the server)"],
        },
        run: createRotation,
      },
      delete: {
        text: "delete a schedule with its shifts and its past, if no policy names it",
        examples: ["Database"],
        one: true,
        of: "deleteOnCallSchedule",
        ask: "Delete the schedule {name} with its shifts and its past?",
        say: "{id}  {name}  deleted",
      },
      shifts: range("shifts", "listOnCallFinalShifts", "list who is on call when"),
      gaps: range("gaps", "listOnCallGaps", "list times without anyone on call"),
      override: {
        text: "put a user on call for a time",
        examples: ["Database --user ann --to 8h --reason Dentist"],
        one: true,
        of: "createOnCallOverride",
        flags: {
          user: new Option("--user <user>", `who is on call: ${REF}`).makeOptionMandatory(),
          replaces: ["--for <user>", "replace only this user (default: all who are on call)"],
          start: FROM,
          end: new Option("--to <time>", "end").argParser(futureFlag).makeOptionMandatory(),
          reason: ["--reason <text>", "text for other people"],
        },
        values: ({ user, start = Date.now(), end, ...given }) => ({
          ...{ start: timeOf(start), end: timeOf(end), users: [user] },
          ...given,
        }),
        lines(made: OnCallOverride, { given, found }) {
          const [start, end] = [made.start, made.end].map((time) => zonedTime(time, String(found["timezone"])));
          const isOver = Date.parse(made.end) <= Date.now();
          return [
            `${made.id}  ${given["user"]}`,
            `  ${start} to ${end}`,
            ...(isOver ? ["warning: this time is over, so the override changes nothing"] : []),
            ...warningLines(made),
          ];
        },
      },
      "days-off": {
        text: "list days off, your own by default",
        examples: ["", "--schedule Database"],
        flags: {
          userId: ["--user <user>", `of this user: ${REF}`],
          schedule: ["--schedule <schedule>", "of all users of a schedule, for a year"],
        },
        get: daysOffOf,
        lines: ({ data }: { readonly data: readonly OnCallDaysOff[] }) =>
          data.length === 0
            ? "no days off"
            : tableOf(
                {
                  ...{ ID: "id", "FIRST DAY": "firstDay", "LAST DAY": "lastDay" },
                  USER: ({ user }: OnCallDaysOff) => cut(nameOf(user), 16),
                },
                data,
              ),
      },
      "add-days-off": {
        text: "say on which days you or a user are away",
        about: ADVICE,
        examples: ["2030-12-24 2030-12-26", "2030-12-24 --user ann"],
        global: true,
        of: "createOnCallDaysOff",
        args: {
          firstDay: ["<first>", "first day, such as 2030-12-24, in the user's time zone"],
          lastDay: ["[last]", "last day (default: the first)"],
        },
        flags: { userId: ["--user <user>", `who is away (default: you): ${REF}`], note: NOTE },
        values: ({ lastDay, ...given }) => ({ ...given, lastDay: lastDay ?? given["firstDay"] }),
        lines: changedDays,
      },
      "change-days-off": {
        text: "change days off",
        examples: ["2030-12-24 --last 2030-12-27"],
        global: true,
        args: { ref: DAYS },
        flags: {
          userId: OF_USER,
          firstDay: ["--first <day>", "first day"],
          lastDay: ["--last <day>", "last day"],
          note: NOTE,
        },
        async get(call) {
          const { firstDay, lastDay, note } = call.given;
          const { id } = await findDaysOff(call);
          return callOf(call.server, "updateOnCallDaysOff", { id, firstDay, lastDay, note });
        },
        lines: changedDays,
      },
      "delete-days-off": {
        text: "delete days off",
        examples: ["2030-12-24", "2030-12-24 --user ann"],
        global: true,
        args: { ref: DAYS },
        flags: { userId: OF_USER },
        async get(call) {
          const found = await findDaysOff(call);
          await callOf(call.server, "deleteOnCallDaysOff", { id: found.id });
          return found;
        },
        lines: (found: OnCallDaysOff) => `${daysLine(found)}  deleted`,
      },
      conflicts: {
        text: "list who is on call on days off, by default for 14 days",
        about: ADVICE,
        examples: ["", "Database --to 90d"],
        of: "listOnCallConflicts",
        args: { schedule: ["[schedule]", "id or name, or a prefix (default: all)"] },
        flags: {
          userId: ["--user <user>", "only this user: id, external id, username, mail address, or me"],
          from: FROM,
          to: TO,
        },
        values: async ({ schedule, from, to, ...given }, { server, scope }) => ({
          ...given,
          ...{ from: timeOf(from), to: timeOf(to) },
          scheduleId: schedule === undefined ? undefined : (await findSchedule(server, String(schedule), scope)).id,
        }),
        lines: ({ data }: OnCallConflicts) =>
          data.length === 0
            ? "no conflicts"
            : tableOf(
                {
                  SCHEDULE: "name:16",
                  AWAY: ({ user }: OnCallConflicts["data"][number]) => cut(nameOf(user), 16),
                  ...{ FROM: "start@", UNTIL: "end@" },
                  SWAP: ({ swapId }: OnCallConflicts["data"][number]) => (swapId === null ? "-" : "asked"),
                },
                data,
              ),
      },
    },
  });
}
