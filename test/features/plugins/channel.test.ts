import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../helpers/eventually.ts";
import { makeUser } from "../../helpers/people.ts";
import { rowsOf } from "../../helpers/tables.ts";
import { rowsWith } from "../../helpers/values.ts";
import { ModuleDir, moduleText, startWith } from "./support/module-dir.ts";

const FIELDS = `[{ key: "room", title: "Room", example: "lobby" }, { key: "pin", title: "Pin", secret: true, example: "1234567" }]`;

/** A loudspeaker whose announcements can be read again; the room tells how it answers. */
const SPEAKER = moduleText(
  "speaker",
  `
  const said = [];
  server.channel({
    name: "speaker",
    title: "Loudspeaker",
    fields: ${FIELDS},
    async send(message, fields, { id, ref }) {
      if (fields.room === "gone") throw Object.assign(new Error("no room, pin " + fields.pin), { disable: true });
      if (fields.room === "full") throw Object.assign(new Error("refused " + fields.pin), { permanent: true });
      if (fields.room === "busy") throw Object.assign(new Error("busy"), { retryAfterMs: 3600000 });
      said.push({ id, title: message.title, status: message.status, room: fields.room, ref });
      return { ref: "ref-" + said.length };
    },
  });
  server.get("/speaker", { public: true }, () => said);
`,
);

test("a module adds a service: users make channels of it, and its errors decide what becomes of a message", async (t) => {
  const modules = new ModuleDir(t);
  modules.put("speaker", SPEAKER);
  const prism = await startWith(t, modules);
  const ann = await makeUser(prism, "ann", ["User"]);
  const { body } = await prism.get<{ presets: { name: string }[] }>("/api/v1/channels/presets");
  assert.ok(body.presets.some(({ name }) => name === "speaker"));
  for (const room of ["lobby", "gone", "full", "busy"]) {
    const channel = { name: room, preset: "speaker", fields: { room, pin: "secret-pin-of-it" } };
    const made = await prism.post<{ id: string }>("/api/v1/channels", channel, { token: ann.token });
    assert.equal(made.status, 201, made.text);
  }
  const missing = { name: "x", preset: "speaker", fields: { room: "x" } };
  assert.equal((await prism.post("/api/v1/channels", missing)).status, 400);
  await prism.post("/api/v1/notifications", { recipients: [ann.id], title: "Closing time", message: "At six" });
  interface Row {
    readonly room: string;
    readonly state: string;
    readonly reason: string | null;
    readonly active: number;
    readonly lastError: string | null;
  }
  const rows = (): Row[] =>
    rowsOf<Row>(
      prism,
      `select c.name as room, d.state, d.reason, c.active, d.lastError from deliveries d
       join channels c on c.id = d.target where d.channel = 'service' order by c.name`,
    );
  await eventually("all have answered", () => {
    const states = rows().map(({ room, state, reason, active }) => [room, state, reason, active].join(" "));
    return states.join() === "busy queued asked to wait 1,full dead  1,gone dead  0,lobby delivered  1";
  });
  assert.ok(!JSON.stringify(rows()).includes("secret-pin"), JSON.stringify(rows()));
  const said = await prism.get<{ title: string; room: string }[]>("/speaker");
  assert.deepEqual(rowsWith(said.body, "title", "room"), [["Closing time", "lobby"]]);
});

test("the service of a module ends with it, and a second one of its name is refused", async (t) => {
  const modules = new ModuleDir(t);
  modules.put("a-speaker", SPEAKER);
  modules.put(
    "z-speaker",
    moduleText("z-copy", `server.channel({ name: "speaker", title: "x", fields: [], send() {} });`),
  );
  modules.put(
    "wrong",
    moduleText("wrong", `server.channel({ name: "Not a name", title: "x", fields: [], send() {} });`),
  );
  const prism = await startWith(t, modules);
  const { body } = await prism.get<{ data: { name: string; state: string }[] }>("/api/v1/modules");
  const states = new Map(body.data.map(({ name, state }) => [name, state]));
  assert.deepEqual([states.get("speaker"), states.get("z-copy"), states.get("wrong")], ["active", "failed", "failed"]);
  await prism.post("/api/v1/modules/speaker/disable");
  await eventually("it is no longer listed", async () => {
    const { body } = await prism.get<{ presets: { name: string }[] }>("/api/v1/channels/presets");
    return !body.presets.some(({ name }) => name === "speaker");
  });
});
