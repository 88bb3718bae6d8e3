import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { createTransport } from "nodemailer";
import { eventually } from "../../../helpers/eventually.ts";
import { MailServer } from "../../access/sessions/support/mail-server.ts";
import { IncidentWorld, MINUTE } from "../../alerts/incidents/support.ts";
import { httpServer } from "../../channels/presets/http.ts";
import { type StandIn, startStandIn } from "../../channels/support/stand-in.ts";

const RETURN_PATH = "bounces@in.example";

interface BounceWorld {
  readonly world: IncidentWorld;
  /** Where ann's mails go. */
  readonly mail: MailServer;
  /** Ann's next contact rule. */
  readonly phone: StandIn;
}

/** A world that receives mail, and pages ann by mail, and half an hour later by a channel. */
async function start(t: TestContext): Promise<BounceWorld> {
  const [mail, phone] = [await MailServer.start(t), await startStandIn(t, httpServer())];
  const mailIn = { "mailIn.port": "0", "mailIn.domain": "in.example", "smtp.returnPath": RETURN_PATH };
  const world = await IncidentWorld.start(t, {
    ...mail.settings,
    ...mailIn,
    "webhooks.allowPrivateCidrs": "127.0.0.0/8",
  });
  const { prism, projectId } = world;
  const { id, token } = await world.member("ann");
  const email = "ann@example.com";
  await world.db.write((trx) => trx.updateTable("users").set({ email }).where("id", "=", id).execute());
  const channel = { name: "phone", preset: "http", fields: phone.service.fields(phone.url) };
  assert.equal((await prism.post("/api/v1/channels", channel, { token })).status, 201);
  const rules = [
    { afterMs: 0, channels: ["email"] },
    { afterMs: 30 * MINUTE, channels: ["service"] },
  ];
  const contact = await prism.put("/api/v1/users/me/contact-rules", { high: rules, low: rules }, { token });
  assert.equal(contact.status, 200, contact.text);
  const steps = [{ type: "notify", users: ["ann"] }];
  assert.equal((await prism.patch(`/api/v1/policies/${projectId}`, { steps })).status, 200);
  return { world, mail, phone };
}

/** The page to ann by mail, once it was accepted. */
async function delivered({ db }: IncidentWorld) {
  return eventually("the page is delivered", () =>
    db.read
      .selectFrom("pages")
      .selectAll()
      .where("channel", "=", "email")
      .where("outcome", "=", "delivered")
      .executeTakeFirst(),
  );
}

/** A report as Postfix sends it. */
function report(original: string, action = "failed"): string {
  const [headers = ""] = original.split("\r\n\r\n");
  return [
    "From: MAILER-DAEMON@mx.example (Mail Delivery System)",
    `To: ${RETURN_PATH}`,
    "Subject: Undelivered Mail Returned to Sender",
    "Auto-Submitted: auto-replied",
    "MIME-Version: 1.0",
    'Content-Type: multipart/report; report-type=delivery-status; boundary="B"',
    "",
    ...["--B", "Content-Type: text/plain; charset=us-ascii", "", "I'm sorry to have to inform you …", ""],
    ...["--B", "Content-Type: message/delivery-status", "", "Reporting-MTA: dns; mx.example", ""],
    ...["Final-Recipient: rfc822; ann@example.com", `Action: ${action}`, "Status: 5.1.1"],
    ...["Diagnostic-Code: smtp; 550 5.1.1 <ann@example.com>: Recipient address rejected:", "    User unknown", ""],
    ...["--B", "Content-Type: text/rfc822-headers", "", headers, "", "--B--", ""],
  ].join("\r\n");
}

/** @returns the server's reply, also of a refusal */
async function send({ prism }: IncidentWorld, raw: string, from = "", to = RETURN_PATH): Promise<string> {
  const { port } = prism.parts.offers.mailIn;
  const transport = createTransport({ host: "127.0.0.1", port, ignoreTLS: true });
  try {
    return ((await transport.sendMail({ raw, envelope: { from, to } })) as { response: string }).response;
  } catch (error) {
    return (error as { response?: string }).response ?? String(error);
  } finally {
    transport.close();
  }
}

test("a bounce turns an accepted page into a failed way: its words, and the next contact rule", async (t) => {
  const { world, mail, phone } = await start(t);
  await world.fire("A");
  const { id, incidentId } = await delivered(world);
  const [sent] = mail.mails;
  assert.equal(sent?.from, RETURN_PATH);
  assert.notEqual((await world.only()).reachedAt, null);
  assert.match(await send(world, report(sent?.raw ?? "")), /^250/);
  await eventually("the next contact rule is used", () => phone.seen.length === 1);
  const page = await world.db.read.selectFrom("pages").selectAll().where("id", "=", id).executeTakeFirstOrThrow();
  assert.deepEqual([page.outcome, page.deliveredAt], ["failed", null]);
  assert.equal(page.lastError, "the mail was returned: 550 5.1.1 …: Recipient address rejected: User unknown");
  const delivery = await world.db.read.selectFrom("deliveries").select("state").where("id", "=", id).executeTakeFirst();
  assert.equal(delivery?.state, "dead");
  const failures = async (): Promise<number> =>
    (await world.log(incidentId)).filter((kind) => kind === "page-failed").length;
  assert.equal(await failures(), 1);
  assert.match(await send(world, report(sent?.raw ?? "")), /^250/);
  assert.equal(await failures(), 1, "a repeated report does nothing more");
});

test("while no one else was reached, a returned page takes that back", async (t) => {
  const { world, mail } = await start(t);
  await world.fire("A");
  await delivered(world);
  await world.db.write((trx) => trx.deleteFrom("jobs").where("kind", "=", "incident.contact").execute());
  await send(world, report(mail.mails[0]?.raw ?? ""));
  assert.equal((await world.only()).reachedAt, null);
});

test("what is no failure, is forged, or is not a report changes nothing", async (t) => {
  const { world, mail } = await start(t);
  await world.fire("A");
  const { id } = await delivered(world);
  const raw = mail.mails[0]?.raw ?? "";
  assert.match(raw, /^X-Prism-Bounce: \S+\r$/m);
  for (const [name, text] of [
    ["a delay", report(raw, "delayed")],
    ["without the proof", report(raw.replace(/^X-Prism-Bounce: .*\r\n/m, ""))],
    ["with another proof", report(raw.replace(/^(X-Prism-Bounce: ).*\r$/m, "$1forged\r"))],
    ["of another mail", report(raw.replaceAll(id, "01a20000-0000-7000-8000-000000000000"))],
    ["a plain mail", `Subject: hello\r\n\r\n${raw}`],
    ["nothing", ""],
  ] as const)
    assert.match(await send(world, text), /^250/, name);
  assert.match(await send(world, report(raw), "eve@example.com"), /^550/, "reports have no sender");
  assert.match(await send(world, report(raw), "", "other@in.example"), /^550/);
  const page = await world.db.read.selectFrom("pages").select("outcome").where("id", "=", id).executeTakeFirst();
  assert.equal(page?.outcome, "delivered");
});
