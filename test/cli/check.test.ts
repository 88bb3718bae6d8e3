import assert from "node:assert/strict";
import { Resolver } from "node:dns/promises";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { Socket } from "node:net";
import { dirname, join } from "node:path";
import test, { type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { checkLocally } from "../../src/cli/commands/configuration/local-check.ts";
import { Output } from "../../src/cli/output/output.ts";
import { readConfigurationFiles } from "../../src/config/files/file-objects.ts";
import { temporaryDir } from "../helpers/store.ts";
import { RunningCli, runCli } from "./run-cli.ts";

const EXAMPLE = join(import.meta.dirname, "../../examples/oncall-as-code/oncall");

interface Checked {
  readonly problems: readonly Found[];
  readonly warnings: readonly Found[];
  readonly tests: readonly { readonly name: string; readonly ok: boolean; readonly failures: readonly string[] }[];
  readonly counts: { readonly objects: number; readonly tests: number; readonly failed: number };
}

interface Found {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly code: string;
  readonly message: string;
  readonly fix?: string;
}

/** A directory with files below `oncall`, and what `prism check` says of them. No server is named or there. */
function begin(t: TestContext, files: Readonly<Record<string, string>>) {
  const cwd = temporaryDir(t);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(cwd, "oncall", name)), { recursive: true });
    writeFileSync(join(cwd, "oncall", name), text);
  }
  const temporary = join(cwd, "tmp");
  mkdirSync(temporary);
  const env = { TMPDIR: temporary };
  const run = (words: string) => runCli(["check", ...words.split(" ")], { cwd, env });
  const json = async (words: string) => {
    const { stdout, status, stderr } = await run(`${words} --json`);
    assert.notEqual(stdout, "", stderr);
    return { ...(JSON.parse(stdout) as Checked), status };
  };
  return { cwd, env, temporary, run, json };
}

const project = (slug: string, ...lines: readonly string[]) =>
  [`projects:`, `  - slug: ${slug}`, `    name: ${slug}`, ...lines.map((line) => `    ${line}`), ""].join("\n");

const WEEKS = "name: W, start: 2026-11-23T09:00:00, duration: 7d, recurrence: { frequency: weekly }";

/** What only an apply finds: the member with its position, and what mends it. */
const WRONG: Readonly<
  Record<string, { readonly lines: readonly string[]; readonly at: string; readonly says: RegExp }>
