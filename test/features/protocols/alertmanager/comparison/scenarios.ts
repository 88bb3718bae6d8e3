import { of, type Scenario } from "./scenario.ts";
import { WITHHELD } from "./withheld-scenarios.ts";

const UTF8 = "label names may be any UTF-8, as in Alertmanager since 0.27";

export const SCENARIOS: readonly Scenario[] = [
  ...WITHHELD,
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
