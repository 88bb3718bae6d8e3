import { test } from "node:test";
import { startPrism } from "../helpers/prism.ts";

const cpu = () => {
  const u = process.cpuUsage();
  return (u.user + u.system) / 1000;
};
test("x", async (t) => {
  const t0 = cpu();
  for (let i = 0; i < 100; i++)
    await t.test("s" + i, async (t) => {
      const a = cpu();
      const p = await startPrism(t);
      const b = cpu();
      await p.stop();
      const c = cpu();
      if (i % 10 == 0) console.log("start", b - a, "stop", c - b);
    });
  console.log("TOTAL", cpu() - t0, "BEFORE", t0);
});