> = {
  "unknown preset": {
    lines: ["channels: [{ name: Room, preset: slak, fields: { url: { env: PRISM_SECRET_A } } }]"],
    at: "4:30",
    says: /no preset slak.*; did you mean slack\?$/,
  },
  "unknown preset of a receiver": {
    lines: ["receivers: [{ name: G, preset: graphana }]"],
    at: "4:28",
    says: /did you mean grafana\?$/,
  },
  "unknown field": {
    lines: ["channels: [{ name: Room, preset: slack, fields: { adress: x, url: { env: PRISM_SECRET_A } } }]"],
    at: "4:55",
    says: /has no field adress; its fields: url/,
  },
  "field of another form": {
    lines: ["channels: [{ name: Room, preset: ntfy, fields: { url: nowhere, topic: { env: PRISM_SECRET_T } } }]"],
    at: "4:54",
    says: /must be a URL, such as https:\/\/ntfy\.sh/,
  },
  "secret in plain text": {
    lines: ["receivers: [{ name: G, preset: grafana, secret: hunter2hunter2 }]"],
    at: "4:45",
    says: /is a secret: write \{ env: PRISM_SECRET_NAME \}/,
  },
  "variable that is no secret": {
    lines: ["channels: [{ name: Room, preset: slack, fields: { url: { env: HOME } } }]"],
    at: "4:55",
    says: /write \{ env: PRISM_SECRET_NAME \}/,
  },
  "bad cron": {
    lines: ['heartbeats: [{ name: N, schedule: "61 2 * * *" }]'],
    at: "4:29",
    says: /61 is not 0 to 59; write five fields such as "30 2 \* \* 1-5"/,
  },
  "wrong time zone": {
    lines: ['heartbeats: [{ name: N, schedule: "1 2 * * *", timezone: Europe/Berlim }]'],
    at: "4:52",
    says: /is not an IANA time zone; did you mean Europe\/Berlin\?$/,
  },
  "time zone of a schedule": {
    lines: ["oncall: [{ name: D, timezone: Mars/Base }]"],
    at: "4:25",
    says: /must be a time zone of the IANA database, such as Europe\/Berlin/,
  },
  "no duration": {
    lines: ["heartbeats: [{ name: N, timeout: 5 minutes }]"],
    at: "4:29",
    says: /must be a duration such as 90s, 15m/,
  },
  "member of the API": {
    lines: ["heartbeats: [{ name: N, timeoutMs: 5000 }]"],
    at: "4:29",
    says: /timeoutMs: is timeout in files$/,
  },
  "unknown member": {
    lines: ["heartbeats: [{ name: N, timeot: 1d }]"],
    at: "4:29",
    says: /is not a member of this object; did you mean timeout\?$/,
  },
  "unknown member of a step": {
    lines: ["policies: [{ name: N, steps: [{ type: notify, urgancy: low, members: true }] }]"],
    at: "4:51",
    says: /urgancy: .*; did you mean urgency\?$/,
  },
  "unknown step": {
    lines: ["policies: [{ name: N, steps: [{ type: ring }] }]"],
    at: "4:37",
    says: /must be notify, wait, onlyIn/,
  },
  "interval that no route has": {
    lines: ["policies: [{ name: N, steps: [{ type: onlyIn, interval: office }, { type: notify, members: true }] }]"],
    at: "4:51",
    says: /no time interval .* the name office; add it to timeIntervals of the routes$/,
  },
  "interval of a route": {
    lines: ["routes: { route: { policy: default, routes: [{ muteIntervals: [weekend] }] } }"],
    at: "4:68",
    says: /no time interval has the name "weekend"; add it to timeIntervals of the routes$/,
  },
  "wrong matcher": {
    lines: ['routes: { route: { policy: default, routes: [{ matchers: ["severity info"] }] } }'],
    at: "4:63",
    says: /bad matcher format: severity info; write it as name="value"/,
  },
  "no weekday": {
    lines: [
      "routes: { route: { policy: default }, timeIntervals: [{ name: o, intervals: [{ weekdays: [funday] }] }] }",
    ],
    at: "4:82",
    says: /"funday" is not a weekday; write monday to sunday/,
  },
  "condition that ends early": {
    lines: ['rules: [{ name: Big, condition: "event.type ==", targetRoles: [Admin] }]'],
    at: "4:26",
    says: /an expression is missing before the end; see prism docs rules$/,
  },
  "mapping that ends early": {
    lines: ['receivers: [{ name: G, preset: generic, mapping: { title: "= lower(" } }]'],
    at: "4:56",
    says: /mapping\.title: an expression is missing .*; see prism docs receivers$/,
  },
  "person who is no member": {
    lines: ["members: { cy: owner }", `oncall: [{ name: D, shifts: [{ ${WEEKS}, turns: [[ada]] }] }]`],
    at: "5:131",
    says: /ada is no active user that you can reach; add the person to the members of the project$/,
  },
  "role of a member": {
    lines: ["members: { cy: boss }"],
    at: "4:16",
    says: /members, cy: must be owner, editor or viewer, not "boss"/,
  },
  "anchor on no day": {
    lines: [
      "members: { cy: owner }",
      `oncall: [{ name: D, shifts: [{ ${WEEKS}, turns: [[cy]], anchor: { on: 2026-02-31, turn: [cy] } }] }]`,
    ],
    at: "5:147",
    says: /is no day of the calendar; write a day such as 2026-12-07$/,
  },
  "turn of nobody": {
    lines: [
      "members: { cy: owner }",
      `oncall: [{ name: D, shifts: [{ ${WEEKS}, turns: [[cy]], anchor: { on: 2026-12-07, turn: [] } }] }]`,
    ],
    at: "5:163",
    says: /is none of its turns; write one of turns$/,
  },
  "start of a shift": {
    lines: [
      "members: { cy: owner }",
      "oncall: [{ name: D, shifts: [{ name: W, start: tomorrow, duration: 7d, turns: [[cy]] }] }]",
    ],
    at: "5:45",
    says: /must be a local time such as 2026-11-23T09:00:00/,
  },
  "kind of an integration": {
    lines: ["integrations: [{ name: P, kind: pagerdutty }]"],
    at: "4:31",
    says: /must be pagerduty or opsgenie, not "pagerdutty"/,
  },
  "webhook without https": {
    lines: ['webhooks: [{ url: "ftp://x" }]'],
    at: "4:16",
    says: /only https is let out; write an https URL of a host that Prism may call$/,
  },
  "sources of a status page": {
    lines: ["statusPage: { enabled: true, title: T, groups: [{ name: G, components: [{ name: C, sources: x }] }] }"],
    at: "4:88",
    says: /must be an array/,
  },
  "rights on a topic": {
    lines: ['ntfyAccess: { everyone: { "a*": everything } }'],
    at: "4:19",
    says: /must have none, read, write or read-write/,
  },
  "settings of a project": { lines: ["settings: { retentionDays: forever }"], at: "4:17", says: /must be/ },
};

