import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { parseRfc3339, spanText, systemClock, toRfc3339, toRfc3339OrNull } from "../../src/core/time/clock.ts";

test("an RFC 3339 date-time is read to the millisecond", async (t) => {
  for (const { name, text, is } of [
    { name: "UTC", text: "2026-01-31T08:00:00Z", is: "2026-01-31T08:00:00.000Z" },
    { name: "lower case", text: "2026-01-31t08:00:00z", is: "2026-01-31T08:00:00.000Z" },
    { name: "a space between date and time", text: "2026-01-31 08:00:00Z", is: "2026-01-31T08:00:00.000Z" },
    { name: "an offset ahead", text: "2026-01-31T08:00:00+05:30", is: "2026-01-31T02:30:00.000Z" },
    { name: "a negative offset, over midnight", text: "2026-01-31T22:00:00-08:00", is: "2026-02-01T06:00:00.000Z" },
    { name: "an unknown local offset", text: "2026-01-31T08:00:00-00:00", is: "2026-01-31T08:00:00.000Z" },
    { name: "tenths", text: "2026-01-31T08:00:00.5Z", is: "2026-01-31T08:00:00.500Z" },
    { name: "milliseconds", text: "2026-01-31T08:00:00.123Z", is: "2026-01-31T08:00:00.123Z" },
    { name: "finer than that is cut", text: "2026-01-31T08:00:00.1239999999999Z", is: "2026-01-31T08:00:00.123Z" },
    { name: "a leap second counts as the one after", text: "2016-12-31T23:59:60Z", is: "2017-01-01T00:00:00.000Z" },
    { name: "a leap second with an offset", text: "1990-12-31T15:59:60-08:00", is: "1991-01-01T00:00:00.000Z" },
    { name: "the 29th of February of a leap year", text: "2024-02-29T00:00:00Z", is: "2024-02-29T00:00:00.000Z" },
    { name: "the first year that counts", text: "0100-01-01T00:00:00Z", is: "0100-01-01T00:00:00.000Z" },
    { name: "the last", text: "9999-12-31T23:59:59.999Z", is: "9999-12-31T23:59:59.999Z" },
  ])
    await t.test(name, () => assert.equal(parseRfc3339(text), Date.parse(is)));
});

test("a text that is not an RFC 3339 date-time with offset is refused", async (t) => {
  for (const [name, text] of Object.entries({
    "no offset": "2026-01-31T08:00:00",
    "no time": "2026-01-31",
    "no seconds": "2026-01-31T08:00Z",
    "an offset without colon": "2026-01-31T08:00:00+0530",
    "an offset of 24 hours": "2026-01-31T08:00:00+24:00",
    "an offset of 60 minutes": "2026-01-31T08:00:00+01:60",
    "the 30th of February": "2026-02-30T08:00:00Z",
    "the 29th of February of a common year": "2026-02-29T08:00:00Z",
    "the 31st of April": "2026-04-31T08:00:00Z",
    "month 0": "2026-00-10T08:00:00Z",
    "month 13": "2026-13-10T08:00:00Z",
    "day 0": "2026-01-00T08:00:00Z",
    "hour 24": "2026-01-31T24:00:00Z",
    "minute 60": "2026-01-31T08:60:00Z",
    "second 61": "2026-01-31T08:00:61Z",
    "a point without digits": "2026-01-31T08:00:00.Z",
    "a comma": "2026-01-31T08:00:00,5Z",
    "a year of five digits": "12026-01-31T08:00:00Z",
    "a year that Date would take for another": "0099-01-31T08:00:00Z",
    "something behind it": "2026-01-31T08:00:00Z ",
    "digits of another script": "٢٠٢٦-01-31T08:00:00Z",
    "epoch milliseconds": "1700000000000",
    nothing: "",
  }))
    await t.test(name, () => assert.equal(parseRfc3339(text), undefined));
});

test("an instant that is written and read again is equal", () => {
  const instant = fc.integer({ min: Date.parse("0100-01-01T00:00:00Z"), max: Date.parse("9999-12-31T23:59:59Z") });
  fc.assert(fc.property(instant, (at) => assert.equal(parseRfc3339(toRfc3339(at)), at)));
});

test("an offset moves the instant by itself and by nothing else", () => {
  const offset = fc.tuple(fc.constantFrom(1, -1), fc.integer({ min: 0, max: 23 }), fc.integer({ min: 0, max: 59 }));
  fc.assert(
    fc.property(offset, ([sign, hours, minutes]) => {
      const two = (n: number): string => String(n).padStart(2, "0");
      const text = `2026-06-15T12:00:00${sign < 0 ? "-" : "+"}${two(hours)}:${two(minutes)}`;
      assert.equal(parseRfc3339(text), Date.parse("2026-06-15T12:00:00Z") - sign * (hours * 60 + minutes) * 60_000);
    }),
  );
});

test("instants are shown in UTC with milliseconds, and absent ones are null", () => {
  assert.equal(toRfc3339(0), "1970-01-01T00:00:00.000Z");
  assert.equal(toRfc3339(1), "1970-01-01T00:00:00.001Z");
  assert.equal(toRfc3339(0), "1970-01-01T00:00:00.000Z", "the text that is kept is not shown for another instant");
  assert.equal(toRfc3339OrNull(5), "1970-01-01T00:00:00.005Z");
  assert.equal(toRfc3339OrNull(null), null);
});

test("the system's clock is the system's", (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: 123 });
  assert.equal(systemClock.now(), 123);
});

test("a span of time is shown in seconds below a minute, then in minutes, hours and days", () => {
  const spans = [0, 15_000, 59_400, 59_600, 90_000, 3_600_000, 7_500_000, 90_061_000].map(spanText);
  assert.deepEqual(spans, ["1 s", "15 s", "59 s", "1 min", "2 min", "1 h", "2 h 5 min", "1 d 1 h 1 min"]);
});
