import assert from "node:assert/strict";
import test from "node:test";
import { makeUser } from "../../helpers/people.ts";
import { answered } from "../../helpers/prism.ts";
import { countOf } from "../../helpers/tables.ts";
import { valuesOf } from "../../helpers/values.ts";
import {
  DAY,
  finalTexts,
  HOUR,
  iso,
  join,
  local,
  made,
  makeSchedule,
  makeShift,
  onCallWorld,
  PATH,
} from "./support.ts";

test("a rotation takes turns, a higher level wins, and a lower one fills what it leaves", async (t) => {
  const world = await onCallWorld(t);
  const now = world.clock.now();
  const schedule = await makeSchedule(world);
  const daily = { frequency: "daily" };
  await makeShift(world, schedule, {
    start: local(now),
    durationMs: DAY,
    recurrence: daily,
    turns: [["ada"], ["grace"]],
  });
  assert.deepEqual(await finalTexts(world, schedule, now, 72), ["ada 0-24", "grace 24-48", "ada 48-72"]);
  await makeShift(world, schedule, {
    start: local(now + 6 * HOUR),
    durationMs: 8 * HOUR,
    level: 3,
    recurrence: daily,
    turns: [["dev", "grace"]],
  });
  assert.deepEqual(await finalTexts(world, schedule, now, 30), [
    "ada 0-6",
    "dev+grace 6-14",
    "ada 14-24",
    "grace 24-30",
  ]);
});

test("a changed rotation ends now and begins again, so that the past stays true", async (t) => {
  const world = await onCallWorld(t);
  const { prism, clock } = world;
  const start = clock.now();
  const schedule = await makeSchedule(world);
  const shift = await makeShift(world, schedule, {
    start: local(start),
    durationMs: DAY,
    recurrence: { frequency: "daily" },
    turns: [["ada"]],
  });
  clock.advance(36 * HOUR);
  const path = `${PATH}/schedules/${schedule}/shifts/${shift}`;
  const { body, headers } = await prism.get<{ version: number }>(path);
  assert.equal(headers.get("etag"), '"1"');
  const changed = await made<{ version: number; turns: string[][] }>(
    prism.put(path, { turns: [["grace"]] }, { headers: { "If-Match": '"1"' } }),
  );
  assert.deepEqual([body.version, changed.version, changed.turns], [1, 2, [[world.grace.id]]]);
  assert.deepEqual(await finalTexts(world, schedule, start, 72), ["ada 0-36", "grace 36-72"]);
  await answered(412, prism.put(path, { turns: [["ada"]] }, { headers: { "If-Match": '"1"' } }));

  clock.advance(6 * HOUR);
  assert.equal((await prism.delete(path)).status, 204);
  assert.deepEqual(await finalTexts(world, schedule, start, 72), ["ada 0-36", "grace 36-42"]);
  assert.equal((await prism.put(path, { name: "x" })).status, 404);
  const list = `${PATH}/schedules/${schedule}/shifts`;
  const current = await made<{ data: object[] }>(prism.get(list));
  const past = await made<{ data: { currentId: string | null }[] }>(prism.get(`${list}?include=past`));
  assert.deepEqual([current.data.length, past.data.length], [0, 2]);
});

test("a shift that has not begun is replaced, and one of the past is in effect from now on", async (t) => {
  const world = await onCallWorld(t);
  const { prism, clock } = world;
  const now = clock.now();
  const schedule = await makeSchedule(world);
  const shift = await makeShift(world, schedule, { start: local(now + HOUR), durationMs: HOUR, turns: [["ada"]] });
  await made(prism.put(`${PATH}/schedules/${schedule}/shifts/${shift}`, { durationMs: 2 * HOUR }));
  await makeShift(world, schedule, { start: local(now - 10 * HOUR), durationMs: 10.5 * HOUR, turns: [["grace"]] });
  assert.deepEqual(await finalTexts(world, schedule, now - 20 * HOUR, 30), ["grace 20-20.5", "ada 21-23"]);
});

