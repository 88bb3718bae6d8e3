import { jetstream, StorageType } from "@nats-io/jetstream";
import { type ObjectStore, Objm } from "@nats-io/obj";
import type { NatsConnection } from "@nats-io/transport-node";
import type { SealedBox } from "../../core/crypto/sealed-box.ts";
import { PrismError } from "../../core/errors.ts";
import type { SharedFile, SharedFiles } from "../../store/stored-files.ts";
import { streamOf } from "../log/nats-log.ts";

const TIMEOUT_MS = 5000;
const CONTEXT = "prism cluster file";

/**
 * Files in an object store of JetStream, sealed: servers see neither content nor types. Each is
 * sealed for its name, so that one cannot be given for another.
 */
export class NatsFiles implements SharedFiles {
  readonly #open: () => Promise<ObjectStore>;
  readonly #box: SealedBox;
  #store: Promise<ObjectStore> | null = null;

  /** @param name of the cluster. @param box of what is between nodes */
  constructor(nats: NatsConnection, name: string, replicas: number, box: SealedBox) {
    this.#box = box;
    this.#open = () =>
      new Objm(jetstream(nats, { timeout: TIMEOUT_MS })).create(`${streamOf(name)}_files`, {
        storage: StorageType.File,
        replicas,
      });
  }

  async put(name: string, bytes: Buffer): Promise<void> {
    await this.#use(async (store) => {
      const sealed = this.#box.seal(contextOf(name), bytes);
      await store.putBlob({ name, description: this.#keyId }, sealed, { timeout: TIMEOUT_MS });
    });
  }

  async get(name: string): Promise<Buffer | null> {
    const sealed = await this.#use((store) => store.getBlob(name));
    return sealed === null ? null : this.#box.open(contextOf(name), sealed);
  }

  async remove(name: string): Promise<void> {
    await this.#use(async (store) => {
      const found = await store.info(name);
      if (found !== null && !found.deleted) await store.delete(name);
    });
  }

  async list(folder: string): Promise<ReadonlyMap<string, SharedFile>> {
    const all = await this.#use((store) => store.list());
    const own = all.filter(({ name, deleted }) => !deleted && name.startsWith(`${folder}/`));
    return new Map(
      own.map(({ name, mtime, description }) => {
        return [name, { putAt: Date.parse(mtime), isCurrent: description === this.#keyId }];
      }),
    );
  }

  get #keyId(): string {
    return this.#box.keyId.toString("hex");
  }

  /** @throws OVERLOADED while the servers do not answer */
  async #use<T>(work: (store: ObjectStore) => Promise<T>): Promise<T> {
    try {
      this.#store ??= this.#open();
      return await work(await this.#store);
    } catch (cause) {
      this.#store = null;
      throw new PrismError("OVERLOADED", "The nats-servers of the cluster do not take or give this file", {
        cause,
        retryAfterMs: 5000,
      });
    }
  }
}

function contextOf(name: string): string {
  return `${CONTEXT} ${name}`;
}
