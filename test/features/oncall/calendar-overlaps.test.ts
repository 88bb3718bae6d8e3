import assert from "node:assert/strict";
import { createServer } from "node:http";
import test from "node:test";
import { eventually } from "../../helpers/eventually.ts";
import { listening } from "../../helpers/listening.ts";
import { scalarOf } from "../../helpers/tables.ts";
import { DAY, iso, made, makeSchedule, onCallWorld, PATH } from "./support.ts";

const COUNT = 4000;

test("of a calendar's events of one level ten at a time count, which its error says", async (t) => {
  const world = await onCallWorld(t, { "webhooks.allowPrivateCidrs": "127.0.0.0/8" });
  const { prism, clock } = world;
  const from = clock.now() - DAY;
  const stamp = (at: number): string => `${iso(at).slice(0, 19).replaceAll(/[-:]/g, "")}Z`;
  const event = (n: number, summary: string): string =>
    [
      ...["BEGIN:VEVENT", `UID:${n}`, `DTSTART:${stamp(from + 1000 * n)}`, `DTEND:${stamp(from + 3 * DAY)}`],
      ...[`SUMMARY:${summary}`, "END:VEVENT\r\n"],
    ].join("\r\n");
  const events = Array.from({ length: COUNT }, (_, n) => event(n, "ada")).join("");
  const text = `BEGIN:VCALENDAR\r\nVERSION:2.0\r\n${events}${event(COUNT, "[L1] grace")}END:VCALENDAR`;
  const port = await listening(
    t,
    createServer((_request, response) => void response.end(text)),
  );
  const schedule = await makeSchedule(world, { calendarUrl: `http://127.0.0.1:${port}/` });
  await eventually("the calendar is read", () => scalarOf(prism, "select content from oncall_calendars") !== null);
  assert.equal(
    scalarOf(prism, "select error from oncall_calendars"),
    "it has more than 10 events of a level at a time, and the later ones do not count",
  );
  const spans = JSON.parse(scalarOf<string>(prism, "select content from oncall_calendars") ?? "") as { id: string }[];
  const ids = [...new Set(spans.map(({ id }) => id))];
  assert.deepEqual(ids, [...Array.from({ length: 10 }, (_, n) => String(n)), String(COUNT)]);
  // The other level counts on its own, and the higher one is on call.
  const { data } = await made<{ data: { current: { username: string }[] }[] }>(
    prism.get(`${PATH}/now?scheduleId=${schedule}`),
  );
  assert.deepEqual(
    data.map(({ current }) => current.map(({ username }) => username)),
    [["grace"]],
  );
});
