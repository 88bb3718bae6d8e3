import assert from "node:assert/strict";
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { join } from "node:path";
import test from "node:test";
import type { MailTest as MailTestBody, Setting } from "../../../../src/client/api-types.gen.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { answered, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { mailPeer } from "../../delivery/support/mail-peer.ts";

interface SettingsBody {
  readonly data: readonly Setting[];
  readonly applied?: readonly string[];
  readonly restartRequired: readonly string[];
  readonly error?: { code: string; details: { path: string; code: string; message: string }[] };
}
const PATH = "/api/v1/settings";
const put = (prism: TestPrism, values: Record<string, unknown>) => prism.put<SettingsBody>(PATH, { values });
const one = ({ data }: SettingsBody, key: string): Setting => {
  const found = data.find((each) => each.key === key);
  assert.ok(found, key);
  return found;
};
const stored = (prism: TestPrism): unknown => JSON.parse(readFileSync(join(prism.dir, "settings.json"), "utf8"));
const refusal = ({ status, body }: { status: number; body: SettingsBody }): unknown[] => [
  status,
  body.error?.code,
  ...(body.error?.details ?? []).map(({ path, code }) => `${path} ${code}`),
];

test("a public URL set in the console is used for links and as own origin at once, and after a restart", async (t) => {
  const prism = await startPrism(t);
  const { status, body } = await put(prism, { publicUrl: "https://prism.example.org" });
  assert.deepEqual([status, body.applied, body.restartRequired], [200, ["publicUrl"], []]);
  const shown = one(body, "publicUrl");
  assert.deepEqual([shown.value, shown.origin, shown.isFree], ["https://prism.example.org", "console", true]);
  assert.deepEqual(stored(prism), { publicUrl: "https://prism.example.org" });
  assert.equal(statSync(join(prism.dir, "settings.json")).mode & 0o777, 0o600);
  const invite = async () => {
    const { body: user } = await prism.post("/api/v1/users", { username: `u${Math.random()}`.slice(0, 12) });
    return String(user["inviteUrl"]);
  };
  assert.match(await invite(), /^https:\/\/prism\.example\.org\/\w+\/invite#token=/);
  const refresh = (origin: string) =>
    prism.post("/api/v1/auth/refresh", {}, { token: null, headers: { Origin: origin, Cookie: "prism_refresh=x" } });
  assert.notEqual((await refresh("https://prism.example.org")).status, 403);
  const { body: token } = await prism.get<{ error: { code: string } }>("/dev/token", { token: null });
  assert.equal(token.error.code, "NOT_FOUND", "a server with a public name issues no development token");
  const { adminToken } = prism;
  await prism.restart();
  const { body: later } = await prism.get<SettingsBody>(PATH, { token: adminToken });
  assert.equal(one(later, "publicUrl").origin, "console");
});

test("a mail server set in the console sends the next mail without a restart, and null turns mail off again", async (t) => {
  const prism = await startPrism(t);
  const peer = await mailPeer(t);
  const smtp = { ...peer.settings, "smtp.port": Number(peer.settings["smtp.port"]) };
  const invite = (email: string) => prism.post("/api/v1/users", { username: email.split("@")[0], email });
  assert.ok((await invite("early@example.com")).body["inviteUrl"], "without mail the answer has the link");
  const { text, body } = await answered(200, put(prism, smtp));
  assert.doesNotMatch(text, /"secret"\s*[,}]/);
  assert.equal(one(body, "smtp.pass").value, "***");
  const { body: invited } = await invite("ann@example.com");
  assert.equal(invited["inviteUrl"], undefined, "it is mailed");
  await eventually("the mail", () => peer.accepted.length === 1);
  assert.match(peer.accepted[0] ?? "", /ann@example\.com/);
  assert.equal((await put(prism, { "smtp.host": null, "smtp.pass": null })).status, 200);
  assert.ok((await invite("late@example.com")).body["inviteUrl"]);
  assert.deepEqual(Object.keys(stored(prism) as object), ["smtp"]);
});

test("what another source sets is shown with its name and cannot be changed in the console", async (t) => {
  const prism = await startPrism(t, { settings: { "alert.windowMs": "7s" } });
  const shown = one((await prism.get<SettingsBody>(PATH)).body, "alert.windowMs");
  assert.deepEqual([shown.value, shown.origin, shown.source], [7000, "flag", "--alert-window-ms"]);
  assert.equal(shown.isFree, false);
  assert.deepEqual(refusal(await put(prism, { "alert.windowMs": "9s", "smtp.host": "mail.example.org" })), [
    409,
    "SETTING_FIXED",
    "values.alert.windowMs SETTING_FIXED",
  ]);
  assert.equal(existsSync(join(prism.dir, "settings.json")), false);
});