test("users who are disabled do not count, and their time goes to lower levels", async (t) => {
  const world = await onCallWorld(t);
  const { prism, clock, ada } = world;
  const now = clock.now();
  const schedule = await makeSchedule(world);
  await makeShift(world, schedule, { start: local(now), durationMs: DAY, level: 1, turns: [["ada"]] });
  await makeShift(world, schedule, { start: local(now), durationMs: DAY, turns: [["grace"]] });
  clock.advance(HOUR);
  await made(prism.patch(`/api/v1/users/${ada.id}`, { status: "disabled" }));
  assert.deepEqual(await finalTexts(world, schedule, now, 24), ["ada 0-1", "grace 1-24"]);
  const { data } = await made<{ data: { current: { username: string }[]; notReached: object[]; until: string }[] }>(
    prism.get(`${PATH}/now?scheduleId=${schedule}`),
  );
  const rows = data.map(({ current, until }) => [current.map(({ username }) => username), until]);
  assert.deepEqual(rows, [[["grace"], iso(now + DAY)]]);
  const absent = { id: ada.id, username: "ada", text: "ada, whose account is disabled" };
  const said = (notReached: object[] | undefined) => notReached?.map((each) => ({ ...each, name: undefined }));
  assert.deepEqual(said(data[0]?.notReached), [{ ...absent, name: undefined }]);
  const final = await made<{ notReached: object[] }>(
    prism.get(`${PATH}/schedules/${schedule}/final-shifts?from=${iso(now)}&to=${iso(now + DAY)}`),
  );
  const span = { start: iso(now + HOUR), end: iso(now + DAY) };
  assert.deepEqual(said(final.notReached), [{ ...absent, name: undefined, ...span }]);
});

test("who is on call now, until when, and who is next; for a key, a project, and the caller", async (t) => {
  const world = await onCallWorld(t);
  const { prism, clock, projectId, apiKey, ada, grace } = world;
  const now = clock.now();
  const schedule = await makeSchedule(world);
  await makeShift(world, schedule, {
    start: local(now),
    durationMs: 12 * HOUR,
    recurrence: { frequency: "hourly", interval: 12 },
    turns: [["ada"], ["grace"]],
  });
  const person = ({ id }: { id: string }, username: string) => ({ id, username, name: username, away: null });
  const entry = {
    scheduleId: schedule,
    projectId,
    name: "Database",
    timezone: "UTC",
    current: [person(ada, "ada")],
    notReached: [],
    until: iso(now + 12 * HOUR),
    next: { start: iso(now + 12 * HOUR), end: iso(now + 24 * HOUR), users: [person(grace, "grace")] },
  };
  const wanted = JSON.stringify({ at: iso(now), data: [entry] });
  const stripped = (text: string): string => text.replaceAll(/"name":(null|"ada"|"grace")/g, '"name":"x"');
  for (const [query, options] of [
    ["", {}],
    [`?projectId=${projectId}`, { apiKey }],
    ["?userId=me", { token: ada.token }],
  ] as const) {
    const reply = await prism.get(`${PATH}/now${query}`, options);
    assert.equal(stripped(reply.text), stripped(wanted), query);
  }
  const ahead = await made<{ data: { shifts: { start: string; end: string; users: { username: string }[] }[] }[] }>(
    prism.get(`${PATH}/now?to=${iso(now + 30 * HOUR)}`),
  );
  assert.deepEqual(
    ahead.data[0]?.shifts.map(({ start, end, users }) => [start, end, ...users.map(({ username }) => username)]),
    [
      [iso(now), iso(now + 12 * HOUR), "ada"],
      [iso(now + 12 * HOUR), iso(now + 24 * HOUR), "grace"],
      [iso(now + 24 * HOUR), iso(now + 30 * HOUR), "ada"],
    ],
  );
  for (const to of [now, now + 63 * DAY]) assert.equal((await prism.get(`${PATH}/now?to=${iso(to)}`)).status, 400);
  const own = await made<{ data: object[] }>(prism.get(`${PATH}/now?userId=me`, { token: grace.token }));
  assert.deepEqual(own.data, []);
  const mine = await made<{ data: { start: string }[] }>(
    prism.get(`${PATH}/shifts?userId=me&to=${iso(now + 48 * HOUR)}`, { token: grace.token }),
  );
  assert.deepEqual(valuesOf(mine.data, "start"), [iso(now + 12 * HOUR), iso(now + 36 * HOUR)]);
});

