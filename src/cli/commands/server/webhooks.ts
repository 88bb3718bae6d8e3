import type { Command } from "commander";
import type { TestView, WebhookView } from "../../../features/delivery/webhooks/schema.ts";
import { contextOf } from "../../context.ts";
import { deleteAfterQuestion, everyItem, online, pick } from "../../on-server.ts";
import { CommandError, EXIT, ServerRefused } from "../../output/exit-codes.ts";
import { printable, table } from "../../output/output.ts";
import type { ServerClient } from "../../server-client.ts";
import { slugsOf } from "../access/projects.ts";

const PATH = "/api/v1/webhooks";

interface Webhooks {
  readonly webhooks: readonly WebhookView[];
  readonly slugs: ReadonlyMap<string, string>;
}

/** Of one project; by default the caller's own and those of each readable project. */
async function webhooksOf(server: ServerClient, project: string | undefined): Promise<Webhooks> {
  const slugs = await slugsOf(server);
  if (project !== undefined)
    return { webhooks: await everyItem<WebhookView>(server, PATH, { projectId: project }), slugs };
  // The operator of the machine has no own webhooks.
  const webhooks = await everyItem<WebhookView>(server, PATH).catch(ignoreRefusal<WebhookView>);
  for (const projectId of slugs.keys())
    webhooks.push(...(await everyItem<WebhookView>(server, PATH, { projectId }).catch(ignoreRefusal<WebhookView>)));
  return { webhooks, slugs };
}

/** Members of a project may lack the right to its webhooks. */
function ignoreRefusal<T>(error: unknown): T[] {
  if (error instanceof ServerRefused && (error.status === 403 || error.status === 404)) return [];
  throw error;
}

async function findWebhook(server: ServerClient, ref: string): Promise<WebhookView> {
  const { webhooks } = await webhooksOf(server, undefined);
  return pick(webhooks, ref, {
    one: "webhook",
    namesOf: ({ url }) => [url],
    lineOf: ({ id, url }) => `${id}  ${url}`,
  });
}

function webhooksTable({ webhooks, slugs }: Webhooks): string[] {
  if (webhooks.length === 0) return ["no webhooks"];
  return table(
    ["ID", "PROJECT", "ACTIVE", "FAILURES", "EVENT TYPES", "URL"],
    webhooks.map(({ id, projectId, active, failures, eventTypes, url }) => [
      id,
      projectId === null ? "(own)" : (slugs.get(projectId) ?? projectId),
      active ? "yes" : "no",
      failures,
      eventTypes.join(","),
      url,
    ]),
  );
}

function pathOf({ id }: WebhookView, action = ""): string {
  return `${PATH}/${id}${action}`;
}

interface CreateFlags {
  readonly project?: string;
  readonly types?: string;
}

function addManageWebhooks(webhooks: Command): void {
  webhooks
    .command("list")
    .description("list webhooks: your own, and those of the projects you may view")
    .option("--project <project>", "webhooks of one project: id or slug")
    .addHelpText("after", "\nExamples:\n  $ prism webhooks list\n  $ prism webhooks list --project ops --json")
    .action(({ project }: CreateFlags, command: Command) =>
      online(command, async (server, { out }) => {
        const found = await webhooksOf(server, project);
        out.result({ webhooks: found.webhooks }, () => webhooksTable(found));
      }),
    );
  webhooks
    .command("create")
    .description("create a webhook; its secret is printed once, alone on stdout")
    .argument("<url>", "https URL with a public address")
    .option("--project <project>", "send notifications of this project: id or slug (default: your own)")
    .option("--types <types>", "event types, comma separated: order.*,backup.failed (default: all)")
    .addHelpText(
      "after",
      "\nExample:\n  $ SECRET=$(prism webhooks create https://example.com/hook --project ops --types 'backup.*')",
    )
    .action((url: string, { project: projectId, types }: CreateFlags, command: Command) =>
      online(command, async (server, { out }) => {
        const eventTypes = types?.split(",").map((type) => type.trim());
        const made = await server.post<WebhookView & { secret: string }>(PATH, { url, projectId, eventTypes });
        out.result(made, () => made.secret);
        out.note(`Webhook ${made.id}; its secret is not shown again. Try it: prism webhooks test ${made.id}`);
      }),
    );
  webhooks
    .command("delete")
    .description("delete a webhook; pending deliveries to it are not sent")
    .argument("<webhook>", "id or URL, or a prefix of one")
    .option("--yes", "do not ask")
    .addHelpText("after", "\nExample:\n  $ prism webhooks delete https://example.com/hook --yes")
    .action(async (ref: string, { yes }: { readonly yes?: boolean }, command: Command) => {
      const { id, url } = await deleteAfterQuestion(command, yes, {
        find: (server) => findWebhook(server, ref),
        question: (webhook) => `Delete the webhook ${printable(webhook.url)} (${webhook.id})?`,
        remove: (server, webhook) => server.delete(pathOf(webhook)),
      });
      contextOf(command).out.result({ id, url, deleted: true }, () => `${id}  ${printable(url)}  deleted`);
    });
}

function addOperateWebhooks(webhooks: Command): void {
  for (const [action, active, description] of [
    ["enable", true, "call a webhook again, and reset its count of failures"],
    ["disable", false, "stop calling a webhook; it is kept"],
  ] as const)
    webhooks
      .command(action)
      .description(description)
      .argument("<webhook>", "id or URL, or a prefix of one")
      .addHelpText("after", `\nExample:\n  $ prism webhooks ${action} https://example.com/hook`)
      .action((ref: string, _flags: object, command: Command) =>
        online(command, async (server, { out }) => {
          const changed = await server.change<WebhookView>("PUT", pathOf(await findWebhook(server, ref)), { active });
          out.result(changed, () => `${changed.id}  ${printable(changed.url)}  ${action}d`);
        }),
      );
  webhooks
    .command("test")
    .description("send a test notification to a webhook; exits 8 unless it answers 2xx")
    .argument("<webhook>", "id or URL, or a prefix of one")
    .addHelpText("after", "\nExample:\n  $ prism webhooks test https://example.com/hook")
    .action((ref: string, _flags: object, command: Command) =>
      online(command, async (server, { out }) => {
        const webhook = await findWebhook(server, ref);
        const result = await server.post<TestView>(pathOf(webhook, "/test"), {});
        const { delivered, status, error } = result;
        out.result(
          result,
          () => `${webhook.id}  ${delivered ? "delivered" : "not delivered"}  ${status ?? "no answer"}`,
        );
        if (!delivered) throw new CommandError(EXIT.checkFailed, printable(error ?? `it answered ${status}`));
      }),
    );
}

/** Webhooks of users and projects on a running server. */
export function addWebhooks(program: Command): void {
  const webhooks = program
    .command("webhooks")
    .description("list, create, test, enable, disable and delete webhooks")
    .addHelpText("after", "\nExamples:\n  $ prism webhooks list\n  $ prism webhooks test https://example.com/hook");
  addManageWebhooks(webhooks);
  addOperateWebhooks(webhooks);
}
