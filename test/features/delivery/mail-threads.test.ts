import assert from "node:assert/strict";
import { createHash, createPublicKey, generateKeyPairSync, verify } from "node:crypto";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { MailClient, type SmtpOptions } from "../../../src/features/channels/mail/client.ts";
import { testMail } from "../../../src/features/channels/mail/mail-test.ts";
import { mailOf } from "../../../src/features/channels/mail/message.ts";
import { ProviderDown } from "../../../src/features/delivery/channel.ts";
import { openPage, startBrowser } from "../../helpers/browser.ts";
import { eventually } from "../../helpers/eventually.ts";
import { temporaryDir } from "../../helpers/store.ts";
import { IncidentWorld, MINUTE } from "../alerts/incidents/support.ts";
import { mailPeer } from "./support/mail-peer.ts";

const INCIDENT = "01900000-0000-7000-8000-000000000001";

function noticeOf(title: string, reason: string) {
  const data = { incidentId: INCIDENT, number: 12, title: "disk_full", reason, urgency: "high" };
  return {
    ...({ id: `n-${reason}`, kind: "incident", priority: 800, data: JSON.stringify(data) } as const),
    ...{ title, message: `${title} since 2026-07-01T10:00:00.000Z.` },
    action: JSON.stringify({ label: "Open the incident", url: `https://p.example/dashboard/incidents/${INCIDENT}` }),
  };
}

/** Header fields by lower-case name, unfolded as RFC 6376 section 3.4.2 relaxes them. */
function headersOf(raw: string): Map<string, string> {
  const head = raw.slice(0, raw.indexOf("\r\n\r\n")).replaceAll(/\r\n[ \t]/g, " ");
  return new Map(
    head.split("\r\n").map((line) => {
      const colon = line.indexOf(":");
      return [
        line.slice(0, colon).trim().toLowerCase(),
        line
          .slice(colon + 1)
          .replaceAll(/[ \t]+/g, " ")
          .trim(),
      ];
    }),
  );
}

function optionsOf(settings: Readonly<Record<string, string>>, dkim?: SmtpOptions["dkim"]): SmtpOptions {
  const { "smtp.port": port, "smtp.user": user, "smtp.pass": pass } = settings;
  const server = { host: "127.0.0.1", port: Number(port), secure: false, allowPlain: true };
  return { ...server, user, pass, from: "Prism <prism@example.com>", dkim };
}

test("mails of an incident refer to one thread; the subject is the title, and an end is not important", async (t) => {
  const peer = await mailPeer(t);
  const options = optionsOf(peer.settings);
  const client = new MailClient(() => options);
  t.after(() => client.close());
  const reader = { timezone: "Asia/Kolkata", publicUrl: "https://p.example" };
  for (const [title, reason] of [
    ["Critical: disk_full (h1)", "step"],
    ["Critical: disk_full, 2 alerts", "new-alerts"],
    ["Resolved: disk_full", "resolved"],
  ] as const)
    await client.send({ to: "ann@example.com", ...mailOf(noticeOf(title, reason), `d-${reason}`, reader) });
  const heads = peer.accepted.map(headersOf);
  const shown = heads.map((head) => head.get("message-id"));
  assert.deepEqual(shown, ["<d-step@example.com>", "<d-new-alerts@example.com>", "<d-resolved@example.com>"]);
  assert.deepEqual(
    heads.map((head) => head.get("subject")),
    ["Critical: disk_full (h1)", "Critical: disk_full, 2 alerts", "Resolved: disk_full"],
  );
  for (const head of heads) {
    assert.equal(head.get("references"), `<incident.${INCIDENT}@example.com>`);
    assert.equal(head.get("in-reply-to"), head.get("references"));
    assert.equal(head.get("auto-submitted"), "auto-generated");
    const isEnd = head.get("subject") === "Resolved: disk_full";
    assert.equal(head.get("importance"), isEnd ? undefined : "high");
    assert.equal(head.get("x-priority"), isEnd ? undefined : "1");
  }
});

