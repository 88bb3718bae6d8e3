import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../helpers/eventually.ts";
import { startPrism, type TestPrism } from "../../helpers/prism.ts";
import { RawConnection, requestText } from "../../http/support/raw-connection.ts";

interface EventPage {
  readonly data: readonly { readonly seq: number }[];
  readonly nextCursor: string | null;
  readonly error?: { readonly code: string };
}

const MEBIBYTE = 1_048_576;
const PATH = "/api/v1/events";
const EVENTS = 30;

/** Thirty events of 200 KB, and one small one. */
async function store(prism: TestPrism): Promise<void> {
  const large = { type: "large", payload: { text: "x".repeat(200_000) } };
  for (let i = 0; i < 3; i++)
    await prism.post(
      PATH,
      Array.from({ length: EVENTS / 3 }, () => large),
    );
  await prism.post(PATH, { type: "small" });
}

test("a page of events ends at 4 MiB, and its cursors lead over every event once", async (t) => {
  const prism = await startPrism(t);
  await store(prism);
  const seqs: number[] = [];
  let pages = 0;
  for (let cursor: string | null = ""; cursor !== null; pages++) {
    const after: string = cursor === "" ? "" : `&cursor=${cursor}`;
    const { status, body, text } = await prism.get<EventPage>(`${PATH}?limit=1000${after}`);
    assert.equal(status, 200);
    assert.ok(text.length <= 4.1 * MEBIBYTE, `${text.length} bytes`);
    seqs.push(...body.data.map(({ seq }) => seq));
    cursor = body.nextCursor;
  }
  assert.equal(pages, 2);
  assert.equal(new Set(seqs).size, EVENTS + 1);
  const sorted = [...seqs].sort((a, b) => b - a);
  assert.deepEqual(seqs, sorted);
  const exported = await prism.get(`${PATH}/export`);
  assert.equal(exported.text.trim().split("\n").length, EVENTS + 1);
});

test("a page by number that would be larger is refused, and leaves no event out when it fits", async (t) => {
  const prism = await startPrism(t);
  await store(prism);
  const refused = await prism.get<EventPage>(`${PATH}?page=1&limit=31`);
  assert.deepEqual([refused.status, refused.body.error?.code], [400, "VALIDATION_FAILED"]);
  const seqs: number[] = [];
  for (let page = 1; page <= 4; page++) {
    const { body } = await prism.get<EventPage>(`${PATH}?page=${page}&limit=10`);
    seqs.push(...body.data.map(({ seq }) => seq));
  }
  assert.equal(new Set(seqs).size, EVENTS + 1);
});

test("clients that never read hold a share of the budget at most, and give it back when they go", async (t) => {
  const prism = await startPrism(t, {
    settings: { "ingest.highWaterBytes": String(32 * MEBIBYTE), "rateLimit.enabled": "false" },
  });
  const { bodies } = prism.parts.core;
  await store(prism);
  const request = requestText("GET", `${PATH}?limit=1000`, [`Authorization: Bearer ${prism.adminToken}`]);
  const idle: RawConnection[] = [];
  for (let i = 0; i < 12; i++) {
    const connection = await RawConnection.open(t, prism.app.port);
    connection.pause();
    connection.send(request);
    idle.push(connection);
  }
  await eventually("answers are held", () => bodies.bufferedBytes > 12 * MEBIBYTE);
  await eventually("all are answered or refused", () => bodies.bufferedBytes <= 16.5 * MEBIBYTE);
  const { body } = await prism.post<{ apiKey: string }>("/api/v1/projects", { name: "other" });
  assert.equal((await prism.get(`${PATH}?limit=1000`, { apiKey: body.apiKey })).status, 200);
  for (const connection of idle) connection.destroy();
  await eventually("nothing is held any more", () => bodies.bufferedBytes === 0);
});
