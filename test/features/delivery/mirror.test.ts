import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import type { AlertExplanation } from "../../../src/client/api-types.gen.ts";
import { PRESETS } from "../../../src/features/channels/presets/index.ts";
import type { OutsideChannel } from "../../../src/store/schema.ts";
import { eventually } from "../../helpers/eventually.ts";
import { makeUser } from "../../helpers/people.ts";
import { answered, startPrism, type TestPrism } from "../../helpers/prism.ts";
import { rowsOf } from "../../helpers/tables.ts";
import { valuesOf } from "../../helpers/values.ts";
import { startRecorder } from "../../helpers/webhook-recorder.ts";
import { IncidentWorld, MINUTE } from "../alerts/incidents/support.ts";
import { SERVICES } from "../channels/support/all.ts";
import { startStandIn } from "../channels/support/stand-in.ts";
import { GotifyTest } from "../protocols/gotify/support.ts";
import { NtfyClient } from "../protocols/ntfy/support/api.ts";
import { contractPeer } from "./support/contract-peer.ts";
import { MAIL_CONTRACT } from "./support/mail-peer.ts";
import { MIRRORED_CODE, MIRRORED_JOBS } from "./support/mirror-ways.ts";
import { apnsContract, fcmContract } from "./support/push-peer.ts";
import { pusherPeer } from "./support/pusher-peer.ts";
import type { Peer, SenderContract } from "./support/sender-contract.ts";
import { status } from "./support/web-peer.ts";
import { webPushContract } from "./support/web-push-contract.ts";
import { WEBHOOK_CONTRACT } from "./support/webhook-contract.ts";

type Other = Pick<SenderContract, "peer" | "place">;

/** The other side of each way to people, and what gives a person a target there. A new channel needs a row. */
const PEOPLE: Readonly<Record<OutsideChannel, () => Other>> = {
  email: () => MAIL_CONTRACT,
  fcm: fcmContract,
  apns: apnsContract,
  webpush: webPushContract,
  webhook: () => WEBHOOK_CONTRACT,
  pusher: () => ({ peer: pusherPeer, place: async () => undefined }),
  service: personalChannel,
};

function personalChannel(): Other {
  let url = "";
  return {
    async peer(t) {
      const { server, peer } = await contractPeer(t, { accept: status(204) }, "idempotency-key");
      url = server.url;
      return peer;
    },
    async place(prism, userId) {
      const body = { name: "Ann's", preset: "http", fields: { url } };
      const made = await answered(201, prism.post<{ id: string }>("/api/v1/channels", body));
      await prism.services.db.write((trx) =>
        trx.updateTable("channels").set({ userId }).where("id", "=", made.body.id).execute(),
      );
    },
  };
}

async function setMirror(prism: TestPrism, projectId: string, mirror: object | null): Promise<void> {
  const path = `/api/v1/projects/${projectId}`;
  const { body } = await prism.get<{ version: number }>(path);
  const headers = { "If-Match": `"${body.version}"` };
  const changed = await answered(
    200,
    prism.patch<{ settings: { mirror?: object } }>(`${path}?mayPage=true`, { settings: { mirror } }, { headers }),
  );
  assert.deepEqual(changed.body.settings.mirror ?? null, mirror);
}

async function setSteps(world: IncidentWorld, steps: readonly object[]): Promise<void> {
  const path = `/api/v1/policies/${world.projectId}`;
  const { body } = await world.prism.get<{ version: number }>(path);
  await answered(200, world.prism.put(path, { steps }, { headers: { "If-Match": `"${body.version}"` } }));
}

interface PageFacts {
  readonly kind: string;
  readonly channel: string | null;
  readonly outcome: string;
  readonly note: string | null;
  readonly endedAt: number | null;
}

const pagesOf = (prism: TestPrism): PageFacts[] =>
  rowsOf<PageFacts>(prism, "select kind, channel, outcome, note, endedAt from pages order by id");

