import { of, type Scenario } from "./scenario.ts";

/** Targets and sources of inhibition are groups of their own. */
const inhibition = (id: string): Pick<Scenario, "route" | "inhibitRules"> => ({
  route: { group_by: ["group"] },
  inhibitRules: [
    { source_matchers: of(id, 'role=~"source|both"'), target_matchers: of(id, 'role=~"target|both"'), equal: ["zone"] },
  ],
});

const roleOf = (role: string, zone = "z1") => ({ labels: { role, zone, group: role } });

const END_OF_WITHHELD = "its end is sent to everyone who was notified that it fires; Alertmanager leaves it open";

/** Silences, inhibition and time intervals. */
export const WITHHELD: readonly Scenario[] = [
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
];
