import assert from "node:assert/strict";
import { test } from "node:test";
import { makeUser } from "../../../helpers/people.ts";
import { answered } from "../../../helpers/prism.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { IncidentWorld, MINUTE } from "./support.ts";

const DAY = 86_400_000;
const LONG = { "auth.accessExpires": "30d" };

interface Earlier {
  readonly days: number;
  readonly count: number;
  readonly medianMs: number | null;
  readonly isCut: boolean;
  readonly last: readonly {
    readonly id: string;
    readonly number: number;
    readonly openedAt: string;
    readonly resolvedBy: string;
    readonly resolvedByName: string | null;
    readonly acknowledgedBy: readonly { readonly name: string }[];
    readonly note: string | null;
  }[];
}

type Labels = Readonly<Record<string, string>>;

async function newest({ prism }: IncidentWorld): Promise<string> {
  const { body } = await prism.get<{ data: { id: string }[] }>("/api/v1/incidents?limit=1");
  return body.data[0]?.id ?? "";
}

async function earlier({ prism }: IncidentWorld, id: string, token?: string): Promise<Earlier> {
  const path = `/api/v1/incidents/${id}/earlier`;
  return (await answered(200, prism.get<Earlier>(path, token === undefined ? {} : { token }))).body;
}

/** An incident that a person resolves after this time. */
async function happened(world: IncidentWorld, labels: Labels, lasting: number): Promise<string> {
  await world.fire("x", { key: `k${world.clock.now()}`, labels });
  const id = await newest(world);
  await world.pass(lasting);
  await answered(200, world.prism.post(`/api/v1/incidents/${id}/resolve`, {}));
  return id;
}

test("an incident says how often the same happened in 30 days, how long it took, and what became of the last ones", async (t) => {
  const world = await IncidentWorld.start(t, LONG);
  const { prism } = world;
  const ann = await world.member("ann");
  const old = await happened(world, { alertname: "DiskFull", instance: "db-1" }, MINUTE);
  await world.db.write((trx) =>
    trx
      .updateTable("incidents")
      .set({ openedAt: world.clock.now() - 31 * DAY })
      .where("id", "=", old)
      .execute(),
  );
  for (const minutes of [10, 12, 14, 16, 18, 50]) {
    await world.fire("x", { key: `${minutes}`, labels: { alertname: "DiskFull", instance: `db-${minutes}` } });
    const id = await newest(world);
    if (minutes > 14) await answered(200, prism.post(`/api/v1/incidents/${id}/acknowledge`, {}, { token: ann.token }));
    await world.pass(minutes * MINUTE);
    if (minutes === 50) {
      for (const text of ["Looking", "Logs were not rotated"])
        await answered(200, prism.post(`/api/v1/incidents/${id}/notes`, { text }));
    }
    await answered(200, prism.post(`/api/v1/incidents/${id}/resolve`, {}, { token: ann.token }));
    await happened(world, { alertname: "HighLatency" }, MINUTE);
    await world.pass(DAY);
  }
  await world.fire("x", { key: "now", labels: { alertname: "DiskFull", instance: "db-9" } });
  const id = await newest(world);
  const found = await earlier(world, id);
  assert.deepEqual(
    [found.days, found.count, found.medianMs, found.isCut],
    [30, 6, 15 * MINUTE, false],
    "the one of 31 days ago and others do not count",
  );
  assert.equal(found.last.length, 5);
  const [last, ...others] = found.last;
  assert.deepEqual(
    [last?.resolvedBy, last?.resolvedByName, last?.note, valuesOf(last?.acknowledgedBy ?? [], "name")],
    [ann.id, "ann", "Logs were not rotated", ["ann"]],
  );
  assert.equal(others[3]?.note, null);
  assert.deepEqual(others[3]?.acknowledgedBy, []);
  const starts = found.last.map(({ openedAt }) => Date.parse(openedAt));
  assert.deepEqual(
    starts,
    starts.toSorted((a, b) => b - a),
  );
  const first = found.last[4];
  const { body } = await prism.get<{ data: { id: string }[] }>(`/api/v1/incidents?number=${first?.number}`);
  assert.equal((await earlier(world, body.data[0]?.id ?? "")).count, 1, "later ones do not count for it");
});

test("what a route groups by something else is told apart by the name of the alert, and parallel policies count once", async (t) => {
  const world = await IncidentWorld.start(t, LONG);
  const { prism } = world;
  await answered(201, prism.post("/api/v1/policies", { name: "Second", steps: [{ type: "notify", members: true }] }));
  const matchers = ['cluster=~".+"'];
  const routes = [
    { matchers, policy: "Second", groupBy: ["cluster"], continue: true },
    { matchers, policy: "default", groupBy: ["cluster"] },
  ];
  await answered(200, prism.put("/api/v1/routes", { route: { policy: "default", groupWaitMs: 0, routes } }));
  const ended = async (labels: Labels) => {
    await world.fire("x", { key: `k${world.clock.now()}`, labels });
    await world.pass(MINUTE);
    const { body } = await prism.get<{ data: { id: string }[] }>("/api/v1/incidents?state=unresolved");
    assert.equal(body.data.length, 2);
    await answered(200, prism.post("/api/v1/incidents/resolve", { ids: valuesOf(body.data, "id") }));
    await world.pass(MINUTE);
    return body.data;
  };
  await ended({ alertname: "Lag", cluster: "main" });
  await ended({ alertname: "Down", cluster: "main" });
  await ended({ alertname: "Lag", cluster: "other" });
  const last = await ended({ alertname: "Lag", cluster: "main" });
  assert.deepEqual(await Promise.all(last.map(async ({ id }) => (await earlier(world, id)).count)), [1, 1]);
});

