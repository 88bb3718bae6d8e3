import type { Setting } from "../../../../../src/client/api-types.gen.ts";
import { isLoopback, SERVER_URL } from "../../../../app/base.ts";

export type SettingOf = (key: string) => Setting | undefined;

/** Whether the app can reach ntfy's API of Prism: it takes no address with a path. */
export function hasNtfyAddress(setting: SettingOf): boolean {
  return ["ntfy.port", "ntfy.baseUrl", "ntfy.hosts"].some((key) => isSet(setting(key)));
}

function isSet(setting: Setting | undefined): boolean {
  const value = setting?.value;
  return Array.isArray(value) ? value.length > 0 : value !== undefined && value !== null && value !== "";
}

/** The root of ntfy's API as the phone reaches it; empty if only the start of the server knows that. */
export function serverUrl(setting: SettingOf): string {
  const [base, hosts, port] = ["ntfy.baseUrl", "ntfy.hosts", "ntfy.port"].map((key) => setting(key)?.value);
  if (typeof base === "string" && base !== "") return base;
  if (Array.isArray(hosts) && hosts.length > 0) return `https://${hosts[0]}`;
  const { hostname } = new URL(SERVER_URL);
  if (isLoopback(hostname)) return "";
  return `${isSet(setting("tls.certFile")) ? "https" : "http"}://${hostname}:${port}`;
}
