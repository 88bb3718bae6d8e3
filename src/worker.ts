/** Where every thread of the program starts; `workerData.role` says which it is. */
import { workerData } from "node:worker_threads";
import type { PrepareThreadData } from "./cluster/lead/prepare-leader.ts";
import type { LogThreadData } from "./cluster/log/sync-log.ts";
import type { ReplicatedWriterData } from "./cluster/log/writer-thread.ts";
import type { DigestThreadData } from "./cluster/tools/compare.ts";
import { makeGlobalsPlain, type ThreadRole } from "./core/runtime.ts";
import type { CalendarThreadData } from "./features/oncall/calendar-thread.ts";
import type { WatchdogThreadData } from "./features/plugins/watchdog-thread.ts";
import type { BacktestThreadData } from "./features/rules/backtest.ts";
import { runWriterThread, type WriterThreadData } from "./store/commit/thread-writer.ts";
import { runScanThread, type ScanThreadData } from "./store/scanner.ts";
import { runMigrateThread } from "./store/sqlite/migrate.ts";
import { runSnapshotThread, type SnapshotThreadData } from "./store/sqlite/snapshot.ts";

makeGlobalsPlain();
const { role, data } = workerData as { role: ThreadRole; data: unknown };
if (role === "writer") runWriterThread(data as WriterThreadData);
else if (role === "replicated-writer")
  void import("./cluster/log/writer-thread.ts").then(({ runReplicatedWriter }) =>
    runReplicatedWriter(data as ReplicatedWriterData),
  );
else if (role === "log")
  void import("./cluster/log/log-thread.ts").then(({ runLogThread }) => runLogThread(data as LogThreadData));
else if (role === "prepare-leader")
  void import("./cluster/lead/prepare-leader.ts").then(({ runPrepareLeader }) =>
    runPrepareLeader(data as PrepareThreadData),
  );
else if (role === "digest")
  void import("./cluster/tools/compare.ts").then(({ runDigestThread }) => runDigestThread(data as DigestThreadData));
else if (role === "scan") runScanThread(data as ScanThreadData);
else if (role === "snapshot") runSnapshotThread(data as SnapshotThreadData);
else if (role === "migrate") runMigrateThread(data as string);
else if (role === "backtest")
  void import("./features/rules/backtest-thread.ts").then(({ runBacktestThread }) =>
    runBacktestThread(data as BacktestThreadData),
  );
else if (role === "calendar")
  void import("./features/oncall/calendar-thread.ts").then(({ runCalendarThread }) =>
    runCalendarThread(data as CalendarThreadData),
  );
else if (role === "prepare")
  void import("./features/intake/receivers/prepare-thread.ts").then(({ runPrepareThread }) => runPrepareThread());
else if (role === "watchdog")
  void import("./features/plugins/watchdog-thread.ts").then(({ runWatchdogThread }) =>
    runWatchdogThread(data as WatchdogThreadData),
  );
// Its addon is loaded in this thread only.
else void import("./features/access/passwords/hash-thread.ts").then(({ runHashThread }) => runHashThread());
