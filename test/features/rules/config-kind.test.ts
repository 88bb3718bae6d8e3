import assert from "node:assert/strict";
import test from "node:test";
import { uuidv7 } from "../../../src/core/ids.ts";
import { applying, assertRoundTrip, KnownNames, kindOf, read, written } from "../../helpers/config-kinds.ts";
import { makeProject, makeUser } from "../../helpers/people.ts";
import { startPrism } from "../../helpers/prism.ts";

const big = {
  name: "Big",
  condition: "event.type == 'payment' && event.amount > 1000",
  targetRoles: ["Admin"],
  targetUsers: ["ada"],
  channels: ["in_app"],
  priority: 400,
  suppression: { count: 5, window: "1m" },
  dedupe: { key: "{{ event.id }}", window: "1h" },
  cooldown: "30s",
  absence: { for: "2h" },
  alert: { severity: "critical", resolveAfter: "10m", labels: { team: "pay" } },
};

test("rules of a project and of the server are made, read back as they were written, changed and removed", async (t) => {
  const prism = await startPrism(t);
  const { id: projectId } = await makeProject(prism);
  const ada = await makeUser(prism, "ada");
  const joined = await prism.post(`/api/v1/projects/${projectId}/members`, { userId: ada.id, role: "viewer" });
  assert.ok(joined.status < 300, joined.text);
  const names = new KnownNames();
  names.add("people", ada.id, "ada");
  const { db } = prism.parts.features.context;
  for (const [scope, project] of [
    ["project", projectId],
    ["server", null],
  ] as const) {
    const kind = await kindOf(prism, "rules", scope);
    const { store, find, remove } = applying(prism, project, names);
    const id = await store(kind, big);
    const stored = await find(kind, "Big");
    assert.deepEqual([stored.id, stored.version], [id, 1]);
    assertRoundTrip(kind, stored, names);
    const file = written(kind, stored, names);
    assert.deepEqual(Object.fromEntries(Object.keys(big).map((name) => [name, file[name]])), big);
    assert.equal("projectId" in stored.spec, false);
    const view = (await prism.get<{ projectId: string | null }>(`/api/v1/rules/${id}`)).body;
    assert.equal(view.projectId, project);
    await store(kind, { ...big, priority: 300, active: false });
    const changed = await find(kind, "Big");
    assert.deepEqual([changed.version, changed.spec["priority"], changed.spec["active"]], [2, 300, false]);
    await assert.rejects(store(kind, { ...big, condition: "event.type ==" }), { code: "INVALID_CONDITION" });
    await assert.rejects(store(kind, { ...big, name: "Other", sound: "none.mp3" }), { code: "SOUND_NOT_FOUND" });
    await remove(kind, "Big");
    assert.deepEqual(await kind.list(db.read, project), []);
  }
});

test("patterns of rules that one commit makes are counted together", async (t) => {
  const prism = await startPrism(t, { settings: { "limits.patternsPerProject": "4000" } });
  const { id: projectId } = await makeProject(prism);
  const kind = await kindOf(prism, "rules");
  const names = new KnownNames();
  const { owner } = applying(prism, projectId, names);
  const { db } = prism.parts.features.context;
  const spec = (at: number) => {
    const condition = `matches(event.a, 'a{400}x${at}') || matches(event.a, 'b{400}x${at}')`;
    return read(kind, { name: `r${at}`, condition, targetRoles: ["Admin"] }, names);
  };
  await assert.rejects(
    db.write(async (trx) => {
      for (let at = 0; at < 5; at++) await kind.create(trx, owner, uuidv7(), spec(at), undefined);
    }),
    /compile to \d+; limits\.patternsPerProject is 4000/,
  );
  await db.write((trx) => kind.create(trx, owner, uuidv7(), spec(1), undefined));
});
