import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type RequestListener } from "node:http";
import { createServer as createTlsServer } from "node:https";
import test, { type TestContext } from "node:test";
import { makeCertificate, type TestCertificate } from "../helpers/certificate.ts";
import { eventually } from "../helpers/eventually.ts";
import { listening } from "../helpers/listening.ts";
import { answered } from "../helpers/prism.ts";
import { Migration } from "./import-migration.ts";

interface Call {
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: { readonly alerts: readonly unknown[]; readonly truncatedAlerts: number };
}

async function startCalled(t: TestContext, tls?: TestCertificate): Promise<{ url: string; calls: Call[] }> {
  const calls: Call[] = [];
  const answer: RequestListener = (request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = JSON.parse(Buffer.concat(chunks).toString()) as Call["body"];
      calls.push({ path: request.url ?? "", headers: request.headers, body });
      response.end();
    });
  };
  const server = tls ? createTlsServer(tls, answer) : createServer(answer);
  const port = await listening(t, server);
  return { url: `${tls ? "https" : "http"}://127.0.0.1:${port}`, calls };
}

test("webhooks keep max_alerts and http_config: basic authentication, bearer tokens and headers", async (t) => {
  const migration = await Migration.start(t);
  const { url, calls } = await startCalled(t);
  migration.write("password", "s3cret-password\n");
  migration.write("url", `${url}/from-file\n`);
  migration.write("alertmanager.yml", {
    global: { http_config: { follow_redirects: true } },
    route: { receiver: "hooks", group_wait: "0s" },
    receivers: [
      {
        name: "hooks",
        webhook_configs: [
          { url: `${url}/plain`, max_alerts: 1 },
          {
            url: `${url}/basic`,
            http_config: {
              basic_auth: { username: "prometheus", password_file: "password" },
              http_headers: { "X-Team": { values: ["db"] }, "X-Key": { secrets: ["s3cret-header"] } },
            },
          },
          { url_file: "url", http_config: { authorization: { credentials: "s3cret-token" } } },
        ],
        incidentio_configs: [{ url: `${url}/incident-io`, alert_source_token: "s3cret-source" }],
      },
    ],
  });
  const done = await migration.run();
  assert.equal(done.status, 0, done.stderr);
  assert.ok(!JSON.stringify(await migration.policies()).includes("s3cret"), "credentials are in channels only");
  assert.ok(!JSON.stringify(await migration.channels()).includes("s3cret-"), "and sealed there");
  await migration.fire({ alertname: "DiskFull", n: "1" });
  await migration.fire({ alertname: "DiskFull", n: "2" });
  const called = await eventually("every webhook is called", () => {
    const byPath = new Map(calls.map((call) => [call.path, call]));
    return byPath.size === 4 ? byPath : null;
  });
  assert.deepEqual([...called.keys()].sort(), ["/basic", "/from-file", "/incident-io", "/plain"]);
  assert.equal(called.get("/plain")?.headers.authorization, undefined);
  assert.equal(called.get("/plain")?.body.alerts.length, 1);
  const basic = called.get("/basic")?.headers;
  const credentials = Buffer.from("prometheus:s3cret-password").toString("base64");
  assert.deepEqual(
    [basic?.authorization, basic?.["x-team"], basic?.["x-key"], basic?.["user-agent"]],
    [`Basic ${credentials}`, "db", "s3cret-header", "Alertmanager/0.34.0"],
  );
  assert.equal(called.get("/from-file")?.headers.authorization, "Bearer s3cret-token");
  assert.equal(called.get("/incident-io")?.headers.authorization, "Bearer s3cret-source");

  const [channel] = await migration.channels();
  const gone = await migration.prism.delete(`/api/v1/channels/${channel?.id}`);
  assert.equal(gone.status, 409, "a policy needs it");
  const [policy] = (await migration.policies()).filter(({ name }) => name === "hooks");
  const stolen = { type: "webhook", url: "http://127.0.0.1:9/steal", channel: channel?.id };
  await answered(400, migration.prism.post("/api/v1/policies", { name: "other", steps: [stolen] }));
  const steps = [{ ...stolen, url: `${url}/steal` }];
  await answered(201, migration.prism.post<{ id: string }>("/api/v1/policies", { name: "other", steps }));
  const moved = await migration.prism.patch(
    `/api/v1/channels/${channel?.id}`,
    { fields: { url: "http://127.0.0.1:9/moved", token: "another" } },
    { headers: { "if-match": '"1"' } },
  );
  assert.equal(moved.status, 200, moved.text);
  assert.equal(policy?.steps.length, 4);
  await migration.prism.put("/api/v1/routes", { route: { policy: "other", groupWaitMs: 0 } });
  await migration.fire({ alertname: "Other" });
  await eventually("credentials go to no other host", async () => {
    const incidents = await migration.prism.get<{ data: { id: string; title: string }[] }>("/api/v1/incidents");
    const id = incidents.body.data.find(({ title }) => title.includes("Other"))?.id;
    return (await migration.prism.get(`/api/v1/incidents/${id}`)).text.includes("is not for this address");
  });
});

test("webhooks keep tls_config: an authority of one's own, or none that is checked", async (t) => {
  const migration = await Migration.start(t);
  const certificate = makeCertificate();
  const { url, calls } = await startCalled(t, certificate);
  migration.write("ca.pem", certificate.cert);
  const receiver = (name: string, tls?: object) => ({
    name,
    webhook_configs: [{ url: `${url}/${name}`, http_config: { tls_config: tls } }],
  });
  const receivers = [
    receiver("own", { ca_file: "ca.pem" }),
    receiver("named", { ca_file: "ca.pem", server_name: "localhost" }),
    receiver("any", { insecure_skip_verify: true }),
    receiver("unknown"),
  ];
  const routes = receivers.map(({ name }) => ({ receiver: name, continue: true }));
  migration.write("alertmanager.yml", { route: { receiver: "own", group_wait: "0s", routes }, receivers });
  const done = await migration.run();
  assert.equal(done.status, 0, done.stderr);
  await migration.fire({ alertname: "DiskFull" });
  await eventually("three are called", () => new Set(calls.map(({ path }) => path)).size === 3);
  await eventually("the fourth has no TLS", async () => {
    const incidents = await migration.prism.get<{ data: { id: string }[] }>("/api/v1/incidents");
    const shown = incidents.body.data.map(({ id }) => migration.prism.get(`/api/v1/incidents/${id}`));
    return (await Promise.all(shown)).some(({ text }) => /no TLS: self-signed certificate/.test(text));
  });
  assert.ok(!calls.some(({ path }) => path === "/unknown"));
});
