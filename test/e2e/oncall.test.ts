import assert from "node:assert/strict";
import test from "node:test";
import ICAL from "ical.js";
import { PrismBinary } from "./prism-binary.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

interface Now {
  readonly data: readonly {
    readonly name: string;
    readonly current: readonly { readonly username: string }[];
    readonly until: string;
  }[];
}

test("the executable says who is on call, after kill -9 too, and in a calendar that the library reads", async (t) => {
  const prism = new PrismBinary(t);
  await prism.start();
  const call = async <T>(method: string, path: string, body?: object): Promise<T> => {
    const reply = await fetch(`${prism.url}/api/v1/oncall${path}`, {
      method,
      headers: { Authorization: `Bearer ${prism.token}`, "Content-Type": "application/json" },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const text = await reply.text();
    assert.ok(reply.ok, text);
    return JSON.parse(text) as T;
  };
  const start = Math.floor(Date.now() / HOUR) * HOUR;
  const { id } = await call<{ id: string }>("POST", "/schedules", { name: "Nights", timezone: "UTC" });
  await call("POST", `/schedules/${id}/shifts`, {
    start: new Date(start).toISOString().slice(0, 19),
    durationMs: DAY,
    recurrence: { frequency: "daily" },
    turns: [["dev"]],
  });
  const { url } = await call<{ url: string }>("POST", `/schedules/${id}/calendar-link`);
  const read = async (): Promise<string[]> => {
    const { data } = await call<Now>("GET", "/now");
    return data.map(({ name, current }) => `${name}: ${current.map(({ username }) => username).join()}`);
  };
  assert.deepEqual(await read(), ["Nights: dev"]);
  await prism.kill();
  await prism.start();
  assert.deepEqual(await read(), ["Nights: dev"]);

  const { pathname, search } = new URL(url);
  const reply = await fetch(prism.url + pathname + search);
  assert.equal(reply.status, 200);
  const events = new ICAL.Component(ICAL.parse(await reply.text()) as never)
    .getAllSubcomponents("vevent")
    .map((each) => new ICAL.Event(each));
  assert.deepEqual(
    events.map(({ summary, endDate }) => [summary, endDate.toUnixTime() * 1000 > start + 170 * DAY]),
    [["dev", true]],
    "days without a gap are one event",
  );
  assert.doesNotMatch(prism.output, /prc_/, "the secret of the link is in no log");
});
