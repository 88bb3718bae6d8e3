import assert from "node:assert/strict";
import { Socket } from "node:net";
import test from "node:test";
import { startOf, withShortFields, workOf } from "../../../../src/features/intake/mail-in/read-mail.ts";
import { chanceOf } from "../../../helpers/chance.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { MailInTest } from "./support.ts";

/** Contents that no program should send. All are stored, as events that can be read. */
const CONTENTS: Readonly<Record<string, string | Buffer>> = {
  empty: "",
  "no header": "\r\njust text",
  "no end of the header": "Subject: x",
  "NUL bytes": "Subject: a\0b\r\n\r\nc\0d",
  "bare line feeds": "Subject: lf\n\ntext\n",
  "bytes that are not UTF-8": Buffer.from([0x53, 0x3a, 0x20, 0xff, 0xfe, 0x0d, 0x0a, 0x0d, 0x0a, 0xc3, 0x28, 0x80]),
  "an unknown charset": "Subject: s\r\nContent-Type: text/plain; charset=x-none\r\n\r\ncaf\xe9",
  "a wrong charset": "Subject: =?utf-8?Q?=FF=FE?= =?none?X?y?=\r\n\r\nx",
  "broken base64": "Subject: s\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!!====\r\nYWJj",
  "broken quoted-printable": "Subject: s\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=ZZ=4=\r\n=",
  "a boundary that never comes": "Content-Type: multipart/mixed; boundary=x\r\n\r\ntext",
  "a boundary of nothing": 'Content-Type: multipart/mixed; boundary=""\r\n\r\n--\r\n\r\nx\r\n----\r\n',
  "header injection by encoded words": "Subject: =?utf-8?Q?a=0D=0ABcc:_eve@example.org=0D=0A?=\r\n\r\nx",
  "header injection by names": "Subject: s\r\n__proto__: {}\r\nconstructor: x\r\nToString: y\r\n\r\nx",
  "a folded header": `Subject: a\r\n ${"b\r\n ".repeat(2000)}c\r\n\r\nx`,
  "a long line": `Subject: ${"s".repeat(100_000)}\r\n\r\n${"x".repeat(1_000_000)}`,
  "many addresses": `From: ${"a@b.c, ".repeat(20_000)}\r\n\r\nx`,
  "many encoded words": `Subject: ${"=?utf-8?B?YQ==?= ".repeat(5000)}\r\n\r\nx`,
  "bidirectional controls": Buffer.from("Subject: a\u202etxt.exe\r\n\r\n\u2066x"),
  "templates and scripts": "Subject: {{ body.text }} $x <script>\r\n\r\n{{ receiver.id }} = body.text",
  "attachments only": "Content-Type: application/zip; name=../../etc/passwd\r\n\r\nPK",
  "a nested message": `Content-Type: message/rfc822\r\n\r\n${"Content-Type: message/rfc822\r\n\r\n".repeat(200)}x`,
  "html of tags that do not end": `Content-Type: text/html\r\n\r\n${"<".repeat(400_000)}`,
  "many lines": "Subject: s\r\n\r\n".concat("\r\n".repeat(1_000_000)),
  "many parts": `Content-Type: multipart/mixed; boundary=x\r\n\r\n${"--x\r\n".repeat(500_000)}`,
};

test(`${Object.keys(CONTENTS).length} hostile contents are stored as events, without control characters`, async (t) => {
  const prism = await MailInTest.start(t);
  const { address, id } = await prism.receiver();
  for (const [name, content] of Object.entries(CONTENTS)) {
    const raw = await prism.connect(t);
    assert.match(await raw.deliver(address, content), /^250 /, name);
    const [request] = await prism.requests({ id });
    assert.equal(request?.result, "accepted", name);
    assert.match(await raw.say("QUIT"), /^221/);
  }
  const events = await prism.events();
  const text = JSON.stringify(events);
  assert.doesNotMatch(text, /\\u0000|\\r|\u202e|\u2066/);
  assert.ok(!text.includes("prism.example"));
  const titles = events.map(({ payload }) => payload["title"]);
  assert.ok(titles.includes("a Bcc: eve@example.org"), "an encoded line break is a space");
  assert.ok(titles.includes("{{ body.text }} $x <script>"), "values are never templates");
  assert.equal(events.length, Object.keys(CONTENTS).length, "equal ones without id and date are different mails");
  t.diagnostic(`contents: ${Object.keys(CONTENTS).length} sent and answered 250, ${events.length} events`);
});

