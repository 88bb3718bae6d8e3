import assert from "node:assert/strict";
import test from "node:test";
import { makeProject } from "../helpers/people.ts";
import { startPrism } from "../helpers/prism.ts";
import { valuesOf } from "../helpers/values.ts";
import { jsonLines, RunningCli, runCli, runJson } from "./run-cli.ts";

test("tail ends, and says why, when coming back would be of no use", async (t) => {
  const prism = await startPrism(t);
  const cwd = prism.dir;
  const dir = ["--data-dir", prism.dir];
  const shop = await makeProject(prism, "shop");
  const follow = async (token: string, project: string): Promise<RunningCli> => {
    await prism.post("/events", { type: "first" }, project === "shop" ? { apiKey: shop.apiKey } : {});
    const env = { PRISM_URL: prism.url, PRISM_TOKEN: token };
    const tail = new RunningCli(t, ["tail", "--project", project, "--from", "earliest", "--json"], { cwd, env });
    await tail.until(/"type":"first"/);
    return tail;
  };

  await t.test("a revoked token: 5", async () => {
    const { id, token } = await runJson<{ id: string; token: string }>(["token", "create", "--user", "dev", ...dir], {
      cwd,
    });
    const tail = await follow(token, "default");
    await runJson(["token", "revoke", id, ...dir], { cwd });
    assert.equal(await tail.ended(), 5);
    assert.match(tail.stderr, /the token has expired or was revoked/);
  });

  await t.test("a deleted project: 6", async () => {
    const tail = await follow(prism.adminToken, "shop");
    assert.equal((await prism.delete(`/api/v1/projects/${shop.id}`)).status, 204);
    assert.equal(await tail.ended(), 6);
    assert.match(tail.stderr, /the stream no longer exists/);
  });
});

test("tail reports entries that were removed before it could show them, and continues after them", async (t) => {
  const prism = await startPrism(t);
  const { id, apiKey } = await makeProject(prism, "shop");
  const post = (type: string) => prism.post("/events", { type }, { apiKey });
  for (const type of ["one", "two", "three"]) await post(type);
  const deleted = await prism.delete(`/api/v1/projects/${id}/events`);
  assert.ok(deleted.status < 300, deleted.text);
  await post("four");
  const { status, stdout, stderr } = await runCli(
    ["tail", "--project", "shop", "--from", "earliest", "--limit", "1", "--json"],
    { cwd: prism.dir, env: { PRISM_URL: prism.url, PRISM_TOKEN: prism.adminToken } },
  );
  assert.equal(status, 0, stderr);
  assert.deepEqual(valuesOf(jsonLines<{ type: string }>(stdout), "type"), ["four"]);
  assert.match(stderr, /^gap: entries after \d+ up to \d+ are no longer stored\n$/);
});

test("tail from an offset that the server never gave says that its data is other data, and shows all of it", async (t) => {
  const prism = await startPrism(t);
  await prism.post("/events", { type: "one" });
  const { status, stdout, stderr } = await runCli(["tail", "--from", "999999", "--limit", "1", "--json"], {
    cwd: prism.dir,
    env: { PRISM_URL: prism.url, PRISM_TOKEN: prism.adminToken },
  });
  assert.equal(status, 0, stderr);
  assert.deepEqual(valuesOf(jsonLines<{ type: string }>(stdout), "type"), ["one"]);
  assert.equal(stderr, "gap: this server has other data, without offset 999999; all entries that it keeps follow\n");
});
