import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { numbersOf } from "./support/live-client.ts";
import { LiveServer, PROTOCOLS, range } from "./support/live-server.ts";

interface MissedPage {
  readonly data: readonly { readonly title: string; readonly offset: number }[];
  readonly nextCursor: string | null;
}

/** Everything that `/notifications/missed` has, page by page. */
async function missed(server: LiveServer, query: string): Promise<MissedPage["data"]> {
  const all: MissedPage["data"][number][] = [];
  for (let cursor: string | null = ""; cursor !== null; ) {
    const path: string = `/api/v1/notifications/missed?limit=7&${query}${cursor ? `&cursor=${cursor}` : ""}`;
    const { body }: { body: MissedPage } = await server.prism.get<MissedPage>(path);
    all.push(...body.data);
    cursor = body.nextCursor;
  }
  return all;
}

for (const protocol of PROTOCOLS.filter(({ resumes }) => resumes === false)) {
  test(`S2-131: ${protocol.name} resumes nothing: a client that was away, over a restart too, reads missed notifications over HTTP, in order`, async (t) => {
    const server = await LiveServer.start(t);
    await server.feed.publish(3);
    const client = await server.connect(protocol, { from: "earliest" });
    await server.feed.publish(2);
    await eventually("what comes live", () => numbersOf(client).length >= 2);
    assert.deepEqual(numbersOf(client), [4, 5]);

    const handled = await server.notifications.publish(4);
    await server.restart();
    await server.notifications.publish(30);
    const away = await missed(server, `since=${handled}`);
    assert.deepEqual(
      away.map(({ title }) => Number(title)),
      range(5, 34),
    );
    const offsets = away.map(({ offset }) => offset);
    assert.ok(offsets.every((offset) => offset > handled));
    assert.deepEqual(
      offsets,
      offsets.toSorted((a, b) => a - b),
    );

    // The notifications have had no follower, so none of them counts as delivered until it is read
    // here.
    assert.equal((await missed(server, "ack=true")).length, 34);
    await server.notifications.publish();
    const isDone = async () => (await missed(server, "")).map(({ title }) => title).join() === "35";
    await eventually("what was read counts as delivered", isDone);
  });
}
