import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { sql } from "kysely";
import { statusSweeps } from "../../../src/features/statuspage/table.ts";
import { eventually } from "../../helpers/eventually.ts";
import { FakeClock } from "../../helpers/fake-clock.ts";
import { answered, startPrism, type TestPrism } from "../../helpers/prism.ts";
import { rowsOf } from "../../helpers/tables.ts";
import { rowsWith } from "../../helpers/values.ts";
import { MailServer } from "../access/sessions/support/mail-server.ts";
import { fire, PATH, PUBLIC, putPage, resolve, shows, type View, visit, WEBSITE } from "./support.ts";

const FORM = { headers: { "Content-Type": "application/x-www-form-urlencoded" }, token: null };
const DAY_MS = 86_400_000;

async function start(t: TestContext, isAllowed = true, more: Record<string, string> = {}) {
  const mail = await MailServer.start(t);
  const clock = new FakeClock();
  const settings = {
    "smtp.host": "127.0.0.1",
    "smtp.port": String(mail.port),
    ...(isAllowed && { "statusPages.subscriptions": "true" }),
    ...more,
  };
  const prism = await startPrism(t, { clock, settings });
  // Set while it runs: with it the token of tests is refused.
  await answered(200, prism.put("/api/v1/settings", { values: { publicUrl: "https://status.example" } }));
  await putPage(prism, { ...WEBSITE, subscriptions: true });
  return { mail, clock, prism };
}

const ask = (prism: TestPrism, email: string) =>
  prism.post(`${PUBLIC}/subscribe`, `email=${encodeURIComponent(email)}`, FORM);

/** The path of a link in the latest mail. */
function linkIn({ mails }: MailServer, use: string): string {
  const raw = (mails.at(-1)?.raw ?? "").replaceAll(/=\r?\n/g, "").replaceAll("=3D", "=");
  const [, path = ""] = new RegExp(`https://status\\.example(/status/default/${use}\\?token=[\\w.-]+)`).exec(raw) ?? [];
  return path;
}

const received = (mail: MailServer, count: number) =>
  eventually(`${count} mails`, () => mail.mails.length >= count).then(() => assert.equal(mail.mails.length, count));

test("a subscription is confirmed by a link, receives changes and notices, and ends with one click", async (t) => {
  const { mail, clock, prism } = await start(t);
  await answered(200, ask(prism, "ann@example.org"));
  await received(mail, 1);
  assert.deepEqual(mail.mails[0]?.to, ["ann@example.org"]);
  const confirm = linkIn(mail, "confirm");
  assert.notEqual(confirm, "");
  assert.equal((await prism.get(confirm, { token: null })).status, 200);
  const counts = async () => (await prism.get<View>(PATH)).body.subscribers;
  assert.deepEqual(await counts(), { confirmed: 0, pending: 1 }, "following the link changes nothing");
  assert.match((await prism.post(`${confirm}x`, "", FORM)).text, /does not work/);
  assert.match((await prism.post(confirm, "", FORM)).text, /Subscribed/);
  assert.deepEqual(await counts(), { confirmed: 1, pending: 0 });

  await fire(prism, "a", { service: "web" });
  await received(mail, 2);
  const { raw = "" } = mail.mails[1] ?? {};
  assert.match(raw, /Subject: Shop: Website \(Outage\)/);
  assert.match(raw, /^References: <component\.[\w-]+@/m);
  assert.match(raw, /^Content-Type: text\/html/m);
  assert.match(raw, /List-Unsubscribe:\s+<https:\/\/status\.example\/status\/default\/unsubscribe\?token=/);
  assert.match(raw, /List-Unsubscribe-Post: List-Unsubscribe=One-Click/);
  const unsubscribe = linkIn(mail, "unsubscribe");

  // Within five minutes changes wait, and the last state counts: nothing is sent for a return.
  await resolve(prism, "a");
  await shows(prism, "operational");
  await fire(prism, "b", { service: "web" });
  await shows(prism, "outage");
  const waiting = () => rowsOf(prism, "select id from jobs where kind = 'status-change' and finishedAt is null");
  await eventually("one job waits for all changes", () => waiting().length === 1);
  clock.advance(301_000);
  // The runner does not see the clock move: without this it looks a minute later. A change that
  // comes while it looks makes it wait again.
  await eventually("it has found nothing new", async () => {
    assert.equal((await prism.post("/api/v1/queues/notification-delivery/resume")).status, 200);
    return waiting().length === 0;
  });
  assert.equal(mail.mails.length, 2);

  const end = new Date(clock.now() + 2 * DAY_MS).toISOString();
  const startsAt = new Date(clock.now() + DAY_MS).toISOString();
  const notice = { kind: "maintenance", title: "Move", text: "New rack", startsAt, endsAt: end };
  await prism.post(`${PATH}/notices`, { ...notice, notify: false });
  assert.equal((await prism.post(`${PATH}/notices`, notice)).status, 201);
  await received(mail, 3);
  assert.match(mail.mails[2]?.raw ?? "", /Subject: Shop: Move \(Scheduled\)/);

  const oneClick = await prism.post(unsubscribe, "List-Unsubscribe=One-Click", FORM);
  assert.match(oneClick.text, /Unsubscribed/);
  assert.deepEqual(await counts(), { confirmed: 0, pending: 0 });
  await resolve(prism, "b");
  await shows(prism, "operational");
  assert.equal(mail.mails.length, 3);
});

