import { existsSync, type FSWatcher, watch } from "node:fs";
import { sep } from "node:path";
import type { Logger } from "../../core/log.ts";

/** Whoever is to hear that a folder of the modules directory has changed. */
interface FolderListener {
  folderChanged(folder: string): Promise<void>;
}

/** An editor or a compiler writes several files: they are one change when no further one comes for so long. */
const QUIET_MS = 200;

/** Watches the modules directory while a module is being developed. */
export class ModuleWatch {
  readonly #modulesDir: string;
  readonly #isWanted: boolean;
  readonly #listener: FolderListener;
  readonly #log: Logger;
  readonly #changed = new Map<string, NodeJS.Timeout>();
  #watcher: FSWatcher | null = null;

  constructor(modulesDir: string, isWanted: boolean, listener: FolderListener, log: Logger) {
    this.#modulesDir = modulesDir;
    this.#isWanted = isWanted;
    this.#listener = listener;
    this.#log = log;
  }

  start(): void {
    if (!this.#isWanted || !existsSync(this.#modulesDir)) return;
    try {
      this.#watcher = watch(this.#modulesDir, { recursive: true, persistent: false });
    } catch (error) {
      this.#failed(error);
      return;
    }
    this.#watcher.on("change", (_kind, file) => this.#noteChange(String(file ?? "")));
    this.#watcher.on("error", (error) => this.#failed(error));
  }

  stop(): void {
    this.#watcher?.close();
    this.#watcher = null;
    for (const timer of this.#changed.values()) clearTimeout(timer);
    this.#changed.clear();
  }

  #noteChange(file: string): void {
    const [folder = ""] = file.split(sep);
    if (folder === "" || folder.startsWith(".") || folder === "node_modules") return;
    clearTimeout(this.#changed.get(folder));
    const timer = setTimeout(() => {
      this.#changed.delete(folder);
      this.#listener.folderChanged(folder).catch((error: unknown) => {
        this.#log.warn({ folder, err: error }, "a changed module was not loaded");
      });
    }, QUIET_MS);
    this.#changed.set(folder, timer);
  }

  #failed(error: unknown): void {
    this.#log.warn({ err: error }, "the modules directory is not watched");
  }
}
