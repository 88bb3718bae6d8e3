import assert from "node:assert/strict";
import test from "node:test";
import { createTransport, type Transporter } from "nodemailer";
import { chanceOf } from "../helpers/chance.ts";
import { lastingPort } from "../helpers/free-ports.ts";
import { PrismBinary } from "./prism-binary.ts";

const KILLS = 5;
const SENDERS = 4;
/** Answered mails in each life of the server, before it is killed. */
const ANSWERED = 15;

test(`killed ${KILLS} times between DATA and 250: every mail answered 250 is stored once, repeated ones too`, async (t) => {
  const random = chanceOf(t);
  const port = await lastingPort();
  const env = {
    PRISM_MAIL_IN_PORT: String(port),
    PRISM_MAIL_IN_DOMAIN: "in.example",
    PRISM_RATE_LIMIT_ENABLED: "false",
  };
  const prism = new PrismBinary(t, { env });
  const answered = new Set<string>();
  const unanswered = new Set<string>();
  let to = "";
  let next = 0;
  for (let kill = 0; kill <= KILLS; kill++) {
    await prism.start();
    if (kill === 0) to = await address(prism);
    const transport = createTransport({
      host: "127.0.0.1",
      port,
      ignoreTLS: true,
      pool: true,
      maxConnections: SENDERS,
    });
    // As a mail server does: what had no answer is sent again, and one that had, for good measure.
    const again = [...unanswered, ...[...answered].slice(-1)];
    for (const subject of again) {
      await send(transport, to, subject);
      unanswered.delete(subject);
      answered.add(subject);
    }
    if (kill < KILLS) {
      const target = answered.size + ANSWERED + random.integer(0, 10);
      let isKilled = false;
      const sender = async (): Promise<void> => {
        while (!isKilled) {
          const subject = `mail-${next++}`;
          unanswered.add(subject);
          await send(transport, to, subject).then(
            () => {
              unanswered.delete(subject);
              answered.add(subject);
            },
            () => undefined,
          );
          if (answered.size >= target && !isKilled) {
            isKilled = true;
            await prism.kill();
          }
        }
      };
      await Promise.all(Array.from({ length: SENDERS }, sender));
    }
    transport.close();
  }
  const events = await prism.all<{ payload: { title: string } }>("/api/v1/events?type=mail.received");
  const titles = events.map(({ payload }) => payload.title);
  assert.equal(unanswered.size, 0);
  assert.deepEqual([...titles].sort(), [...answered].sort());
  t.diagnostic(`kills: ${KILLS}, mails: ${answered.size}, each stored once`);
  assert.equal(await prism.stop(), 0);
});

async function address(prism: PrismBinary): Promise<string> {
  const { status, body } = await prism.call<{ url: string }>("POST", "/api/v1/receivers", {
    name: "M",
    preset: "mail",
  });
  assert.equal(status, 201);
  return `${body.url.slice(body.url.lastIndexOf("/") + 1)}@in.example`;
}

async function send(transport: Transporter, to: string, subject: string): Promise<void> {
  // A mail that is sent again has the same date.
  const mail = { from: "a@b.example", to, subject, text: subject, date: new Date(0) };
  await transport.sendMail({ ...mail, messageId: `<${subject}@b.example>` });
}
