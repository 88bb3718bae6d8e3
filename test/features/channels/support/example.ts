import type { TestContext } from "node:test";
import { Metrics } from "../../../../src/core/metrics.ts";
import { type NoticeParts, noticeOf } from "../../../../src/features/channels/notice.ts";
import { perform, Rates, type SendOutcome } from "../../../../src/features/channels/sending/sender.ts";
import { OutsideHosts, SafeFetch } from "../../../../src/features/delivery/index.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { presetOf } from "./contract.ts";
import { type Service, type StandIn, startStandIn } from "./stand-in.ts";

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

type Fields = Readonly<Record<string, string>>;

/** Sends the example with some fields and parts changed. */
export async function sendExample(
  t: TestContext,
  service: Service,
  changed: (fields: Fields) => Fields = () => ({}),
  parts: Partial<NoticeParts> = {},
): Promise<SendOutcome> {
  return (await sent(await startStandIn(t, service), changed, parts)).outcome;
}

/** What the readers of a service see of the example, by the record of its stand-in. */
export async function exampleOf(t: TestContext, service: Service): Promise<string> {
  const { standIn } = await sent(await startStandIn(t, service), () => ({}), {});
  return (standIn.seen[0]?.text ?? "").replace(/ *\n+/g, "\n").trim();
}

async function sent(standIn: StandIn, changed: (fields: Fields) => Fields, parts: Partial<NoticeParts>) {
  const given = standIn.service.fields(standIn.url);
  return { standIn, outcome: await sendTo(standIn.service.preset, { ...given, ...changed(given) }, parts) };
}

/** Sends the example to a server on this computer. */
export function sendTo(name: string, given: Fields, parts: Partial<NoticeParts> = {}): Promise<SendOutcome> {
  const preset = presetOf(name);
  const clock = new FakeClock();
  const hosts = new OutsideHosts({ allowsHttp: false, allowPorts: [], allowPrivateCidrs: ["127.0.0.1/32"] });
  const defaults = preset.fields.flatMap(({ key, default: value }) => (value === undefined ? [] : [[key, value]]));
  const fields = { ...(Object.fromEntries(defaults) as Fields), ...given };
  const senderParts = {
    fetch: new SafeFetch(hosts),
    clock,
    rates: new Rates(clock),
    calls: new Metrics().counter("calls", "Calls"),
  };
  const n = noticeOf({ ...ALERT, ...parts });
  return perform(senderParts, { id: "c", preset, fields }, "send", { n, id: "0190-id" });
}
