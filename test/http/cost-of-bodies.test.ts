import assert from "node:assert/strict";
import test from "node:test";
import { chanceOf, type Random } from "../helpers/chance.ts";
import { answered, startPrism, type TestPrism } from "../helpers/prism.ts";

/** What the main thread parsed: members of objects and elements of lists, and characters. */
interface Parsed {
  members: number;
  characters: number;
  /** Of the largest text. */
  largest: number;
}

/** Counts what `JSON.parse` reads in this thread, where server and test both run. */
function countParsing(t: test.TestContext): { during(work: () => Promise<unknown>): Promise<Parsed> } {
  const { parse } = JSON;
  let parsed: Parsed | null = null;
  JSON.parse = (text: string, ...more: []): unknown => {
    if (parsed && typeof text === "string") {
      const members = membersOf(text);
      parsed.members += members;
      parsed.characters += text.length;
      parsed.largest = Math.max(parsed.largest, members);
    }
    return parse(text, ...more);
  };
  t.after(() => {
    JSON.parse = parse;
  });
  return {
    async during(work) {
      const own = { members: 0, characters: 0, largest: 0 };
      parsed = own;
      await work();
      parsed = null;
      return own;
    },
  };
}

function membersOf(text: string): number {
  // A text that was cut may end inside a string.
  return text.replace(/"(?:[^"\\]|\\.)*(?:"|$)/g, "").match(/[,{[]/g)?.length ?? 0;
}

const JSON_TYPE = "application/json";
const FORM = "application/x-www-form-urlencoded";

interface Body {
  readonly text: string;
  readonly type: string;
}

const json = (text: string): Body => ({ text, type: JSON_TYPE });
const times = (n: number, part: (i: number) => string): string =>
  Array.from({ length: n }, (_, i) => part(i)).join(",");

/** Bodies of n members, bytes or levels: those of S1 and S7 first. */
const SHAPES: Readonly<Record<string, (n: number) => Body>> = {
  "members of one object": (n) => json(`{${times(n, (i) => `"k${i}":1`)}}`),
  "empty objects": (n) => json(`{"type":"a","a":[${times(n, () => "{}")}]}`),
  "empty lists": (n) => json(`[${times(n, () => "[]")}]`),
  "one long text": (n) => json(`{"type":"a","title":"${"x".repeat(n * 8)}"}`),
  "white space": (n) => json(`{"type":"a"${" ".repeat(n * 8)}}`),
  depth: (n) => json("[".repeat(n * 8)),
  "JSON in JSON": (n) => json(`{"type":"a","Message":${JSON.stringify(`[${times(n, () => "[]")}]`)}}`),
  "JSON in a form": (n) => ({ text: `payload=${encodeURIComponent(`[${times(n, () => "{}")}]`)}`, type: FORM }),
  "fields of a form": (n) => ({ text: times(n, (i) => `k${i}=1`).replaceAll(",", "&"), type: FORM }),
  "JSON in another field": (n) => ({ text: `x=${encodeURIComponent(`{"a":[${times(n, () => "1")}]}`)}`, type: FORM }),
  "broken JSON": (n) => json(`{"a":[${times(n, () => "{}")}`),
};

interface Target {
  readonly path: string;
  /** Members that one request may make the main thread parse at once. */
  readonly most: number;
  readonly headers?: Record<string, string>;
}

async function targetsOf(prism: TestPrism): Promise<Record<string, Target>> {
  const made = async <T>(path: string, body: object): Promise<T> => {
    const reply = await answered(201, prism.post<T>(path, body));
    return reply.body;
  };
  const receiver = async (preset: string, more = {}) => {
    const { url } = await made<{ url: string }>("/api/v1/receivers", { name: preset, preset, ...more });
    return new URL(url).pathname;
  };
  const { key } = await made<{ key: string }>("/api/v1/integrations", { kind: "opsgenie", name: "og" });
  const bearer = { authorization: `Bearer ${prism.adminToken}` };
  // Events keep content of up to 5000 members, which the rules read again.
  const LOOP = 5000;
  return {
    "a receiver": { path: await receiver("generic"), most: LOOP },
    "a receiver of SNS": {
      path: await receiver("cloudwatch", { secret: "arn:aws:sns:eu-west-1:123456789012:alarms" }),
      most: LOOP,
    },
    "a receiver in Slack's form": { path: await receiver("slack"), most: LOOP },
    "a signed receiver": { path: await receiver("github", { secret: "a secret of GitHub" }), most: LOOP },
    "a trial of a rule": { path: "/api/v1/rules/test", most: 20_000, headers: bearer },
    "the API": { path: "/api/v1/rules", most: 20_000, headers: bearer },
    login: { path: "/auth/login", most: 20_000 },
    events: { path: "/api/v1/events", most: 50_000, headers: bearer },
    Alertmanager: { path: "/alertmanager/api/v2/alerts", most: 100_000, headers: bearer },
    PagerDuty: { path: "/v2/enqueue", most: 20_000 },
    Opsgenie: { path: "/opsgenie/v2/alerts", most: 20_000, headers: { authorization: `GenieKey ${key}` } },
    ntfy: { path: "/ntfy/", most: 20_000, headers: bearer },
    "a template of ntfy": { path: "/ntfy/t?template=1&message=x", most: 20_000, headers: bearer },
    "a heartbeat": { path: "/healthchecks/api/v3/checks/", most: 20_000, headers: bearer },
    Gotify: { path: "/gotify/message", most: 20_000, headers: bearer },
  };
}

