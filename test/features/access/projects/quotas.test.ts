import assert from "node:assert/strict";
import test from "node:test";
import { makeProject, makeUser } from "../../../helpers/people.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";

interface Refusal {
  id: string;
  error?: { code: string; details?: { setting?: string; limit?: number }[] };
}

const FEW = { "limits.creatorFactor": "2", "limits.serverFactor": "2" };

/** What makes one more of each kind, and the setting with the limit of a project. */
const KINDS = [
  {
    name: "receivers",
    setting: "limits.receiversPerProject",
    path: "/api/v1/receivers",
    body: (n: number) => ({ name: `r${n}`, preset: "generic" }),
  },
  {
    name: "integrations",
    setting: "limits.integrationsPerProject",
    path: "/api/v1/integrations",
    body: (n: number) => ({ name: `i${n}`, kind: "pagerduty" }),
  },
  {
    name: "policies",
    setting: "limits.policiesPerProject",
    path: "/api/v1/policies",
    body: (n: number) => ({ name: `p${n}`, steps: [] }),
  },
  {
    name: "on-call schedules",
    setting: "limits.onCallSchedulesPerProject",
    path: "/api/v1/oncall/schedules",
    body: (n: number) => ({ name: `s${n}` }),
  },
  {
    name: "heartbeats",
    setting: "limits.heartbeatsPerProject",
    path: "/api/v1/heartbeats",
    body: (n: number) => ({ name: `h${n}`, timeoutMs: 60_000 }),
  },
  {
    name: "calendars",
    setting: "limits.calendarsPerProject",
    path: "/api/v1/oncall/schedules",
    body: (n: number) => ({ name: `c${n}`, calendarUrl: "http://127.0.0.1:9/a.ics" }),
  },
  {
    name: "topics",
    setting: "limits.topicsPerProject",
    path: "/api/v1/ntfy/topics",
    body: (n: number) => ({ name: `t${n}`, kind: "messages" }),
  },
  {
    name: "channels",
    setting: "limits.channelsPerOwner",
    path: "/api/v1/channels",
    body: (n: number) => ({
      name: `ch${n}`,
      preset: "discord",
      fields: { url: `https://discord.com/api/webhooks/1/${n}` },
    }),
  },
];

function outcome({ status, body }: { status: number; body: Refusal }): string {
  const { setting, limit } = body.error?.details?.[0] ?? {};
  return body.error ? `${status} ${body.error.code} ${setting} ${limit}` : String(status);
}

for (const { name, setting, path, body } of KINDS)
  test(`${name} are limited by project and creator; other people have limits of their own`, async (t) => {
    const prism = await startPrism(t, {
      settings: { ...FEW, [setting]: "2", "webhooks.allowPrivateCidrs": "127.0.0.0/8" },
    });
    const [eve, uma] = [await makeUser(prism, "eve", ["User"]), await makeUser(prism, "uma", ["User"])];
    let n = 0;
    const make = async (projectId: string, token: string) =>
      outcome(await prism.post<Refusal>(path, { ...body(++n), projectId }, { token }));
    const projects: string[] = [];
    for (const project of ["a", "b", "c"])
      projects.push((await prism.post<Refusal>("/api/v1/projects", { name: project }, { token: eve.token })).body.id);
    const [a = "", b = "", c = ""] = projects;
    assert.deepEqual([await make(a, eve.token), await make(a, eve.token)], ["201", "201"]);
    assert.equal(await make(a, eve.token), `409 LIMIT_REACHED ${setting} 2`, "of a project");
    assert.deepEqual([await make(b, eve.token), await make(b, eve.token)], ["201", "201"]);
    assert.equal(await make(c, eve.token), `409 LIMIT_REACHED limits.creatorFactor of ${setting} 2`, "of a creator");
    const own = (await prism.post<Refusal>("/api/v1/projects", { name: "own" }, { token: uma.token })).body.id;
    assert.equal(await make(own, uma.token), "201", "another tenant");
    const ofAdmin = (await makeProject(prism)).id;
    assert.deepEqual([await make(ofAdmin, prism.adminToken), await make(ofAdmin, prism.adminToken)], ["201", "201"]);
    assert.equal(await make(own, uma.token), "201", "the seventh on the server");
  });

test("all people together have a limit, which does not bind administrators", async (t) => {
  const settings = { "limits.receiversPerProject": "1", "limits.creatorFactor": "1", "limits.serverFactor": "2" };
  const prism = await startPrism(t, { settings });
  const make = async (name: string, token: string) => {
    const { id } = (await prism.post<Refusal>("/api/v1/projects", { name }, { token })).body;
    return outcome(
      await prism.post<Refusal>("/api/v1/receivers", { name: "r", preset: "generic", projectId: id }, { token }),
    );
  };
  for (const name of ["eve", "uma"])
    assert.equal(await make(name, (await makeUser(prism, name, ["User"])).token), "201");
  const third = await makeUser(prism, "third", ["User"]);
  assert.equal(
    await make("third", third.token),
    "409 LIMIT_REACHED limits.serverFactor of limits.receiversPerProject 2",
  );
  assert.equal(await make("admin", prism.adminToken), "201");
  assert.equal(await make("admin-2", prism.adminToken), "201");
});

test("a person has at most limits.projectsPerUser projects, an administrator any number", async (t) => {
  const prism = await startPrism(t, { settings: { "limits.projectsPerUser": "2" } });
  const eve = await makeUser(prism, "eve", ["User"]);
  const make = async (name: string, token?: string) =>
    outcome(await prism.post<Refusal>("/api/v1/projects", { name }, token === undefined ? {} : { token }));
  const replies = await Promise.all(["a", "b", "c"].map((name) => make(name, eve.token)));
  assert.deepEqual(replies.sort(), ["201", "201", "409 LIMIT_REACHED limits.projectsPerUser 2"]);
  for (const name of ["d", "e", "f"]) assert.equal(await make(name), "201");
  const list = await prism.get<{ data: { id: string }[] }>("/api/v1/projects", { token: eve.token });
  const own = list.body.data.filter(({ id }) => id !== prism.parts.offers.defaultProjectId);
  await prism.delete(`/api/v1/projects/${own[0]?.id}`, { token: eve.token });
  assert.equal(await make("g", eve.token), "201", "after a delete");
});

async function usersOfDefault(prism: TestPrism) {
  return [await makeUser(prism, "eve", ["RuleManager"]), await makeUser(prism, "uma", ["RuleManager"])] as const;
}

test("in the default project one person's receivers leave the limit of another person alone", async (t) => {
  const prism = await startPrism(t, { settings: { "limits.topicsPerProject": "2" } });
  const [eve, uma] = await usersOfDefault(prism);
  const make = async (name: string, token: string) =>
    outcome(await prism.post<Refusal>("/api/v1/ntfy/topics", { name, kind: "messages" }, { token }));
  assert.deepEqual([await make("e1", eve.token), await make("e2", eve.token)], ["201", "201"]);
  assert.equal(await make("e3", eve.token), "409 LIMIT_REACHED limits.topicsPerProject 2");
  assert.equal(await make("u1", uma.token), "201");
  assert.equal(await make("a1", prism.adminToken), "201");
});
