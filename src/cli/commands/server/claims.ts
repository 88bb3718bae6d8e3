import type { Command } from "commander";
import type { AssignedClaim, IntegrationClaim, IntegrationClaims } from "../../../client/api-types.gen.ts";
import type { ServerClient } from "../../../remote/server-client.ts";
import { pick } from "../../on-server.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { durationFlag } from "../../output/flag-values.ts";
import { printable, shortTime } from "../../output/output.ts";
import { callOf, listOf, nested, pickNamed } from "../../resource.ts";
import { OF_PROJECT } from "../alerts/shared.ts";

const WEEK_MS = 604_800_000;
const OPEN = "$ prism integrations claims open --for 24h";

/** `prism integrations claims`: unknown Opsgenie keys, kept while a window is open. */
export function addClaims(integrations: Command): void {
  const claims = integrations
    .command("claims")
    .description("keep requests with unknown Opsgenie keys for a while, and assign their keys")
    .addHelpText("after", `\nExample:\n  ${OPEN}`);
  const windowLine = ({ openUntil }: Pick<IntegrationClaims, "openUntil">): string =>
    openUntil === null
      ? "the window is closed: unknown keys are refused"
      : `the window is open until ${shortTime(openUntil)}`;
  nested(claims, {
    list: {
      text: "list unknown keys and their requests, and whether the window is open",
      examples: ["$ prism integrations claims list"],
      of: "listIntegrationClaims",
      lines: (found: IntegrationClaims) =>
        found.data.length === 0
          ? `no unknown keys; ${windowLine(found)}`
          : [windowLine(found), ...found.data.flatMap(claimLines)],
    },
    open: {
      text: "keep requests with unknown Opsgenie keys from now on, for at most 7 days",
      examples: [OPEN],
      of: "setIntegrationClaimWindow",
      flags: { durationMs: ["--for <duration>", "how long (default: 7d)", durationFlag] },
      values: ({ durationMs = WEEK_MS }) => ({ durationMs }),
      lines: windowLine,
    },
    close: {
      text: "refuse unknown Opsgenie keys again; what was kept stays for 7 days",
      examples: ["$ prism integrations claims close"],
      of: "setIntegrationClaimWindow",
      values: () => ({ durationMs: 0 }),
      lines: windowLine,
    },
    assign: {
      text: "give a key to a new Opsgenie integration, or to one that exists, and open its alerts of the last hour",
      examples: [
        "$ prism integrations claims assign 4f1c0a --project shop --name Zabbix",
        "$ prism integrations claims assign 4f1c0a --project shop --integration Zabbix",
      ],
      of: "assignIntegrationClaim",
      args: { claim: ["<claim>", "the first characters of the key, or the claim's id"] },
      flags: {
        projectId: OF_PROJECT,
        name: ["--name <name>", "name of the new integration"],
        integration: ["--integration <name>", "the integration that takes the key; its former key works for a week"],
      },
      excludes: [["name", "integration"]],
      check({ name, integration }) {
        if (name === undefined && integration === undefined)
          throw new CommandError(EXIT.usage, "give --name, or --integration");
      },
      async values({ claim, integration, projectId, name }, { server }) {
        const { id } = await waitingClaim(server, claim);
        if (integration === undefined) return { id, projectId, name };
        const known = await listOf(server, "listIntegrations", { projectId });
        return { id, integrationId: pickNamed(known, String(integration), "integration").id };
      },
      lines: ({ integration, replayed, listed }: AssignedClaim) =>
        `${integration.id}  ${printable(integration.name)}  has the key; ${replayed} replayed, ${listed} listed only`,
    },
    discard: {
      text: "discard an unknown key and its requests, such as one of a stranger",
      examples: ["$ prism integrations claims discard 4f1c0a"],
      of: "discardIntegrationClaim",
      args: { claim: ["<claim>", "the first characters of the key, or the claim's id"] },
      values: async ({ claim }, { server }) => ({ id: (await waitingClaim(server, claim)).id }),
      lines: () => "discarded",
    },
  });
}

/** @throws exit 6: none waits, or several begin so */
async function waitingClaim(server: ServerClient, claim: unknown): Promise<IntegrationClaim> {
  const { data } = await callOf(server, "listIntegrationClaims", {});
  const waiting = data.filter(({ integrationId }) => integrationId === null);
  return pick(waiting, String(claim), {
    ...{ one: "claim", namesOf: ({ prefix }) => [prefix], lineOf: ({ id, prefix }) => `${id}  ${prefix}` },
  });
}

function claimLines({ id, prefix, addresses, requests, integrationId }: IntegrationClaim): string[] {
  const state = integrationId === null ? "waits" : `assigned to ${integrationId}`;
  return [
    `${id}  ${printable(prefix)}…  ${state}, from ${addresses.map(printable).join(", ")}`,
    ...requests.map(
      ({ at, action, alias, message, outcome }) =>
        `  ${shortTime(at)}  ${printable(action)}  ${printable(message ?? alias ?? "")}${outcome === null ? "" : `  (${outcome})`}`,
    ),
  ];
}
