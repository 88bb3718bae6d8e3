import type { ErrorDetail } from "../../../core/errors.ts";
import type { RouteNode } from "../../alerts/index.ts";
import type { ImportedConfiguration } from "./configuration.ts";
import type { ImportedChannel, ImportedReceiver } from "./receiver.ts";

/** A part of a receiver that the server may refuse. */
export type Part = ImportedChannel | ImportedReceiver["webhooks"][number] | ImportedReceiver["addresses"][number];

/** The request for receivers, and the part of the file behind each path in it. */
export function requestOf(receivers: readonly ImportedReceiver[], routing: ImportedConfiguration["routing"]) {
  const parts = new Map<string, Part>();
  const channels: object[] = [];
  const add = (channel: ImportedChannel, part: Part = channel): string => {
    const { ref, name, preset, fields, sendResolved } = channel;
    parts.set(`channels.${channels.length}`, part);
    channels.push({ ref, name, preset, fields, sendResolved, eventTypes: FOR_INCIDENTS });
    return ref;
  };
  const policies = receivers.map(({ name, webhooks, channels: own, addresses, sendResolved, isSink }, at) => {
    const users = { type: "notify", users: addresses.map(({ address }) => address), urgency: "high" };
    for (const [n, part] of addresses.entries()) parts.set(`policies.${at}.steps.0.users.${n}`, part);
    const steps: object[] = addresses.length > 0 ? [users] : [];
    for (const channel of own) steps.push({ type: "channel", id: add(channel) });
    for (const webhook of webhooks) {
      const { url, maxAlerts, channel } = webhook;
      const access = channel ? { channel: add(channel, webhook) } : {};
      parts.set(`policies.${at}.steps.${steps.length}`, webhook);
      steps.push({ type: "webhook", url, format: "alertmanager", ...(maxAlerts ? { maxAlerts } : {}), ...access });
    }
    return { name, steps, sendResolved, opensIncidents: !isSink };
  });
  return { body: { channels, policies, routing }, parts };
}

/** A project's channels also get notifications of rules, which Alertmanager does not have. */
const FOR_INCIDENTS = ["incident.*"];

/** The part that a refusal is about. */
export function partAt({ path = "" }: ErrorDetail, parts: ReadonlyMap<string, Part>): Part | undefined {
  const found = [...parts].find(([prefix]) => path === prefix || path.startsWith(`${prefix}.`));
  return found?.[1];
}

/** What is wrong, and with an address what to do. */
export function wordsOf({ path = "", message }: ErrorDetail, part: Part | undefined): string {
  if (part && "address" in part)
    return `${part.address} ${message}: create the user with this address, add it to the project, or use a service`;
  const member = path.replace(/^channels\.\d+\.?(fields\.)?/, "").replace(/^policies\..*\./, "");
  return `${member} ${message}`;
}

/** The receiver without the parts that the server refused. */
export function without(receiver: ImportedReceiver, refused: ReadonlySet<Part>): ImportedReceiver {
  const { channels, webhooks, addresses } = receiver;
  return {
    ...receiver,
    channels: channels.filter((each) => !refused.has(each)),
    webhooks: webhooks.filter((each) => !refused.has(each)),
    addresses: addresses.filter((each) => !refused.has(each)),
  };
}

/** The routes of a tree, with the root. */
export function countRoutes({ routes = [] }: RouteNode): number {
  return 1 + routes.reduce((count, route) => count + countRoutes(route), 0);
}