test("an override replaces everyone, or one user; members may only replace themselves", async (t) => {
  const world = await onCallWorld(t);
  const { prism, clock, ada, grace } = world;
  const now = clock.now();
  const schedule = await makeSchedule(world);
  await makeShift(world, schedule, { start: local(now), durationMs: DAY, turns: [["ada", "grace"]] });
  const path = `${PATH}/schedules/${schedule}/overrides`;
  const span = (from: number, to: number) => ({ start: iso(now + from * HOUR), end: iso(now + to * HOUR) });
  await made(prism.post(path, { ...span(1, 2), users: ["dev"] }));
  const own = { ...span(3, 5), users: ["dev"], replaces: "me" };
  const { id } = await made(prism.post(path, own, { token: ada.token }));
  assert.deepEqual(await finalTexts(world, schedule, now, 6), [
    "ada+grace 0-1",
    "dev 1-2",
    "ada+grace 2-3",
    "dev+grace 3-5",
    "ada+grace 5-6",
  ]);
  for (const body of [
    { ...own, replaces: "grace" },
    { ...span(3, 5), users: ["ada"] },
  ]) {
    const refused = await prism.post<{ error: { code: string } }>(path, body, { token: ada.token });
    assert.deepEqual([refused.status, refused.body.error.code], [403, "UNAUTHORIZED_ROLE"]);
  }
  assert.equal((await prism.put(`${path}/${id}`, { reason: "x" }, { token: grace.token })).status, 403);
  assert.equal((await prism.delete(`${path}/${id}`, { token: grace.token })).status, 403);

  clock.advance(4 * HOUR);
  await made(prism.put(`${path}/${id}`, { end: iso(now + 10 * HOUR), users: ["grace"] }, { token: ada.token }));
  assert.deepEqual(await finalTexts(world, schedule, now + 3 * HOUR, 9), [
    "dev+grace 0-1",
    "grace 1-7",
    "ada+grace 7-9",
  ]);
  assert.equal((await prism.delete(`${path}/${id}`, { token: ada.token })).status, 204);
  assert.deepEqual(await finalTexts(world, schedule, now + 3 * HOUR, 9), ["dev+grace 0-1", "ada+grace 1-9"]);
});

test("a swap is asked for, taken and cancelled; only the requested span is replaced", async (t) => {
  const world = await onCallWorld(t);
  const { prism, clock, ada, grace } = world;
  const now = clock.now();
  const schedule = await makeSchedule(world);
  await makeShift(world, schedule, { start: local(now), durationMs: DAY, turns: [["ada"]] });
  const path = `${PATH}/schedules/${schedule}/swaps`;
  const span = { start: iso(now + 2 * HOUR), end: iso(now + 4 * HOUR) };
  const swap = await made<{ id: string; userId: string; state: string }>(
    prism.post(path, { ...span, reason: "Dentist" }, { token: ada.token }),
  );
  assert.deepEqual([swap.userId, swap.state], [ada.id, "open"]);
  assert.deepEqual(await finalTexts(world, schedule, now, 6), ["ada 0-6"], "an open swap changes nothing");
  await answered(403, prism.post(path, { ...span, userId: "grace" }, { token: ada.token }));
  assert.equal((await prism.post(`${path}/${swap.id}/take`, {}, { token: ada.token })).status, 409);
  const taken = await made<{ takenBy: string; state: string }>(
    prism.post(`${path}/${swap.id}/take`, {}, { token: grace.token }),
  );
  assert.deepEqual([taken.takenBy, taken.state], [grace.id, "taken"]);
  assert.deepEqual(await finalTexts(world, schedule, now, 6), ["ada 0-2", "grace 2-4", "ada 4-6"]);
  assert.equal((await prism.post(`${path}/${swap.id}/take`, {})).status, 409);

  clock.advance(3 * HOUR);
  assert.equal((await prism.delete(`${path}/${swap.id}`, { token: grace.token })).status, 403);
  assert.equal((await prism.delete(`${path}/${swap.id}`, { token: ada.token })).status, 204);
  assert.deepEqual(await finalTexts(world, schedule, now, 6), ["ada 0-2", "grace 2-3", "ada 3-6"]);
});