/** Each body is parsed for reading and for masking. */
const FACTOR = 3;
/** Events that earlier requests stored are read meanwhile. */
const SLACK = 40_000;
const SLACK_CHARACTERS = 2_000_000;

/** Around the limits, far above them, and by chance. */
function sizesOf(random: Random): number[] {
  return [10, 1900, 2100, 21_000, 80_000, random.integer(1, 60_000)];
}

test("cost per member, byte and depth: no request makes the main thread parse more than its limit, nor any part of it many times", async (t) => {
  const random = chanceOf(t);
  const settings = { "rateLimit.enabled": "false", "work.projectMsPerSecond": "10000" };
  const prism = await startPrism(t, {
    settings: { ...settings, "work.creatorMsPerSecond": "10000", "work.allMsPerSecond": "10000" },
  });
  const targets = await targetsOf(prism);
  const counting = countParsing(t);
  for (const [name, { path, most, headers = {} }] of Object.entries(targets))
    for (const [shape, make] of Object.entries(SHAPES))
      for (const n of sizesOf(random)) {
        const { text, type } = make(n);
        const at = `${n} × ${shape} to ${name}`;
        const parsed = await counting.during(async () => {
          const init = { method: "POST", headers: { "content-type": type, ...headers }, body: text };
          const reply = await fetch(`${prism.url}${path}`, init);
          await reply.arrayBuffer();
          assert.notEqual(reply.status, 500, at);
        });
        const members = membersOf(type === FORM ? decodeURIComponent(text) : JSON.stringify(text).replaceAll('"', ""));
        assert.ok(parsed.largest <= most + 100, `${at}: ${parsed.largest} members at once`);
        assert.ok(parsed.members <= FACTOR * most + SLACK, `${at}: ${parsed.members} members in all`);
        assert.ok(parsed.members <= FACTOR * members + SLACK, `${at}: ${parsed.members} of ${members} members`);
        assert.ok(
          parsed.characters <= FACTOR * text.length + SLACK_CHARACTERS,
          `${at}: ${parsed.characters} characters`,
        );
      }
});

test("cost per member: what a body is charged grows with its members, and never less", async (t) => {
  const prism = await startPrism(t, {
    settings: { "work.projectMsPerSecond": "10000", "work.creatorMsPerSecond": "10000" },
  });
  const { work } = prism.parts.core;
  const projectId = prism.parts.offers.defaultProjectId;
  const { url } = (await prism.post<{ url: string }>("/api/v1/receivers", { name: "r", preset: "generic" })).body;
  const path = new URL(url).pathname;
  const chargeOf = async (n: number): Promise<number> => {
    const before = work.useOf(projectId).usedMs;
    const { text } = (SHAPES["members of one object"] as (n: number) => Body)(n);
    const reply = await fetch(`${prism.url}${path}`, {
      method: "POST",
      headers: { "content-type": JSON_TYPE },
      body: text,
    });
    assert.equal(reply.status, 200, await reply.text());
    return work.useOf(projectId).usedMs - before;
  };
  for (const n of [500, 1000, 2000, 10_000, 40_000]) {
    const charged = await chargeOf(n);
    // 2 µs a member and 8 ns a byte, and steps and rows besides.
    assert.ok(charged >= (2 * n) / 1000 - 1 && charged <= (5 * n) / 1000 + 5, `${n} members: ${charged} ms`);
  }
});
