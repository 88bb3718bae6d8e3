import assert from "node:assert/strict";
import test from "node:test";
import { makeProject } from "../helpers/people.ts";
import { startPrism } from "../helpers/prism.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { rowCounts } from "./support/row-counts.ts";

/** Texts that would be something else if any statement were built from them. */
const TEXTS = [
  "'; drop table users; --",
  "' or '1'='1",
  '" or ""="',
  "x' union select hash from api_keys --",
  "%' or 1=1 --",
  "1; delete from events",
  "$1 ?1 :id @id",
  "a%_\\'b",
  "case when 1 then 1 end",
];

test("S2-95, S4-38: SQL in any text, filter, id or name of a column is text and nothing else", async (t) => {
  keepsPromise(t, ["S2-95", "S4-38"]);
  const prism = await startPrism(t);
  const { id: project, apiKey } = await makeProject(prism);
  for (const text of TEXTS) {
    await t.test(text, async () => {
      const event = await prism.post<{ id: string }>(
        "/api/v1/events",
        { type: "a", source: text, dedupeKey: text, payload: { [text]: text } },
        { apiKey },
      );
      const rule = await prism.post<{ id: string }>("/api/v1/rules", {
        name: text,
        description: text,
        condition: `event.source == ${JSON.stringify(text)}`,
        targetUsers: ["me"],
        projectId: project,
      });
      assert.deepEqual([event.status, rule.status], [202, 201]);
      const before = rowCounts(prism);
      const q = encodeURIComponent(text);
      const stored = await prism.get<Record<string, unknown>>(`/api/v1/events/${event.body.id}`);
      assert.deepEqual(
        [stored.body["source"], stored.body["dedupeKey"], stored.body["payload"]],
        [text, text, { [text]: text }],
      );
      const found = async (path: string) => (await prism.get<{ data: Record<string, unknown>[] }>(path)).body.data;
      const sources = (await found(`/api/v1/events?projectId=${project}&source=${q}`)).map((each) => each["source"]);
      assert.deepEqual(sources, [text]);
      const names = (await found(`/api/v1/rules?q=${q}`)).map((each) => each["name"]);
      assert.deepEqual(names, [text]);
      assert.deepEqual(await found(`/api/v1/projects?q=${q}`), []);
      assert.deepEqual(await found(`/api/v1/audit?resourceId=${q}`), []);
      for (const [path, status] of [
        [`/api/v1/events/${q}`, 404],
        [`/api/v1/rules/${q}`, 404],
        [`/api/v1/projects/${q}`, 404],
        [`/api/v1/notifications/user/${q}`, 404],
        [`/api/v1/events?projectId=${q}`, 404],
        [`/api/v1/rules?sort=${q}`, 400],
        [`/api/v1/audit?action=${q}`, 400],
        [`/api/v1/events?cursor=${q}`, 400],
        [`/api/v1/events?limit=${q}`, 400],
      ] as const) {
        assert.equal((await prism.get(path)).status, status, path);
      }
      assert.equal((await prism.get("/api/v1/users/me", { apiKey: text })).status, 401);
      assert.deepEqual(rowCounts(prism), before);
    });
  }
});
