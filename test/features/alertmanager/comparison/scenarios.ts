import type { Lab } from "./lab.ts";
import type { SideName } from "./recorder.ts";

/*
 * What both Alertmanager and Prism are put through, at the same time and with one configuration. Each scenario has
 * its own value of the label `scenario`, a route and receiver of this name, and webhooks at paths of this name.
 */

/** Something that one of them posts and the other does not. */
export interface Difference {
  readonly side: SideName;
  /** An entry of a body, such as `a resolved`. */
  readonly pair: string;
  /** Only beside versions of Alertmanager before this one. */
  readonly before?: string;
  readonly reason: string;
}

export interface Scenario {
  readonly id: string;
  readonly title: string;
  /** Members of its route, beside the matcher and the receiver. */
  readonly route?: Readonly<Record<string, unknown>>;
  /** Routes in place of the one with its name. */
  readonly routes?: readonly object[];
  /** Members of its webhooks, one for each; default: one without any. */
  readonly webhooks?: readonly object[];
  /** Receivers beside the one with its name; their webhooks have the path `<id>/<name>`. */
  readonly receivers?: readonly string[];
  readonly inhibitRules?: readonly object[];
  readonly differences?: readonly Difference[];
  /** Entries that may appear if a look falls between two requests of one phase. */
  readonly passing?: readonly string[];
  /** Equal posts follow each other. */
  readonly repeats?: boolean;
  play(lab: Lab): Promise<void>;
}

/*
 * Differences that no single scenario has; docs/alertmanager.md lists them with those of the scenarios.
 *
 *   times are in UTC with milliseconds         they are compared as instants
 *   `match_re` in group keys                   as it is written; Alertmanager writes `^(?:…)$`
 *   `timedOut: true` of entries                Alertmanager cannot tell that a sender fell silent
 *   a post more or less within a phase         alerts that join are notified at once if the last look is long ago;
 *                                              and a look of one side may fall between two requests
 */

/** Members that Prism's bodies have as Alertmanager has since these versions. */
export const MEMBERS_SINCE: Readonly<Record<string, string>> = { notification_reason: "0.32", routeLabels: "0.34" };

const DAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
/** 25 hours apart, so that no day is today in both. */
const [EAST, WEST] = ["Pacific/Kiritimati", "Pacific/Pago_Pago"];

/** Today and tomorrow in a zone, so that a midnight during the test changes nothing. */
function daysIn(zone: string): string[] {
  const name = new Intl.DateTimeFormat("en", { weekday: "long", timeZone: zone }).format(new Date()).toLowerCase();
  const today = DAYS.indexOf(name);
  return [name, DAYS[(today + 1) % 7] as string];
}

export const TIME_INTERVALS = [
  { name: "always", time_intervals: [{ times: [{ start_time: "00:00", end_time: "24:00" }] }] },
  { name: "past", time_intervals: [{ years: ["2000:2001"] }] },
  { name: "days-east", time_intervals: [{ weekdays: daysIn(EAST), location: EAST }] },
  { name: "days-west", time_intervals: [{ weekdays: daysIn(EAST), location: WEST }] },
];

const of = (id: string, ...more: readonly string[]): string[] => [`scenario="${id}"`, ...more];

/** Targets and sources of inhibition are groups of their own. */
const inhibition = (id: string): Pick<Scenario, "route" | "inhibitRules"> => ({
  route: { group_by: ["group"] },
  inhibitRules: [
    { source_matchers: of(id, 'role=~"source|both"'), target_matchers: of(id, 'role=~"target|both"'), equal: ["zone"] },
  ],
});
const roleOf = (role: string, zone = "z1") => ({ labels: { role, zone, group: role } });

const END_OF_WITHHELD = "its end is sent to everyone who was notified that it fires; Alertmanager leaves it open";
const UTF8 = "label names may be any UTF-8, as in Alertmanager since 0.27";

