import assert from "node:assert/strict";
import test from "node:test";
import { type ClusterLead, noteAppend } from "../../src/cluster/lead/lead.ts";
import { ClusterNotices } from "../../src/features/health/cluster/feature.ts";
import { startPrism } from "../helpers/prism.ts";
import { leadWith } from "./support/lead.ts";

const MINUTE_MS = 60_000;

function keysOf(lead: ClusterLead): string[] {
  return lead.conditions().map(({ key, isDue }) => (isDue ? `${key} due` : key));
}

test("a node that is gone is worth a notice after 5 minutes, until it is heard again", () => {
  const { lead, clock, heard } = leadWith([{}]);
  assert.deepEqual(keysOf(lead), []);
  clock.now += 4 * MINUTE_MS;
  assert.deepEqual(keysOf(lead), ["gone:b"]);
  clock.now += MINUTE_MS;
  assert.deepEqual(keysOf(lead), ["gone:b due"]);
  heard(clock.now);
  assert.deepEqual(keysOf(lead), []);
});

test("a nats-server that is gone, or not current, is a condition; with another node a lost one is not the last", async () => {
  const { lead, clock, heard, servers } = leadWith([{}, { node: "c" }]);
  const server = (name: string, isReachable: boolean, isCurrent: boolean) => ({
    ...{ name, isReachable, isCurrent, isLeader: false },
  });
  servers.push(server("n0", true, true), server("n1", true, false), server("n2", false, false));
  assert.deepEqual(keysOf(lead), []);
  await lead.lookAtServers();
  assert.deepEqual(lead.servers, { current: 1, behind: 1, gone: 1 });
  assert.deepEqual(keysOf(lead), ["server:n1", "server:n2"]);
  clock.now += 5 * MINUTE_MS;
  heard(clock.now);
  assert.deepEqual(
    lead.conditions().map(({ text, isDue }) => [text, isDue]),
    [
      ["The nats-server n1 does not have all of the log yet", true],
      ["The nats-server n2 cannot be reached", true],
    ],
  );
  servers.splice(0, 3, server("n0", true, true));
  await lead.log();
  assert.deepEqual(keysOf(lead), []);
  const two = leadWith([{}, { node: "c", heardAt: 0 }]);
  assert.deepEqual(
    two.lead.conditions().map(({ text }) => text),
    ["The node c is gone"],
  );
});

test("a node that lags 30 s, other versions for a day, a wrong clock and no other node are conditions", () => {
  const { lead, clock, heard } = leadWith([{ version: "0.0.1", skewMs: 900 }]);
  assert.deepEqual(keysOf(lead), ["skew:b", "versions"]);
  clock.now += 24 * 60 * MINUTE_MS;
  heard(clock.now, { behind: 5, recordAt: clock.now - 31_000, skewMs: 0 });
  assert.deepEqual(keysOf(lead), ["lag:b due", "versions due"]);
  const alone = leadWith([]);
  assert.deepEqual(keysOf(alone.lead), ["alone"]);
  alone.clock.now += 5 * MINUTE_MS;
  assert.deepEqual(keysOf(alone.lead), ["alone due"]);
});

test("the live node that has applied most leads next; one that follows only never does", () => {
  const { lead, clock, successor } = leadWith([
    { node: "b", sequence: 90 },
    { node: "c", sequence: 100 },
    { node: "d", sequence: 100, mayLead: false },
  ]);
  assert.equal(lead.standby(undefined), "c");
  assert.equal(lead.standby("b"), "b");
  for (const other of ["a", "d", "e"]) assert.throws(() => lead.standby(other), { code: "NO_STANDBY" });
  assert.throws(() => lead.standby("a"), { message: "The node a leads already" });
  lead.stepDown("b");
  assert.equal(successor.value, "b");
  clock.now += 3000;
  assert.throws(() => lead.standby(undefined), { code: "NO_STANDBY" });
});

test("a leader with a full disk hands over to a node with room, and to no other", () => {
  const { lead, heard, clock, successor } = leadWith([
    { node: "b", sequence: 100, hasRoom: false },
    { node: "c", sequence: 90 },
  ]);
  assert.deepEqual(keysOf(lead), ["room:b"]);
  assert.equal(lead.standby(undefined), "c");
  assert.equal(lead.standby("b"), "b");
  assert.equal(lead.leaveFullDisk(), true);
  assert.equal(successor.value, "c");
  heard(clock.now, { hasRoom: false });
  successor.value = null;
  assert.equal(lead.leaveFullDisk(), false);
  assert.equal(successor.value, null);
});

test("the time without a leader is from its last sign to the first answer", () => {
  const { lead, clock, figures } = leadWith([{}]);
  assert.equal(lead.takeOver, null);
  clock.now += 7800;
  lead.serves();
  assert.deepEqual(lead.takeOver, { at: clock.now, from: "b", withoutLeaderMs: 7800, isHandedOver: false });
  noteAppend(figures, 101, 2);
  assert.equal(lead.sequence, 101);
  assert.equal(lead.appends.sum, 0.002);
  assert.equal(
    lead.appends.counts.reduce((a, b) => a + b),
    1,
  );
});

test("administrators get one notice when a condition has lasted, and one when it is over", async (t) => {
  const prism = await startPrism(t);
  const { lead, clock, heard } = leadWith([{}]);
  const { core, offers } = prism.parts;
  const notices = new ClusterNotices(lead, { ...core, notify: offers.notify });
  const titles = async (): Promise<string[]> => {
    const { body } = await prism.get<{ data: { title: string }[] }>("/api/v1/notifications");
    return body.data.map(({ title }) => title).sort();
  };
  clock.now += 4 * MINUTE_MS;
  await notices.look();
  assert.deepEqual(await titles(), []);
  clock.now += MINUTE_MS;
  await notices.look();
  await notices.look();
  const gone = "The node b is gone: if this machine is lost, nothing takes over";
  assert.deepEqual(await titles(), [gone]);
  heard(clock.now);
  await notices.look();
  await notices.look();
  assert.deepEqual(await titles(), ["The node b is back", gone]);
});

test("another JWT secret, and leaders that were blocked three times, are conditions", () => {
  const { lead, clock, heard } = leadWith([{ keys: { encryption: "1", tokens: "2" }, fenced: 2 }]);
  assert.deepEqual(keysOf(lead), ["tokens:b due"]);
  heard(clock.now, { fenced: 3, keys: { encryption: "1", tokens: "1" } });
  assert.deepEqual(keysOf(lead), ["fenced due"]);
});