test("who is in a rota of the default project without membership reads the own shifts and swaps, and nothing else", async (t) => {
  const world = await onCallWorld(t);
  const { prism, clock } = world;
  const now = clock.now();
  const [mia, noa, ben] = [await makeUser(prism, "mia"), await makeUser(prism, "noa"), await makeUser(prism, "ben")];
  const schedule = await makeSchedule(world, { projectId: "default" });
  await makeShift(world, schedule, { start: local(now), durationMs: DAY, turns: [["mia"]], level: 1 });
  await makeShift(world, schedule, { start: local(now), durationMs: DAY, turns: [["noa"]] });
  const path = `${PATH}/schedules/${schedule}`;
  const as = { token: mia.token };
  const day = (at: number) => iso(at).slice(0, 10);
  const off = { firstDay: day(now), lastDay: day(now + DAY) };
  assert.equal((await prism.post(`${PATH}/days-off`, off, as)).status, 201);
  const conflicts = async (query: string, token: string) => {
    const { status, body } = await prism.get<{ data?: unknown[] }>(`${PATH}/conflicts${query}`, { token });
    return `${status} ${body.data?.length ?? "-"}`;
  };
  assert.equal(await conflicts("?userId=me", mia.token), "200 1");
  assert.equal(await conflicts("?userId=me", ben.token), "200 0");
  for (const query of ["", `?userId=${mia.id}`]) assert.equal(await conflicts(query, ben.token), "403 -", query);

  const span = { start: iso(now + 2 * HOUR), end: iso(now + 4 * HOUR) };
  assert.equal((await prism.post(`${path}/swaps`, span, { token: ben.token })).status, 404, "not in the rota");
  const swap = await made(prism.post(`${path}/swaps`, span, as));
  assert.equal((await prism.post(`${path}/swaps/${swap.id}/take`, {}, { token: ben.token })).status, 404);
  for (const read of ["", "/shifts", "/overrides", "/final-shifts"])
    assert.equal((await prism.get(`${path}${read}`, as)).status, 404, read);
  const listed = await made<{ data: unknown[] }>(prism.get(`${path}/swaps`, { token: noa.token }));
  assert.equal(listed.data.length, 1);
  await made(prism.post(`${path}/swaps/${swap.id}/take`, {}, { token: noa.token }));
  assert.deepEqual(await finalTexts(world, schedule, now, 6), ["mia 0-2", "noa 2-4", "mia 4-6"]);
  assert.equal((await prism.delete(`${path}/swaps/${swap.id}`, { token: noa.token })).status, 403);
  assert.equal((await prism.delete(`${path}/swaps/${swap.id}`, as)).status, 204);
  await prism.patch(`/api/v1/users/${mia.id}`, { status: "disabled" });
  assert.equal((await prism.post(`${path}/swaps`, span, as)).status, 403);
});