test("parts that nest too deep, and headers without an end, are refused for good", async (t) => {
  const prism = await MailInTest.start(t);
  const { address } = await prism.receiver();
  const deep = Array.from(
    { length: 100 },
    (_, i) => `Content-Type: multipart/mixed; boundary=b${i}x\r\n\r\n--b${i}x\r\n`,
  ).join("");
  for (const content of [deep, `${"X-A: ".padEnd(500, "a")}\r\n`.repeat(800)]) {
    const raw = await prism.connect(t);
    assert.match(await raw.deliver(address, content), /^554 5\.6\.0 The mail cannot be read/);
  }
  assert.equal((await prism.events("mail.received")).length, 0);
});

test("a mail over 10 MiB is refused, announced or not; the connection goes on", async (t) => {
  const prism = await MailInTest.start(t);
  const { address } = await prism.receiver();
  const raw = await prism.connect(t);
  assert.match(await raw.say("EHLO a"), /^250/);
  assert.match(await raw.say("MAIL FROM:<a@b.example> SIZE=10485761"), /^552 /);
  assert.match(await raw.deliver(address, Buffer.alloc(10_485_761, "x\r\n")), /^552 /);
  assert.match(await raw.deliver(address, "Subject: small\r\n\r\nx"), /^250 /);
  const titles = (await prism.events("mail.received")).map(({ payload }) => payload["title"]);
  assert.deepEqual(titles, ["small"]);
});

test("pipelined mails are all answered, in order; a half mail is not stored", async (t) => {
  const prism = await MailInTest.start(t);
  const { address } = await prism.receiver();
  const count = 50;
  const raw = await prism.connect(t);
  const mails = Array.from(
    { length: count },
    (_, i) =>
      `MAIL FROM:<a@b.example>\r\nRCPT TO:<${address}>\r\nDATA\r\nSubject: mail ${i}\r\nMessage-ID: <${i}@b>\r\n\r\n..dot\r\n.\r\n`,
  );
  raw.socket.write(`EHLO a\r\n${mails.join("")}QUIT\r\n`);
  assert.match(await raw.reply(), /^250/);
  for (let i = 0; i < count; i++)
    for (const code of ["250", "250", "354", "250"]) assert.equal((await raw.reply()).slice(0, 3), code, `mail ${i}`);
  assert.match(await raw.reply(), /^221/);
  const half = await prism.connect(t);
  await half.begin(address);
  half.socket.write("Subject: half\r\n\r\nnot the e");
  half.socket.destroy();
  await eventually("the connection is forgotten", async () =>
    /^prism_mail_in_total\{result="aborted"\} 1$/m.test((await prism.prism.get("/metrics")).text),
  );
  const events = await prism.events("mail.received");
  assert.deepEqual(
    events.map(({ payload }) => payload["title"]),
    Array.from({ length: count }, (_, i) => `mail ${i}`),
  );
  assert.ok(events.every(({ payload }) => payload["message"] === ".dot"));
  const { text } = await prism.prism.get("/metrics");
  assert.match(text, new RegExp(`^prism_mail_in_total\\{result="accepted"\\} ${count}$`, "m"));
  assert.match(text, new RegExp(`^prism_receiver_requests_total\\{preset="mail",result="accepted"\\} ${count}$`, "m"));
});

test("an end of a mail by bare line feeds is content: no second mail is smuggled in", async (t) => {
  const prism = await MailInTest.start(t);
  const { address } = await prism.receiver();
  for (const end of ["\n.\n", "\n.\r\n", "\r.\r", "\r\n.\n", "\r\n\0.\r\n"]) {
    const raw = await prism.connect(t);
    const smuggled = `MAIL FROM:<eve@b.example>\r\nRCPT TO:<${address}>\r\nDATA\r\nSubject: smuggled\r\n\r\nx`;
    assert.match(
      await raw.deliver(address, `Subject: outer\r\n\r\ntext${end}${smuggled}`),
      /^250/,
      JSON.stringify(end),
    );
    assert.match(await raw.say("QUIT"), /^221/, JSON.stringify(end));
  }
  const titles = (await prism.events("mail.received")).map(({ payload }) => payload["title"]);
  assert.deepEqual([...new Set(titles)], ["outer"]);
});

