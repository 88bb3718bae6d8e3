import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { LiveServer, PROJECT_PROTOCOLS } from "./support/live-server.ts";

for (const protocol of PROJECT_PROTOCOLS) {
  test(`${protocol.name}: the opening and the end of an alert and its incident arrive`, async (t) => {
    const server = await LiveServer.start(t);
    const { prism, projectId } = server;
    const client = await server.connect(protocol);
    const types = () => client.items.flatMap((item) => (item.kind === "entry" ? [item.event.type] : []));
    const post = (alert: object) => prism.post("/api/v1/alerts", { projectId, alerts: [{ key: "disk", ...alert }] });
    await post({ labels: { alertname: "DiskFull" } });
    await eventually("the incident opens", () => types().includes("incident.opened"));
    const opened = client.items.find((item) => item.kind === "entry" && item.event.type === "incident.opened");
    assert.ok(opened?.kind === "entry");
    assert.deepEqual([opened.event.payload["number"], opened.event.payload["title"]], [1, "DiskFull"]);
    await post({ status: "resolved" });
    await eventually("the incident ends", () => types().includes("incident.resolved"));
    assert.deepEqual(
      types().filter((type) => /^(alert|incident)\.(opened|resolved)$/.test(type)),
      ["alert.opened", "incident.opened", "alert.resolved", "incident.resolved"],
    );
  });
}