test("values are checked whole before anything is stored", async (t) => {
  const prism = await startPrism(t);
  const values = { "smtp.port": 0, nonsense: 1, "auth.jwtSecret": "x".repeat(40), "alert.errorThreshold": 5 };
  const details = ["values.smtp.port VALUE", "values.nonsense UNKNOWN", "values.auth.jwtSecret NOT_EDITABLE"];
  assert.deepEqual(refusal(await put(prism, values)), [400, "VALIDATION_FAILED", ...details]);
  assert.deepEqual(refusal(await put(prism, { ["__proto__"]: 1, constructor: 1 })).slice(0, 2), [
    400,
    "VALIDATION_FAILED",
  ]);
  assert.equal(existsSync(join(prism.dir, "settings.json")), false);
  const check = await prism.post<{ ok: boolean; problems: { key: string }[]; changes: unknown[] }>(`${PATH}/check`, {
    values: { timezone: "Europe/Berlin", "alert.errorThreshold": 5, "smtp.pass": "hidden" },
  });
  assert.deepEqual(check.body.changes, [
    { key: "smtp.pass", value: "***", restartRequired: false },
    { key: "alert.errorThreshold", value: 5, restartRequired: false },
    { key: "timezone", value: "Europe/Berlin", restartRequired: true },
  ]);
  assert.equal(existsSync(join(prism.dir, "settings.json")), false);
});

test("a setting that needs a restart says so until the restart, and changes at once add up", async (t) => {
  const prism = await startPrism(t);
  const changes = [{ timezone: "Europe/Berlin" }, { "alert.errorThreshold": 5 }, { "retention.notificationDays": 7 }];
  const replies = await Promise.all(changes.map((values) => put(prism, values)));
  assert.deepEqual(valuesOf(replies, "status"), [200, 200, 200]);
  const { body } = await prism.get<SettingsBody>(PATH);
  assert.deepEqual(body.restartRequired, ["timezone"]);
  assert.equal(prism.parts.base.settings.alert.errorThreshold, 5);
  assert.equal(prism.parts.base.settings.current.timezone, "UTC");
  await prism.restart();
  const { body: later } = await prism.get<SettingsBody>(PATH);
  assert.deepEqual([later.restartRequired, one(later, "timezone").value], [[], "Europe/Berlin"]);
  assert.equal(prism.parts.base.settings.retention.notificationDays, 7);
  const { body: audit } = await prism.get<{ data: { metadata: unknown }[] }>("/api/v1/audit?action=config.change");
  assert.deepEqual(
    audit.data.map(({ metadata }) => metadata),
    [...changes].reverse().map((values) => ({ settings: Object.keys(values) })),
  );
});

test("a password that the caller does not give is sent to no other server", async (t) => {
  const prism = await startPrism(t);
  assert.equal((await put(prism, { "smtp.host": "mail.example.org", "smtp.pass": "hidden" })).status, 200);
  assert.deepEqual(refusal(await put(prism, { "smtp.host": "evil.example.org" })), [
    400,
    "VALIDATION_FAILED",
    "values.smtp.pass REQUIRED",
  ]);
  const values = { "smtp.host": "evil.example.org" };
  const tested = await prism.post<SettingsBody>(`${PATH}/mail-test`, { to: "a@example.com", values });
  assert.deepEqual(refusal(tested), [400, "VALIDATION_FAILED", "values.smtp.pass REQUIRED"]);
  const held = await startPrism(t, { settings: { "smtp.pass": "hidden" } });
  assert.deepEqual(refusal(await put(held, values)), [409, "SETTING_FIXED", "values.smtp.host SETTING_FIXED"]);
});

