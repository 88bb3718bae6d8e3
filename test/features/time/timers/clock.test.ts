import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeProject, makeUser } from "../../../helpers/people.ts";
import { answered, TestPrism } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";

interface Failed {
  readonly error?: { readonly code: string; readonly details?: readonly { readonly path?: string }[] };
}

const clock = new FakeClock(Date.UTC(2026, 6, 1, 12));
let prism: TestPrism;
let kenji: { id: string; token: string };

before(async () => {
  prism = await TestPrism.start({ clock });
  kenji = await makeUser(prism, "kenji");
  await prism.services.db.write((trx) =>
    trx.updateTable("users").set({ timezone: "Asia/Tokyo" }).where("id", "=", kenji.id).execute(),
  );
});
after(() => prism.stop());

const convert = (query: Readonly<Record<string, string>>) => `/time/convert?${new URLSearchParams(query)}`;

test("S0-25 GET /time/now returns the server's time, at either path", async (t) => {
  keepsPromise(t, "S0-25");
  for (const path of ["/time/now", "/api/v1/time/now"]) {
    const { body } = await answered(200, prism.get(path));
    assert.deepEqual(body, {
      now: "2026-07-01T12:00:00.000Z",
      iso: "2026-07-01T12:00:00.000Z",
      epochMs: clock.now(),
      timezone: "UTC",
      local: "2026-07-01T12:00:00.000Z",
      offsetMinutes: 0,
    });
  }
  const { body } = await prism.get("/time/now?zone=America/St_Johns");
  assert.deepEqual(
    [body["now"], body["local"], body["timezone"], body["offsetMinutes"]],
    ["2026-07-01T12:00:00.000Z", "2026-07-01T09:30:00.000-02:30", "America/St_Johns", -150],
  );
  assert.equal((await prism.get("/time/now", { token: null })).status, 401);
  const refused = await prism.get<Failed>("/time/now?zone=Mars/Olympus");
  assert.deepEqual([refused.status, refused.body.error?.code], [400, "INVALID_TIMEZONE"]);
});

test("S0-26 GET /time/convert?datetime=&userId= converts to the user's zone, at either path", async (t) => {
  keepsPromise(t, "S0-26");
  const expected = {
    datetime: "2026-01-31T08:00:00.000Z",
    userId: kenji.id,
    timezone: "Asia/Tokyo",
    converted: "2026-01-31T17:00:00.000+09:00",
    offsetMinutes: 540,
    isDst: false,
  };
  for (const path of [
    `/time/convert?datetime=2026-01-31T08:00:00Z&userId=${kenji.id}`,
    `/api/v1/time/convert?datetime=2026-01-31T08:00:00Z&userId=${kenji.id}`,
    convert({ datetime: "2026-01-31T08:00:00", userId: "kenji" }),
    convert({ datetime: "2026-01-31T10:00:00+02:00", userId: "kenji" }),
  ]) {
    const { status, body } = await prism.get(path);
    assert.deepEqual([status, body], [200, expected], path);
  }
});

test("without a user it is the caller's own zone; a zone can be given", async () => {
  const own = await prism.get(convert({ datetime: "2026-01-31T08:00:00Z" }), { token: kenji.token });
  assert.deepEqual([own.body["userId"], own.body["timezone"]], [kenji.id, "Asia/Tokyo"]);
  const { body } = await prism.get(convert({ datetime: "2026-07-31T08:00:00Z", zone: "Europe/Berlin" }));
  assert.deepEqual(body, {
    datetime: "2026-07-31T08:00:00.000Z",
    userId: null,
    timezone: "Europe/Berlin",
    converted: "2026-07-31T10:00:00.000+02:00",
    offsetMinutes: 120,
    isDst: true,
  });
});

test("8.5: of a local time in a gap or an overlap, the answer says the offset and whether it is summer time", async () => {
  const zone = "America/New_York";
  const inGap = await prism.get(convert({ datetime: "2026-03-08T02:30:00-05:00", zone }));
  assert.deepEqual(
    [inGap.body["converted"], inGap.body["isDst"]],
    ["2026-03-08T03:30:00.000-04:00", true],
    "moved forward by the gap",
  );
  const first = await prism.get(convert({ datetime: "2026-11-01T01:30:00-04:00", zone }));
  const second = await prism.get(convert({ datetime: "2026-11-01T01:30:00-05:00", zone }));
  assert.deepEqual(
    [first.body["offsetMinutes"], first.body["isDst"], second.body["offsetMinutes"], second.body["isDst"]],
    [-240, true, -300, false],
  );
});

test("what cannot be converted is refused; other users are there only for who may look at users", async (t) => {
  const datetime = "2026-01-31T08:00:00Z";
  const dev = prism.parts.offers.devUserId ?? "";
  for (const { name, query, status, code, token, path } of [
    { name: "no time", query: {}, status: 400, code: "VALIDATION_FAILED", path: "datetime" },
    {
      name: "no such time",
      query: { datetime: "2026-02-30T00:00:00Z" },
      status: 400,
      code: "VALIDATION_FAILED",
      path: "datetime",
    },
    { name: "a time in words", query: { datetime: "now" }, status: 400, code: "VALIDATION_FAILED", path: "datetime" },
    {
      name: "a user and a zone",
      query: { datetime, userId: "me", zone: "UTC" },
      status: 400,
      code: "VALIDATION_FAILED",
    },
    { name: "no such zone", query: { datetime, zone: "Nowhere" }, status: 400, code: "INVALID_TIMEZONE" },
    { name: "no such user", query: { datetime, userId: "nobody" }, status: 404, code: "USER_NOT_FOUND" },
    {
      name: "somebody else",
      query: { datetime, userId: dev },
      status: 404,
      code: "USER_NOT_FOUND",
      token: kenji.token,
    },
  ])
    await t.test(name, async () => {
      const reply = await prism.get<Failed>(convert(query as Record<string, string>), token ? { token } : {});
      assert.deepEqual([reply.status, reply.body.error?.code], [status, code], reply.text);
      if (path) assert.equal(reply.body.error?.details?.[0]?.path, path);
    });
  const { token } = await makeUser(prism, "ada", ["Auditor"]);
  assert.equal((await prism.get(convert({ datetime, userId: "kenji" }), { token })).status, 200);
  const { apiKey } = await makeProject(prism, "keys");
  assert.equal((await prism.get("/time/now", { apiKey, token: null })).status, 403);
});
