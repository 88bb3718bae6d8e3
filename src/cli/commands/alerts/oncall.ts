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
import { ageText } from "../../../core/text/clean-text.ts";
import { DAY_MS, zoneOffsetMs } from "../../../core/time/clock.ts";
import type { ServerClient } from "../../../remote/server-client.ts";
import { readJsonObject } from "../../files.ts";
import { pick } from "../../on-server.ts";
import { durationFlag, futureFlag, integerFlag, timeOf } from "../../output/flag-values.ts";
import { cut, shortTime, table } from "../../output/output.ts";
import {
  type Call,
  callOf,
  filled,
  listOf,
  pickNamed,
  resource,
  tableOf,
  type Values,
  type Verb,
} from "../../resource.ts";
import { referenceOf } from "../rules/rule-source.ts";
import { calendarLines, notReachedLine, notReachedLines, zonedTime } from "./oncall-text.ts";
import { OF_PROJECT } from "./shared.ts";

/** Width of names beside two times with their offsets, on a line of 80 characters. */
const PEOPLE = 28;
const ADVICE = "Days off are advisory: the user stays on call until a swap or an override is taken.";
const FROM = ["--from <time>", "start (default: now)", futureFlag] as const;
const TO = ["--to <time>", "end (default: 14 days after the start)", futureFlag] as const;
const REF = "id, external id, username or mail address";
const NOTE = ["--note <text>", "text for the user and those who may change it"] as const;

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

const SHIFTS = {
  ...{ ID: "id:id", LEVEL: "level", START: "start" },
  REPEATS: ({ recurrence }: OnCallShift) =>
    recurrence === null
      ? "once"
      : `${recurrence.interval > 1 ? `${recurrence.interval} x ` : ""}${recurrence.frequency}`,
  LENGTH: ({ durationMs }: OnCallShift) => ageText(durationMs),
  TURNS: ({ turns }: OnCallShift) => turns.length,
  NAME: "name:24",
};

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
        : [
            ...table(
              ["SCHEDULE", "ON CALL", heading],
              data.map((each) => [cut(each.name, 24), ...cells(each)]),
            ),
            ...data.flatMap(({ name, notReached }) =>
              notReached.map(({ text }) => notReachedLine(text, `is scheduled now on ${name}`)),
            ),
          ],
  };
}

type Range = Partial<OnCallFinalShifts["data"][number]> & { readonly start: string; readonly end: string };

interface Ranges {
  readonly data: readonly Range[];
  readonly notReached?: OnCallFinalShifts["notReached"];
}

function rangeLines(name: string, data: readonly Range[], zone: string): string[] {
  const columns = {
    FROM: ({ start }: Range) => zonedTime(start, zone),
    UNTIL: ({ end }: Range) => zonedTime(end, zone),
    "ON CALL": ({ users }: Range) => cut(peopleText(users), PEOPLE),
  };
  return data.length === 0 ? [`no ${name}`] : tableOf(columns, data);
}

type ShownSchedule = OnCallSchedule & {
  readonly shifts: readonly OnCallShift[];
  /** With a calendar: who is on call in the next 14 days. */
  readonly finalShifts?: OnCallFinalShifts["data"];
};

const SHOWN_TURNS = 5;

