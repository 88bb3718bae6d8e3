import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { startPrism } from "../helpers/prism.ts";
import { valuesOf } from "../helpers/values.ts";
import { runCli, runJson } from "./run-cli.ts";

test("commands that write beside a running server count there within moments", async (t) => {
  const prism = await startPrism(t, { settings: { "store.writer": "thread" } });
  const cwd = prism.dir;
  const dir = ["--data-dir", prism.dir];
  const ingest = (apiKey: string) => prism.post("/events", { type: "order.paid" }, { apiKey });
  const status = async (apiKey: string): Promise<number> => (await ingest(apiKey)).status;

  await t.test("a key works, and once revoked it is refused", async () => {
    const key = await runJson<{ id: string; key: string }>(["key", "create", ...dir], { cwd });
    await eventually("the new key is accepted", async () => (await status(key.key)) === 202);
    await runJson(["key", "revoke", key.id, ...dir], { cwd });
    await eventually("the revoked key is refused", async () => (await status(key.key)) === 401);
    const refused = await ingest(key.key);
    assert.deepEqual([refused.status, (refused.body["error"] as { code: string }).code], [401, "INVALID_API_KEY"]);
  });

  await t.test("a rotated key works for a day unless --grace says otherwise, 0 revokes it at once", async () => {
    const old = await runJson<{ id: string; key: string }>(["key", "create", ...dir], { cwd });
    await eventually("the old key is accepted", async () => (await status(old.key)) === 202);
    const day = await runCli(["key", "rotate", old.id, ...dir], { cwd });
    assert.match(
      day.stderr,
      new RegExp(`; ${old.id} works until \\S+Z \\(prism key revoke ${old.id} revokes it now\\)`),
    );
    await eventually("the new key is accepted", async () => (await status(day.stdout.trim())) === 202);
    assert.equal(await status(old.key), 202);
    const next = await runJson<{ key: string }>(["key", "rotate", old.id, "--grace", "0", ...dir], { cwd });
    await eventually("the old key is refused", async () => (await status(old.key)) === 401);
    assert.equal(await status(next.key), 202);
  });

  await t.test("a user and a token are known, with the rights of the role and no more than the scopes", async () => {
    await runJson(["user", "create", "--username", "ann", "--role", "Operator", ...dir], { cwd });
    const args = ["token", "create", "--user", "ann", "--scopes", "events:read,account:own", ...dir];
    const { token, id } = await runJson<{ token: string; id: string }>(args, { cwd });
    const me = await eventually("the token is accepted", async () => {
      const reply = await prism.get<{ username: string; permissions: string[] }>("/api/v1/users/me", { token });
      return reply.status === 200 ? reply : undefined;
    });
    assert.deepEqual([me.body.username, me.body.permissions], ["ann", ["events:read"]]);
    await runJson(["token", "revoke", id, ...dir], { cwd });
    const isRefused = async (): Promise<boolean> => (await prism.get("/api/v1/users/me", { token })).status === 401;
    await eventually("the revoked token is refused", isRefused);
  });

  await t.test("the audit chain, to which both have added, is whole", async () => {
    const { body } = await prism.get<{ ok: boolean; checked: number }>("/api/v1/audit/verify");
    assert.equal(body.ok, true);
    assert.ok(body.checked >= 7);
  });

  await t.test("events go on being stored while commands write", async () => {
    const posts = Array.from({ length: 50 }, () => prism.post("/events", { type: "order.paid" }));
    const [replies, ...keys] = await Promise.all([
      Promise.all(posts),
      runCli(["key", "create", ...dir], { cwd }),
      runCli(["key", "create", ...dir], { cwd }),
    ]);
    assert.deepEqual([...new Set(replies.map((reply) => reply.status))], [202]);
    assert.deepEqual(valuesOf(keys, "status"), [0, 0]);
  });
});
