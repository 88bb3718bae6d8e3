import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import type { Notification as Note } from "../../../src/client/api-types.gen.ts";
import { eventually } from "../../helpers/eventually.ts";
import { FakeClock } from "../../helpers/fake-clock.ts";
import { makeUser } from "../../helpers/people.ts";
import { startPrism, type TestPrism } from "../../helpers/prism.ts";
import { keepsPromise } from "../../helpers/promise.ts";

interface Page {
  data: Note[];
  page: number | null;
  total?: number;
  nextCursor: string | null;
  error?: { code: string };
}

const PATH = "/api/v1/notifications";
const titles = ({ data }: Page) => data.map(({ title }) => title);
const get = (prism: TestPrism, query = "", token?: string) =>
  prism.get<Page>(PATH + query, token === undefined ? {} : { token });

async function send(prism: TestPrism, title: string, recipients: string[] = ["me"]): Promise<string> {
  const { body } = await prism.post<Note>(PATH, { title, message: "m", recipients });
  return body.id;
}

test("S2-37: one's own notifications, newest first, with page, limit and status", async (t) => {
  keepsPromise(t, "S2-37");
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma");
  const rule = await prism.post<{ id: string }>("/api/v1/rules", {
    name: "r",
    condition: "event.type == 'x'",
    targetUsers: ["uma"],
    titleTemplate: "of a rule",
  });
  const ids: string[] = [];
  for (const title of ["a", "b", "c", "d"]) ids.push(await send(prism, title, ["uma", "me"]));
  await send(prism, "not hers");
  await prism.post("/api/v1/events", { type: "x" });
  const { token } = uma;
  await prism.patch(`${PATH}/${ids[0]}/read`, {}, { token });
  await prism.put(`${PATH}/${ids[1]}/acknowledge`, {}, { token });
  await prism.delete(`${PATH}/${ids[2]}`, { token });
  const all = (await get(prism, "", token)).body.data;
  const [newest] = all;
  for (const { query, found } of [
    { query: "", found: ["of a rule", "d", "b", "a"] },
    { query: "?status=all", found: ["of a rule", "d", "b", "a"] },
    { query: "?status=unread", found: ["of a rule", "d"] },
    { query: "?status=read", found: ["b", "a"] },
    { query: "?status=acknowledged", found: ["b"] },
    { query: "?status=undelivered", found: ["of a rule", "d", "b", "a"] },
    { query: `?ruleId=${rule.body.id}`, found: ["of a rule"] },
    { query: `?after=${all[2]?.offset}`, found: ["of a rule", "d"] },
    {
      query: `?from=${newest?.createdAt}`,
      found: all.filter(({ createdAt }) => createdAt >= (newest?.createdAt ?? "")).map(({ title }) => title),
    },
    { query: `?to=${all[3]?.createdAt}`, found: [] },
    { query: "?page=2&limit=3", found: ["a"] },
    { query: "?offset=1&limit=2", found: ["d", "b"] },
    { query: "?userId=me&status=unread", found: ["of a rule", "d"] },
    { query: "?userId=uma&limit=1", found: ["of a rule"] },
  ])
    await t.test(query, async () => {
      const { status, body } = await get(prism, query, token);
      assert.deepEqual([status, titles(body)], [200, found]);
    });
  assert.equal((await get(prism, "?page=1&limit=1&status=unread", token)).body.total, 2);
  for (const query of ["?status=new", "?limit=101", "?after=x", "?page=1&cursor=abc", "?sort=title"])
    assert.equal((await get(prism, query, token)).status, 400, query);
  assert.equal((await get(prism, "?cursor=WyJhIl0", token)).body.error?.code, "INVALID_CURSOR");
});

