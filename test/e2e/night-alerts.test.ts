import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import test, { type TestContext } from "node:test";
import type { AlertExplanation as Explanation, Incident } from "../../src/client/api-types.gen.ts";
import { MailServer, type ReceivedMail } from "../features/access/sessions/support/mail-server.ts";
import { startPrometheus } from "../features/protocols/alertmanager/support/programs.ts";
import { eventually } from "../helpers/eventually.ts";
import { lastingPort } from "../helpers/free-ports.ts";
import { PrismBinary } from "./prism-binary.ts";

const PEOPLE = ["ann", "bob"];
const HOUR_MS = 3_600_000;
const FORM = { "Content-Type": "application/x-www-form-urlencoded" };

const RULES = `
groups:
- name: night
  interval: 100ms
  rules:
  - alert: DatabaseDown
    expr: last_over_time(database_up[1m]) == 0
    labels: { team: db }
    annotations: { summary: "The database does not answer" }
  - alert: ReplicaLag
    expr: last_over_time(replica_lag[1m]) > 10
    labels: { team: db }
`;

test("the night: the first on call does not answer, the second acknowledges, every recipient receives the resolution", async (t) => {
  const mail = await MailServer.start(t);
  const port = await lastingPort();
  const prism = new PrismBinary(t, {
    env: {
      PRISM_PUBLIC_URL: `http://127.0.0.1:${port}`,
      PRISM_SMTP_HOST: "127.0.0.1",
      PRISM_SMTP_PORT: String(mail.port),
      PRISM_SMTP_FROM: "prism@example.org",
      PRISM_RATE_LIMIT_ENABLED: "false",
    },
  });
  await prism.start(port);
  const { call, schedule } = await onCall(prism);
  await escalation(call, schedule);
  const metrics = await startMetrics(t);
  const { key } = await call<{ key: string }>("POST", "/projects/default/keys", { name: "prometheus" });
  await startPrometheus(t, { "prometheus.yml": configuration(port, key, metrics.port), "rules.yml": RULES }, [
    "--rules.alert.resend-delay=3s",
  ]);
  const incident = (name: string): Promise<Incident> =>
    eventually(`an incident of ${name}`, async () => {
      const { data } = await call<{ data: Incident[] }>("GET", "/incidents?projectId=default");
      return data.find(({ title }) => title.startsWith(name));
    });

  metrics.values.database_up = 0;
  const { id } = await incident("DatabaseDown");
  const first = await mail.mailTo("ann@example.org");
  assert.match(textOf(first), /The database does not answer/);
  const second = await mail.mailTo("bob@example.org");
  await acknowledge(second);
  const acknowledged = await call<Incident & { acks: { via: string }[] }>("GET", `/incidents/${id}`);
  assert.equal(acknowledged.state, "acknowledged");

  const { id: windowId } = await maintenance(call);
  metrics.values.replica_lag = 60;
  const lag = await incident("ReplicaLag");
  await eventually("the window withholds what fires in it", async () => {
    const { timeline } = await call<Timeline>("GET", `/incidents/${lag.id}`);
    return timeline.some(({ kind }) => kind === "withheld");
  });
  metrics.values.database_up = 1;
  for (const name of PEOPLE) {
    const end = await mail.mailTo(`${name}@example.org`, 2);
    assert.match(textOf(end), /resolved/i, `${name} receives the end although the window is on`);
  }
  assert.equal((await call<Incident>("GET", `/incidents/${id}`)).state, "resolved");
  assert.equal((await call<{ state: string }>("GET", `/silences/${windowId}`)).state, "active");
  assert.equal(mail.mails.length, 4, "each of the two received the firing and the end, and nothing of the lag");
  await explain(call, { paged: id, withheld: lag.id });
});

interface Timeline {
  readonly timeline: readonly { readonly kind: string }[];
}

interface Trial {
  readonly routes: readonly {
    readonly policy: { readonly name: string };
    readonly withheld: readonly { readonly text: string }[];
  }[];
}

/** Why was I paged, why was no one notified, and what would happen now. */
async function explain(call: Call, { paged, withheld }: Readonly<Record<"paged" | "withheld", string>>): Promise<void> {
  const [why] = (await call<Explanation>("GET", `/explain/incident/${paged}`)).incidents;
  assert.deepEqual(why?.people.map(({ name }) => name).sort(), PEOPLE);
  for (const { name, reasons } of why.people)
    assert.match(reasons.join(), /Nights/, `${name} is on call by a schedule`);
  const [whyNot] = (await call<Explanation>("GET", `/explain/incident/${withheld}`)).incidents;
  assert.deepEqual(whyNot?.people, []);
  assert.match(whyNot.lines.map(({ text }) => text).join(), /The database moves/);
  const labels = { alertname: "DiskFull", team: "db" };
  const { routes } = await call<Trial>("POST", "/explain/alert", { labels });
  assert.deepEqual(
    routes.map(({ policy }) => policy.name),
    ["Database"],
  );
  assert.match(routes[0]?.withheld.map(({ text }) => text).join() ?? "", /The database moves/);
}