test("each problem has its file, line and column, and what mends it; all files are checked at once", async (t) => {
  const slug = (name: string) => name.replaceAll(" ", "-").toLowerCase();
  const files = Object.entries(WRONG).map(([name, { lines }]) => [`${slug(name)}.yaml`, project(slug(name), ...lines)]);
  const { status, problems, warnings } = await begin(t, Object.fromEntries(files)).json("-f oncall");
  assert.equal(status, 7);
  for (const [name, { at, says }] of Object.entries(WRONG))
    await t.test(name, () => {
      const [found, ...others] = problems.filter(({ file }) => file === `${slug(name)}.yaml`);
      assert.ok(found, JSON.stringify(warnings));
      assert.deepEqual([`${found.line}:${found.column}`, others], [at, []], found.message);
      assert.match([found.message, found.fix].filter(Boolean).join("; "), says);
    });
  assert.deepEqual(
    problems.filter(({ file }) => !files.some(([name]) => name === file)),
    [],
  );
});

test("what the files name and do not define is a warning with its place, and with --strict a problem", async (t) => {
  const { json, run } = begin(t, {
    "duty.yaml": project(
      "duty",
      "channels: [{ name: Mod, preset: carrier-of-a-module, fields: { any: x } }]",
      "policies:",
      "  - name: Night",
      "    fallback: Nigt",
      "    steps:",
      "      - { type: notify, schedules: [{ name: Duty, project: ops }], roles: [Leads], users: [ada] }",
      "      - { type: channel, name: Room }",
      "routes: { route: { policy: Late } }",
      "rules: [{ name: Big, condition: event.type == 'a', targetRoles: [Admin], sound: bell.mp3 }]",
      "statusPage: { enabled: true, title: T, groups: [{ name: G, components: [{ name: C, sources: [{ effect: outage, heartbeats: [Beat] }] }] }] }",
    ),
  });
  const { status, problems, warnings } = await json("-f oncall");
  assert.deepEqual([status, problems], [0, []]);
  assert.ok(warnings.every(({ code, fix }) => code === "NOT_IN_FILES" && fix !== undefined));
  const found = warnings.map(({ line, column, message, fix }) => `${line}:${column} ${message}; ${fix}`).join("\n");
  for (const text of [
    /^4:29 .*preset carrier-of-a-module is not one of Prism; the server needs the module that has it$/m,
    /^7:9 .*Nigt is not in the files; did you mean Night\?$/m,
    /^9:43 .*Duty of ops is not in the files; add it, unless the server has it already$/m,
    /^9:\d+ .*Leads is not in the files/m,
    /^9:\d+ .*ada is not in the files/m,
    /^10:30 .*Room is not in the files/m,
    /^11:24 .*Late is not in the files/m,
    /^12:\d+ .*the sound bell\.mp3 is not in the files/m,
    /^13:\d+ .*Beat is not in the files/m,
  ])
    assert.match(found, text);
  const strict = await run("-f oncall --strict");
  assert.equal(strict.status, 7);
  assert.match(
    strict.stdout,
    /^warning: duty\.yaml:7:9: policies "Night", fallback: Nigt [\s\S]*\n\d+ objects: 0 problems, 9 warnings\n$/m,
  );
});

