import assert from "node:assert/strict";
import test from "node:test";
import { crashImage } from "../../../helpers/crash-image.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { startPrism } from "../../../helpers/prism.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { HOUR, silenceWorld } from "./support.ts";

const DAY = 24 * HOUR;
const SETTINGS = { "auth.accessExpires": "30d" };

test("after kill -9 at any moment each start, warning and end is one event, and each warning one notification", async (t) => {
  const { create, after, prism, clock, silences } = await silenceWorld(t);
  const images: string[] = [];
  const take = async (): Promise<void> => void images.push(await crashImage(t, prism));
  await create({ durationMs: 3 * DAY, startsAt: new Date(clock.now() + HOUR).toISOString() });
  await take();
  for (const ms of [HOUR, 2 * DAY, 23 * HOUR, HOUR]) {
    clock.advance(ms - 1);
    await take();
    clock.advance(1);
    // Before the border is stored, and after it.
    await take();
    await silences().flush();
    await take();
  }
  await after(DAY);
  await take();
  const events = ["silence.started", "silence.expiring", "silence.expiring", "silence.ended"];
  for (const [at, dir] of images.entries()) {
    const server = await startPrism(t, { dir, clock: new FakeClock(clock.now()), settings: SETTINGS });
    await server.parts.offers.silences.flush();
    const stored = rowsOf<{ type: string }>(server, "select type from events where type like 'silence.%' order by seq");
    assert.deepEqual(valuesOf(stored, "type"), events, `image ${at}`);
    // A warning that is due only after the end is of no use.
    const warnings = rowsOf(server, "select id from notifications where title not like 'Prism was down for %'");
    assert.ok(warnings.length <= 2, `image ${at}`);
    await server.stop();
  }
});