test("a test mail reports what the mail server says, never the password", async (t) => {
  const prism = await startPrism(t);
  const peer = await mailPeer(t);
  const values = { ...peer.settings, "smtp.port": Number(peer.settings["smtp.port"]), "smtp.pass": "hid den" };
  const send = (input: object) => prism.post<MailTestBody>(`${PATH}/mail-test`, { to: "ann@example.com", ...input });
  const none = await send({});
  assert.deepEqual([none.status, none.body.ok, none.body.result], [200, false, "not_configured"]);
  const sent = await send({ values });
  assert.deepEqual([sent.body.ok, sent.body.result], [true, "accepted"], sent.text);
  assert.match(sent.body.transcript[0] ?? "", /^S: 220 /);
  assert.ok(sent.body.transcript.some((line) => line.startsWith("C: RCPT TO:<ann@example.com>")));
  const encoded = ["hid den", "\u0000prism\u0000hid den"].map((text) => Buffer.from(text).toString("base64"));
  for (const secret of ["hid den", ...encoded]) assert.ok(!sent.text.includes(secret), secret);
  for (const [answer, result] of [
    ["deny", "login"],
    ["gone", "recipient"],
    ["refuse", "refused"],
  ] as const) {
    peer.answer(answer);
    const { body } = await send({ values });
    assert.deepEqual([body.ok, body.result], [false, result], body.message);
  }
  const nowhere = await send({ values: { ...values, "smtp.host": "no-such-host.invalid" } });
  assert.ok(["unknown_host", "unreachable"].includes(nowhere.body.result), nowhere.text);
  const closed = await send({ values: { ...values, "smtp.port": 1 } });
  assert.equal(closed.body.result, "unreachable", closed.text);
  assert.equal(existsSync(join(prism.dir, "settings.json")), false, "nothing is stored");
  const { body: audit } = await prism.get<{ data: unknown[] }>("/api/v1/audit?action=config.mail_test");
  assert.ok(audit.data.length > 0);
});

test("a damaged settings.json stops the start with its path; a key that only the server may have is named", async (t) => {
  const prism = await startPrism(t);
  await prism.stop();
  const file = join(prism.dir, "settings.json");
  const { loaded } = prism.parts.base.configuration;
  writeFileSync(file, "{");
  assert.throws(() => loaded.reload(), /settings\.json cannot be read/);
  writeFileSync(file, JSON.stringify({ auth: { jwtSecret: "x".repeat(40) }, smtp: { port: 0 } }));
  assert.throws(
    () => loaded.reload(),
    /auth\.jwtSecret cannot be set in .*settings\.json[\s\S]*smtp\.port in settings/,
  );
  rmSync(file);
  assert.equal(loaded.reload().config.smtp.port, 587);
});

test("a sender is one address on one line, and a public URL has neither password nor query", async (t) => {
  const prism = await startPrism(t);
  const senders = [
    "a@b.c\r\nBcc: x@y.z",
    "<p@b.c>\nBcc: x@y.z",
    "a@b.c, x@y.z",
    "Group: a@b.c;",
    "nobody",
    "A, B <a@b.c>",
  ];
  for (const from of senders)
    assert.deepEqual(
      refusal(await put(prism, { "smtp.from": from })),
      [400, "VALIDATION_FAILED", "values.smtp.from VALUE"],
      from,
    );
  for (const url of ["https://u:secret@example.org", "https://example.org/?next=", "https://example.org/#"])
    assert.deepEqual(refusal(await put(prism, { publicUrl: url })).slice(2), ["values.publicUrl VALUE"], url);
  for (const from of ["Prism <p@b.c>", '"A, B" <p@b.c>', "p@localhost"])
    assert.equal((await put(prism, { "smtp.from": from })).status, 200, from);
  const { status } = await prism.post(`${PATH}/mail-test`, { to: "a@b.c\r\nRCPT TO:<x@y.z>" });
  assert.equal(status, 400, "a recipient is one address, too");
});

test("only a few test mails run at the same time", async (t) => {
  const prism = await startPrism(t);
  const sockets = new Set<Socket>();
  const silent = createServer((socket) => sockets.add(socket.on("error", () => undefined)));
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  t.after(() => silent.close());
  const values = { "smtp.host": "127.0.0.1", "smtp.port": (silent.address() as AddressInfo).port };
  const mailTest = () => prism.post<SettingsBody>(`${PATH}/mail-test`, { to: "a@b.c", values });
  const running = Array.from({ length: 4 }, mailTest);
  await eventually("all of them wait for the server", () => sockets.size === 4);
  const { status, body } = await mailTest();
  assert.deepEqual([status, body.error?.code], [503, "OVERLOADED"]);
  for (const socket of sockets) socket.destroy();
  assert.deepEqual(new Set((await Promise.all(running)).map((each) => each.status)), new Set([200]));
});