function turnLines({ calendar, timezone, finalShifts = [] }: ShownSchedule): string[] {
  const read = calendar?.checkedAt ? `read ${zonedTime(calendar.checkedAt, timezone)}` : "not read yet";
  const turns = finalShifts.slice(0, SHOWN_TURNS);
  return [
    `fed by a calendar, ${read}`,
    ...(turns.length === 0 ? ["no one is on call in the next 14 days"] : rangeLines("shifts", turns, timezone)),
  ];
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
    lines: ({ data, notReached = [] }: Ranges, { found }) => [
      ...rangeLines(name, data, String(found["timezone"])),
      ...notReachedLines(notReached, String(found["timezone"])),
      ...calendarLines(found as unknown as OnCallSchedule),
    ],
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

/** Flags of a rotation. */
const ROTATION = {
  users: new Option("--users <users>", `separated by commas, in their order: ${REF}`)
    .argParser(userList)
    .makeOptionMandatory(),
  turn: new Option("--turn <length>", "how long each is on call").choices(Object.keys(TURNS)).default("week"),
  handover: ["--handover <time>", "when the next turn begins; of weeks on Monday", timeOfDay, "09:00"],
} as const;

/** A shift in which users take turns; the first one is on call at once. */
function rotationOf({ users, turn, handover, ...given }: Values, timezone: string): Values {
  const { frequency, days } = TURNS[turn as keyof typeof TURNS];
  const start = lastHandover(turn as keyof typeof TURNS, String(handover), timezone);
  const turns = (users as readonly string[]).map((user) => [user]);
  return { durationMs: days * DAY_MS, ...given, start, recurrence: { frequency }, turns };
}

/** What a file has of a schedule, and of each of its shifts. */
const PORTABLE = ["name", "description", "timezone", "handoverLeadMs", "notifiesOff", "reportsGaps", "calendarUrl"];
const PORTABLE_SHIFT = ["name", "level", "start", "durationMs", "timezone", "recurrence", "turns", "startTurn"];

function picked(names: readonly string[], from: object): Values {
  return Object.fromEntries(Object.entries(from).filter(([name]) => names.includes(name)));
}

async function shiftsOf(server: ServerClient, id: unknown): Promise<OnCallShift[]> {
  return listOf(server, "listOnCallShifts", { id });
}

/** A schedule with its shifts; users by names that are valid on another server. */
async function documentOf({ server, found }: Call): Promise<Values> {
  const shifts = await shiftsOf(server, found["id"]);
  const names = new Map<string, string>();
  for (const id of new Set(shifts.flatMap(({ turns }) => turns.flat())))
    names.set(id, (await referenceOf(server, id)) ?? id);
  const named = shifts.map(({ turns, ...shift }) => ({
    ...picked(PORTABLE_SHIFT, shift),
    turns: turns.map((users) => users.map((id) => names.get(id) ?? id)),
  }));
  return { ...picked(PORTABLE, found), shifts: named };
}

/** Makes the schedule of the name as the file says: its shifts by their names, the others are deleted. */
async function importSchedule({ server, out, given: { file, projectId } }: Call): Promise<void> {
  const { shifts = [], ...given } = (await readJsonObject(file === "-" ? "-" : `@${file}`, "the file")) as {
    readonly shifts?: readonly Values[];
    readonly name?: string;
  };
  const known = await listOf(server, "listOnCallSchedules", { projectId });
  const old = known.find(({ name }) => name === given.name);
  const { id, name } = old
    ? await callOf(server, "updateOnCallSchedule", { ...given, id: old.id, "If-Match": `"${old.version}"` })
    : await callOf(server, "createOnCallSchedule", { ...given, projectId });
  const before = await shiftsOf(server, id);
  const stored: OnCallShift[] = [];
  for (const shift of shifts) {
    const same = before.find((each) => each.name === shift["name"] && !stored.some((done) => done.id === each.id));
    stored.push(
      same
        ? await callOf(server, "updateOnCallShift", { ...shift, id, shiftId: same.id, "If-Match": `"${same.version}"` })
        : await callOf(server, "createOnCallShift", { ...shift, id }),
    );
  }
  const gone = before.filter((each) => !stored.some((kept) => kept.id === each.id));
  for (const { id: shiftId } of gone) await callOf(server, "deleteOnCallShift", { id, shiftId });
  out.result({ id, name, shifts: stored }, () => `${id}  ${name}  ${old ? "updated" : "created"}`);
}

/** A schedule with one rotation, or nothing. */
async function createRotation({ server, out, given }: Call): Promise<void> {
  const { name, projectId, timezone: zone, ...rotation } = given;
  const schedule = await callOf(server, "createOnCallSchedule", { name, projectId, timezone: zone });
  const { id, timezone } = schedule;
  let shift: OnCallShift;
  try {
    shift = await callOf(server, "createOnCallShift", { id, name, ...rotationOf(rotation, timezone) });
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
    examples: ["oncall", "oncall gaps Database"],
    ref: "id or name, or a prefix",
    bare: "now",
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
        columns: { ID: "id", "TIME ZONE": "timezone", NAME: "name:24" },
      },
      create: {
        text: "create a schedule in which users are on call in turn",
        about: "The first user is on call at once. prism oncall add-rotation adds others.",
        examples: ["Database --users ann,ben", "Web --users ann,ben --turn day --timezone Europe/Paris"],
        args: { name: ["<name>", "name of the schedule"] },
        flags: {
          ...ROTATION,
          timezone: ["--timezone <zone>", "time zone, such as Europe/Paris (default: that of the server)"],
        },
        run: createRotation,
      },
      show: {
        text: "show a schedule with its shifts, or the next turns of an imported calendar",
        examples: ["Database", "Database --json"],
        one: true,
        async get({ server, found }) {
          const shown = { ...found, shifts: await shiftsOf(server, found["id"]) };
          if (found["calendar"] === null) return shown;
          const { data } = await callOf(server, "listOnCallFinalShifts", { id: found["id"] });
          return { ...shown, finalShifts: data };
        },
        lines: (schedule: ShownSchedule) => [
          filled("{id}  {name}  {timezone}", schedule),
          ...(schedule.shifts.length > 0 ? tableOf(SHIFTS, schedule.shifts) : []),
          ...(schedule.calendar ? turnLines(schedule) : []),
          ...(schedule.shifts.length === 0 && !schedule.calendar ? ["no shifts"] : []),
          ...calendarLines(schedule),
        ],
      },
      "add-rotation": {
        text: "add a rotation to a schedule, such as one of the nights or of another level",
        about: "Of shifts at the same time the highest level is on call; those of one level all are.",
        examples: [
          "Database --users cleo,dan --turn day --handover 20:00 --length 12h",
          "Database --users eve --name Backup",
        ],
        one: true,
        of: "createOnCallShift",
        flags: {
          ...ROTATION,
          name: ["--name <name>", "name of the rotation (default: the schedule's)"],
          durationMs: ["--length <duration>", "how long a shift is (default: the whole turn)", durationFlag],
          level: ["--level <n>", "0 to 9; a higher one wins", integerFlag(0, 9), 0],
        },
        values: ({ name, durationMs, ...given }, { found }) => ({
          ...rotationOf({ ...given, ...(durationMs === undefined ? {} : { durationMs }) }, String(found["timezone"])),
          name: name ?? found["name"],
        }),
        lines: (shift: OnCallShift) => [...tableOf(SHIFTS, [shift]), ...warningLines(shift)],
      },
      export: {
        text: "print a schedule with its shifts as JSON for prism oncall import",
        examples: ["$ prism oncall export Database > database.json"],
        one: true,
        get: documentOf,
        lines: (document: Values) => JSON.stringify(document, null, 2),
      },
      import: {
        text: "create or change a schedule by name from a JSON file; - is stdin",
        about: "Its shifts are those of the file afterwards. Shifts are found by name; past times do not change.",
        examples: ["database.json"],
        args: { file: ["<file>", "a schedule, as prism oncall export prints it"] },
        changes: true,
        run: importSchedule,
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
        excludes: [["userId", "schedule"]],
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
        changes: true,
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
        changes: true,
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