test("a problem of one object is no problem of those that name it", async (t) => {
  const { json } = begin(t, {
    "duty.yaml": project(
      "duty",
      "members: { ada: boss }",
      "oncall: [{ name: Duty, timezone: Mars/Base }]",
      "policies: [{ name: Night, steps: [{ type: onlyIn, interval: office }, { type: notify, schedules: [{ name: Duty }], users: [ada] }] }]",
      "routes: { route: { policy: Night, matchers: [x] }, timeIntervals: [{ name: office, intervals: [{}] }] }",
    ),
  });
  const { problems, warnings } = await json("-f oncall");
  assert.deepEqual([[...new Set(problems.map(({ line }) => line))].sort(), warnings], [[4, 5, 7], []]);
});

const DUTY = project(
  "duty",
  "members: { ada: owner, ben: editor }",
  `oncall: [{ name: Duty, timezone: Europe/Berlin, shifts: [{ ${WEEKS}, turns: [[ada], [ben]] }] }]`,
  "policies: [{ name: Night, steps: [{ type: notify, schedules: [{ name: Duty }] }] }]",
  "routes: { route: { policy: Night, groupWait: 0s } }",
);
const AT = "at: 2020-01-06T12:00:00Z"; // long past: the schedule is there all the same
const TESTS = (expect: string) =>
  `tests: [{ name: noon, project: duty, ${AT}, alert: { alertname: A }, expect: ${expect} }]\n`;

test("a failed test says what was expected, what came and why, and ends with 8", async (t) => {
  const { cwd, json, run, temporary } = begin(t, {
    "duty.yaml": DUTY.replace("2026-11-23", "2020-01-06"),
    "tests.yaml": TESTS("{ policy: Night, pages: [{ after: 0s, to: [ben] }], never: [ada] }"),
  });
  const failed = await run("-f oncall");
  assert.equal(failed.status, 8, failed.stderr);
  assert.match(
    failed.stdout,
    /^tests\.yaml:1:\d+: test failed: noon\n {2}after 0s: expected ben, got ada\n {2}never: expected no page of ada/m,
  );
  assert.match(failed.stdout, /^ {2}The alert would open an incident of the policy Night\. .*ada/m);
  assert.match(failed.stdout, /^tests: 0 passed, 1 failed\n5 objects: all valid\n$/m);
  writeFileSync(join(cwd, "oncall/tests.yaml"), TESTS("{ pages: [{ after: 0s, to: [ada], urgency: high }] }"));
  const passed = await run("-f oncall --only tests");
  assert.deepEqual([passed.status, passed.stdout], [0, "tests: 1 passed\n"]);
  const { counts, tests } = await json("-f oncall");
  assert.deepEqual([counts, tests.map(({ ok }) => ok)], [{ objects: 5, tests: 1, failed: 0 }, [true]]);
  writeFileSync(join(cwd, "oncall/tests.yaml"), TESTS("{ page: [] }"));
  const wrong = await json("-f oncall");
  assert.deepEqual(
    wrong.problems.map(({ file, line, column, code }) => [file, line, column, code]),
    [["tests.yaml", 1, 99, "UNKNOWN_MEMBER"]],
  );
  assert.deepEqual(readdirSync(temporary), []);
});

