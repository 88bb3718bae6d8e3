import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { temporaryDir } from "../helpers/store.ts";
import { runCli } from "./run-cli.ts";

type Body = Readonly<Record<string, unknown>>;

interface Asked {
  readonly what: string;
  readonly body: Body;
}

/** Only for outputs with times: a command with it has a process of its own, which takes a second. */
const IN_UTC = { TZ: "UTC" };

/** A server that answers as recorded, and a directory with files of a configuration. */
async function begin(t: TestContext, answer: (asked: Asked) => object, files: Readonly<Record<string, string>>) {
  const asked: Asked[] = [];
  const server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on("data", (chunk: Buffer) => chunks.push(chunk));
    req.once("end", () => {
      const text = Buffer.concat(chunks).toString();
      const one = { what: `${req.method} ${req.url}`, body: (text === "" ? {} : JSON.parse(text)) as Body };
      asked.push(one);
      const { status = 200, ...body } = answer(one) as { status?: number };
      res.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const cwd = temporaryDir(t);
  mkdirSync(join(cwd, "oncall"));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(cwd, name), text);
  const own = {
    PRISM_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    PRISM_TOKEN: "prt_x",
  };
  const run = (words: string, env: Readonly<Record<string, string>> = {}) =>
    runCli(words.split(" "), { cwd, env: { ...own, ...env } });
  return { cwd, asked, run };
}

const FILES = {
  "oncall/duty.yaml": `version: 1
source: platform
projects:
  - slug: duty
    name: Duty
    channels:
      - name: Room
        preset: slack
        fields: { url: { env: PRISM_SECRET_ROOM } }
    oncall:
      - name: Duty
        shifts: manual
  - slug: other
    name: Other
`,
};

const EMPTY = {
  ...{ state: "s1", changes: [], unchanged: 4, leftOver: [], drift: [], problems: [], mayNot: [] },
  ...{ onCall: [], issued: [], warnings: [], kept: [], open: [], history: null },
};
const PLAN = {
  ...EMPTY,
  changes: [
    {
      ...{ op: "create", kind: "channels", noun: "channel", project: "duty", name: "Room", at: "duty.yaml:7:9" },
      members: [{ path: "fields.url", after: "(secret, will be set)" }],
      notes: ["its host is not resolved"],
    },
    {
      ...{ op: "update", kind: "oncall", noun: "schedule", project: "duty", name: "Duty", at: "duty.yaml:11:9" },
      members: [{ path: "shifts.Weeks.turns", before: [["ada"], ["ben"]], after: [["ada"], ["cy"]] }],
      notes: [],
    },
    { op: "delete", kind: "roles", noun: "role", project: null, name: "Old", at: null, members: [], notes: [] },
  ],
  drift: [
    {
      ...{ kind: "oncall", noun: "schedule", project: "duty", name: "Duty" },
      ...{ by: "ada", when: "2026-11-26T14:02:00Z", paths: ["shifts"] },
    },
  ],
  leftOver: [{ kind: "policies", noun: "policy", project: "duty", name: "Late", at: "duty.yaml:40:9" }],
  onCall: [
    {
      ...{
        project: "duty",
        schedule: "Duty",
        timezone: "Europe/Berlin",
        from: "2026-12-14T09:00:00Z",
        to: "2026-12-21T09:00:00Z",
      },
      ...{ before: ["ada"], after: ["cy"] },
    },
  ],
};

const TEXT = `project duty
  + channel "Room"                                   duty.yaml:7
      its host is not resolved
  ~ schedule "Duty"                                  duty.yaml:11
      shifts.Weeks.turns  [[ada], [ben]] → [[ada], [cy]]
  ! schedule "Duty" was changed by ada on 2026-11-26 14:02; this puts it back
  on call, Duty: 2026-12-14 10:00 to 2026-12-21 10:00 Europe/Berlin  ada → cy
server
  - role "Old"
  = 4 unchanged
left over: policy "Late" of duty; --prune deletes it
1 to add, 1 to change, 1 to delete
`;

test("plan sends the objects as they are written, with secrets beside them, and prints what would change", async (t) => {
  const { cwd, asked, run } = await begin(t, () => PLAN, FILES);
  const secret = "https://hooks.example/1";
  const flags = "--allow-deletes 1 --prune --out plan.json --exit-code";
  const { status, stdout, stderr } = await run(`plan -f oncall ${flags}`, { PRISM_SECRET_ROOM: secret, ...IN_UTC });
  assert.deepEqual([status, stdout], [8, TEXT]);
  assert.match(stderr, /^Nothing is stored\. .*prism apply -f oncall$/m);
  assert.deepEqual(asked, [
    {
      what: "POST /api/v1/configuration",
      body: {
        ...{ mode: "plan", source: "platform", lock: false, prune: true, allowDeletes: 1 },
        secrets: { "env:PRISM_SECRET_ROOM": secret },
        objects: [
          { kind: "projects", spec: { slug: "duty", name: "Duty" }, at: "duty.yaml:4:5" },
          { kind: "projects", spec: { slug: "other", name: "Other" }, at: "duty.yaml:13:5" },
          {
            ...{ kind: "channels", project: "duty", at: "duty.yaml:7:9" },
            spec: { name: "Room", preset: "slack", fields: { url: { env: "PRISM_SECRET_ROOM" } } },
          },
          { kind: "oncall", project: "duty", at: "duty.yaml:11:9", spec: { name: "Duty", shifts: "manual" } },
        ],
      },
    },
  ]);
  assert.deepEqual(JSON.parse(readFileSync(join(cwd, "plan.json"), "utf8")), PLAN);
});

test("plan takes one project, lines of a file of secrets, and says which secrets are not given", async (t) => {
  let now: object = EMPTY;
  const { asked, cwd, run } = await begin(t, () => now, {
    ...FILES,
    "secrets.env": "# secrets\nPRISM_SECRET_ROOM='https://$(id)'\n",
  });
  const only = await run("plan -f oncall --project other --secrets-file secrets.env --exit-code");
  assert.deepEqual([only.status, only.stdout], [0, "no changes\n"]);
  assert.deepEqual(asked[0]?.body["objects"], [
    { kind: "projects", spec: { slug: "other", name: "Other" }, at: "duty.yaml:13:5" },
  ]);
  assert.deepEqual(asked[0]?.body["secrets"], { "env:PRISM_SECRET_ROOM": "https://$(id)" });
  writeFileSync(join(cwd, "secrets.env"), "PRISM_SECRET_ROM=x\n");
  now = PLAN;
  const misspelled = await run("plan -f oncall --secrets-file secrets.env");
  assert.match(misspelled.stderr, /the files do not name PRISM_SECRET_ROM$/m);
  assert.match(misspelled.stderr, /prism apply -f oncall --secrets-file secrets\.env$/m);
  asked.length = 1;
  const unknown = await run("plan -f oncall --project none");
  assert.deepEqual([unknown.status, asked.length], [6, 1]);
});

test("of long lists a plan shows the items that differ, and what is left over also without changes", async (t) => {
  const steps = ["Primary", "Secondary", "Leads", "Managers"].flatMap((name) => [
    { type: "notify", schedules: [{ name }] },
    { type: "wait", for: "5m" },
  ]);
  const change = { ...PLAN.changes[1], op: "update", kind: "policies", noun: "policy", name: "Night" };
  const planOf = (after: object[]) => ({
    ...PLAN,
    changes: [{ ...change, members: [{ path: "steps", before: steps, after }] }],
  });
  let now: object = planOf([...steps.slice(0, 3), { type: "wait", for: "7m" }, ...steps.slice(3)]);
  const { run } = await begin(t, () => now, FILES);
  assert.match((await run("plan -f oncall")).stdout, /^ {6}steps\.3 {2}\+ \{type: wait, for: 7m\}$/m);
  now = planOf(steps.with(5, { type: "wait", for: "9m" }));
  assert.match((await run("plan -f oncall")).stdout, /^ {6}steps\.5 {2}.*for: 5m\} → .*for: 9m\}$/m);
  now = { ...EMPTY, leftOver: PLAN.leftOver };
  assert.equal(
    (await run("plan -f oncall")).stdout,
    'no changes\nleft over: policy "Late" of duty; --prune deletes it\n',
  );
});