test("incidents that people opened or that moved are no earlier occurrence", async (t) => {
  const world = await IncidentWorld.start(t, LONG);
  const { prism } = world;
  await world.member("ann");
  const moved = await happened(world, { alertname: "DiskFull" }, MINUTE);
  await world.db.write((trx) =>
    trx.updateTable("incidents").set({ resolvedBy: "moved" }).where("id", "=", moved).execute(),
  );
  const page = { title: "DiskFull", users: ["ann"] };
  const { body } = await answered(201, prism.post<{ id: string }>("/api/v1/incidents", page));
  assert.equal((await earlier(world, body.id)).count, 0);
  await answered(200, prism.post(`/api/v1/incidents/${body.id}/resolve`, {}));
  await world.fire("DiskFull", { labels: { alertname: "DiskFull" } });
  const found = await earlier(world, await newest(world));
  assert.deepEqual([found.count, found.medianMs, found.last], [0, null, []]);
});

test("a paged person without a role learns how often, and reads only the earlier ones of which the person was notified", async (t) => {
  const world = await IncidentWorld.start(t, LONG);
  const { prism } = world;
  const [paged, other] = [await makeUser(prism, "paged", ["User"]), await makeUser(prism, "other", ["User"])];
  const keeper = await world.member("keeper");
  const policy = (users: readonly string[]) => ({ steps: [{ type: "notify", users }] });
  const disks = { name: "Disks", ...policy([keeper.id]) };
  const made = await answered(201, prism.post<{ id: string }>("/api/v1/policies", disks));
  await answered(200, prism.put("/api/v1/routes", { route: { policy: "Disks", groupWaitMs: 0 } }));
  await happened(world, { alertname: "A" }, MINUTE);
  await world.pass(MINUTE);
  await answered(200, prism.patch(`/api/v1/policies/${made.body.id}`, policy([keeper.id, paged.id])));
  const own = await happened(world, { alertname: "A" }, MINUTE);
  await world.pass(MINUTE);
  await world.fire("A", { labels: { alertname: "A" } });
  const id = await newest(world);
  assert.equal((await earlier(world, id, keeper.token)).last.length, 2);
  const seen = await earlier(world, id, paged.token);
  assert.equal(seen.count, 2);
  assert.deepEqual(valuesOf(seen.last, "id"), [own]);
  await answered(404, prism.get(`/api/v1/incidents/${id}/earlier`, { token: other.token }));
  await answered(404, prism.get("/api/v1/incidents/0198c0de-0000-7000-8000-000000000000/earlier"));
});

test("an incident has the times of silences that kept it quiet, and when each person has seen it", async (t) => {
  const world = await IncidentWorld.start(t, LONG);
  const { prism } = world;
  const ann = await world.member("ann");
  const silence = { matchers: ['instance="db-2"'], durationMs: 10 * MINUTE, comment: "Disks are exchanged" };
  const { body } = await answered(201, prism.post<{ id: string }>("/api/v1/silences", silence));
  const from = world.clock.now();
  await world.fire("x", { labels: { alertname: "DiskFull", instance: "db-2" } });
  const id = await newest(world);
  interface Detail {
    readonly silences: readonly {
      readonly id: string;
      readonly spans: readonly { startsAt: string; endsAt: string }[];
    }[];
    readonly audience: readonly { readonly userId: string; readonly seenAt: string | null }[];
  }
  const detail = async () => (await answered(200, prism.get<Detail>(`/api/v1/incidents/${id}`))).body;
  const span = { startsAt: new Date(from).toISOString(), endsAt: new Date(from + 10 * MINUTE).toISOString() };
  assert.deepEqual((await detail()).silences, [{ id: body.id, spans: [span] }]);
  await world.pass(20 * MINUTE);
  const later = await detail();
  assert.deepEqual(later.silences, [{ id: body.id, spans: [span] }], "it stays in the picture after its end");
  assert.equal(later.audience.find(({ userId }) => userId === ann.id)?.seenAt, null);
  const { body: own } = await prism.get<{ data: { id: string }[] }>("/api/v1/notifications", { token: ann.token });
  await answered(200, prism.patch(`/api/v1/notifications/${own.data[0]?.id}/read`, {}, { token: ann.token }));
  const seen = (await detail()).audience.find(({ userId }) => userId === ann.id);
  assert.equal(seen?.seenAt, new Date(world.clock.now()).toISOString());
});