test("commands out of order, too long, or of another protocol are refused; connections of an address have a limit", async (t) => {
  const prism = await MailInTest.start(t);
  const { address } = await prism.receiver();
  for (const [line, expected] of [
    ["DATA", /^503/],
    [`RCPT TO:<${address}>`, /^503/],
    ["MAIL FROM:<a@b\r.example>", /^50/],
    [`EHLO ${"a".repeat(20_000)}`, /^(421|5)/],
    ["GET / HTTP/1.1", /^421/],
    ["\0\0\0\x16\x03\x01", /^5/],
  ] as const) {
    const raw = await prism.connect(t);
    assert.match(await raw.say(line), expected, line.slice(0, 20));
    raw.socket.destroy();
  }
  await eventually("all have ended", async () =>
    /^prism_mail_in_connections 0$/m.test((await prism.prism.get("/metrics")).text),
  );
  const open = await Promise.all(Array.from({ length: 20 }, () => prism.connect(t)));
  const over = await prism.connect(t);
  await over.closed();
  assert.match((await open[0]?.deliver(address, "Subject: s\r\n\r\nx")) ?? "", /^250/);
});

test("random bytes at random points crash nothing and store nothing half", async (t) => {
  const prism = await MailInTest.start(t);
  const { address } = await prism.receiver();
  const random = chanceOf(t);
  const rounds = 60;
  for (let i = 0; i < rounds; i++) {
    const raw = await prism.connect(t);
    const bytes = Buffer.from(Array.from({ length: random.integer(1, 400) }, () => random.integer(0, 255)));
    if (random.integer(0, 1) === 0) await raw.begin(address);
    raw.socket.write(bytes);
    raw.socket.end();
    await raw.closed();
  }
  const raw = await prism.connect(t);
  assert.match(await raw.deliver(address, "Subject: still here\r\n\r\nx"), /^250/);
  const titles = (await prism.events("mail.received")).map(({ payload }) => payload["title"]);
  assert.deepEqual(titles, ["still here"]);
  t.diagnostic(`random connections: ${rounds}`);
});

test("S7: of lists of addresses, types and parts only the start is read, and mails in debt are asked to come again", async (t) => {
  const raw = Buffer.from(
    [
      "From: a@b.c",
      `To: ${"a:".repeat(125_000)}`,
      ` ${"b:".repeat(5000)}`,
      "Subject: kept",
      `Content-Type: text/plain; ${"a=b; ".repeat(40_000)}`,
      "",
      "the text",
    ].join("\r\n"),
  );
  const short = Buffer.from(withShortFields(raw)).toString("latin1");
  assert.ok(short.length < 21_000, `${short.length} bytes are parsed`);
  assert.match(
    short,
    /^From: a@b\.c\r\nTo: (?:a:)+a?\r\nSubject: kept\r\nContent-Type: text\/plain; (?:a=b; )+[a=b;]*\r\n\r\nthe text$/,
  );
  assert.ok((short.match(/a:/g)?.length ?? 0) <= 512);
  // 2 µs a member: addresses take 1 µs for each character that is parsed.
  const { members = 0 } = workOf(raw);
  assert.ok(members >= 1024 / 2 && members < 1024, `${members} members`);
  const usual = Buffer.from("From: a@b.c\r\nTo: d@e.f\r\n\r\ntext");
  assert.equal(withShortFields(usual), usual);
  const late = Buffer.from(`To: ${"d@e.f, ".repeat(1000)}\r\nFrom: a@b.c\r\nContent-Type: text/html\r\n\r\ntext`);
  assert.match(Buffer.from(withShortFields(late)).toString(), /\r\nFrom: a@b\.c\r\nContent-Type: text\/html\r\n\r\n/);
  assert.equal(startOf(Buffer.from("--b\r\n\r\n".repeat(5000))).length, 101 * 5 + 100 * 2);
  const it = await MailInTest.start(t, { clock: new FakeClock() });
  const { address } = await it.receiver();
  assert.match(await it.mail({ to: address, subject: "one" }), /^250/);
  const long = { to: address, subject: "long", text: "a line\r\n".repeat(2000) };
  const replies: string[] = [];
  for (let i = 0; i < 40 && !replies.at(-1)?.startsWith("4"); i++)
    replies.push(await it.mail({ ...long, subject: `long ${i}` }));
  assert.match(replies.at(-1) ?? "", /^450/, replies.join("\n"));
});

