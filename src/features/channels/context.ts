import type { Config } from "../../config/load.ts";
import type { Clock } from "../../core/clock.ts";
import type { Logger } from "../../core/log.ts";
import type { SealedBox } from "../../core/sealed-box.ts";
import type { Database } from "../../store/database.ts";
import type { AuditService } from "../audit/index.ts";
import type { PageSender } from "../delivery/index.ts";
import type { JobService } from "../jobs/index.ts";
import type { Notifier } from "../notifications/index.ts";
import type { PresetBook } from "./book.ts";
import type { SenderParts } from "./sending/sender.ts";

/** What sending to channels needs. */
export interface ChannelsContext {
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Logger;
  readonly box: SealedBox;
  readonly audit: AuditService;
  readonly jobs: JobService;
  readonly pages: Pick<PageSender, "add" | "handle" | "readyFor" | "retryNow">;
  readonly notify: Pick<Notifier, "send">;
  readonly book: PresetBook;
  readonly sender: SenderParts;
  /** The settings in use. */
  readonly settings: () => Config;
  /** Called when the first channel becomes active, or the last one no longer is. */
  readonly changed: () => void;
}
