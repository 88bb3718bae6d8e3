import { execFile } from "node:child_process";
import type { Logger } from "../../../core/log.ts";

/** Pings for each time limit of the watchdog, so that one that is late ends nothing. */
const PINGS_PER_LIMIT = 4;

/**
 * For units with Type=notify: reports that the server is ready, and with WatchdogSec= that its event
 * loop runs. systemd's program sends it, as Node has no datagram sockets.
 */
export function notifySystemd(log: Logger, env: NodeJS.ProcessEnv = process.env): void {
  if (env["NOTIFY_SOCKET"] === undefined) return;
  notify("--ready", (reason) =>
    log.error({ reason }, "systemd-notify failed: systemd does not know that the server is ready"),
  );
  const limitMs = Number(env["WATCHDOG_USEC"]) / 1000;
  if (!(limitMs > 0)) return;
  let isReported = false;
  setInterval(() => {
    notify("WATCHDOG=1", (reason) => {
      if (!isReported) log.error({ reason }, "systemd-notify failed: systemd will restart the server");
      isReported = true;
    });
  }, limitMs / PINGS_PER_LIMIT).unref();
}

function notify(what: string, onError: (reason: string) => void): void {
  execFile("systemd-notify", [what], (error) => {
    if (error) onError(error.message);
  });
}
