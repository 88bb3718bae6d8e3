import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { Metrics } from "../../../../src/core/metrics.ts";
import { type NoticeParts, noticeOf } from "../../../../src/features/channels/notice.ts";
import { type ChannelPreset, type Preset, readPreset, type STEPS } from "../../../../src/features/channels/preset.ts";
import { checkedPreset } from "../../../../src/features/channels/preset-checks.ts";
import { PRESETS } from "../../../../src/features/channels/presets/index.ts";
import {
  type OpenChannel,
  perform,
  Rates,
  type SenderParts,
  type SendOutcome,
} from "../../../../src/features/channels/sending/sender.ts";
import { OutsideHosts, SafeFetch } from "../../../../src/features/delivery/index.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { DISGUISED, disguisedLinks, stringsOf } from "./links.ts";
import { recordedOf } from "./recorded.ts";
import { isBroken, type Reply, type Service, type StandIn, startStandIn } from "./stand-in.ts";

const FAMILY = "👩‍👩‍👧‍👦";
const MENTIONS =
  '@everyone @all @here @channel <!channel> <!here> <@U123> <users/all> @**all** @"all" @"group/admin" .@all @007';
const HOSTILE = "\"quotes\" 'single' \\back <b>bold</b> & {{ field.token }} $(x) ` * _ [a](b)";

const FIRING: NoticeParts = {
  title: "Disk almost full",
  message: "db-1 has 2 % left",
  severity: "critical",
  status: "firing",
  priority: 800,
  key: "incident:0190",
  atMs: Date.UTC(2026, 0, 31, 8, 15),
  url: "https://prism.example.com/dashboard/incidents/0190",
  ackUrl: "https://prism.example.com/account/acknowledge?token=t",
  ackToken: "t".repeat(64),
  hookUrl: "https://prism.example.com/hooks/channels/0198c0de-0000-7000-8000-000000000000",
  facts: [{ title: "host", value: "db-1" }],
  project: "Shop",
};

