import assert from "node:assert/strict";
import { createServer } from "node:net";
import test, { type TestContext } from "node:test";
import { MailServer } from "../features/access/sessions/support/mail-server.ts";
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
  assert.equal(await smtpCheck(t, { ...server, SMTP_PASS: "right" }), `PASS 127.0.0.1:${mail.port} takes mail`);
  const refused = await smtpCheck(t, { ...server, SMTP_PASS: "a wrong word" });
  assert.match(refused, /^FAIL .* does not take mail: .*535/);
  assert.doesNotMatch(refused, /a wrong word/);
  assert.deepEqual(mail.mails, []);
});

test("doctor --deep sends a real message, to the sender's own address", async (t) => {
  const mail = await MailServer.start(t);
  const env = { SMTP_HOST: "127.0.0.1", SMTP_PORT: String(mail.port), SMTP_FROM: "Prism <alerts@example.org>" };
  assert.match(await smtpCheck(t, env, ["--deep"]), /^PASS .* took a test message to alerts@example\.org/);
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

test("a missing mail server is a FAIL where accounts need a confirmed address, elsewhere a warning", async (t) => {
  const production = {
    NODE_ENV: "production",
    JWT_SECRET: "q3VnZ0Jx1m8yT5sK2pLw9aRd7eHf4cUiNoBvXzGtYjMk6QlS",
    PRISM_ENCRYPTION_KEY: Buffer.from("0123456789abcdefghijklmnopqrstuv").toString("base64"),
  };
  const verifying = { PRISM_AUTH_REGISTRATION: "open", PRISM_AUTH_REQUIRE_EMAIL_VERIFICATION: "true" };
  const [inDevelopment, inProduction, whereVerified] = await Promise.all([
    smtpCheck(t, {}),
    smtpCheck(t, production),
    smtpCheck(t, verifying),
  ]);
  assert.match(inDevelopment, /^WARN no mail server/);
  assert.match(inProduction, /^WARN no mail server: passwords cannot be reset by mail/);
  assert.match(whereVerified, /^FAIL no mail server: users who register cannot confirm/);
});
