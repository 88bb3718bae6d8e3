import assert from "node:assert/strict";
import test from "node:test";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeUser } from "../../../helpers/people.ts";
import { answered, startPrism } from "../../../helpers/prism.ts";
import { configure, type FileObject, problemsOf } from "./configuration.ts";

/* What a reader of the docs expects of a plan. */

test("a renamed heartbeat keeps its slug, and one that was deleted by hand is drift", async (t) => {
  const prism = await startPrism(t);
  const slugs = async () => {
    const rows = await prism.parts.features.core.db.read.selectFrom("heartbeats").select("slug").execute();
    return rows.map(({ slug }) => slug);
  };
  const beat = (name: string, renamedFrom?: string): FileObject => {
    const spec = { name, timeout: "1d" };
    return renamedFrom ? ["heartbeats", "default", spec, renamedFrom] : ["heartbeats", "default", spec];
  };
  await configure(prism, "apply", [beat("shopjob")]);
  const { body } = await configure(prism, "apply", [beat("shoptask", "shopjob")]);
  assert.deepEqual([body.changes[0]?.op, await slugs()], ["rename", ["shopjob"]]);
  assert.deepEqual((await configure(prism, "plan", [beat("shoptask")])).body.changes, []);
  const { id } = await prism.parts.features.core.db.read
    .selectFrom("heartbeats")
    .select("id")
    .executeTakeFirstOrThrow();
  await answered(204, prism.request("DELETE", `/api/v1/heartbeats/${id}`));
  const { body: again } = await configure(prism, "plan", [beat("shoptask")]);
  assert.deepEqual(
    [again.changes[0]?.op, again.drift.map(({ name, paths }) => [name, paths])],
    ["create", [["shoptask", []]]],
  );
});

test("an anchor that gives the turn of now to another is a warning", async (t) => {
  const prism = await startPrism(t, { clock: new FakeClock(Date.parse("2026-10-21T12:00:00Z")) });
  await makeUser(prism, "ada");
  await makeUser(prism, "ben");
  const duty = (turn?: string): FileObject => {
    const weeks = { name: "Weeks", start: "2026-09-07T09:00:00", duration: "7d", recurrence: { frequency: "weekly" } };
    const anchor = turn !== undefined && { anchor: { on: "2026-10-19", turn: [turn] } };
    return ["oncall", "default", { name: "Duty", shifts: [{ ...weeks, turns: [["ada"], ["ben"]], ...anchor }] }];
  };
  await configure(prism, "apply", [duty()]);
  const codes = async (turn: string) =>
    (await configure(prism, "plan", [duty(turn)])).body.warnings.map(({ code }) => code).filter(isTurn);
  assert.deepEqual([await codes("ada"), await codes("ben")], [[], ["turn-moved"]]);
});

const isTurn = (code: string) => code === "turn-moved";

test("an invited person of a policy is a warning, and an approval keeps the roles of the files", async (t) => {
  const prism = await startPrism(t);
  const cy: FileObject = ["people", null, { username: "cy", invite: true, roles: ["Admin"] }];
  const members: FileObject = ["members", "default", { cy: "editor" }];
  const calls: FileObject = ["policies", "default", { name: "Calls", steps: [{ type: "notify", users: ["cy"] }] }];
  const { body, text } = await configure(prism, "plan", [cy, members, calls]);
  assert.deepEqual(problemsOf(body), [], text);
  const found = body.warnings.find(({ code }) => code === "person-inactive");
  assert.deepEqual(
    [found?.name, found?.message],
    ["Calls", "cy is invited and has not signed in yet, so no page reaches them"],
  );
  await configure(prism, "apply", [cy]);
  const { id } = await prism.parts.features.core.db.read
    .selectFrom("users")
    .select("id")
    .where("username", "=", "cy")
    .executeTakeFirstOrThrow();
  const approved = await prism.post<{ roles: readonly string[] }>(`/api/v1/users/${id}/approve`, {});
  assert.deepEqual([approved.status, approved.body.roles], [200, ["Admin"]], approved.text);
});

test("a person who is no member has a fix, and a misspelled preset of a stored channel is named", async (t) => {
  const prism = await startPrism(t, { settings: { "webhooks.allowPrivateCidrs": "127.0.0.0/8" } });
  const calls: FileObject = ["policies", "default", { name: "Calls", steps: [{ type: "notify", users: ["nobody"] }] }];
  const { body } = await configure(prism, "plan", [calls]);
  assert.equal(body.problems[0]?.fix, "add the person to the members of the project");
  const room = (preset: string): FileObject => {
    const fields = { url: "https://127.0.0.1:8443/", topic: { env: "PRISM_SECRET_T" } };
    return ["channels", "default", { name: "Room", preset, fields }];
  };
  const secrets = { "env:PRISM_SECRET_T": "duty" };
  assert.equal((await configure(prism, "apply", [room("ntfy")], { secrets })).status, 200);
  const { body: wrong } = await configure(prism, "plan", [room("nftty")], { secrets });
  assert.deepEqual(problemsOf(wrong), ["channels Room preset PRESET_NOT_FOUND"]);
});
