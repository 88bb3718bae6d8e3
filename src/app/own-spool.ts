import { rmdir } from "node:fs/promises";
import { join } from "node:path";
import { Forwarder } from "../cluster/follow/forward.ts";
import { Spool, spooledIn } from "../cluster/spool/spool.ts";
import { nodeOf } from "../config/checks.ts";
import { sealedBoxOf } from "../config/load.ts";
import { localUrlOf, publicUrlOf } from "../config/public-url.ts";
import { SPOOL_DIR } from "../core/data-dir.ts";
import type { Logger } from "../core/log.ts";
import type { App } from "./start.ts";

/**
 * Sends to this server, which is in no cluster any more, what it took as a node without a leader. Removes the
 * folder when nothing is left in it, so that later starts do not look.
 */
export async function sendOwnSpool({ port, parts: { base } }: Pick<App, "port" | "parts">, log: Logger): Promise<void> {
  const { config } = base;
  const { waiting } = spooledIn(config.dataDir);
  if (waiting > 0) {
    log.warn({ waiting }, "sending to this server what it took as a node without a leader");
    const url = localUrlOf(config, port);
    const { advertise = publicUrlOf(config, port), caFile } = config.cluster;
    const forwarder = new Forwarder({ node: nodeOf(config), advertise, caFile, log });
    forwarder.leadsAt(url);
    let isStopping = false;
    base.bus.on("system:stopping", () => {
      isStopping = true;
    });
    const spool = new Spool({ dataDir: config.dataDir, box: sealedBoxOf(config), log, forwarder });
    await spool.sendTo(url, () => isStopping).finally(() => forwarder.close());
  }
  for (const folder of ["refused", ""]) await rmdir(join(config.dataDir, SPOOL_DIR, folder)).catch(() => undefined);
}