/** All pages have ended, at least this many. */
function ended(prism: TestPrism, count: number): Promise<PageFacts[]> {
  return eventually(`${count} pages have ended`, () => {
    const pages = pagesOf(prism);
    return pages.length >= count && pages.every(({ endedAt }) => endedAt !== null) ? pages : null;
  });
}

test("a mirror pages no one by any way to people, its incident goes on as if it had, and its end lets all go", async (t) => {
  const peers: Peer[] = [];
  const contracts = Object.values(PEOPLE).map((make) => make());
  for (const contract of contracts) peers.push(await contract.peer(t));
  const steps = await startRecorder(t);
  const settings = Object.assign({}, ...peers.map((peer) => peer.settings)) as Record<string, string>;
  const world = await IncidentWorld.start(t, settings);
  const { prism, projectId } = world;
  assert.deepEqual([...prism.parts.offers.channels.names].sort(), Object.keys(PEOPLE).sort());
  const { id } = await world.member("ann");
  await world.db.write((trx) =>
    trx.updateTable("users").set({ email: "ann@example.com" }).where("id", "=", id).execute(),
  );
  for (const contract of contracts) await contract.place(prism, id);
  await setSteps(world, [
    { type: "notify", users: ["ann"] },
    { type: "webhook", url: `${steps.url}/step` },
  ]);
  const tell = () =>
    prism.parts.offers.notify.send({
      ...{ title: "Disk full", message: "db-1", recipients: [id], projectId },
      channels: ["in_app", ...prism.parts.offers.channels.names],
    });

  await setMirror(prism, projectId, { from: "oncall", url: "https://oncall.example" });
  const told = await tell();
  const rows = await eventually("all deliveries are decided", () => {
    const found = rowsOf<{ channel: string; state: string; reason: string }>(
      prism,
      "select channel, state, reason from deliveries where notificationId = ? order by channel",
      told.id,
    );
    return found.length === peers.length ? found : null;
  });
  for (const { channel, state, reason } of rows) assert.deepEqual([state, reason], ["skipped", "mirror"], channel);
  await world.fire("A");
  const pages = await ended(prism, peers.length + 1);
  for (const page of pages) assert.deepEqual([page.outcome, page.note], ["skipped", "mirror"], JSON.stringify(page));
  assert.deepEqual([...new Set(pages.map(({ kind }) => kind))].sort(), ["delivery", "webhook"]);
  const incident = await world.only();
  assert.notEqual(incident.reachedAt, null, "its people count as reached: nothing falls back or escalates sooner");
  assert.deepEqual(await world.incidents.unreached(0), []);
  assert.ok((await world.notified()).includes("step ann"), "it is in the app");
  for (const [at, channel] of Object.keys(PEOPLE).entries()) assert.deepEqual(peers[at]?.seen, [], channel);
  assert.deepEqual(steps.posts, []);
  const explained = await prism.get<AlertExplanation>(`/api/v1/explain/incident/${incident.id}?userId=ann`);
  const [story] = explained.body.incidents;
  assert.match(
    explained.body.answer,
    /^1 person would have been notified: ann\. The project is a mirror: nothing was sent\. It is open/,
  );
  assert.deepEqual([story?.user?.notified, story?.user?.mirrored], [false, true]);
  assert.match(
    JSON.stringify(story?.lines),
    /Step 1 would have notified with high urgency: ann \(is named in the step\)\. The project is a mirror: nothing was sent\./,
  );

  await setMirror(prism, projectId, null);
  await world.fire("B");
  const sent = await ended(prism, pages.length + peers.length + 1);
  assert.deepEqual(
    [...new Set(sent.slice(pages.length).map(({ outcome, kind, channel }) => `${outcome} ${channel ?? kind}`))].sort(),
    ["delivered webhook", ...Object.keys(PEOPLE).map((channel) => `delivered ${channel}`)]
      .filter((each, index, all) => all.indexOf(each) === index)
      .sort(),
  );
  for (const [at, channel] of Object.keys(PEOPLE).entries())
    assert.ok((peers[at]?.seen.length ?? 0) > 0, `${channel} would have been heard`);
  assert.equal(steps.posts.length, 1);
});

