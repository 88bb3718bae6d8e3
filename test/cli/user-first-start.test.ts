import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import test from "node:test";
import { temporaryDir } from "../helpers/store.ts";
import { RunningCli, runCli } from "./run-cli.ts";

const READY = /"port":(\d+)[^\n]*"ready"|"ready"[^\n]*"port":(\d+)/;

test("D51: production shows a set-up link on stderr, once, even with --quiet, and never in the log", async (t) => {
  const cwd = temporaryDir(t);
  const env = {
    NODE_ENV: "production",
    HOST: "127.0.0.1",
    PRISM_PUBLIC_URL: "https://alerts.example.com/prism",
    JWT_SECRET: randomBytes(48).toString("base64"),
    PRISM_ENCRYPTION_KEY: randomBytes(32).toString("base64"),
  };
  const serve = (...flags: string[]) => new RunningCli(t, ["serve", "--port", "0", ...flags], { cwd, env });

  const first = serve("--quiet");
  const [, dashboard, setupToken = ""] = await first.until(/Set-up link, shown this once: (\S+)setup#token=(prs_\S+)/);
  await first.until(READY);
  assert.equal(dashboard, "https://alerts.example.com/prism/dashboard/");
  assert.ok(!first.stdout.includes("prs_"));
  assert.match(first.stdout, /no administrator yet/);
  first.signal("SIGTERM");
  assert.equal(await first.ended(), 0);

  const second = serve();
  const ready = await second.until(READY);
  await second.until(/No administrator yet\. Open the set-up link that the first start printed/);
  assert.ok(!`${second.stdout}${second.stderr}`.includes("prs_"));
  const reply = await fetch(`http://127.0.0.1:${ready[1] ?? ready[2]}/api/v1/auth/register`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ email: "root@example.org", password: "correct horse battery", setupToken }),
  });
  const body = (await reply.json()) as { user: { roles: string[] } };
  assert.deepEqual([reply.status, body.user.roles], [201, ["Admin"]]);
  const { stdout } = await runCli(["user", "list", "--role", "Admin"], { cwd, env });
  assert.match(stdout, /root@example\.org/);
  assert.ok(!second.stdout.includes(setupToken));

  const link = await runCli(["user", "sign-in-link"], { cwd, env });
  assert.match(link.stdout, /^https:\/\/alerts\.example\.com\/prism\/dashboard\/sign-in-link#token=[\w-]{43}\n$/);
  second.signal("SIGTERM");
  assert.equal(await second.ended(), 0);
  const third = serve();
  await third.until(/Console: https:\S+\/dashboard\/ {2}prism user sign-in-link prints a one-time link to sign in\./);
  assert.ok(!`${third.stdout}${third.stderr}`.includes("#token="));
});

test("development says at its start how to get a token and how to log in", async (t) => {
  const prism = new RunningCli(t, ["serve", "--port", "0"], { cwd: temporaryDir(t) });
  await prism.until(/curl -s http:\/\/127\.0\.0\.1:\d+\/dev\/token returns a token of the administrator dev/);
  await prism.until(/prism user passwd dev sets a password/);
  assert.ok(!prism.stderr.includes("prs_"));
});