test("a project that other files define has tests, and a misspelled person in never is a warning", async (t) => {
  const { json } = begin(t, {
    "duty.yaml": DUTY.replace("    name: duty\n", "").replace("2026-11-23", "2020-01-06"),
    "tests.yaml": TESTS("{ policy: Night, pages: [{ after: 0s, to: [ada] }], never: [bem] }"),
  });
  const { status, problems, warnings, tests } = await json("-f oncall");
  assert.deepEqual([status, problems, tests.map(({ failures }) => failures)], [0, [], [[]]]);
  const [found] = warnings.filter(({ file }) => file === "tests.yaml");
  assert.deepEqual([found?.code, found?.fix], ["NOT_IN_FILES", "did you mean ben?"]);
});

test("ways of people whose contact rules are in the files are tested", async (t) => {
  const rules = "contactRules: { high: [{ after: 0s, channels: [in_app, push] }], low: [] }";
  const people = `people:\n  - { username: ada, email: ada@example.com, invite: true, ${rules} }\n`;
  const { run } = begin(t, {
    "people.yaml": people,
    "duty.yaml": project(
      "duty",
      "members: { ada: owner }",
      "policies: [{ name: default, steps: [{ type: notify, members: true }] }]",
    ),
    "tests.yaml": TESTS("{ pages: [{ after: 0s, to: [ada], ways: { ada: [push, in_app] } }] }"),
  });
  const { status, stdout, stderr } = await run("-f oncall");
  assert.deepEqual([status, stderr], [0, ""], stdout);
});

test("the example of the documentation is valid, and its tests pass", async (t) => {
  const { status, stdout, stderr } = await begin(t, {}).run(`-f ${EXAMPLE} --strict`);
  assert.deepEqual([status, stderr], [0, ""], stdout);
  assert.match(stdout, /^tests: 8 passed\n\d+ objects: all valid\n$/);
});

test("nothing is asked of a network, and of a name server", async (t) => {
  const asked: unknown[] = [];
  const connect = Socket.prototype.connect;
  t.mock.method(Socket.prototype, "connect", function (this: Socket, ...given: unknown[]) {
    const [first] = given.flat() as [unknown];
    if (typeof first !== "object" || first === null || !("path" in first)) asked.push(first);
    return Reflect.apply(connect, this, given) as Socket;
  });
  for (const name of ["resolve4", "resolve6"] as const)
    t.mock.method(Resolver.prototype, name, (host: string) => Promise.reject(new Error(String(asked.push(host)))));
  const text = project(
    "duty",
    "channels:",
    "  - { name: Room, preset: slack, fields: { url: { env: PRISM_SECRET_A } } }",
    "  - { name: Own, preset: ntfy, fields: { url: 'http://ntfy.internal:8080', topic: { env: PRISM_SECRET_T } } }",
    "webhooks: [{ url: 'https://hooks.example.com/x' }]",
    "oncall: [{ name: D, calendarUrl: { file: calendar } }]",
    "policies: [{ name: N, steps: [{ type: webhook, url: 'https://10.0.0.1/' }] }]",
  );
  const { cwd } = begin(t, { "duty.yaml": text });
  const out = new Output({ json: false, quiet: true, color: false });
  const context = { flags: {}, out, loadConfig: () => assert.fail("settings of this machine are read") };
  const { problems, warnings } = await checkLocally(context, readConfigurationFiles([join(cwd, "oncall")]));
  assert.deepEqual([problems, warnings, asked], [[], [], []]);
});

test("a check that is ended leaves nothing behind", async (t) => {
  const { cwd, env, temporary } = begin(t, { "duty.yaml": DUTY, "tests.yaml": TESTS("{}") });
  const running = new RunningCli(t, ["check", "-f", "oncall"], { cwd, env });
  while (readdirSync(temporary).length === 0) await sleep(5);
  running.signal("SIGTERM");
  await running.ended();
  assert.deepEqual(readdirSync(temporary), []);
});