test("one's own notifications are searched by text, project, kind and urgency, also in a large inbox", async (t) => {
  const prism = await startPrism(t);
  const { id, token } = await makeUser(prism, "uma");
  const projectId = (await prism.post<{ id: string }>("/api/v1/projects", { name: "shop" })).body.id;
  assert.equal((await prism.post(`/api/v1/projects/${projectId}/members`, { userId: id, role: "viewer" })).status, 201);
  const rule = { condition: "event.type == 'x'", targetUsers: ["uma"], titleTemplate: "Of a rule", priority: 700 };
  for (const more of [{ name: "a" }, { name: "b", projectId, titleTemplate: "Of the shop" }])
    assert.equal((await prism.post("/api/v1/rules", { ...rule, ...more })).status, 201);
  const first = await send(prism, "Disk 100% full", ["uma"]);
  await send(prism, "Disk 100 percent full", ["uma"]);
  await send(prism, "Disk of another", ["me"]);
  for (const more of [{}, { projectId }]) await prism.post("/api/v1/events", { type: "x", ...more });
  await eventually("the rules' notifications", async () => (await get(prism, "", token)).body.data.length === 5);
  await prism.patch(`${PATH}/${first}/read`, {}, { token });
  for (const { query, found } of [
    { query: "?q=DISK", found: ["Disk 100 percent full", "Disk 100% full"] },
    { query: "?q=100%25", found: ["Disk 100% full"] },
    { query: "?q=disk&status=unread", found: ["Disk 100 percent full"] },
    { query: "?kind=rule", found: ["Of the shop", "Of a rule", "Of a rule"] },
    { query: `?projectId=${projectId}`, found: ["Of the shop", "Of a rule"] },
    { query: "?minPriority=500&q=rule", found: ["Of a rule", "Of a rule"] },
    { query: "?q=disk&page=1&limit=1", found: ["Disk 100 percent full"] },
    { query: "?q=nothing", found: [] },
  ])
    await t.test(query, async () => {
      const { status, body } = await get(prism, query, token);
      assert.deepEqual([status, titles(body).sort()], [200, [...found].sort()]);
    });
  assert.equal((await get(prism, "?kind=other", token)).status, 400);
});

test("S0-31: the history of a user, for the user and for callers who may read all", async (t) => {
  keepsPromise(t, "S0-31");
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma");
  const vic = await makeUser(prism, "vic");
  const auditor = await makeUser(prism, "auditor", ["Auditor"]);
  for (const title of ["a", "b", "c"]) await send(prism, title, ["uma"]);
  for (const path of [`/notifications/${uma.id}`, "/notifications/uma", `${PATH}/user/${uma.id}`, `${PATH}/user/uma`]) {
    for (const { who, token, status } of [
      { who: "uma", token: uma.token, status: 200 },
      { who: "an auditor", token: auditor.token, status: 200 },
      { who: "another", token: vic.token, status: 404 },
    ]) {
      const { status: got, body } = await prism.get<Page>(`${path}?limit=2`, { token });
      assert.equal(got, status, `${who} at ${path}`);
      if (status === 200) assert.deepEqual(titles(body), ["c", "b"]);
      else assert.equal(body.error?.code, "USER_NOT_FOUND");
    }
  }
  assert.deepEqual(titles((await prism.get<Page>("/notifications/me", { token: uma.token })).body), ["c", "b", "a"]);
  for (const ref of ["nobody", "missed", "0198c0de-0000-7000-8000-00000000dead"])
    assert.equal((await prism.get<Page>(`/notifications/${ref}`)).body.error?.code, "USER_NOT_FOUND");
  await prism.services.db.write((trx) =>
    trx.updateTable("users").set({ status: "disabled" }).where("id", "=", uma.id).execute(),
  );
  assert.equal(
    (await prism.get<Page>(`/notifications/${uma.id}`)).body.data.length,
    3,
    "also of somebody who was shut out",
  );
  assert.equal((await get(prism, `?userId=${vic.id}`, uma.token)).status, 403);
});