export const SCENARIOS: readonly Scenario[] = [
  {
    id: "S01",
    title: "an alert fires",
    async play(lab) {
      await lab.fire("a");
      await lab.until({ a: "firing" });
    },
  },
  {
    id: "S02",
    title: "an alert fires and ends",
    async play(lab) {
      await lab.fire("a");
      await lab.until({ a: "firing" });
      await lab.end("a");
      await lab.until({ a: "resolved" });
    },
  },
  {
    id: "S03",
    title: "an alert ends and fires again within the group interval",
    route: { group_interval: "5s" },
    passing: ["a resolved"],
    async play(lab) {
      await lab.fire("a", "b");
      await lab.until({ a: "firing", b: "firing" });
      await lab.end("a");
      await lab.fire("a");
      await lab.look();
      await lab.look();
      await lab.fire("c");
      await lab.until({ a: "firing", b: "firing", c: "firing" });
    },
  },
  {
    id: "S04",
    title: "an alert fires again after its end was sent",
    async play(lab) {
      for (let round = 0; round < 2; round += 1) {
        await lab.fire("a");
        await lab.until({ a: "firing" });
        await lab.end("a");
        await lab.until({ a: "resolved" });
      }
    },
  },
  {
    id: "S05",
    title: "a group grows",
    async play(lab) {
      await lab.fire("a");
      await lab.until({ a: "firing" });
      await lab.fire("b");
      await lab.until({ a: "firing", b: "firing" });
      await lab.fire("c", "d");
      await lab.until({ a: "firing", c: "firing", d: "firing" });
    },
  },
  {
    id: "S06",
    title: "a group shrinks",
    async play(lab) {
      await lab.fire("a", "b", "c");
      await lab.until({ a: "firing", b: "firing", c: "firing" });
      await lab.end("a");
      await lab.until({ a: "resolved", b: "firing" });
      await lab.end("b", "c");
      await lab.until({ b: "resolved", c: "resolved" });
    },
  },
  {
    id: "S07",
    title: "one alert ends and another one joins, one request after the other",
    async play(lab) {
      await lab.fire("a", "b");
      await lab.until({ a: "firing", b: "firing" });
      await lab.end("a");
      await lab.fire("c");
      await lab.until({ a: "resolved", b: "firing", c: "firing" });
    },
  },
  {
    id: "S08",
    title: "a silence that is there before the alert",
    async play(lab) {
      await lab.silence(["n=a"]);
      await lab.fire("a", "b");
      await lab.until({ b: "firing" });
      await lab.fire("c");
      await lab.until({ b: "firing", c: "firing" });
    },
  },
  {
    id: "S09",
    title: "an alert ends while it is silenced",
    differences: [{ side: "prism", pair: "a resolved", reason: END_OF_WITHHELD }],
    async play(lab) {
      await lab.fire("a", "b");
      await lab.until({ a: "firing", b: "firing" });
      await lab.silence(["n=a"]);
      await lab.end("a");
      await lab.fire("c");
      await lab.until({ b: "firing", c: "firing" }, { prism: { a: "resolved" } });
    },
  },
  {
    id: "S10",
    title: "a silence expires",
    async play(lab) {
      const silence = await lab.silence(["n=a"]);
      await lab.fire("a", "b");
      await lab.until({ b: "firing" });
      await lab.expire(silence);
      await lab.until({ a: "firing", b: "firing" });
    },
  },
  {
    id: "S11",
    title: "a pending silence",
    async play(lab) {
      await lab.silence(["n=a"], 3_600_000);
      await lab.fire("a");
      await lab.until({ a: "firing" });
    },
  },
  {
    id: "S12",
    title: "a silence gets other matchers",
    async play(lab) {
      const silence = await lab.silence(["n=a"]);
      await lab.fire("a", "b");
      await lab.until({ b: "firing" });
      await lab.rewrite(silence, ["n=b"]);
      await lab.until({ a: "firing" });
    },
  },
  {
    id: "S13",
    title: "a silence with a pattern",
    async play(lab) {
      await lab.silence(["n=~web-[0-9]+"]);
      await lab.fire("web-1", "web-22", "web-x", "db-1");
      await lab.until({ "web-x": "firing", "db-1": "firing" });
    },
  },
  {
    id: "S14",
    title: "an alert is silenced after it was notified, until the silence ends",
    async play(lab) {
      await lab.fire("a", "b");
      await lab.until({ a: "firing", b: "firing" });
      const silence = await lab.silence(["n=a"]);
      await lab.fire("c");
      await lab.until({ b: "firing", c: "firing" });
      await lab.expire(silence);
      await lab.until({ a: "firing", b: "firing", c: "firing" });
      await lab.untilPosts(3);
    },
  },
  {
    id: "S15",
    title: "a request in which alerts end and others fire",
    async play(lab) {
      await lab.fire("a", "b");
      await lab.until({ a: "firing", b: "firing" });
      lab.change("a", { endsAt: new Date() });
      lab.change("c");
      lab.change("d");
      await lab.send(["a", "c", "d"]);
      await lab.until({ a: "resolved", b: "firing", c: "firing", d: "firing" });
    },
  },
  {
    id: "S16",
    title: "a silence with a negative matcher",
    async play(lab) {
      await lab.silence(["n!=a", "n!~b.*"]);
      await lab.fire("a", "b1", "c");
      await lab.until({ a: "firing", b1: "firing" });
    },
  },
  {
    id: "S17",
    title: "inhibition: the source fires first",
    ...inhibition("S17"),
    async play(lab) {
      lab.change("s", roleOf("source"));
      await lab.send(["s"]);
      await lab.until({ s: "firing" });
      lab.change("t", roleOf("target"));
      lab.change("other", { labels: { role: "target", zone: "z2", group: "target" } });
      await lab.send(["t", "other"]);
      await lab.until({ other: "firing" });
    },
  },
  {
    id: "S18",
    title: "inhibition: source and target fire together",
    ...inhibition("S18"),
    async play(lab) {
      lab.change("t", roleOf("target"));
      lab.change("other", { labels: { role: "target", zone: "z2", group: "target" } });
      lab.change("s", roleOf("source"));
      await lab.send(["t", "other", "s"]);
      await lab.until({ s: "firing", other: "firing" });
    },
  },
  {
    id: "S19",
    title: "inhibition: the source ends, and the target is notified",
    ...inhibition("S19"),
    async play(lab) {
      lab.change("s", roleOf("source"));
      lab.change("t", roleOf("target"));
      await lab.send(["s", "t"]);
      await lab.until({ s: "firing" });
      await lab.end("s");
      await lab.until({ s: "resolved", t: "firing" });
    },
  },
  {
    id: "S20",
    title: "inhibition: alerts that match both sides do not inhibit each other",
    ...inhibition("S20"),
    async play(lab) {
      lab.change("x", roleOf("both"));
      lab.change("y", roleOf("both"));
      lab.change("t", roleOf("target"));
      await lab.send(["x", "y", "t"]);
      await lab.until({ x: "firing", y: "firing" });
      await lab.look();
    },
  },
  {
    id: "S21",
    title: "inhibition: a silenced source inhibits",
    ...inhibition("S21"),
    async play(lab) {
      await lab.silence(["role=source"]);
      lab.change("s", roleOf("source"));
      lab.change("t", roleOf("target"));
      lab.change("other", { labels: { role: "target", zone: "z2", group: "target" } });
      await lab.send(["s", "t", "other"]);
      await lab.until({ other: "firing" });
      await lab.look();
    },
  },
  {
    id: "S22",
    title: "a mute interval",
    route: { mute_time_intervals: ["past", "always"] },
    async play(lab) {
      await lab.fire("a");
      await lab.look();
    },
  },
  {
    id: "S23",
    title: "active intervals",
    receivers: ["active", "inactive"],
    routes: [
      { matchers: of("S23", 'n="a"'), receiver: "S23-active", active_time_intervals: ["past", "always"] },
      { matchers: of("S23", 'n="b"'), receiver: "S23-inactive", active_time_intervals: ["past"] },
    ],
    async play(lab) {
      await lab.fire("a", "b");
      await lab.until({ a: "firing" }, {}, "S23/active");
      await lab.look();
    },
  },
  {
    id: "S24",
    title: "the older matchers match and match_re",
    receivers: ["web"],
    routes: [{ match: { scenario: "S24" }, match_re: { n: "web|db" }, receiver: "S24-web" }],
    async play(lab) {
      await lab.fire("web", "weber");
      await lab.until({ web: "firing" }, {}, "S24/web");
      await lab.look();
    },
  },
  {
    id: "S25",
    title: "the days of two zones",
    receivers: ["east", "west"],
    routes: [
      { matchers: of("S25", 'n="a"'), receiver: "S25-east", mute_time_intervals: ["days-east"] },
      { matchers: of("S25", 'n="b"'), receiver: "S25-west", mute_time_intervals: ["days-west"] },
    ],
    async play(lab) {
      await lab.fire("a", "b");
      await lab.until({ b: "firing" }, {}, "S25/west");
      await lab.look();
    },
  },
  {
    id: "S26",
    title: "a label name with letters outside of ASCII",
    differences: [{ side: "prism", pair: "ä firing", before: "0.27", reason: UTF8 }],
    async play(lab) {
      lab.change("ä", { labels: { größe: "ü" } });
      lab.change("b");
      await lab.send(["ä", "b"], true);
      await lab.until({ b: "firing" }, { prism: { ä: "firing" } });
    },
  },
  {
    id: "S27",
    title: "a label name with dots",
    differences: [{ side: "prism", pair: "a firing", before: "0.27", reason: UTF8 }],
    async play(lab) {
      lab.change("a", { labels: { "service.name": "shop" } });
      lab.change("b");
      await lab.send(["a", "b"], true);
      await lab.until({ b: "firing" }, { prism: { a: "firing" } });
    },
  },
  {
    id: "S28",
    title: "labels with an empty value are none",
    async play(lab) {
      lab.change("a", { labels: { empty: "", zone: "z" } });
      await lab.send(["a"]);
      lab.change("b", { labels: { zone: "z" } });
      await lab.send(["b"]);
      await lab.until({ a: "firing", b: "firing" });
    },
  },
  {
    id: "S29",
    title: "a body in full, with common labels and annotations",
    route: { group_by: ["alertname", "zone", "missing"] },
    async play(lab) {
      const of = (job: string, instance: string) => ({ zone: "z", job, instance, quote: 'a"b\\c\n<&>é' });
      lab.change("a", {
        labels: of("x", "2"),
        annotations: { runbook: "http://r", own: "1" },
        generatorURL: "http://g/a",
      });
      lab.change("b", {
        labels: of("x", "1"),
        annotations: { runbook: "http://r", own: "2" },
        generatorURL: "http://g/b",
      });
      lab.change("c", { labels: { ...of("", ""), job: null, instance: null }, annotations: { runbook: "http://r" } });
      await lab.send(["a", "b", "c"]);
      await lab.until({ a: "firing", b: "firing", c: "firing" });
    },
  },
  {
    id: "S30",
    title: "annotations change",
    async play(lab) {
      await lab.fire("a");
      await lab.until({ a: "firing" });
      lab.change("a", { annotations: { summary: "worse", value: "2" } });
      lab.change("b");
      await lab.send(["a", "b"]);
      await lab.until({ a: "firing", b: "firing" });
    },
  },
  {
    id: "S31",
    title: "the generator URL changes",
    async play(lab) {
      lab.change("a", { generatorURL: "http://p/graph?g0.expr=up%20%3D%3D%200" });
      await lab.send(["a"]);
      await lab.until({ a: "firing" });
      lab.change("a", { generatorURL: "http://q/graph?g0.expr=up" });
      lab.change("b");
      await lab.send(["a", "b"]);
      await lab.until({ b: "firing" });
    },
  },
  {
    id: "S32",
    title: "the end that an alert states passes",
    async play(lab) {
      lab.change("a", { endsAt: new Date(Date.now() + 15_000) });
      await lab.send(["a"]);
      await lab.until({ a: "firing" });
      await lab.until({ a: "resolved" });
    },
  },
  {
    id: "S33",
    title: "a start in the future",
    async play(lab) {
      lab.change("a", { startsAt: new Date(Date.now() + 1_800_000) });
      await lab.send(["a"]);
      await lab.until({ a: "firing" });
    },
  },
  {
    id: "S34",
    title: "an end before the start is refused, the rest of the request is taken",
    async play(lab) {
      lab.change("a", { startsAt: new Date(Date.now() + 60_000), endsAt: new Date() });
      lab.change("b");
      const { alertmanager, prism } = await lab.send(["a", "b"], true);
      if (alertmanager !== prism) throw new Error(`answers ${alertmanager} and ${prism}`);
      await lab.until({ b: "firing" });
      await lab.look();
    },
  },
  {
    id: "S35",
    title: "two senders report the same",
    async play(lab) {
      await lab.fire("a", "a");
      await lab.send(["a"]);
      await lab.until({ a: "firing" });
      await lab.send(["a"]);
      await lab.send(["a"]);
      await lab.look();
      await lab.end("a", "a");
      await lab.send(["a"]);
      await lab.until({ a: "resolved" });
      await lab.look();
    },
  },
  {
    id: "S36",
    title: "a receiver that answers 500 twice",
    async play(lab) {
      lab.refuseNext(2);
      await lab.fire("a");
      await lab.until({ a: "firing" });
    },
  },
  {
    id: "S37",
    title: "alerts without a name",
    async play(lab) {
      lab.change("a", { labels: { alertname: null } });
      lab.change("b", { labels: { alertname: null } });
      await lab.send(["a", "b"]);
      await lab.until({ a: "firing", b: "firing" });
    },
  },
  {
    id: "S38",
    title: "120 alerts in a group",
    async play(lab) {
      const names = Array.from({ length: 120 }, (_, at) => `x${at}`);
      await lab.fire(...names);
      await lab.until(Object.fromEntries(names.map((name) => [name, "firing"])));
      await lab.end(...names);
      await lab.until(Object.fromEntries(names.map((name) => [name, "resolved"])));
    },
  },
  {
    id: "S39",
    title: "an annotation of 20 kB",
    async play(lab) {
      lab.change("a", { annotations: { description: "0123456789abcdef\né".repeat(1100) } });
      await lab.send(["a"]);
      await lab.until({ a: "firing" });
    },
  },
  {
    id: "S40",
    title: "an empty group_by",
    route: { group_by: [] },
    async play(lab) {
      lab.change("a", { labels: { alertname: "S40-1" } });
      lab.change("b", { labels: { alertname: "S40-2" } });
      await lab.send(["a", "b"]);
      await lab.until({ a: "firing", b: "firing" });
    },
  },
  {
    id: "S41",
    title: "group_by of all labels",
    route: { group_by: ["..."] },
    async play(lab) {
      await lab.fire("a", "b");
      await lab.until({ a: "firing", b: "firing" });
      await lab.end("a");
      await lab.until({ a: "resolved", b: "firing" });
    },
  },
  {
    id: "S42",
    title: "nested routes",
    receivers: ["team", "db", "critical"],
    routes: [
      {
        matchers: of("S42"),
        receiver: "S42-team",
        group_by: ["alertname", "n"],
        routes: [
          {
            matchers: ['n=~"db.*"'],
            receiver: "S42-db",
            routes: [{ matchers: ['severity="critical"'], receiver: "S42-critical", group_by: ["severity"] }],
          },
        ],
      },
    ],
    async play(lab) {
      lab.change("db1");
      lab.change("db2", { labels: { severity: "critical" } });
      lab.change("web", { labels: { severity: "critical" } });
      await lab.send(["db1", "db2", "web"]);
      await lab.until({ web: "firing" }, {}, "S42/team");
      await lab.until({ db1: "firing" }, {}, "S42/db");
      await lab.until({ db2: "firing" }, {}, "S42/critical");
    },
  },
  {
    id: "S43",
    title: "routes that continue",
    receivers: ["first", "second", "third"],
    routes: [
      { matchers: of("S43"), receiver: "S43-first", continue: true },
      { matchers: of("S43", "n=a"), receiver: "S43-second" },
      { matchers: of("S43"), receiver: "S43-third" },
    ],
    async play(lab) {
      await lab.fire("a", "b");
      await lab.until({ a: "firing", b: "firing" }, {}, "S43/first");
      await lab.until({ a: "firing" }, {}, "S43/second");
      await lab.until({ b: "firing" }, {}, "S43/third");
      await lab.end("a", "b");
      await lab.until({ a: "resolved", b: "resolved" }, {}, "S43/first");
      await lab.until({ a: "resolved" }, {}, "S43/second");
      await lab.until({ b: "resolved" }, {}, "S43/third");
    },
  },
  {
    id: "S44",
    title: "inhibition: a target that was notified is inhibited, until the source ends",
    ...inhibition("S44"),
    async play(lab) {
      lab.change("t", roleOf("target"));
      lab.change("u", { labels: { role: "target", zone: "z2", group: "target" } });
      await lab.send(["t", "u"]);
      await lab.until({ t: "firing", u: "firing" });
      lab.change("s", roleOf("source"));
      await lab.send(["s"]);
      await lab.until({ s: "firing" });
      lab.change("v", { labels: { role: "target", zone: "z2", group: "target" } });
      await lab.send(["v"]);
      await lab.until({ u: "firing", v: "firing" });
      await lab.end("s");
      await lab.until({ s: "resolved", t: "firing" });
      await lab.untilPosts(5);
    },
  },
  {
    id: "S45",
    title: "the repeat interval",
    repeats: true,
    route: { repeat_interval: "1m" },
    async play(lab) {
      await lab.fire("a");
      await lab.until({ a: "firing" });
      await lab.untilPosts(2);
    },
  },
  {
    id: "S46",
    title: "send_resolved false",
    webhooks: [{ send_resolved: false }],
    async play(lab) {
      await lab.fire("a", "b");
      await lab.until({ a: "firing", b: "firing" });
      await lab.end("a");
      await lab.look();
      await lab.fire("c");
      await lab.until({ b: "firing", c: "firing" });
      await lab.end("b", "c");
      await lab.look();
    },
  },
  {
    id: "S47",
    title: "a receiver with two webhooks",
    webhooks: [{}, {}],
    async play(lab) {
      await lab.fire("a");
      await lab.until({ a: "firing" });
      await lab.until({ a: "firing" }, {}, "S47/1");
      await lab.end("a");
      await lab.until({ a: "resolved" });
      await lab.until({ a: "resolved" }, {}, "S47/1");
    },
  },
  {
    id: "S48",
    title: "max_alerts",
    repeats: true,
    webhooks: [{ max_alerts: 2 }],
    async play(lab) {
      await lab.fire("a", "b", "c", "d");
      await lab.until({ a: "firing", b: "firing" });
      await lab.end("d");
      await lab.untilPosts(2);
    },
  },
  {
    id: "S49",
    title: "an alert that ends before the group wait is over",
    route: { group_wait: "3s" },
    passing: ["a firing", "a resolved"],
    async play(lab) {
      await lab.fire("a");
      await lab.end("a");
      await lab.look();
      await lab.look();
    },
  },
];
