import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import test, { type TestContext } from "node:test";
import { MailClient, type SmtpOptions } from "../../../src/features/channels/mail/client.ts";
import { makeCertificate } from "../../helpers/certificate.ts";
import { keepsPromise } from "../../helpers/promise.ts";
import { valuesOf } from "../../helpers/values.ts";
import { MailServer } from "../access/sessions/support/mail-server.ts";

const MAIL = { to: "ann@example.com", subject: "Grüße", text: "Hällo\n" };
/** Reaches this machine by an address that the mailer does not treat as loopback. */
const ELSEWHERE = "0.0.0.0";

function mailer(t: TestContext, port: number, options: Partial<SmtpOptions> = {}): MailClient {
  const whole = {
    host: "127.0.0.1",
    port,
    from: "Prism <prism@example.com>",
    secure: false,
    allowPlain: false,
    ...options,
  };
  const made = new MailClient(() => whole);
  t.after(() => made.close());
  return made;
}

test("S1-08: a mail goes to a real SMTP server with its sender, its one recipient and its text", async (t) => {
  keepsPromise(t, "S1-08");
  const server = await MailServer.start(t);
  const sender = mailer(t, server.port);
  await sender.check();
  await sender.send(MAIL);
  const [mail] = server.mails;
  assert.ok(mail);
  assert.deepEqual([mail.from, mail.to, mail.text.trim()], ["prism@example.com", ["ann@example.com"], "Hällo"]);
  assert.match(mail.raw, /^From: Prism <prism@example.com>\r$/m);
  assert.match(mail.raw, /^Subject: =\?UTF-8\?Q\?Gr=C3=BC=C3=9Fe\?=\r$/m);

  for (const to of ["ann@example.com, eve@example.com", "eve@example.com,ann", "x\r\nRCPT TO:<eve@example.com>"])
    await sender.send({ ...MAIL, to }).catch(() => undefined);
  const others = server.mails.flatMap(({ to }) => to).filter((address) => address === "eve@example.com");
  assert.deepEqual(others, [], "no text makes a second recipient");
});

test("S1-08: mails go over connections that are kept, however many come at once", async (t) => {
  keepsPromise(t, "S1-08");
  let connections = 0;
  const server = await MailServer.start(t, {
    onConnect(_session, callback) {
      connections++;
      callback();
    },
  });
  const sender = mailer(t, server.port);
  await Promise.all(Array.from({ length: 10 }, () => sender.send(MAIL)));
  await sender.send(MAIL);
  assert.equal(server.mails.length, 11);
  assert.ok(connections <= 2, `${connections} connections`);
});

test("credentials are shown to the server, and a refusal is an error", async (t) => {
  const server = await MailServer.start(t, { authOptional: false });
  await mailer(t, server.port, { user: "prism", pass: "right" }).send(MAIL);
  assert.deepEqual([server.mails[0]?.user, server.logins], ["prism", ["prism:right"]]);
  await assert.rejects(mailer(t, server.port, { user: "prism", pass: "wrong" }).send(MAIL), { code: "EAUTH" });
  await assert.rejects(mailer(t, server.port).send(MAIL), { responseCode: 530 });
  assert.equal(server.mails.length, 1);
});

test("RFC 8314: neither mail nor password goes without TLS to a server that is not on this machine", async (t) => {
  const server = await MailServer.start(t, { authOptional: false });
  const there = { host: ELSEWHERE, user: "prism", pass: "right" };
  await assert.rejects(mailer(t, server.port, there).send(MAIL), { code: "ETLS" });
  assert.deepEqual([server.logins, server.mails.length], [[], 0]);
  await mailer(t, server.port, { ...there, allowPlain: true }).send(MAIL);
  assert.deepEqual([server.logins, server.mails[0]?.isSecure], [["prism:right"], false]);
});

test("RFC 8314: an untrusted certificate is refused, except on this machine, where it protects nothing", async (t) => {
  const { cert, key } = makeCertificate();
  const secured = await MailServer.start(t, { authOptional: false, disabledCommands: [], cert, key });
  const login = { user: "prism", pass: "right" };
  await assert.rejects(mailer(t, secured.port, { ...login, host: ELSEWHERE }).send(MAIL), /certificate/i);
  assert.deepEqual([secured.logins, secured.mails.length], [[], 0]);
  await mailer(t, secured.port, login).send(MAIL);
  assert.deepEqual(
    [secured.logins, secured.mails[0]?.isSecure],
    [["prism:right"], true],
    "STARTTLS where it is offered",
  );

  const fromTheFirstByte = await MailServer.start(t, { secure: true, disabledCommands: [], cert, key });
  await assert.rejects(mailer(t, fromTheFirstByte.port, { secure: true, host: ELSEWHERE }).send(MAIL), /certificate/i);
  await mailer(t, fromTheFirstByte.port, { secure: true }).send(MAIL);
  assert.deepEqual(valuesOf(fromTheFirstByte.mails, "isSecure"), [true]);
});

test("no server, or none that is configured, is an error with its reason", async (t) => {
  const listener = createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as { port: number };
  await new Promise((resolve) => listener.close(resolve));
  const refused = { name: "NoAnswer", message: "the connection was refused (ECONNREFUSED)", phase: "connect" };
  await assert.rejects(mailer(t, port).send(MAIL), refused);
  await assert.rejects(mailer(t, port).check(), refused);
  const none = new MailClient(() => null);
  assert.equal(none.isConfigured, false);
  await assert.rejects(none.send(MAIL), { code: "NOT_CONFIGURED" });
});