test("D21: callers who may read all see all recipients, others only themselves", async (t) => {
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma");
  const vic = await makeUser(prism, "vic");
  const operator = await makeUser(prism, "operator", ["Operator"]);
  const id = await send(prism, "a", ["uma", "vic", "operator"]);
  await prism.put(`${PATH}/${id}/acknowledge`, {}, { token: vic.token });
  const everybody = [uma.id, vic.id, operator.id];
  for (const path of [`${PATH}/${id}`, PATH]) {
    const shown = async (token: string) => {
      const { body } = await prism.get<Note & Page>(path, { token });
      const note = path === PATH ? body.data[0] : body;
      return [note?.recipients, note?.acknowledgedBy];
    };
    assert.deepEqual(await shown(uma.token), [[uma.id], []]);
    assert.deepEqual(await shown(vic.token), [[vic.id], [vic.id]]);
    assert.deepEqual(await shown(operator.token), [everybody, [vic.id]]);
  }
});

test("a page shows all recipients of each notification, also where some have very many", async (t) => {
  const prism = await startPrism(t);
  const { database: db } = prism.parts.base;
  const ids = [
    await send(prism, "few"),
    await send(prism, "many"),
    await send(prism, "more"),
    await send(prism, "last"),
  ];
  const users = (name: string, count: number) => Array.from({ length: count }, (_, i) => `${name}-${count - i}`);
  const added = [users("a", 2), users("b", 1500), users("c", 2500), users("d", 1)];
  await db.write(async (trx) => {
    for (const [at, names] of added.entries())
      for (let from = 0; from < names.length; from += 500)
        await trx
          .insertInto("notification_recipients")
          .values(
            names.slice(from, from + 500).map((userId) => ({
              notificationId: ids[at] ?? "",
              userId,
              seq: db.nextOffset(trx),
              acknowledgedAt: userId.endsWith("-1") ? 1 : null,
            })),
          )
          .execute();
  });
  const { data } = (await get(prism)).body;
  assert.deepEqual(titles({ data } as Page), ["last", "more", "many", "few"]);
  const shown = [...data].reverse().map(({ recipients }) => recipients.slice(1));
  assert.deepEqual(shown, added, "in the order of their offsets, after the first one");
  const acknowledged = [...data].reverse().map(({ acknowledgedBy }) => acknowledgedBy);
  assert.deepEqual(acknowledged, [["a-1"], ["b-1"], ["c-1"], ["d-1"]]);
});

test("S2-38: a notification is shown to its recipients and to callers who may read all", async (t) => {
  keepsPromise(t, "S2-38");
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma");
  const vic = await makeUser(prism, "vic");
  const auditor = await makeUser(prism, "auditor", ["Auditor"]);
  const id = await send(prism, "a", ["uma"]);
  const status = async (token: string, ref = id) => (await prism.get(`${PATH}/${ref}`, { token })).status;
  assert.deepEqual([await status(uma.token), await status(vic.token), await status(auditor.token)], [200, 404, 200]);
  assert.deepEqual(
    [await status(uma.token, "x"), await status(auditor.token, "0198c0de-0000-7000-8000-00000000dead")],
    [404, 404],
  );
  await prism.delete(`${PATH}/${id}`, { token: uma.token });
  assert.deepEqual([await status(uma.token), await status(auditor.token)], [404, 200]);
});