test("shifts, overrides and swaps refuse unknown users, and create no account", async (t) => {
  const world = await onCallWorld(t, { "notifications.unknownRecipient": "provision" });
  const { prism, clock } = world;
  const schedule = await makeSchedule(world);
  const users = countOf(prism, "users");
  const span = { start: iso(clock.now()), end: iso(clock.now() + HOUR) };
  const shift = { start: local(clock.now()), durationMs: HOUR };
  for (const [path, body, at] of [
    ["shifts", { ...shift, turns: [["ada"], ["grace", "zoe"]] }, "turns.1.1"],
    ["overrides", { ...span, users: ["zoe"] }, "users.0"],
    ["overrides", { ...span, users: ["ada"], replaces: "zoe" }, "replaces"],
    ["swaps", { ...span, userId: "zoe" }, "userId"],
  ] as const) {
    const reply = await prism.post<{ error: { code: string; details: { path: string }[] } }>(
      `${PATH}/schedules/${schedule}/${path}`,
      body,
    );
    assert.deepEqual([reply.status, reply.body.error?.code], [422, "RECIPIENT_NOT_FOUND"], reply.text);
    assert.deepEqual(valuesOf(reply.body.error.details, "path"), [at]);
  }
  assert.equal(countOf(prism, "users"), users);
});

test("schedules are refused with a reason", async (t) => {
  const world = await onCallWorld(t);
  const { prism, clock } = world;
  const schedule = await makeSchedule(world);
  const shift = { start: local(clock.now()), durationMs: HOUR, turns: [["ada"]] };
  const refusals = [
    ["", { projectId: world.projectId, name: "Database" }, 409, "NAME_TAKEN"],
    ["", { projectId: world.projectId, name: "x", timezone: "Mars/Olympus" }, 400, "VALIDATION_FAILED"],
    ["", { projectId: world.projectId, name: "x", calendarUrl: "http://127.0.0.1/a.ics" }, 422, "URL_REFUSED"],
    [`/${schedule}/shifts`, { ...shift, turns: [["no-one"]] }, 422, "RECIPIENT_NOT_FOUND"],
    [`/${schedule}/shifts`, { ...shift, start: "2026-02-30T10:00" }, 400, "VALIDATION_FAILED"],
    [
      `/${schedule}/shifts`,
      { ...shift, recurrence: { frequency: "monthly", byMonth: [2], byMonthDay: [30] } },
      400,
      "VALIDATION_FAILED",
    ],
    [
      `/${schedule}/shifts`,
      { ...shift, recurrence: { frequency: "weekly", byDay: ["1MO"] } },
      400,
      "VALIDATION_FAILED",
    ],
    [`/${schedule}/overrides`, { start: iso(2), end: iso(1), users: ["ada"] }, 400, "VALIDATION_FAILED"],
  ] as const;
  for (const [path, body, status, code] of refusals) {
    const reply = await prism.post<{ error: { code: string } }>(`${PATH}/schedules${path}`, body);
    assert.deepEqual([reply.status, reply.body.error?.code], [status, code], JSON.stringify(body));
  }
});

interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly details: readonly { readonly policyId?: string }[];
}

