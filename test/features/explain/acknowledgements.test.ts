import assert from "node:assert/strict";
import test from "node:test";
import type { Notification as Row } from "../../../src/client/api-types.gen.ts";
import type { ExplainView } from "../../../src/features/explain/schema.ts";
import { IncidentWorld, MINUTE } from "../alerts/incidents/support.ts";

/** The inbox, the badge and the explanation of the newest notification, as one person reads them. */
async function readBy(world: IncidentWorld, token: string) {
  const inbox = await world.prism.get<{ data: Row[] }>("/api/v1/notifications", { token });
  const badge = await world.prism.get<{ count: number }>("/api/v1/notifications/unread-count", { token });
  const [newest] = inbox.body.data;
  assert.ok(newest, inbox.text);
  const explained = await world.prism.get<ExplainView>(`/api/v1/explain/notification/${newest.id}`, { token });
  assert.equal(explained.status, 200, explained.text);
  const whole = await world.prism.get<ExplainView>(`/api/v1/explain/notification/${newest.id}`);
  return {
    rows: inbox.body.data,
    unread: badge.body.count,
    answer: explained.body.answer,
    incident: explained.body.incident,
    whole: whole.body.answer,
  };
}

test("an acknowledgement of an incident is one of the person's notifications of it: inbox, badge and explain agree", async (t) => {
  const world = await IncidentWorld.start(t);
  const ann = await world.member("ann");
  const bob = await world.member("bob");
  await world.fire("A", { labels: { alertname: "A", host: "a" } });
  await world.fire("B", { labels: { alertname: "A", host: "b" } });
  await world.pass(5 * MINUTE);
  const { id } = await world.only();
  assert.equal((await readBy(world, ann.token)).unread, 2);

  const headers = { token: ann.token };
  assert.equal((await world.prism.post(`/api/v1/incidents/${id}/acknowledge`, {}, headers)).status, 200);
  const at = new Date(world.clock.now()).toISOString();
  const own = await readBy(world, ann.token);
  assert.deepEqual(
    own.rows.map(({ read, acknowledgedBy, me }) => [read, acknowledgedBy, me.acknowledgedAt]),
    [
      [true, [ann.id], at],
      [true, [ann.id], at],
    ],
  );
  assert.equal(own.unread, 0);
  assert.equal(own.answer, `ann was notified (Firing: A, 2 alerts: acknowledged at ${at}).`);
  assert.deepEqual(own.incident?.acknowledgements, [{ userId: ann.id, name: "ann", at }]);
  assert.equal(own.incident?.state, "acknowledged");
  assert.match(own.whole, new RegExp(`1 read it, 1 acknowledged it\\. ann acknowledged the incident, at ${at}\\.$`));

  await t.test("who has not acknowledged it keeps it unread, and reads who has", async () => {
    const other = await readBy(world, bob.token);
    assert.deepEqual(
      other.rows.map(({ read, me }) => [read, me.acknowledgedAt]),
      [
        [false, null],
        [false, null],
      ],
    );
    assert.equal(other.unread, 2);
    assert.match(
      other.answer,
      new RegExp(`^bob was notified \\(.*not delivered yet\\)\\. ann acknowledged the incident, at ${at}\\.$`),
    );
  });

  await t.test("one notification acknowledges the incident, and the person's others", async () => {
    const { rows } = await readBy(world, bob.token);
    const path = `/api/v1/notifications/${rows[1]?.id}/acknowledge`;
    assert.equal((await world.prism.put(path, { note: "On it" }, { token: bob.token })).status, 200);
    const other = await readBy(world, bob.token);
    assert.equal(other.unread, 0);
    assert.ok(other.rows.every(({ me }) => me.acknowledgedAt !== null));
    assert.deepEqual(
      other.incident?.acknowledgements.map(({ name }) => name),
      ["ann", "bob"],
    );
    assert.match(other.whole, /2 acknowledged it\. ann and 1 other acknowledged the incident, at /);
  });

  await t.test("without its acknowledgements it is open, and what people did stays", async () => {
    assert.equal((await world.prism.post(`/api/v1/incidents/${id}/unacknowledge`, {}, headers)).status, 200);
    const again = await world.prism.post(`/api/v1/incidents/${id}/unacknowledge`, {}, headers);
    assert.deepEqual([again.status, /INVALID_STATE.*No one has acknowledged/.test(again.text)], [409, true]);
    const { incident, rows } = await readBy(world, bob.token);
    assert.deepEqual([incident?.state, incident?.acknowledgements], ["open", []]);
    assert.equal(rows.filter(({ me }) => me.acknowledgedAt !== null).length, 2);
  });
});
