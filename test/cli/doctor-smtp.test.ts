import assert from "node:assert/strict";
import { createServer } from "node:net";
import test, { type TestContext } from "node:test";
import { MailServer } from "../features/access/sessions/support/mail-server.ts";
import { startPrism } from "../helpers/prism.ts";
import { temporaryDir } from "../helpers/store.ts";
import { runCli } from "./run-cli.ts";

async function smtpCheck(
  t: TestContext,
  env: Readonly<Record<string, string>>,
  flags: readonly string[] = [],
): Promise<string> {
  const { stdout } = await runCli(["doctor", "--json", ...flags], { cwd: temporaryDir(t), env: { PORT: "0", ...env } });
  const { checks } = JSON.parse(stdout) as { checks: { name: string; status: string; message: string }[] };
  const [found] = checks.filter(({ name }) => name === "smtp");
  return `${found?.status} ${found?.message}`;
}

test("doctor shows itself to the mail server, and sends nothing", async (t) => {
  const mail = await MailServer.start(t, { authOptional: false });
  const server = { SMTP_HOST: "127.0.0.1", SMTP_PORT: String(mail.port), SMTP_USER: "prism" };
  assert.equal(await smtpCheck(t, { ...server, SMTP_PASS: "right" }), `PASS 127.0.0.1:${mail.port} accepts mail`);
  const refused = await smtpCheck(t, { ...server, SMTP_PASS: "a wrong word" });
  assert.match(refused, /^FAIL .* does not accept mail: .*535/);
  assert.doesNotMatch(refused, /a wrong word/);
  assert.deepEqual(mail.mails, []);
});

test("doctor --deep sends a real message, to the sender's own address", async (t) => {
  const mail = await MailServer.start(t);
  const env = { SMTP_HOST: "127.0.0.1", SMTP_PORT: String(mail.port), SMTP_FROM: "Prism <alerts@example.org>" };
  assert.match(await smtpCheck(t, env, ["--deep"]), /^PASS .* accepted a test message to alerts@example\.org/);
  assert.equal(mail.mails.length, 1);
  assert.deepEqual(mail.mails[0]?.to, ["alerts@example.org"]);
});

test("a mail server that is not there is a FAIL", async (t) => {
  const listening = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => listening.once("listening", resolve));
  const { port } = listening.address() as { port: number };
  await new Promise((resolve) => listening.close(resolve));
  assert.match(await smtpCheck(t, { SMTP_HOST: "127.0.0.1", SMTP_PORT: String(port) }), /^FAIL .*ECONNREFUSED/);
});

test("a missing mail server is in order unless something needs one", async (t) => {
  const verifying = { PRISM_AUTH_REGISTRATION: "open", PRISM_AUTH_REQUIRE_EMAIL_VERIFICATION: "true" };
  const [nothing, confirming, digests] = await Promise.all([
    smtpCheck(t, {}),
    smtpCheck(t, verifying),
    smtpCheck(t, { PRISM_DIGEST_ENABLED: "true" }),
  ]);
  assert.match(nothing, /^PASS no mail server is configured, and nothing needs one/);
  assert.match(confirming, /^FAIL no mail server: users who register cannot confirm/);
  assert.match(digests, /^WARN no mail server: digests are enabled/);

  const prism = await startPrism(t, { settings: { "smtp.host": "127.0.0.1", "smtp.from": "a@example.org" } });
  const rule = { name: "mail", condition: "true", targetUsers: ["me"], channels: ["email"] };
  assert.equal((await prism.post("/api/v1/rules", rule)).status, 201);
  // Without its own mail server, as after a start from another configuration.
  await prism.stop();
  const { stdout } = await runCli(["doctor", "--data-dir", prism.dir], { cwd: prism.dir, env: { PORT: "0" } });
  assert.match(stdout, /^WARN {2}smtp +no mail server: 1 active rule has the channel email; set SMTP_HOST$/m);
});
