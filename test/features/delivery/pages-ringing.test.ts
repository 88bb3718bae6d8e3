import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { crashImage } from "../../helpers/crash-image.ts";
import { eventually } from "../../helpers/eventually.ts";
import { FakeClock } from "../../helpers/fake-clock.ts";
import { startPrism } from "../../helpers/prism.ts";
import { IncidentWorld, MINUTE } from "../alerts/incidents/support.ts";
import { twilioCalls } from "../channels/presets/twilio.ts";

const SETTINGS = { "webhooks.allowPrivateCidrs": "127.0.0.0/8" };

/** A telephone service: it takes each request whole. */
interface Telephone {
  readonly url: string;
  calls: number;
  /** Without: nothing is answered. */
  status: number | null;
  hangUp(): void;
}

async function telephone(t: TestContext): Promise<Telephone> {
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    request.resume().on("end", () => {
      telephone.calls += 1;
      if (telephone.status !== null) response.writeHead(telephone.status).end(`{"sid":"CA1"}`);
    });
  });
  server.on("connection", (socket) => sockets.add(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    hangUp();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const hangUp = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  const telephone: Telephone = { url: `http://127.0.0.1:${port}`, calls: 0, status: null, hangUp };
  return telephone;
}

const byTwilio = (url: string) => ({ preset: "twilio-voice", fields: twilioCalls().fields(url) });

/** A world whose policy calls the telephone, and an alert. */
async function calling(
  t: TestContext,
  to: Telephone,
  settings: Record<string, string>,
  channel = byTwilio,
): Promise<IncidentWorld> {
  const world = await IncidentWorld.start(t, settings);
  const { prism, projectId } = world;
  const body = { name: "phone", projectId, ...channel(to.url) };
  const made = await prism.post<{ id: string }>("/api/v1/channels", body);
  assert.equal(made.status, 201, made.text);
  const steps = [{ type: "channel", id: made.body.id }];
  assert.equal((await prism.patch(`/api/v1/policies/${projectId}`, { steps })).status, 200);
  await world.fire("A");
  await eventually("the telephone is called", () => to.calls === 1);
  return world;
}

/** Minutes after which the telephone is called, while time passes in steps of 5 s. */
async function callsIn({ prism, clock }: IncidentWorld, to: Telephone, minutes: number): Promise<number[]> {
  const { pages } = prism.parts.offers;
  const startedAt = clock.now();
  const times: number[] = [];
  while (clock.now() < startedAt + minutes * MINUTE) {
    const before = to.calls;
    clock.advance(5000);
    await pages.check();
    await pages.idle();
    if (to.calls > before) times.push(Math.round(((clock.now() - startedAt) / MINUTE) * 2) / 2);
  }
  return times;
}

test("a call whose answer is lost is repeated three times in 15 minutes, and the way fails", async (t) => {
  const to = await telephone(t);
  const world = await calling(t, to, { ...SETTINGS, "delivery.timeouts.answerMs": "400" });
  await world.prism.parts.offers.pages.idle();
  assert.deepEqual(await callsIn(world, to, 20), [0.5, 6.5, 12.5, 18.5]);
  // A repetition of the incident continues the count.
  const page = await world.db.read
    .selectFrom("pages")
    .selectAll()
    .where("endedAt", "is", null)
    .executeTakeFirstOrThrow();
  assert.equal(page.lostAnswers, 5);
  assert.match(page.lastError ?? "", /no answer within 0\.4 s/);
  const failedAfterMs = (page.failedAt ?? 0) - (page.firstAttemptAt ?? 0);
  assert.ok(failedAfterMs >= 45_000 && failedAfterMs <= 50_000, `${failedAfterMs}`);
  to.status = 201;
  assert.deepEqual(await callsIn(world, to, 10), [4.5]);
  const pages = await world.db.read.selectFrom("pages").select("outcome").where("outcome", "=", "delivered").execute();
  assert.equal(pages.length, 1);
});

test("a channel http that rings is repeated as a call, and one that does not as a message", async (t) => {
  const settings = { ...SETTINGS, "delivery.timeouts.answerMs": "400" };
  for (const rings of ["on", "off"]) {
    const to = await telephone(t);
    const world = await calling(t, to, settings, (url) => ({ preset: "http", fields: { url, rings } }));
    await world.prism.parts.offers.pages.idle();
    const calls = await callsIn(world, to, 7);
    assert.deepEqual(rings === "on" ? calls : calls.length > 4, rings === "on" ? [0.5, 6.5] : true, `${calls}`);
  }
});

test("an answer that is an error is no lost one: the call is repeated as usual", async (t) => {
  const to = await telephone(t);
  to.status = 503;
  const world = await calling(t, to, SETTINGS);
  await world.prism.parts.offers.pages.idle();
  assert.equal((await callsIn(world, to, 1)).length, 5, "after 1, 2, 4, 8 and 16 s");
  const page = await world.db.read.selectFrom("pages").selectAll().executeTakeFirstOrThrow();
  assert.equal(page.lostAnswers, 0);
});

test("a kill between the call and its record counts as a lost answer", async (t) => {
  const to = await telephone(t);
  const world = await calling(t, to, SETTINGS);
  const dir = await crashImage(t, world.prism);
  to.hangUp();
  const clock = new FakeClock(world.clock.now());
  const prism = await startPrism(t, { dir, clock, settings: SETTINGS });
  const again = world.of(prism, clock);
  to.status = 201;
  assert.deepEqual(await callsIn(again, to, 10), [0.5]);
  const page = await again.db.read.selectFrom("pages").selectAll().executeTakeFirstOrThrow();
  assert.deepEqual([page.outcome, page.attempts, page.lostAnswers], ["delivered", 2, 2]);
  await prism.stop();
});