test("plan --format markdown is a fence that no name can end, and --json is the answer of the server", async (t) => {
  const name = "``` @team <img src=x> [link](https://x) ````";
  const strange = { ...PLAN, changes: [{ ...PLAN.changes[0], name }], drift: [] };
  const { run } = await begin(t, () => strange, FILES);
  const { stdout, stderr } = await run("plan -f oncall --format markdown");
  const [head = "", blank, fence = "", ...rest] = stdout.trimEnd().split("\n");
  assert.deepEqual([head, blank, fence], ["**Prism: 1 to add, 0 to change, 0 to delete**", "", "`````"]);
  assert.equal(rest.at(-1), fence);
  assert.ok(rest.slice(0, -1).every((line) => !line.includes(fence)));
  assert.match(stderr, /not given, so not compared, and kept as it is stored: duty\.yaml:9:19: env:PRISM_SECRET_ROOM/);
  for (const flag of ["--json", "--format json"])
    assert.deepEqual(JSON.parse((await run(`plan -f oncall ${flag}`)).stdout), strange);
});

test("problems of the server are shown at the line of the member, and those of files without a server", async (t) => {
  const problem = {
    ...{
      at: "duty.yaml:7:9",
      kind: "channels",
      project: "duty",
      name: "Room",
      path: "fields.url",
      code: "SECRET_MISSING",
    },
    ...{ message: "is not given", fix: "set PRISM_SECRET_ROOM" },
  };
  const { asked, cwd, run } = await begin(t, () => ({ ...PLAN, problems: [problem] }), FILES);
  for (const words of ["plan -f oncall", "apply -f oncall --yes"]) {
    const { status, stdout, stderr } = await run(words);
    assert.deepEqual([status, stdout], [7, ""]);
    assert.match(stderr, /duty\.yaml:9:19: channels "Room", fields\.url: is not given; set PRISM_SECRET_ROOM/);
  }
  const json = await run("plan -f oncall --json");
  const { error } = JSON.parse(json.stdout || json.stderr) as { error: { code: string; details: unknown } };
  assert.equal(error.code, "CONFIGURATION_REFUSED");
  assert.match(JSON.stringify(error.details), /"duty\.yaml:9:19".*SECRET_MISSING/);
  assert.equal(asked.length, 3);
  writeFileSync(join(cwd, "oncall/duty.yaml"), "projects:\n  - slug: duty\n    chanels: [{file: ../x}]\n");
  const wrong = await run("plan -f oncall");
  assert.equal(wrong.status, 7);
  assert.match(wrong.stderr, /^ {2}duty\.yaml:3:5: chanels is not a member; did you mean channels\?$/m);
  writeFileSync(join(cwd, "x"), "outside");
  writeFileSync(join(cwd, "oncall/duty.yaml"), "roles: [{name: a, secret: {file: ../x}}]\n");
  const outside = await run("plan -f oncall");
  assert.match(outside.stderr, /duty\.yaml:1:19: \.\.\/x is outside of oncall; see --secrets-dir/);
  assert.deepEqual([(await run("plan -f nowhere")).status, asked.length], [2, 3]);
});