test("an alert that fires and ends sends two mails of one thread, with links into the console", async (t) => {
  const peer = await mailPeer(t);
  const world = await IncidentWorld.start(t, peer.settings);
  const { prism } = world;
  const put = await prism.put("/api/v1/settings", { values: { publicUrl: "https://p.example/base" } });
  assert.equal(put.status, 200, put.text);
  const ann = await world.member("ann");
  await world.db.write((trx) =>
    trx.updateTable("users").set({ email: "ann@example.com" }).where("id", "=", ann.id).execute(),
  );
  await world.fire("disk_full");
  await eventually("the first mail", () => peer.accepted.length === 1);
  await world.resolveAlert("disk_full");
  await world.pass(10 * MINUTE);
  await eventually("the second mail", () => peer.accepted.length === 2);
  const { id } = await world.only();
  for (const [at, raw] of peer.accepted.entries()) {
    const head = headersOf(raw);
    assert.equal(head.get("subject"), at === 0 ? "Firing: disk_full" : "Resolved: disk_full");
    assert.equal(head.get("references"), `<incident.${id}@example.com>`);
    const text = raw.replaceAll("=\r\n", "").replaceAll("=3D", "=");
    assert.match(text, new RegExp(`Open the incident: https://p\\.example/base/dashboard/incidents/${id}\r`));
    assert.equal(head.get("list-unsubscribe"), undefined, "a click in a mail program must not end pages");
  }
});

test("plain text and HTML of an incident's mail have the same content, and times with the reader's zone", () => {
  const reader = { timezone: "Asia/Kolkata", publicUrl: "https://p.example" };
  const { text = "", html = "" } = mailOf(noticeOf("Resolved: disk_full", "resolved"), "d", reader);
  const words = (given: string) => given.replaceAll(/\s+/g, " ").trim();
  const shown = html
    .replace(/<style>.*<\/style>|<title>.*<\/title>/g, "")
    .replaceAll(/<a href="([^"]*)"[^>]*>([^<]*)<\/a>/g, "$2: $1")
    .replaceAll(/<[^>]*>/g, " ");
  // The subject has the title; the HTML repeats it as its heading.
  assert.equal(words(shown), `Resolved: disk_full ${words(text)}`);
  assert.match(text, /^Resolved: disk_full since 2026-07-01 15:30:00 Asia\/Kolkata\.\n/);
  assert.match(text, new RegExp(`Open the incident: https://p\\.example/dashboard/incidents/${INCIDENT}\n`));
  assert.doesNotMatch(html, /<img|src=|url\(/);
});

/** Verifies a signature as RFC 6376 sections 3.4 and 6 say, with relaxed/relaxed and rsa-sha256. */
function verifyDkim(raw: string, publicKey: string): { readonly tags: Map<string, string>; readonly isValid: boolean } {
  const headers = headersOf(raw);
  const field = headers.get("dkim-signature") ?? "";
  const tags = new Map(
    field.split(";").map((tag) => {
      const [name = "", ...value] = tag.split("=");
      return [name.trim(), value.join("=").replaceAll(/\s+/g, "")];
    }),
  );
  const body = raw
    .slice(raw.indexOf("\r\n\r\n") + 4)
    .split("\r\n")
    .map((line) => line.replaceAll(/[ \t]+/g, " ").replace(/ $/, ""))
    .join("\r\n")
    .replace(/(\r\n)*$/, "\r\n");
  const bodyHash = createHash("sha256").update(body).digest("base64");
  const signed = (tags.get("h") ?? "").toLowerCase().split(":");
  const data = [
    ...signed.filter((name) => headers.has(name)).map((name) => `${name}:${headers.get(name)}\r\n`),
    `dkim-signature:${field.replace(/\bb=[^;]*$/, "b=")}`,
  ].join("");
  const key = createPublicKey({ key: Buffer.from(publicKey, "base64"), format: "der", type: "spki" });
  const isSigned = verify("sha256", Buffer.from(data), key, Buffer.from(tags.get("b") ?? "", "base64"));
  return { tags, isValid: isSigned && tags.get("bh") === bodyHash };
}

