import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { readCalendar } from "../../../src/features/oncall/calendar-read.ts";
import { FakeClock } from "../../helpers/fake-clock.ts";
import { makeProject, makeUser } from "../../helpers/people.ts";
import { type Reply, startPrism, type TestPrism } from "../../helpers/prism.ts";
import { rowsOf } from "../../helpers/tables.ts";

export const HOUR = 3_600_000;
export const DAY = 86_400_000;
export const PATH = "/api/v1/oncall";

export interface Person {
  readonly id: string;
  readonly token: string;
}

/** A server with a project, whose owner is the administrator and whose viewers are ada and grace. */
export interface OnCallWorld {
  readonly prism: TestPrism;
  readonly clock: FakeClock;
  readonly projectId: string;
  readonly apiKey: string;
  readonly ada: Person;
  readonly grace: Person;
}

export async function onCallWorld(t: TestContext, settings: Record<string, string> = {}): Promise<OnCallWorld> {
  // A full hour, so that texts have no odd minutes.
  const clock = new FakeClock(Math.ceil(new FakeClock().now() / HOUR) * HOUR);
  const prism = await startPrism(t, {
    clock,
    settings: { "rateLimit.enabled": "false", "auth.accessExpires": "30d", ...settings },
  });
  const { id: projectId, apiKey } = await makeProject(prism);
  const ada = await makeUser(prism, "ada");
  const grace = await makeUser(prism, "grace");
  for (const { id } of [ada, grace]) await join(prism, projectId, id);
  return { prism, clock, projectId, apiKey, ada, grace };
}

export async function join(prism: TestPrism, projectId: string, userId: string, role = "viewer"): Promise<void> {
  const reply = await prism.post(`/api/v1/projects/${projectId}/members`, { userId, role });
  assert.ok(reply.status < 300, reply.text);
}

export async function made<T = { id: string }>(reply: Promise<Reply>): Promise<T> {
  const { status, body, text } = await reply;
  assert.ok(status < 300, text);
  return body as T;
}

export async function makeSchedule({ prism, projectId }: OnCallWorld, more: object = {}): Promise<string> {
  const body = { projectId, name: "Database", timezone: "UTC", ...more };
  return (await made(prism.post(`${PATH}/schedules`, body))).id;
}

export async function makeShift({ prism }: OnCallWorld, schedule: string, shift: object): Promise<string> {
  return (await made(prism.post(`${PATH}/schedules/${schedule}/shifts`, shift))).id;
}

/** A local time in UTC, as shifts have it. */
export const local = (at: number): string => new Date(at).toISOString().slice(0, 19);
export const iso = (at: number): string => new Date(at).toISOString();

interface Final {
  readonly data: readonly {
    readonly start: string;
    readonly end: string;
    readonly users: readonly { readonly username: string }[];
  }[];
}

/** Such as `ada 0-24`: hours since an instant. */
export async function finalTexts({ prism }: OnCallWorld, schedule: string, from: number, hours: number) {
  const range = `from=${iso(from)}&to=${iso(from + hours * HOUR)}`;
  const { data } = await made<Final>(prism.get(`${PATH}/schedules/${schedule}/final-shifts?${range}`));
  const hour = (text: string): number => (Date.parse(text) - from) / HOUR;
  return data.map(({ start, end, users }) => {
    const names = users.map(({ username }) => username).sort();
    return `${names.join("+")} ${hour(start)}-${hour(end)}`;
  });
}

interface Stored {
  readonly type: string;
  readonly payload: string;
}

/** The events of a type, oldest first. */
export function eventsOf<T>({ prism }: OnCallWorld, type: string): T[] {
  return rowsOf<Stored>(prism, "select type, payload from events order by seq")
    .filter((row) => row.type === type)
    .map(({ payload }) => JSON.parse(payload) as T);
}

/** Titles of the on-call notifications of a user, oldest first. */
export function noticesOf({ prism }: OnCallWorld, { id }: { readonly id: string }): string[] {
  const rows = rowsOf<{ title: string; userId: string }>(
    prism,
    `select n.title, r.userId from notifications n join notification_recipients r on r.notificationId = n.id
     where n.kind = 'oncall' order by n.createdAt, r.seq`,
  );
  return rows.filter(({ userId }) => userId === id).map(({ title }) => title);
}

/** The time that tests read of a calendar. */
export const SPAN = {
  timezone: "Europe/Berlin",
  from: Date.parse("2026-01-01T00:00:00Z"),
  to: Date.parse("2027-01-01T00:00:00Z"),
};

/** A calendar file of these events. */
export function calendar(...events: readonly string[]): string {
  const lines = events.flatMap((event) => ["BEGIN:VEVENT", "UID:a", ...event.trim().split(/\n\s*/), "END:VEVENT"]);
  return ["BEGIN:VCALENDAR", "VERSION:2.0", ...lines, "END:VCALENDAR"].join("\r\n");
}

/** The first spans that are read of a calendar file, as texts. */
export async function read(text: string, count = 10): Promise<string[]> {
  const { events } = await readCalendar(text, SPAN);
  return events
    .slice(0, count)
    .map(
      ({ start, end, level, names }) =>
        `${level} ${names.join("+")} ${iso(start).slice(0, 16)} ${(end - start) / HOUR} h`,
    );
}
