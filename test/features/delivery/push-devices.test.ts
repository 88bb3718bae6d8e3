import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { PushChannel } from "../../../src/features/channels/push/channel.ts";
import type { PushMessage } from "../../../src/features/channels/push/message.ts";
import { type Accepted, type ChannelCalls, ProviderDown, TargetGone } from "../../../src/features/delivery/channel.ts";
import { eventually } from "../../helpers/eventually.ts";
import { type Device, failureOf, notificationOf, PushWorld, send } from "./support/push-world.ts";

/** A provider that takes everything, but for some tokens. */
class Provider implements ChannelCalls<PushMessage> {
  readonly isConfigured = true;
  readonly bad = new Set<string>();
  readonly sent: string[] = [];
  /** Runs while the provider thinks. */
  meanwhile: () => Promise<void> = async () => undefined;

  async call({ token }: PushMessage): Promise<Accepted> {
    this.sent.push(token);
    await this.meanwhile();
    if (this.bad.has(token)) throw new TargetGone("404 UNREGISTERED");
    return {};
  }
}

interface Given {
  readonly provider: Provider;
  readonly world: PushWorld;
  readonly sender: PushChannel;
}

function given(t: TestContext): Given {
  const [provider, world] = [new Provider(), new PushWorld(t)];
  const sender = new PushChannel("fcm", provider, world.parts);
  t.after(() => sender.close());
  return { provider, world, sender };
}

async function devices(world: PushWorld, count: number): Promise<Device[]> {
  const owner = await world.user();
  const made: Device[] = [];
  for (let at = 0; at < count; at++) made.push(await world.device("fcm", owner));
  return made;
}

test("a user is reached at each device of the kind that is not disabled", async (t) => {
  const { world, sender, provider } = given(t);
  const first = await world.device("fcm");
  const second = await world.device("fcm", first.userId);
  const gone = await world.device("fcm", first.userId);
  await world.device("apns", first.userId);
  const other = await world.device("fcm");
  provider.bad.add(gone.token);
  await world.sendAndNote(sender, gone);
  const many = Array.from({ length: 1200 }, (_, at) => `nobody ${at}`);
  const found = await sender.targets(
    [first.userId, ...many, other.userId],
    notificationOf({}, 0),
    world.store.database.read,
  );
  const expected = [first, second, other].map(({ id, userId }) => ({ userId, target: id }));
  assert.deepEqual(found, expected);
});

test("a dead token disables its device, and profiles say so at once", async (t) => {
  const { world, sender, provider } = given(t);
  const device = await world.device("fcm");
  provider.bad.add(device.token);
  const error = await world.sendAndNote(sender, device);
  assert.ok(error instanceof TargetGone);
  assert.equal(await world.isDisabled(device), true);
  assert.deepEqual(world.effects, [{ type: "answers-changed", of: "profile", userId: device.userId }]);
  assert.ok((await failureOf(send(sender, world.attempt(device)))) instanceof TargetGone);
  assert.equal(provider.sent.length, 1, "nothing more is sent to it");
});

test("a device that is registered again while the provider thinks is kept", async (t) => {
  const { world, sender, provider } = given(t);
  const device = await world.device("fcm");
  provider.bad.add(device.token);
  provider.meanwhile = async () => {
    world.clock.advance(1);
    await world.registerAgain(device);
  };
  assert.ok((await world.sendAndNote(sender, device)) instanceof TargetGone);
  assert.equal(await world.isDisabled(device), false);
});

test("when more than half of the last 50 tokens are bad, the provider is paused and no device is disabled", async (t) => {
  const { world, sender, provider } = given(t);
  const all = await devices(world, 70);
  const [good, bad] = [all.slice(0, 40), all.slice(40)];
  for (const { token } of bad) provider.bad.add(token);
  for (const device of good) assert.equal(await world.sendAndNote(sender, device), null);
  const outcomes: (Error | null)[] = [];
  for (const device of bad) outcomes.push(await world.sendAndNote(sender, device));
  assert.ok(outcomes.slice(0, 25).every((error) => error instanceof TargetGone));
  assert.ok(outcomes.slice(25).every((error) => error instanceof ProviderDown));
  assert.match(outcomes.at(-1)?.message ?? "", /404 UNREGISTERED, like most recent tokens/);
  for (const device of bad) assert.equal(await world.isDisabled(device), false, "those of before are back, too");

  await t.test("a verdict that was on its way meanwhile does not count either", async () => {
    const [device] = bad;
    assert.ok(device);
    await world.store.database.write((trx) => sender.disable(device.id, trx));
    assert.equal(await world.isDisabled(device), false);
  });

  await t.test("once the provider takes tokens again, single bad ones are believed", async () => {
    provider.bad.clear();
    for (const device of bad) assert.equal(await world.sendAndNote(sender, device), null);
    const [device] = good;
    assert.ok(device);
    provider.bad.add(device.token);
    assert.ok((await world.sendAndNote(sender, device)) instanceof TargetGone);
    assert.equal(await world.isDisabled(device), true);
  });
});

test("the words about one device count once, however often it is tried", async (t) => {
  const { world, sender, provider } = given(t);
  const [device] = await devices(world, 1);
  assert.ok(device);
  provider.bad.add(device.token);
  for (let at = 0; at < 30; at++) {
    assert.ok((await world.sendAndNote(sender, device)) instanceof TargetGone);
    await world.registerAgain(device);
  }
});

test("when a device was last used is noted once a day", async (t) => {
  const { world, sender } = given(t);
  const device = await world.device("fcm");
  const usedAt = async (): Promise<number | null> => (await world.row(device)).lastUsedAt;
  const first = world.clock.now();
  await send(sender, world.attempt(device));
  await eventually("it is noted", async () => (await usedAt()) === first);
  world.clock.advance(86_400_000 - 1);
  const commits = world.store.commits.length;
  await send(sender, world.attempt(device));
  await sender.close();
  assert.deepEqual([await usedAt(), world.store.commits.length], [first, commits]);
  world.clock.advance(1);
  await send(sender, world.attempt(device));
  await sender.close();
  assert.equal(await usedAt(), world.clock.now());
});
