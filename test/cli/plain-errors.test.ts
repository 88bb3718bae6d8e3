import assert from "node:assert/strict";
import test from "node:test";
import { makeUser } from "../helpers/people.ts";
import { answered, startPrism } from "../helpers/prism.ts";
import { startRecorder } from "../helpers/webhook-recorder.ts";
import { runCli } from "./run-cli.ts";

/* Errors and lists of commands beside the server, as a new user reads them. */

test("the errors of commands beside the server name what was given, and what is not used", async (t) => {
  const prism = await startPrism(t, { settings: { "webhooks.allowPrivateCidrs": "127.0.0.0/8" } });
  const ann = await makeUser(prism, "ann", ["Admin"]);
  const cwd = prism.dir;
  const env = { PRISM_DATA_DIR: prism.dir };
  const run = (args: readonly string[], more: Readonly<Record<string, string>> = {}) =>
    runCli([...args], { cwd, env: { ...env, ...more } });

  await t.test("a token in the environment that is not used beside the server", async () => {
    const alone = await run(["drill"]);
    assert.deepEqual([alone.status, alone.stderr.includes("PRISM_TOKEN")], [5, false], alone.stderr);
    for (const args of [["drill"], ["tail", "--notifications", "--limit", "1"]]) {
      const { status, stderr } = await run(args, { PRISM_TOKEN: ann.token });
      assert.equal(status, 5, stderr);
      assert.match(stderr, /; PRISM_TOKEN is not used beside the server: give --token, or --url with PRISM_TOKEN/);
    }
    const over = await run(["drill", "preferences", "--url", prism.url], { PRISM_TOKEN: ann.token });
    assert.equal(over.status, 0, over.stderr);
  });

  await t.test("a user who does not exist", async () => {
    const drill = await run(["drill", "ann", "bob"]);
    assert.deepEqual([drill.status, drill.stderr.startsWith("prism: bob: no such user")], [6, true], drill.stderr);
    const page = await run(["page", "nosuch", "Call me"]);
    assert.deepEqual([page.status, /users\.0/.test(page.stderr)], [6, false], page.stderr);
    assert.match(page.stderr, /- nosuch: is no active user that you can reach/);
  });

  await t.test("webhooks of users", async () => {
    const { url } = await startRecorder(t);
    await answered(201, prism.post("/api/v1/webhooks", { url: `${url}/user` }, { token: ann.token }));
    const ofUsers = /webhooks of users are listed with the token of their user \(--token\)/;
    assert.match((await run(["webhooks", "list"])).stdout, ofUsers);
    const missing = await run(["webhooks", "test", `${url}/user`]);
    assert.equal(missing.status, 6);
    assert.match(missing.stderr, ofUsers);
    assert.equal((await run(["webhooks", "test", `${url}/user`, "--token", ann.token])).status, 0);
    const own = await run(["webhooks", "test", `${url}/other`, "--token", ann.token]);
    assert.deepEqual([own.status, ofUsers.test(own.stderr)], [6, false], own.stderr);
  });

  await t.test("a name that is taken is said once", async () => {
    const create = () => run(["heartbeats", "create", "Prometheus", "--fed-by", 'alertname="Watchdog"']);
    assert.equal((await create()).status, 0);
    const { status, stderr } = await create();
    assert.deepEqual([status, stderr], [7, "prism: Another heartbeat of the project has this slug (NAME_TAKEN)\n"]);
  });

  await t.test("an override that is over", async () => {
    const schedule = { name: "Database", timezone: "UTC" };
    await answered(201, prism.post("/api/v1/oncall/schedules", schedule, { token: ann.token }));
    const override = (from: string, to: string) =>
      run(["oncall", "override", "Database", "--user", "ann", "--from", from, "--to", to]);
    const over = await override("2020-01-01", "2020-01-02");
    assert.equal(over.status, 0, over.stderr);
    assert.match(over.stdout, /\nwarning: this time is over, so the override changes nothing\n$/);
    assert.doesNotMatch((await override("2020-01-01", "8h")).stdout, /warning/);
  });

  await t.test("rights on topics by the slugs of projects", async () => {
    const { stdout } = await run(["ntfy", "access", "ann", "backup-*", "read"]);
    assert.match(stdout, /^PROJECT +USER +TOPIC +PERMISSION\ndefault +ann +backup-\* +read\n$/);
  });
});
