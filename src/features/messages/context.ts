import type { Clock } from "../../core/clock.ts";
import type { SealedBox } from "../../core/sealed-box.ts";
import type { Idempotency } from "../../http/idempotency.ts";
import type { LiveSettings } from "../../http/live-settings.ts";
import type { CoreServices } from "../../module/module-api.ts";
import type { Database, Trx } from "../../store/database.ts";
import type { StorageGuard } from "../../store/write-health.ts";
import type { UserDirectory } from "../access/index.ts";
import type { JobControl, JobRunner, JobService } from "../jobs/index.ts";

/** What the feature needs besides the services of every module. */
export interface MessagesOwn {
  readonly db: Database;
  readonly clock: Clock;
  readonly box: SealedBox;
  readonly runner: JobRunner;
  readonly jobControl: JobControl;
  readonly jobs: JobService;
  readonly users: UserDirectory;
  readonly storage: StorageGuard;
  readonly settings: LiveSettings;
  readonly idempotency: Idempotency;
  readonly realtime: MessageStream;
}

/** The live streams of the people of a message. `shown` is what listeners are sent in place of the stored `data`. */
interface MessageStream {
  publish(
    stream: { readonly kind: "messages"; readonly userId: string },
    type: string,
    data: unknown,
    options: { readonly trx: Trx; readonly isAbridged?: boolean },
  ): Promise<unknown>;
}

export type MessagesContext = MessagesOwn & Pick<CoreServices, "audit" | "log">;