test("a mirror sends to none of its rooms and services, whichever preset they have, and tests none", async (t) => {
  const world = await IncidentWorld.start(t, { "webhooks.allowPrivateCidrs": "127.0.0.0/8" });
  const { prism, projectId } = world;
  assert.deepEqual(
    [...new Set(SERVICES.map((make) => make().preset))].sort(),
    PRESETS.map(({ name }) => name).sort(),
    "each preset has a stand-in",
  );
  const rooms: { readonly id: string; readonly preset: string; readonly requests: readonly unknown[] }[] = [];
  const seen = new Set<string>();
  for (const make of SERVICES) {
    const service = make();
    const { preset } = service;
    if (seen.has(preset)) continue;
    seen.add(preset);
    const { url, requests } = await startStandIn(t, service);
    const body = { name: preset, preset, fields: service.fields(url), projectId };
    const made = await answered(201, prism.post<{ id: string }>("/api/v1/channels", body));
    rooms.push({ id: made.body.id, preset, requests });
  }
  await setMirror(prism, projectId, { from: "opsgenie" });
  const STEPS = 10;
  let pages = 0;
  for (let from = 0; from < rooms.length; from += STEPS) {
    const some = rooms.slice(from, from + STEPS);
    await setSteps(
      world,
      some.map(({ id }) => ({ type: "channel", id })),
    );
    await world.fire(`A${from}`);
    pages += some.length;
    for (const page of await ended(prism, pages))
      assert.deepEqual([page.outcome, page.note], ["skipped", "mirror"], JSON.stringify(page));
  }
  for (const { id, preset } of rooms) {
    const tried = await prism.post<{ error: { code: string } }>(`/api/v1/channels/${id}/test`, {});
    assert.equal(tried.status, 409, `${preset}: ${tried.text}`);
    await answered(200, prism.post(`/api/v1/channels/${id}/test`, { dryRun: true }));
  }
  await world.pass(MINUTE);
  for (const { preset, requests } of rooms) assert.deepEqual(requests, [], preset);
});

test("each kind of job has its word on how it sends nothing for a mirror", async (t) => {
  const prism = await startPrism(t);
  const { kinds } = prism.parts.offers.runner;
  assert.deepEqual(
    kinds.filter((kind) => MIRRORED_JOBS[kind] === undefined),
    [],
    "a new kind of job needs a row in support/mirror-ways.ts, and a test if it sends",
  );
  assert.deepEqual(
    Object.keys(MIRRORED_JOBS).filter((kind) => !kinds.includes(kind)),
    [],
    "rows of jobs that are gone",
  );
});

/** What opens a connection, by itself or by the client of others. */
const OPENS = new RegExp(
  [
    String.raw`\b(openConnection|connectTo|safeFetchOf|createTransport|callUrl|spawn|requestHttps?|requestThrough)\(`,
    String.raw`new SafeFetch\(|\boutside\([){]|http2"`,
  ].join("|"),
);

test("each file that can open a connection has its word on how it sends nothing for a mirror", () => {
  const root = join(import.meta.dirname, "../../../src/features");
  const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));
  const found = files.filter((name) => OPENS.test(readFileSync(join(root, name), "utf8"))).sort();
  assert.deepEqual(found, Object.keys(MIRRORED_CODE).sort());
});