test("an address is sealed, is asked once, is listed for operators, and is removed after seven days", async (t) => {
  const { mail, clock, prism } = await start(t);
  for (const bad of ["", "no address", "a@b", "x@example.org\r\nBcc: y@example.org"])
    assert.equal((await ask(prism, bad)).status, 400, bad);
  assert.equal((await ask(prism, "bob@example.org")).status, 200);
  assert.equal((await ask(prism, "BOB@example.org")).status, 200);
  await received(mail, 1);
  const [row] = rowsOf<{ address: Uint8Array; hash: string }>(prism, "select address, hash from status_subscribers");
  assert.ok(
    !Buffer.from(row?.address ?? [])
      .toString("latin1")
      .includes("bob"),
  );
  const { body } = await prism.get<{ data: { id: string; address: string; confirmedAt: null }[] }>(
    `${PATH}/subscribers`,
  );
  assert.deepEqual(rowsWith(body.data, "address", "confirmedAt"), [["bob@example.org", null]]);
  const confirm = linkIn(mail, "confirm");
  clock.advance(7 * DAY_MS + 1000);
  assert.match((await prism.post(confirm, "", FORM)).text, /does not work/);
  const rows = () => rowsOf(prism, "select id from status_subscribers").length;
  for (const { name, sweep } of statusSweeps(() => 90))
    if (name === "status_subscribers") await sweep(prism.parts.base.database, clock.now(), () => false);
  assert.equal(rows(), 0);
});

test("without a mail server, without the setting, or without the page there is no subscription", async (t) => {
  const { prism } = await start(t);
  await putPage(prism, WEBSITE);
  assert.equal((await ask(prism, "ann@example.org")).status, 404);
  assert.ok(!(await visit(prism, "")).text.includes("<form"));
  const bare = await startPrism(t);
  await putPage(bare, { ...WEBSITE, subscriptions: true });
  assert.equal((await ask(bare, "ann@example.org")).status, 404);
  assert.ok(!(await visit(bare, "")).text.includes("<form"));
});

test("S5: a confirmation has the title as plain words, and no link but its own", async (t) => {
  const { mail, prism } = await start(t);
  const title = "Security alert: log in at https://phish.example/login <b>now</b> or call evil.example";
  const { version } = (await prism.get<View>(PATH)).body;
  await prism.request(
    "PUT",
    PATH,
    { ...WEBSITE, subscriptions: true, title },
    { headers: { "If-Match": `"${version}"` } },
  );
  assert.equal((await ask(prism, "victim@corp.example")).status, 200);
  await received(mail, 1);
  const raw = (mail.mails[0]?.raw ?? "").replaceAll(/=\r?\n/g, "").replaceAll("=3D", "=");
  assert.match(raw, /updates of Security alert log in at https phish example login b now b or call evil example/);
  assert.doesNotMatch(raw, /phish\.example|evil\.example|<b>now/);
  for (const [, host] of raw.matchAll(/https?:\/\/([^/\s"<]+)/g)) assert.equal(host, "status.example");
});

test("pages take subscriptions only where the operator allows them; those with confirmed subscribers keep them", async (t) => {
  const { mail, prism } = await start(t, false);
  const lack = async () => (await prism.get<{ subscriptionsLack: string[] }>(PATH)).body.subscriptionsLack;
  const canSubscribe = async () => (await prism.get<{ canSubscribe: boolean }>(PATH)).body.canSubscribe;
  assert.deepEqual([(await ask(prism, "ann@example.org")).status, await canSubscribe()], [404, false]);
  assert.deepEqual(await lack(), ["statusPages.subscriptions"]);
  assert.doesNotMatch((await visit(prism, "")).text, /subscribe"/);
  await prism.put("/api/v1/settings", { values: { "statusPages.subscriptions": true } });
  assert.deepEqual([(await ask(prism, "ann@example.org")).status, await canSubscribe()], [200, true]);
  assert.deepEqual(await lack(), []);
  await received(mail, 1);
  await prism.post(linkIn(mail, "confirm"), "", FORM);
  await prism.put("/api/v1/settings", { values: { "statusPages.subscriptions": false } });
  assert.equal((await ask(prism, "bob@example.org")).status, 404);
  await fire(prism, "a", { service: "web" });
  await received(mail, 2);
  assert.deepEqual(mail.mails[1]?.to, ["ann@example.org"], "who has confirmed");

  await prism.services.db.write((trx) => sql`update status_pages set keepsSubscriptions = 1`.execute(trx));
  const { version } = (await prism.get<View>(PATH)).body;
  await prism.request("PUT", PATH, { ...WEBSITE, subscriptions: true }, { headers: { "If-Match": `"${version}"` } });
  assert.equal((await ask(prism, "bob@example.org")).status, 200, "a page as the migration leaves it");
});

test("addresses of one IPv6 network are counted together: they cannot mail many strangers", async (t) => {
  const { prism } = await start(t, true, { trustedProxies: "127.0.0.1", "rateLimit.enabled": "true" });
  const statuses: number[] = [];
  for (let n = 1; n <= 22; n++) {
    const headers = { ...FORM.headers, "X-Forwarded-For": `2001:db8:1:2::${n.toString(16)}` };
    const body = `email=${encodeURIComponent(`person-${n}@example.org`)}`;
    statuses.push((await prism.post(`${PUBLIC}/subscribe`, body, { ...FORM, headers })).status);
  }
  assert.deepEqual(statuses, [...Array<number>(20).fill(200), 429, 429]);
  const headers = { ...FORM.headers, "X-Forwarded-For": "2001:db8:1:3::1" };
  assert.equal((await prism.post(`${PUBLIC}/subscribe`, "email=z%40example.org", { ...FORM, headers })).status, 200);
});
