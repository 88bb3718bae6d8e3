import { zoneOffsetMs } from "../../../core/clock.ts";
import { everyItem, pick } from "../../on-server.ts";
import { cut, shortTime } from "../../output/output.ts";
import type { ServerClient } from "../../server-client.ts";
import type { ProjectFlag } from "./things.ts";

/* What the commands about on-call share. */

export const PATH = "/api/v1/oncall";

export interface Person {
  readonly id: string;
  readonly username: string | null;
  readonly name: string | null;
  /** Days off in this time that no swap or override covers. */
  readonly away?: { readonly firstDay: string; readonly lastDay: string } | null;
}

interface Schedule {
  readonly id: string;
  readonly name: string;
  readonly timezone: string;
}

/** A time in which a user is on call and away. */
export interface Conflict {
  readonly name: string;
  readonly user: Person;
  readonly start: string;
  readonly end: string;
  readonly swapId: string | null;
}

/** What changes of schedules and days off answer. */
export interface Warned {
  readonly warnings?: readonly Conflict[];
}

export interface RangeFlags extends ProjectFlag {
  readonly from?: number;
  readonly to?: number;
}

export const at = (ms: number | undefined): string | undefined =>
  ms === undefined ? undefined : new Date(ms).toISOString();

/** As clocks of a schedule's zone show it, with the offset: `2026-11-16 09:00 +01:00`; `-` for null. */
export function zonedTime(rfc3339: string | null, timezone: string): string {
  if (rfc3339 === null) return "-";
  const ms = Date.parse(rfc3339);
  const offset = zoneOffsetMs(timezone, ms);
  const wall = new Date(ms + offset).toISOString();
  const ofDay = new Date(Math.abs(offset)).toISOString().slice(11, 16);
  return `${wall.slice(0, 10)} ${wall.slice(11, 16)} ${offset < 0 ? "-" : "+"}${ofDay}`;
}

export const nameOf = ({ id, username, name }: Person): string => username ?? name ?? id;

export const peopleText = (people: readonly Person[] | undefined): string =>
  people === undefined || people.length === 0
    ? "no one"
    : people.map((each) => `${nameOf(each)}${each.away ? ` (away to ${each.away.lastDay})` : ""}`).join(", ");

/** The schedules of a project, or of all. */
export const schedulesOf = (server: ServerClient, { project }: ProjectFlag): Promise<Schedule[]> =>
  everyItem<Schedule>(server, `${PATH}/schedules`, { projectId: project });

/** The schedule of an id or name, or a prefix of one. @throws CommandError 6, 7 */
export async function findSchedule(server: ServerClient, ref: string, flags: ProjectFlag): Promise<Schedule> {
  return pick(await schedulesOf(server, flags), ref, {
    one: "schedule",
    namesOf: ({ name }) => [name],
    lineOf: ({ id, name }) => `${id}  ${name}`,
  });
}

/** Lines below the result of a change that puts a user on call on days off. */
export function warningLines({ warnings = [] }: Warned): string[] {
  return warnings.map(
    ({ name, user, start, end }) =>
      `warning: ${cut(nameOf(user), 16)} is away, on call ${shortTime(start)} to ${shortTime(end)}: ${cut(name, 12)}`,
  );
}
