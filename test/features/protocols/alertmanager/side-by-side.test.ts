import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { fingerprintOf, labelsOf } from "../../../../src/features/alerts/model/labels.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { startPrism } from "../../../helpers/prism.ts";
import { applyConfiguration } from "./support/apply.ts";
import { startAlertmanager, urlWithKey } from "./support/programs.ts";

const CONFIGURATION = `
route:
  receiver: default
  group_by: [alertname]
  routes:
  - receiver: db
    matchers: [ 'team="db"' ]
    continue: true
    group_by: [alertname, instance]
  - receiver: all
    matchers: [ 'team=~"db|web"', 'env!="dev"' ]
    group_by: ['...']
    routes:
    - receiver: critical
      match: { severity: critical }
  - receiver: web
    matchers: [ alertname=Twice ]
    continue: true
  - receiver: db
    matchers: [ alertname=Twice ]
    continue: true
  - receiver: web
    matchers: [ alertname=Twice ]
    group_by: [ alertname, team ]
  - receiver: muted
    matchers: [ alertname=Muted ]
inhibit_rules:
- source_matchers: [ severity="critical" ]
  target_matchers: [ severity="warning" ]
  equal: [ instance, absent ]
receivers: [ { name: default }, { name: db }, { name: all }, { name: critical }, { name: web }, { name: muted } ]
`;

interface Request {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

interface Shown {
  readonly status: number;
  readonly body: unknown;
}

/** One of the two servers, with the ids that it gave to silences. */
class Side {
  readonly #base: string;
  readonly #authorization: string;
  readonly #startedAt: number;
  readonly silences: string[] = [];
  readonly #starts = new Map<string, string>();

  constructor(url: string, startedAt: number) {
    const { username, password, origin, pathname } = new URL(url);
    this.#base = origin + pathname.replace(/\/$/, "");
    this.#authorization = `Basic ${btoa(`${username}:${password}`)}`;
    this.#startedAt = startedAt;
  }

