import assert from "node:assert/strict";
import test from "node:test";
import { crashImage } from "../../../helpers/crash-image.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { startPrism } from "../../../helpers/prism.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { MINUTE, ScheduleWorld, scheduleWorld } from "./support.ts";

test("after a crash behind any commit, each time has one job and each skipped run one event", async (t) => {
  const world = await scheduleWorld(t);
  await world.create({ name: "runs", cron: "* * * * *", overlap: "allow", missed: "all" });
  // Nothing runs in that queue, so the first job of this one never ends.
  await world.create({ name: "waits", cron: "* * * * *", queue: "messages-dead-letter" });
  const images: { readonly dir: string; readonly minute: number }[] = [];
  for (let minute = 1; minute <= 2; minute++) {
    world.clock.advance(MINUTE);
    // Before the firing, right after it, and between the end of its jobs and of the events.
    images.push({ dir: await crashImage(t, world.prism), minute });
    await world.look();
    images.push({ dir: await crashImage(t, world.prism), minute });
    await world.prism.parts.base.store.committer.settled();
    images.push({ dir: await crashImage(t, world.prism), minute });
  }
  for (const { dir, minute } of images) {
    const clock = new FakeClock(world.clock.now());
    const again = new ScheduleWorld(await startPrism(t, { dir, clock }), clock);
    again.handle();
    await again.look();
    const jobs = rowsOf<{ name: string; key: string }>(
      again.prism,
      "select name, dedupeKey as key from jobs join schedules s on s.id = scheduleId",
    );
    const keys = jobs.map(({ key }) => key);
    assert.equal(new Set(keys).size, keys.length, "no time has two jobs");
    const runs = jobs.filter(({ name }) => name === "runs");
    assert.equal(runs.length, 2, `every time has its job, whenever it crashed (minute ${minute})`);
    const waits = jobs.filter(({ name }) => name === "waits");
    const events = await again.skipped(0);
    const skipped = events.reduce((sum, { count }) => sum + count, 0);
    // If nothing had fired, one job covers all missed times; otherwise the other one is reported.
    const isFirst = images[0]?.dir === dir;
    assert.deepEqual([waits.length, skipped], [1, isFirst ? 0 : 1], `minute ${minute}`);
    const told = new Set(events.map(({ nominalAt }) => nominalAt));
    assert.equal(told.size, events.length, "none is told of twice");
    await again.prism.stop();
  }
});
