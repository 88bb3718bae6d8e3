import assert from "node:assert/strict";
import test, { before } from "node:test";
import { DateTime } from "luxon";
import { loadTimes } from "../../../../src/features/time/timers/time.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeUser } from "../../../helpers/people.ts";
import { startPrism } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";

const NEW_YORK = "America/New_York";

// As before a module registers.
before(loadTimes);

test("S0-39 S0-44 a module asks for the time: services.time.now().toISO()", async (t) => {
  keepsPromise(t, "S0-39");
  const clock = new FakeClock();
  const { services } = await startPrism(t, { clock, settings: { timezone: "Asia/Tokyo" } });
  const now = services.time.now();
  assert.ok(now instanceof DateTime);
  assert.deepEqual([now.toMillis(), now.zoneName, now.offset], [clock.now(), "Asia/Tokyo", 540]);
  assert.match(now.toISO() ?? "", /^20\d\d-\d\d-\d\dT[\d:.]{12}\+09:00$/);
  assert.equal(services.time.now(NEW_YORK).zoneName, NEW_YORK);
  clock.advance(1000);
  assert.equal(services.time.now().toMillis(), clock.now());
});

test("a moment is converted, whatever it is given as", async (t) => {
  const { time } = (await startPrism(t)).services;
  const iso = "2026-01-31T08:00:00.000Z";
  for (const at of [
    iso,
    "2026-01-31T08:00:00",
    "2026-01-31 03:00:00-05:00",
    new Date(iso),
    DateTime.fromISO(iso, { zone: "Asia/Tokyo" }),
  ])
    assert.equal(time.convert(at, "Europe/Berlin").toISO(), "2026-01-31T09:00:00.000+01:00");
  for (const at of [
    "yesterday",
    "2026-02-30T00:00:00Z",
    "2026-01-31",
    "",
    new Date(Number.NaN),
    DateTime.invalid("no"),
  ])
    assert.throws(() => time.convert(at, "UTC"), { code: "VALIDATION_FAILED" });
});

test("a zone is one of the IANA database, and nothing else", async (t) => {
  const { time } = (await startPrism(t)).services;
  for (const zone of ["UTC", "Europe/Berlin", "america/new_york", "Etc/GMT+5", "Asia/Kolkata"]) {
    assert.equal(time.isValidZone(zone), true, zone);
    assert.equal(time.now(zone).isValid, true, zone);
  }
  for (const zone of ["", "Mars/Olympus", "+02:00", "UTC+3", "local", "system", "default"]) {
    assert.equal(time.isValidZone(zone), false, zone);
    assert.throws(() => time.now(zone), { code: "INVALID_TIMEZONE" }, zone);
  }
});

test("8.5: a local time in the gap comes out moved forward by the gap, one that occurs twice is selected by its offset", async (t) => {
  const { time } = (await startPrism(t)).services;
  for (const [name, at, local, isDst] of [
    ["before the gap", "2026-03-08T01:59:59-05:00", "2026-03-08T01:59:59.000-05:00", false],
    ["in the gap, at its begin", "2026-03-08T02:00:00-05:00", "2026-03-08T03:00:00.000-04:00", true],
    ["in the gap", "2026-03-08T02:30:00-05:00", "2026-03-08T03:30:00.000-04:00", true],
    ["in the gap, by the offset after it", "2026-03-08T02:30:00-04:00", "2026-03-08T01:30:00.000-05:00", false],
    ["the first 01:30", "2026-11-01T01:30:00-04:00", "2026-11-01T01:30:00.000-04:00", true],
    ["the second 01:30", "2026-11-01T01:30:00-05:00", "2026-11-01T01:30:00.000-05:00", false],
    ["as UTC", "2026-11-01T05:30:00", "2026-11-01T01:30:00.000-04:00", true],
  ] as const)
    await t.test(name, () => {
      const converted = time.convert(at, NEW_YORK);
      assert.deepEqual([converted.toISO(), converted.isInDST], [local, isDst]);
    });
});

test("a moment on a user's clock", async (t) => {
  const prism = await startPrism(t);
  const { time, db } = prism.services;
  const { id } = await makeUser(prism, "kenji");
  await db.write((trx) => trx.updateTable("users").set({ timezone: "Asia/Tokyo" }).where("id", "=", id).execute());
  assert.equal((await time.forUser("2026-01-31T08:00:00Z", id)).toISO(), "2026-01-31T17:00:00.000+09:00");
  await assert.rejects(time.forUser(new Date(), "0198c0de-0000-7000-8000-00000000dead"), { code: "USER_NOT_FOUND" });
});
