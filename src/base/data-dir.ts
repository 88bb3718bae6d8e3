import { accessSync, chmodSync, constants, existsSync, mkdirSync } from "node:fs";

/** The data directory cannot be used. The message names it, and what to do. */
export class DataDirRefused extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "DataDirRefused";
  }
}

/** Makes the directory, readable by its owner only, and checks that it can be written. @throws DataDirRefused */
export function prepareDataDir(dataDir: string): void {
  try {
    if (!existsSync(dataDir)) {
      mkdirSync(dataDir, { recursive: true, mode: 0o700 });
      chmodSync(dataDir, 0o700);
    }
    accessSync(dataDir, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (cause) {
    const reason = cause instanceof Error && "code" in cause ? ` (${String(cause.code)})` : "";
    throw new DataDirRefused(
      `the data directory ${dataDir} cannot be written${reason}; choose another with --data-dir or PRISM_DATA_DIR, or change its owner`,
      { cause },
    );
  }
}