  /** `$0` in the path or body is the id of the first silence, `@0` its start. */
  async send({ method, path, body, headers = {} }: Request): Promise<Shown> {
    const filled = (text: string) =>
      text
        .replace(/\$(\d)/g, (_, at: string) => this.silences[Number(at)] ?? "")
        .replace(/@(\d)/g, (_, at: string) => this.#starts.get(this.silences[Number(at)] ?? "") ?? "");
    const sent = typeof body === "string" ? body : JSON.stringify(body);
    const response = await fetch(this.#base + filled(path), {
      method,
      headers: { Authorization: this.#authorization, "Content-Type": "application/json", ...headers },
      ...(body === undefined ? {} : { body: filled(sent) }),
    });
    const text = await response.text();
    const parsed = parse(text);
    const id = (parsed as { silenceID?: string } | null)?.silenceID;
    if (id !== undefined && !this.silences.includes(id)) this.silences.push(id);
    if (path === SILENCES && method === "GET" && Array.isArray(parsed))
      for (const silence of parsed as { id: string; startsAt: string }[])
        this.#starts.set(silence.id, silence.startsAt);
    const shown = this.#normal(parsed);
    const isList = path.startsWith(SILENCES) && method === "GET" && Array.isArray(shown);
    return { status: response.status, body: isList ? withTiesSorted(shown as ShownSilence[]) : shown };
  }

  /**
   * Ids of silences by number, times to the minute after the start; without members that only one
   * of the two versions has, and the lists that have no defined order sorted.
   */
  #normal(value: unknown, name = ""): unknown {
    if (typeof value === "string") {
      const silence = this.silences.indexOf(value);
      if (silence !== -1) return `silence ${silence}`;
      if (/At$/.test(name)) return Math.round((Date.parse(value) - this.#startedAt) / MINUTE);
      return value
        .replace(/^(parsing .*, because) .*/s, "$1 …")
        .replace(/\[(\w+),(\w+)\] are$/, (_, ...both: string[]) => both.slice(0, 2).sort().join());
    }
    if (Array.isArray(value)) return value.map((item) => this.#normal(item));
    if (typeof value !== "object" || value === null) return value;
    if (name === "" && "matchers" in value) (value.matchers as object[]).sort(byText);
    const members = Object.entries(value).filter(([key]) => !["mutedBy", "routeLabels", "error"].includes(key));
    return Object.fromEntries(members.map(([key, member]) => [key, this.#normal(member, key)]));
  }
}

interface ShownSilence {
  readonly startsAt: number;
  readonly endsAt: number;
  readonly status: { readonly state: string };
}

/** Silences come by state and time; those of the same state and time have no defined order. */
function withTiesSorted(silences: readonly ShownSilence[]): ShownSilence[] {
  const keyOf = ({ startsAt, endsAt, status: { state } }: ShownSilence): string =>
    `${state} ${state === "pending" ? startsAt : endsAt}`;
  const runs: ShownSilence[][] = [];
  for (const silence of silences) {
    const last = runs.at(-1)?.[0];
    if (last && keyOf(last) === keyOf(silence)) runs.at(-1)?.push(silence);
    else runs.push([silence]);
  }
  return runs.flatMap((run) => run.sort(byText));
}

function byText(left: object, right: object): number {
  return JSON.stringify(left) < JSON.stringify(right) ? -1 : 1;
}

function parse(text: string): unknown {
  if (text === "") return null;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

async function startBoth(t: TestContext): Promise<{ theirs: Side; ours: Side }> {
  const [prism, url] = await Promise.all([
    startPrism(t, { settings: { "rateLimit.enabled": "false" } }),
    startAlertmanager(t, CONFIGURATION),
  ]);
  await applyConfiguration(prism, CONFIGURATION);
  const startedAt = Date.now();
  // Broad silences need a permission that no key has.
  const ours = new Side(urlWithKey(prism, prism.adminToken), startedAt);
  return { theirs: new Side(url, startedAt), ours };
}

const MINUTE = 60_000;
const ALERTS = "/api/v2/alerts";
const SILENCES = "/api/v2/silences";
const NO_ID = "0198c0de-0000-7000-8000-000000000000";

/** The recorded requests. `after` waits until Alertmanager has dispatched what was posted. */
function requests(now: number): readonly Request[] {
  const at = (minutes: number) => new Date(now + minutes * MINUTE).toISOString();
  const post = (...alerts: readonly unknown[]): Request => ({ method: "POST", path: ALERTS, body: alerts });
  const get = (path: string): Request => ({ method: "GET", path });
  const silence = (matchers: readonly unknown[], more: object = {}): Request => ({
    method: "POST",
    path: SILENCES,
    body: { matchers, startsAt: at(-1), endsAt: at(60), createdBy: "me", comment: "c", ...more },
  });
  const equals = (name: string, value: string, more: object = {}) => ({ name, value, isRegex: false, ...more });
  const alert = (labels: object, more: object = {}) => ({ labels, startsAt: at(-10), endsAt: at(30), ...more });
  const reads = [
    get(ALERTS),
    get(`${ALERTS}/groups`),
    get(SILENCES),
    ...["active", "silenced", "inhibited", "unprocessed"].flatMap((flag) => [
      get(`${ALERTS}?${flag}=false`),
      get(`${ALERTS}/groups?${flag}=false`),
    ]),
  ];
  const filters = [
    'team="db"',
    "team=db",
    'team=~"d."',
    'team!~"d.*"',
    'team!="db"',
    'absent=""',
    'absent!=""',
    'absent=~""',
    'absent!~""',
    'team=~"d"',
    'a b="x"',
    "bad",
    '{team="db"}',
    'team="db",env="prod"',
    "team==db",
    'team="db',
    "team='db'",
    'team=~"("',
    "",
  ];
  return [
    get("/api/v2/receivers"),
    ...reads,
    post(
      alert({ alertname: "Disk", team: "db", instance: "db1", severity: "critical", env: "prod" }),
      alert({ alertname: "Disk", team: "db", instance: "db2", severity: "warning", env: "dev" }),
      alert(
        { alertname: "Slow", team: "web", instance: "db1", severity: "warning", job: "z" },
        { annotations: { summary: "<b> & é" }, generatorURL: "http://p/graph?a=1&b=2" },
      ),
      alert({ alertname: "Other", empty: "", quote: 'x"y\\z\n' }, { annotations: { a: "" } }),
      alert({ alertname: "Muted" }, { endsAt: undefined }),
      alert({ alertname: "Twice", team: "x" }),
      alert({ alertname: "Twice", team: "y" }),
      { labels: { alertname: "Now" } },
      { labels: { alertname: "Offset" }, startsAt: "2026-01-01T10:00:00+02:00", endsAt: at(10) },
      { labels: { alertname: "Go" }, startsAt: "0001-01-01T00:00:00.000Z", endsAt: "0001-01-01T00:00:00.000Z" },
      { labels: { alertname: "OnlyEnd" }, endsAt: at(20) },
    ),
    ...reads,
    ...filters.flatMap((filter) => [
      get(`${ALERTS}?filter=${encodeURIComponent(filter)}`),
      get(`${ALERTS}/groups?filter=${encodeURIComponent(filter)}`),
    ]),
    get(`${ALERTS}?filter=${encodeURIComponent("team=db")}&filter=${encodeURIComponent("env=dev")}`),
    ...["db", "d", "db|all", "(", ".*", "none"].flatMap((receiver) => [
      get(`${ALERTS}?receiver=${encodeURIComponent(receiver)}`),
      get(`${ALERTS}/groups?receiver=${encodeURIComponent(receiver)}`),
    ]),
    ...["true", "TRUE", "1", "yes", "no", "maybe", "", "t", "on", "0"].map((flag) => get(`${ALERTS}?active=${flag}`)),
    get(`${ALERTS}?unknown=1`),
    get(`${ALERTS}/`),
    // The same labels again: overlapping, earlier, and not overlapping.
    post(alert({ alertname: "Now" }, { startsAt: at(-30), endsAt: at(3) })),
    post({ labels: { alertname: "Other", quote: 'x"y\\z\n' }, startsAt: at(-5), endsAt: at(50) }),
    post({ labels: { alertname: "OnlyEnd" }, startsAt: at(-1), endsAt: at(5) }),
    get(ALERTS),
    // Resolved by an end in the past, and unknown ones.
    post({ labels: { alertname: "Go" }, endsAt: at(-1) }, { labels: { alertname: "Never" }, endsAt: at(-1) }),
    post(alert({ alertname: "Offset" }, { startsAt: "2026-01-01T08:00:00Z", endsAt: at(-1) })),
    ...reads,
    // Silences.
    silence([equals("team", "web")], { endsAt: at(61) }),
    silence([equals("alertname", "Di.*", { isRegex: true }), equals("instance", "db1", { isEqual: false })]),
    silence([equals("alertname", "Later")], { startsAt: at(10), endsAt: at(20) }),
    silence([equals("team", "web"), equals("alertname", "x")], { comment: "", createdBy: "", endsAt: at(62) }),
    ...reads,
    get(`${SILENCES}?filter=${encodeURIComponent('team="web"')}`),
    get(`${SILENCES}?filter=${encodeURIComponent("team=web")}&filter=${encodeURIComponent("alertname=x")}`),
    get(`${SILENCES}?filter=${encodeURIComponent('team=~"web"')}`),
    get(`${SILENCES}?filter=bad`),
    get("/api/v2/silence/$0"),
    get("/api/v2/silence/$2"),
    get("/api/v2/silence/nothing"),
    get(`/api/v2/silence/${NO_ID}`),
    // Comment and end change in place, as does the start of a pending one; the rest makes a new one.
    silence([equals("team", "web")], { id: "$0", startsAt: "@0", comment: "longer", endsAt: at(90) }),
    silence([equals("alertname", "Later")], { id: "$2", startsAt: at(12), endsAt: at(22) }),
    get(SILENCES),
    silence([equals("team", "web")], { id: "$0", startsAt: at(3), endsAt: at(91) }),
    silence([equals("team", "web"), equals("env", "x")], {
      id: "$3",
      startsAt: "@3",
      comment: "other",
      endsAt: at(63),
    }),
    silence([equals("alertname", "x")], { id: NO_ID }),
    get(SILENCES),
    { method: "DELETE", path: "/api/v2/silence/$1" },
    { method: "DELETE", path: "/api/v2/silence/$1" },
    { method: "DELETE", path: "/api/v2/silence/$2" },
    { method: "DELETE", path: "/api/v2/silence/nothing" },
    { method: "DELETE", path: `/api/v2/silence/${NO_ID}` },
    silence([equals("alertname", "Later")], { id: "$2", endsAt: at(64) }),
    get("/api/v2/silence/$2"),
    ...reads.filter(({ path }) => path !== SILENCES),
    // Refused silences.
    silence([]),
    silence([{ name: "a", value: "b" }]),
    silence([{ value: "b", isRegex: false }]),
    silence([equals("a", "b")], { endsAt: at(-2) }),
    silence([equals("a", "b")], { startsAt: at(5), endsAt: at(5) }),
    silence([equals("a", "b")], { startsAt: at(-5), endsAt: at(-2) }),
    silence([equals("a", ""), equals("b", ".*", { isRegex: true })]),
    { method: "POST", path: SILENCES, body: {} },
    { method: "POST", path: SILENCES, body: "[" },
    { method: "POST", path: SILENCES, body: { matchers: [equals("a", "b")], startsAt: at(0), endsAt: at(1) } },
    // Refused alerts.
    { method: "POST", path: ALERTS, body: "null" },
    { method: "POST", path: ALERTS, body: [] },
    { method: "POST", path: ALERTS },
    { method: "POST", path: ALERTS, body: {} },
    { method: "POST", path: ALERTS, body: "nonsense" },
    post({ labels: { a: 1 } }),
    post({ labels: { a: "b" }, startsAt: "yesterday" }),
    post({}),
    post({ labels: {} }),
    post({ labels: { a: "" } }),
    post({ labels: { a: "b" }, generatorURL: "no uri" }),
    post({ labels: { alertname: "Turned" }, startsAt: at(5), endsAt: at(1) }),
    post({ labels: { alertname: "Kept" } }, { labels: {} }),
    { ...post({ labels: { a: "b" } }), headers: { "Content-Type": "text/plain" } },
    { method: "PUT", path: ALERTS, body: [] },
    { method: "DELETE", path: ALERTS },
    get("/api/v2/nope"),
    ...reads.filter(({ path }) => path !== SILENCES),
  ];
}

/** Where this version of the API differs from Debian's 0.25; the newer behaviour is ours. */
const NEWER: Readonly<Record<string, readonly [theirs: number, ours: number]>> = {
  [`DELETE /api/v2/silence/${NO_ID}`]: [500, 404],
};

test("a recorded sequence of requests has the same answers as Debian's Alertmanager", async (t) => {
  const { theirs, ours } = await startBoth(t);
  const differences: unknown[] = [];
  for (const request of requests(Date.now())) {
    const { method, path, body } = request;
    const expected = await settledReply(theirs, request);
    const got = await ours.send(request);
    const newer = NEWER[`${method} ${path}`];
    const isSame = newer ? isDeepStrictEqual([expected.status, got.status], newer) : isDeepStrictEqual(got, expected);
    if (!isSame) differences.push({ request: { method, path, body }, expected, got });
  }
  assert.deepEqual(differences, []);
});

/** Alertmanager shows new alerts as unprocessed, and in no group, until it has dispatched them. */
async function settledReply(side: Side, request: Request): Promise<Shown> {
  if (request.method !== "GET" || !request.path.startsWith(ALERTS)) {
    const reply = await side.send(request);
    if (request.path === ALERTS && reply.status < 500) await dispatched(side);
    return reply;
  }
  return side.send(request);
}

async function dispatched(side: Side): Promise<void> {
  await eventually("all alerts are dispatched", async () => {
    const { body } = await side.send({ method: "GET", path: ALERTS });
    const alerts = body as { fingerprint: string; status: { state: string } }[];
    const groups = (await side.send({ method: "GET", path: `${ALERTS}/groups` })).body as {
      alerts: { fingerprint: string }[];
    }[];
    const grouped = new Set(groups.flatMap((group) => group.alerts.map(({ fingerprint }) => fingerprint)));
    return alerts.every(({ fingerprint, status }) => status.state !== "unprocessed" && grouped.has(fingerprint));
  });
}

test("10 000 label sets have the same fingerprints as in Debian's Alertmanager", async (t) => {
  const { theirs, ours } = await startBoth(t);
  const endsAt = new Date(Date.now() + 30 * MINUTE).toISOString();
  const sets = Array.from({ length: 10_000 }, (_, at) => labelSet(at));
  for (let from = 0; from < sets.length; from += 2500) {
    const body = sets.slice(from, from + 2500).map((labels) => ({ labels, endsAt }));
    const [expected, got] = await Promise.all(
      [theirs, ours].map((side) => side.send({ method: "POST", path: ALERTS, body })),
    );
    assert.deepEqual(got, expected);
    assert.equal(got?.status, 200);
  }
  const [expected, got] = await Promise.all(
    [theirs, ours].map(async (side) => {
      const { body } = await side.send({ method: "GET", path: ALERTS });
      return (body as { fingerprint: string; labels: Record<string, string> }[]).map(({ fingerprint, labels }) => ({
        fingerprint,
        labels,
      }));
    }),
  );
  assert.ok(expected && expected.length > 9900, "label sets differ");
  assert.deepEqual(got, expected);
  for (const { fingerprint, labels } of expected) assert.equal(fingerprintOf(labelsOf(labels)), fingerprint);
});

const VALUES = [
  "a",
  "B-1",
  "x y",
  "é",
  "漢字",
  "\u{1F600}",
  "\uffee",
  '"',
  "\\",
  "\n",
  "{}=~",
  "%",
  "\u0000",
  "z".repeat(70),
];

/** One to eight labels, with characters of each length in UTF-8; some sets are the same. */
function labelSet(at: number): Record<string, string> {
  const labels: Record<string, string> = { [`l${at % 97}`]: `v${at}` };
  for (let i = 0; i < at % 8; i++)
    labels[`${"_aAzZ"[(at + i) % 5]}${(at * 31 + i) % 13}`] = `${VALUES[(at * 7 + i * 3) % VALUES.length]}${at % 11}`;
  if (at % 9 === 0) labels["empty"] = "";
  return labels;
}

test("random filters select the same alerts as in Debian's Alertmanager", async (t) => {
  const { theirs, ours } = await startBoth(t);
  const endsAt = new Date(Date.now() + 30 * MINUTE).toISOString();
  const values = ["db", "d b", 'd"b', "d\\b", "d\nb", "a|b", "", "=db", "{a}", "'db'", ".*"];
  const body = values.map((team, at) => ({ labels: { alertname: `A${at}`, team }, endsAt }));
  for (const side of [theirs, ours]) await side.send({ method: "POST", path: ALERTS, body });
  const part = fc.constantFrom(
    "team",
    " ",
    "=",
    "!=",
    "=~",
    "!~",
    '"',
    "\\",
    "db",
    "d",
    "b",
    "|",
    ".*",
    "n",
    ",",
    "'",
    "{",
    "}",
  );
  const filter = fc.tuple(
    fc.constantFrom("team", "alertname", "absent", "", " team "),
    fc.constantFrom("=", "!=", "=~", "!~", "==", " = ", "~"),
    fc.array(part, { maxLength: 5 }).map((parts) => parts.join("")),
  );
  await fc.assert(
    fc.asyncProperty(filter, async (parts) => {
      // Since 0.27 a comma may follow a quoted value; Debian's version refuses it.
      fc.pre(!/",\s*$/.test(parts.join("")));
      const path = `${ALERTS}?filter=${encodeURIComponent(parts.join(""))}`;
      const [expected, got] = await Promise.all([theirs, ours].map((side) => side.send({ method: "GET", path })));
      assert.equal(got?.status, expected?.status);
      if (got?.status === 200) assert.deepEqual(alertnames(got), alertnames(expected as Shown));
    }),
    { numRuns: 2000 },
  );
});

function alertnames({ body }: Shown): string[] {
  return (body as { labels: { alertname: string } }[]).map(({ labels }) => labels.alertname);
}