test("DKIM: a signature holds for the headers of one-click unsubscription and the text, and for no changed ones", async (t) => {
  const peer = await mailPeer(t);
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const keyFile = join(temporaryDir(t), "dkim.pem");
  writeFileSync(keyFile, privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
  const spki = publicKey.export({ type: "spki", format: "der" }).toString("base64");
  const options = optionsOf(peer.settings, { domain: "example.com", selector: "prism", keyFile });
  const client = new MailClient(() => options);
  t.after(() => client.close());
  const headers = {
    "List-Unsubscribe": "<https://p.example/account/unsubscribe?token=abc>",
    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
  };
  const text = "Ünter  two spaces \n\n\nمرحبا\n.\n..dots\n\n\n";
  await client.send({ to: "ann@example.com", subject: "Grüße 🎉", text, html: `<p>${text}</p>`, id: "1", headers });
  const [raw = ""] = peer.accepted;
  const { tags, isValid } = verifyDkim(raw, spki);
  assert.ok(isValid, raw);
  assert.deepEqual(
    [tags.get("a"), tags.get("c"), tags.get("d"), tags.get("s")],
    ["rsa-sha256", "relaxed/relaxed", "example.com", "prism"],
  );
  const covered = (tags.get("h") ?? "").toLowerCase().split(":");
  for (const name of ["from", "to", "subject", "date", "message-id", "list-unsubscribe", "list-unsubscribe-post"])
    assert.ok(covered.includes(name), name);
  for (const changed of [
    raw.replace("List-Unsubscribe-Post: List", "List-Unsubscribe-Post: list"),
    raw.replace("token=abc", "token=abd"),
    raw.replace("..dots", "..dotz"),
    raw.replace(/^From: Prism/m, "From: Prasm"),
  ]) {
    assert.notEqual(changed, raw);
    assert.equal(verifyDkim(changed, spki).isValid, false);
  }
});

test("DKIM: a key that cannot be used pauses the channel and is named by the test mail; nothing leaves unsigned", async (t) => {
  const peer = await mailPeer(t);
  const keyFile = join(temporaryDir(t), "dkim.pem");
  const options = optionsOf(peer.settings, { domain: "example.com", selector: "prism", keyFile });
  const client = new MailClient(() => options);
  t.after(() => client.close());
  const mail = { to: "ann@example.com", subject: "s", text: "t" };
  const { privateKey } = generateKeyPairSync("ed25519");
  for (const [write, problem] of [
    [() => undefined, /ENOENT/],
    [() => writeFileSync(keyFile, "not a key"), /smtp\.dkim\.keyFile cannot be used/],
    [() => writeFileSync(keyFile, privateKey.export({ type: "pkcs8", format: "pem" })), /ed25519, not rsa/],
  ] as const) {
    write();
    await assert.rejects(
      client.call(mail),
      (error: Error) =>
        error instanceof ProviderDown && problem.test(error.message) && !error.message.includes(keyFile),
    );
    const tested = await testMail(options, "ann@example.com");
    assert.deepEqual([tested.ok, tested.result], [false, "dkim"]);
    assert.match(tested.message, problem);
  }
  chmodSync(keyFile, 0o600);
  assert.equal(peer.seen.length, 0);
});

const WIDTHS = [360, 800] as const;

interface Measured {
  readonly overflow: number;
  /** Whether the page is darker than its text. */
  readonly dark: boolean;
  /** Whether the text has the color of the system. */
  readonly left: boolean;
  readonly directions: readonly string[];
}

/** Runs in the page. CanvasText and Canvas are what text and page have without colors of their own. */
const MEASURE = `(() => {
  const root = document.documentElement;
  const probe = document.body.appendChild(document.createElement("i"));
  probe.style.cssText = "color: CanvasText; background-color: Canvas";
  const { color, backgroundColor } = getComputedStyle(probe);
  probe.remove();
  const luminance = (text) => Number(/\\d+/.exec(text)[0]);
  return {
    overflow: root.scrollWidth - root.clientWidth,
    dark: luminance(backgroundColor) < luminance(color),
    left: getComputedStyle(document.body).color === color,
    directions: [...document.querySelectorAll("h1, p")].slice(0, 4).map((each) => getComputedStyle(each).direction),
  };
})()`;

test("in a browser, light and dark, narrow and wide, a mail fits and is readable, and asks for nothing", async (t) => {
  const browser = await startBrowser(t);
  if (!browser) return;
  const reader = { timezone: "UTC", publicUrl: "https://p.example", acknowledgeUrl: "https://p.example/a?token=x" };
  const notice = noticeOf("القرص ممتلئ", "step");
  const message = `${"x".repeat(300)}\n\nتم حل المشكلة h1.\n\nSee https://p.example/${"y".repeat(200)}.`;
  const { html = "" } = mailOf({ ...notice, message }, "d", reader);
  for (const colorScheme of ["light", "dark"] as const)
    for (const width of WIDTHS) {
      const page = await openPage(browser, { viewport: { width, height: 640 }, colorScheme });
      const requests: string[] = [];
      page.on("request", (request) => requests.push(request.url()));
      await page.setContent(html);
      const { overflow, dark, directions, left } = await page.evaluate<Measured>(MEASURE);
      assert.deepEqual([overflow, dark, left], [0, colorScheme === "dark", true], `${colorScheme} ${width}`);
      assert.deepEqual(directions, ["rtl", "ltr", "rtl", "ltr"]);
      assert.deepEqual(requests, []);
      await page.context().close();
    }
});