test("apply stores what it planned, asks first, and prints new URLs once", async (t) => {
  const url = { kind: "receivers", project: "duty", name: "Grafana", url: "https://prism/r/x" };
  const answer = ({ body }: Asked) => (body["mode"] === "apply" ? { ...PLAN, issued: [url] } : PLAN);
  const { asked, cwd, run } = await begin(t, answer, FILES);
  const refused = await run("apply -f oncall");
  assert.deepEqual([refused.status, asked.length], [2, 0]);
  assert.match(refused.stderr, /without a terminal .*prism apply needs --yes/);
  const { status, stdout } = await run("apply -f oncall --yes --issued new.json", IN_UTC);
  assert.deepEqual([status, stdout], [0, `${TEXT}All is stored.\n`]);
  assert.deepEqual(
    asked.map(({ body: { mode, expect, issued } }) => [mode, expect, issued]),
    [
      ["plan", undefined, undefined],
      ["apply", "s1", true],
    ],
  );
  assert.deepEqual(JSON.parse(readFileSync(join(cwd, "new.json"), "utf8")), url);
  assert.equal(statSync(join(cwd, "new.json")).mode & 0o777, 0o600);
  assert.equal((await run("apply -f oncall --yes --issued new.json")).status, 7);
  assert.equal(asked.length, 2);
  const json = await run("apply -f oncall --yes --json");
  assert.deepEqual([(JSON.parse(json.stdout) as Body)["issued"], asked[3]?.body["issued"]], [[url], false]);
});