type Call = <T = unknown>(method: string, path: string, body?: object) => Promise<T>;

/** Two members with an address, one on call today and the other tomorrow. */
async function onCall(prism: PrismBinary): Promise<{ call: Call; schedule: string }> {
  const call: Call = async <T>(method: string, path: string, body?: object): Promise<T> => {
    const reply = await prism.call<T>(method, `/api/v1${path}`, body);
    assert.ok(reply.status < 300, `${method} ${path}: ${JSON.stringify(reply.body)}`);
    return reply.body;
  };
  const ids: string[] = [];
  for (const username of PEOPLE) {
    const user = {
      username,
      email: `${username}@example.org`,
      password: `the password of ${username}`,
      name: username,
    };
    const { id } = await call<{ id: string }>("POST", "/users", user);
    await call("POST", "/projects/default/members", { userId: id, role: "editor" });
    ids.push(id);
  }
  const { id: schedule } = await call<{ id: string }>("POST", "/oncall/schedules", { name: "Nights", timezone: "UTC" });
  await call("POST", `/oncall/schedules/${schedule}/shifts`, {
    start: new Date(Math.floor(Date.now() / HOUR_MS) * HOUR_MS).toISOString().slice(0, 19),
    durationMs: 24 * HOUR_MS,
    recurrence: { frequency: "daily" },
    turns: ids.map((each) => [each]),
  });
  return { call, schedule };
}

async function escalation(call: Call, id: string): Promise<void> {
  await call("POST", "/policies", {
    name: "Database",
    steps: [
      { type: "notify", schedules: [{ id, who: "current" }] },
      { type: "wait", ms: 1000 },
      { type: "notify", schedules: [{ id, who: "next" }] },
    ],
  });
  const times = { groupBy: ["alertname"], groupWaitMs: 0, groupIntervalMs: 1000 };
  const routes = [{ matchers: ['team="db"'], policy: "Database" }];
  await call("PUT", "/routes", { route: { policy: "default", ...times, routes } });
}

/** The link of the mail: following it changes nothing, its button acknowledges without a login. */
async function acknowledge(mail: ReceivedMail): Promise<void> {
  const text = textOf(mail);
  const link = /http:\S+\/account\/acknowledge\?token=\S+/.exec(text)?.[0];
  assert.ok(link, text);
  const page = await (await fetch(link)).text();
  assert.match(page, /<form method="post">/);
  assert.doesNotMatch(page, /Acknowledged/);
  const again = await (await fetch(link)).text();
  assert.equal(again, page, "following the link has acknowledged nothing");
  const done = await fetch(link, { method: "POST", headers: FORM, body: "acknowledge=yes" });
  assert.match(await done.text(), /Acknowledged/);
}

/** All parts, without the soft line breaks of quoted-printable (RFC 2045 section 6.7). */
function textOf({ raw }: ReceivedMail): string {
  return raw.replaceAll("=\r\n", "").replaceAll("=3D", "=");
}

/** A daily window that begins within seconds. */
async function maintenance(call: Call): Promise<{ id: string }> {
  return eventually("a maintenance window begins", async () => {
    const start = new Date(Date.now() + 1500);
    const cron = `${start.getUTCSeconds()} ${start.getUTCMinutes()} ${start.getUTCHours()} * * *`;
    const made = await call<{ id: string; startsAt: string }>("POST", "/silences", {
      matchers: ['team="db"'],
      comment: "The database moves",
      recurrence: { cron, durationMs: 600_000, timezone: "UTC" },
    });
    const deadline = start.getTime() + 1000;
    return eventually("the window is on", async () => {
      const { state } = await call<{ state: string }>("GET", `/silences/${made.id}`);
      return state === "active" ? made : Date.now() > deadline ? { id: "" } : null;
    }).then(({ id }) => (id === "" ? null : made));
  });
}

/** Values that Prometheus scrapes. */
async function startMetrics(t: TestContext): Promise<{ port: number; values: Record<string, number> }> {
  const values = { database_up: 1, replica_lag: 0 };
  const server = createServer((_, response) => {
    response.setHeader("Content-Type", "text/plain; version=0.0.4");
    response.end(
      Object.entries(values)
        .map(([name, value]) => `${name} ${value}\n`)
        .join(""),
    );
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => server.close().closeAllConnections());
  return { port: (server.address() as AddressInfo).port, values };
}

function configuration(port: number, key: string, target: number): string {
  return `
global: { scrape_interval: 100ms, scrape_timeout: 100ms, evaluation_interval: 100ms }
rule_files: [ rules.yml ]
scrape_configs:
- job_name: database
  static_configs: [ { targets: [ "127.0.0.1:${target}" ] } ]
alerting:
  alertmanagers:
  - path_prefix: /alertmanager/default
    authorization: { credentials: "${key}" }
    static_configs: [ { targets: [ "127.0.0.1:${port}" ] } ]
`;
}