test("mails of a mirror are not sent: an invitation answers with its link", async (t) => {
  const peer = await MAIL_CONTRACT.peer(t);
  const prism = await startPrism(t, { settings: peer.settings });
  const { defaultProjectId: projectId, enqueueMail } = prism.parts.offers;
  const mail = { to: "bo@example.com", subject: "Status", text: "All is well" };
  const send = (subject: string, of: string | null) =>
    prism.services.db.write((trx) =>
      enqueueMail({ ...mail, subject, projectId: of, expiresAt: Date.now() + 3_600_000 }, trx),
    );
  await setMirror(prism, projectId, { from: "pagerduty" });
  await send("of the mirror", projectId);
  const invite = () =>
    prism.post<{ inviteUrl?: string }>(`/api/v1/projects/${projectId}/members`, {
      ...{ email: "bo@example.com", role: "viewer" },
    });
  const invited = await answered(202, invite());
  assert.match(String(invited.body.inviteUrl), /project-invitation#token=/);
  await send("of the server", null);
  const jobs = await eventually("the mails are decided", () => {
    const rows = rowsOf<{ state: string; result: string }>(
      prism,
      "select state, result from jobs where kind = 'mail' and finishedAt is not null order by seq",
    );
    return rows.length === 2 ? rows : null;
  });
  assert.match(jobs[0]?.result ?? "", /mirror/);
  assert.equal(peer.seen.length, 1);
  assert.match(peer.accepted[0] ?? "", /of the server|All is well/);
  await setMirror(prism, projectId, null);
  assert.equal((await answered(202, invite())).body.inviteUrl, undefined);
  await eventually("the invitation is mailed", () => peer.seen.length === 2);
});

test("rules for all projects do not see the events of a mirror", async (t) => {
  const prism = await startPrism(t);
  const { defaultProjectId: projectId } = prism.parts.offers;
  const ann = await makeUser(prism, "ann", ["User"]);
  const rule = { condition: "event.type == 'disk.full'", targetUsers: [ann.id] };
  const made = await prism.post<{ id: string }>("/api/v1/rules", { ...rule, name: "everywhere", projectId: null });
  assert.equal(made.status, 201, made.text);
  const emit = async (): Promise<string> => {
    const { status: code, text } = await prism.post("/api/v1/events", { type: "disk.full", projectId });
    assert.ok(code < 300, text);
    const [last] = rowsOf<{ id: string }>(prism, "select id from events where type = 'disk.full' order by seq desc");
    return last?.id ?? "";
  };
  await setMirror(prism, projectId, { from: "alertmanager" });
  await emit();
  await setMirror(prism, projectId, null);
  const heard = await emit();
  // Events are decided in their order.
  const notified = await eventually("the later event is decided", () => {
    const rows = rowsOf<{ eventId: string }>(prism, "select eventId from notifications where kind = 'rule'");
    return rows.length > 0 ? rows : null;
  });
  assert.deepEqual(valuesOf(notified, "eventId"), [heard]);
});

test("clients of ntfy and Gotify are not rung for a mirror; what they ask for they get", async (t) => {
  const gotify = await GotifyTest.start(t);
  const { prism } = gotify;
  const { defaultProjectId: projectId, notify } = prism.parts.offers;
  const client = await gotify.client();
  const stream = await gotify.stream(t, client.token);
  const tell = (title: string) =>
    notify.send({ title, message: "m", recipients: [gotify.userId], projectId, channels: ["in_app"] });
  const ntfy = new NtfyClient(prism);
  await ntfy.publish("disks", "first");
  const phone = await ntfy.stream(t, "/disks/json");
  await setMirror(prism, projectId, { from: "gotify" });
  await eventually("the phone is to connect again", () => phone.state !== "open");
  const again = await ntfy.stream(t, "/disks/json");
  await tell("of the mirror");
  await ntfy.publish("disks", "of the mirror");
  await setMirror(prism, projectId, null);
  await tell("later");
  await ntfy.publish("disks", "later");
  await eventually("both hear what is sent later", () => stream.messages.length > 0 && again.text.includes("later"));
  assert.deepEqual(valuesOf(stream.messages, "title"), ["later"]);
  assert.ok(!again.text.includes("of the mirror"));
  assert.match((await ntfy.send("GET", "/disks/json?poll=1&since=all")).text, /of the mirror/);
  assert.match(JSON.stringify(await gotify.list(client.token)), /of the mirror/);
});