test("S2-131: what a user missed comes oldest first, until it counts as delivered", async (t) => {
  keepsPromise(t, "S2-131");
  const prism = await startPrism(t);
  const { token } = await makeUser(prism, "uma");
  for (const title of ["a", "b", "c", "d", "e"]) await send(prism, title, ["uma"]);
  const missed = async (query = "") => (await get(prism, `/missed${query}`, token)).body;
  const all = await missed();
  assert.deepEqual(titles(all), ["a", "b", "c", "d", "e"]);
  const [first, second, third] = all.data;
  assert.deepEqual(titles(await missed(`?since=${second?.offset}`)), ["c", "d", "e"]);
  assert.deepEqual(titles(await missed(`?since=${first?.createdAt}`)), ["a", "b", "c", "d", "e"]);
  assert.deepEqual(titles(await missed("?since=2000-01-01T00:00:00%2B02:00")).length, 5);
  assert.deepEqual(titles(await missed("?since=2100-01-01T00:00:00Z")), []);
  const page = await missed("?limit=2");
  assert.deepEqual([titles(page), page.page], [["a", "b"], null]);
  assert.deepEqual(titles(await missed(`?limit=2&cursor=${page.nextCursor}`)), ["c", "d"]);

  assert.deepEqual(titles(await missed("?limit=2&ack=true")), ["a", "b"]);
  await eventually("the two count as delivered", async () => titles(await missed()).join("") === "cde");
  assert.equal((await prism.get<Note>(`${PATH}/${first?.id}`, { token })).body.me.delivered, true);
  assert.deepEqual(titles(await missed("?since=0")), ["a", "b", "c", "d", "e"], "behind an offset all are shown");
  await prism.delete(`${PATH}/${third?.id}`, { token });
  assert.deepEqual(titles(await missed()), ["d", "e"], "what was removed is not missed");
  for (const query of ["?since=yesterday", "?since=-1", "?limit=101", "?ack=1"])
    assert.equal((await get(prism, `/missed${query}`, token)).status, 400, query);
});

test("what has expired is missed no more, and pages are as full as before", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const { token } = await makeUser(prism, "uma");
  const ids: string[] = [];
  for (const title of ["a", "b", "c", "d"]) ids.push(await send(prism, title, ["uma"]));
  const expiresAt = clock.now() + 1000;
  const early = [ids[0] ?? "", ids[2] ?? ""];
  await prism.services.db.write((trx) =>
    trx.updateTable("notifications").set({ expiresAt }).where("id", "in", early).execute(),
  );
  const missed = async (query = "") => titles((await get(prism, `/missed${query}`, token)).body);
  assert.deepEqual(await missed(), ["a", "b", "c", "d"]);
  clock.advance(1000);
  for (const query of ["", "?since=0", "?since=2000-01-01T00:00:00Z", "?limit=2"])
    assert.deepEqual(await missed(query), ["b", "d"], query);
  assert.deepEqual(titles((await get(prism, "", token)).body), ["d", "c", "b", "a"], "the list has them all");
});

test("a notification is delivered when every recipient's row is", async (t) => {
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma");
  const id = await send(prism, "a", ["uma", "me"]);
  const shown = async () => (await prism.get<{ delivered: boolean; deliveredAt: string | null }>(`${PATH}/${id}`)).body;
  await get(prism, "/missed?ack=true", uma.token);
  await eventually("hers is", async () => (await get(prism, "/missed", uma.token)).body.data.length === 0);
  assert.deepEqual([(await shown()).delivered, (await shown()).deliveredAt], [false, null]);
  await get(prism, "/missed?ack=true");
  await eventually("all are", async () => (await shown()).delivered);
  assert.notEqual((await shown()).deliveredAt, null);
});

test("joined pages give each notification once, while new ones come in", async (t) => {
  const prism = await startPrism(t);
  for (let i = 0; i < 17; i++) await send(prism, `n${i}`);
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 20 }),
      fc.constantFrom("", "/missed", "/user/me"),
      async (limit, part) => {
        const expected = titles((await get(prism, `${part}?limit=100`)).body);
        const seen: string[] = [];
        let cursor = "";
        do {
          const { body } = await get(prism, `${part}?limit=${limit}${cursor}`);
          seen.push(...titles(body));
          cursor = body.nextCursor === null ? "" : `&cursor=${body.nextCursor}`;
        } while (cursor !== "");
        assert.deepEqual(seen, expected);
      },
    ),
    { numRuns: 20 },
  );
});
