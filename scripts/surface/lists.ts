// Lists that users rely on: error codes with their statuses, permissions, roles, queues, kinds of
// schedules, settings with their defaults, presets.
import { join } from "node:path";
import type { Context } from "./lib/context.ts";
import { leavesOf } from "./lib/leaves.ts";

const ROUTES = {
  permissions: "/api/v1/permissions",
  roles: "/api/v1/roles",
  queues: "/api/v1/queues",
  "schedule-kinds": "/api/v1/schedules/kinds",
  "channel-presets": "/api/v1/channels/presets",
  "receiver-presets": "/api/v1/receivers/presets",
} as const;

interface Operation {
  readonly responses?: Readonly<Record<string, { readonly description?: string }>>;
}

export async function record(context: Context): Promise<void> {
  const names = context.placeholders();
  const config = await context.run(["config", "--all", "--json", "--data-dir", join(context.scratch, "none")]);
  const { settings } = JSON.parse(config.stdout) as { settings: { key: string }[] };
  context.write("settings.txt", names.in(settings.map((setting) => JSON.stringify(setting)).join("\n")));

  const server = await context.serve("data");
  const get = async (path: string, token?: string): Promise<unknown> => {
    const response = await fetch(server.url + path, { headers: token ? { Authorization: `Bearer ${token}` } : {} });
    if (!response.ok) throw new Error(`${path}: ${response.status}`);
    return response.json();
  };
  const { token } = (await get("/dev/token")) as { token: string };
  for (const [name, path] of Object.entries(ROUTES))
    context.write(`${name}.txt`, names.restart().in(leavesOf(await get(path, token)).join("\n")));
  const changeable = (await get("/api/v1/settings", token)) as { data: { key: string }[] };
  const byKey = Object.fromEntries(changeable.data.map((setting) => [setting.key, setting]));
  context.write("changeable-settings.txt", names.restart().in(leavesOf(byKey).join("\n")));
  const { paths } = (await get("/openapi.json")) as { paths: Record<string, Record<string, Operation>> };
  context.write("error-codes.txt", errorCodes(Object.values(paths).flatMap((path) => Object.values(path))).join("\n"));
  await server.stop();
}

/** The descriptions of refusals are lists of codes. */
function errorCodes(operations: readonly Operation[]): string[] {
  const found = operations.flatMap(({ responses = {} }) =>
    Object.entries(responses).flatMap(([status, { description = "" }]) =>
      Number(status) < 400
        ? []
        : [...description.matchAll(/\b[A-Z]{4,}(?:_[A-Z]+)*\b/g)].map(([code]) => `${status} ${code}`),
    ),
  );
  return [...new Set(found)].sort();
}