test("apply asks for mails with --invite, and without it says how people get in later", async (t) => {
  const person = { op: "create", kind: "people", noun: "person", project: null, name: "ben", at: null };
  const made = { ...EMPTY, changes: [{ ...person, members: [], notes: [] }] };
  const { asked, run } = await begin(t, () => made, FILES);
  const without = await run("apply -f oncall --yes");
  assert.match(without.stderr, /no mail was sent to ben: .*--invite.*forgot password/);
  const { status, stderr } = await run("apply -f oncall --yes --invite");
  assert.deepEqual([status, stderr.includes("no mail")], [0, false]);
  const applied = asked.filter(({ body }) => body["mode"] === "apply");
  assert.deepEqual(
    applied.map(({ body }) => body["invite"]),
    [false, true],
  );
});

test("apply writes nothing without changes, without a right, or if the plan is no longer that of --plan", async (t) => {
  let now: object = PLAN;
  const { asked, cwd, run } = await begin(t, () => now, FILES);
  await run("plan -f oncall --out plan.json");
  assert.ok(existsSync(join(cwd, "plan.json")));
  assert.equal((await run("apply -f oncall --yes --plan plan.json")).status, 0);
  asked.length = 0;
  for (const [answer, words, status, text] of [
    [{ ...PLAN, state: "s2" }, "--plan plan.json", 7, /no longer that of plan\.json; nothing is stored/],
    [{ ...PLAN, changes: PLAN.changes.slice(1) }, "--plan plan.json", 7, /no longer that of plan\.json/],
    [{ ...PLAN, mayNot: [{ kind: "roles", project: null, right: "roles:manage" }] }, "", 5, /roles: roles:manage/],
    [EMPTY, "--exit-code", 0, /^no changes$/m],
  ] as const) {
    now = answer;
    const ended = await run(`apply -f oncall --yes ${words}`.trim());
    assert.equal(ended.status, status);
    assert.match(ended.stdout + ended.stderr, text);
  }
  assert.ok(asked.every(({ body }) => body["mode"] === "plan"));
});

const OUTCOME = { policies: ["Night"], withheld: [], people: ["ben"], afterMs: 0, later: ["ada"] };
const differing = (number: number, changes: string[], before: object, after: object) => ({
  ...{ project: "duty", id: "i", number, title: "Disk full @team", at: `2026-11-27T03:${number}:00Z`, changes },
  ...{ before: { ...OUTCOME, ...before }, after: { ...OUTCOME, ...after } },
});
const WHERE = { kind: "oncall", noun: "on-call schedule", project: "duty", name: "Duty", at: "duty.yaml:11:9" };
const FORECAST = {
  ...{ ...PLAN, drift: [], leftOver: [], onCall: [] },
  warnings: [
    { ...WHERE, code: "schedule-gap", message: "No one is on call on Duty from 2026-12-14T09:00:00Z" },
    {
      ...WHERE,
      kind: "policies",
      noun: "policy",
      name: "Old",
      at: null,
      code: "no-steps",
      message: "The policy Old has no step",
    },
  ],
  kept: [{ ...WHERE, shift: "Weeks", anchor: { on: "2026-11-23", turn: ["ben", "cy"] } }],
  open: [
    { project: "duty", id: "a", number: 7, effect: "moves", policy: "Night", people: ["cy"], pages: true },
    { project: "duty", id: "b", number: 8, effect: "asks-again", policy: null, people: [], pages: false },
  ],
  history: {
    ...{ from: "2026-11-21T00:00:00Z", incidents: 14, differences: 4, isCut: true, notReadable: ["other"] },
    differing: [
      differing(12, ["people", "later"], {}, { people: ["cy"] }),
      differing(13, ["time"], {}, { afterMs: 300_000 }),
      differing(14, ["withheld"], {}, { withheld: ["muted"], people: [], afterMs: null }),
      differing(15, ["later"], {}, { later: ["cy"] }),
    ],
    rules: [{ project: "duty", name: "Big", before: { matched: 12, fired: 9 }, after: { matched: 3, fired: 3 } }],
  },
};

