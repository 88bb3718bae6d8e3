import assert from "node:assert/strict";
import { createServer } from "node:http";
import test from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { listening } from "../helpers/listening.ts";
import { makeUser } from "../helpers/people.ts";
import { answered, startPrism } from "../helpers/prism.ts";
import { runCli, runJson } from "./run-cli.ts";

const DAY = 86_400_000;

/** A calendar in which ada is on call every day, with events that cannot be read. */
function calendar(starts: readonly string[]): string {
  const first = new Date(Date.now() - DAY).toISOString().slice(0, 10).replaceAll("-", "");
  const events = [
    `DTSTART;VALUE=DATE:${first}\r\nRRULE:FREQ=DAILY`,
    ...starts.map((start) => `DTSTART;TZID=Mars/Olympus:${start}`),
  ];
  const parts = events.map((times, at) => `BEGIN:VEVENT\r\nUID:${at}\r\n${times}\r\nSUMMARY:ada\r\nEND:VEVENT\r\n`);
  return `BEGIN:VCALENDAR\r\nVERSION:2.0\r\n${parts.join("")}END:VCALENDAR\r\n`;
}

test("prism oncall show of a schedule with a calendar shows the next turns, and events as the file has them", async (t) => {
  const file = calendar(["20260105T080000", "today\u001b[31m at nine", "x".repeat(50)]);
  const port = await listening(
    t,
    createServer((_request, response) => response.end(file)),
  );
  const prism = await startPrism(t, { settings: { "webhooks.allowPrivateCidrs": "127.0.0.0/8" } });
  const { id: userId } = await makeUser(prism, "ada");
  await answered(201, prism.post("/api/v1/projects/default/members", { userId, role: "viewer" }));
  const schedule = { name: "Database", timezone: "UTC", calendarUrl: `http://127.0.0.1:${port}/team.ics` };
  await answered(201, prism.post("/api/v1/oncall/schedules", schedule));
  const options = { cwd: prism.dir, env: { PRISM_URL: prism.url, PRISM_TOKEN: prism.adminToken } };

  const shown = await eventually("the calendar is read", async () => {
    const { stdout, stderr } = await runCli(["oncall", "show", "Database"], options);
    assert.equal(stderr, "");
    return stdout.includes("warning: ") ? stdout : undefined;
  });
  assert.match(
    shown,
    /\nfed by a calendar, read \d{4}-\S+ \S+ \+00:00\nFROM +UNTIL +ON CALL\n(?:2\S+ .* ada\n)+warning: /,
  );
  assert.deepEqual([shown.includes("no shifts"), shown.includes("\u001b")], [false, false]);
  assert.match(shown, /"ada" from 2026-01-05T08:00:00 \(the time zone Mars\/Olympus is not known\)/);
  assert.match(shown, /"ada" from today\[31m at nine \(/);
  assert.match(shown, /"ada" from x{30}… \(/);

  const json = await runJson<{ shifts: unknown[]; finalShifts: unknown[] }>(["oncall", "show", "Database"], options);
  assert.deepEqual([json.shifts, json.finalShifts.length > 0], [[], true]);
});
