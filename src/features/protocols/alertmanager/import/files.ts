import { toFile } from "../../../../http/api/file-form.ts";
import { RoutingDocument } from "../../../alerts/index.ts";
import type { ImportedConfiguration } from "./configuration.ts";
import type { ImportedReceiver, ReceiverChannel } from "./receiver.ts";

/* A configuration of Alertmanager as configuration files of Prism. */

/** Files that say the same as what `importInto` stores. */
interface WrittenConfiguration {
  /** One document, with names in place of ids and references in place of secrets. */
  readonly document: object;
  /** Values of its references, by the names of variables. */
  readonly secrets: ReadonlyMap<string, string>;
}

export interface FileOptions {
  /** Slug of the project. */
  readonly project: string;
  /** Whether a field of a preset is a secret. */
  readonly isSecret: (preset: string, field: string) => boolean;
  /** A variable for these words that no other secret has. */
  readonly variableFor: (...words: readonly string[]) => string;
}

export function filesOf({ receivers, routing }: ImportedConfiguration, options: FileOptions): WrittenConfiguration {
  const secrets = new Map<string, string>();
  const channels = receivers.flatMap(({ channels: own, webhooks }) => [
    ...own,
    ...webhooks.flatMap(({ channel }) => channel ?? []),
  ]);
  const project = {
    slug: options.project,
    channels: channels.map((channel) => channelOf(channel, options, secrets)),
    policies: receivers.map(policyOf),
    routes: toFile(RoutingDocument, routing, { idOf: () => undefined, nameOf: () => undefined }),
  };
  return { document: { version: 1, projects: [project] }, secrets };
}

function channelOf(
  { name, preset, fields, sendResolved }: ReceiverChannel,
  { project, isSecret, variableFor }: FileOptions,
  secrets: Map<string, string>,
): object {
  const shown = Object.entries(fields).map(([key, value]) => {
    if (!isSecret(preset, key)) return [key, value];
    const variable = variableFor(project, name, key);
    secrets.set(variable, value);
    return [key, { env: variable }];
  });
  // A project's channels also get notifications of rules, which Alertmanager does not have.
  return { name, preset, fields: Object.fromEntries(shown), sendResolved, eventTypes: ["incident.*"] };
}

function policyOf({ name, addresses, channels, webhooks, sendResolved, isSink }: ImportedReceiver): object {
  const users = addresses.map(({ address }) => address);
  const steps = [
    ...(users.length > 0 ? [{ type: "notify", users }] : []),
    ...channels.map((channel) => ({ type: "channel", name: channel.name })),
    ...webhooks.map(({ url, maxAlerts = 0, channel, sendResolved: sendsEnds = true }) => ({
      ...{ type: "webhook", url, format: "alertmanager" },
      ...(maxAlerts > 0 && { maxAlerts }),
      ...(sendResolved && !sendsEnds && { sendResolved: false }),
      ...(channel && { channel: channel.name }),
    })),
  ];
  return { name, steps, sendResolved, ...(isSink && { opensIncidents: false }) };
}
