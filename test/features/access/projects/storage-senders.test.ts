import assert from "node:assert/strict";
import test from "node:test";
import { makeUser } from "../../../helpers/people.ts";
import { answered, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { scalarOf } from "../../../helpers/tables.ts";

interface Answer {
  id: string;
  apiKey: string;
  url: string;
  data?: { status: string }[];
  error?: { code: string };
}

const LIMIT = 1_048_576;
const SETTINGS = { "limits.storageBytesPerProject": String(LIMIT), "ingest.maxEventBytes": "262144" };
const SECRET = "the secret of the sender";

async function startWith(t: test.TestContext, settings: Record<string, string> = {}) {
  const prism = await startPrism(t, { settings: { ...SETTINGS, ...settings, "rateLimit.enabled": "false" } });
  const { token } = await makeUser(prism, "olga", ["User"]);
  const { body: project } = await prism.post<Answer>("/api/v1/projects", { name: "shop" }, { token });
  return { prism, token, project };
}

const outcomeOf = ({ status, body }: { status: number; body: Answer }) =>
  body.error ? `${status} ${body.error.code}` : String(status);

const send = async (prism: TestPrism, apiKey: string, bytes = 10) =>
  outcomeOf(await prism.post<Answer>("/api/v1/events", { type: "a", payload: { x: "x".repeat(bytes) } }, { apiKey }));

const fire = async (prism: TestPrism, apiKey: string, key: string) =>
  outcomeOf(await prism.post<Answer>("/api/v1/alerts", { alerts: [{ key, labels: { alertname: key } }] }, { apiKey }));

const bytesOf = (prism: TestPrism, id: string) => prism.parts.offers.projects.storage.bytesOf(id);

test("an owner's full project ends neither events nor alerts of the others", async (t) => {
  const { prism, token, project } = await startWith(t);
  const { body: trap } = await prism.post<Answer>("/api/v1/projects", { name: "trap" }, { token });
  await send(prism, trap.apiKey);
  for (let n = 0; n < 5; n++) assert.equal(await send(prism, trap.apiKey, 200_000), "202");
  const labels = { x: "x".repeat(16_000) };
  for (let n = 0; n < 100 && bytesOf(prism, trap.id) < 2 * LIMIT; n++) {
    const alerts = [{ key: `k${n}`, labels: { alertname: "A", ...labels } }];
    await prism.post("/api/v1/alerts", { alerts }, { apiKey: trap.apiKey });
  }
  assert.equal(await fire(prism, trap.apiKey, "new"), "507 STORAGE_LIMIT_REACHED", "of the full project");
  assert.equal(await send(prism, project.apiKey), "202", "an event of the other one");
  assert.equal(await fire(prism, project.apiKey, "new"), "200");
  const { body: made } = await prism.post<Answer>(
    "/api/v1/receivers",
    { projectId: project.id, name: "r", preset: "generic" },
    { token },
  );
  const received = await prism.post<Answer>(
    new URL(made.url).pathname,
    { status: "firing", key: "disk", title: "Disk" },
    { token: null },
  );
  assert.equal(received.status, 200, received.text);
});

test("senders that only know a URL fill nine tenths, and leave the rest to keys and to senders with a secret", async (t) => {
  const { prism, token, project } = await startWith(t);
  const { apiKey } = project;
  const receiverWith = async (more: object) => {
    const given = { projectId: project.id, preset: "generic", mapping: { output: "both" }, ...more };
    const made = await answered(201, prism.post<Answer>("/api/v1/receivers", given, { token }));
    const path = new URL(made.body.url).pathname;
    return async (body: object, query = "") =>
      outcomeOf(await prism.post<Answer>(`${path}${query}`, body, { token: null }));
  };
  const [open, signed] = [await receiverWith({ name: "open" }), await receiverWith({ name: "signed", secret: SECRET })];
  const proof = `?token=${encodeURIComponent(SECRET)}`;
  const text = { title: "x", message: "x".repeat(14_000) };
  let last = "";
  for (let n = 0; n < 100 && !last.startsWith("507"); n++) last = await open(text);
  assert.equal(last, "507 STORAGE_LIMIT_REACHED");
  assert.ok(bytesOf(prism, project.id) < LIMIT * 0.95, String(bytesOf(prism, project.id)));
  assert.equal(await send(prism, apiKey), "202");
  assert.equal(await signed(text, proof), "200");

  const firing = (key: string) => ({ status: "firing", key, title: "Disk", message: "x".repeat(9000) });
  const events = () => scalarOf<number>(prism, "select count(*) from events where source in ('open', 'signed')") ?? 0;
  const before = events();
  assert.equal(await open(firing("early")), "200", "its alerts come until the limit");
  assert.equal(events(), before, "without their events");
  assert.equal(scalarOf(prism, "select annotations from alerts where key like '%:early'"), "{}");
  while (bytesOf(prism, project.id) < LIMIT) assert.equal(await send(prism, apiKey, 60_000), "202");
  assert.equal(await open(firing("late")), "507 STORAGE_LIMIT_REACHED");
  assert.equal(await open({ status: "resolved", key: "early", title: "Disk" }), "200", "an end");
  assert.equal(await signed(firing("signed"), proof), "200");
  assert.equal(events(), before + 1, "from the reserve");
  assert.equal(await fire(prism, apiKey, "key"), "200");
});

test("Alertmanager's API answers 507 above the storage limit, so that the sender repeats", async (t) => {
  const { prism, token, project } = await startWith(t);
  const post = (alerts: object[]) =>
    prism.post<{ message: string }>("/alertmanager/shop/api/v2/alerts", alerts, { token });
  const labels = { x: "x".repeat(16_000) };
  for (let n = 0; n < 200 && bytesOf(prism, project.id) < 2 * LIMIT; n++)
    await post([{ labels: { alertname: `A${n}`, ...labels } }]);
  const refused = await post([{ labels: { alertname: "New" } }, { labels: {} }]);
  assert.deepEqual([refused.status, /storageBytesPerProject/.test(refused.text)], [507, true], refused.text);
  assert.equal((await post([{ labels: { alertname: "A0", ...labels } }])).status, 200, "a repetition");
  assert.equal((await post([{ labels: {} }])).status, 400, "an alert that never fits");
});
