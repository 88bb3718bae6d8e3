import * as k from "./kinds.ts";
import { option } from "./option.ts";

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
};

/** The API of Gotify. */
export const GOTIFY_OPTIONS = {
  hosts: option(
    k.list(k.hostName),
    [],
    "host names under which the API of Gotify is at the root, such as gotify.example.org, for the apps; nothing " +
      "else of Prism is reachable there",
    LIVE,
  ),
};
