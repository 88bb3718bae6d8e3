import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { mailReceiver, webhookReceiver } from "../features/health/emergency/support.ts";
import { startPrism } from "../helpers/prism.ts";
import { temporaryDir } from "../helpers/store.ts";
import { runCli } from "./run-cli.ts";

test("doctor --emergency calls each way for real and says what answered; one that fails is exit code 8", async (t) => {
  const hook = await webhookReceiver(t);
  const { port, mails } = await mailReceiver(t);
  const env = {
    PORT: "0",
    PRISM_EMERGENCY_WEBHOOK: hook.url,
    PRISM_EMERGENCY_SMTP_HOST: "127.0.0.1",
    PRISM_EMERGENCY_SMTP_PORT: String(port),
    PRISM_EMERGENCY_SMTP_USER: "ops",
    PRISM_EMERGENCY_SMTP_PASS: "right",
    PRISM_EMERGENCY_SMTP_TO: "a@example.org,b@example.org",
    PRISM_EMERGENCY_COMMAND: JSON.stringify([process.execPath, "-e", "process.exit(0)"]),
  };
  const options = { cwd: temporaryDir(t), env };
  const good = await runCli(["doctor", "--emergency"], options);
  assert.equal(good.status, 0, good.stdout + good.stderr);
  assert.match(good.stdout, /^PASS {2}emergency {2}webhook: 127\.0\.0\.1:\d+ answered 200, after \d+\.\d s$/m);
  assert.match(good.stdout, /^PASS {2}emergency {2}smtp: 127\.0\.0\.1 accepted the mail: 250.*$/m);
  assert.match(good.stdout, /^PASS {2}emergency {2}command: the command ended with exit code 0, after .*$/m);
  assert.equal(good.stdout.trim().split("\n").length, 3, "nothing else is checked");
  assert.deepEqual([hook.calls.length, hook.calls[0]?.test, hook.calls[0]?.reason], [1, true, "test"]);
  assert.equal(mails.length, 1);
  assert.match(mails[0] ?? "", /This|Test of the emergency contacts/);

  hook.status = 403;
  const bad = await runCli(["doctor", "--emergency"], { ...options, env: { ...env, PRISM_EMERGENCY_SMTP_PASS: "no" } });
  assert.equal(bad.status, 8);
  assert.match(bad.stdout, /^FAIL {2}emergency {2}webhook: 127\.0\.0\.1:\d+ answered 403, .*check the settings/m);
  assert.match(bad.stdout, /^FAIL {2}emergency {2}smtp: .*Authentication failed/m);
  assert.match(bad.stdout, /^PASS {2}emergency {2}command/m);
  assert.ok(!(bad.stdout + bad.stderr).includes("secret-token"));
});

test("doctor --emergency without a way is a FAIL", async (t) => {
  const { status, stdout } = await runCli(["doctor", "--emergency"], { cwd: temporaryDir(t), env: { PORT: "0" } });
  assert.equal(status, 8);
  assert.match(stdout, /^FAIL {2}emergency {2}no way is configured; set emergency\.webhook/);
});

test("doctor warns of a missing emergency way once a policy is in use, and not before", async (t) => {
  const prism = await startPrism(t);
  const doctor = async (): Promise<string> => {
    const args = ["doctor", "--data-dir", prism.dir];
    return (await runCli(args, { cwd: prism.dir, env: { PORT: "0" } })).stdout;
  };
  assert.doesNotMatch(await doctor(), /emergency/);
  const projectId = prism.parts.offers.defaultProjectId;
  const made = await prism.post("/api/v1/policies", { projectId, name: "Ops", steps: [{ type: "wait", ms: 60_000 }] });
  assert.equal(made.status, 201, made.text);
  assert.match(await doctor(), /^WARN {2}emergency +no one learns when Prism itself cannot reach anyone; set /m);
});

test("a server whose database cannot be used calls once, however often it is started", async (t) => {
  const hook = await webhookReceiver(t);
  const dir = temporaryDir(t);
  writeFileSync(join(dir, "prism.db"), "this is no database, but it is long enough to be read as one".repeat(40));
  const env = { PORT: "0", PRISM_EMERGENCY_WEBHOOK: hook.url };
  for (let start = 0; start < 3; start++) {
    const { status, stderr } = await runCli(["serve", "--data-dir", dir], { cwd: dir, env });
    assert.equal(status, 4, stderr);
  }
  assert.equal(hook.calls.length, 1);
  assert.equal(hook.calls[0]?.reason, "store-refuses-writes");
  assert.match(hook.calls[0]?.what ?? "", /the server did not start/);
});
