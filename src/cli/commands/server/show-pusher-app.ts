import type { Config } from "../../../config/load.ts";
import { localUrlOf } from "../../../config/public-url.ts";
import { type CommandContext, refuseUrl } from "../../context.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { withServer } from "../../with-server.ts";

const NAME = "key pusher";
const PATH = "/api/v1/operator/pusher-app";

/** The secret is absent where the server's configuration has it. */
interface ServedApp {
  readonly appId: string;
  readonly key: string;
  readonly secret?: string;
}

/**
 * `key pusher`: what a library for Pusher needs to talk to this server or to the app at Pusher. A
 * secret that is configured is not shown.
 * @throws CommandError 7 for `rotate` of an app that is configured, 4 while a server holds the data
 * directory, which would go on with the old secret; ConfigRefused, SchemaRefused, UnsealError
 */
export async function showPusherApp(context: CommandContext, { rotate }: { readonly rotate: boolean }): Promise<void> {
  refuseUrl(context, NAME);
  const { config } = context.loadConfig("none");
  const { appId, key, secret } = config.pusher;
  const isConfigured = appId !== undefined && key !== undefined && secret !== undefined;
  if (isConfigured && !rotate) return showConfigured(context, config, { appId, key });
  if (isConfigured)
    throw new CommandError(
      EXIT.conflict,
      "the app is configured; set another pusher.secret (PUSHER_SECRET) and restart the server",
    );
  const app = await withServer(
    context,
    (api) => (rotate ? api.post<ServedApp>(`${PATH}/rotate`, {}) : api.get<ServedApp>(PATH)),
    { localOnly: NAME, alone: rotate },
  );
  if (app.secret === undefined) return showConfigured(context, config, app);
  showOwn(context, config, { ...app, secret: app.secret }, rotate);
}

function showOwn({ out }: CommandContext, config: Config, app: Required<ServedApp>, isRotated: boolean): void {
  const { appId, key, secret } = app;
  show(out, { mode: "embedded", source: "generated", appId, key, secret, ...endpointOf(config) });
  out.note("The server generated this app. Keep its secret in backends: it gives full access to the app.");
  out.note("Host and port are from the settings of this command; a server with other settings has another address.");
  if (isRotated) out.note("The old secret no longer works; id and key have not changed.");
}

function showConfigured({ out }: CommandContext, config: Config, { appId, key }: ServedApp): void {
  const { mode } = config.pusher;
  show(out, { mode, source: "configured", appId, key, ...endpointOf(config) });
  out.note("The app is in the configuration; its secret is not shown: pusher.secret (PUSHER_SECRET).");
}

/** Address of the app's REST API, as options of libraries. */
function endpointOf({ pusher, publicUrl, port, ...listening }: Config) {
  const { mode, endpoint, cluster } = pusher;
  if (mode === "remote") return endpoint === undefined ? { cluster } : addressOf(endpoint);
  const address = addressOf(publicUrl ?? localUrlOf(listening, port));
  // Port 0 is unknown before the server listens.
  return publicUrl === undefined && port === 0 ? { ...address, port: null } : address;
}

function addressOf(url: string) {
  const { hostname: host, port, protocol } = new URL(url);
  const useTLS = protocol === "https:";
  return { host, port: port === "" ? (useTLS ? 443 : 80) : Number(port), useTLS };
}

function show(
  out: CommandContext["out"],
  shown: Readonly<Record<string, string | number | boolean | null | undefined>>,
): void {
  const members = Object.entries(shown).filter(([, value]) => value !== undefined);
  out.result(shown, () => members.map(([name, value]) => `${name.padEnd(NAME_WIDTH)}${value ?? "-"}`));
}

/** Length of the longest member, `useTLS` or `cluster`, and two spaces. */
const NAME_WIDTH = 9;
