import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type App, startApp } from "../../src/app/start.ts";
import { loadConfig } from "../../src/config/load.ts";
import { generateSecrets } from "../../src/config/secrets.ts";
import { silentLogger } from "../../src/core/log.ts";
import { migrateFile } from "../../src/store/sqlite/migrate.ts";

/** A complete server in this process with its own data directory. */
export interface Embedded extends Pick<App, "services" | "parts"> {
  readonly url: string;
  readonly dir: string;
  stop(): Promise<void>;
}

/** @param dir an existing data directory, which the caller removes. */
export async function startEmbedded(settings: Readonly<Record<string, string>> = {}, dir?: string): Promise<Embedded> {
  const dataDir = dir ?? mkdtempSync(join(tmpdir(), "prism-bench-"));
  const loaded = loadConfig({
    flags: { port: "0", dataDir, ...settings },
    environment: { PRISM_CONFIG_DIR: dataDir },
    workingDir: dataDir,
  });
  generateSecrets(loaded.config);
  migrateFile(loaded.config.databaseFile);
  const app = await startApp({
    loaded,
    log: silentLogger,
    onFatal(error) {
      throw error;
    },
  });
  return {
    dir: dataDir,
    url: `http://127.0.0.1:${app.port}`,
    services: app.services,
    parts: app.parts,
    async stop() {
      await app.stop();
      if (dir === undefined) rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
