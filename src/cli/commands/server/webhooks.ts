import type { Command } from "commander";
import type { TestView, WebhookView } from "../../../features/delivery/webhooks/schema.ts";
import type { ServerClient } from "../../../remote/server-client.ts";
import { pick, unlessHidden } from "../../on-server.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { printable } from "../../output/output.ts";
import { filled, listOf, resource, tableOf } from "../../resource.ts";
import { slugsOf } from "../access/projects.ts";

const LIST = "listWebhooks";
const OF_USERS = "webhooks of users are listed with the token of their user (--token)";

/** Things of users and of projects. */
interface OfAll<T> {
  readonly found: readonly T[];
  readonly slugs: ReadonlyMap<string, string>;
  /** The caller, such as the operator of the machine, has none of its own. */
  readonly isOfProjects: boolean;
}

/**
 * The things of one project; by default the caller's own and those of each readable project.
 * @param otherwise for a caller without any, such as the operator of the machine
 */
export async function ofProjects<T>(
  server: ServerClient,
  list: string,
  project: unknown,
  otherwise?: () => Promise<object[]>,
): Promise<OfAll<T>> {
  const slugs = await slugsOf(server);
  const of = async (projectId?: unknown): Promise<T[]> => (await listOf(server, list, { projectId })) as T[];
  if (project !== undefined) return { found: await of(project), slugs, isOfProjects: false };
  const own = await unlessHidden(of());
  if (own === undefined && otherwise) return { found: (await otherwise()) as T[], slugs, isOfProjects: false };
  const found = own ?? [];
  // Members of a project may lack the right to its things.
  for (const projectId of slugs.keys()) found.push(...((await unlessHidden(of(projectId))) ?? []));
  return { found, slugs, isOfProjects: own === undefined };
}

/** The project of a thing in a table. */
export function projectCell(projectId: string | null, slugs: ReadonlyMap<string, string>): string {
  return projectId === null ? "(own)" : (slugs.get(projectId) ?? projectId);
}

async function findWebhook(server: ServerClient, ref: string): Promise<WebhookView> {
  const { found, isOfProjects } = await ofProjects<WebhookView>(server, LIST, undefined);
  return pick(found, ref, {
    one: "webhook",
    namesOf: ({ url }) => [url],
    lineOf: ({ id, url }) => `${id}  ${url}`,
    elsewhere: isOfProjects ? OF_USERS : undefined,
  });
}

function webhooksTable({ found, slugs, isOfProjects }: OfAll<WebhookView>): string[] {
  if (found.length === 0) return [isOfProjects ? `no webhooks of projects; ${OF_USERS}` : "no webhooks"];
  const project = ({ projectId }: WebhookView) => projectCell(projectId, slugs);
  const columns = { ID: "id", PROJECT: project, ACTIVE: "active", FAILURES: "failures" };
  return tableOf({ ...columns, "EVENT TYPES": "eventTypes", URL: "url" }, found);
}

/** Webhooks of users and projects on a running server. */
export function addWebhooks(program: Command): void {
  const one = { one: true, of: "updateWebhook" } as const;
  resource(program, "webhooks", "webhook", {
    text: "list, create, test, enable, disable and delete webhooks",
    examples: ["webhooks list", "webhooks test https://example.com/hook"],
    ref: "id or URL, or a prefix of one",
    find: findWebhook,
    verbs: {
      list: {
        text: "list webhooks: your own, and those of the projects you may view",
        about: "Without a token, next to the server, those of projects only: the operator has none.",
        examples: ["", "--project ops --json"],
        flags: { projectId: ["--project <project>", "webhooks of one project: id or slug"] },
        async run({ server, out, given }) {
          const all = await ofProjects<WebhookView>(server, LIST, given["projectId"]);
          out.result({ webhooks: all.found }, () => webhooksTable(all));
        },
      },
      create: {
        text: "create a webhook; its secret is printed once, alone on stdout",
        examples: ["$ SECRET=$(prism webhooks create https://example.com/hook --project ops --types 'backup.*')"],
        of: "createWebhook",
        args: { url: ["<url>", "https URL with a public address"] },
        flags: {
          projectId: ["--project <project>", "send notifications of this project: id or slug (default: your own)"],
          eventTypes: ["--types <types>", "event types, comma separated: order.*,backup.failed (default: all)"],
        },
        values: ({ eventTypes, ...given }) => ({ ...given, eventTypes: typesIn(eventTypes) }),
        say: "{secret}",
        after: ({ id }: WebhookView, { out }) =>
          out.note(`Webhook ${id}; its secret is not shown again. Try it: prism webhooks test ${id}`),
      },
      delete: {
        text: "delete a webhook; pending deliveries to it are not sent",
        examples: ["https://example.com/hook --yes"],
        one: true,
        of: "deleteWebhook",
        ask: "Delete the webhook {url} ({id})?",
        json: ({ id, url }: WebhookView) => ({ id, url, deleted: true }),
        say: "{id}  {url}  deleted",
      },
      enable: {
        ...one,
        text: "call a webhook again, and reset its count of failures",
        examples: ["https://example.com/hook"],
        values: () => ({ active: true }),
        say: "{id}  {url}  enabled",
      },
      disable: {
        ...one,
        text: "stop calling a webhook; it is kept",
        examples: ["https://example.com/hook"],
        values: () => ({ active: false }),
        say: "{id}  {url}  disabled",
      },
      test: {
        text: "send a test notification to a webhook; exits 8 unless it answers 2xx",
        examples: ["https://example.com/hook"],
        one: true,
        of: "testWebhook",
        lines: ({ delivered, status }: TestView, { found }) =>
          `${filled("{id}", found)}  ${delivered ? "delivered" : "not delivered"}  ${status ?? "no answer"}`,
        after({ delivered, status, error }: TestView) {
          if (!delivered) throw new CommandError(EXIT.checkFailed, printable(error ?? `it answered ${status}`));
        },
      },
    },
  });
}

/** @returns undefined for all types */
export function typesIn(given: unknown): string[] | undefined {
  return given === undefined
    ? undefined
    : String(given)
        .split(",")
        .map((type) => type.trim());
}
