import assert from "node:assert/strict";
import test from "node:test";
import { answered, startPrism } from "../helpers/prism.ts";
import { runCli } from "./run-cli.ts";

test("prism policies import shows warnings that are new, and counts those that were there before", async (t) => {
  const prism = await startPrism(t, { settings: { "webhooks.allowPrivateCidrs": "127.0.0.0/8" } });
  const field = { url: "http://127.0.0.1:9/hook" };
  const made = await answered(
    201,
    prism.post<{ id: string }>("/api/v1/channels", {
      name: "hook",
      preset: "http",
      fields: field,
      projectId: "default",
    }),
  );
  const night = { name: "Night", steps: [{ type: "channel", id: made.body.id }] };
  const day = { name: "Day", steps: [] };
  const env = { PRISM_URL: prism.url, PRISM_TOKEN: prism.adminToken };
  const imported = async (policies: object): Promise<string[]> => {
    const input = JSON.stringify(policies);
    const { status, stderr } = await runCli(["policies", "import", "-"], { cwd: prism.dir, env, input });
    assert.equal(status, 0, stderr);
    return stderr.trimEnd().split("\n");
  };
  const [untested, ...more] = await imported([night]);
  assert.match(untested ?? "", /^warning: The channel hook has accepted no message/);
  assert.deepEqual(more, []);
  assert.deepEqual(await imported([night]), ["1 warning as before"]);
  const [empty, ...others] = await imported([night, day]);
  assert.equal(empty, "warning: The policy Day has no step that reaches anyone");
  assert.deepEqual(others, ["1 warning as before"]);
  assert.deepEqual(await imported([day, { ...night, repeat: 4 }]), ["2 warnings as before"]);
});
