import { join } from "node:path";
import type { Config, LoadedConfig, Origin } from "../../../config/load.ts";
import { CONTROL_SOCKET } from "../../../core/listening.ts";
import type { SettingView } from "../../../features/settings/service.ts";
import { ControlTransport, type SocketState, socketState } from "../../control-transport.ts";
import { CommandError, ServerRefused } from "../../output/exit-codes.ts";
import type { Output } from "../../output/output.ts";
import { ServerClient } from "../../server-client.ts";

/* doctor judges the settings of the running server, not those of the shell that it is called from. */

type Setting = Pick<SettingView, "key" | "value" | "origin" | "secret">;

/** The settings that are judged. */
export interface Judged {
  readonly loaded: LoadedConfig;
  /** Null: those of this shell. */
  readonly server: {
    /** Settings that have another value in this shell. */
    readonly differing: readonly string[];
    /** Secrets that the server has and this shell does not. */
    readonly missing: readonly string[];
  } | null;
  /** `denied`: a server runs that this user may not ask. */
  readonly socket: SocketState;
}

/** The settings of the server that runs on the data directory, else those that this shell gives. */
export async function judgedConfig(loaded: LoadedConfig, out: Output): Promise<Judged> {
  const { dataDir } = loaded.config;
  const path = join(dataDir, CONTROL_SOCKET);
  const socket = await socketState(path);
  if (socket !== "open") return { loaded, server: null, socket };
  const transport = new ControlTransport(path);
  try {
    const api = new ServerClient({ base: `the server of ${dataDir}`, token: undefined, transport }, out);
    const { data } = await api.get<{ data: readonly Setting[] }>("/api/v1/settings");
    return { ...overlaid(loaded, data), socket };
  } catch (error) {
    // A server that stops, or one of another version.
    if (!(error instanceof ServerRefused || error instanceof CommandError)) throw error;
    return { loaded, server: null, socket };
  } finally {
    transport.close();
  }
}

/** Secrets are masked: those of this shell stay. */
function overlaid(loaded: LoadedConfig, settings: readonly Setting[]): Pick<Judged, "loaded" | "server"> {
  const origins = new Map<string, Origin>(loaded.origins);
  const [differing, missing]: [string[], string[]] = [[], []];
  let { config } = loaded;
  for (const { key, value, origin, secret } of settings) {
    const path = key.split(".");
    const own = path.reduce<unknown>((node, name) => Object(node)[name], loaded.config);
    const isHidden = secret || String(value).includes("://***@");
    if (isHidden) {
      if (value !== null && isUnset(own) && origin !== "generated") missing.push(key);
      continue;
    }
    // The port that was chosen at the start is not known here.
    if (key === "port" && value === 0) continue;
    origins.set(key, origin);
    if (JSON.stringify(own ?? null) === JSON.stringify(value)) continue;
    differing.push(key);
    config = replaced(config, path, value ?? undefined) as Config;
  }
  // The server reports the warnings of its own start.
  return { loaded: { ...loaded, config, origins, warnings: [] }, server: { differing, missing } };
}

function isUnset(value: unknown): boolean {
  return value === undefined || (Array.isArray(value) && value.length === 0);
}

/** A copy with another value at the path. */
function replaced(node: unknown, [name = "", ...rest]: readonly string[], value: unknown): unknown {
  const known = Object(node) as Record<string, unknown>;
  return { ...known, [name]: rest.length === 0 ? value : replaced(known[name], rest, value) };
}