test("a small mail is not refused for what others sent to its receiver, and takes nothing from the project's keys and people", async (t) => {
  const it = await MailInTest.start(t, { clock: new FakeClock() });
  const { address, id } = await it.receiver();
  const { work } = it.prism.parts.core;
  const projectId = it.prism.parts.offers.defaultProjectId;
  const { mock } = t.mock.method(work, "charge");
  assert.match(await it.mail({ to: address, subject: "one" }), /^250/);
  const projects = mock.calls.flatMap(({ arguments: [account] }) =>
    (account?.levels ?? []).flatMap(([level, key]) => (level === "project" ? key : [])),
  );
  assert.ok(projects.length > 0);
  assert.deepEqual([...new Set(projects)], [`${projectId} by URL`]);
  const other = { address: "192.0.2.66", url: `receiver:${id}` };
  for (let i = 0; i < 3; i++) work.charge(work.ofProject(projectId, other), { steps: 80_000_000 });
  assert.match(await it.mail({ to: address, subject: "two" }), /^250/);
  assert.match(await it.mail({ to: address, subject: "long", text: "a line\r\n".repeat(3000) }), /^450/);
});

test("an alert of a mail is charged to its receiver's project", async (t) => {
  const it = await MailInTest.start(t, { clock: new FakeClock() });
  const { address } = await it.receiver();
  const projectId = it.prism.parts.offers.defaultProjectId;
  const { mock } = t.mock.method(it.prism.parts.core.work, "charge");
  const rowsOf = async (subject: string): Promise<number> => {
    const before = mock.callCount();
    assert.match(await it.mail({ to: address, subject }), /^250/);
    return mock.calls
      .slice(before)
      .filter(({ arguments: [account] }) => account?.projectId === projectId)
      .reduce((sum, { arguments: [, { rows = 0 }] }) => sum + rows, 0);
  };
  // The entry of the log, and the rows of alert and event.
  assert.equal(await rowsOf("PROBLEM: disk"), 3);
  assert.equal(await rowsOf("PROBLEM: disk"), 1, "repeated");
});

test("mails that arrive together are read one after the other, each in a turn of its own once it has cost 4 ms", async (t) => {
  const it = await MailInTest.start(t, { clock: new FakeClock() });
  const { address } = await it.receiver();
  const { turns } = it.prism.parts.core.work;
  const { mock } = t.mock.method(turns, "run");
  const spent = t.mock.method(turns, "spend");
  const text = "a line\r\n".repeat(900);
  const replies = await Promise.all(["one", "two", "three"].map((subject) => it.mail({ to: address, subject, text })));
  for (const reply of replies) assert.match(reply, /^250/);
  assert.ok(mock.calls.filter(({ arguments: [owner] }) => owner === "127.0.0.1").length >= 3);
  assert.ok(spent.mock.calls.filter(({ arguments: [micros] }) => micros >= 4000).length >= 3);
});

test("a connection that sends commands without a mail is closed; one that sends mails goes on", async (t) => {
  const prism = await MailInTest.start(t);
  const { address } = await prism.receiver();
  for (const command of ["NOOP", "RSET", "MAIL FROM:<a@b.example>\r\nRSET"]) {
    const raw = await prism.connect(t);
    await raw.say("EHLO x.example");
    raw.socket.write(`${command}\r\n`.repeat(300));
    await raw.closed();
    assert.ok(raw.socket.bytesRead < 16_000, `${command}: ${raw.socket.bytesRead} bytes of answers`);
  }
  const raw = await prism.connect(t);
  for (let n = 0; n < 60; n++) assert.match(await raw.deliver(address, `Subject: ${n}\r\n\r\nx`), /^250/);
});

test("21 connections from one /64 of IPv6 are one too many, whatever their addresses; another /64 has its own", async (t) => {
  const prism = await MailInTest.start(t);
  let network = "2001:db8::";
  const networks = new Map<number | undefined, string>();
  const sockets = Socket.prototype as unknown as { _getpeername(): { address?: string; port?: number } };
  const peerOf = sockets._getpeername;
  t.mock.method(sockets, "_getpeername", function (this: Socket) {
    const peer = peerOf.call(this as unknown as typeof sockets);
    if (!networks.has(peer.port)) networks.set(peer.port, network);
    return { ...peer, address: `${networks.get(peer.port)}${peer.port?.toString(16)}` };
  });
  for (let n = 0; n < 20; n++) assert.match(await (await prism.connect(t)).say("NOOP"), /^250/);
  await (await prism.connect(t)).closed();
  network = "2001:db8:0:1::";
  assert.match(await (await prism.connect(t)).say("NOOP"), /^250/);
});
