import assert from "node:assert/strict";
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import type { ConfigurationDirectory } from "../../../../src/client/api-types.gen.ts";
import { ConfigRefused } from "../../../../src/config/option.ts";
import { leadWith } from "../../../cluster/support/lead.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { LogLines } from "../../../helpers/log-lines.ts";
import { answered, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import type { Scope } from "../../../helpers/scope.ts";
import { temporaryDir } from "../../../helpers/store.ts";

/** Files of the project `duty` with heartbeats, each with its timeout. */
function duty(beats: Readonly<Record<string, string>>): string {
  const lines = Object.entries(beats).map(([name, timeout]) => `      - { name: ${name}, timeout: ${timeout} }\n`);
  return `version: 1
projects:
  - slug: duty
    name: Duty
    heartbeats:
${lines.join("")}`;
}

const SOON = { "configuration.watch": "1s" };

function directoryOf(t: Scope, beats: Readonly<Record<string, string>>) {
  const dir = temporaryDir(t);
  const write = (text: string): void => writeFileSync(join(dir, "duty.yaml"), text);
  write(duty(beats));
  return { dir, settings: { ...SOON, "configuration.dir": dir }, write, set: (to: typeof beats) => write(duty(to)) };
}

interface Sources {
  readonly data: readonly { readonly source: string; readonly objects: number; readonly isLocked: boolean }[];
  readonly directory: ConfigurationDirectory | null;
}
const sources = async (prism: TestPrism, token?: string) =>
  (await prism.get<Sources>("/api/v1/configuration/sources", token === undefined ? {} : { token })).body;

const listed = (prism: TestPrism) =>
  prism.parts.core.db.read.selectFrom("heartbeats").select(["id", "name", "timeoutMs"]).execute();
/** `Nightly 24`: the name, and the hours of its timeout. */
const beats = async (prism: TestPrism) =>
  (await listed(prism)).map(({ name, timeoutMs }) => `${name} ${Number(timeoutMs) / 3_600_000}`).sort();
const becomes = (prism: TestPrism, wanted: readonly string[]) =>
  eventually(
    () => `the heartbeats are ${wanted.join(", ")}`,
    async () => (await beats(prism)).join() === wanted.join(),
  );

interface Notices {
  readonly data: readonly { readonly title: string; readonly message: string }[];
}
const notices = async (prism: TestPrism) =>
  (await prism.get<Notices>("/api/v1/notifications")).body.data.filter(({ title }) =>
    /configuration files/.test(title),
  );

const problemOf = async (prism: TestPrism) => (await sources(prism)).directory?.problem ?? null;
const failsWith = (prism: TestPrism, message: RegExp) =>
  eventually(
    () => `the problem is ${message}`,
    async () => message.test((await problemOf(prism))?.message ?? ""),
  );
/** What SIGHUP does. */
const reload = (prism: TestPrism) => prism.app.reloadSources();

async function metric(prism: TestPrism): Promise<string | undefined> {
  const { text } = await prism.get("/metrics");
  return /^prism_configuration_ok (\d)/m.exec(text)?.[1];
}

async function unlock(prism: TestPrism, name: string): Promise<void> {
  const body = { kind: "heartbeats", project: "duty", name, forMs: 3_600_000, reason: "tonight" };
  await answered(204, prism.post("/api/v1/configuration/unlock", body));
}

test("a start applies the directory, locks what it has, and says so to those who see all projects", async (t) => {
  const { settings, dir } = directoryOf(t, { Nightly: "1d" });
  const prism = await startPrism(t, { settings });
  assert.deepEqual(await beats(prism), ["Nightly 24"]);
  const { data, directory } = await sources(prism);
  assert.deepEqual(
    data.map(({ source, objects, isLocked }) => ({ source, objects, isLocked })),
    [{ source: "dir", objects: 2, isLocked: true }],
  );
  assert.equal(directory?.path, dir);
  assert.deepEqual([directory?.isOk, directory?.problem, await metric(prism)], [true, null, "1"]);
  const [beat] = await listed(prism);
  const refused = await prism.patch(`/api/v1/heartbeats/${beat?.id}`, { timeoutMs: 60_000 });
  assert.deepEqual([refused.status, Object(refused.body)["error"]?.code], [409, "MANAGED_BY_CODE"]);
  const rows = await prism.get<{ data: { actor: { type: string } }[] }>("/api/v1/audit?action=configuration.apply");
  assert.deepEqual(
    rows.body.data.map(({ actor }) => actor.type),
    ["operator"],
  );
  await answered(
    201,
    prism.post("/api/v1/users", { username: "eve", email: "eve@example.com", password: "a long one 7" }),
  );
  await prism.restart();
  const again = await prism.get<{ data: unknown[] }>("/api/v1/audit?action=configuration.apply");
  assert.equal(again.body.data.length, 1, "the same files write nothing");
});

test("without a directory nothing of it is loaded, and there is no figure of it", async (t) => {
  const prism = await startPrism(t);
  assert.equal(prism.parts.offers.configurationDirectory, null);
  assert.deepEqual(await sources(prism), { data: [], directory: null });
  assert.equal(await metric(prism), undefined);
});

test("a ConfigMap whose link changes is applied once it is looked at, and its files are read once", async (t) => {
  const dir = temporaryDir(t);
  const version = (name: string, timeout: string): void => {
    mkdirSync(join(dir, name));
    writeFileSync(join(dir, name, "duty.yaml"), duty({ Nightly: timeout }));
    symlinkSync(name, join(dir, "..data_tmp"));
    renameSync(join(dir, "..data_tmp"), join(dir, "..data"));
  };
  version("..2026_11_28_1", "1d");
  symlinkSync("..data/duty.yaml", join(dir, "duty.yaml"));
  const prism = await startPrism(t, { settings: { ...SOON, "configuration.dir": dir } });
  assert.deepEqual(await beats(prism), ["Nightly 24"]);
  const { directory } = await sources(prism);
  version("..2026_11_28_2", "2d");
  rmSync(join(dir, "..2026_11_28_1"), { recursive: true });
  await becomes(prism, ["Nightly 48"]);
  assert.notEqual((await sources(prism)).directory?.digest, directory?.digest);
});

test("a broken file keeps what is stored, and is a finding and one notice until it is mended", async (t) => {
  const { settings, set, write } = directoryOf(t, { Nightly: "1d" });
  const prism = await startPrism(t, { settings });
  write(
    "version: 1\nprojects:\n  - slug: duty\n    name: Duty\n    heartbeats:\n      - { name: Nightly, timeout: soon }\n",
  );
  await failsWith(prism, /^duty\.yaml:6:\d+: heartbeats "Nightly", timeout: /);
  await eventually("a notice", async () => (await notices(prism)).length === 1);
  const [notice] = await notices(prism);
  assert.equal(notice?.title, "The configuration files are not applied");
  assert.match(notice?.message ?? "", /duty\.yaml:6:\d+/);
  assert.deepEqual([await metric(prism), await beats(prism)], ["0", ["Nightly 24"]]);
  const findings = prism.parts.offers.findings.known().filter(({ code }) => code === "configuration.dir");
  assert.deepEqual(
    findings.map(({ severity, text }) => `${severity}: ${text}`),
    ["critical: The files of configuration.dir are not applied"],
  );
  const { body: status } = await prism.get<{ configuration: string[] }>("/api/v1/status");
  assert.deepEqual(status.configuration, ["The files of configuration.dir are not applied"]);
  await prism.restart();
  reload(prism);
  assert.equal((await sources(prism)).directory?.isOk, false);
  write("version: 1\nprojects: [");
  await failsWith(prism, /^duty\.yaml:2:\d+: /);
  await eventually("a notice of the other problem", async () => (await notices(prism)).length === 2);
  set({ Nightly: "2d" });
  await becomes(prism, ["Nightly 48"]);
  await eventually("a notice that it is mended", async () => (await notices(prism)).length === 3);
  assert.equal((await notices(prism)).filter(({ title }) => title.endsWith("applied again")).length, 1);
  assert.deepEqual([await problemOf(prism), await metric(prism)], [null, "1"]);
});

test("a directory that is empty or gone deletes nothing; what the files lose is pruned within the limit", async (t) => {
  const all = Object.fromEntries(Array.from({ length: 14 }, (_, index) => [`Job${index}`, "1d"]));
  const { settings, set, dir } = directoryOf(t, all);
  const log = new LogLines();
  const prism = await startPrism(t, { log, settings: { ...settings, "configuration.prune": "true" } });
  assert.equal((await beats(prism)).length, 14);
  rmSync(join(dir, "duty.yaml"));
  await failsWith(prism, /has no configuration file/);
  writeFileSync(join(dir, "duty.yaml"), "version: 1\n");
  await failsWith(prism, /name no objects/);
  renameSync(dir, `${dir}.gone`);
  await failsWith(prism, /cannot be read \(ENOENT\)/);
  assert.equal((await beats(prism)).length, 14);
  renameSync(`${dir}.gone`, dir);
  set({ Job0: "1d" });
  await failsWith(prism, /13 objects would be deleted/);
  assert.equal((await beats(prism)).length, 14);
  set(Object.fromEntries(Object.entries(all).slice(2)));
  await eventually("two are deleted", async () => (await beats(prism)).length === 12);
});

test("configuration.allowDeletes raises the limit of one apply", async (t) => {
  const all = Object.fromEntries(Array.from({ length: 14 }, (_, index) => [`Job${index}`, "1d"]));
  const { settings, set } = directoryOf(t, all);
  const more = { "configuration.prune": "true", "configuration.allowDeletes": "13" };
  const prism = await startPrism(t, { settings: { ...settings, ...more } });
  set({ Job0: "1d" });
  await becomes(prism, ["Job0 24"]);
});

test("an unlocked object stays as it is until the unlock ends, over a restart and a change of the files", async (t) => {
  const clock = new FakeClock();
  const { settings, set } = directoryOf(t, { Nightly: "1d", Hourly: "1h", Weekly: "7d" });
  const more = { "configuration.prune": "true", "configuration.allowDeletes": "1" };
  const prism = await startPrism(t, { clock, settings: { ...settings, ...more } });
  for (const name of ["Nightly", "Hourly", "Weekly"]) await unlock(prism, name);
  const ids = new Map((await listed(prism)).map(({ name, id }) => [name, id]));
  await answered(200, prism.patch(`/api/v1/heartbeats/${ids.get("Nightly")}`, { timeoutMs: 36_000_000 }));
  await answered(204, prism.delete(`/api/v1/heartbeats/${ids.get("Hourly")}`));
  await prism.restart();
  assert.deepEqual(await beats(prism), ["Nightly 10", "Weekly 168"]);
  // Weekly is unlocked, and so not deleted either.
  set({ Nightly: "1d", Hourly: "1h", Other: "2h" });
  await becomes(prism, ["Nightly 10", "Other 2", "Weekly 168"]);
  clock.advance(3_600_001);
  await becomes(prism, ["Hourly 1", "Nightly 24", "Other 2"]);
});

test("a changed configuration.lock locks and unlocks what is applied", async (t) => {
  const { settings } = directoryOf(t, { Nightly: "1d" });
  const dir = temporaryDir(t);
  const locked = await startPrism(t, { dir, settings });
  assert.equal((await sources(locked)).data[0]?.isLocked, true);
  await locked.stop();
  const open = await startPrism(t, { dir, settings: { ...settings, "configuration.lock": "false" } });
  assert.equal((await sources(open)).data[0]?.isLocked, false);
  const [beat] = await listed(open);
  await answered(200, open.patch(`/api/v1/heartbeats/${beat?.id}`, { timeoutMs: 36_000_000 }));
  reload(open);
  await becomes(open, ["Nightly 24"]);
});

const ROOM = `version: 1
projects:
  - slug: duty
    name: Duty
    channels:
      - name: Room
        preset: ntfy
        fields: { url: "https://ntfy.nowhere.invalid/", topic: { file: topic.secret }, token: { file: room.secret } }
`;

test("secrets are files beside the directory; a changed one is applied; a host without an address is a warning at the start", async (t) => {
  const { settings, write } = directoryOf(t, {});
  const secrets = temporaryDir(t);
  writeFileSync(join(secrets, "room.secret"), "tk_first");
  writeFileSync(join(secrets, "topic.secret"), "duty");
  write(ROOM);
  const log = new LogLines();
  const prism = await startPrism(t, { log, settings: { ...settings, "configuration.secretsDir": secrets } });
  assert.equal(await problemOf(prism), null);
  assert.deepEqual(
    log.lines.filter(({ message }) => /does not resolve/.test(message)).map(({ fields }) => fields["host"]),
    ["ntfy.nowhere.invalid"],
  );
  const version = async () =>
    (await prism.get<{ data: { version: number }[] }>("/api/v1/channels?projectId=duty")).body.data[0]?.version ?? 0;
  const before = await version();
  assert.ok(before > 0);
  writeFileSync(join(secrets, "room.secret"), "tk_second");
  // While it runs, a name without an address is a problem.
  await failsWith(prism, /could not be resolved/);
  await prism.restart();
  assert.equal(await problemOf(prism), null);
  assert.ok((await version()) > before);
  assert.ok(!JSON.stringify(log.lines).includes("tk_"));
  write(ROOM.replace("room.secret", "/etc/hostname"));
  await failsWith(prism, /duty\.yaml:8:\d+: \/etc\/hostname is outside of/);
});

test("what would get a new URL is refused, unless its token is given by reference", async (t) => {
  const { settings, write, dir } = directoryOf(t, {});
  const receiver = (more: string) =>
    `version: 1\nprojects:\n  - slug: duty\n    name: Duty\n    receivers:\n      - { name: Grafana, preset: grafana${more} }\n`;
  write(receiver(""));
  const prism = await startPrism(t, { settings });
  assert.equal((await problemOf(prism))?.code, "WOULD_ISSUE");
  assert.equal((await prism.get("/api/v1/projects/duty")).status, 404);
  writeFileSync(join(dir, "grafana.token"), "rcv_0123456789abcdefghijklmnopqr");
  write(receiver(", token: { file: grafana.token }"));
  await eventually("it is there", async () => (await prism.get("/api/v1/projects/duty")).status === 200);
});

test("configuration.onError: refuse does not start with broken files, but a node of a cluster does", async (t) => {
  const { settings, write, set } = directoryOf(t, {});
  write("version: 2\n");
  const refusing = { ...settings, "configuration.onError": "refuse" };
  await assert.rejects(
    startPrism(t, { settings: refusing }),
    (error) => error instanceof ConfigRefused && /duty\.yaml:1:1/.test(error.message),
  );
  const { lead } = leadWith([]);
  const leader = await startPrism(t, { settings: refusing, cluster: lead });
  assert.match((await problemOf(leader))?.message ?? "", /duty\.yaml:1:1/);
  set({ Nightly: "1d" });
  await becomes(leader, ["Nightly 24"]);
});

test("a node that takes over with older files leaves what is applied, until its files change", async (t) => {
  const { settings, set } = directoryOf(t, { Nightly: "1d" });
  const dir = temporaryDir(t);
  const lead = () => leadWith([]).lead;
  const first = await startPrism(t, { dir, settings, cluster: lead() });
  set({ Nightly: "2d" });
  await becomes(first, ["Nightly 48"]);
  await first.stop();
  set({ Nightly: "1d" });
  const second = await startPrism(t, { dir, settings, cluster: lead() });
  assert.deepEqual([await beats(second), (await problemOf(second))?.code], [["Nightly 48"], "OLDER_FILES"]);
  reload(second);
  await eventually("it is told", async () => (await notices(second)).length === 1);
  assert.deepEqual(await beats(second), ["Nightly 48"]);
  set({ Nightly: "3d" });
  await becomes(second, ["Nightly 72"]);
  // What changes while it leads is meant so, also back to what was there before.
  set({ Nightly: "1d" });
  await becomes(second, ["Nightly 24"]);
  await second.stop();
  set({ Nightly: "2d" });
  const single = await startPrism(t, { dir, settings });
  assert.deepEqual(await beats(single), ["Nightly 48"], "a single server has the files that it is given");
});
