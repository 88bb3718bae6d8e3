import * as k from "./kinds.ts";
import { option, optional } from "./option.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

const LIVE = { reloadable: true } as const;

/** The API of ntfy (docs/ntfy.md). */
export const NTFY_OPTIONS = {
  hosts: option(
    k.list(k.hostName),
    [],
    "host names under which the API of ntfy is at the root, such as ntfy.example.org, for the apps; nothing else " +
      "of Prism is reachable there",
    LIVE,
  ),
  port: optional(
    k.integer(1, 65535),
    "a further port with the API of ntfy at the root, such as 2586, for the apps where there is no host name for it; " +
      "nothing else of Prism is reachable there",
  ),
  anonymous: option(
    k.oneOf("none", "read", "write", "read-write"),
    "none",
    "what clients without credentials may do with topics of messages in the default project; UnifiedPush needs write",
    LIVE,
  ),
  baseUrl: optional(
    k.baseUrl(),
    "URL of this API as users type it into the apps, for links to attachments and for Matrix; by default made from " +
      "the request",
    LIVE,
  ),
  cacheMs: option(
    k.duration(60_000, 7 * DAY),
    12 * HOUR,
    "how long messages are kept for clients that connect again; 12 hours as ntfy",
    LIVE,
  ),
  templateDir: optional(
    k.text(),
    "directory of templates of your own, each a file <name>.yml with title, message and priority, as template-dir of " +
      "ntfy",
  ),
  attachments: {
    fileBytes: option(
      k.integer(0, 104_857_600),
      15_728_640,
      "largest attachment in bytes; 0 accepts none. A file is in memory while it is received",
      LIVE,
    ),
    userBytes: option(k.integer(0, 1e15), 104_857_600, "attachments of one user or address together, in bytes", LIVE),
    totalBytes: option(k.integer(0, 1e15), 5_368_709_120, "all attachments together, in bytes", LIVE),
    keptMs: option(k.duration(60_000, 30 * DAY), 3 * HOUR, "how long attachments are kept; 3 hours as ntfy", LIVE),
  },
};

/** The API of Gotify (docs/gotify.md). */
export const GOTIFY_OPTIONS = {
  hosts: option(
    k.list(k.hostName),
    [],
    "host names under which the API of Gotify is at the root, such as gotify.example.org, for the apps; nothing " +
      "else of Prism is reachable there",
    LIVE,
  ),
};
