import test from "node:test";
import WebSocket from "ws";
import { makeUser } from "../helpers/people.ts";
import { TestPrism } from "../helpers/prism.ts";
test("stress", async () => {
  let bad = 0;
  for (let s = 0; s < 60; s++) {
    const prism = await TestPrism.start();
    await makeUser(prism, `u`);
    const t0 = Date.now();
    const ws = new WebSocket(`${prism.wsUrl}/ws`, { headers: { Authorization: `Bearer ${prism.adminToken}` } });
    const got: string[] = [];
    ws.on("open", () => { got.push(`open ${Date.now() - t0}`); ws.send('{"op":"subscribe","id":"1","stream":"user:me"}', (e) => got.push(`sent ${e}`)); });
    ws.on("message", (m: Buffer) => got.push(m.toString()));
    ws.on("close", (c, r) => got.push(`close ${c} ${r}`));
    ws.on("error", (e) => got.push(`error ${e.message}`));
    const end = Date.now() + 3000;
    while (!got.some((g) => g.includes('"subscribed"')) && Date.now() < end) await new Promise((r) => setTimeout(r, 2));
    if (!got.some((g) => g.includes('"subscribed"'))) { bad++; console.log(s, got, ws.readyState); }
    ws.terminate();
    await prism.stop();
  }
  console.log("bad", bad);
});
