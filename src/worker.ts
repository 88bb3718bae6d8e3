/** Where every thread of the program starts; `workerData.role` says which it is. */
import { workerData } from "node:worker_threads";
import type { ThreadRole } from "./base/runtime.ts";
import type { BacktestThreadData } from "./services/backtest/plan.ts";
import type { WatchdogThreadData } from "./services/modules/watchdog-thread.ts";
import { runScanThread, type ScanThreadData } from "./store/scan-thread.ts";
import { runSnapshotThread, type SnapshotThreadData } from "./store/snapshot.ts";
import { runWriterThread, type WriterThreadData } from "./store/writer-thread.ts";

const { role, data } = workerData as { role: ThreadRole; data: unknown };
if (role === "writer") runWriterThread(data as WriterThreadData);
else if (role === "scan") runScanThread(data as ScanThreadData);
else if (role === "snapshot") runSnapshotThread(data as SnapshotThreadData);
else if (role === "backtest")
  void import("./services/backtest/backtest-thread.ts").then(({ runBacktestThread }) =>
    runBacktestThread(data as BacktestThreadData),
  );
else if (role === "watchdog")
  void import("./services/modules/watchdog-thread.ts").then(({ runWatchdogThread }) =>
    runWatchdogThread(data as WatchdogThreadData),
  );
// Its addon is loaded in this thread only.
else void import("./services/accounts/hash-thread.ts").then(({ runHashThread }) => runHashThread());
