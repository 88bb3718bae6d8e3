import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { MailInTest } from "./support.ts";

const HEAD = "From: UPS <ups@ups.local>\r\n";

const base64 = (text: string): string => Buffer.from(text, "latin1").toString("base64");

/** Mails in latin1, with the title and the text that people read. */
const TEXTS: readonly (readonly [name: string, mail: string, title: string, text: string])[] = [
  [
    "bare bytes without a charset",
    "Subject: St\xf6rung\r\n\r\nTemperatur 35 \xb0C, 5 \x80\r\n",
    "Störung",
    "Temperatur 35 °C, 5 €",
  ],
  [
    "bare bytes of UTF-8",
    `Subject: ${Buffer.from("Größe").toString("latin1")}\r\n\r\n${Buffer.from("35 °C").toString("latin1")}\r\n`,
    "Größe",
    "35 °C",
  ],
  [
    "UTF-8 with a broken byte",
    `Subject: t\r\n\r\n${Buffer.from("Größe ").toString("latin1")}\xff!\r\n`,
    "t",
    "Größe \ufffd!",
  ],
  [
    "a charset that is declared wrongly",
    "Subject: t\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nSt\xf6rung\r\n",
    "t",
    "Störung",
  ],
  [
    "ISO-8859-1 that is UTF-8",
    `Subject: t\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\n${Buffer.from("Größe").toString("latin1")}\r\n`,
    "t",
    "Größe",
  ],
  [
    "windows-1252 that is declared as ISO-8859-1",
    "Subject: t\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\n5 \x80 \x84x\x93\r\n",
    "t",
    "5 € „x“",
  ],
  [
    "KOI8-R, in the subject as well",
    "Subject: \xf3\xc2\xcf\xca\r\nContent-Type: text/plain; charset=koi8-r\r\n\r\n\xf3\xc2\xcf\xca db-1\r\n",
    "Сбой",
    "Сбой db-1",
  ],
  [
    "quoted-printable without a charset",
    "Subject: t\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nSt=F6rung\r\n",
    "t",
    "Störung",
  ],
  [
    "base64 without a charset",
    `Subject: t\r\nContent-Transfer-Encoding: base64\r\n\r\n${base64("St\xf6rung")}\r\n`,
    "t",
    "Störung",
  ],
  ["HTML without a charset", "Subject: t\r\nContent-Type: text/html\r\n\r\n<p>St\xf6rung</p>\r\n", "t", "Störung"],
  [
    "a part without a charset",
    "Subject: t\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\n\r\nSt\xf6rung\r\n--B--\r\n",
    "t",
    "Störung",
  ],
  [
    "a text that only names HTML",
    "Subject: t\r\nContent-Type: multipart/alternative; boundary=B\r\n\r\n--B\r\nContent-Type: text/plain\r\n\r\nThis message requires an HTML capable mail client.\r\n--B\r\nContent-Type: text/html\r\n\r\n<p>Disk <b>full</b></p>\r\n--B--\r\n",
    "t",
    "Disk full",
  ],
];

test("the text of a mail arrives in every encoding", async (t) => {
  const mails = await MailInTest.start(t);
  for (const [name, mail, title, text] of TEXTS)
    await t.test(name, async () => {
      const { address, id } = await mails.receiver({ name });
      const smtp = await mails.connect(t);
      assert.match(await smtp.deliver(address, HEAD + mail), /^250/);
      const event = (await mails.events()).at(-1);
      assert.deepEqual([event?.payload["title"], event?.payload["message"]], [title, text]);
      const [request] = await mails.requests({ id });
      const isGuess = /bare bytes without|broken|wrongly$|without a charset/.test(name);
      assert.equal(
        /windows-1252|U\+FFFD/.test(String(request?.outcome["problem"])),
        isGuess,
        String(request?.outcome["problem"]),
      );
    });
});

test("a mail without header lines is its text, and comes from the sender of its envelope", async (t) => {
  const mails = await MailInTest.start(t);
  const { address } = await mails.receiver();
  for (const [mail, title, text] of [
    ["Backup failed on db-1", "Backup failed on db-1", "Backup failed on db-1"],
    ["Backup failed on db-2\r\n\r\nno space", "Backup failed on db-2", "Backup failed on db-2\n\nno space"],
    ["NOTICE: disk of db-3 is 97 % full", "disk of db-3 is 97 % full", "NOTICE: disk of db-3 is 97 % full"],
    ["\r\nonly text", "only text", "only text"],
  ] as const) {
    const smtp = await mails.connect(t);
    assert.match(await smtp.deliver(address, mail, "cron@db-1.example"), /^250/);
    const { payload } = (await mails.events()).at(-1) ?? { payload: {} as Record<string, unknown> };
    assert.deepEqual([payload["title"], payload["message"]], [title, text]);
    assert.deepEqual(payload["labels"], { from: "cron@db-1.example" });
  }
});

test("a Message-ID with other content is another mail; the same mail again is not", async (t) => {
  const mails = await MailInTest.start(t);
  const { address, id } = await mails.receiver();
  const ups = (subject: string, date = "Sat, 31 Jan 2026 08:00:00 +0000"): string =>
    `${HEAD}Date: ${date}\r\nMessage-ID: <1@ups.local>\r\nSubject: ${subject}\r\n\r\nsee the log\r\n`;
  for (const mail of [
    ups("UPS on battery"),
    ups("UPS battery low"),
    ups("UPS on battery"),
    ups("UPS on battery", "Sun, 1 Feb 2026 08:00:00 +0000"),
  ]) {
    const smtp = await mails.connect(t);
    assert.match(await smtp.deliver(address, mail), /^250/);
  }
  const results = (await mails.requests({ id })).map(({ result }) => result);
  assert.deepEqual(results.reverse(), ["accepted", "accepted", "replayed", "accepted"]);
});

test("Uptime Kuma's mails open one alert and end it; an Up that is not known is told", async (t) => {
  const mails = await MailInTest.start(t);
  const { address } = await mails.receiver();
  const send = (subject: string): Promise<string> => mails.mail({ to: address, subject, text: subject });
  await send("[Shop] [🔴 Down] connect ECONNREFUSED 192.0.2.1:443");
  await send("[Shop] [🔴 Down] timeout of 48000ms exceeded");
  assert.equal((await mails.alerts()).length, 1);
  await send("[Shop] [✅ Up] 200 - OK");
  assert.deepEqual(await mails.alerts(), []);
  await send("[Bank] [✅ Up] 200 - OK");
  await eventually(
    "decided",
    () => scalarOf(mails.prism, "select count(*) from events where processedAt is null") === 0,
  );
  const titles = rowsOf<{ title: string }>(mails.prism, "select title from notifications where kind = 'rule'");
  assert.deepEqual(
    titles.map(({ title }) => title),
    ["[Bank] 200 - OK"],
  );
});
