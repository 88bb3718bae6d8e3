import { connect } from "node:net";
import { join } from "node:path";
import { OPEN_SECRETS, openSecretFiles, proxyText, serverWarnings } from "../../../config/checks.ts";
import { sudoAs } from "../../../config/config-file.ts";
import { describeConfig } from "../../../config/describe.ts";
import type { Config, ConfigFiles, LoadedConfig } from "../../../config/load.ts";
import { ConfigRefused } from "../../../config/option.ts";
import { type OutgoingProxy, outgoingProxyOf } from "../../../config/outgoing-proxy.ts";
import { type Finding, fail, pass, warn } from "../../../core/finding.ts";
import type { Judged } from "../../../remote/running-server.ts";
import { isUnused } from "../../data-dir.ts";

/** The configuration of this shell, or why there is none. */
export interface ReadConfig {
  readonly loaded: LoadedConfig | null;
  readonly refused: readonly Finding[];
}

/** @param load reads the configuration as a server would. */
export function readConfig(load: () => LoadedConfig): ReadConfig {
  try {
    return { loaded: load(), refused: [] };
  } catch (error) {
    if (!(error instanceof ConfigRefused)) throw error;
    return { loaded: null, refused: error.problems.map((problem) => fail("configuration", problem)) };
  }
}

/** The configuration in use: that of the running server where it can be asked. */
export function checkConfig({ loaded, server, socket }: Judged): Finding[] {
  const { config, origins, files, warnings } = loaded;
  const settings = describeConfig(config, origins);
  const given = settings.filter(({ origin }) => origin !== "default" && origin !== "generated");
  // With other settings than those of this shell the server may have read other files.
  const own = server && server.differing.length > 0 ? [] : [filesText(files)];
  const source = [...own, ...(server ? [`of the running server${differenceText(server)}`] : [])].join("; ");
  const denied =
    "a server is running that this user may not ask; this checks the settings of this shell, not the server's";
  return [
    pass("configuration", `${config.env}; ${source}; ${given.length} of ${settings.length} settings are set`),
    ...(socket === "denied" ? [warn("configuration", denied, `run ${sudoAs(config.dataDir)}`)] : []),
    ...warnings.map((warning) => warn("configuration", warning)),
    ...serverWarnings(config).map((warning) => warn("configuration", warning)),
    ...checkPublicUrl(config),
    ...checkSecrets(loaded),
  ];
}

/** With a mail server it is one of {@link serverWarnings}. */
function checkPublicUrl({ env, publicUrl, smtp }: Config): Finding[] {
  if (env !== "production" || publicUrl !== undefined || smtp.host !== undefined) return [];
  const what = "publicUrl is not set: links in messages, invitations and URLs of receivers lead to localhost";
  return [warn("configuration", what, "set it to the address that users open")];
}

const SHOWN_SETTINGS = 8;

function differenceText({ differing, missing }: NonNullable<Judged["server"]>): string {
  const list = (keys: readonly string[]) =>
    keys.length <= SHOWN_SETTINGS
      ? keys.join(", ")
      : `${keys.slice(0, SHOWN_SETTINGS).join(", ")} and ${keys.length - SHOWN_SETTINGS} more`;
  const others = differing.length === 0 ? "" : `; not those of this shell: ${list(differing)}`;
  return missing.length === 0 ? others : `${others}; without its secrets, which are not given here: ${list(missing)}`;
}

function filesText({ config, secrets }: ConfigFiles): string {
  const file = config ?? "no configuration file";
  if (secrets === null) return file;
  return `${file} and ${secrets.path}${secrets.unreadable === null ? "" : ` (not readable: ${secrets.unreadable})`}`;
}

/** A valid production configuration implies good secrets. */
function checkSecrets({ config, origins, files }: LoadedConfig): Finding[] {
  const generated = ["auth.jwtSecret", "encryptionKey"].filter((key) => origins.get(key) === "generated");
  const where = join(config.dataDir, "secrets.json");
  const said = generated.length === 0 ? "configured" : `${generated.join(" and ")}: generated, kept in ${where}`;
  return [
    unusableKey(config) ?? pass("secrets", said),
    ...openSecretFiles({ files, origins }).map((path) =>
      warn("secrets", `${path} ${OPEN_SECRETS}`, `chmod 640 ${path}`),
    ),
  ];
}

function unusableKey({ databaseFile, secrets }: Config): Finding | undefined {
  try {
    // A missing key is generated with a new database.
    if (isUnused(databaseFile)) return undefined;
    return secrets.encryptionKey ? undefined : fail("secrets", "the encryption key is empty");
  } catch (error) {
    return fail("secrets", error instanceof Error ? error.message : String(error));
  }
}

const PROXY_LIMIT_MS = 3000;

/** Whether the outgoing proxy accepts connections; nothing without one. */
export async function checkProxy(loaded: LoadedConfig): Promise<Finding[]> {
  const proxy = outgoingProxyOf(loaded.config.proxy);
  const text = proxyText(loaded);
  if (proxy === null || text === null) return [];
  const problem = await reach(proxy);
  if (problem === null) return [pass("proxy", text)];
  const remedy = "start it, correct proxy.url, or unset the variable that names it";
  return [fail("proxy", `${text}; it cannot be reached (${problem})`, remedy)];
}

function reach({ url }: OutgoingProxy): Promise<string | null> {
  const port = url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port);
  return new Promise((resolve) => {
    const socket = connect({ host: url.hostname.replace(/^\[|\]$/g, ""), port, timeout: PROXY_LIMIT_MS });
    const end = (problem: string | null): void => {
      socket.destroy();
      resolve(problem);
    };
    socket.once("connect", () => end(null));
    socket.once("timeout", () => end("no answer in time"));
    socket.once("error", (error) => end(String(Object(error).code ?? error.message)));
  });
}