test("plan prints warnings, kept turns, open incidents and the history, and sends what was asked", async (t) => {
  const { asked, run } = await begin(t, () => FORECAST, FILES);
  const { status, stdout } = await run("plan -f oncall --history 7d --keep-now", IN_UTC);
  assert.equal(status, 0);
  assert.deepEqual([asked[0]?.body["historyMs"], asked[0]?.body["keepNow"]], [7 * 86_400_000, true]);
  for (const line of [
    '  ! on-call schedule "Duty" (duty.yaml:11): No one is on call on Duty from 2026-12-14T09:00:00Z',
    '  ! policy "Old": The policy Old has no step',
    '  kept: on-call schedule "Duty" (duty.yaml:11), Weeks: write anchor: { on: 2026-11-23, turn: [ben, cy] }',
    "  ! incident #7 is open: its alerts go to the policy Night, which pages cy",
    "  ! incident #8 is open: it has reached no one, and asks its targets again",
    "history: 14 incidents; 1 would be withheld, or not any more, 1 would page others, 1 would page at another time, 1 would page others later",
    "  #12 2026-11-27 03:12  ben → cy",
    "  #13 2026-11-27 03:13  ben at once → after 5 min",
    "  #14 2026-11-27 03:14  ben → muted",
    "  #15 2026-11-27 03:15  later ada → cy",
    '  rule "Big": 12 → 3 events match, 9 → 3 notify',
    "history: there was more than could be compared",
    "history: without other, as you lack events:read there",
  ])
    assert.ok(stdout.split("\n").includes(line), `${line}\n\n${stdout}`);
  const markdown = await run("plan -f oncall --format markdown --history 7d");
  assert.match(markdown.stdout, /^\*\*Prism: [^\n]*\*\*\n\n```\nproject duty\n[^`]*\n```\n$/);
});

test("apply stores nothing while open incidents would begin to page, unless --yes-pages says so", async (t) => {
  const { asked, run } = await begin(t, () => FORECAST, FILES);
  assert.match((await run("plan -f oncall")).stderr, /^Nothing is stored\. prism apply -f oncall --yes-pages$/m);
  const refused = await run("apply -f oncall --yes");
  assert.equal(refused.status, 2);
  assert.match(refused.stderr, /1 open incident would begin to page; nothing is stored: --yes-pages stores it/);
  assert.ok(asked.every(({ body }) => body["mode"] === "plan"));
  assert.equal((await run("apply -f oncall --yes --yes-pages --keep-now")).status, 0);
  assert.deepEqual([asked.at(-1)?.body["mode"], asked.at(-1)?.body["keepNow"]], ["apply", true]);
});

test("managed lists what files manage, and ends with 8 if anything was changed since", async (t) => {
  const row = { kind: "policies", project: "duty", name: "Night", source: "platform", at: "duty.yaml:31:7" };
  let data: object[] = [
    { ...row, isLocked: true, unlockedUntil: null, appliedAt: "2026-11-26T14:02:00.000Z", isDrifted: true },
  ];
  const { asked, run } = await begin(t, () => ({ data }), {});
  const listed = await run("managed --exit-code");
  assert.equal(listed.status, 8);
  assert.match(listed.stdout, /^duty +policies +Night +platform +duty\.yaml:31:7 +yes +yes$/m);
  assert.equal(asked[0]?.what, "GET /api/v1/configuration/managed");
  assert.deepEqual(JSON.parse((await run("managed --json")).stdout), { managed: data });
  data = [];
  const none = await run("managed --exit-code");
  assert.deepEqual([none.status, none.stdout], [0, "no managed objects\n"]);
});

test("export config writes a file for each project, which plan reads again, and the names of secrets", async (t) => {
  const room = { name: "Room", preset: "slack", fields: { url: { env: "PRISM_SECRET_ROOM" } } };
  const files = {
    ...{ version: 1, source: "files", roles: [{ name: "Duty lead", permissions: ["oncall:write"] }] },
    projects: [
      { slug: "duty", name: "Duty", channels: [room] },
      { slug: "../b", name: "B" },
    ],
  };
  const answer = ({ what }: Asked) => (what.startsWith("GET") ? { document: files, leftOut: [] } : EMPTY);
  const { asked, cwd, run } = await begin(t, answer, {});
  const written = await run("export config --project duty --project b --out out --people --secrets env");
  assert.deepEqual([written.status, written.stderr], [0, "set PRISM_SECRET_ROOM\n"]);
  assert.equal(asked[0]?.what, "GET /api/v1/configuration/export?people=true&secrets=env&project=duty&project=b");
  assert.deepEqual(readdirSync(join(cwd, "out")).sort(), ["..%2Fb.yaml", "duty.yaml", "prism.yaml"]);
  assert.equal((await run("export config --out out")).status, 7);
  assert.equal((await run("export config --out out --force")).status, 0);
  await run("plan -f out");
  const sent = asked.at(-1)?.body["objects"] as readonly { kind: string; spec: unknown }[];
  assert.deepEqual(
    sent.map(({ kind, spec }) => [kind, spec]),
    [
      ["projects", { slug: "duty", name: "Duty" }],
      ["roles", files.roles[0]],
      ["channels", room],
    ].sort(([a = ""], [b = ""]) => order(String(a)) - order(String(b))),
  );
  assert.deepEqual(JSON.parse((await run("export config --json")).stdout), files);
  assert.match((await run("export config")).stdout, /^version: 1\nsource: files\nroles:\n {2}- name: Duty lead\n/);
});

const order = (kind: string) => ["projects", "channels", "roles"].indexOf(kind);

const TESTED = {
  "oncall/duty.yaml": `projects:
  - slug: duty
    name: Duty
    members: { ada: owner }
    policies: [{ name: default, steps: [{ type: notify, users: [ada] }] }]
`,
  "oncall/tests.yaml": "tests: [{ name: all, project: duty, alert: { alertname: A }, expect: { never: [ada] } }]\n",
};

test("plan and apply run the tests of the files first, without a server; a failed one stores nothing", async (t) => {
  const { asked, cwd, run } = await begin(t, ({ body }) => ({ ...PLAN, isApplied: body["mode"] === "apply" }), TESTED);
  const planned = await run("plan -f oncall");
  assert.equal(planned.status, 8);
  assert.match(
    planned.stdout,
    /^1 to add, [\s\S]*\ntests\.yaml:1:9: test failed: all\n {2}never: expected no page of ada/m,
  );
  assert.match(planned.stdout, /\ntests: 0 passed, 1 failed\n$/);
  const comment = await run("plan -f oncall --format markdown");
  assert.match(comment.stdout, /tests\.yaml:1:9: test failed: all\n[^`]*\n```\n\ntests: 0 passed, 1 failed\n$/);
  asked.length = 0;
  const applied = await run("apply -f oncall --yes");
  assert.deepEqual([applied.status, asked], [8, []]);
  assert.match(applied.stderr, /tests of the files failed; nothing is stored:\ntests\.yaml:1:9: test failed: all\n/);
  const skipped = await run("apply -f oncall --yes --no-tests");
  assert.deepEqual([skipped.status, asked.map(({ body }) => body["mode"])], [0, ["plan", "apply"]]);
  writeFileSync(join(cwd, "oncall/tests.yaml"), TESTED["oncall/tests.yaml"].replace("never: [ada]", "withheld: none"));
  const passed = await run("plan -f oncall --format markdown");
  assert.deepEqual([passed.status, passed.stdout.trimEnd().split("\n").at(-1)], [0, "tests: 1 passed"]);
  const { tests } = JSON.parse((await run("plan -f oncall --json")).stdout) as { tests: readonly { ok: boolean }[] };
  assert.deepEqual(
    tests.map(({ ok }) => ok),
    [true],
  );
  asked.length = 0;
  writeFileSync(join(cwd, "oncall/duty.yaml"), TESTED["oncall/duty.yaml"].replace("users:", "usrs:"));
  const wrong = await run("plan -f oncall");
  assert.deepEqual([wrong.status, asked], [7, []]);
  assert.match(wrong.stderr, /duty\.yaml:5:57: .*did you mean users\?/);
});
