import type { Logger } from "../../../core/log.ts";

/** Pings for each time limit of the watchdog, so that one that is late ends nothing. */
const PINGS_PER_LIMIT = 4;

let isReported = false;

/**
 * For units with Type=notify: reports once that the server is ready, and with WatchdogSec= that its event
 * loop runs. systemd's program sends it, as Node has no datagram sockets.
 */
export function notifySystemd(log: Logger): void {
  if (process.env["NOTIFY_SOCKET"] === undefined || isReported) return;
  isReported = true;
  notify(["--ready"], (reason) =>
    log.error({ reason }, "systemd-notify failed; systemd does not know that the server is ready"),
  );
  const limitMs = Number(process.env["WATCHDOG_USEC"]) / 1000;
  if (!(limitMs > 0)) return;
  let hasFailed = false;
  setInterval(() => {
    notify(["WATCHDOG=1"], (reason) => {
      if (!hasFailed) log.error({ reason }, "systemd-notify failed; systemd will restart the server");
      hasFailed = true;
    });
  }, limitMs / PINGS_PER_LIMIT).unref();
}

/** systemd's limit for a start begins again at each call, which must come more often than this. */
const MORE_START_TIME = "EXTEND_TIMEOUT_USEC=60000000";
const UPGRADE_REPORT_MS = 5000;

/** Reports an upgrade of the database to systemd, so that `TimeoutStartSec` does not end it. */
export function upgradeReporter(): (percent: number) => void {
  if (process.env["NOTIFY_SOCKET"] === undefined) return () => undefined;
  let reportedAt = Number.NEGATIVE_INFINITY;
  return (percent) => {
    if (performance.now() - reportedAt < UPGRADE_REPORT_MS) return;
    reportedAt = performance.now();
    notify([MORE_START_TIME, `--status=Upgrading the database: ${percent} %`], () => undefined);
  };
}

function notify(what: readonly string[], onError: (reason: string) => void): void {
  process.getBuiltinModule("node:child_process").execFile("systemd-notify", what, (error) => {
    if (error) onError(error.message);
  });
}
