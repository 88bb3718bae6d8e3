import assert from "node:assert/strict";
import test from "node:test";
import { sql } from "kysely";
import type { NotificationSummary as Summary } from "../../../src/client/api-types.gen.ts";
import { makeUser } from "../../helpers/people.ts";
import { answered, startPrism, type TestPrism } from "../../helpers/prism.ts";
import { rowsWith } from "../../helpers/values.ts";

interface Page<T> {
  data: T[];
  nextCursor: string | null;
}

const list = async (prism: TestPrism, query = ""): Promise<Page<Summary>> => {
  const { body } = await answered(200, prism.get<Page<Summary>>(`/api/v1/notifications/all?${query}`));
  return body;
};
const titles = ({ data }: Page<Summary>): string[] => data.map(({ title }) => title);

async function send(prism: TestPrism, title: string, more: object = {}): Promise<string> {
  const { body } = await prism.post<{ id: string }>("/api/v1/notifications", {
    recipients: ["uma", "vera"],
    title,
    message: `about ${title}`,
    ...more,
  });
  return body.id;
}

test("notifications of all users are listed once each, with what their recipients did", async (t) => {
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma", ["User"]);
  await makeUser(prism, "vera", ["User"]);
  const first = await send(prism, "disk");
  const urgent = await send(prism, "db-2 is down", { priority: 600 });
  await prism.put(`/api/v1/notifications/${first}/acknowledge`, { note: "on it" }, { token: uma.token });
  const { data } = await list(prism);
  const rows = data.map(({ title, counts }) => [title, counts.recipients, counts.seen, counts.acknowledged]);
  assert.deepEqual(rows, [
    ["db-2 is down", 2, 0, 0],
    ["disk", 2, 1, 1],
  ]);
  assert.deepEqual(titles(await list(prism, "minPriority=500")), ["db-2 is down"]);
  assert.deepEqual(titles(await list(prism, "q=ABOUT%20DI")), ["disk"]);
  assert.deepEqual(titles(await list(prism, "kind=rule")), []);
  for (const [state, expected] of [
    ["acknowledged", ["disk"]],
    ["unacknowledged", ["db-2 is down"]],
    ["seen", ["disk"]],
    ["unseen", ["db-2 is down"]],
    ["undelivered", ["db-2 is down", "disk"]],
  ] as const)
    assert.deepEqual(titles(await list(prism, `state=${state}`)), expected, state);

  const recipients = await prism.get<Page<{ userId: string; name: string; acknowledgeNote: string | null }>>(
    `/api/v1/notifications/${first}/recipients`,
  );
  assert.deepEqual(rowsWith(recipients.body.data, "name", "acknowledgeNote"), [
    ["uma", "on it"],
    ["vera", null],
  ]);
  const one = await prism.get<Page<{ userId: string }>>(`/api/v1/notifications/${urgent}/recipients?limit=1`);
  assert.ok(one.body.nextCursor);
  for (const path of ["all", `${first}/recipients`])
    assert.equal((await prism.get(`/api/v1/notifications/${path}`, { token: uma.token })).status, 403);
});

test("joined pages give each notification once, by rule, by project and over all", async (t) => {
  const prism = await startPrism(t);
  await makeUser(prism, "uma", ["User"]);
  await makeUser(prism, "vera", ["User"]);
  const { body: rule } = await prism.post<{ id: string }>("/api/v1/rules", {
    name: "each",
    condition: "event.type == 'x'",
    targetUsers: ["me"],
    projectId: "default",
  });
  await prism.post(
    "/api/v1/events",
    Array.from({ length: 7 }, () => ({ type: "x" })),
  );
  await send(prism, "direct");
  const all = await list(prism, "limit=100");
  assert.equal(all.data.length, 8);
  const projectId = prism.parts.offers.defaultProjectId;
  for (const filter of [
    "",
    `ruleId=${rule.id}`,
    `projectId=${projectId}`,
    `ruleId=${rule.id}&projectId=${projectId}`,
  ]) {
    const ids: string[] = [];
    for (let cursor: string | null = ""; cursor !== null; ) {
      const page: Page<Summary> = await list(prism, `${filter}&limit=3${cursor && `&cursor=${cursor}`}`);
      ids.push(...page.data.map(({ id }) => id));
      cursor = page.nextCursor;
    }
    assert.equal(ids.length, filter === "" ? 8 : 7, filter);
    assert.equal(new Set(ids).size, ids.length);
  }
  assert.equal((await list(prism, `ruleId=${rule.id}`)).data[0]?.ruleName, "each");
});

test("a search looks through a part of the notifications per page and continues by cursor", async (t) => {
  const prism = await startPrism(t);
  await makeUser(prism, "uma", ["User"]);
  await makeUser(prism, "vera", ["User"]);
  await send(prism, "needle");
  await prism.parts.base.database.write((trx) =>
    sql`with recursive n (i) as (select 0 union all select i + 1 from n where i + 1 < 25000)
      insert into notifications (id, kind, title, message, correlationId, createdAt)
      select printf('ffffffff-ffff-7000-8000-%012x', i), 'direct', 't', 'm', 'c', 1 from n`.execute(trx),
  );
  const first = await list(prism, "q=needle");
  assert.deepEqual(titles(first), []);
  assert.ok(first.nextCursor);
  const second = await list(prism, `q=needle&cursor=${first.nextCursor}`);
  assert.deepEqual([titles(second), second.nextCursor], [["needle"], null]);
});
