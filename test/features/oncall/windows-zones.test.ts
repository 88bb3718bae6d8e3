import assert from "node:assert/strict";
import test from "node:test";
import { readCalendar } from "../../../src/features/oncall/calendar-read.ts";
import { WINDOWS_ZONES } from "../../../src/features/oncall/model/windows-zones.gen.ts";
import { calendar, SPAN } from "./support.ts";

test("each zone of Windows is one that this system knows, and calendars read it", async () => {
  assert.ok(WINDOWS_ZONES.size >= 130, String(WINDOWS_ZONES.size));
  for (const [name, zone] of WINDOWS_ZONES) {
    const { resolvedOptions } = new Intl.DateTimeFormat("en", { timeZone: zone });
    assert.ok(resolvedOptions, name);
    const event = (tzid: string) => `DTSTART;TZID=${tzid}:20260701T090000\nDURATION:PT1H\nSUMMARY:ada`;
    const [windows, iana] = await Promise.all([name, zone].map((tzid) => readCalendar(calendar(event(tzid)), SPAN)));
    assert.deepEqual(windows, iana, name);
  }
});
