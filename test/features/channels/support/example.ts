import type { TestContext } from "node:test";
import { type NoticeParts, noticeOf } from "../../../../src/features/channels/notice.ts";
import { Rates } from "../../../../src/features/channels/sending/rates.ts";
import { perform } from "../../../../src/features/channels/sending/sender.ts";
import { OutsideHosts, SafeFetch } from "../../../../src/features/delivery/index.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { presetOf } from "./contract.ts";
import { type Service, startStandIn } from "./stand-in.ts";

/** The alert of docs/integrations. */
const ALERT: NoticeParts = {
  title: "Disk almost full",
  message: "db-1 has 2 % left",
  severity: "critical",
  status: "firing",
  priority: 800,
  key: "incident:0190",
  atMs: Date.UTC(2026, 0, 31, 8, 15),
  url: "https://prism.example/i/0190",
  ackUrl: "https://prism.example/a/0190",
  facts: [{ title: "host", value: "db-1" }],
  project: "Shop",
};

/** What the readers of a service see of the example, by the record of its stand-in. */
export async function exampleOf(t: TestContext, service: Service): Promise<string> {
  const standIn = await startStandIn(t, service);
  const preset = presetOf(service.preset);
  const clock = new FakeClock();
  const hosts = new OutsideHosts({ allowsHttp: false, allowPorts: [], allowPrivateCidrs: ["127.0.0.1/32"] });
  const defaults = preset.fields.flatMap(({ key, default: value }) => (value === undefined ? [] : [[key, value]]));
  const fields = { ...(Object.fromEntries(defaults) as Record<string, string>), ...service.fields(standIn.url) };
  const parts = { fetch: new SafeFetch(hosts), clock, rates: new Rates(clock), count: () => undefined };
  await perform(parts, { id: "c", preset, fields }, "send", { n: noticeOf(ALERT), id: "0190-id" });
  return (standIn.seen[0]?.text ?? "").replace(/\n{2,}/g, "\n").trim();
}