test("a schedule that policies name is deleted only with force=true", async (t) => {
  const world = await onCallWorld(t);
  const { prism, projectId } = world;
  const { body: other } = await prism.post<{ id: string }>("/api/v1/projects", { name: "Other", slug: "other" });
  const schedule = await makeSchedule(world);
  const steps = [{ type: "notify", schedules: [{ id: schedule }] }];
  const { id: policyId } = await made(prism.post("/api/v1/policies", { projectId, name: "Night", steps }));
  await made(prism.post("/api/v1/policies", { projectId: other.id, name: "Secret", steps }));
  const free = await made(
    prism.post("/api/v1/policies", { projectId, name: "Free", description: schedule, steps: [] }),
  );
  const editor = await makeUser(prism, "editor");
  await join(prism, projectId, editor.id, "owner");

  const path = `${PATH}/schedules/${schedule}`;
  const refused = await prism.delete<{ error: Refusal }>(path, { token: editor.token });
  const { code, message, details } = refused.body.error;
  assert.deepEqual([refused.status, code], [409, "ON_CALL_SCHEDULE_IN_USE"]);
  assert.match(message, /Night, 1 of other projects\. .*force=true/);
  assert.deepEqual(valuesOf(details, "policyId"), [policyId, undefined]);
  assert.ok(!refused.text.includes("Secret") && !refused.text.includes(free.id), refused.text);
  assert.equal((await prism.get(path)).status, 200);
  assert.equal((await prism.delete(`${path}?force=true`, { token: editor.token })).status, 204);

  const unused = await makeSchedule(world, { name: "Unused" });
  assert.equal((await prism.delete(`${PATH}/schedules/${unused}`)).status, 204);
});

test("a rotation of which more than 50 shifts would overlap is refused, and a stored one is answered", async (t) => {
  const world = await onCallWorld(t);
  const { prism, clock } = world;
  const schedule = await makeSchedule(world);
  const path = `${PATH}/schedules/${schedule}/shifts`;
  const start = local(clock.now());
  const turns = [["ada"], ["grace"]];
  const shift = (durationMs: number, recurrence: object) => ({ start, durationMs, recurrence, turns });
  const hourly = { frequency: "hourly" };
  for (const refused of [
    shift(366 * DAY, hourly),
    shift(50 * HOUR + 60_000, hourly),
    shift(101 * HOUR, { ...hourly, interval: 2 }),
    shift(3 * DAY, { ...hourly, byDay: ["MO", "TU", "WE"] }),
    shift(60 * DAY, { frequency: "daily" }),
    shift(366 * DAY, { frequency: "weekly" }),
    shift(366 * DAY, { frequency: "monthly", byDay: ["MO", "TU", "WE"] }),
  ]) {
    type Refusal = { error: { details: { path: string; message: string }[] } };
    const { status, body, text } = await prism.post<Refusal>(path, refused);
    assert.equal(status, 400, text);
    const [{ path: field, message } = { path: "", message: "" }] = body.error.details;
    assert.equal(field, "durationMs");
    assert.match(message, /more than 50 shifts would overlap/);
  }
  await makeShift(world, schedule, shift(366 * DAY, { frequency: "weekly", interval: 2 }));
  const id = await makeShift(world, schedule, shift(50 * HOUR, hourly));
  const changed = { headers: { "If-Match": '"1"' } };
  await answered(400, prism.put(`${path}/${id}`, { durationMs: 366 * DAY }, changed));
  // Of an earlier version.
  await prism.services.db.write((trx) =>
    trx
      .updateTable("oncall_shifts")
      .set({ durationMs: 366 * DAY })
      .where("id", "=", id)
      .execute(),
  );
  assert.deepEqual(await finalTexts(world, schedule, clock.now(), 2), ["ada 0-1", "ada+grace 1-2"]);
});

test("the tag of a new schedule, override and swap is that of its first read", async (t) => {
  const world = await onCallWorld(t);
  const { prism, clock, projectId } = world;
  const span = { start: iso(clock.now() + HOUR), end: iso(clock.now() + DAY) };
  const schedule = await makeSchedule(world);
  for (const [path, body] of [
    [`${PATH}/schedules`, { name: "Nights", projectId }],
    [`${PATH}/schedules/${schedule}/overrides`, { ...span, users: ["ada"] }],
    [`${PATH}/schedules/${schedule}/swaps`, { ...span, userId: "ada" }],
  ] as const) {
    const { body: one, headers } = await answered(201, prism.post<{ id: string }>(path, body));
    const seen = { headers: { "If-None-Match": headers.get("etag") ?? "" } };
    assert.equal((await prism.get(`${path}/${one.id}`, seen)).status, 304, path);
  }
});