/** All that every preset must do, checked against a service that speaks its documented protocol. */
export function channelContract(makeService: () => Service): void {
  const { preset: name } = makeService();
  const preset = presetOf(name);
  const run = (title: string, body: (setup: Setup) => Promise<void>): void => {
    test(`${name}: ${title}`, async (t) => body(await setUp(t, preset, makeService())));
  };

  run("a message arrives with its title and text", async ({ standIn, send, service }) => {
    const outcome = await send(FIRING);
    assert.equal(outcome.class, "ok", JSON.stringify(outcome));
    assert.equal(standIn.seen.length, 1);
    assert.match(standIn.seen[0]?.text ?? "", /Disk almost full/);
    if (service.showsMessage !== false) assert.match(standIn.seen[0]?.text ?? "", /db-1 has 2 % left/);
    if (preset.ref) assert.ok(outcome.ref, "the answer's ref is kept");
  });

  run("every recorded answer has its class", async ({ standIn, send }) => {
    for (const answer of recordedOf(name)) {
      const reply: Reply = { status: answer.status, headers: answer.headers ?? {}, body: answer.body };
      // A repetition within one step gets the same answer.
      standIn.next.splice(0, 9, reply, reply, reply, reply);
      const outcome = await send(FIRING, { step: answer.for ?? "send", channel: `recorded-${Math.random()}` });
      const expected = answer.class === "shorten" || answer.class === "plain" ? "dead" : answer.class;
      assert.equal(outcome.class, expected, `${answer.status} ${JSON.stringify(answer.body)}`);
      if (answer.afterMs !== undefined) assert.equal(outcome.afterMs, answer.afterMs);
      if (answer.ref) assert.deepEqual(outcome.ref, answer.ref);
    }
    standIn.next.length = 0;
  });

  run("an answer that names a time pauses the channel until then", async ({ standIn, send, clock }) => {
    const recorded = recordedOf(name).find((answer) => answer.class === "wait" && !answer.for);
    if (!recorded) return;
    standIn.next.push({ status: recorded.status, headers: recorded.headers ?? {}, body: recorded.body });
    const refused = await send(FIRING);
    assert.equal(refused.class, "wait");
    // Without a time in the answer pages go on, at the pauses of their sender.
    if (refused.isGuess) return;
    const before = standIn.requests.length;
    assert.equal((await send(FIRING)).class, "wait");
    assert.equal(standIn.requests.length, before, "no request in the pause");
    clock.advance(refused.afterMs);
    assert.equal((await send(FIRING)).class, "ok");
  });

  run("a repetition with the same id is the same request", async ({ standIn, send, service }) => {
    await send(FIRING, { id: "0190-same" });
    await send(FIRING, { id: "0190-same" });
    const [first, second] = standIn.requests;
    assert.deepEqual([first?.method, first?.path, first?.text], [second?.method, second?.path, second?.text]);
    if (service.isIdempotent) assert.equal(standIn.seen.length, 1);
  });

  run("a resolved alert changes, answers or closes the first message", async ({ standIn, send, service }) => {
    const { ref } = await send(FIRING);
    const resolved: NoticeParts = { ...FIRING, title: "Disk is fine", status: "resolved" };
    for (const step of ["update", "thread", "acknowledge", "resolve"] as const) {
      if (!preset[step]) continue;
      const outcome = await send(resolved, { step, ref: ref ?? undefined });
      assert.equal(outcome.class, "ok", `${step}: ${JSON.stringify(outcome)}`);
      const [first] = standIn.seen;
      if (step === "update") assert.ok(first && first.edits > 0 && first.text.includes("Disk is fine"), first?.text);
      if (step === "thread") assert.equal(standIn.seen.at(-1)?.parent, first?.id);
      if (step === "acknowledge" && service.isIdempotent) assert.equal(first?.state, "acknowledged");
      if (step === "resolve") assert.equal(first?.state, "resolved");
    }
  });

  run("readers do not see an alert that is no longer reported as resolved", async ({ standIn, send }) => {
    const title = "No longer reported: Disk almost full";
    const outcome = await send({ ...FIRING, title, status: "resolved", timedOut: true });
    assert.equal(outcome.class, "ok", JSON.stringify(outcome));
    const { text = "" } = standIn.seen.at(-1) ?? {};
    assert.match(text, /No longer reported: Disk almost full/);
    // Programs read the status, and beside it that it timed out.
    if (name !== "http") assert.doesNotMatch(text, /\bresolved\b|✅|white_check_mark|success/i);
    assert.doesNotMatch(standIn.requests.at(-1)?.text ?? "", /white_check_mark|"success"|"green"|"Good"|16a34a/);
  });

  run("long texts are cut at the service's limits, never within an emoji", async ({ standIn, send }) => {
    for (const filling of ["x".repeat(100_000), "word ".repeat(20_000), FAMILY.repeat(9000), "ü&<".repeat(30_000)]) {
      const facts = Array.from({ length: 40 }, (_, at) => ({ title: `${at} ${filling}`, value: filling }));
      const outcome = await send({ ...FIRING, title: filling, message: filling, facts, project: filling });
      assert.equal(outcome.class, "ok", JSON.stringify(outcome).slice(0, 600));
      const { text = "" } = standIn.seen.at(-1) ?? {};
      assert.ok(!isBroken(text), "a text ends within a character");
      assert.ok(!/\u200d(?!\p{Emoji})/u.test(text.replaceAll("\u200d…", "!")), "an emoji is cut");
    }
  });

  run("mentions in event texts notify no one", async ({ standIn, send }) => {
    const text = `${MENTIONS} end`;
    const outcome = await send({ ...FIRING, title: text, message: text, facts: [{ title: text, value: text }] });
    assert.equal(outcome.class, "ok", JSON.stringify(outcome).slice(0, 400));
    assert.deepEqual(standIn.seen[0]?.mentions, []);
  });

  run("a link whose text differs from its target is text, and a URL stays one", async ({ standIn, send }) => {
    for (const message of DISGUISED) {
      const facts = [{ title: "host", value: message }];
      const outcome = await send({ ...FIRING, title: message.replaceAll("\n", " "), message, facts });
      assert.equal(outcome.class, "ok", JSON.stringify(outcome).slice(0, 400));
      const request = standIn.requests.at(-1);
      assert.ok(request);
      assert.deepEqual(disguisedLinks(name, request), [], message);
    }
    await send({ ...FIRING, message: "See https://wiki.example/Run_book_7?a=b&c=d#e~f" });
    const plain = stringsOf(standIn.requests.at(-1)).join("\n").replaceAll("&amp;", "&");
    if (plain.includes("wiki.example")) assert.match(plain, /https:\/\/wiki\.example\/Run_book_7\?a=b&c=d#e~f/);
  });

  if (name === "home-assistant")
    run("a text is no command to a phone and no template", async ({ standIn, send }) => {
      for (const command of [
        "request_location_update",
        "clear_notification",
        "command_dnd",
        "TTS",
        "{{ states('x') }}",
      ]) {
        const outcome = await send({ ...FIRING, title: command, message: command, facts: [] });
        assert.equal(outcome.class, "ok", JSON.stringify(outcome).slice(0, 400));
        const texts = stringsOf(standIn.requests.at(-1));
        assert.ok(!texts.some((text) => text.trim() === command || text.includes("{{")), command);
      }
    });

  run("no character that turns the direction of text, and no NUL, reaches a service", async ({ standIn, send }) => {
    const text = "Pay \u202egro.elpmaxe\u202c \u2066now\u2069 \u0000end";
    const outcome = await send({ ...FIRING, title: text, message: text, facts: [{ title: text, value: text }] });
    assert.equal(outcome.class, "ok", JSON.stringify(outcome).slice(0, 400));
    assert.doesNotMatch(stringsOf(standIn.requests.at(-1)).join("\n"), /[\0\u202a-\u202e\u2066-\u2069]/);
  });

  run("hostile text stays text", async ({ standIn, send, service }) => {
    const outcome = await send({ ...FIRING, title: `T ${HOSTILE}`, message: `M ${HOSTILE}\r\nX-Injected: 1` });
    assert.equal(outcome.class, "ok", JSON.stringify(outcome).slice(0, 400));
    assert.equal(standIn.requests[0]?.headers["x-injected"], undefined);
    const { text = "" } = standIn.seen[0] ?? {};
    assert.ok(text.includes("{{ field.token }}"), text);
    for (const secret of service.secrets) assert.ok(!text.includes(secret));
  });

  run("secrets are in no part of a result", async ({ standIn, send, service }) => {
    const echo = (status: number): Reply => ({
      status,
      body: { error: service.secrets, url: `${standIn.url}/${service.secrets.map(encodeURIComponent).join("/")}` },
    });
    standIn.next.push(echo(400), echo(400), echo(500), echo(500));
    const outcomes = [await send(FIRING), await send(FIRING, { channel: "other" })];
    standIn.next.length = 0;
    outcomes.push(await send(FIRING, { channel: "third" }));
    for (const outcome of outcomes) requireNoSecret(outcome, service);
  });

  run("a private address is refused and a redirect is not followed", async ({ standIn, send, service, closed }) => {
    const refused = await send(FIRING, { parts: closed, channel: "closed" });
    assert.equal(refused.class, "dead");
    assert.equal(standIn.requests.length, 0);
    standIn.next.push({ status: 302, headers: { Location: `${standIn.url}/other` } });
    const redirected = await send(FIRING);
    assert.equal(redirected.class, "dead");
    assert.equal(standIn.requests.length, 1);
    requireNoSecret(redirected, service);
  });
}

function requireNoSecret(outcome: SendOutcome, { secrets }: Service): void {
  const text = JSON.stringify(outcome);
  for (const secret of secrets)
    for (const form of [secret, encodeURIComponent(secret), Buffer.from(secret).toString("base64")])
      assert.ok(!text.includes(form), `a result holds ${form}: ${text}`);
}

export function presetOf(name: string): Preset {
  const found: ChannelPreset | undefined = PRESETS.find((each) => each.name === name);
  assert.ok(found, `there is no preset ${name}`);
  return checkedPreset(readPreset(found));
}

interface SendHow {
  readonly step?: (typeof STEPS)[number] | undefined;
  readonly id?: string;
  readonly ref?: Readonly<Record<string, string>> | undefined;
  readonly channel?: string;
  readonly parts?: SenderParts;
}

interface Setup {
  readonly standIn: StandIn;
  readonly service: Service;
  readonly clock: FakeClock;
  /** A sender with the default rules for addresses. */
  readonly closed: SenderParts;
  send(parts: NoticeParts, how?: SendHow): Promise<SendOutcome>;
}

async function setUp(t: TestContext, preset: Preset, service: Service): Promise<Setup> {
  const standIn = await startStandIn(t, service);
  const clock = new FakeClock();
  const partsWith = (allowPrivateCidrs: readonly string[]): SenderParts => ({
    fetch: new SafeFetch(new OutsideHosts({ allowsHttp: false, allowPorts: [], allowPrivateCidrs })),
    clock,
    rates: new Rates(clock),
    calls: new Metrics().counter("calls", "Calls"),
  });
  const open = partsWith(["127.0.0.1/32"]);
  // The limit of a channel's rate is a test of its own.
  const quick: Preset = { ...preset, rate: { perSecond: 1000, burst: 1000 } };
  const fields = { ...defaultsOf(preset), ...service.fields(standIn.url) };
  const send = (
    notice: NoticeParts,
    { step = "send", id = "0190-id", ref, channel = "c", parts = open }: SendHow = {},
  ) => {
    const opened: OpenChannel = { id: channel, preset: quick, fields };
    const known = ref ?? (step === "send" ? undefined : refFor(preset));
    return perform(parts, opened, step, { n: noticeOf(notice), id, ref: known });
  };
  return { standIn, service, clock, closed: partsWith([]), send };
}

function refFor({ ref = {} }: Preset): Record<string, string> {
  return Object.fromEntries(Object.keys(ref).map((key) => [key, "1"]));
}

function defaultsOf({ fields }: Preset): Record<string, string> {
  return Object.fromEntries(fields.flatMap(({ key, default: value }) => (value === undefined ? [] : [[key, value]])));
}
